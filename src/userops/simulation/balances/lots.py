"""Lots of many members: granted, redeemed in the ledger's spending order, and expired, month by month.

All grants of a block are known before, since no rule reads a balance. Lots lie member by member in the order
in which a spend takes them: earliest expiry, then earliest availability, then earlier entry.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from attrs import define, field

from userops.simulation.columns import Floats, Ints, Mask
from userops.simulation.inputs import Clock, buckets_of
from userops.simulation.rules import PLACE_BITS, PLACES, Grants

#: Points that expire within so many months after this one make members redeem more.
AHEAD = 2
#: Told of what a redemption takes: rows, funds and points.
Taken = Callable[[Any, Any, Any], None]


@define(eq=False)
class Lots:
    """The lots of a block of members, and what is left of them."""

    clock: Clock
    rows: int
    start: Ints
    row: Ints
    left: Ints
    fund: Ints
    expiry: Ints
    #: The month in which each becomes usable.
    usable: Ints
    #: What becomes usable in each month, and what is due to expire: by (2 · month, + 1 when at its very end).
    rising: Ints = field(init=False)
    due: Ints = field(init=False)
    bucket: Ints = field(init=False)
    #: The lots that live so short that they would be counted among what is about to expire before they are usable.
    brief: Ints = field(init=False)
    balance: Ints = field(init=False)
    head: Ints = field(init=False)

    @classmethod
    def of(cls, clock: Clock, rows: int, grants: Grants) -> Lots:
        """Sort grants into lots; what a member earns in one month under one fund and expiry is one lot.

        Where lots expire in the order in which they were earned, they are a `Queue`.
        """
        order = _spending_order(grants)
        kind = Queue if order is None else cls
        if order is not None:
            grants = grants.taken(order)
        row, fund, expiry = grants.row, grants.fund, grants.expiry
        months = clock.span.months
        if grants.activates is None:
            usable = clock.month_of[grants.day]
        else:
            usable_day = grants.day + grants.activates
            usable = np.full(len(row), months, dtype=np.int32)
            inside = usable_day < len(clock.month_of)
            usable[inside] = clock.month_of[usable_day[inside]]
        is_new = np.ones(len(row), dtype=bool)
        is_new[1:] = (
            (row[1:] != row[:-1])
            | (fund[1:] != fund[:-1])
            | (expiry[1:] != expiry[:-1])
            | (usable[1:] != usable[:-1])
        )
        first = np.flatnonzero(is_new)
        points = np.add.reduceat(grants.points, first) if len(first) else grants.points[:0]
        row = row[first]
        start = np.searchsorted(row, np.arange(rows + 1))
        return kind(clock, rows, start, row, points, fund[first], expiry[first], usable[first])

    def __attrs_post_init__(self) -> None:
        """Lay out what rises and falls in which month."""
        months, rows = self.clock.span.months, self.rows
        self.rising = _summed(self.usable, self.row, self.left, months, rows)
        self.bucket = buckets_of(self.clock, self.expiry)
        self.due = _summed(self.bucket, self.row, self.left, 2 * months, rows)
        self.brief = np.flatnonzero(self.bucket < np.minimum(2 * (self.usable + AHEAD), 2 * months))
        self.balance = np.zeros(rows, dtype=np.int64)
        self.head = self.start[:-1].copy()

    def open(self, month: int) -> None:
        """Let the month's grants in, and those go that expire before its last day ends."""
        self.balance += self.rising[month]
        self.balance -= self.due[2 * month]

    def close(self, month: int) -> None:
        """Let those go that expire at the very end of the month."""
        self.balance -= self.due[2 * month + 1]

    def expiring(self, month: int) -> Ints:
        """Return what of the balance expires within the months after this one, seen late on its last day."""
        stop = min(2 * self.clock.span.months, 2 * (month + AHEAD + 1))
        found: Ints = self.due[2 * month + 1 : stop].sum(axis=0)
        brief = self.brief[(self.usable[self.brief] > month) & (self.bucket[self.brief] < stop)]
        np.subtract.at(found, self.row[brief], self.left[brief])
        return found

    def spend(self, month: int, row: Ints, points: Ints, taken: Taken) -> None:
        """Take points out of the lots of distinct members who have them, late on the last day of a month."""
        last = int(self.clock.first_days[month + 1]) - 1
        need, place = points.copy(), self.head[row].copy()
        stop = self.start[row + 1]
        self.balance[row] -= points
        at_head = np.ones(len(row), dtype=bool)
        who = np.arange(len(row))
        while len(who):
            lot = place[who]
            is_alive = self.expiry[lot] > last
            part = np.where(is_alive & (self.usable[lot] <= month), np.minimum(self.left[lot], need[who]), 0)
            self.left[lot] -= part
            need[who] -= part
            hit = part > 0
            found = lot[hit]
            taken(self.row[found], self.fund[found], part[hit])
            is_due = self.bucket[found] < len(self.due)
            self.due[self.bucket[found][is_due], self.row[found][is_due]] -= part[hit][is_due]
            # Lots used up or gone are passed for good as long as nothing before them is left.
            at_head[who] &= ~is_alive | (self.left[lot] == 0)
            passed = who[at_head[who]]
            self.head[row[passed]] = place[passed] + 1
            place[who] += 1
            who = who[(need[who] > 0) & (place[who] < stop[who])]
        if need.any():
            raise AssertionError("a redemption asked for more than the lots hold")

    def unspent(self) -> Ints:
        """Return of each lot the points that no redemption took."""
        return self.left

    def bill(self, month: int, row: int, points: int, costs: Floats) -> float:
        """Return what one member's redemption would cost its funds; nothing is taken."""
        last = int(self.clock.first_days[month + 1]) - 1
        total, need = 0.0, points
        for lot in range(int(self.head[row]), int(self.start[row + 1])):
            if self.expiry[lot] > last and self.usable[lot] <= month:
                part = min(int(self.left[lot]), need)
                total += part * float(costs[self.fund[lot]])
                need -= part
            if not need:
                break
        return total


@define(eq=False)
class Queue(Lots):
    """Lots that are used up and expire in the order in which they lie.

    A member's points lie on a line in that order; what is gone is everything before one place on it. So a
    redemption is a stretch of the line, and nothing has to be looked for.
    """

    #: Of each lot, where it ends on the line of all members together, and of each member where it begins.
    ends: Ints = field(init=False)
    begin: Ints = field(init=False)
    #: Of each fund, the points of its lots before each lot.
    before: list[Ints] = field(init=False)
    gone: Ints = field(init=False)
    stretches: list[tuple[Ints, Ints]] = field(factory=list)
    #: Of all stretches: where each begins, its points, and the lot it begins in; once somebody asked.
    found: tuple[Ints, Ints, Ints] | None = None

    def __attrs_post_init__(self) -> None:
        """Lay the lots on the line."""
        Lots.__attrs_post_init__(self)
        self.ends = np.cumsum(self.left)
        edges = np.concatenate([[0], self.ends])
        self.begin = edges[self.start[:-1]]
        self.gone = np.zeros(self.rows, dtype=np.int64)
        funds = int(self.fund.max(initial=0)) + 1
        self.before = [np.cumsum(np.where(self.fund == k, self.left, 0)) for k in range(funds)]
        self.rising = np.cumsum(self.rising, axis=0)
        self.due = np.cumsum(self.due, axis=0)

    def open(self, month: int) -> None:
        """Let the month's grants in, and those go that expire before its last day ends."""
        np.maximum(self.gone, self.due[2 * month], out=self.gone)
        self.balance = self.rising[month] - self.gone

    def close(self, month: int) -> None:
        """Let those go that expire at the very end of the month."""
        np.maximum(self.gone, self.due[2 * month + 1], out=self.gone)

    def expiring(self, month: int) -> Ints:
        """Return what of the balance expires within the months after this one, seen late on its last day."""
        last = min(2 * self.clock.span.months, 2 * (month + AHEAD + 1)) - 1
        # What becomes usable later lies behind on the line.
        found: Ints = np.maximum(0, np.minimum(self.due[last], self.rising[month]) - self.gone)
        return found

    def spend(self, month: int, row: Ints, points: Ints, taken: Taken) -> None:  # noqa: ARG002 — as Lots has it
        """Take points off the head of the members' lines."""
        low = self.draw(row, points)
        for fund, part in enumerate(self._by_fund(low, low + points)):
            hit = np.flatnonzero(part)
            if len(hit):
                taken(row[hit], np.full(len(hit), fund), part[hit])

    def draw(self, row: Ints, points: Ints) -> Ints:
        """Take points off the head of the lines, and return where they lay; `by_fund` says later whose they were."""
        low: Ints = self.begin[row] + self.gone[row]
        self.gone[row] += points
        self.balance[row] -= points
        self.stretches.append((low, points))
        return low

    def by_fund(self) -> list[Ints]:
        """Return of each fund the points of all stretches taken so far, in the order in which they were taken."""
        low, points, first = self._taken()
        return self._by_fund(low, low + points, first)

    def _taken(self) -> tuple[Ints, Ints, Ints]:
        """Return where all stretches begin, their points, and the lot in which each begins."""
        if self.found is None or len(self.found[0]) != sum(len(low) for low, _ in self.stretches):
            low = np.concatenate([one for one, _ in self.stretches])
            points = np.concatenate([points for _, points in self.stretches])
            self.found = low, points, np.searchsorted(self.ends, low, side="right")
        return self.found

    def _by_fund(self, low: Ints, high: Ints, first: Ints | None = None) -> list[Ints]:
        """Return of each fund the points on stretches of the line."""
        if first is None:
            first = np.searchsorted(self.ends, low, side="right")
        last = np.searchsorted(self.ends, high, side="left")
        found: list[Ints] = []
        for fund, before in enumerate(self.before):
            # Up to the end of a stretch: all before its last lot's end, less what of that lot lies beyond.
            beyond = np.where(self.fund[last] == fund, self.ends[last] - high, 0)
            ahead = np.where(self.fund[first] == fund, self.ends[first] - low, 0)
            found.append(before[last] - beyond - (before[first] - ahead))
        return found

    def bill(self, month: int, row: int, points: int, costs: Floats) -> float:  # noqa: ARG002 — as Lots has it
        """Return what one member's redemption would cost its funds; nothing is taken."""
        low = np.array([self.begin[row] + self.gone[row]])
        parts = self._by_fund(low, low + points)
        return float(sum(int(part[0]) * float(costs[fund]) for fund, part in enumerate(parts)))

    def unspent(self) -> Ints:
        """Return of each lot the points that no redemption took."""
        if not self.stretches:
            return self.left
        low, points, first = self._taken()
        order = np.argsort(low, kind="stable")
        low, points = low[order], points[order]
        total = np.concatenate([[0], np.cumsum(points)])
        edges = np.concatenate([[0], self.ends])
        # How many stretches begin before each edge: those that begin in a lot before it.
        place = np.cumsum(np.bincount(first + 1, minlength=len(edges) + 1))[: len(edges)]
        inside = np.maximum(place - 1, 0)
        spent = total[place] - np.where(place > 0, np.maximum(0, low[inside] + points[inside] - edges), 0)
        found: Ints = self.left - np.diff(spent)
        return found


def _spending_order(grants: Grants) -> Ints | None:
    """Return the order of lots by member, expiry, availability and entry; None where they lie so already."""
    if grants.activates is not None and grants.tick is not None:
        usable = grants.day + grants.activates
        # Of equal instants of availability, the entry made first.
        entry = (grants.tick & PLACES, grants.day, grants.tick >> PLACE_BITS)
        return np.lexsort((*entry, usable, grants.expiry, grants.row))
    same = grants.row[1:] == grants.row[:-1]
    if not (same & (grants.expiry[1:] < grants.expiry[:-1])).any():
        return None
    # Grants lie in order of time: a stable sort by (member, expiry) is all that is needed.
    key = (grants.row.astype(np.int64) << 32) | grants.expiry
    return np.argsort(key, kind="stable")


def _summed(place: Ints, row: Ints, points: Ints, size: int, rows: int) -> Ints:
    """Return sums by (place, row); places from `size` on are left out."""
    total = np.zeros(size * rows, dtype=np.int64)
    inside: Mask = (place >= 0) & (place < size)
    np.add.at(total, place[inside].astype(np.int64) * rows + row[inside], points[inside])
    return total.reshape(size, rows)
