"""The closed form once more, for lots that expire in any order, and for simple reversals.

The axis is laid in spending order here. That is right as long as the point C, up to which all is gone, comes to
no lot before the lot is there, and to none of which some is undone later: such a lot is laid without what is
undone. Undoing the last spend moves C back. Members of whom this is not true, or whose points do not suffice,
go another way.
"""

from __future__ import annotations

import numpy as np
from attrs import frozen

from userops.points.replaying.acting import REVERSE_EARN, REVERSE_SPEND, SPEND, Acts, aims, undone_earns
from userops.points.replaying.closed import overlaps
from userops.points.replaying.events import Bools, EventColumns, Ints, Outcome
from userops.points.replaying.found import Found
from userops.points.replaying.grouping import Block
from userops.points.replaying.rows import Rows, rows_of

#: Members with more than twice as many rows are tried with so many of them first: who fails fails early.
TRIAL_ROWS = 512
#: A point before every axis.
_BEFORE = -(2**62)


def inverted_form(events: EventColumns, block: Block, found: Found) -> Block | None:
    """Replay the members that this is for, and return the block of the others, if there are any."""
    others = _failing(events, block, found)
    if others is None:
        others = _replayed(events, block, found)
    elif not others.all():
        promising = np.flatnonzero(~others)
        others[promising] = _replayed(events, block.chosen(~others), found)
    if others.all():
        return block
    return block.chosen(others) if others.any() else None


def _failing(events: EventColumns, block: Block, found: Found) -> Bools | None:
    """Return the rows of heavy members whose first rows rule this way out; None without heavy members."""
    rank = block.ranks()
    sizes = np.bincount(rank)
    heavy = np.flatnonzero(sizes > 2 * TRIAL_ROWS)
    if not len(heavy):
        return None
    first = (np.cumsum(sizes) - sizes).take(heavy)
    tried = block.at((first[:, None] + np.arange(TRIAL_ROWS)).reshape(-1))
    rows = rows_of(events, [tried], found)
    axis = _axis(events, rows) if len(rows.row) else None
    fails = np.zeros(len(sizes), np.bool_)
    if axis is not None:
        fails[heavy] = _rows_left(tried, axis, found)[::TRIAL_ROWS]
    return fails.take(rank)


def _replayed(events: EventColumns, block: Block, found: Found) -> Bools:
    """Replay whom one can; return the rows of the others."""
    rows = rows_of(events, [block], found)
    if not len(rows.row):
        return np.zeros(len(block), np.bool_)
    axis = _axis(events, rows)
    if axis is None:
        return np.ones(len(block), np.bool_)
    axis.note(found)
    return _rows_left(block, axis, found)


def _rows_left(block: Block, axis: _Axis, found: Found) -> Bools:
    """Return the rows of a block whose members do not fit."""
    unfit = axis.is_unfit.take(axis.rows.rank)
    if len(unfit) == len(block):
        return unfit
    # Lots that could never be spent were dropped.
    rank = block.ranks()
    left = np.zeros(int(rank[-1]) + 1, np.bool_)
    left[rank.compress(found.outcome.take(block.row) != Outcome.INVALID)] = unfit
    return left.take(rank)


@frozen(eq=False)
class _Axis:
    """Where the lots of some members lie, and what moves C."""

    rows: Rows
    #: By member: whether this way is not theirs.
    is_unfit: Bools
    #: By lot, in spending order: its member, the points that are not undone, and where it begins.
    lot_rank: Ints
    size: Ints
    start: Ints
    #: By act: its row, its member, by how much it moves C, and where C is then; whether it undoes what is unknown.
    act_row: Ints
    rank: Ints
    moves: Ints
    gone: Ints
    is_unknown: Bools
    #: Earns undone: the act, the lot, the points.
    undoing: tuple[Ints, Ints, Ints]

    def note(self, found: Found) -> None:
        """Note what became of the members that fit."""
        fits = ~self.is_unfit.take(self.rank)
        found.outcome[self.act_row.compress(fits & self.is_unknown)] = Outcome.UNKNOWN
        lots = np.flatnonzero(~self.is_unfit.take(self.lot_rank))
        acts = np.flatnonzero(fits & (self.moves != 0))
        lot_row, left, start = (
            column.take(lots) for column in (self.rows.row.take(self.rows.lots), self.size, self.start)
        )
        act_row, moves, gone = (column.take(acts) for column in (self.act_row, self.moves, self.gone))
        which, lot, taken = overlaps(
            start, start + left, gone - np.maximum(moves, 0), gone - np.minimum(moves, 0)
        )
        if len(self.undoing[0]):
            # Lots that were undone as a whole lie between the others, and pay nothing.
            which, lot, taken = (part.compress(taken > 0) for part in (which, lot, taken))
        goes_back = (moves < 0).take(which)
        if goes_back.any():
            # The last lot gets back first: the pieces of such an act are turned round.
            turned = np.flatnonzero(goes_back)
            ends = (
                np.searchsorted(which, which.take(turned), side="left"),
                np.searchsorted(which, which.take(turned), side="right"),
            )
            lot[turned], taken[turned] = (part.take(ends[0] + ends[1] - 1 - turned) for part in (lot, taken))
        found.allocations.append(act_row.take(which), lot_row.take(lot), taken)
        np.subtract.at(left, lot, np.where(goes_back, -taken, taken))
        still = np.flatnonzero(left)
        found.left.append(lot_row.take(still), left.take(still))
        act, undone, points = self.undoing
        mine = np.flatnonzero(fits.take(act) & (points > 0))
        undone_row = self.rows.row.take(self.rows.lots.take(undone.take(mine)))
        found.allocations.append(self.act_row.take(act.take(mine)), undone_row, points.take(mine))


def _axis(events: EventColumns, rows: Rows) -> _Axis | None:
    """Lay the lots, move C, and see for whom that is right; None if the axis is too long for 64 bits."""
    acts = Acts.asking(rows)
    members = int(rows.rank[-1]) + 1
    is_unfit = np.zeros(members, np.bool_)
    is_unfit[rows.rank.take(rows.pending)] = True
    rank, lot_rank = rows.rank.take(acts.place), rows.rank.take(rows.lots)
    kind, aim, outcome = aims(events, acts, np.arange(len(rank)))
    undoing, bad = undone_earns(rows, acts, np.flatnonzero((kind == REVERSE_EARN) & (outcome == 0)), aim)
    is_unfit[rank.take(bad)] = True
    moves = np.where(kind == SPEND, rows.points.take(acts.place), 0)
    backs = np.flatnonzero((kind == REVERSE_SPEND) & (outcome == 0))
    is_unfit[rank.take(_move_back(rows, acts, backs, aim.take(backs), moves))] = True
    size = rows.points.take(rows.lots)
    size[undoing[1]] -= undoing[2]
    gap = 1 << int(rows.points.sum()).bit_length()
    if gap.bit_length() + members.bit_length() > 61:
        return None
    laid = np.append(0, np.cumsum(size))
    start = laid[:-1] + lot_rank * gap
    end = laid.take(np.cumsum(np.bincount(lot_rank, minlength=members))) + np.arange(members) * gap
    # Where C is, as in the closed form; a reversal moves it from wherever it is.
    reach = end.take(rank)
    first_alive = np.searchsorted(rows.key.take(rows.lots), rows.key.take(acts.place), side="right")
    gone = np.minimum(np.append(start, -_BEFORE).take(first_alive), reach)
    moved = np.cumsum(moves)
    gone -= moved - moves
    gone[kind != SPEND] = _BEFORE
    np.maximum.accumulate(gone, out=gone)
    gone += moved
    is_unfit[rank.compress(gone > reach)] = True
    # By act: how far C had ever come before.
    furthest = np.append(_BEFORE, np.maximum.accumulate(gone))
    is_unfit[lot_rank.compress(furthest.take(acts.before(rows.lots)) > start)] = True
    act, lot, points = undoing
    is_unfit[rank.take(act.compress((furthest.take(act) > start.take(lot)) & (points > 0)))] = True
    act_row = rows.row.take(acts.place)
    return _Axis(rows, is_unfit, lot_rank, size, start, act_row, rank, moves, gone, outcome > 0, undoing)


def _move_back(rows: Rows, acts: Acts, backs: Ints, target: Ints, moves: Ints) -> Ints:
    """Write by how much reversals of spends move C; return the acts that are not simple."""
    spent, asked = moves.take(target), rows.points.take(acts.place.take(backs))
    moves[backs] = -np.where(asked > 0, np.minimum(asked, spent), spent)
    moving = np.where(moves != 0, np.arange(len(moves)), 0)
    # Nothing may have moved C since the spend, not even another reversal of it.
    last: Ints = np.maximum.accumulate(moving)
    bad = (asked > spent) | (last.take(backs - 1) != target)
    moves[backs.compress(bad)] = 0
    return backs.compress(bad)
