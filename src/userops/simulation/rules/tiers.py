"""Tiers in columns: where the value is decided first, every event's tier is found at once by the ladder's moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from attrs import evolve, frozen

from userops.simulation.columns import Array, Column, Columns, Ints, Mask
from userops.simulation.inputs import Spec
from userops.simulation.members import Block, group_at
from userops.simulation.rules.asked import mask_of
from userops.simulation.rules.standings import JOINED, instants, tier_names
from userops.tiers.courses import spread
from userops.tiers.moves import Side, moves_of


@frozen(eq=False)
class Value:
    """Value that members got, in order of (row, instant), and where each row's begins."""

    at: Array
    points: Ints
    starts: Ints

    @classmethod
    def of(cls, spec: Spec, block: Block, gained: Ints) -> Value:
        """Return the value that a block's events gave; they lie in order of (row, instant)."""
        hit = np.flatnonzero(gained)
        at = _instants(spec, block, hit)
        starts = np.searchsorted(block.found.row[hit], np.arange(len(block.rows) + 1))
        return cls(at, gained[hit], starts)


@frozen(eq=False)
class Query:
    """Members whose tiers are asked for at instants, with the fields that tell what they may hold."""

    row: Ints
    at: Array
    columns: Columns
    side: Side


@frozen(eq=False)
class MonthTiers:
    """Active members at the ends of months: the row, the month, and the place of the tier, -1 for none."""

    row: Ints
    month: Ints
    tier: Ints

    def without(self, rows: Mask) -> MonthTiers:
        """Return those of the other rows."""
        kept = np.flatnonzero(~rows[self.row])
        return MonthTiers(self.row[kept], self.month[kept], self.tier[kept])

    def plus(self, other: MonthTiers) -> MonthTiers:
        """Return those of both."""
        both = [np.concatenate([getattr(self, k), getattr(other, k)]) for k in ("row", "month", "tier")]
        return MonthTiers(*both)


def _instants(spec: Spec, block: Block, places: Ints) -> Ints:
    """Return the instants of events at places of a block, as a trace dates them."""
    found = block.found
    return instants(
        spec.clock,
        len(spec.kinds),
        len(block.rows),
        row=found.row[places],
        day=found.day[places],
        rank=found.rank[places],
        kind=found.kind[places],
    )


def with_tiers(spec: Spec, block: Block, value: Value) -> tuple[Block, MonthTiers]:
    """Return the block with the member's tier as a field of the events whose rules ask for it, and those of months.

    What an event is worth counts for its own tier where a crossing counts at once, and else from the next on.
    """
    side = Side.WITH_VALUE if spec.program.is_new_rate else Side.BEFORE
    asking = [kind for kind, rules in spec.book.rules.items() if any(one.needs_tier for one in rules)]
    queries = []
    for kind in asking:
        mine = block.found.of_kind(kind)
        at = _instants(spec, block, mine)
        queries.append(Query(block.found.row[mine], at, block.columns[kind], side))
    row, month, query = _month_query(spec, block)
    *codes, at_months = _tiers_at(spec, block, value, [*queries, query])
    words, columns = tier_names(spec.program)[1:], list(block.columns)
    for kind, places in zip(asking, codes, strict=True):
        columns[kind] = {**columns[kind], "tier": Column(places, words)}
    return evolve(block, columns=columns), MonthTiers(row, month, at_months)


def month_tiers(spec: Spec, block: Block, value: Value) -> MonthTiers:
    """Return the tiers of active members at the end of each month."""
    row, month, query = _month_query(spec, block)
    return MonthTiers(row, month, *_tiers_at(spec, block, value, [query]))


def _month_query(spec: Spec, block: Block) -> tuple[Ints, Ints, Query]:
    """Return the members active in each month, the months, and the question for the tiers at their ends."""
    rows, months = block.rows, spec.span.months
    stop = np.minimum(rows.lapse, months).astype(np.int64)
    lengths = np.maximum(stop - rows.arrival, 0)
    row = np.repeat(np.arange(len(rows)), lengths)
    month = spread(rows.arrival.astype(np.int64), lengths)
    names = tuple(group.name for group in spec.groups)
    columns: Columns = {}
    if names != ("",):
        columns = {"kind": Column(group_at(rows, row, month).astype(np.int64), names)}
    return row, month, Query(row, spec.clock.month_micros[1:][month], columns, Side.AFTER)


def _tiers_at(spec: Spec, block: Block, value: Value, queries: Sequence[Query]) -> list[Ints]:
    """Return the tiers of members at instants, as places, -1 for none.

    A ladder reads of a member what the event at hand says. Who answers otherwise to what tiers require, as a fan
    who became an owner does, is walked once for each answer, through all its value.
    """
    ladder = spec.program.ladder
    assert ladder is not None  # noqa: S101 — tiers are asked for where there is a ladder
    kinds = len([tier for tier in ladder.tiers if tier.requires is not None])
    keys = np.concatenate([(one.row.astype(np.int64) << kinds) | _answers(spec, one) for one in queries])
    # As many numbers as there can be are marked: that spares sorting the events.
    first = np.full(len(block.rows) << kinds, -1, dtype=np.int64)
    first[keys] = np.arange(len(keys))
    known = np.flatnonzero(first >= 0)
    walker, chosen = known >> kinds, first[known]
    lengths = (value.starts[1:] - value.starts[:-1])[walker]
    source = spread(value.starts[:-1][walker], lengths)
    data = {
        "member": np.repeat(np.arange(len(walker)), lengths),
        "at": value.at[source].astype("datetime64[us]"),
        "value": value.points[source],
    }
    bounds = spec.clock.month_micros
    joined = bounds.astype("datetime64[us]")[block.rows.arrival[walker]]
    records: dict[str, Any] = {"member": np.arange(len(walker)), JOINED: joined}
    records |= _fields(spec, queries, chosen)
    moves = moves_of(ladder, data, until=int(bounds[-1]), records=records)
    first[known] = np.arange(len(known))
    who, edges = first[keys], np.cumsum([0, *(len(one.row) for one in queries)])
    return [
        moves.at(who[low : low + len(one.row)], one.at, side=one.side).astype(np.int64)
        for one, low in zip(queries, edges, strict=False)
    ]


def _required(spec: Spec) -> list[str]:
    """Return the fields that tiers require something of; a counter and the amount are no fields of a member."""
    ladder = spec.program.ladder
    assert ladder is not None  # noqa: S101 — as above
    hidden = {"amount", JOINED, *(counter.name for counter in spec.program.counters)}
    conditions = [tier.requires for tier in ladder.tiers if tier.requires is not None]
    return sorted({name for one in conditions for name in one.fields()} - hidden)


def _answers(spec: Spec, query: Query) -> Ints:
    """Return for each event which tiers the member could hold by what they require, as one number."""
    ladder, columns, size = spec.program.ladder, query.columns, len(query.row)
    known = {name: columns[name] for name in _required(spec) if name in columns}
    assert ladder is not None  # noqa: S101 — as above
    found: Ints = np.zeros(size, dtype=np.int64)
    for tier in ladder.tiers:
        if tier.requires is not None:
            mask = mask_of(tier.requires, known, size)
            found = 2 * found + (1 if mask is None else mask)
    return found


def _fields(spec: Spec, queries: Sequence[Query], chosen: Ints) -> Mapping[str, Array]:
    """Return what tiers read of chosen events, of all queries' one after another."""
    found: dict[str, Array] = {}
    edges = np.cumsum([0, *(len(one.row) for one in queries)])
    for name in _required(spec):
        values = np.full(len(chosen), None, dtype=object)
        for one, low in zip(queries, edges, strict=False):
            column = one.columns.get(name)
            mine = np.flatnonzero((low <= chosen) & (chosen < low + len(one.row)))
            if column is not None:
                spelt = column.taken(chosen[mine] - low).spelt().astype(object)
                values[mine] = np.ma.filled(spelt, None)
        found[name] = values
    return found
