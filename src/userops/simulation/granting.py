"""Granting: the program's earn rules over the events of many members at once, in each member's order of time.

Events are cut into steps in which no member appears twice. Within a step everything is a column. Where no
limit is shared between members, a step holds events of any time; where one is, steps follow the clock.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import define, field

from userops.core.caps import Cap
from userops.program.rules import Choice, EarnRule, Streak
from userops.simulation.arrays import Array, Floats, Ints, Mask
from userops.simulation.rulebook import Columns, PreparedLimit, PreparedRule, Rulebook, asked_points, mask_of
from userops.simulation.standings import Standings

Added = dict[tuple[str, str], tuple[Any, Any]]


@define(eq=False)
class KindEvents:
    """The events of one kind in order of their steps, and what the rules make of each by itself."""

    row: Ints
    day: Ints
    #: The step of each event, not falling.
    step: Ints
    #: Of each rule, by tier: the points asked. One tier stands for all where tiers do not matter.
    asked: list[list[Ints]]
    #: Of each rule and limit, by tier: where it binds, None for everywhere.
    binds: list[list[list[Mask | None]]]
    #: What each rule gave, and what the ledger refused of it.
    given: list[Ints] = field(factory=list)
    refused: list[Ints] = field(factory=list)
    #: Of each event, the place of the member's tier in `tiers`, where the events' data say it.
    tier: Ints | None = None
    tiers: tuple[str | None, ...] = (None,)
    #: What the ladder reads of each event: its rank on the day, and its fields.
    rank: Ints | None = None
    columns: Columns = field(factory=dict)


def prepare(
    rules: Sequence[PreparedRule],
    columns: Sequence[Columns],
    tiers: Sequence[str | None],
    *,
    row: Ints,
    day: Ints,
    step: Ints,
) -> KindEvents:
    """Evaluate conditions and amounts of one kind's events; `columns` holds one set per tier."""
    asked: list[list[Ints]] = []
    binds: list[list[list[Mask | None]]] = []
    for one in rules:
        is_open = one.is_open[day]
        needed = range(len(tiers)) if one.needs_tier else range(1)
        asked.append([])
        binds.append([])
        for k in needed:
            points = asked_points(one.rule, columns[k], len(row), tiers[k])
            points *= is_open
            mask = mask_of(one.rule.when, columns[k], len(row))
            if mask is not None:
                points *= mask
            asked[-1].append(points)
            binds[-1].append([mask_of(x.limit.when, columns[k], len(row)) for x in one.limits])
    given: list[Ints] = [np.zeros(len(row), dtype=np.int64) for _ in rules]
    return KindEvents(row, day, step, asked, binds, given, [np.zeros_like(one) for one in given])


@define(eq=False)
class Shared:
    """Limits that all members of a replication share: budgets and program-wide caps, used so far."""

    #: Of each fund, the budget's points (or -1), by replication; periods by day.
    budgets: Floats
    fund_periods: list[Ints | None]
    weight: Floats
    replication: Ints
    used: Floats = field(init=False)
    used_period: Ints = field(init=False)
    times: Floats = field(init=False)
    points: Floats = field(init=False)
    period: Ints = field(init=False)
    caps: int = 0
    replications: int = 1

    def __attrs_post_init__(self) -> None:
        """Start with nothing used."""
        size = (len(self.fund_periods), self.replications)
        self.used, self.used_period = np.zeros(size), np.full(size, -1)
        self.times, self.points = (
            np.zeros((self.caps, self.replications)),
            np.zeros((self.caps, self.replications)),
        )
        self.period = np.full((self.caps, self.replications), -1)


@define(eq=False)
class Granting:
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
        if self.shared is not None and high - low > 1 and not self._fits(rules, outcomes, row, day):
            middle = (low + high) // 2
            self.step(kind, events, low, middle)
            self.step(kind, events, middle, high)
            return
        for place, one in enumerate(rules):
            posted = outcomes[place]
            if not posted.any():
                continue
            if self.shared is not None:
                fits = self._post(one, posted, row, day)
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

    def _fits(self, rules: Sequence[PreparedRule], outcomes: list[Ints], row: Ints, day: Ints) -> bool:
        """Say whether no shared limit tells these events apart: each fits all of them, or none."""
        shared = self.shared
        assert shared is not None  # noqa: S101 — asked where limits are shared
        replication = shared.replication[row]
        for fund in {one.fund for one in rules}:
            now = shared.fund_periods[fund]
            if now is None:
                continue
            mine = [outcomes[k] for k, one in enumerate(rules) if one.fund == fund]
            asks = np.stack(mine) * shared.weight[row]
            used = np.where(
                shared.used_period[fund][replication] == now[day], shared.used[fund][replication], 0.0
            )
            limit = shared.budgets[fund][replication]
            total = np.bincount(replication, asks.sum(axis=0), minlength=shared.replications)[replication]
            fits_all = used + total <= limit
            fits_none = (np.where(asks > 0, asks, np.inf).min(axis=0) + used) > limit
            none_of_all = (
                np.bincount(replication, ~fits_none, minlength=shared.replications)[replication] == 0
            )
            if not (fits_all | none_of_all).all():
                return False
        return self._caps_fit(rules, outcomes, row, day)

    def _caps_fit(self, rules: Sequence[PreparedRule], outcomes: list[Ints], row: Ints, day: Ints) -> bool:
        """Say whether program-wide caps are either far away, or used up, for all of these events."""
        shared = self.shared
        assert shared is not None  # noqa: S101
        replication = shared.replication[row]
        for slot, (_, per) in enumerate(self.book.shared):
            users = [k for k, one in enumerate(rules) if slot in one.shared_counts]
            if not users:
                continue
            now = self.book.clock.periods[per][day]
            is_now = shared.period[slot][replication] == now
            posted = np.stack([outcomes[k] for k in users])
            times = np.bincount(
                replication, (posted > 0).sum(axis=0) * shared.weight[row], minlength=shared.replications
            )
            points = np.bincount(
                replication, posted.sum(axis=0) * shared.weight[row], minlength=shared.replications
            )
            for k in users:
                for x in rules[k].limits:
                    if not x.is_shared or x.slot != slot:
                        continue
                    cap = x.limit.cap
                    count, limit = (times, cap.times) if cap.times is not None else (points, cap.points)
                    store = shared.times if cap.times is not None else shared.points
                    used = store[slot][replication] * is_now
                    assert limit is not None  # noqa: S101 — a cap has one of the two
                    if not ((used + count[replication] <= limit) | (count[replication] == 0)).all():
                        return False
        return True

    def _post(self, one: PreparedRule, asked: Ints, row: Ints, day: Ints) -> Mask:
        """Let the fund's budget take grants or refuse them, and count what it took against shared caps."""
        shared = self.shared
        assert shared is not None  # noqa: S101
        replication, weighed = shared.replication[row], asked * shared.weight[row]
        fits: Mask = np.ones(len(row), dtype=bool)
        periods = shared.fund_periods[one.fund]
        if periods is not None:
            now = periods[day].astype(np.int64)
            self._turn(shared.used_period[one.fund], now, replication, [shared.used[one.fund]])
            fits = shared.used[one.fund][replication] + weighed <= shared.budgets[one.fund][replication]
            shared.used[one.fund] += np.bincount(replication, weighed * fits, minlength=shared.replications)
        for slot in one.shared_counts:
            now = self.book.clock.periods[self.book.shared[slot][1]][day].astype(np.int64)
            self._turn(shared.period[slot], now, replication, [shared.times[slot], shared.points[slot]])
            paid = fits & (asked > 0)
            shared.times[slot] += np.bincount(
                replication, paid * shared.weight[row], minlength=shared.replications
            )
            shared.points[slot] += np.bincount(replication, paid * weighed, minlength=shared.replications)
        return fits

    @staticmethod
    def _turn(period: Ints, now: Ints, replication: Ints, used: list[Floats]) -> None:
        """Start a new period: a step of shared limits lies in one day, so all its events agree on it."""
        turned = replication[period[replication] != now]
        period[replication] = now
        for counts in used:
            counts[turned] = 0.0


@functools.lru_cache(maxsize=256)
def _streak_rows(rule: EarnRule, tiers: tuple[str | None, ...]) -> Ints:
    grant = rule.points
    assert isinstance(grant, Streak)  # noqa: S101 — asked of streaks only
    steps = range(1, len(grant.steps) + 1)
    return np.array([[max(0, rule.rounded(grant.on_day(k), name)) for k in steps] for name in tiers])


def streak_table(rule: EarnRule, tiers: tuple[str | None, ...]) -> Ints:
    """Return the points of a streak's steps, a row per tier."""
    return _streak_rows(rule, tiers)


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
