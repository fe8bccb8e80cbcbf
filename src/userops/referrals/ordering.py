"""Breadth-first order of a forest: child lists by one sort, generations found in cache-sized blocks."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from numpy.typing import NDArray

from userops.errors import InvalidValue

#: A generation of fewer members than this is walked one by one.
NARROW = 48
#: Narrow generations are walked in blocks of about so many members, which bounds the memory of the lists.
BLOCK = 1 << 15
#: How many members of a cycle an error names.
SHOWN = 5

Ints = NDArray[np.integer[Any]]


class Walk:
    """The breadth-first walk: one wide generation, or a run of narrow ones, per step."""

    def __init__(self, kids: Ints, run_of: Ints, starts: Ints, counts: Ints, roots: int) -> None:
        self.kids, self.run_of, self.starts, self.run_counts = kids, run_of, starts, counts
        self.order = np.empty(len(kids), dtype=run_of.dtype)
        self.order[:roots] = kids[:roots]
        self.up = np.full(len(kids), -1, dtype=run_of.dtype)
        self.low, self.high = 0, roots
        self.bounds = array("q", [0, roots] if roots else [0])
        self._views = [_view(one) for one in (run_of, starts, counts, kids)]
        self._code = run_of.dtype.char
        self.heads: list[Ints] = []
        self.firsts: list[Ints] = []

    def step(self) -> None:
        """Find the invitees of the present generation, in the order of their referrers."""
        low, high = self.low, self.high
        if high - low < NARROW:
            self._walk()
            return
        for start in range(low, high, BLOCK):
            self._find(start, min(high, start + BLOCK))
        if self.high > high:
            self.bounds.append(self.high)
        self.low = high

    def _find(self, low: int, high: int) -> None:
        """Append the invitees of a block of members, small enough that what it needs stays in the cache."""
        kind = self.run_of.dtype
        # `mode="clip"` skips a check of the places, which are all inside: three times as fast.
        runs = self.run_of.take(self.order[low:high], mode="clip")
        has_invitees = np.flatnonzero(runs >= 0)
        if not len(has_invitees):
            return
        runs = runs.take(has_invitees, mode="clip")
        counts = self.run_counts.take(runs, mode="clip")
        ends = counts.cumsum(dtype=kind)
        heads = (has_invitees + low).astype(kind)
        firsts = ends - counts
        # Each run of invitees is copied from where it starts to where the one before ended.
        places: Ints = np.repeat(self.starts.take(runs, mode="clip") - firsts, counts)
        places += np.arange(len(places), dtype=kind)
        end = self.high + len(places)
        self.kids.take(places, out=self.order[self.high : end], mode="clip")
        self.up[self.high : end] = np.repeat(heads, counts)
        firsts += self.high
        self.heads.append(heads)
        self.firsts.append(firsts)
        self.high = end

    def _walk(self) -> None:
        """Walk narrow generations one member at a time, until one is wide, a block is full or nobody is left."""
        run_of, starts, counts, kids = self._views
        low, high = self.low, self.high
        base, found = low, self.order[low:high].tolist()
        heads, firsts, above = array(self._code), array(self._code), array(self._code)
        while low < high and high - low < NARROW and len(found) < BLOCK:
            steps = self._follow(found) if high - low == 1 else 0
            if steps:
                heads.extend(range(low, low + steps))
                above.extend(range(low, low + steps))
                firsts.extend(range(high, high + steps))
                self.bounds.extend(range(high + 1, high + 1 + steps))
                low, high = low + steps, high + steps
                continue
            for place in range(low, high):
                run = run_of[found[place - base]]
                if run >= 0:
                    size, start = counts[run], starts[run]
                    heads.append(place)
                    firsts.append(base + len(found))
                    found.extend(kids[start : start + size].tolist())
                    above.extend([place] * size)
            low, high = high, base + len(found)
            if high > low:
                self.bounds.append(high)
        self.order[base:high] = found
        self.up[self.high : high] = above
        self.heads.append(np.array(heads, dtype=self.run_of.dtype))
        self.firsts.append(np.array(firsts, dtype=self.run_of.dtype))
        self.low, self.high = low, high

    def _follow(self, found: list[int]) -> int:
        """Append a chain of members with one invitee each, and return how many; what else is known is counting."""
        run_of, starts, counts, kids = self._views
        before, one = len(found), found[-1]
        for _ in range(BLOCK - before):
            run = run_of[one]
            if run < 0 or counts[run] != 1:
                break
            one = kids[starts[run]]
            found.append(one)
        return len(found) - before


def _view(array: Any) -> memoryview[int]:
    """Return an array for reading single numbers, faster than from the array itself."""
    return memoryview(array).cast("B").cast(array.dtype.char) if array.size else memoryview(b"")


def checked_parents(parent: NDArray[Any]) -> Ints:
    """Return a read-only copy of a column of parents, in the smallest type that holds it."""
    given = np.asarray(parent)
    if given.ndim != 1 or (given.dtype.kind not in "iu" and given.size):
        raise InvalidValue("parents are one column of whole numbers, -1 for a root")
    n = len(given)
    if n and (int(given.min()) < -1 or int(given.max()) >= n):
        raise InvalidValue(f"parents lie between -1 and {n - 1}")
    kept: Ints = given.astype(np.int32 if n < 2**31 - 1 else np.int64)
    kept.flags.writeable = False
    return kept


def child_lists(parent: Ints) -> tuple[Ints, tuple[int, Ints, Ints, Ints]]:
    """Return the members sorted by (parent, member), and where the invitees of each referrer lie there.

    One sort of (parent, member) packed into one integer is many times faster than a stable argsort.
    """
    n, kind = len(parent), parent.dtype
    shift = max(1, int(n).bit_length())
    packed, kids, is_new = np.empty(n, dtype=np.int64), np.empty(n, dtype=kind), np.empty(n, dtype=bool)
    steps, block = np.arange(min(n, 2 * BLOCK), dtype=np.int64), np.empty(min(n, 2 * BLOCK), dtype=np.int64)
    for low in range(0, n, 2 * BLOCK):
        part = packed[low : low + 2 * BLOCK]
        part[:] = parent[low : low + 2 * BLOCK]
        part += 1
        part <<= shift
        part |= steps[: len(part)]
        # The steps fill fewer bits than a block's start leaves free.
        part += low
    packed.sort()
    roots = int(np.searchsorted(packed, 1 << shift))
    before = np.int64(0)
    for low in range(0, n, 2 * BLOCK):
        part = packed[low : low + 2 * BLOCK]
        room = block[: len(part)]
        np.bitwise_and(part, (1 << shift) - 1, out=room)
        kids[low : low + 2 * BLOCK] = room
        np.right_shift(part, shift, out=room)
        is_new[low] = room[0] != before
        np.not_equal(room[1:], room[:-1], out=is_new[low + 1 : low + len(part)])
        before = room[-1]
    starts = np.flatnonzero(is_new)
    owners = ((packed[starts] >> shift) - 1).astype(kind)
    counts = np.diff(starts, append=n).astype(kind)
    return kids, (roots, owners, starts.astype(kind), counts)


def cycle_of(parent: NDArray[Any]) -> list[int]:
    """Return the members of one cycle, each followed by its referrer, or an empty list.

    >>> cycle_of(np.array([1, 2, 0, -1]))
    [0, 1, 2]
    """
    parents = np.asarray(parent).tolist()
    seen = [0] * len(parents)
    for start in range(len(parents)):
        node = start
        while node >= 0 and not seen[node]:
            seen[node] = start + 1
            node = parents[node]
        if node >= 0 and seen[node] == start + 1:
            cycle = [node]
            while parents[cycle[-1]] != node:
                cycle.append(parents[cycle[-1]])
            return cycle
    return []
