"""The engine: a block of replications through population, events, rules and lots, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import define
from numpy.typing import NDArray

from userops.simulation.arrays import Array, Floats, Ints
from userops.simulation.facts import columns_of
from userops.simulation.granting import Granting, KindEvents, Shared, prepare
from userops.simulation.happenings import Happenings, happen, rank_within
from userops.simulation.lots import PLACE_BITS, Grants, Lots
from userops.simulation.population import Rows, World, make_rows
from userops.simulation.redeeming import Redeeming
from userops.simulation.rulebook import Column, Columns, PreparedRule
from userops.simulation.settling import Remembering, can_settle
from userops.simulation.spec import Spec
from userops.simulation.standings import Standings, tier_names

#: A sample is split into so many parts, whose spread tells the sampling noise.
PARTS = 8


@define(eq=False)
class Block:
    """Members of one or several replications laid end to end, and their events."""

    rows: Rows
    replication: Ints
    weight: Floats
    part: Ints
    found: Happenings
    #: Of each kind, the fields of its events.
    columns: list[Columns]
    #: Of each month and row, the chances that decide on redeeming.
    chances: NDArray[np.float32]
    wave: NDArray[np.float32]
    replications: int
    #: By (replication, group): the chance to redeem, and the share redeemed.
    redeem_parameters: tuple[Array, Array]
    #: Columns that the program counts, and that events therefore do not carry.
    counter_names: tuple[str, ...] = ()


def gather(
    spec: Spec, worlds: Sequence[World], chunks: Sequence[tuple[int, int, int]], *, is_full: bool = False
) -> Block:
    """Make the members of some chunks (which world, group, number) of replications, and what they do."""
    parts: list[Part] = []
    for local, place, chunk in chunks:
        world, where = worlds[local], (place, chunk)
        rows = make_rows(world, place, chunk)
        found = happen(world, rows, clock=spec.clock, kinds=spec.kinds, words=spec.words, where=where)
        columns = [
            columns_of(
                world,
                rows,
                found,
                clock=spec.clock,
                program=spec.program,
                kinds=spec.kinds,
                words=spec.words,
                kind=kind,
                is_full=is_full or spec.program.ladder is not None,
            )
            for kind in range(len(spec.kinds))
        ]
        chances = world.stream("redeem", *where).random((spec.span.months, len(rows)), dtype=np.float32)
        wave = world.stream("run", *where).random(len(rows), dtype=np.float32)
        parts.append(Part(rows, found, columns, local, place, chances, wave))
    names = [group.name for group in spec.groups]
    drawn = tuple(
        np.array([[world.of(name, path) for name in names] for world in worlds])
        for path in ("redeem_per_month", "redeem_share")
    )
    return _joined(spec, parts, len(worlds), (drawn[0], drawn[1]))


@define(eq=False)
class Part:
    """One chunk of one replication, before it is laid beside others."""

    rows: Rows
    found: Happenings
    columns: list[dict[str, Column]]
    local: int
    group: int
    chances: NDArray[np.float32]
    wave: NDArray[np.float32]


def _empty(spec: Spec) -> Part:
    empty = np.zeros(0, dtype=np.int32)
    none8, none16 = empty.astype(np.int8), empty.astype(np.int16)
    chances = np.zeros((spec.span.months, 0), dtype=np.float32)
    rows = Rows(none8, none16, none16, none16, none8, empty)
    return Part(
        rows, Happenings(empty, empty, none8, empty), [{} for _ in spec.kinds], 0, 0, chances, chances[0]
    )


def _joined(spec: Spec, parts: list[Part], replications: int, drawn: tuple[Array, Array]) -> Block:
    """Lay chunks end to end."""
    parts = parts or [_empty(spec)]
    sizes = [len(part.rows) for part in parts]
    offsets = [int(at) for at in np.concatenate([[0], np.cumsum(sizes)[:-1]])]
    names = ("group", "arrival", "lapse", "becomes", "target")
    joined: list[Any] = [np.concatenate([getattr(part.rows, name) for part in parts]) for name in names]
    referrer = [
        np.where(part.rows.referrer >= 0, part.rows.referrer + at, -1)
        for part, at in zip(parts, offsets, strict=True)
    ]
    found = Happenings(
        np.concatenate([part.found.row + np.int32(at) for part, at in zip(parts, offsets, strict=True)]),
        np.concatenate([part.found.day for part in parts]),
        np.concatenate([part.found.kind for part in parts]),
        np.concatenate([part.found.rank for part in parts]),
    )
    columns: list[Columns] = [
        {
            name: Column(np.concatenate([part.columns[kind][name].values for part in parts]), one.words)
            for name, one in parts[0].columns[kind].items()
        }
        for kind in range(len(spec.kinds))
    ]
    place = np.concatenate([np.arange(size, dtype=np.int32) % PARTS for size in sizes])
    return Block(
        rows=Rows(
            **dict(zip(names, joined, strict=True)), referrer=np.concatenate(referrer).astype(np.int32)
        ),
        replication=np.repeat([part.local for part in parts], sizes).astype(np.int32),
        weight=np.repeat([part.rows.weight for part in parts], sizes).astype(np.float64),
        part=np.repeat([part.group * PARTS for part in parts], sizes).astype(np.int32) + place,
        found=found,
        columns=columns,
        chances=np.concatenate([part.chances for part in parts], axis=1),
        wave=np.concatenate([part.wave for part in parts]),
        replications=replications,
        redeem_parameters=drawn,
        counter_names=tuple(counter.name for counter in spec.program.counters),
    )


def components(spec: Spec) -> list[list[int]]:
    """Return the kinds whose events must be decided in one order: their rules count in common places."""
    book = spec.book
    keys: dict[Any, int] = {}
    parent = list(range(len(book.kinds)))

    def root(k: int) -> int:
        while parent[k] != k:
            k = parent[k]
        return k

    for kind, rules in book.rules.items():
        for one in rules:
            read = [("slot", x.slot) for x in one.limits if x.slot >= 0 and not x.is_shared]
            read += [("slot", slot) for slot in one.counts]
            read += [("streak", one.streak)] if one.streak >= 0 else []
            read += [("tier", 0)] if _is_tiered(spec, one) else []
            for key in read:
                parent[root(kind)] = root(keys.setdefault(key, kind))
    groups: dict[int, list[int]] = {}
    for kind in range(len(book.kinds)):
        if book.rules[kind]:
            groups.setdefault(root(kind), []).append(kind)
    return list(groups.values())


def _is_tiered(spec: Spec, one: PreparedRule) -> bool:
    """Say whether a rule gives the value that tiers count, or asks for the tier."""
    ladder = spec.program.ladder
    return ladder is not None and (one.needs_tier or one.rule.currency == spec.program.value_currency)


def _has_memory(spec: Spec, kind: int) -> bool:
    return any(
        one.streak >= 0 or _is_tiered(spec, one) or any(x.slot >= 0 and not x.is_shared for x in one.limits)
        for one in spec.book.rules[kind]
    )


@define(eq=False)
class Granted:
    """What the rules made of a block's events."""

    events: dict[int, KindEvents]
    #: Of each kind, the places of its events in the block's order.
    places: dict[int, Ints]
    grants: Grants


def grant(spec: Spec, block: Block, shared: Shared | None) -> Granted:
    """Run the rules over a block: without shared limits in any order, with them by the clock."""
    granted = Granted({}, {}, _no_grants())
    if shared is None:
        for kinds in components(spec):
            _grant_component(spec, block, kinds, granted)
    else:
        found = block.found
        widest = int(found.rank.max(initial=0)) + 1
        steps = found.day.astype(np.int64) * widest + found.rank
        for kind in range(len(spec.kinds)):
            mine = found.of_kind(kind)
            if spec.book.rules[kind] and len(mine):
                order = np.argsort(steps[mine], kind="stable")
                _put(spec, block, kind, granted, mine=mine, order=order, steps=steps[mine[order]])
        Granting(spec.book, len(block.rows), shared, _standings(spec, block)).run(granted.events)
    granted.grants = _collected(spec, block, granted)
    return granted


def _grant_component(spec: Spec, block: Block, kinds: list[int], granted: Granted) -> None:
    """Decide the events of kinds that share memory: at once where they settle, else step by step."""
    found = block.found
    here = np.zeros(len(spec.kinds), dtype=bool)
    here[kinds] = True
    mine = np.flatnonzero(here[found.kind]) if len(kinds) > 1 else found.of_kind(kinds[0])
    if not len(mine):
        return
    if not any(_has_memory(spec, kind) for kind in kinds):
        for kind in kinds:
            places = found.of_kind(kind)
            if len(places):
                _put(
                    spec,
                    block,
                    kind,
                    granted,
                    mine=places,
                    order=None,
                    steps=np.zeros(len(places), dtype=np.int64),
                )
                Granting(spec.book, 0).run({kind: granted.events[kind]})
        return
    is_tiered = any(_is_tiered(spec, one) for kind in kinds for one in spec.book.rules[kind])
    if is_tiered or not can_settle(spec.book, kinds):
        _step_by_step(spec, block, kinds, granted, mine)
        return
    row = found.row[mine]
    parts: list[tuple[PreparedRule, KindEvents, Ints]] = []
    for kind in kinds:
        inside: Ints = np.flatnonzero(found.kind[mine] == kind) if len(kinds) > 1 else np.arange(len(mine))
        _put(
            spec,
            block,
            kind,
            granted,
            mine=mine[inside],
            order=None,
            steps=np.zeros(len(inside), dtype=np.int64),
        )
        parts.append((spec.book.rules[kind][0], granted.events[kind], inside))
    wrong = Remembering(spec.book, row, found.day[mine], parts).settle()
    if wrong.any():
        unsettled = np.zeros(len(block.rows), dtype=bool)
        unsettled[row[wrong]] = True
        again = Granted({}, {}, _no_grants())
        _step_by_step(spec, block, kinds, again, mine[unsettled[row]])
        for kind, one in again.events.items():
            target = np.searchsorted(granted.places[kind], again.places[kind])
            for place, given in enumerate(one.given):
                granted.events[kind].given[place][target] = given


def _step_by_step(spec: Spec, block: Block, kinds: list[int], granted: Granted, mine: Ints) -> None:
    found = block.found
    steps = rank_within(found.row[mine])
    for kind in kinds:
        inside = np.flatnonzero(found.kind[mine] == kind)
        if len(inside):
            inside = inside[np.argsort(steps[inside], kind="stable")]
            places = found.of_kind(kind)
            order = np.searchsorted(places, mine[inside])
            _put(spec, block, kind, granted, mine=places, order=order, steps=steps[inside].astype(np.int64))
    Granting(spec.book, len(block.rows), None, _standings(spec, block)).run(
        {kind: granted.events[kind] for kind in kinds if kind in granted.events}
    )


def _standings(spec: Spec, block: Block) -> Standings | None:
    if spec.program.ladder is None:
        return None
    return Standings(spec.program, spec.clock, len(spec.kinds), len(block.rows), block.rows.arrival)


def _put(
    spec: Spec, block: Block, kind: int, granted: Granted, *, mine: Ints, order: Ints | None, steps: Ints
) -> None:
    """Prepare the events of a kind, at places of the block, in the order of their steps."""
    at = mine if order is None else mine[order]
    columns = block.columns[kind]
    if order is not None:
        columns = {name: column.taken(order) for name, column in columns.items()}
    granted.places[kind] = at
    granted.events[kind] = _prepared(
        spec, kind, columns, row=block.found.row[at], day=block.found.day[at], step=steps
    )
    granted.events[kind].rank = block.found.rank[at]


def _prepared(spec: Spec, kind: int, columns: Columns, *, row: Array, day: Array, step: Ints) -> KindEvents:
    """Prepare a kind's rules; without a ladder the tier is what the event's data say."""
    tier = columns.get("tier")
    rules = spec.book.rules[kind]
    if spec.program.ladder is not None:
        return _prepared_by_tier(spec, kind, columns, row=row, day=day, step=step)
    if tier is None or not any(one.rule.multiply_by_tier for one in rules):
        return prepare(rules, [columns], [None], row=row, day=day, step=step)
    words = tier.words or ()
    events = prepare(rules, [columns], [None], row=row, day=day, step=step)
    events.tiers = (*(word if isinstance(word, str) else None for word in words), None)
    events.tier = np.where(tier.values < 0, len(words), tier.values)
    for code, word in enumerate(words):
        if not isinstance(word, str):
            continue
        mine = np.flatnonzero(tier.values == code)
        part = {name: column.taken(mine) for name, column in columns.items()}
        some = prepare(rules, [part], [word], row=row[mine], day=day[mine], step=step[mine])
        for k in range(len(rules)):
            events.asked[k][0][mine] = some.asked[k][0]
    return events


def _prepared_by_tier(
    spec: Spec, kind: int, columns: Columns, *, row: Array, day: Array, step: Ints
) -> KindEvents:
    """Prepare a kind's rules for every tier of the ladder: which is a member's is known on the way only."""
    names = tier_names(spec.program)
    none = np.zeros(len(row), dtype=np.int64)
    versions: list[Columns] = [
        columns if name is None else {**columns, "tier": Column(none, (name,))} for name in names
    ]
    events = prepare(spec.book.rules[kind], versions, list(names), row=row, day=day, step=step)
    events.columns = columns
    return events


def _no_grants() -> Grants:
    none = np.zeros(0, dtype=np.int32)
    return Grants(none, none, none, none, none, none, none.astype(np.int64))


def _collected(spec: Spec, block: Block, granted: Granted) -> Grants:
    """Return all grants of points, in order of (member, time, place among the event's rules)."""
    found, width = block.found, 1
    parts: list[tuple[int, int, PreparedRule, Ints]] = []
    for kind, one in granted.events.items():
        for place, rule in enumerate(spec.book.rules[kind]):
            if rule.is_points:
                parts.append((kind, place, rule, np.flatnonzero(one.given[place])))
                width = max(width, place + 1)
    if not parts:
        return _no_grants()
    # Every grant has a place of its own among (event, rule): scattering them there sorts them.
    seats = np.zeros(len(found.row) * width, dtype=np.int32)
    first, listed = 1, []
    for kind, place, rule, hit in parts:
        seats[granted.places[kind][hit] * width + place] = np.arange(first, first + len(hit), dtype=np.int32)
        first += len(hit)
        listed.append((granted.events[kind].given[place][hit], len(hit), rule))
    taken = np.flatnonzero(seats)
    source = seats[taken] - 1
    at = taken // width if width > 1 else taken
    sizes = [size for _, size, _ in listed]
    which = np.repeat(np.arange(len(listed), dtype=np.int16), sizes)[source]
    day = found.day[at]
    expiry = np.stack([rule.expiry for _, _, rule in listed])
    return Grants(
        row=found.row[at],
        day=day,
        tick=((found.rank[at] * len(spec.kinds) + found.kind[at]) << PLACE_BITS) + (taken % width),
        fund=np.array([rule.fund for _, _, rule in listed], dtype=np.int16)[which],
        expiry=expiry[which, day],
        activates=np.array([rule.rule.activates_days for _, _, rule in listed], dtype=np.int32)[which],
        points=np.concatenate([points for points, _, _ in listed])[source],
    )


@define(eq=False)
class Flows:
    """Points by (replication, part of the sample, month, fund), scaled to the real population."""

    issued: Array
    refused: Array
    redeemed: Array
    expired: Array
    #: By (replication, month, rule of the program).
    rule_issued: Array
    rule_refused: Array
    #: Members active, by (replication, month, group).
    active: Array
    #: Redemptions refused for want of stock or cash, in points.
    unserved: Array
    #: Of each redemption (month, rows, points), when it was asked for.
    log: list[tuple[int, Ints, Ints]]


def flows(spec: Spec, block: Block, granted: Granted, *, is_logged: bool = False) -> Flows:
    """Run the lots of a block through the months, and sum everything up."""
    months, funds, rules = spec.span.months, len(spec.program.funds), len(spec.program.earn)
    parts = PARTS * len(spec.groups)
    shape = (block.replications, parts, months, funds)
    month_of = spec.clock.month_of
    who = (block.replication * parts + block.part).astype(np.int64)
    sums = {name: np.zeros(shape) for name in ("issued", "refused")}
    by_rule = {name: np.zeros((block.replications, months, rules)) for name in sums}
    for kind, one in granted.events.items():
        month = month_of[one.day]
        for place, rule in enumerate(spec.book.rules[kind]):
            for name, points in (("issued", one.given[place]), ("refused", one.refused[place])):
                hit = np.flatnonzero(points)
                if not len(hit) or not rule.is_points:
                    continue
                row = one.row[hit]
                worth = points[hit] * block.weight[row]
                code = (who[row] * months + month[hit]) * funds + rule.fund
                sums[name] += np.bincount(code, worth, minlength=sums[name].size).reshape(shape)
                code = (block.replication[row].astype(np.int64) * months + month[hit]) * rules + rule.index
                by_rule[name] += np.bincount(code, worth, minlength=by_rule[name].size).reshape(
                    by_rule[name].shape
                )
    lots = Lots.of(spec.clock, len(block.rows), granted.grants)
    redeeming = Redeeming(spec, block, lots, who, parts, is_logged=is_logged)
    for now in range(months):
        lots.open(now)
        redeeming.redeem(now)
        lots.close(now)
    return Flows(
        sums["issued"],
        sums["refused"],
        redeeming.redeemed,
        _expired(block, lots, who, shape),
        by_rule["issued"],
        by_rule["refused"],
        _active(spec, block),
        redeeming.unserved,
        redeeming.log,
    )


def _expired(block: Block, lots: Lots, who: Ints, shape: tuple[int, ...]) -> Array:
    """Sum what was left in lots when they expired."""
    months, funds = shape[2], shape[3]
    left = lots.unspent()
    gone = np.flatnonzero((lots.bucket < 2 * months) & (left > 0))
    code = (who[lots.row[gone]] * months + lots.bucket[gone] // 2) * funds + lots.fund[gone]
    total = np.bincount(code, left[gone] * block.weight[lots.row[gone]], minlength=int(np.prod(shape)))
    return total.reshape(shape)


def _active(spec: Spec, block: Block) -> Array:
    """Count the active members by month and group."""
    months, groups = spec.span.months, len(spec.groups)
    rows, total = block.rows, np.zeros((block.replications, months + 1, groups))
    stop = np.minimum(rows.lapse, months)
    turn = np.minimum(rows.becomes, stop)
    for at, group, sign in (
        (np.minimum(rows.arrival, turn), rows.group, 1),
        (turn, rows.group, -1),
        (turn, rows.target, 1),
        (stop, rows.target, -1),
    ):
        code = (block.replication.astype(np.int64) * (months + 1) + at) * groups + group
        total += sign * np.bincount(code, block.weight, minlength=total.size).reshape(total.shape)
    return total.cumsum(axis=1)[:, :-1]
