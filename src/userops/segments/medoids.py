"""Medoids: the k members from whom everybody is nearest, under any distance."""

from __future__ import annotations

import itertools
import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from userops.core.amounts import whole
from userops.errors import InvalidValue

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
#: Up to this many panels are compared one by one; beyond, the search is PAM's.
_MOST_PANELS: Final = 20_000
#: Distances are compared as whole multiples of 2^-40 of the greatest: sums are then exact, ties are ties.
_BITS: Final = 40


def medoids(distances: Any, k: int) -> tuple[int, ...]:
    """Return the rows, in ascending order, of k medoids: they minimise the sum of distances to the nearest.

    `distances` is a square symmetric matrix of any metric. Rows at distance 0 count as one, so that
    duplicating everybody changes nothing; ties go to the smallest rows. Small problems are solved by
    comparing all panels; larger ones by PAM (Kaufman and Rousseeuw 1990): BUILD, then the best SWAP until
    none improves, which is a local optimum.

    >>> import numpy as np
    >>> places = np.array([0.0, 1.0, 2.0, 10.0, 11.0, 12.0])
    >>> medoids(abs(places[:, None] - places), 2)
    (1, 4)
    """
    matrix = checked_matrix(distances)
    count = whole(k, "k", at_least=1)
    if count > len(matrix):
        raise InvalidValue(f"{count} medoids of {len(matrix)} rows: k is at most the number of rows")
    first, weights = _distinct(matrix)
    if count >= len(first):
        others = [row for row in range(len(matrix)) if row not in set(first.tolist())]
        return tuple(sorted([*first.tolist(), *others[: count - len(first)]]))
    small = matrix[np.ix_(first, first)]
    return tuple(int(first[place]) for place in search(small, weights, count))


def checked_matrix(distances: Any) -> Floats:
    """Return a distance matrix as floats, refusing what is none."""
    try:
        matrix = np.asarray(distances, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InvalidValue("distances must be a square matrix of numbers") from None
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise InvalidValue(f"distances must be a square matrix, not of shape {matrix.shape}")
    if not np.isfinite(matrix).all() or (matrix < 0).any():
        raise InvalidValue("distances must be finite and not negative")
    slack = 1e-9 * matrix.max()
    if np.diagonal(matrix).max() > slack or np.abs(matrix - matrix.T).max() > slack:
        raise InvalidValue("distances must be symmetric, and 0 from a row to itself")
    return matrix


def _distinct(matrix: Floats) -> tuple[Ints, Ints]:
    """Return the first of each set of rows at distance 0 from one another, and how many it stands for."""
    nearest = np.argmax(matrix == 0, axis=1)
    np.minimum(nearest, np.arange(len(matrix)), out=nearest)
    first, counts = np.unique(nearest, return_counts=True)
    return first, counts


def search(matrix: Floats, weights: Ints, k: int) -> list[int]:
    """Return the places of k medoids of weighted rows, in ascending order."""
    greatest = matrix.max()
    exponent = _BITS - math.frexp(greatest)[1] if greatest > 0 else 0
    whole_distances = np.rint(np.ldexp(matrix, exponent)).astype(np.int64)
    if (
        math.comb(len(matrix), k) * len(matrix) <= _MOST_PANELS * 100
        and math.comb(len(matrix), k) <= _MOST_PANELS
    ):
        return _best_of_all(whole_distances, weights, k)
    return sorted(_swap(whole_distances, weights, _build(whole_distances, weights, k)))


def _best_of_all(distances: Ints, weights: Ints, k: int) -> list[int]:
    best: tuple[int, tuple[int, ...]] | None = None
    panels = itertools.combinations(range(len(distances)), k)
    while chunk := list(itertools.islice(panels, 512)):
        nearest = distances[:, np.array(chunk)].min(axis=2)
        costs = weights @ nearest
        place = int(np.argmin(costs))
        if best is None or int(costs[place]) < best[0]:
            best = (int(costs[place]), chunk[place])
    return list(best[1]) if best else []


def _build(distances: Ints, weights: Ints, k: int) -> list[int]:
    """Return a first panel: the medoid of all, then, one by one, who lowers the sum most."""
    chosen = [int(np.argmin(distances @ weights))]
    nearest = distances[chosen[0]].copy()
    while len(chosen) < k:
        gains = np.maximum(nearest - distances, 0) @ weights
        gains[chosen] = -1
        chosen.append(int(np.argmax(gains)))
        np.minimum(nearest, distances[chosen[-1]], out=nearest)
    return chosen


def _swap(distances: Ints, weights: Ints, chosen: list[int]) -> list[int]:
    """Exchange a medoid for another row, the best exchange each time, until none lowers the sum."""
    while True:
        panel = distances[:, chosen]
        order = np.argsort(panel, axis=1, kind="stable")
        owner = order[:, 0]
        rows = np.arange(len(distances))
        nearest = panel[rows, owner]
        second = panel[rows, order[:, 1]] if len(chosen) > 1 else np.full(len(distances), distances.max() + 1)
        # Rows gained from everybody, whoever leaves (FastPAM's decomposition, Schubert and Rousseeuw 2019).
        change = np.empty((len(distances), len(chosen)), dtype=np.int64)
        gained = np.minimum(distances - nearest, 0) @ weights
        for place in range(len(chosen)):
            mine = owner == place
            left = np.minimum(distances[:, mine], second[mine]) - nearest[mine]
            kept = np.minimum(distances[:, mine] - nearest[mine], 0)
            change[:, place] = gained + (left - kept) @ weights[mine]
        change[chosen] = 0
        if change.min() >= 0:
            return chosen
        row, leaving = divmod(int(np.argmin(change)), len(chosen))
        chosen = [*chosen[:leaving], row, *chosen[leaving + 1 :]]
