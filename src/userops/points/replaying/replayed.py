"""What a replay gives, read like a ledger: outcomes, allocations, lots, balances, funding at any instant."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from userops.core.amounts import whole
from userops.core.calendar import micros
from userops.points.replaying.events import NEVER, Bools, EventColumns, Ints, Kind, Outcome
from userops.points.values import Balance, FundingRow


@frozen(eq=False)
class LotLeft:
    """A lot with points at an instant, named by the row of its earn; instants are microseconds since 1970."""

    row: int
    points: int
    original: int
    available_at: int
    #: None when it never expires.
    expires_at: int | None


@frozen(eq=False, repr=False)
class Replayed:
    """The state that a history of events leads to, by row of the events.

    Allocations are three arrays of equal length. Those of one event stand together, in the order in which
    its lots paid or were given back; `np.argsort(event, kind="stable")` puts them in order of rows.
    """

    columns: EventColumns
    #: What became of each event, as `Outcome`.
    outcome: NDArray[np.int8]
    #: Row of the event that an allocation belongs to.
    event: Ints
    #: Row of the earn whose lot paid, or was given back to.
    lot: Ints
    points: Ints
    #: Rows of the earns whose lots have points after the last event, expired ones too; and the points.
    left_lot: Ints
    left_points: Ints

    def __repr__(self) -> str:
        refused = int((self.outcome != Outcome.ACCEPTED).sum())
        return f"Replayed({len(self.outcome):,} events, {refused:,} refused, {len(self.event):,} allocations)"

    def __len__(self) -> int:
        return len(self.outcome)

    @property
    def accepted(self) -> Bools:
        """Which events a ledger would have posted."""
        accepted: Bools = self.outcome == Outcome.ACCEPTED
        return accepted

    def allocations_of(self, row: int) -> tuple[tuple[int, int], ...]:
        """Return (lot row, points) of one event: which lots paid, or were given back, in order.

        >>> from userops.points import replay
        >>> replay({"member": [1, 1], "kind": [0, 1], "points": [5, 3], "at": [0, 1]}).allocations_of(1)
        ((0, 3),)
        """
        places = np.flatnonzero(self.event == whole(row, "row", at_least=0))
        return tuple(zip(self.lot[places].tolist(), self.points[places].tolist(), strict=True))

    def left(self, as_of: datetime | int | None = None) -> Ints:
        """Return what is left of each row's lot (0 where the row is no earn), expired points included.

        `as_of` is an aware datetime or microseconds since 1970; without it, after the last event.
        """
        columns = self.columns
        if as_of is None:
            left = np.zeros(len(self), np.int64)
            left[self.left_lot] = self.left_points
            return left
        at = _micros(as_of)
        earned = (columns.kind == Kind.EARN) & self.accepted & (columns.at <= at)
        left = np.where(earned, columns.points, 0)
        due = np.flatnonzero(columns.at.take(self.event) <= at)
        signed = self.points.take(due)
        signed *= np.where(self._takes(self.event.take(due)), -1, 1)
        np.add.at(left, self.lot.take(due), signed)
        return left

    def _takes(self, event: Ints) -> Bools:
        """Say of events whether they took points out of lots: spends and undone earns; the others give back."""
        kind = self.columns.kind.take(event)
        takes: Bools = kind == Kind.SPEND
        if self.columns.undoes is not None:
            undone = self.columns.kind.take(self.columns.undoes.take(event), mode="clip")
            takes = takes | ((kind == Kind.REVERSE) & (undone == Kind.EARN))
        return takes

    def _standing(self, as_of: datetime | int | None) -> tuple[int, Ints, Ints, Bools]:
        """Return (the instant, lots with living points, the points, whether they are available)."""
        columns = self.columns
        last = int(columns.at.max()) if len(self) else 0
        at = last if as_of is None else _micros(as_of)
        if at >= last:
            lots, points = self.left_lot, self.left_points
        else:
            left = self.left(at)
            lots = np.flatnonzero(left)
            points = left.take(lots)
        is_alive = columns.expires_at[lots] > at
        lots, points = lots.compress(is_alive), points.compress(is_alive)
        available = columns.at if columns.available_at is None else columns.available_at
        return at, lots, points, available[lots] <= at

    def lots(self, member: Any, as_of: datetime | int | None = None) -> tuple[LotLeft, ...]:
        """Return a member's lots that have points at an instant, in the order in which they are spent."""
        columns = self.columns
        _, lots, points, _ = self._standing(as_of)
        mine = np.flatnonzero(columns.member.take(lots) == columns.member_code(member))
        lots, points = lots.take(mine), points.take(mine)
        available = columns.at if columns.available_at is None else columns.available_at
        expires = columns.expires_at[lots]
        order = np.lexsort((lots, columns.at.take(lots), available[lots], expires))
        return tuple(
            LotLeft(row, size, original, available_at, None if expires_at == NEVER else expires_at)
            for row, size, original, available_at, expires_at in zip(
                *(
                    column.take(order).tolist()
                    for column in (lots, points, columns.points.take(lots), available[lots], expires)
                ),
                strict=True,
            )
        )

    def balance(self, member: Any, as_of: datetime | int | None = None) -> Balance:
        """Return one member's points at an instant; without `as_of`, at the last event.

        >>> from userops.points import replay
        >>> replay({"member": [1, 1], "kind": [0, 1], "points": [5, 3], "at": [0, 1]}).balance(1).available
        2
        """
        _, lots, points, is_available = self._standing(as_of)
        mine = self.columns.member.take(lots) == self.columns.member_code(member)
        return Balance(int(points[mine & is_available].sum()), int(points[mine & ~is_available].sum()), 0, 0)

    def balances(self, as_of: datetime | int | None = None) -> dict[str, NDArray[Any]]:
        """Return every member's points at an instant as columns `member`, `available`, `pending`."""
        columns = self.columns
        _, lots, points, is_available = self._standing(as_of)
        members, place = _dense(columns.member, columns.member.take(lots))
        available, pending = np.zeros(len(members), np.int64), np.zeros(len(members), np.int64)
        np.add.at(available, place.compress(is_available), points.compress(is_available))
        np.add.at(pending, place.compress(~is_available), points.compress(~is_available))
        named = members if columns.members is None else columns.members[members]
        return {"member": named, "available": available, "pending": pending}

    def funding(
        self, as_of: datetime | int | None = None, *, currency: str = "points"
    ) -> tuple[FundingRow, ...]:
        """Return where the points of every fund are at an instant; a lone fund without a name is `all`.

        issued = redeemed + expired + clawed_back + outstanding, as in `Ledger.funding`.
        """
        columns = self.columns
        at = (int(columns.at.max()) if len(self) else 0) if as_of is None else _micros(as_of)
        earned = np.flatnonzero((columns.kind == Kind.EARN) & self.accepted & (columns.at <= at))
        fund = np.zeros(len(self), np.int64) if columns.fund is None else columns.fund
        funds, place = _dense(fund.take(earned), fund)
        left = self.left(at).take(earned)
        mine, is_alive = place.take(earned), columns.expires_at[earned] > at
        due = np.flatnonzero(columns.at.take(self.event) <= at)
        event, size = self.event.take(due), self.points.take(due)
        paid_for = place.take(self.lot.take(due))
        undoes_earn = self._takes(event) & (columns.kind.take(event) == Kind.REVERSE)
        spent = np.where(self._takes(event), size, -size)
        sums = {
            "issued": _sums(mine, columns.points.take(earned), len(funds)),
            "redeemed": _sums(paid_for, spent * ~undoes_earn, len(funds)),
            "expired": _sums(mine, left * ~is_alive, len(funds)),
            "clawed_back": _sums(paid_for, size * undoes_earn, len(funds)),
            "outstanding": _sums(mine, left * is_alive, len(funds)),
        }
        names = ["all"] * len(funds) if columns.fund is None else self._fund_names(funds)
        rows = {name: {key: values[k] for key, values in sums.items()} for k, name in enumerate(names)}
        return tuple(
            FundingRow(fund=name, currency=currency, debt=0, written_off=0, **row)
            for name, row in sorted(rows.items())
        )

    def _fund_names(self, codes: Ints) -> list[str]:
        names = self.columns.funds
        return [str(code if names is None else names[code]) for code in codes.tolist()]


def _micros(as_of: datetime | int) -> int:
    return micros(as_of, "as_of") if isinstance(as_of, datetime) else whole(as_of, "as_of")


def _sums(place: Ints, values: Ints, size: int) -> list[int]:
    total = np.zeros(size, np.int64)
    np.add.at(total, place, values)
    return [int(value) for value in total]


def _dense(codes: Ints, asked: Ints) -> tuple[Ints, Ints]:
    """Return (the distinct codes, the place of each asked one among them); codes that are near need no sort."""
    if not len(codes):
        return codes, np.zeros(len(asked), np.int64)
    low = int(codes.min())
    span = int(codes.max()) - low + 1
    if span > 4 * len(codes) + 1_024:
        distinct = np.unique(codes)
        return distinct, np.minimum(np.searchsorted(distinct, asked), len(distinct) - 1)
    present = np.zeros(span, np.bool_)
    present[codes - low] = True
    place = np.cumsum(present) - 1
    return np.flatnonzero(present) + low, place.take(asked - low, mode="clip")
