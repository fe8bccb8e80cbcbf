"""Breadth-first order of a forest: child lists by one sort, generations found in cache-sized blocks."""

from __future__ import annotations

from array import array
from itertools import pairwise
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
#: The low bits of a parent, by which rows are sorted within a bucket.
_LOW_BITS = 16
_LOW = (1 << _LOW_BITS) - 1

Ints = NDArray[np.integer[Any]]


class Walk:
    """The breadth-first walk: one wide generation, or a run of narrow ones, per step."""

    def __init__(self, kids: Ints, spans: NDArray[np.void]) -> None:
        self.kids, self.spans = kids, spans[1:]
        roots = int(spans["count"][0])
        self.order = np.empty_like(kids)
        self.order[:roots] = kids[:roots]
        self.up = np.full_like(kids, -1)
        self.low, self.high = 0, roots
        self.bounds = array("q", [0, roots] if roots else [0])
        self._views: tuple[memoryview[int], memoryview[int]] | None = None
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
        kind = self.kids.dtype
        # `mode="clip"` skips a check of the places, which are all inside: three times as fast.
        spans = self.spans.take(self.order[low:high], mode="clip")
        has_invitees = np.flatnonzero(spans["count"] != 0)
        if not len(has_invitees):
            return
        spans = spans.take(has_invitees, mode="clip")
        counts = spans["count"]
        firsts = counts.cumsum(dtype=kind)
        firsts -= counts
        heads = (has_invitees + low).astype(kind)
        # Each run of invitees is copied from where it starts to where the one before ended.
        places: Ints = np.repeat(spans["start"] - firsts, counts)
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
        spans, kids = self._viewed()
        low, high = self.low, self.high
        base, found = low, self.order[low:high].tolist()
        heads, firsts, above = (array(self.kids.dtype.char) for _ in range(3))
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
                span = 2 * found[place - base]
                size = spans[span + 1]
                if size:
                    start = spans[span]
                    heads.append(place)
                    firsts.append(base + len(found))
                    found.extend(kids[start : start + size].tolist())
                    above.extend([place] * size)
            low, high = high, base + len(found)
            if high > low:
                self.bounds.append(high)
        self.order[base:high] = found
        self.up[self.high : high] = above
        self.heads.append(np.array(heads, dtype=self.kids.dtype))
        self.firsts.append(np.array(firsts, dtype=self.kids.dtype))
        self.low, self.high = low, high

    def _follow(self, found: list[int]) -> int:
        """Append a chain of members with one invitee each, and return how many; what else is known is counting."""
        spans, kids = self._viewed()
        before, span = len(found), 2 * found[-1]
        for _ in range(BLOCK - before):
            if spans[span + 1] != 1:
                break
            one = kids[spans[span]]
            found.append(one)
            span = 2 * one
        return len(found) - before

    def _viewed(self) -> tuple[memoryview[int], memoryview[int]]:
        """Return starts and counts by turns, and the invitees, for reading single numbers faster than from arrays."""
        if self._views is None:
            code = self.kids.dtype.char
            flat = np.ascontiguousarray(self.spans).view(self.kids.dtype)
            self._views = (_view(flat, code), _view(self.kids, code))
        return self._views


def _view(numbers: Any, code: Any) -> memoryview[int]:
    return memoryview(numbers).cast("B").cast(code)


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


def child_lists(parent: Ints) -> tuple[Ints, NDArray[np.void]]:
    """Return the members sorted by (parent, member), and where in it the invitees of each referrer lie.

    The second has a `start` and a `count` for the roots, and then for each member. Rows are brought together
    by the high bytes of their parent and then, bucket by bucket in the cache, by its low ones: both sorts are
    numpy's of small keys, which are by radix and stable.
    """
    n, kind = len(parent), parent.dtype
    spans = np.zeros(n + 1, dtype=[("start", kind), ("count", kind)])
    kids = np.empty(n, dtype=kind)
    if n.bit_length() > 2 * _LOW_BITS:
        kids[:] = np.argsort(parent, kind="stable")
        spans["count"] = np.bincount(parent + 1, minlength=n + 1)
    elif n:
        low = np.empty(n, dtype=np.uint16)
        high = np.empty(n, dtype=np.uint8 if n.bit_length() <= _LOW_BITS + 8 else np.uint16)
        for start in range(0, n, BLOCK):
            part = parent[start : start + BLOCK] + 1
            low[start : start + BLOCK] = part & _LOW
            high[start : start + BLOCK] = part >> _LOW_BITS
        order = np.argsort(high, kind="stable")
        ends = np.bincount(high).cumsum().tolist()
        del high
        for bucket, (start, end) in enumerate(pairwise([0, *ends])):
            rows = order[start:end]
            keys = low.take(rows, mode="clip")
            kids[start:end] = rows.take(np.argsort(keys, kind="stable"), mode="clip")
            room = spans["count"][bucket << _LOW_BITS : (bucket + 1) << _LOW_BITS]
            room[:] = np.bincount(keys, minlength=len(room))
    spans["start"][1:] = spans["count"][:-1].cumsum(dtype=kind)
    return kids, spans


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
