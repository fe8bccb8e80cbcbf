"""A forest as arrays: breadth-first order from parents, and sweeps up and down it in linear time.

Members are numbered 0 to n - 1; `parent` holds each one's referrer, -1 for a root. Everything else is kept in
breadth-first positions, in which the invitees of one referrer lie side by side. Wide generations are handled
by array operations; runs of narrow ones, where those would cost more than they save, by a plain loop.
"""

from __future__ import annotations

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

Ints = NDArray[np.integer[Any]]


class Forest:
    """Parents and the breadth-first order that the sweeps follow.

    >>> forest = Forest(np.array([-1, 0, 0, 1]))
    >>> forest.depths().tolist(), forest.sizes().tolist()
    ([0, 1, 1, 2], [4, 2, 1, 1])
    """

    __slots__ = ("_phases", "bounds", "first", "head", "head_bounds", "order", "parent", "up")

    def __init__(self, parent: NDArray[Any]) -> None:
        """Order the members; a cycle, of any length, is an error (`cycle` finds it)."""
        given = _checked(parent)
        self.parent = given
        kids, runs = _child_lists(given)
        self._order_from(kids, *runs)

    def __len__(self) -> int:
        return len(self.parent)

    @property
    def generations(self) -> int:
        """How many generations there are, the roots' included."""
        return len(self.bounds) - 1

    def _order_from(self, kids: Ints, roots: int, parents: Ints, starts: Ints, counts: Ints) -> None:
        n, kind = len(self.parent), self.parent.dtype
        run_of = np.full(n, -1, dtype=kind)
        run_of[parents] = np.arange(len(parents), dtype=kind)
        builder = _Builder(kids, run_of, starts, counts, roots)
        while builder.low < builder.high:
            builder.step()
        if builder.high < n:
            raise InvalidValue(f"the referrals form a cycle of {len(cycle_of(self.parent))} members")
        self.order, self.up = builder.order, builder.up
        self.bounds = np.array(builder.bounds, dtype=np.int64)
        empty = np.empty(0, dtype=kind)
        self.head: Ints = np.concatenate(builder.heads or [empty])
        self.first: Ints = np.concatenate(builder.firsts or [empty])
        self.head_bounds = np.searchsorted(self.head, self.bounds)
        self._phases = _phases(np.diff(self.bounds))

    def gather(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values in the members' own order as values in breadth-first positions."""
        return values.take(self.order, mode="clip")

    def scatter(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values in breadth-first positions as values in the members' own order."""
        out = np.empty_like(values)
        out[self.order] = values
        return out

    def up_sweep(self, values: NDArray[Any], *, ratio: float | None = None) -> NDArray[Any]:
        """Add to each position the totals of its invitees, times `ratio` per step, from the last generation up.

        Works in place on values in breadth-first positions, and returns them.
        """
        bounds, heads = self.bounds.tolist(), self.head_bounds.tolist()
        for is_wide, start, end in reversed(self._phases):
            if not is_wide:
                self._up_plain(values, bounds[start + 1], bounds[end + 1], ratio)
                continue
            for level in range(end - 1, start - 1, -1):
                for one in range(heads[level], heads[level + 1], BLOCK):
                    other = min(heads[level + 1], one + BLOCK)
                    low = int(self.first[one])
                    high = bounds[level + 2] if other == heads[level + 1] else int(self.first[other])
                    totals = np.add.reduceat(
                        values[low:high], self.first[one:other] - low, dtype=values.dtype
                    )
                    if ratio is not None:
                        totals *= ratio
                    values[self.head[one:other]] += totals
        return values

    def _up_plain(self, values: NDArray[Any], low: int, high: int, ratio: float | None) -> None:
        for stop in range(high, low, -BLOCK):
            start = max(low, stop - BLOCK)
            base = int(self.up[start])
            part = values[base:stop].tolist()
            gap = start - base
            above = (self.up[start:stop] - base).tolist()
            if ratio is None:
                for place in range(len(above) - 1, -1, -1):
                    part[above[place]] += part[place + gap]
            else:
                for place in range(len(above) - 1, -1, -1):
                    part[above[place]] += ratio * part[place + gap]
            values[base:stop] = part

    def down_sweep(self, values: NDArray[Any]) -> NDArray[Any]:
        """Give each position the value of its referrer, from the roots down, in place."""
        bounds = self.bounds.tolist()
        for is_wide, start, end in self._phases:
            if is_wide:
                for level in range(start, end):
                    low, high = bounds[level + 1], bounds[level + 2]
                    values.take(self.up[low:high], out=values[low:high], mode="clip")
                continue
            for low in range(bounds[start + 1], bounds[end + 1], BLOCK):
                high = min(bounds[end + 1], low + BLOCK)
                base = int(self.up[low])
                part = values[base:low].tolist()
                for place in (self.up[low:high] - base).tolist():
                    part.append(part[place])
                values[base:high] = part
        return values

    def depths(self) -> Ints:
        """Return each member's distance from its root."""
        levels = np.arange(self.generations, dtype=self.parent.dtype)
        return self.scatter(np.repeat(levels, np.diff(self.bounds)))

    def sizes_in_order(self) -> Ints:
        """Return the size of each subtree, the member included, in breadth-first positions."""
        return self.up_sweep(np.ones(len(self.order), dtype=self.parent.dtype))

    def sizes(self) -> Ints:
        """Return the size of each member's subtree, the member included."""
        return self.scatter(self.sizes_in_order())

    def roots_in_order(self) -> Ints:
        """Return the breadth-first position of each position's root."""
        return self.down_sweep(np.arange(len(self.order), dtype=self.parent.dtype))

    def roots(self) -> Ints:
        """Return each member's root."""
        return self.scatter(self.order.take(self.roots_in_order(), mode="clip"))


class _Builder:
    """The breadth-first walk: one wide generation, or a run of narrow ones, per step."""

    def __init__(self, kids: Ints, run_of: Ints, starts: Ints, counts: Ints, roots: int) -> None:
        self.kids, self.run_of, self.starts, self.run_counts = kids, run_of, starts, counts
        self.order = np.empty(len(kids), dtype=run_of.dtype)
        self.order[:roots] = kids[:roots]
        self.up = np.full(len(kids), -1, dtype=run_of.dtype)
        self.low, self.high = 0, roots
        self.bounds = [0, roots] if roots else [0]
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
        """Walk narrow generations one member at a time, until one is wide or nobody is left."""
        run_of, starts, counts, kids = map(_view, (self.run_of, self.starts, self.run_counts, self.kids))
        low, high = self.low, self.high
        base, found = low, self.order[low:high].tolist()
        heads: list[int] = []
        firsts: list[int] = []
        above: list[int] = []
        while low < high and high - low < NARROW and len(found) < BLOCK:
            for place in range(low, high):
                run = run_of[found[place - base]]
                if run < 0:
                    continue
                size, start = counts[run], starts[run]
                heads.append(place)
                firsts.append(base + len(found))
                if size == 1:
                    found.append(kids[start])
                    above.append(place)
                else:
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


def _view(array: Any) -> memoryview[int]:
    """Return an array for reading single numbers, faster than from the array itself."""
    return memoryview(array).cast("B").cast(array.dtype.char) if array.size else memoryview(b"")


def _checked(parent: NDArray[Any]) -> Ints:
    given = np.asarray(parent)
    if given.ndim != 1 or (given.dtype.kind not in "iu" and given.size):
        raise InvalidValue("parents are one column of whole numbers, -1 for a root")
    n = len(given)
    if n and (int(given.min()) < -1 or int(given.max()) >= n):
        raise InvalidValue(f"parents lie between -1 and {n - 1}")
    kept: Ints = given.astype(np.int32 if n < 2**31 - 1 else np.int64)
    kept.flags.writeable = False
    return kept


def _child_lists(parent: Ints) -> tuple[Ints, tuple[int, Ints, Ints, Ints]]:
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


def _phases(widths: Ints) -> list[tuple[bool, int, int]]:
    """Return (is wide, start, end) of runs of steps; step k leads from generation k to generation k + 1.

    What counts is how many invitees a step has: a hub's is wide, though one member takes it.
    """
    is_wide = widths[1:] >= NARROW
    if not len(is_wide):
        return []
    turns = (np.flatnonzero(is_wide[1:] != is_wide[:-1]) + 1).tolist()
    cuts = [0, *turns, len(is_wide)]
    return [(bool(is_wide[a]), a, b) for a, b in pairwise(cuts)]


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
