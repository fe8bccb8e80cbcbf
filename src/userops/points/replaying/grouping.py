"""Rows brought together by member, in order of time, in blocks small enough to stay in the cache.

Ordering is by bytes (radix, stable) and not by comparison. The events are dealt out to buckets by the high
bits of the member's code, slice by slice, each row as one record that holds all the fast paths need; then the
pieces of a bucket are joined and brought into order by the low bits. No step reaches at random beyond what the
cache holds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from userops.points.replaying.events import NEVER, EventColumns, Ints, Kind

#: Rows of a block, but for a member who has more.
BLOCK_ROWS = 1 << 16
#: Codes in a block beside `Kind`: rows that the closed form does not know.
_SPECIAL = 2
_RECORD = np.dtype("V16")


def stable_order(keys: NDArray[Any], bits: int) -> Ints:
    """Return the places of non-negative keys of so many bits in ascending order, equal ones as they stand.

    >>> stable_order(np.array([70_000, 5, 70_000, 4]), 17).tolist()
    [3, 1, 0, 2]
    """
    if bits <= 8:
        return np.argsort(keys.astype(np.uint8), kind="stable")
    order = np.argsort(keys.astype(np.uint16), kind="stable")
    for shift in range(16, bits, 16):
        part = (keys >> shift).astype(np.uint8 if bits - shift <= 8 else np.uint16)
        order = order.take(np.argsort(part.take(order), kind="stable"))
    return order


def is_ascending(values: Ints) -> bool:
    """Say whether values never fall, reading each once.

    >>> is_ascending(np.array([1, 1, 2]))
    True
    """
    later, earlier = values[1:], values[:-1]
    return all(
        bool((later[start : start + BLOCK_ROWS] >= earlier[start : start + BLOCK_ROWS]).all())
        for start in range(0, len(later), BLOCK_ROWS)
    )


@frozen(eq=False)
class Layout:
    """How keys are made of members and times."""

    member: Ints
    first_member: int
    first_time: int
    time_bits: int
    #: When lots expire: as given, or later ones moved closer together in the same order.
    expires_at: Ints
    #: Bits of the member's code within a bucket; those above them name the bucket.
    low_bits: int
    high_bits: int

    @classmethod
    def of(cls, events: EventColumns) -> Layout:
        """Choose the bits for these events."""
        member = events.member
        low, high = int(member.min()), int(member.max())
        first, last = int(events.at.min()), int(events.at.max())
        expires_at, last_expiry = _near(events.expires_at, last)
        # One more for the lots that never expire.
        time_bits = (max(last, last_expiry) + 1 - first).bit_length()
        bits, room = (high - low).bit_length(), 62 - time_bits
        most = len(member).bit_length()
        if bits > room + max(8, most - 12) and bits > most:
            # Sparse codes would make buckets of few rows; their ranks order as they do.
            member = np.unique(member, return_inverse=True)[1].reshape(-1).astype(np.int64)
            low, high = 0, int(member.max())
            bits = high.bit_length()
        low_bits = max(0, min(bits - min(8, max(0, len(member).bit_length() - 16)), room))
        return cls(member, low, first, time_bits, expires_at, low_bits, bits - low_bits)

    def expiry(self, expires_at: Ints) -> Ints:
        """Return expiries of this layout as times from the first event on; what never expires comes last."""
        time = np.minimum(expires_at, self.first_time + (1 << self.time_bits) - 1)
        time -= self.first_time
        return time


def _near(expires_at: Ints, last: int) -> tuple[Ints, int]:
    """Return expiries and the last of them; what lies centuries ahead is moved to just after the last event."""
    if not expires_at.strides[0]:
        return expires_at, last
    high = max(
        (
            int(np.max(part, initial=last, where=part != NEVER))
            for part in (
                expires_at[start : start + BLOCK_ROWS] for start in range(0, len(expires_at), BLOCK_ROWS)
            )
        ),
    )
    if high - last < 1 << 50:
        return expires_at, high
    later = (expires_at > last) & (expires_at != NEVER)
    distinct, rank = np.unique(expires_at[later], return_inverse=True)
    near = expires_at.copy()
    near[later] = last + 1 + rank
    return near, last + len(distinct)


@frozen(eq=False)
class Block:
    """All the rows of some members, member by member in order of (at, row)."""

    row: Ints
    #: member << time_bits | time, the time being that of a spend and the expiry of a lot.
    key: Ints
    #: points << 2 | what it is: 0 an earn available at once, 1 a spend, 2 anything else.
    value: Ints
    layout: Layout

    def __len__(self) -> int:
        return len(self.row)

    @property
    def member(self) -> Ints:
        """The members, by a code that ascends within the block."""
        return self.key >> self.layout.time_bits

    def chosen(self, keep: NDArray[np.bool_]) -> Block:
        """Return the block of some of the rows."""
        return self.at(np.flatnonzero(keep))

    def at(self, places: Ints) -> Block:
        """Return the block of the rows at some places."""
        return Block(self.row.take(places), self.key.take(places), self.value.take(places), self.layout)

    def between(self, start: int, end: int) -> Block:
        """Return the block of the rows of a slice."""
        rows = slice(start, end)
        return Block(self.row[rows], self.key[rows], self.value[rows], self.layout)

    def ranks(self) -> Ints:
        """Return the members by rank, from 0."""
        member, rank = self.member, np.zeros(len(self), np.int64)
        np.cumsum(member[1:] != member[:-1], out=rank[1:])
        return rank


@frozen(eq=False)
class _Dealt:
    """The records and rows of some slices of the events, each slice dealt out to the buckets within itself."""

    records: NDArray[np.void]
    rows: NDArray[Any]
    #: By slice and bucket: where the bucket begins and ends.
    begins: Ints
    ends: Ints

    def buckets(self) -> Iterator[tuple[NDArray[np.void], NDArray[Any]]]:
        """Yield each bucket's records and rows, in the order of the rows."""
        for begins, ends in zip(self.begins.T.tolist(), self.ends.T.tolist(), strict=True):
            pieces = [slice(begin, end) for begin, end in zip(begins, ends, strict=True) if end > begin]
            if pieces:
                yield (
                    np.concatenate([self.records[piece] for piece in pieces]),
                    np.concatenate([self.rows[piece] for piece in pieces]),
                )


def _record(events: EventColumns, layout: Layout, rows: slice, records: Ints) -> Ints:
    """Write the record of some rows: the key within the bucket, and the value; return their buckets."""
    kind, at, expires_at = events.kind[rows], events.at[rows], layout.expires_at[rows]
    is_earn = kind == Kind.EARN
    time = layout.expiry(np.where(is_earn, expires_at, at))
    code = kind
    strange = is_earn & (expires_at <= at)
    if events.available_at is not None:
        strange |= is_earn & (events.available_at[rows] > at)
    if strange.any():
        code = kind.copy()
        code[strange] = _SPECIAL
        time[strange] = 0
    member = layout.member[rows] - layout.first_member
    bucket = member >> layout.low_bits
    member &= (1 << layout.low_bits) - 1
    member <<= layout.time_bits
    np.bitwise_or(member, time, out=records[:, 0])
    np.left_shift(events.points[rows], 2, out=time)
    np.bitwise_or(time, code, out=records[:, 1])
    return bucket


def _dealt(events: EventColumns, layout: Layout) -> _Dealt:
    """Deal the events out to buckets slice by slice, so that no step reaches beyond the cache."""
    count = 1 << layout.high_bits
    # Many buckets take larger slices, lest the pieces become too small to be worth a copy.
    size = BLOCK_ROWS << max(0, layout.high_bits - 8)
    records = np.empty(len(events), _RECORD)
    rows = np.empty(len(events), np.int32 if len(events) < 1 << 31 else np.int64)
    begins, ends, room = [], [], np.empty((min(size, len(events)), 2), np.int64)
    for start in range(0, len(events), size):
        piece = slice(start, min(start + size, len(events)))
        length = piece.stop - start
        bucket = _record(events, layout, piece, room[:length])
        order = stable_order(bucket, layout.high_bits)
        room[:length].view(_RECORD).reshape(-1).take(order, out=records[piece], mode="clip")
        np.add(order, start, out=rows[piece], casting="unsafe")
        end = np.cumsum(np.bincount(bucket, minlength=count)) + start
        begins.append(np.append(start, end[:-1]))
        ends.append(end)
    return _Dealt(records, rows, np.array(begins), np.array(ends))


def blocks(events: EventColumns) -> Iterator[Block]:
    """Yield the events as blocks of whole members."""
    if not len(events):
        return
    layout = Layout.of(events)
    in_order = is_ascending(events.at)
    for bucket in _dealt(events, layout).buckets():
        yield from _cut(_sorted(events, layout, *bucket, in_order=in_order))


def _sorted(
    events: EventColumns, layout: Layout, records: NDArray[np.void], rows: NDArray[Any], *, in_order: bool
) -> Block:
    """Return a bucket's rows member by member, in order of (at, row)."""
    member = records.view(np.int64)[::2] >> layout.time_bits
    if in_order:
        order = stable_order(member, layout.low_bits)
    else:
        order = stable_order(events.at.take(rows) - layout.first_time, layout.time_bits)
        order = order.take(stable_order(member.take(order), layout.low_bits))
    # One bucket may hold most rows: what is not needed any more goes.
    del member
    pairs = records.take(order).view(np.int64).reshape(-1, 2)
    return Block(rows.take(order), pairs[:, 0].copy(), pairs[:, 1].copy(), layout)


def _cut(whole: Block) -> Iterator[Block]:
    """Yield a bucket in blocks, cut between members."""
    start = 0
    while len(whole) - start > 2 * BLOCK_ROWS:
        time_bits = whole.layout.time_bits
        member = int(whole.key[start + BLOCK_ROWS]) >> time_bits
        begin = bisect_left(whole.key, member, lo=start, key=lambda key: int(key) >> time_bits)
        if begin == start:
            begin = bisect_left(whole.key, member + 1, lo=start, key=lambda key: int(key) >> time_bits)
        yield whole.between(start, begin)
        start = begin
    if start < len(whole):
        yield whole.between(start, len(whole))
