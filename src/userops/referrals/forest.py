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
from userops.referrals import ordering
from userops.referrals.ordering import BLOCK, Ints, Walk, checked_parents, child_lists, cycle_of


class Forest:
    """Parents and the breadth-first order that the sweeps follow.

    >>> forest = Forest(np.array([-1, 0, 0, 1]))
    >>> forest.depths().tolist(), forest.sizes().tolist()
    ([0, 1, 1, 2], [4, 2, 1, 1])
    """

    __slots__ = ("_phases", "bounds", "first", "head", "head_bounds", "order", "parent", "up")

    def __init__(self, parent: NDArray[Any]) -> None:
        """Order the members; a cycle, of any length, is an error (`cycle` finds it)."""
        given = checked_parents(parent)
        self.parent = given
        self._order_from(*child_lists(given))

    def __len__(self) -> int:
        return len(self.parent)

    @property
    def generations(self) -> int:
        """How many generations there are, the roots' included."""
        return len(self.bounds) - 1

    def _order_from(self, kids: Ints, spans: NDArray[np.void]) -> None:
        n, kind = len(self.parent), self.parent.dtype
        builder = Walk(kids, spans)
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
        for start in range(0, len(values), BLOCK):
            # Places as machine integers: numpy would convert others one by one.
            places = self.order[start : start + BLOCK].astype(np.intp)
            out[places] = values[start : start + BLOCK]
        return out

    def up_sweep(self, values: NDArray[Any], *, ratio: float | None = None) -> NDArray[Any]:
        """Add to each position the totals of its invitees, times `ratio` per step, from the last generation up.

        Works in place on values in breadth-first positions, and returns them.
        """
        for is_wide, start, end in reversed(self._phases):
            if not is_wide:
                self._up_plain(values, int(self.bounds[start + 1]), int(self.bounds[end + 1]), ratio)
                continue
            bounds = self.bounds[start : end + 2].tolist()
            heads = self.head_bounds[start : end + 1].tolist()
            for level in range(end - start - 1, -1, -1):
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
        for is_wide, start, end in self._phases:
            if is_wide:
                for level in range(start, end):
                    low, high = int(self.bounds[level + 1]), int(self.bounds[level + 2])
                    values.take(self.up[low:high], out=values[low:high], mode="clip")
                continue
            last = int(self.bounds[end + 1])
            for low in range(int(self.bounds[start + 1]), last, BLOCK):
                high = min(last, low + BLOCK)
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


def _phases(widths: Ints) -> list[tuple[bool, int, int]]:
    """Return (is wide, start, end) of runs of steps; step k leads from generation k to generation k + 1.

    What counts is how many invitees a step has: a hub's is wide, though one member takes it.
    """
    is_wide = widths[1:] >= ordering.NARROW
    if not len(is_wide):
        return []
    turns = (np.flatnonzero(is_wide[1:] != is_wide[:-1]) + 1).tolist()
    cuts = [0, *turns, len(is_wide)]
    return [(bool(is_wide[a]), a, b) for a, b in pairwise(cuts)]
