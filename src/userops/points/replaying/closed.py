"""The closed form: replay without a loop, where each member's lots expire in the order of earning.

Lay the lots end to end on one axis. What is gone is then, for each member, all that lies before a point C
that only moves right: a spend of s at time t moves it to max(C, X) + s, where X is the start of the first
lot unexpired at t. Unrolled over the spends (Lindley's recursion),

    C_k = S_k + max over j ≤ k of (X_j − S_{j−1}),   S the running sum of the spends:

one cumulative sum and one running maximum, for all members of a block at once: to each, the lots of those before
count as expired. Who spends too much is noticed (C beyond what was earned); then members are set apart on the
axis by more than all spends together, so that they disturb nobody else.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from userops.points.replaying.events import Ints
from userops.points.replaying.found import Found
from userops.points.replaying.grouping import Block


def closed_form(block: Block, found: Found) -> Block | None:
    """Replay the members that the closed form is for, and return the block of the others, if there are any."""
    is_earn = (block.value & 3) == 0
    lots, asking = np.flatnonzero(is_earn), np.flatnonzero(~is_earn)
    lot_key = block.key.take(lots)
    unfit = _unfit(block, lots, asking, lot_key)
    if not len(unfit):
        return _replayed(block, (lots, lot_key), asking, found)
    chosen = _rows_of_members(block, unfit)
    if chosen.all():
        return block
    rest, others = block.chosen(~chosen), block.chosen(chosen)
    is_earn = (rest.value & 3) == 0
    lots = np.flatnonzero(is_earn)
    refused = _replayed(rest, (lots, rest.key.take(lots)), np.flatnonzero(~is_earn), found)
    return others if refused is None else _joined(others, refused)


def _unfit(block: Block, lots: Ints, asking: Ints, lot_key: Ints) -> Ints:
    """Return rows of members with reversals, pending lots, or lots that expire out of order."""
    falls = lot_key[1:] < lot_key[:-1]
    special = (block.value.take(asking) & 3) > 1
    if not falls.any() and not special.any():
        return lots[:0]
    return np.concatenate([lots[:-1].compress(falls) if len(lots) else lots, asking.compress(special)])


def _rows_of_members(block: Block, places: Ints) -> NDArray[np.bool_]:
    """Return which rows belong to the members of the rows at `places`."""
    rank = block.ranks()
    chosen = np.zeros(int(rank[-1]) + 1, np.bool_)
    chosen[rank.take(places)] = True
    return chosen.take(rank)


def _replayed(block: Block, keyed: tuple[Ints, Ints], spends: Ints, found: Found) -> Block | None:
    """Replay a block; return the block of members who spend too much."""
    lots, lot_key = keyed
    size = block.value.take(lots)
    size >>= 2
    if not len(spends):
        found.left.append(block.row.take(lots), size)
        return None
    key, asked = block.key.take(spends), block.value.take(spends)
    asked >>= 2
    earned = np.empty(len(lots) + 1, np.int64)
    earned[0] = 0
    end = np.cumsum(size, out=earned[1:])
    # How far the earnings before each spend reach.
    reach = earned.take(spends - np.arange(len(spends)))
    first_alive = np.searchsorted(lot_key, key, side="right")
    # Positions are apart by members only if somebody has spent too much: then the others must not notice.
    gone = _gone(np.append(earned[:-1], 1 << 62).take(first_alive), reach, asked)
    over = np.flatnonzero(gone > reach)
    if not len(over):
        start = earned[:-1]
        _allocate(found, (block.row.take(lots), start, end), (block.row.take(spends), gone - asked, gone))
        return None
    gap = 1 << (int(asked.sum()) + int(size.sum())).bit_length()
    if gap.bit_length() + (int(block.key[-1]) >> block.layout.time_bits).bit_length() > 61:
        return block
    end += (lot_key >> block.layout.time_bits) * gap
    reach += (key >> block.layout.time_bits) * gap
    start = end - size
    gone = _gone(np.append(start, 1 << 62).take(first_alive), reach, asked)
    unfit = _rows_of_members(block, spends.compress(gone > reach))
    fits, keep = np.flatnonzero(~unfit.take(lots)), np.flatnonzero(~unfit.take(spends))
    spends, asked, gone = spends.take(keep), asked.take(keep), gone.take(keep)
    axis = (block.row.take(lots.take(fits)), start.take(fits), end.take(fits))
    _allocate(found, axis, (block.row.take(spends), gone - asked, gone))
    return block.chosen(unfit)


def _gone(alive: Ints, reach: Ints, asked: Ints) -> Ints:
    """Return where C is after each spend; `alive` is the start of the first lot that has not expired then."""
    # With nothing alive, what could be spent begins where the earnings end.
    gone = np.minimum(alive, reach, out=alive)
    spent = np.cumsum(asked)
    spent -= asked
    gone -= spent
    np.maximum.accumulate(gone, out=gone)
    gone += spent
    gone += asked
    return gone


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
