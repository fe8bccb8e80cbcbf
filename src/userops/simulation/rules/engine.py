"""The engine: the program's rules over a block of members, as columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from userops.simulation.columns import Array, Column, Columns, Ints, Mask
from userops.simulation.inputs import PreparedRule, Spec
from userops.simulation.members import Block, rank_within
from userops.simulation.rules.asked import KindEvents, prepare
from userops.simulation.rules.fixed_point import FixedPoint, can_settle
from userops.simulation.rules.grants import Granted, collected, no_grants
from userops.simulation.rules.referrals import CreditColumns
from userops.simulation.rules.shared_limits import Bound, Shared
from userops.simulation.rules.standings import Standings, tier_names
from userops.simulation.rules.steps import Steps
from userops.simulation.rules.tiers import Value, with_tiers


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
    return spec.decides_tiers and (one.needs_tier or one.rule.currency == spec.program.value_currency)


def _has_memory(spec: Spec, kind: int) -> bool:
    return any(
        one.streak >= 0 or _is_tiered(spec, one) or any(x.slot >= 0 and not x.is_shared for x in one.limits)
        for one in spec.book.rules[kind]
    )


def grant(spec: Spec, block: Block, shared: Shared | None, bound: Bound | None = None) -> Granted:
    """Run the rules over a block: where tiers allow, those that give value first, and the others with tiers known."""
    if spec.sides is None:
        return _grant(spec, block, shared, bound)
    value, points = spec.sides
    first = _grant(value, block, None, None)
    known, month_tiers = with_tiers(points, block, value_of(value, block, first))
    granted = _merged(spec, block, first, _grant(points, known, shared, bound))
    granted.month_tiers = month_tiers
    return granted


def leave_out(spec: Spec, block: Block, granted: Granted, rows: Mask, credited: CreditColumns | None) -> None:
    """Take some rows out of what the rules gave, and put in what a referral scheme credited to the others."""
    for one in granted.events.values():
        for points in (*one.given, *one.refused):
            points[rows[one.row]] = 0
    if granted.month_tiers is not None:
        granted.month_tiers = granted.month_tiers.without(rows)
    granted.credits = credited
    granted.grants = collected(spec, block, granted)


def value_of(spec: Spec, block: Block, granted: Granted) -> Value:
    """Return whose value rose when, and by how much."""
    gained = np.zeros(len(block.found.row), dtype=np.int64)
    for kind, one in granted.events.items():
        for rule, given in zip(spec.book.rules[kind], one.given, strict=True):
            if rule.rule.currency == spec.program.value_currency:
                gained[granted.places[kind]] += given
    return Value.of(spec, block, gained)


def _merged(spec: Spec, block: Block, first: Granted, rest: Granted) -> Granted:
    """Lay what the rules that give value gave beside the others', in the places and the order of the others."""
    found = Granted({}, {}, rest.grants)
    seats = np.zeros(len(block.found.row), dtype=np.int64)
    for kind, rules in spec.book.rules.items():
        sides = [side for side in (rest, first) if kind in side.events]
        if not sides:
            continue
        leading = sides[0]
        events, places = leading.events[kind], leading.places[kind]
        found.events[kind], found.places[kind] = events, places
        given: list[Ints] = []
        refused: list[Ints] = []
        taken = {id(side): 0 for side in sides}
        for one in rules:
            side = first if one.index in spec.book.value_rules else rest
            if kind not in side.events:
                given.append(np.zeros(len(places), dtype=np.int64))
                refused.append(given[-1])
                continue
            place = taken[id(side)]
            taken[id(side)] += 1
            for listed, values in ((given, side.events[kind].given), (refused, side.events[kind].refused)):
                seats[side.places[kind]] = values[place]
                listed.append(seats[places])
        events.given, events.refused = given, refused
    return found


def _grant(spec: Spec, block: Block, shared: Shared | None, bound: Bound | None) -> Granted:
    """Run the rules over a block: by the clock where shared limits bind, all other rules in any order."""
    granted = Granted({}, {}, no_grants())
    clocked = set() if shared is None else _kinds_under(spec, bound)
    for kinds in components(spec):
        if not clocked & set(kinds):
            _grant_component(spec, block, kinds, granted)
    if shared is not None:
        found, some = block.found, Granted({}, {}, no_grants())
        widest = int(found.rank.max(initial=0)) + 1
        steps = found.day.astype(np.int64) * widest + found.rank
        for kind in sorted(clocked):
            mine = found.of_kind(kind)
            if len(mine):
                order = np.argsort(steps[mine], kind="stable")
                _put(spec, block, kind, some, mine=mine, order=order, steps=steps[mine[order]])
        Steps(spec.book, len(block.rows), shared, _standings(spec, block)).run(some.events)
        granted.events |= some.events
        granted.places |= some.places
    granted.grants = collected(spec, block, granted)
    return granted


def _kinds_under(spec: Spec, bound: Bound | None) -> set[int]:
    """Return the kinds whose rules are under a limit that binds, and those that share memory with them."""
    found: set[int] = set()
    for kinds in components(spec):
        rules = [rule for kind in kinds for rule in spec.book.rules[kind]]
        if bound is None or any(x.fund in bound.funds or bound.caps & set(x.shared_counts) for x in rules):
            found |= set(kinds)
    # A cap within one event ties its rules together, and so does the place of an entry: kinds go whole.
    return found


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
                Steps(spec.book, 0).run({kind: granted.events[kind]})
        return
    is_tiered = any(_is_tiered(spec, one) for kind in kinds for one in spec.book.rules[kind])
    if is_tiered or not can_settle(spec.book, kinds):
        _step_by_step(spec, block, kinds, granted, mine)
        return
    row = found.row[mine]
    parts: list[tuple[PreparedRule, KindEvents, Ints]] = []
    seats = np.zeros(len(found.row), dtype=np.int32)
    seats[mine] = np.arange(len(mine), dtype=np.int32)
    for kind in kinds:
        places = found.of_kind(kind)
        inside: Ints = np.arange(len(mine))
        if len(kinds) > 1:
            inside = np.searchsorted(mine, places) if len(places) * 16 < len(mine) else seats[places]
        _put(spec, block, kind, granted, mine=places, order=None, steps=np.zeros(len(places), dtype=np.int64))
        parts.append((spec.book.rules[kind][0], granted.events[kind], inside))
    wrong = FixedPoint(spec.book, row, found.day[mine], parts).settle()
    if wrong.any():
        unsettled = np.zeros(len(block.rows), dtype=bool)
        unsettled[row[wrong]] = True
        again = Granted({}, {}, no_grants())
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
    Steps(spec.book, len(block.rows), None, _standings(spec, block)).run(
        {kind: granted.events[kind] for kind in kinds if kind in granted.events}
    )


def _standings(spec: Spec, block: Block) -> Standings | None:
    if not spec.decides_tiers:
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
    if spec.decides_tiers:
        granted.events[kind].rank = block.found.rank[at]


def _prepared(spec: Spec, kind: int, columns: Columns, *, row: Array, day: Array, step: Ints) -> KindEvents:
    """Prepare a kind's rules; without a ladder the tier is what the event's data say."""
    tier = columns.get("tier")
    rules = spec.book.rules[kind]
    if spec.decides_tiers:
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
