"""A small population in full: its events, and what the columnar engine made of them, to the point."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
from attrs import evolve, field, frozen

from userops.core.events import Event
from userops.core.tables import Table
from userops.simulation.arrays import Array
from userops.simulation.asking import MISSING
from userops.simulation.blocks import Block, gather
from userops.simulation.engine import grant
from userops.simulation.flows import Flows, flows
from userops.simulation.population import chunk_sizes
from userops.simulation.running import grant_by_the_clock
from userops.simulation.spec import Spec, value_only_funds
from userops.simulation.usage import used_by

#: Redemptions come so long after noon: later than every earn of the day.
_EVENING = 11 * 3_600 * 1_000_000


@frozen(eq=False)
class Trace:
    """The events of a simulated population, in order of time, and their figures by month and fund.

    Running `.events` through the program into a ledger gives the same figures.
    """

    events: tuple[Event, ...] = field(repr=False)
    #: What is known of each member beside the events.
    members: Mapping[str, Mapping[str, Any]] = field(repr=False)
    columns: Mapping[str, Array] = field(repr=False)
    #: Whether a limit shared by members bound, so that the clock's order decided.
    is_bound: bool
    #: The first instant after the last month.
    ends_at: datetime

    def to_columns(self) -> dict[str, Array]:
        """Return month (from 1), fund, issued, redeemed, expired, clawed_back, outstanding, refused."""
        return dict(self.columns)

    def table(self) -> Table:
        """Return the figures as a table."""
        return Table({name: values.tolist() for name, values in self.columns.items()}, title="Trace")

    def __str__(self) -> str:
        return str(self.table())


def trace_of(spec: Spec, *, members: int, seed: int) -> Trace:
    """Simulate a population of so many members at the start, shared among the groups as in the plan."""
    small = _scaled(spec, members)
    world = small.world(seed, 0, None)
    chunks = [(0, place, chunk) for place, chunk, _ in chunk_sizes(world)]
    block = gather(small, [world], chunks, is_full=True)
    granted = grant(small, block, None)
    bound = used_by(small, block, granted).limits(small)
    is_bound = bool(bound.funds or bound.caps)
    if is_bound:
        granted = grant_by_the_clock(small, block, bound)
    found = flows(small, block, granted, is_logged=True)
    events = _events(small, block, found)
    return Trace(
        events, _members(small, block), _columns(small, found), is_bound, small.clock.month_bounds()[-1]
    )


def _scaled(spec: Spec, members: int) -> Spec:
    total = sum(group.members for group in spec.groups)
    shares = [group.members / total if total else 1 / len(spec.groups) for group in spec.groups]
    exact = [members * share for share in shares]
    counts = [int(x) for x in exact]
    for place in sorted(range(len(exact)), key=lambda k: (counts[k] - exact[k], k))[: members - sum(counts)]:
        counts[place] += 1
    factor = members / total if total else 1.0
    groups = tuple(
        evolve(
            group,
            members=count,
            joins=evolve(
                group.joins,
                form="number",
                values=(group.joins.mean() * factor if total else group.joins.mean(),),
            ),
        )
        for group, count in zip(spec.groups, counts, strict=True)
    )
    return Spec(spec.program, spec.span, groups, spec.behaviours, spec.cash, spec.stock, spec.run)


def _name(row: int) -> str:
    return f"m{row + 1:06d}"


def _members(spec: Spec, block: Block) -> dict[str, dict[str, Any]]:
    bounds = spec.clock.month_bounds()
    return {_name(k): {"joined_at": bounds[int(block.rows.arrival[k])]} for k in range(len(block.rows))}


def _events(spec: Spec, block: Block, found: Flows) -> tuple[Event, ...]:
    """Return the events that members did, and their redemptions, in order of time."""
    rows, kinds = len(block.rows), spec.kinds
    happened, places = block.found, [0] * len(kinds)
    listed: list[Event] = []
    bounds = spec.clock.month_bounds()
    for k in range(len(happened.row)):
        kind, row, day = int(happened.kind[k]), int(happened.row[k]), int(happened.day[k])
        joined = bounds[int(block.rows.arrival[row])] if spec.program.ladder is not None else None
        data, amount = _data(block, kind, places[kind], joined)
        places[kind] += 1
        tick = (int(happened.rank[k]) * len(kinds) + kind) * rows + row
        at = spec.clock.instant(day, tick)
        listed.append(Event(f"e{k + 1}", kinds[kind], _name(row), at, amount=amount, data=data))
    number = len(listed)
    names = tuple(group.name for group in spec.groups)
    for month, who, points in found.log:
        day = int(spec.clock.first_days[month + 1]) - 1
        for row, amount in zip(who.tolist(), points.tolist(), strict=True):
            number += 1
            rows_of = block.rows
            changed = int(rows_of.becomes[row]) <= month
            group = names[int(rows_of.target[row] if changed else rows_of.group[row])]
            data = {"sink": spec.behaviours[group].sink, **({"kind": group} if group else {})}
            at = spec.clock.instant(day, _EVENING + row)
            listed.append(Event(f"e{number}", "points.redeemed", _name(row), at, amount=amount, data=data))
    return tuple(sorted(listed, key=lambda event: event.at))


def _data(block: Block, kind: int, place: int, joined: Any) -> tuple[dict[str, Any], int | None]:
    data: dict[str, Any] = {} if joined is None else {"joined_at": joined}
    for name, column in block.columns[kind].items():
        value = int(column.values[place])
        if column.words is not None:
            if value >= 0:
                data[name] = column.words[value]
        elif value != MISSING:
            data[name] = value
    for name in block.counter_names:
        data.pop(name, None)
    amount = data.pop("amount", None)
    return data, amount


def _columns(spec: Spec, found: Flows) -> dict[str, Array]:
    """Return the figures by month and fund."""
    value_only = value_only_funds(spec)
    chosen = [k for k, name in enumerate(spec.program.funds) if name not in value_only]
    months = spec.span.months
    names = np.array(list(spec.program.funds), dtype=str)[chosen] if chosen else np.zeros(0, dtype=str)
    columns: dict[str, Array] = {
        "month": np.repeat(np.arange(1, months + 1), len(chosen)),
        "fund": np.tile(names, months),
    }
    sums = {
        name: np.rint(getattr(found, name).sum(axis=(0, 1))[:, chosen]).astype(np.int64)
        for name in ("issued", "redeemed", "expired", "refused")
    }
    outstanding = np.cumsum(sums["issued"] - sums["redeemed"] - sums["expired"], axis=0)
    columns |= {name: sums[name].ravel() for name in ("issued", "redeemed", "expired")}
    columns["clawed_back"] = np.zeros(months * len(chosen), dtype=np.int64)
    columns["outstanding"] = outstanding.ravel()
    columns["refused"] = sums["refused"].ravel()
    return columns
