"""Settling: the grants of events whose rules remember, found for all events at once.

A grant follows from the grants before it: that has exactly one solution. A guess is made cap by cap, and then
every event is decided on the guess of all others: where nothing changes, the guess is the solution. Members
for whom it does not settle within a few rounds go through the events step by step instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import define

from userops.program.rules import Choice, Streak
from userops.simulation.arrays import Array, Ints, Mask
from userops.simulation.prepared import KindEvents, streak_table
from userops.simulation.rulebook import PreparedLimit, PreparedRule, Rulebook

ROUNDS = 8


@define(eq=False)
class Remembering:
    """The events of kinds that share memory, in each member's order of time, one rule to a kind."""

    book: Rulebook
    row: Ints
    day: Ints
    #: Of each kind: its rule, its events, and their places here.
    parts: list[tuple[PreparedRule, KindEvents, Ints]]

    def settle(self) -> Mask:
        """Write what is given into the events; return which of these events did not settle."""
        firsts = {slot: self.firsts_of(slot) for slot in self._slots()}
        given = self._guess(firsts)
        if len(firsts) <= 1 and len(self.parts) == 1 and self.parts[0][0].streak < 0 and self._is_plain():
            # Under one cap alone the guess is the solution: what is left is the cap less all asked before.
            self.parts[0][1].given[0][:] = given
            return np.zeros(len(self.row), dtype=bool)
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
        for _, events, at in self.parts:
            events.given[0][:] = given[at]
        return wrong

    def _some(self, places: Ints) -> Remembering:
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
                tier=None if events.tier is None else events.tier[inside],
                tiers=events.tiers,
            )
            parts.append((rule, part, where[mine[inside]]))
        return Remembering(self.book, self.row[places], self.day[places], parts)

    def _is_plain(self) -> bool:
        rule = self.parts[0][0]
        return len(rule.limits) == 1 and rule.limits[0].slot in rule.counts

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

    def _guess(self, firsts: dict[int, Ints]) -> Ints:
        """Return a first guess: all that is asked, under one cap after the other, the shortest period first."""
        given = self._asked(None)
        order = {"day": 0, "week": 1, "month": 2, "year": 3, "lifetime": 4}
        for slot in sorted(firsts, key=lambda slot: order[self.book.slots[slot][1]]):
            given = self._limited(given, given, {slot: firsts[slot]})
        return given

    def decided(self, given: Ints, firsts: dict[int, Ints]) -> Ints:
        """Decide every event on what is given at the events before it."""
        is_streak = any(rule.streak >= 0 for rule, _, _ in self.parts)
        asked = self._asked(given if is_streak else None)
        return self._limited(asked, given, firsts)

    def _asked(self, given: Ints | None) -> Ints:
        asked = np.zeros(len(self.row), dtype=np.int64)
        for rule, events, places in self.parts:
            points = events.asked[0][0]
            if isinstance(rule.rule.points, Streak):
                paid = points > 0 if given is None else given[places] > 0
                points = points * self._streak_points(rule, events, paid)
            asked[places] = points
        return asked

    def _streak_points(self, rule: PreparedRule, events: KindEvents, paid: Mask) -> Ints:
        """Return the points of each event's day in a row, were it paid, given which others are."""
        row, day = events.row, events.day
        hit = np.flatnonzero(paid)
        length = _lengths(row[hit], day[hit])
        # The last paid event strictly before each event.
        before = np.cumsum(paid) - paid - 1
        has_one = before >= 0
        at = hit[np.maximum(before, 0)] if len(hit) else np.zeros(len(row), dtype=np.int64)
        gap = np.where(has_one & (row[at] == row), day - day[at], 9) if len(hit) else np.full(len(row), 9)
        last = length[np.maximum(before, 0)] if len(hit) else np.zeros(len(row), dtype=np.int64)
        now = np.where(gap == 0, last, np.where(gap == 1, last + 1, 1))
        table = streak_table(rule.rule, events.tiers)
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
    mine = used if whole or len(used) == 1 else used[places]
    cap = x.limit.cap
    if cap.times is not None:
        left: Any = now * (mine < cap.times)
    else:
        left = np.minimum(now, np.maximum(0, (cap.points or 0) - mine))
    if mask is not None:
        left = np.where(mask, left, now)
    found[places if not whole else slice(None)] = left


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
