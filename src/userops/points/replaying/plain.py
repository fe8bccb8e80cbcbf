"""The plain path: one member's events in Python's integers, for the heaviest members and for huge amounts."""

from __future__ import annotations

from heapq import heappop, heappush

import numpy as np
from attrs import define, field

from userops.points.replaying.events import EventColumns, Ints, Kind, Outcome
from userops.points.replaying.found import Found

_ACCEPTED, _INSUFFICIENT, _OVER, _UNKNOWN, _INVALID = (int(outcome) for outcome in Outcome)
_EARN, _SPEND, _REVERSE = (int(kind) for kind in Kind)


@define(eq=False)
class _Member:
    """One member's points while the events go by; a lot is known by its rank in spending order."""

    expires: list[int]
    row_of: list[int]
    left: list[int]
    #: Lots that can be spent, least rank first, and whether each is among them; all that `has` counts.
    open: list[int] = field(factory=list)
    is_open: bytearray = field(factory=bytearray)
    has: int = 0
    #: Of each accepted event, by row: what it asked for; of spends, (lot, points) in the order of paying.
    asked: dict[int, int] = field(factory=dict)
    paid: dict[int, list[tuple[int, int]]] = field(factory=dict)
    undone: dict[int, int] = field(factory=dict)
    allocations: list[tuple[int, int, int]] = field(factory=list)

    def enter(self, lot: int) -> None:
        """Let a lot be spent."""
        if self.left[lot] and not self.is_open[lot]:
            self.is_open[lot] = True
            heappush(self.open, lot)
            self.has += self.left[lot]

    def spend(self, row: int, points: int, at: int) -> int:
        """Take points, first-expiring first; what has expired leaves the open lots when it is met."""
        lots, left = self.open, self.left
        while lots and (self.expires[lots[0]] <= at or not left[lots[0]]):
            lot = heappop(lots)
            self.is_open[lot] = False
            self.has -= left[lot]
        if points > self.has:
            return _INSUFFICIENT
        self.has -= points
        self.asked[row], self.paid[row] = points, (parts := [])
        while points:
            lot = lots[0]
            part = left[lot]
            if part > points:
                part = points
                left[lot] -= part
            else:
                left[lot] = 0
                heappop(lots)
                self.is_open[lot] = False
            if part:
                points -= part
                parts.append((lot, part))
                self.allocations.append((row, self.row_of[lot], part))
        return _ACCEPTED

    def reverse(self, row: int, target: int, points: int, at: int, own: int) -> int:
        """Undo a spend, or an earn (`own` is then the rank of its lot)."""
        if target not in self.asked:
            return _UNKNOWN
        done = self.undone.get(target, 0)
        rest = self.asked[target] - done
        wanted = points or rest
        if rest < 1 or wanted > rest:
            return _OVER
        if target in self.paid:
            self.undone[target] = done + wanted
            self._give_back(row, target, done, wanted, at)
            return _ACCEPTED
        taken = min(wanted, self.left[own]) if at < self.expires[own] else 0
        self.undone[target] = done + taken
        if taken:
            self.left[own] -= taken
            self.has -= taken * self.is_open[own]
            self.allocations.append((row, target, taken))
        return _ACCEPTED

    def _give_back(self, row: int, target: int, done: int, wanted: int, at: int) -> None:
        """Put points back into the lots that paid, the last one first, past those given back before."""
        for lot, paid in reversed(self.paid[target]):
            skipped = min(done, paid)
            done -= skipped
            part = min(wanted, paid - skipped)
            if not part:
                continue
            wanted -= part
            self.left[lot] += part
            self.allocations.append((row, self.row_of[lot], part))
            if self.is_open[lot]:
                self.has += part
            elif at < self.expires[lot]:
                self.enter(lot)


def replay_member(events: EventColumns, rows: Ints, found: Found) -> None:
    """Replay one member, whose rows come in order of (at, row)."""
    at, expires = events.at[rows], events.expires_at[rows]
    available = at if events.available_at is None else events.available_at[rows]
    is_lot = (events.kind[rows] == _EARN) & (expires > np.maximum(at, available))
    lots = np.flatnonzero(is_lot)
    order = lots.take(np.lexsort((available.take(lots), expires.take(lots))))
    rank = np.full(len(rows), -1, np.int64)
    rank[order] = np.arange(len(order))
    member = _Member(
        expires.take(order).tolist(),
        rows.take(order).tolist(),
        [0] * len(order),
        is_open=bytearray(len(order)),
    )
    undoes = np.full(len(rows), -1, np.int64) if events.undoes is None else events.undoes[rows]
    outcomes = _outcomes(
        member,
        zip(
            *(column.tolist() for column in (rows, events.kind[rows], events.points[rows], at)),
            *(column.tolist() for column in (rank, available, undoes)),
            strict=True,
        ),
    )
    found.outcome[rows] = np.frombuffer(outcomes, np.int8)
    if member.allocations:
        found.allocations.append(*np.array(member.allocations, np.int64).T)
    left = np.array(member.left, np.int64)
    still = np.flatnonzero(left)
    found.left.append(rows.take(order.take(still)), left.take(still))


def _outcomes(member: _Member, events: zip[tuple[int, ...]]) -> bytearray:
    """Let the events go by; return what became of each."""
    outcomes = bytearray()
    lot_of: dict[int, int] = {}
    #: Lots not yet available: (when they are, their rank).
    pending: list[tuple[int, int]] = []
    for row, kind, points, at, lot, available, target in events:
        while pending and pending[0][0] <= at:
            member.enter(heappop(pending)[1])
        if kind == _SPEND:
            outcomes.append(member.spend(row, points, at))
        elif kind == _REVERSE:
            outcomes.append(member.reverse(row, target, points, at, lot_of.get(target, -1)))
        elif lot < 0:
            outcomes.append(_INVALID)
        else:
            member.asked[row] = member.left[lot] = points
            lot_of[row] = lot
            if available > at:
                heappush(pending, (available, lot))
            else:
                member.enter(lot)
            outcomes.append(_ACCEPTED)
    return outcomes
