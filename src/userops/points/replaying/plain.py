"""The plain path: one member's actions in Python's integers, for the heaviest members and for huge amounts.

Only what is in doubt takes a turn of the loop: spends, reversals, and lots that must be entered. Preset lots
wait in a chain, which is read from its front; the others are in a heap; the least of both pays. As long as it
suffices and lives, a spend is one subtraction. What the member has is `earned − gone`, as in lanes.

Lots are noted when they are left, with what they paid in all, end to end on an axis of its own, on which the
accepted spends lie end to end too: the overlaps are the allocations.
"""

from __future__ import annotations

import itertools
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Any

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from userops.points.replaying.acting import ENTER, REVERSE_EARN, SPEND, Acts, aims, undone_earns
from userops.points.replaying.closed import overlaps
from userops.points.replaying.events import EventColumns, Ints, Outcome
from userops.points.replaying.found import Found
from userops.points.replaying.rows import Rows

_INSUFFICIENT, _OVER, _UNKNOWN = (
    int(outcome) for outcome in (Outcome.INSUFFICIENT, Outcome.OVER_REVERSED, Outcome.UNKNOWN)
)
#: Actions that are Python's integers at a time.
_AT_A_TIME = 1 << 14
#: The points that nobody has, and the time that never comes: of the lots that end the chain and the heap.
_ENDLESS = 2**63 - 1


def _given(values: Ints, *end: int) -> array[int]:
    column = array("q", values.tobytes())
    column.extend(end)
    return column


def _column() -> array[int]:
    return array("q")


@define(eq=False)
class _Member:
    """One member's points while the actions go by; a lot is known by its rank in spending order."""

    #: By lot; the last two end the chain and the heap.
    expires: array[int]
    left: array[int]
    is_preset: bytes
    #: Whether a lot is in the heap.
    is_entered: bytearray
    #: The preset lots, and an end.
    chain: array[int]
    heap: list[int]
    #: Reversals of what is known, one after the other: (the action, whether it undoes an earn, that earn's lot
    #: or the spend's action, what it asks for, what it undoes part of, what was asked for in all before that).
    reversals: Iterator[tuple[int, bool, int, int, int, int]]
    #: By action: what became of it.
    outcome: bytearray
    #: The spends that were refused, and what the first so many of them asked for.
    refused: list[int] = field(factory=list)
    refused_points: list[int] = field(factory=lambda: [0])
    #: After one that is none, the lots in the order in which they paid, and where on the axis of all that was
    #: paid each one's part ends.
    lots: array[int] = field(factory=lambda: array("q", [-1]))
    ends: array[int] = field(factory=lambda: array("q", [0]))
    #: What reversals moved: the action, the lot, the points.
    moved: tuple[array[int], array[int], array[int]] = field(
        factory=lambda: (_column(), _column(), _column())
    )
    #: What is undone of spends, by action, and of earns, by lot.
    undone: dict[int, int] = field(factory=dict)
    earn_undone: dict[int, int] = field(factory=dict)

    def run(self, actions: Iterator[tuple[int, int, int, int]]) -> None:  # noqa: PLR0915 — calls would cost more
        """Let actions go by, as `_integers` gives them, up to one whose code is greater than a reversal's."""
        expires, left, heap, chain = self.expires, self.left, self.heap, self.chain
        lots, ends, is_entered = self.lots, self.ends, self.is_entered
        gone, place, front, end = 0, 0, chain[0], len(left)
        # The lot that pays next; while nothing is had it is shown as empty, for it is not earned yet, or none.
        lot, had, part, until = front, 0, 0, expires[front]
        for code, at, asked, earned in actions:
            if code >= 0:
                if code < end:
                    if not left[code]:
                        continue
                    is_entered[code] = 1
                    heappush(heap, code)
                    gone -= left[code]
                    if code > lot:
                        continue
                if part != had:
                    lots.append(lot)
                    ends.append(ends[-1] + had - part)
                    gone += had - part
                    left[lot] = part
                if code == end:
                    gone += self._reverse(at, front)
                lot = heap[0] if heap[0] < front else front  # noqa: FURB136 — a call costs as much as the step
                had, until = left[lot] if earned > gone else 0, expires[lot]
                part = had
                continue
            if asked < part and at < until:
                part -= asked
                continue
            if not part:
                had = part = left[lot]
            wanted, is_sure = asked, False
            while True:
                if at < until:
                    if not is_sure and asked > earned - gone - had + part:
                        self._refuse(-1 - code, asked)
                        break
                    if wanted < part:
                        part -= wanted
                        break
                    wanted -= part
                    part, is_sure = 0, True
                # The lot has expired, or has paid all it had.
                if part != had:
                    lots.append(lot)
                    ends.append(ends[-1] + had - part)
                    left[lot] = part
                gone += had
                if lot == front:
                    place += 1
                    front = chain[place]
                else:
                    is_entered[heappop(heap)] = 0
                lot = heap[0] if heap[0] < front else front  # noqa: FURB136 — a call costs as much as the step
                had = part = left[lot]
                until = expires[lot]
            if had - part >= earned - gone:
                had = part = 0

    def _refuse(self, action: int, asked: int) -> None:
        self.outcome[action] = _INSUFFICIENT
        self.refused.append(action)
        self.refused_points.append(self.refused_points[-1] + asked)

    def _reverse(self, at: int, front: int) -> int:
        """Do the next reversal; return what is gone more by it."""
        action, is_earn, aim, asked, whole, before = next(self.reversals)
        undone = self.earn_undone if is_earn else self.undone
        done = undone.get(aim, 0)
        rest = whole - done
        if not is_earn and self.outcome[aim]:
            self.outcome[action] = _UNKNOWN
            return 0
        if rest < 1 or asked > rest:
            self.outcome[action] = _OVER
            return 0
        wanted = asked or rest
        if is_earn:
            taken = min(wanted, self.left[aim]) if at < self.expires[aim] else 0
            undone[aim] = done + taken
            return self._move(action, aim, -taken, at, front) if taken else 0
        undone[aim] = done + wanted
        # Back from the end of what the spend paid, less what was given back before.
        high = before - self.refused_points[bisect_left(self.refused, aim)] + whole - done
        low, gone, place = high - wanted, 0, bisect_left(self.ends, high)
        while low < high:
            start = max(low, self.ends[place - 1])
            gone += self._move(action, self.lots[place], high - start, at, front)
            high, place = start, place - 1
        return gone

    def _move(self, action: int, lot: int, points: int, at: int, front: int) -> int:
        """Give a lot points back, or take some that are undone; return what is gone more by it."""
        left = self.left[lot] = self.left[lot] + points
        actions, lots, moved = self.moved
        actions.append(action)
        lots.append(lot)
        moved.append(abs(points))
        if self.is_entered[lot] or (lot >= front and self.is_preset[lot]):
            return -points
        if points < 0 or at >= self.expires[lot]:
            return 0
        # It had paid all it had, and can be spent again.
        self.is_entered[lot] = 1
        heappush(self.heap, lot)
        return -left


def replay_member(events: EventColumns, rows: Rows, found: Found) -> None:
    """Replay the rows of one member."""
    lot_row, acts = rows.row.take(rows.lots), Acts.of(rows)
    if not len(acts.place):
        found.left.append(lot_row, rows.points.take(rows.lots))
        return
    kind, aim, outcome = aims(events, acts, np.arange(len(acts.place)))
    idle, lot, points = _idle(rows, acts, np.flatnonzero((kind == REVERSE_EARN) & (outcome == 0)), aim)
    size = rows.points.take(rows.lots)
    size[lot] -= points
    goes_by = outcome == 0
    goes_by[idle] = False
    actions = np.flatnonzero(goes_by)
    kinds = kind.take(actions)
    # The code of an action, as `run` reads it.
    code = np.where(kinds == ENTER, aim.take(actions), len(size) + 2)
    code = np.where(kinds == SPEND, -1 - actions, code)
    reversals = _reversals(rows, acts, (kind, aim), actions.compress(kinds > ENTER))
    member = _member(rows, acts, size, outcome, reversals)
    row, own = rows.row.take(acts.place), np.flatnonzero(~acts.entered)
    some = _integers(rows, acts.place.take(actions), code, _earned(rows, acts, size))
    member.run(itertools.chain(itertools.chain.from_iterable(some), [(len(size) + 3, 0, 0, 0)]))
    found.allocations.append(row.take(idle), lot_row.take(lot), points)
    outcome = np.frombuffer(member.outcome, np.int8)
    found.outcome[row.take(own)] = outcome.take(own)
    spends = np.flatnonzero((kind == SPEND) & (outcome == 0))
    _note(member, (row.take(spends), rows.points.take(acts.place.take(spends))), row, lot_row, found)


def _note(
    member: _Member, spends: tuple[NDArray[Any], Ints], row: NDArray[Any], lot_row: NDArray[Any], found: Found
) -> None:
    """Note what spends (rows, points) took, what reversals moved, and what is left."""
    spend_row, asked = spends
    paying, ends = np.frombuffer(member.lots, np.int64)[1:], np.frombuffer(member.ends, np.int64)
    starts, ends, spent = ends[:-1], ends[1:], np.cumsum(asked)
    for start in range(0, len(asked), _AT_A_TIME):
        some = slice(start, start + _AT_A_TIME)
        which, part, points = overlaps(starts, ends, spent[some] - asked[some], spent[some])
        found.allocations.append(spend_row[some].take(which), lot_row.take(paying.take(part)), points)
    action, lot, points = (np.frombuffer(column, np.int64) for column in member.moved)
    found.allocations.append(row.take(action), lot_row.take(lot), points)
    left = np.frombuffer(member.left, np.int64)[:-2]
    still = np.flatnonzero(left)
    found.left.append(lot_row.take(still), left.take(still))


def _idle(rows: Rows, acts: Acts, undoing: Ints, aim: Ints) -> tuple[Ints, Ints, Ints]:
    """Return the actions that undo an earn before anything else is asked for: the lots, and the points."""
    (action, lot, points), _ = undone_earns(rows, acts, undoing, aim)
    earn, reversal = rows.lots.take(lot), acts.place.take(action)
    idle = np.flatnonzero((points > 0) & (acts.before(earn) == acts.before(reversal) - 1))
    return action.take(idle), lot.take(idle), points.take(idle)


def _reversals(
    rows: Rows, acts: Acts, asking: tuple[NDArray[np.int8], Ints], actions: Ints
) -> Iterator[tuple[int, bool, int, int, int, int]]:
    """Return these reversals, as `_Member.reversals`."""
    (kind, aim), asked = asking, rows.points.take(acts.place)
    spent = np.where(kind == SPEND, asked, 0)
    before = np.cumsum(spent) - spent
    target, is_earn = aim.take(actions), kind.take(actions) == REVERSE_EARN
    whole = asked.take(target, mode="clip")
    whole[is_earn] = rows.points.take(rows.lots.take(target.compress(is_earn)))
    columns = (actions, is_earn, target, asked.take(actions), whole, before.take(target, mode="clip"))
    return zip(*(column.tolist() for column in columns), strict=True)


def _member(
    rows: Rows,
    acts: Acts,
    size: Ints,
    outcome: NDArray[np.int8],
    reversals: Iterator[tuple[int, bool, int, int, int, int]],
) -> _Member:
    """Return the member before the first action, with lots of this size."""
    count, preset = len(rows.lots), ~acts.is_entered.take(rows.lots)
    return _Member(
        expires=_given(rows.times(rows.lots), _ENDLESS, _ENDLESS),
        left=_given(size, _ENDLESS, _ENDLESS),
        is_preset=np.append(preset, [False, False]).tobytes(),
        is_entered=bytearray(count + 2),
        chain=_given(np.flatnonzero(preset), count),
        heap=[count + 1],
        reversals=reversals,
        outcome=bytearray(outcome.tobytes()),
    )


def _earned(rows: Rows, acts: Acts, size: Ints) -> Ints:
    """Return, of each row, what preset lots of this size have brought by then."""
    earned = np.zeros(len(rows.row), np.int64)
    earned[rows.lots] = size * ~acts.is_entered.take(rows.lots)
    return np.cumsum(earned, out=earned)


def _integers(
    rows: Rows, place: Ints, code: Ints, earned: Ints
) -> Iterator[Iterator[tuple[int, int, int, int]]]:
    """Yield the actions at these places as (code, when, points asked for, points earned by preset lots).

    They come some at a time. The code of a spend is -1 less its number, that of entering a lot is the lot, and
    that of a reversal the number of lots, the two that end them included.
    """
    for start in range(0, len(code), _AT_A_TIME):
        some = place[start : start + _AT_A_TIME]
        columns = (
            code[start : start + _AT_A_TIME],
            rows.times(some),
            rows.points.take(some),
            earned.take(some),
        )
        yield zip(*(column.tolist() for column in columns), strict=True)
