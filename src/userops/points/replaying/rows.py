"""The rows of members who take the general way: joined, with their lots in spending order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import define
from numpy.typing import NDArray

from userops.points.replaying.events import EventColumns, Ints, Kind, Outcome
from userops.points.replaying.found import Found
from userops.points.replaying.grouping import Block


@define(eq=False)
class Rows:
    """The rows of some members, laid end to end, with what lanes need of each."""

    row: Ints
    #: The member, by rank.
    rank: Ints
    kind: NDArray[np.int8]
    points: Ints
    #: As in a block: member << time_bits | when a spend or a reversal happens, or when a lot expires. The
    #: members are apart by it in rows of one block only.
    key: Ints
    #: Places of the lots, in spending order member by member.
    lots: Ints
    #: Lots that become available after their earning: (place of the lot, place before which they do).
    pending: Ints
    appears: Ints
    time_bits: int

    def times(self, places: Ints) -> Ints:
        """Return when what is at these places happens, or expires, from the first event on."""
        return self.key.take(places) & ((1 << self.time_bits) - 1)

    def of(self, rank: int) -> Rows:
        """Return the rows of one member."""
        start, end = np.searchsorted(self.rank, [rank, rank + 1]).tolist()
        lots = slice(*np.searchsorted(self.rank.take(self.lots), [rank, rank + 1]).tolist())
        mine = (self.pending >= start) & (self.pending < end)
        return Rows(
            self.row[start:end],
            self.rank[start:end] - rank,
            self.kind[start:end],
            self.points[start:end],
            self.key[start:end],
            self.lots[lots] - start,
            self.pending.compress(mine) - start,
            self.appears.compress(mine) - start,
            self.time_bits,
        )


def rows_of(events: EventColumns, blocks: Sequence[Block], found: Found) -> Rows:
    """Join blocks, noting earns that could never be spent, and dropping them."""
    parts = [_block_rows(events, block, found) for block in blocks]
    if len(parts) == 1:
        return parts[0]
    lengths = np.cumsum([0, *(len(part.row) for part in parts)])
    ranks = np.cumsum([0, *(int(part.rank[-1]) + 1 if len(part.rank) else 0 for part in parts)])
    for part, offset, rank in zip(parts, lengths.tolist(), ranks.tolist(), strict=False):
        part.lots += offset
        part.pending += offset
        part.appears += offset
        part.rank += rank
    names = ("row", "rank", "kind", "points", "key", "lots", "pending", "appears")
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return Rows(**columns, time_bits=parts[0].time_bits)


def _block_rows(events: EventColumns, block: Block, found: Found) -> Rows:
    code = (block.value & 3).astype(np.int8)
    special = np.flatnonzero(code > 1)
    key, kind = block.key, code
    none = np.zeros(0, np.int64)
    if not len(special):
        return _sorted(events, block, kind, key, (none, none))
    layout, rows = block.layout, block.row.take(special)
    real = events.kind.take(rows)
    base, last = block.member.take(special) << layout.time_bits, (1 << layout.time_bits) - 1
    is_earn = real == Kind.EARN
    available = events.at if events.available_at is None else events.available_at
    available = available[rows]
    expires = events.expires_at[rows]
    invalid = is_earn & (expires <= available)
    times = layout.expiry(np.where(is_earn, layout.expires_at[rows], events.at.take(rows)))
    key, kind = key.copy(), code
    key[special], kind[special] = base | times, real
    pending = np.flatnonzero(is_earn & ~invalid & (available > events.at.take(rows)))
    begins = none
    if len(pending):
        begin = np.minimum(available.take(pending), layout.first_time + last) - layout.first_time
        when = (block.member << layout.time_bits) | (events.at.take(block.row) - layout.first_time)
        begins = np.searchsorted(when, base.take(pending) | begin)
    if invalid.any():
        found.outcome[rows[invalid]] = Outcome.INVALID
        keep = np.ones(len(block), np.bool_)
        keep[special[invalid]] = False
        before: Ints = np.cumsum(keep) - keep
        kept = block.chosen(keep)
        # A member may be gone with these rows; nobody asks for it then.
        begins = np.append(before, len(kept)).take(begins)
        return _sorted(events, kept, kind[keep], key[keep], (before.take(special.take(pending)), begins))
    return _sorted(events, block, kind, key, (special.take(pending), begins))


def _sorted(
    events: EventColumns, block: Block, kind: NDArray[np.int8], key: Ints, waiting: tuple[Ints, Ints]
) -> Rows:
    """Return the rows with their lots in spending order: expiry, availability, the earlier event."""
    pending, appears = waiting
    lots = np.flatnonzero(kind == Kind.EARN)
    if len(pending):
        order = np.lexsort((events.available_at[block.row.take(lots)], key.take(lots)))  # type: ignore[index]
    else:
        order = np.argsort(key.take(lots), kind="stable")
    layout = block.layout
    rank = Block(block.row, key, block.value, layout).ranks()
    places = (lots.take(order), pending, appears)
    return Rows(block.row, rank, kind, block.value >> 2, key, *places, layout.time_bits)
