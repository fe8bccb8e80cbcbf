"""Ripple: how far word of mouth runs, ring by ring, on the forest that the money follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from userops.core.calendar import MICROS_PER_DAY
from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.referrals.forest import Forest

#: Stands for "no time known" among microseconds.
NO_TIME = np.iinfo(np.int64).min


@frozen
class Ripple:
    """One tree's ripple, or a whole forest's: size, depth and width of each generation.

    `widths[0]` is the roots' ring. What needs pairs or times raises where there are none.
    """

    size: int
    #: The last generation that anybody is in; 0 where nobody invited.
    depth: int
    widths: tuple[int, ...]
    #: Twice the sum of distances over pairs of one tree, and the number of ordered pairs.
    _distances: tuple[int, int] = field(repr=False)
    #: The sum of intervals in microseconds, and how many there are.
    _intervals: tuple[int, int] = field(repr=False)
    _trees: Callable[[], Mapping[Any, Ripple]] | None = field(default=None, repr=False, eq=False)

    @property
    def structural_virality(self) -> float:
        """Mean distance over the pairs of one tree: 2 for a large star, a third of the length for a path.

        Goel, Anderson, Hofman and Watts (2016), through Σs and Σs² of the subtree sizes s.
        """
        total, pairs = self._distances
        if not pairs:
            raise InvalidValue("no two members are connected, so there is no mean distance")
        return total / pairs

    @property
    def generation_interval(self) -> float:
        """Mean days between a member's own binding (for a root, joining) and the binding of an invitee."""
        total, count = self._intervals
        if not count:
            raise InvalidValue("no referral has both its own time and its referrer's")
        return total / count / MICROS_PER_DAY

    @property
    def trees(self) -> Mapping[Any, Ripple]:
        """The ripple of each tree, by its root, in the order of the graph's members."""
        if self._trees is None:
            raise InvalidValue("this is the ripple of one tree already")
        return self._trees()

    def to_table(self) -> Table:
        """Return the generations: how many members, and how many new ones each brought."""
        after = [*self.widths[1:], 0]
        rate = [new / width for width, new in zip(self.widths, after, strict=True)]
        notes = [f"{self.size:,} members, {self.depth} generations after the first"]
        for words, name in (
            ("structural virality", "structural_virality"),
            ("mean days between generations", "generation_interval"),
        ):
            try:
                notes.append(f"{words} {getattr(self, name):.2f}")
            except InvalidValue as undefined:
                notes.append(f"{words}: {undefined}")
        columns: dict[str, Any] = {
            "generation": range(len(self.widths)),
            "members": self.widths,
            "invited per member": rate,
        }
        return Table(columns, notes=tuple(notes), formats={"invited per member": ".3f"})

    def __str__(self) -> str:
        return str(self.to_table())

    def plot(self, ax: Any = None) -> Any:
        """Draw members by generation as bars (extra `plot`); returns the Axes."""
        from userops.referrals.plotting import plot_generations

        return plot_generations(self.widths, ax=ax)


class Times:
    """When each member came: its binding, or for a root its joining; `NO_TIME` where unknown."""

    def __init__(self, at: NDArray[np.int64] | None) -> None:
        self.at = at

    def intervals(self, forest: Forest) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the time since the referrer's own, and whether it is known, in breadth-first positions."""
        n = len(forest)
        spans, counts = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        if self.at is not None and n:
            start = int(forest.bounds[1])
            own = self.at[forest.order]
            theirs, mine = own[forest.up[start:]], own[start:]
            known = (theirs != NO_TIME) & (mine != NO_TIME)
            counts[start:] = known
            np.subtract(mine, theirs, out=spans[start:], where=known)
        return spans, counts


class Trees(Mapping[Any, Ripple]):
    """The ripples of a forest's trees by their roots; sums by tree are arrays, each ripple is made when read."""

    def __init__(self, forest: Forest, members: Any, index: Callable[[Any], int], times: Times) -> None:
        """Compute the sums of every tree."""
        self._forest, self._members, self._index = forest, members, index
        roots = int(forest.bounds[1]) if len(forest) else 0
        sizes = forest.sizes_in_order()
        large = int(sizes.max(initial=0)) ** 3 >= 2**62
        s = sizes.astype(object if large else np.int64)
        n = s[forest.roots_in_order()]
        self._sums = forest.up_sweep(s * (n - s))[:roots]
        self._sizes = sizes[:roots]
        spans, counts = times.intervals(forest)
        self._spans, self._counts = forest.up_sweep(spans)[:roots], forest.up_sweep(counts)[:roots]
        # One (tree, generation) after another: the trees' widths by counting.
        levels = np.repeat(np.arange(forest.generations), np.diff(forest.bounds))
        keys, self._widths = np.unique(
            forest.roots_in_order().astype(np.int64) * max(1, forest.generations) + levels, return_counts=True
        )
        self._cuts = np.searchsorted(keys, np.arange(roots + 1) * max(1, forest.generations))
        self._place = {int(member): place for place, member in enumerate(forest.order[:roots].tolist())}

    def __getitem__(self, member: Any) -> Ripple:
        place = self._place.get(self._index(member))
        if place is None:
            raise KeyError(member)
        n = int(self._sizes[place])
        widths = tuple(self._widths[self._cuts[place] : self._cuts[place + 1]].tolist())
        return Ripple(
            n,
            len(widths) - 1,
            widths,
            (2 * int(self._sums[place]), n * (n - 1)),
            (int(self._spans[place]), int(self._counts[place])),
        )

    def __iter__(self) -> Iterator[Any]:
        return (self._members[place] for place in self._place)

    def __len__(self) -> int:
        return len(self._place)


def ripple_of(
    forest: Forest, members: Any, index: Callable[[Any], int] | None, times: NDArray[np.int64] | None
) -> Ripple:
    """Return the ripple of a whole forest, in linear time; pairs count within one tree only."""
    clock = Times(times)
    spans, counts = clock.intervals(forest)
    sizes = forest.sizes_in_order()
    whole_trees = sizes[: int(forest.bounds[1])] if len(forest) else sizes
    pairs = sum(size * (size - 1) for size in whole_trees.tolist())
    roots = forest.roots_in_order()
    return Ripple(
        len(forest),
        max(0, forest.generations - 1),
        tuple(np.diff(forest.bounds).tolist()),
        (2 * distances_of(sizes, roots), pairs),
        (_exact_sum(spans), int(counts.sum())),
        None if index is None else lambda: Trees(forest, members, index, clock),
    )


def distances_of(sizes: NDArray[Any], roots: NDArray[Any]) -> int:
    """Return the sum of distances over pairs of one tree, exactly: Σ s·(n − s), n the size of the whole tree.

    Each edge of a tree parts s members from the n − s others, and lies on the way between all of those pairs.
    Columns are in breadth-first positions; the sums are taken in blocks whose result fits 64 bits.

    >>> distances_of(np.array([3, 2, 1]), np.array([0, 0, 0]))
    4
    """
    total, largest = 0, int(sizes.max(initial=1))
    step = min(1 << 15, max(1, 2**63 // (largest * largest)))
    for low in range(0, len(sizes), step):
        s = sizes[low : low + step].astype(np.int64)
        others = sizes.take(roots[low : low + step], mode="clip").astype(np.int64)
        others -= s
        total += int(np.dot(s, others))
    return total


def _exact_sum(column: NDArray[np.int64]) -> int:
    """Return the sum of 64-bit integers exactly: halves of the word are summed apart."""
    total = 0
    for low in range(0, len(column), 1 << 15):
        block = column[low : low + (1 << 15)]
        total += (int((block >> 32).sum()) << 32) + int((block & 0xFFFF_FFFF).sum())
    return total
