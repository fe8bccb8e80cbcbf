"""The plain path: one member's actions in Python's integers, for the heaviest members and for huge amounts.

Only what is in doubt takes a turn of the loop: spends, reversals, and lots that must be entered. Preset lots
wait in a chain, which is read from its front; the others are in a heap. What the member has is `earned − gone`,
as in lanes.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterator
from heapq import heappop, heappush

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from userops.points.replaying.acting import ENTER, REVERSE_EARN, SPEND, Acts, aims
from userops.points.replaying.events import EventColumns, Ints, Outcome
from userops.points.replaying.found import Found
from userops.points.replaying.rows import Rows

_ACCEPTED, _INSUFFICIENT, _OVER, _UNKNOWN = (int(outcome) for outcome in list(Outcome)[:4])
_SPEND, _ENTER, _REVERSE_EARN = int(SPEND), int(ENTER), int(REVERSE_EARN)
#: Actions that are Python's integers at a time.
_AT_A_TIME = 1 << 14
#: When a lot expires that is none: it ends the chain, and the heap.
_NO_LOT = 2**62


@define(eq=False)
class _Member:
    """One member's points while the actions go by; a lot is known by its rank in spending order."""

    #: By lot.
    expires: array[int]
    left: array[int]
    earned: array[int]
    is_preset: bytes
    #: Whether a lot is in the heap.
    is_entered: bytearray
    #: The preset lots, and an end.
    chain: array[int]
    heap: list[int]
    #: By action.
    asked: Ints
    outcome: bytearray
    #: The parts of all actions, one after the other: the lot and the points. Where each action's begin.
    lots: array[int] = field(factory=lambda: array("q"))
    parts: array[int] = field(factory=lambda: array("q"))
    begins: array[int] = field(factory=lambda: array("q"))
    undone: dict[int, int] = field(factory=dict)
    earn_undone: dict[int, int] = field(factory=dict)

    def run(self, actions: Iterator[tuple[int, int, int, int, int]]) -> None:
        """Let the actions go by: (kind, aim, when, points asked for, points earned by preset lots)."""
        expires, left, heap, is_entered, chain = (
            self.expires,
            self.left,
            self.heap,
            self.is_entered,
            self.chain,
        )
        lots, parts, begins = self.lots, self.parts, self.begins
        gone, place, front, last = 0, 0, chain[0], heap[0]
        for kind, aim, at, asked, earned in actions:
            begins.append(len(parts))
            if kind:
                gone += self._enter(aim) if kind == _ENTER else self._reverse(kind, aim, at, front)
                continue
            # What has expired goes when it is met.
            lot = heap[0] if heap[0] < front else front
            while expires[lot] <= at:
                gone += left[lot]
                if lot == front:
                    place += 1
                    front = chain[place]
                else:
                    is_entered[heappop(heap)] = 0
                lot = heap[0] if heap[0] < front else front
            if asked > earned - gone:
                self.outcome[len(begins) - 1] = _INSUFFICIENT
                continue
            gone += asked
            while asked:
                part = left[lot]
                if part > asked:
                    left[lot] = part - asked
                    lots.append(lot)
                    parts.append(asked)
                    break
                if part:
                    left[lot] = 0
                    lots.append(lot)
                    parts.append(part)
                    asked -= part
                if lot == front:
                    place += 1
                    front = chain[place]
                else:
                    is_entered[heappop(heap)] = 0
                lot = heap[0] if heap[0] < front else front
        begins.append(len(parts))

    def _enter(self, lot: int) -> int:
        """Let a lot be spent; return what is gone more by that: less than nothing."""
        if not self.left[lot] or self.is_entered[lot]:
            return 0
        self.is_entered[lot] = 1
        heappush(self.heap, lot)
        return -self.left[lot]

    def _is_open(self, lot: int, front: int) -> bool:
        """Say whether a lot is among those that count as had."""
        return bool(self.is_entered[lot] or (lot >= front and self.is_preset[lot]))

    def _reverse(self, kind: int, aim: int, at: int, front: int) -> int:
        """Undo an earn (the aim is its lot) or a spend (an action), if that is sound; return what is gone more."""
        action = len(self.begins) - 1
        if self.outcome[action]:
            return 0
        asked = int(self.asked[action])
        if kind != _REVERSE_EARN:
            return self._undo_spend(action, aim, asked, at, front)
        done = self.earn_undone.get(aim, 0)
        rest = self.earned[aim] - done
        wanted = asked or rest
        if rest < 1 or wanted > rest:
            self.outcome[action] = _OVER
            return 0
        taken = min(wanted, self.left[aim]) if at < self.expires[aim] else 0
        if not taken:
            return 0
        self.earn_undone[aim] = done + taken
        self.left[aim] -= taken
        self.lots.append(aim)
        self.parts.append(taken)
        return taken if self._is_open(aim, front) else 0

    def _undo_spend(self, action: int, target: int, asked: int, at: int, front: int) -> int:
        if self.outcome[target]:
            self.outcome[action] = _UNKNOWN
            return 0
        done = self.undone.get(target, 0)
        rest = int(self.asked[target]) - done
        wanted = asked or rest
        if rest < 1 or wanted > rest:
            self.outcome[action] = _OVER
            return 0
        self.undone[target] = done + wanted
        gone = 0
        # Into the lots that paid, the last one first, past those given back to before.
        for place in range(self.begins[target + 1] - 1, self.begins[target] - 1, -1):
            lot, paid = self.lots[place], self.parts[place]
            skipped = min(done, paid)
            done -= skipped
            part = min(wanted, paid - skipped)
            if not part:
                continue
            wanted -= part
            self.left[lot] += part
            self.lots.append(lot)
            self.parts.append(part)
            if self._is_open(lot, front):
                gone -= part
            elif at < self.expires[lot]:
                gone += self._enter(lot)
        return gone


def replay_member(events: EventColumns, rows: Rows, found: Found) -> None:
    """Replay the rows of one member."""
    lot_row, acts = rows.row.take(rows.lots), Acts.of(rows)
    if not len(acts.place):
        found.left.append(lot_row, rows.points.take(rows.lots))
        return
    kind, aim, outcome = aims(events, acts, np.arange(len(acts.place)))
    member = _member(rows, acts, outcome)
    member.run(_actions(rows, acts, kind, aim))
    own = np.flatnonzero(~acts.entered)
    row = rows.row.take(acts.place)
    found.outcome[row.take(own)] = np.frombuffer(member.outcome, np.int8).take(own)
    parts = _taken(member.parts)
    found.allocations.append(row.repeat(np.diff(_taken(member.begins))), lot_row.take(_taken(member.lots)), parts)
    left = _taken(member.left)[: len(lot_row)]
    still = np.flatnonzero(left)
    found.left.append(lot_row.take(still), left.take(still))


def _member(rows: Rows, acts: Acts, outcome: NDArray[np.int8]) -> _Member:
    """Return the member before the first action."""
    count, points = len(rows.lots), rows.points.take(rows.lots)
    preset = ~acts.is_entered.take(rows.lots)
    return _Member(
        expires=_given(np.append(rows.times(rows.lots), [_NO_LOT, _NO_LOT])),
        left=_given(np.append(points, [0, 0])),
        earned=_given(points),
        is_preset=np.append(preset, [False, False]).tobytes(),
        is_entered=bytearray(count + 2),
        chain=_given(np.append(np.flatnonzero(preset), count)),
        heap=[count + 1],
        asked=rows.points.take(acts.place),
        outcome=bytearray(outcome.tobytes()),
    )


def _actions(
    rows: Rows, acts: Acts, kind: NDArray[np.int8], aim: Ints
) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield the actions as integers, some at a time."""
    earned: Ints = np.cumsum(acts.preset())
    for start in range(0, len(kind), _AT_A_TIME):
        some = slice(start, start + _AT_A_TIME)
        place = acts.place[some]
        columns = (kind[some], aim[some], rows.times(place), rows.points.take(place), earned.take(place))
        yield from zip(*(column.tolist() for column in columns), strict=True)


def _given(values: Ints) -> array[int]:
    return array("q", values.astype(np.int64, copy=False).tobytes())


def _taken(values: array[int]) -> Ints:
    return np.frombuffer(values, np.int64)
