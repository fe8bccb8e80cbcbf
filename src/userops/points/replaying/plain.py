"""The plain path: one member's events in Python's integers, for the heaviest members and for huge amounts."""

from __future__ import annotations

from bisect import insort

import numpy as np
from attrs import define, field

from userops.points.replaying.events import EventColumns, Ints, Kind, Outcome
from userops.points.replaying.found import Found

#: A lot's place among those of its member: (expires_at, available_at, place of its event, row).
_Order = tuple[int, int, int, int]


@define(eq=False)
class _Member:
    """One member's points while the events go by."""

    left: dict[int, int] = field(factory=dict)
    #: Lots with points, in spending order; expired ones leave it when they are met.
    open: list[_Order] = field(factory=list)
    order: dict[int, _Order] = field(factory=dict)
    asked: dict[int, int] = field(factory=dict)
    #: Of each accepted spend, (lot, points) in the order in which they paid.
    paid: dict[int, list[tuple[int, int]]] = field(factory=dict)
    undone: dict[int, int] = field(factory=dict)
    allocations: list[tuple[int, int, int]] = field(factory=list)

    def earn(self, row: int, place: int, points: int, at: int, available: int, expires: int) -> Outcome:
        if expires <= max(at, available):
            return Outcome.INVALID
        self.asked[row] = self.left[row] = points
        self.order[row] = (expires, max(at, available), place, row)
        insort(self.open, self.order[row])
        return Outcome.ACCEPTED

    def spend(self, row: int, points: int, at: int) -> Outcome:
        while self.open and self.open[0][0] <= at:
            del self.open[0]
        wanted, parts = points, []
        for _, available, _, lot in self.open:
            if available <= at:
                part = min(self.left[lot], wanted)
                parts.append((lot, part))
                wanted -= part
                if not wanted:
                    break
        if wanted:
            return Outcome.INSUFFICIENT
        self.asked[row], self.paid[row] = points, parts
        for lot, part in parts:
            self._take(row, lot, part)
        return Outcome.ACCEPTED

    def _take(self, row: int, lot: int, points: int) -> None:
        self.left[lot] -= points
        self.allocations.append((row, lot, points))
        if not self.left[lot]:
            self.open.remove(self.order[lot])

    def reverse(self, row: int, target: int, points: int, at: int) -> Outcome:
        if target not in self.asked:
            return Outcome.UNKNOWN
        done = self.undone.get(target, 0)
        rest = self.asked[target] - done
        wanted = points or rest
        if rest < 1 or wanted > rest:
            return Outcome.OVER_REVERSED
        if target in self.paid:
            self.undone[target] = done + wanted
            self._give_back(row, target, done, wanted, at)
        else:
            taken = min(wanted, self.left[target]) if at < self.order[target][0] else 0
            self.undone[target] = done + taken
            if taken:
                self._take(row, target, taken)
        return Outcome.ACCEPTED

    def _give_back(self, row: int, target: int, done: int, wanted: int, at: int) -> None:
        """Put points back into the lots that paid, the last one first, past those given back before."""
        for lot, paid in reversed(self.paid[target]):
            skipped = min(done, paid)
            done -= skipped
            part = min(wanted, paid - skipped)
            if part:
                wanted -= part
                if not self.left[lot] and at < self.order[lot][0]:
                    insort(self.open, self.order[lot])
                self.left[lot] += part
                self.allocations.append((row, lot, part))


def replay_member(events: EventColumns, rows: Ints, found: Found) -> None:
    """Replay one member, whose rows come in order of (at, row)."""
    member = _Member()
    available_at = events.at if events.available_at is None else events.available_at
    columns = [column[rows].tolist() for column in (events.kind, events.points, events.at)]
    more = [column[rows].tolist() for column in (available_at, events.expires_at)]
    undoes = rows.tolist() if events.undoes is None else events.undoes[rows].tolist()
    outcomes = bytearray(len(rows))
    for place, (row, kind, points, at, available, expires, target) in enumerate(
        zip(rows.tolist(), *columns, *more, undoes, strict=True)
    ):
        if kind == Kind.EARN:
            outcomes[place] = member.earn(row, place, points, at, available, expires)
        elif kind == Kind.SPEND:
            outcomes[place] = member.spend(row, points, at)
        else:
            outcomes[place] = member.reverse(row, target, points, at)
    found.outcome[rows] = np.frombuffer(outcomes, np.int8)
    if member.allocations:
        found.allocations.append(*np.array(member.allocations, np.int64).T)
    left = [(lot, points) for lot, points in member.left.items() if points]
    if left:
        found.left.append(*np.array(left, np.int64).T)
