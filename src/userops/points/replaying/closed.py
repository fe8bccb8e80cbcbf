"""The closed form: replay without a loop, where each member's lots expire in the order of earning.

Lay the lots end to end on one axis. What is gone is then, for each member, all that lies before a point C
that only moves right: a spend of s at time t moves it to max(C, X) + s, where X is the start of the first
lot unexpired at t. Unrolled over the spends (Lindley's recursion),

    C_k = S_k + max over j ≤ k of (X_j − S_{j−1}),   S the running sum of the spends:

one cumulative sum and one running maximum. Members stand apart on the axis by more than all spends together,
so that one who spends too much is noticed (C beyond what was earned) and disturbs nobody else.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from userops.points.replaying.events import Ints
from userops.points.replaying.found import Found
from userops.points.replaying.grouping import Block


def closed_form(block: Block, found: Found) -> Block | None:
    """Replay the members that the closed form is for, and return the block of the others, if there are any."""
    others = _unfit(block)
    if others is None:
        return _replayed(block, found, others)
    rest = block.chosen(~others)
    return _replayed(rest, found, block.chosen(others)) if len(rest) else block


def _unfit(block: Block) -> NDArray[np.bool_] | None:
    """Return the rows of members with reversals, pending lots, or lots that expire out of order."""
    code = block.value & 3
    lots = np.flatnonzero(code == 0)
    key = block.key.take(lots)
    falls = np.flatnonzero(key[1:] < key[:-1])
    special = np.flatnonzero(code > 1)
    if not len(falls) and not len(special):
        return None
    return _rows_of_members(block, np.concatenate([lots.take(falls), special]))


def _rows_of_members(block: Block, places: Ints) -> NDArray[np.bool_]:
    """Return which rows belong to the members of the rows at `places`."""
    rank = block.ranks()
    chosen = np.zeros(int(rank[-1]) + 1, np.bool_)
    chosen[rank.take(places)] = True
    return chosen.take(rank)


def _replayed(block: Block, found: Found, others: Block | None) -> Block | None:
    is_earn = (block.value & 3) == 0
    lots, spends = np.flatnonzero(is_earn), np.flatnonzero(~is_earn)
    points = block.value >> 2
    if not len(spends):
        found.left.append(block.row.take(lots), points.take(lots))
        return others
    size, asked = points.take(lots), points.take(spends)
    gap = 1 << (int(asked.sum()) + int(size.sum())).bit_length()
    last_member = int(block.key[-1]) >> block.layout.time_bits
    if gap.bit_length() + last_member.bit_length() > 61:
        return block if others is None else _joined(others, block)
    lot_key, key = block.key.take(lots), block.key.take(spends)
    # Positions on the axis: the end and the start of each lot, and how far the earnings before a spend reach.
    earned = np.empty(len(lots) + 1, np.int64)
    earned[0] = 0
    np.cumsum(size, out=earned[1:])
    end = earned[1:] + (lot_key >> block.layout.time_bits) * gap
    start = end - size
    reach = earned.take(np.cumsum(is_earn).take(spends)) + (key >> block.layout.time_bits) * gap
    first_alive = np.searchsorted(lot_key, key, side="right")
    gone = np.append(start, 1 << 62).take(first_alive)
    # With nothing alive, what could be spent begins where the earnings end.
    np.minimum(gone, reach, out=gone)
    spent = np.cumsum(asked)
    gone -= spent - asked
    np.maximum.accumulate(gone, out=gone)
    gone += spent
    over = np.flatnonzero(gone > reach)
    if len(over):
        unfit = _rows_of_members(block, spends.take(over))
        refused = block.chosen(unfit)
        others = refused if others is None else _joined(others, refused)
        keep_lot, keep = np.flatnonzero(~unfit.take(lots)), np.flatnonzero(~unfit.take(spends))
        lots, start, end, size = (
            lots.take(keep_lot),
            start.take(keep_lot),
            end.take(keep_lot),
            size.take(keep_lot),
        )
        spends, asked, gone = spends.take(keep), asked.take(keep), gone.take(keep)
    axis = (block.row.take(lots), start, end)
    _allocate(found, axis, (block.row.take(spends), gone - asked, gone))
    return others


def _allocate(found: Found, lots: tuple[Ints, Ints, Ints], spends: tuple[Ints, Ints, Ints]) -> None:
    """Note the overlaps of what each spend took with the lots, and what is left of the lots.

    Both are (rows, starts, ends) on the axis.
    """
    (lot_row, start, end), (spend_row, begin, gone) = lots, spends
    which, lot, taken = overlaps(start, end, begin, gone)
    found.allocations.append(spend_row.take(which), lot_row.take(lot), taken)
    left = end - start
    if len(lot):
        heads = np.concatenate([[0], np.flatnonzero(lot[1:] != lot[:-1]) + 1])
        left[lot.take(heads)] -= np.add.reduceat(taken, heads)
    still = np.flatnonzero(left)
    found.left.append(lot_row.take(still), left.take(still))


def overlaps(start: Ints, end: Ints, low: Ints, high: Ints) -> tuple[Ints, Ints, Ints]:
    """Return the overlaps of stretches of the axis with the lots: (which stretch, which lot, the points)."""
    lot = np.searchsorted(start, low, side="right")
    lot -= 1
    which = np.arange(len(lot))
    several = np.flatnonzero(high > end.take(lot))
    if len(several):
        count = np.ones(len(lot), np.int64)
        count[several] = np.searchsorted(start, high.take(several), side="left") - lot.take(several)
        which = which.repeat(count)
        lot = lot.take(which) + np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
    taken = np.minimum(high.take(which), end.take(lot)) - np.maximum(low.take(which), start.take(lot))
    return which, lot, taken


def _joined(one: Block, other: Block) -> Block:
    """Return the rows of both, member by member."""
    key = np.concatenate([one.key, other.key])
    order = np.argsort(key >> one.layout.time_bits, kind="stable")
    return Block(
        np.concatenate([one.row, other.row]).take(order),
        key.take(order),
        np.concatenate([one.value, other.value]).take(order),
        one.layout,
    )
