"""A first guess at what caps leave of grants, and for whom it may not be the last word.

A guess puts one cap after the other on all that is asked. Where at most one of them takes anything off, and no
day drops out of a streak, that is the solution: a cap alone leaves what it bears less all asked before, and the
others bear even what is asked. So it is too where the last one to take off is under all events, and its periods
are made of those of the caps before it: what it exhausts is over, and how the others stand then does not matter.
Caps are looked at only in the periods whose events could reach them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import define, field

from userops.simulation.columns import Array, Ints, Mask
from userops.simulation.inputs import PreparedLimit, PreparedRule, Rulebook
from userops.simulation.rules.asked import KindEvents

ORDER = {"day": 0, "week": 1, "month": 2, "year": 3, "lifetime": 4}
Parts = Sequence[tuple[PreparedRule, KindEvents, Ints]]


@define(eq=False)
class Guess:
    """What is asked by the events of kinds that share memory, put under their caps one by one."""

    book: Rulebook
    #: Of all events, in each member's order of time; of each kind its rule, events, and their places here.
    row: Ints
    day: Ints
    parts: Parts
    #: Of each part, what is asked; then what is given.
    given: list[Ints]
    #: Of each member, whether a cap took something off, and whether the guess may be wrong.
    touched: Mask = field(init=False)
    doubtful: Mask = field(init=False)
    #: Of each part, the events that came too late for a cap of a lifetime on all: no day of theirs is missed.
    late: list[Mask] = field(init=False)
    #: The kinds of periods looked at so far.
    seen: set[str] = field(factory=set)

    def make(self, slots: Sequence[int]) -> None:
        """Go through the caps, the shortest period first."""
        rows = int(self.row[-1]) + 1
        self.touched, self.doubtful = np.zeros(rows, dtype=bool), np.zeros(rows, dtype=bool)
        self.late = [np.zeros(len(one), dtype=bool) for one in self.given]
        counts = {
            slot: [k for k, (rule, _, _) in enumerate(self.parts) if slot in rule.counts] for slot in slots
        }
        for slot in sorted(slots, key=lambda slot: (ORDER[self.book.slots[slot][1]], len(counts[slot]))):
            listening = [
                (k, at)
                for k, (rule, _, _) in enumerate(self.parts)
                for at, x in enumerate(rule.limits)
                if x.slot == slot and not x.is_shared
            ]
            self._limit(slot, listening, counts[slot])
            self.seen.add(self.book.slots[slot][1])

    def _limit(self, slot: int, listening: list[tuple[int, int]], counting: list[int]) -> None:
        """Put one slot's limits on what is given so far; note whom they touch."""
        limits = [self.parts[k][0].limits[at] for k, at in listening]
        alone = counting[0] if len(counting) == 1 and {k for k, _ in listening} == set(counting) else None
        if alone is None:
            row, day, given = self.row, self.day, self._merged(counting)
        else:
            row, day, given = self.parts[alone][1].row, self.parts[alone][1].day, self.given[alone]
        if not len(row):
            return
        starts = _starts(row, self.book.clock.periods[self.book.slots[slot][1]], day)
        lengths = np.diff(starts, append=len(row))
        is_near = _reached(given, starts, lengths, limits)
        if not is_near.any():
            return
        near: Ints = np.flatnonzero(np.repeat(is_near, lengths))
        lengths = lengths[is_near]
        used = {
            is_times: _used(given[near] > 0 if is_times else given[near], lengths)
            for is_times in {x.limit.cap.times is not None for x in limits}
        }
        places = None
        if alone is None:
            places = np.full(len(row), -1, dtype=np.int32)
            places[near] = np.arange(len(near), dtype=np.int32)
        touched, leaky = np.zeros(len(self.touched), dtype=bool), np.zeros(len(self.touched), dtype=bool)
        cut: list[tuple[int, Ints]] = []
        for (k, at), x in zip(listening, limits, strict=True):
            _, events, mine = self.parts[k]
            inside, spent = near, used[x.limit.cap.times is not None]
            if places is not None:
                found = places[mine]
                inside = np.flatnonzero(found >= 0)
                spent = spent[found[inside]]
            now = self.given[k][inside]
            left = under(now, spent, x)
            mask = events.binds[0][0][at]
            if mask is not None:
                free = inside[~mask[inside] & (under(np.ones_like(now), spent, x) == 0)]
                leaky[events.row[free]] = True
                left = np.where(mask[inside], left, now)
            touched[events.row[inside[left != now]]] = True
            cut.append((k, inside[(left == 0) & (now > 0)]))
            self.given[k][inside] = left
        # Caps of unlike kinds on one count may undo what each other assume.
        alike = len({(x.limit.cap.times, x.limit.cap.points) for x in limits}) == 1
        alike &= {k for k, _ in listening} <= set(counting)
        per = self.book.slots[slot][1]
        if alike and {k for k, _ in listening} == set(range(len(self.parts))) and self._holds_the_seen(per):
            self.doubtful |= touched & self.touched & leaky
            if per == "lifetime":
                for k, gone in cut:
                    self.late[k][gone] = ~leaky[self.parts[k][1].row[gone]]
        else:
            self.doubtful |= touched & self.touched if alike else touched
        self.touched |= touched

    def _holds_the_seen(self, per: str) -> bool:
        """Say whether every period of the caps before lies within one of this kind."""
        return per == "lifetime" or self.seen <= {"day", per} or (per == "year" and "week" not in self.seen)

    def _merged(self, counting: list[int]) -> Ints:
        found = np.zeros(len(self.row), dtype=np.int64)
        for k in counting:
            found[self.parts[k][2]] = self.given[k]
        return found


def under(now: Ints, used: Ints, x: PreparedLimit) -> Ints:
    """Return what a limit leaves of what is asked, where so much is used."""
    cap = x.limit.cap
    found: Ints = (
        now * (used < cap.times)
        if cap.times is not None
        else np.minimum(now, np.maximum(0, (cap.points or 0) - used))
    )
    return found


def _starts(row: Ints, period: Ints, day: Ints) -> Ints:
    """Return where the stretches begin of events of one member in one period."""
    is_first = np.ones(len(row), dtype=bool)
    np.not_equal(row[1:], row[:-1], out=is_first[1:])
    if period[0] != period[-1]:
        now = period[day]
        is_first[1:] |= now[1:] != now[:-1]
    return np.flatnonzero(is_first)


def _reached(given: Ints, starts: Ints, lengths: Ints, limits: Sequence[PreparedLimit]) -> Mask:
    """Say of each stretch whether any of the limits could be reached in it."""
    found = np.zeros(len(starts), dtype=bool)
    asked: Ints | None = None
    for x in limits:
        if x.limit.cap.times is not None:
            found |= lengths > x.limit.cap.times
        else:
            asked = np.add.reduceat(given, starts) if asked is None else asked
            found |= asked > (x.limit.cap.points or 0)
    return found


def _used(counted: Array, lengths: Ints) -> Ints:
    """Return the sum before each event within its stretch."""
    total = np.cumsum(counted, dtype=np.int64)
    total -= counted
    first = np.cumsum(lengths) - lengths
    total -= np.repeat(total[first], lengths)
    return total
