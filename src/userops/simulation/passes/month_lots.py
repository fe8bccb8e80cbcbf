"""The points of some members, month by month: on one line where they expire as earned, else lot by lot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from attrs import define, field

from userops.simulation.balances import AHEAD
from userops.simulation.columns import Array, Ints
from userops.simulation.inputs import Lot, is_line
from userops.simulation.passes.month_grants import Cells

#: What a redemption took: rows, fund, points.
Taken = tuple[Ints, int, Ints]


class Points(Protocol):
    """What members hold while months go by."""

    balance: Array

    def open(self, month: int) -> None:
        """Let the month's points in, and those go that expire before its last day ends."""

    def coming(self, month: int, row: Ints) -> Ints:
        """Return what expires within the months after this one."""

    def take(self, month: int, row: Ints, points: Ints) -> Iterator[Taken]:
        """Redeem points of distinct members who have them."""

    def close(self, month: int) -> None:
        """Let those go that expire at the very end of the month."""


def points_of(
    lots: tuple[Lot, ...], cells: Mapping[tuple[int, int], Cells], rows: slice, expired: Mapping[int, Array]
) -> Points:
    """Lay out the points of some rows; `expired` is told, by fund, what expires by (month, row)."""
    some = {key: (one.units[:, rows], one.each) for key, one in cells.items()}
    inside = {fund: one[:, rows] for fund, one in expired.items()}
    return Line.of(lots, some, inside) if is_line(lots) else Ages.of(lots, some, inside)


#: Of rules, by (month, row): so many times the same.
Units = Mapping[tuple[int, int], tuple[Array, int]]


def _granted(lot: Lot, units: Units, out: Array) -> None:
    """Write what a lot holds when it is granted."""
    for k, key in enumerate(lot.rules):
        column, each = units[key]
        if k:
            out += np.multiply(column[lot.month], each, dtype=out.dtype)
        else:
            np.multiply(column[lot.month], each, dtype=out.dtype, out=out)


@define(eq=False)
class Line:
    """Points that expire in the order in which they were earned.

    A member's points lie on one line: `earned` up to a month, and `gone` from its beginning, redeemed or expired.
    Redeeming moves `gone` up by what is redeemed; an expiry moves it up to what was earned by the last month whose
    points are due. Nothing else is kept.
    """

    fund: int
    #: By (month, row), all points earned up to the month.
    earned: Array
    expired: Array
    #: Of each bucket of expiry, the months whose points are gone by it.
    due: list[int]
    gone: Array = field(init=False)
    balance: Array = field(init=False)
    reached: int = 0

    def __attrs_post_init__(self) -> None:
        """Start with nothing gone."""
        self.gone, self.balance = np.zeros_like(self.earned[0]), np.empty_like(self.earned[0])

    @classmethod
    def of(cls, lots: Sequence[Lot], units: Units, expired: Mapping[int, Array]) -> Line:
        """Lay points on the line; along months numpy's own cumsum takes fifty times as long."""
        ((fund, gone),) = expired.items()
        months = len(gone)
        earned, bucket = np.empty_like(gone), np.zeros(months, dtype=np.int64)
        granted = {lot.month: lot for lot in lots}
        for month in range(months):
            if month in granted:
                _granted(granted[month], units, earned[month])
                bucket[month] = granted[month].bucket
            else:
                earned[month] = 0
            if month:
                earned[month] += earned[month - 1]
        latest = np.maximum.accumulate(bucket)
        due = np.searchsorted(latest, np.arange(2 * months + 1), side="right").tolist()
        return cls(fund, earned, gone, due)

    def open(self, month: int) -> None:
        """Let the month's points in, and those go that expire before its last day ends."""
        self._expire(month, self.due[2 * month])
        np.subtract(self.earned[month], self.gone, out=self.balance)

    def coming(self, month: int, row: Ints) -> Ints:
        """Return what expires within the months after this one."""
        months = len(self.earned)
        # What a later month brings cannot press yet, however short it will live.
        ahead = min(month + 1, self.due[min(2 * months, 2 * (month + AHEAD + 1)) - 1])
        found: Ints = np.maximum(0, self.earned[ahead - 1][row] - self.gone[row]) if ahead else 0 * row
        return found

    def take(self, month: int, row: Ints, points: Ints) -> Iterator[Taken]:  # noqa: ARG002 — as Points has it
        """Redeem points of distinct members who have them."""
        self.gone[row] += points.astype(self.gone.dtype)
        yield row, self.fund, points

    def close(self, month: int) -> None:
        """Let those go that expire at the very end of the month."""
        self._expire(month, self.due[2 * month + 1])

    def _expire(self, month: int, due: int) -> None:
        """Let the points of so many first months go, as far as they are not gone yet."""
        if due > self.reached:
            self.reached = due
            left = self.earned[due - 1] - self.gone
            np.maximum(left, 0, out=left)
            self.expired[month] += left
            self.gone += left


@define(eq=False)
class Ages:
    """Points lot by lot, in the order in which a redemption takes them."""

    lots: tuple[Lot, ...]
    #: By (lot, row).
    left: Array
    expired: Mapping[int, Array]
    balance: Array = field(init=False)
    months: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Start with nothing granted."""
        self.balance = np.zeros_like(self.left[0])
        self.months = len(next(iter(self.expired.values())))

    @classmethod
    def of(cls, lots: tuple[Lot, ...], units: Units, expired: Mapping[int, Array]) -> Ages:
        """Fill the lots."""
        one: Any = next(iter(expired.values()))
        left = np.empty((len(lots), one.shape[1]), dtype=one.dtype)
        for k, lot in enumerate(lots):
            _granted(lot, units, left[k])
        return cls(lots, left, expired)

    def open(self, month: int) -> None:
        """Let the month's points in, and those go that expire before its last day ends."""
        for k, lot in enumerate(self.lots):
            if lot.month == month:
                self.balance += self.left[k]
        self._expire(month, 2 * month)

    def coming(self, month: int, row: Ints) -> Ints:
        """Return what expires within the months after this one, of what is there."""
        stop, found = min(2 * self.months, 2 * (month + AHEAD + 1)), np.zeros(len(row), dtype=np.int64)
        for k, lot in enumerate(self.lots):
            if lot.month <= month and 2 * month < lot.bucket < stop:
                found += self.left[k][row]
        return found

    def take(self, month: int, row: Ints, points: Ints) -> Iterator[Taken]:
        """Redeem points of distinct members who have them."""
        self.balance[row] -= points.astype(self.balance.dtype)
        need, taken = points.astype(self.left.dtype), dict[int, Array]()
        who: Ints = np.arange(len(row))
        for k, lot in enumerate(self.lots):
            if lot.month > month or lot.bucket <= 2 * month:
                continue
            have = self.left[k][row[who]]
            part = np.minimum(have, need[who])
            self.left[k][row[who]] = have - part
            need[who] -= part
            taken.setdefault(lot.fund, np.zeros(len(row), dtype=np.int64))[who] += part
            who = who[need[who] > 0]
            if not len(who):
                break
        for fund, part in taken.items():
            hit = np.flatnonzero(part)
            yield row[hit], fund, part[hit]

    def close(self, month: int) -> None:
        """Let those go that expire at the very end of the month."""
        self._expire(month, 2 * month + 1)

    def _expire(self, month: int, bucket: int) -> None:
        for k, lot in enumerate(self.lots):
            if lot.bucket == bucket:
                self.balance -= self.left[k]
                self.expired[lot.fund][month] += self.left[k]
                self.left[k] = 0
