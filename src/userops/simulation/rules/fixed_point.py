"""A fixed point: the grants of events whose rules remember, found for all events at once.

A grant follows from the grants before it: that has exactly one solution. A guess is made cap by cap, and then
every event is decided on the guess of all others: where nothing changes, the guess is the solution. Members
for whom it does not settle within a few rounds go through the events step by step instead.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import define

from userops.program.rules import Choice, Streak
from userops.simulation.columns import Array, Ints, Mask
from userops.simulation.inputs import PreparedLimit, PreparedRule, Rulebook
from userops.simulation.rules.asked import KindEvents, streak_table
from userops.simulation.rules.first_guess import Guess, under

ROUNDS = 8


@define(eq=False)
class FixedPoint:
    """The events of kinds that share memory, in each member's order of time, one rule to a kind."""

    book: Rulebook
    row: Ints
    day: Ints
    #: Of each kind: its rule, its events, and their places here.
    parts: list[tuple[PreparedRule, KindEvents, Ints]]

    def settle(self) -> Mask:
        """Write what is given into the events; return which of these events did not settle."""
        slots = self._slots()
        guess = Guess(self.book, self.row, self.day, self.parts, [self._wanted(*part) for part in self.parts])
        guess.make(slots)
        wrong = np.zeros(len(self.row), dtype=bool)
        for (rule, events, _), given, late in zip(self.parts, guess.given, guess.late, strict=True):
            events.given[0][:] = given
            if rule.streak >= 0:
                guess.doubtful[_broken(events, late)] = True
        if guess.doubtful.any():
            places: Ints = np.flatnonzero(guess.doubtful[self.row])
            where = np.full(len(self.row), -1, dtype=np.int32)
            where[places] = np.arange(len(places), dtype=np.int32)
            settled, wrong[places] = self._some(places).settle_in_rounds(slots)
            for _, events, mine in self.parts:
                source = where[mine]
                inside = np.flatnonzero(source >= 0)
                events.given[0][inside] = settled[source[inside]]
        return wrong

    def settle_in_rounds(self, slots: Sequence[int]) -> tuple[Ints, Mask]:
        """Decide every event on the guess of all others, again and again; return the grants, and which changed."""
        firsts = {slot: self.firsts_of(slot) for slot in slots}
        given = np.zeros(len(self.row), dtype=np.int64)
        for _, events, at in self.parts:
            given[at] = events.given[0]
        again = self.decided(given, firsts)
        wrong: Mask = again != given
        rounds = 0
        while wrong.any() and rounds < ROUNDS:
            # Only members with a wrong event are decided anew.
            mine = np.zeros(int(self.row[-1]) + 1, dtype=bool)
            mine[self.row[wrong]] = True
            places: Ints = np.flatnonzero(mine[self.row])
            some = self._some(places)
            inner = {slot: some.firsts_of(slot) for slot in firsts}
            guess = again[places]
            changed = some.decided(guess, inner)
            given[places], again[places] = guess, changed
            wrong[places] = changed != guess
            rounds += 1
        return given, wrong

    def _wanted(self, rule: PreparedRule, events: KindEvents, places: Ints) -> Ints:
        """Return what a rule asks for if no cap but those on one event binds, every day of a streak being paid."""
        found = self._asked_of(rule, events, None).copy()
        for k, x in enumerate(rule.limits):
            if x.slot < 0:
                _limit(found, np.zeros(1, dtype=np.int64), x, places, events.binds[0][0][k])
        return found

    def _some(self, places: Ints) -> FixedPoint:
        """Return the events of some members."""
        where = np.full(len(self.row), -1, dtype=np.int64)
        where[places] = np.arange(len(places))
        parts: list[tuple[PreparedRule, KindEvents, Ints]] = []
        for rule, events, mine in self.parts:
            inside = np.flatnonzero(where[mine] >= 0)
            part = KindEvents(
                row=events.row[inside],
                day=events.day[inside],
                step=events.step[inside],
                asked=[[one[inside] for one in asked] for asked in events.asked],
                binds=[
                    [[None if mask is None else mask[inside] for mask in masks] for masks in limits]
                    for limits in events.binds
                ],
                given=[one[inside] for one in events.given],
                tier=None if events.tier is None else events.tier[inside],
                tiers=events.tiers,
            )
            parts.append((rule, part, where[mine[inside]]))
        return FixedPoint(self.book, self.row[places], self.day[places], parts)

    def _slots(self) -> list[int]:
        return sorted(
            {x.slot for rule, _, _ in self.parts for x in rule.limits if x.slot >= 0 and not x.is_shared}
        )

    def firsts_of(self, slot: int) -> Ints:
        """Return of each event the first event of its member and period."""
        period = self.book.clock.periods[self.book.slots[slot][1]][self.day]
        places = np.arange(len(self.row), dtype=np.int32)
        is_first = np.ones(len(self.row), dtype=bool)
        is_first[1:] = (self.row[1:] != self.row[:-1]) | (period[1:] != period[:-1])
        found: Ints = np.maximum.accumulate(np.where(is_first, places, 0).astype(np.int32))
        return found

    def decided(self, given: Ints, firsts: dict[int, Ints]) -> Ints:
        """Decide every event on what is given at the events before it."""
        is_streak = any(rule.streak >= 0 for rule, _, _ in self.parts)
        asked = self._asked(given if is_streak else None)
        return self._limited(asked, given, firsts)

    def _asked(self, given: Ints | None) -> Ints:
        asked = np.zeros(len(self.row), dtype=np.int64)
        for rule, events, places in self.parts:
            asked[places] = self._asked_of(rule, events, None if given is None else given[places])
        return asked

    def _asked_of(self, rule: PreparedRule, events: KindEvents, given: Ints | None) -> Ints:
        points = events.asked[0][0]
        if not isinstance(rule.rule.points, Streak):
            return points
        paid = points > 0 if given is None else given > 0
        found: Ints = points * self._streak_points(rule, events, paid)
        return found

    def _streak_points(self, rule: PreparedRule, events: KindEvents, paid: Mask) -> Ints:
        """Return the points of each event's day in a row, were it paid, given which others are."""
        row, day = events.row, events.day
        table = streak_table(rule.rule, events.tiers)
        hit = np.flatnonzero(paid)
        if len(hit) == len(row):
            # All are paid: each event's day has its place already.
            place = np.minimum(_lengths(row, day), table.shape[1]) - 1
            paid_at: Ints = table[0, place] if events.tier is None else table[events.tier, place]
            return paid_at
        length = _lengths(row[hit], day[hit])
        # The last paid event strictly before each event.
        before = np.cumsum(paid) - paid - 1
        has_one = before >= 0
        at = hit[np.maximum(before, 0)] if len(hit) else np.zeros(len(row), dtype=np.int64)
        gap = np.where(has_one & (row[at] == row), day - day[at], 9) if len(hit) else np.full(len(row), 9)
        last = length[np.maximum(before, 0)] if len(hit) else np.zeros(len(row), dtype=np.int64)
        now = np.where(gap == 0, last, np.where(gap == 1, last + 1, 1))
        place = np.minimum(now, table.shape[1]) - 1
        found: Ints = table[0, place] if events.tier is None else table[events.tier, place]
        return found

    def _limited(self, asked: Ints, given: Ints, firsts: dict[int, Ints]) -> Ints:
        """Return `asked` under the caps of some slots, where `given` is what the events before were given."""
        found = asked.copy()
        for slot, first in firsts.items():
            used: dict[bool, Ints] = {}
            for rule, events, places in self.parts:
                for k, x in enumerate(rule.limits):
                    if x.is_shared or x.slot != slot:
                        continue
                    is_times = x.limit.cap.times is not None
                    if is_times not in used:
                        used[is_times] = self._used(slot, first, given, is_times=is_times)
                    _limit(found, used[is_times], x, places, events.binds[0][0][k])
        for rule, events, places in self.parts:
            for k, x in enumerate(rule.limits):
                if x.slot < 0 and firsts:
                    _limit(found, np.zeros(1, dtype=np.int64), x, places, events.binds[0][0][k])
        return found

    def _used(self, slot: int, first: Ints, given: Ints, *, is_times: bool) -> Ints:
        """Return what counts in a slot before each event, in its member's period."""
        counting = [places for rule, _, places in self.parts if slot in rule.counts]
        if len(counting) == len(self.parts):
            counted: Array = (given > 0) if is_times else given
        else:
            counted = np.zeros(len(self.row), dtype=np.int64)
            for places in counting:
                counted[places] = given[places] > 0 if is_times else given[places]
        total = np.cumsum(counted, dtype=np.int64)
        total -= counted
        used: Ints = total - total[first]
        return used


def _limit(found: Ints, used: Ints, x: PreparedLimit, places: Ints, mask: Mask | None) -> None:
    """Put some events under one limit."""
    whole = len(places) == len(found)
    now = found if whole else found[places]
    left = under(now, used if whole or len(used) == 1 else used[places], x)
    if mask is not None:
        left = np.where(mask, left, now)
    found[places if not whole else slice(None)] = left


def _broken(events: KindEvents, late: Mask) -> Ints:
    """Return the members of a streak's events that lost the first event of a day, taken for paid, too early."""
    hit = np.flatnonzero(events.asked[0][0] != 0)
    row, day = events.row[hit], events.day[hit]
    is_first = np.ones(len(hit), dtype=bool)
    is_first[1:] = (row[1:] != row[:-1]) | (day[1:] != day[:-1])
    found: Ints = row[is_first & (events.given[0][hit] == 0) & ~late[hit]]
    return found


def _lengths(row: Ints, day: Ints) -> Ints:
    """Return of each paid event which day in a row its day is."""
    if not len(row):
        return np.zeros(0, dtype=np.int64)
    is_new, breaks = np.ones(len(row), dtype=bool), np.ones(len(row), dtype=bool)
    same = row[1:] == row[:-1]
    gap = day[1:] - day[:-1]
    is_new[1:] = ~same | (gap != 0)
    breaks[1:] = ~same | (gap > 1)
    count = np.cumsum(is_new)
    start = np.maximum.accumulate(np.where(breaks, count, 0))
    found: Ints = count - start + 1
    return found


def can_settle(book: Rulebook, kinds: Sequence[int]) -> bool:
    """Say whether these kinds have one rule each, outside exclusive groups, whose tier does not change."""
    choices = book.program.groups
    return all(
        len(book.rules[kind]) == 1
        and choices.get(book.rules[kind][0].rule.group, Choice.ALL) is Choice.ALL
        and len({x.key for x in book.rules[kind][0].limits}) == len(book.rules[kind][0].limits)
        for kind in kinds
    )
