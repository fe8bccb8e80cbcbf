"""Steps: the program's earn rules over the events of many members at once, in each member's order of time.

Events are cut into steps in which no member appears twice. Within a step everything is a column. Where no
limit is shared between members, a step holds events of any time; where one is, steps follow the clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import define, field

from userops.core.caps import Cap
from userops.program.rules import Choice, Streak
from userops.simulation.columns import Array, Ints, Mask
from userops.simulation.inputs import PreparedLimit, PreparedRule, Rulebook
from userops.simulation.rules.asked import KindEvents, streak_table
from userops.simulation.rules.shared_limits import Shared
from userops.simulation.rules.standings import Standings

Added = dict[tuple[str, str], tuple[Any, Any]]


@define(eq=False)
class Steps:
    """The state of members under the rules while events go by."""

    book: Rulebook
    rows: int
    #: None while no limit between members is watched.
    shared: Shared | None = None
    #: The members' standings, where the program has a ladder.
    standings: Standings | None = None
    times: list[Ints] = field(init=False)
    points: list[Ints] = field(init=False)
    period: list[Ints] = field(init=False)
    streak_day: list[Ints] = field(init=False)
    streak_length: list[Ints] = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Start with members without history."""
        book, rows = self.book, self.rows
        self.times = [np.zeros(rows, dtype=np.int64) for _ in book.slots]
        self.points = [np.zeros(rows, dtype=np.int64) for _ in book.slots]
        self.period = [np.full(rows, -1, dtype=np.int32) for _ in book.slots]
        self.streak_day = [np.full(rows, -2, dtype=np.int32) for _ in book.streaks]
        self.streak_length = [np.zeros(rows, dtype=np.int32) for _ in book.streaks]

    def run(self, events: dict[int, KindEvents]) -> None:
        """Decide all events, step by step; what is given stands in the events."""
        starts = {kind: np.flatnonzero(np.diff(one.step, prepend=-1)) for kind, one in events.items()}
        steps = (
            np.concatenate(
                [
                    np.stack(
                        [events[k].step[s], np.full(len(s), k), s, np.append(s[1:], len(events[k].step))]
                    )
                    for k, s in starts.items()
                ],
                axis=1,
            )
            if starts
            else np.zeros((4, 0), dtype=np.int64)
        )
        order = np.lexsort((steps[1], steps[0]))
        for _, kind, low, high in steps[:, order].T.tolist():
            self.step(kind, events[kind], low, high)

    def step(self, kind: int, events: KindEvents, low: int, high: int) -> None:
        """Decide events low to high of one kind: distinct members, in order of their numbers."""
        rules = self.book.rules[kind]
        part = slice(low, high)
        row, day = events.row[part], events.day[part]
        outcomes = self._decide(kind, events, part)
        if (
            self.shared is not None
            and high - low > 1
            and not self.shared.fits(self.book, rules, outcomes, row, day)
        ):
            middle = (low + high) // 2
            self.step(kind, events, low, middle)
            self.step(kind, events, middle, high)
            return
        for place, one in enumerate(rules):
            posted = outcomes[place]
            if not posted.any():
                continue
            if self.shared is not None:
                fits = self.shared.post(self.book, one, posted, row, day)
                events.refused[place][part] = np.where(fits, 0, posted)
                posted = np.where(fits, posted, 0)
            events.given[place][part] = posted
            self._count(one, posted, row, day)
            if self.standings is not None and one.rule.currency == self.book.program.value_currency:
                self.standings.add(row, self._instants(kind, events, part), posted)

    def _instants(self, kind: int, events: KindEvents, part: slice) -> Ints:
        assert self.standings is not None and events.rank is not None  # noqa: S101, PT018 — asked with a ladder
        return self.standings.at(events.row[part], events.day[part], events.rank[part], kind)

    def _tier(self, kind: int, events: KindEvents, part: slice, more: Array | None = None) -> Any:
        """Return (codes, names) of the members' tiers, or None where no rule of the kind asks for them."""
        if self.standings is None or not any(one.needs_tier for one in self.book.rules[kind]):
            return None
        columns = {name: column.taken(part) for name, column in events.columns.items()}
        at = self._instants(kind, events, part)
        return self.standings.codes(events.row[part], at, columns, more), self.standings.names

    def _decide(self, kind: int, events: KindEvents, part: slice) -> list[Ints]:
        """Return what each rule gives before the ledger sees it; where a crossing counts at once, value first."""
        rules, program = self.book.rules[kind], self.book.program
        tier, added = self._tier(kind, events, part), Added()
        if tier is None or not program.is_new_rate:
            outcomes = self._decide_some(
                range(len(rules)), kind, events=events, part=part, added=added, tier=tier
            )
        else:
            is_value = [one.rule.currency == program.value_currency for one in rules]
            first = [k for k in range(len(rules)) if is_value[k]]
            rest = [k for k in range(len(rules)) if not is_value[k]]
            outcomes = self._decide_some(first, kind, events=events, part=part, added=added, tier=tier)
            gained = sum(outcomes.values(), start=np.zeros(part.stop - part.start, dtype=np.int64))
            tier = self._tier(kind, events, part, gained)
            outcomes |= self._decide_some(rest, kind, events=events, part=part, added=added, tier=tier)
        return [outcomes[place] for place in range(len(rules))]

    def _decide_some(
        self,
        some: Sequence[int],
        kind: int,
        *,
        events: KindEvents,
        part: slice,
        added: Added,
        tier: Any,
    ) -> dict[int, Ints]:
        """Let rules give in order of priority, then place; an exclusive group pays as its choice says."""
        rules, choices = self.book.rules[kind], self.book.program.groups
        outcomes: dict[int, Ints] = {}
        groups: dict[str, list[int]] = {}
        for place in sorted(some, key=lambda place: (rules[place].rule.priority, place)):
            group = rules[place].rule.group
            if choices.get(group, Choice.ALL) is Choice.ALL:
                outcomes[place] = self._try(
                    rules[place], place, events=events, part=part, added=added, tier=tier
                )
                _add(added, rules[place], outcomes[place])
            else:
                groups.setdefault(group, []).append(place)
        for group, places in groups.items():
            tried = np.stack(
                [self._try(rules[p], p, events=events, part=part, added=added, tier=tier) for p in places]
            )
            chosen = (tried if choices[group] is Choice.BEST else tried > 0).argmax(axis=0)
            for k, place in enumerate(places):
                outcomes[place] = np.where(chosen == k, tried[k], 0)
                _add(added, rules[place], outcomes[place])
        return outcomes

    def _try(
        self, one: PreparedRule, place: int, *, events: KindEvents, part: slice, added: Added, tier: Any
    ) -> Ints:
        """Return what a rule gives after its caps."""
        row, day = events.row[part], events.day[part]
        given = _by_tier(events.asked[place], part, tier)
        if isinstance(one.rule.points, Streak):
            own = tier if events.tier is None else (events.tier[part], events.tiers)
            given = given * self._streak_points(one, row, day, own)
        for k, x in enumerate(one.limits):
            cap: Cap = x.limit.cap
            limit = cap.points if cap.times is None else cap.times
            assert limit is not None  # noqa: S101 — a cap has one of the two
            left: Any = limit - self._used(x, row, day)
            if x.key in added:
                left = left - added[x.key][0 if cap.times is not None else 1]
            if cap.times is not None:
                left = np.where(left >= 1, given, 0)
            else:
                left = np.minimum(given, np.maximum(0, left))
            mask = _mask_by_tier(events.binds[place], k, part, tier)
            given = left if mask is None else np.where(mask, left, given)
        return np.asarray(given, dtype=np.int64)

    def _used(self, x: PreparedLimit, row: Ints, day: Ints) -> Any:
        """Return what counts against a limit so far, in the units of each row."""
        is_times = x.limit.cap.times is not None
        if x.slot < 0 or (x.is_shared and self.shared is None):
            return 0
        now = self.book.clock.periods[x.key[1]][day]
        if not x.is_shared:
            store = self.times if is_times else self.points
            return store[x.slot][row] * (self.period[x.slot][row] == now)
        shared, limit = self.shared, x.limit.cap.times if is_times else x.limit.cap.points
        assert shared is not None and limit is not None  # noqa: S101, PT018 — checked above
        replication = shared.replication[row]
        counts = (shared.times if is_times else shared.points)[x.slot][replication]
        used = counts * (shared.period[x.slot][replication] == now)
        # A row's grant stands for `weight` real ones, so what is left is so many times smaller for it.
        return limit - np.floor((limit - used) / shared.weight[row]).astype(np.int64)

    def _streak_points(self, one: PreparedRule, row: Ints, day: Ints, tier: Any) -> Ints:
        last, length = self.streak_day[one.streak][row], self.streak_length[one.streak][row]
        now = np.where(last == day, length, np.where(last == day - 1, length + 1, 1))
        grant = one.rule.points
        assert isinstance(grant, Streak)  # noqa: S101 — asked of streaks only
        place = np.minimum(now, len(grant.steps)) - 1
        table = streak_table(one.rule, (None,) if tier is None else tuple(tier[1]))
        found: Ints = table[0 if tier is None else tier[0], place]
        return found

    def _count(self, one: PreparedRule, posted: Ints, row: Ints, day: Ints) -> None:
        """Count grants against the caps of members, and remember the days of a streak."""
        paid = posted > 0
        for slot in one.counts:
            now = self.book.clock.periods[self.book.slots[slot][1]][day]
            is_now = self.period[slot][row] == now
            self.times[slot][row] = self.times[slot][row] * is_now + paid
            self.points[slot][row] = self.points[slot][row] * is_now + posted
            self.period[slot][row] = now
        if one.streak >= 0:
            last, length = self.streak_day[one.streak][row], self.streak_length[one.streak][row]
            now = np.where(last == day, length, np.where(last == day - 1, length + 1, 1))
            self.streak_day[one.streak][row] = np.where(paid, day, last)
            self.streak_length[one.streak][row] = np.where(paid, now, length)


def _add(added: Added, one: PreparedRule, given: Ints) -> None:
    for x in one.limits:
        times, points = added.get(x.key, (0, 0))
        added[x.key] = (times + (given > 0), points + given)


def _by_tier(asked: list[Ints], part: slice, tier: Any) -> Ints:
    if tier is None or len(asked) == 1:
        return asked[0][part]
    found: Ints = np.choose(tier[0], [one[part] for one in asked])
    return found


def _mask_by_tier(binds: list[list[Mask | None]], limit: int, part: slice, tier: Any) -> Mask | None:
    if tier is None or len(binds) == 1:
        only = binds[0][limit]
        return None if only is None else only[part]
    size = part.stop - part.start
    masks = [
        np.ones(size, dtype=bool) if mask is None else mask[part] for mask in (one[limit] for one in binds)
    ]
    found: Mask = np.choose(tier[0], masks)
    return found
