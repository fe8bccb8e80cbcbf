"""Distances: how unlike members are, by Gower's coefficient over columns of numbers and of categories."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from userops.core.columns import columns as taken_columns
from userops.core.quantities import checked_number, is_known, mapped, shown
from userops.errors import InvalidValue

Floats = NDArray[np.float64]


@frozen(eq=False)
class Feature:
    """One column, ready to compare: numbers scaled to [0, 1] by their range, or the codes of categories."""

    name: str
    values: Floats
    is_number: bool
    known: NDArray[np.bool_]
    weight: float


def features(columns: Any, weights: Mapping[str, Any] | None = None) -> tuple[Feature, ...]:
    """Return the columns as features, in the order of their names, so that the given order is irrelevant."""
    taken = taken_columns(columns)
    if not taken or not len(next(iter(taken.values()))):
        raise InvalidValue("a distance needs at least one column with at least one row")
    checked = _weights(taken, weights)
    return tuple(_feature(name, taken[name], checked[name]) for name in sorted(taken) if checked[name] > 0)


def _weights(taken: Mapping[str, Any], weights: Mapping[str, Any] | None) -> dict[str, float]:
    given = mapped(weights, "weights")
    unknown = sorted(map(shown, set(given) - set(taken)))
    if unknown:
        raise InvalidValue(f"weights name a column that is not there: {unknown[0]}")
    found = {
        name: checked_number(given.get(name, 1.0), f"the weight of {name!r}", 0, 1e100) for name in taken
    }
    if not any(found.values()):
        raise InvalidValue("at least one column needs a weight above 0")
    return found


def _feature(name: str, column: NDArray[Any], weight: float) -> Feature:
    data, known = np.ma.getdata(column), ~np.ma.getmaskarray(column)
    if data.dtype.kind in "fiu":
        return _number(name, data.astype(np.float64), known, weight)
    if data.dtype.kind == "M":
        known = known & ~np.isnat(data)
        ticks = data.astype("datetime64[us]").view(np.int64)
        return _number(
            name, (ticks - (ticks[known].min() if known.any() else 0)).astype(np.float64), known, weight
        )
    if data.dtype == object:
        known = known & np.fromiter((is_known(value) for value in data), bool, len(data))
        if all(_is_number(value) for value in data[known]):
            numbers = np.array(
                [
                    checked_number(value, name, -1e300, 1e300) if ok else np.nan
                    for value, ok in zip(data, known, strict=True)
                ]
            )
            return _number(name, numbers, known, weight)
    return Feature(name, _codes(name, data, known), False, known, weight)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal | Fraction | np.number) and not isinstance(value, bool)


def _number(name: str, data: Floats, known: NDArray[np.bool_], weight: float) -> Feature:
    known = known & ~np.isnan(data)
    if np.isinf(data[known]).any():
        raise InvalidValue(f"{name} has an infinite value: a range cannot scale it")
    found = data[known]
    low, high = (float(found.min()), float(found.max())) if found.size else (0.0, 0.0)
    # Halves, because the range itself may overflow.
    half = high / 2 - low / 2
    scaled = np.zeros(len(data)) if half == 0 else (data / 2 - low / 2) / half
    return Feature(name, np.where(known, scaled, 0.0), True, known, weight)


def _codes(name: str, data: NDArray[Any], known: NDArray[np.bool_]) -> Floats:
    places: dict[Any, int] = {}
    try:
        found = [
            places.setdefault(value, len(places)) if ok else -1
            for value, ok in zip(data.tolist(), known.tolist(), strict=True)
        ]
    except TypeError:
        raise InvalidValue(f"{name} holds values that are no categories, such as lists") from None
    return np.array(found, dtype=np.float64)


def between(found: tuple[Feature, ...], rows: NDArray[np.int64], others: NDArray[np.int64]) -> Floats:
    """Return the distances of some rows from some others, a matrix."""
    total = np.zeros((len(rows), len(others)))
    weight = np.zeros_like(total)
    for feature in found:
        one, other = feature.values[rows][:, None], feature.values[others][None, :]
        apart = np.abs(one - other) if feature.is_number else (one != other).astype(np.float64)
        both = feature.known[rows][:, None] & feature.known[others][None, :]
        total += np.where(both, apart, 0.0) * feature.weight
        weight += both * feature.weight
    if (weight == 0).any():
        place = np.argwhere(weight == 0)[0]
        raise InvalidValue(
            f"rows {int(rows[place[0]])} and {int(others[place[1]])} have no column in which both have a value: "
            "their distance is undefined"
        )
    # Rounding may carry a sum of weights just past their total.
    distances: Floats = np.minimum(total / weight, 1.0)
    return distances


def gower(columns: Any, *, weights: Mapping[str, Any] | None = None) -> Floats:
    """Return the matrix of distances between all rows, from 0 (alike in every column) to 1.

    Numbers differ by the absolute difference over the range, categories (text, truth) by 0 or 1; the distance
    is the mean over the columns in which both rows have a value, weighted by `weights` (Gower 1971). Infinite
    numbers, and two rows without a column in common, are errors.

    >>> gower({"age": [30, 40, 50], "city": ["Hefei", "Hefei", "Shanghai"]}).tolist()
    [[0.0, 0.25, 1.0], [0.25, 0.0, 0.75], [1.0, 0.75, 0.0]]
    """
    found = features(columns, weights)
    rows = np.arange(len(found[0].values))
    return between(found, rows, rows)


def mean_distances(found: tuple[Feature, ...], rows: NDArray[np.int64]) -> Floats:
    """Return the mean distance of every row from all of them, itself included, in O(n log n).

    Σ|x − y| over sorted numbers needs only running sums, and unequal categories only counts. Missing values
    change the weights of pairs: rows are grouped by which columns they know, and groups taken in pairs.
    """
    known = np.array([feature.known[rows] for feature in found])
    patterns, group = np.unique(known, axis=1, return_inverse=True)
    group = group.reshape(-1)
    members = [np.flatnonzero(group == g) for g in range(patterns.shape[1])]
    total = np.zeros(len(rows))
    for a, mine in enumerate(members):
        for b, theirs in enumerate(members):
            shared = patterns[:, a] & patterns[:, b]
            weight = sum(feature.weight for feature, both in zip(found, shared, strict=True) if both)
            if weight == 0:
                raise InvalidValue(
                    "two rows have no column in which both have a value: their distance is undefined"
                )
            for feature, both in zip(found, shared, strict=True):
                if both:
                    values = feature.values[rows]
                    apart = _sums(values[mine], values[theirs], is_number=feature.is_number)
                    total[mine] += apart * (feature.weight / weight)
    mean: Floats = total / len(rows)
    return mean


def _sums(values: Floats, others: Floats, *, is_number: bool) -> Floats:
    """Return Σ over the others of |value − other|, or of value ≠ other."""
    ordered = np.sort(others)
    if not is_number:
        equal = np.searchsorted(ordered, values, "right") - np.searchsorted(ordered, values, "left")
        unequal: Floats = (len(others) - equal).astype(np.float64)
        return unequal
    below = np.searchsorted(ordered, values, "right")
    running = np.concatenate([[0.0], np.cumsum(ordered)])
    sums: Floats = values * (2 * below - len(others)) + running[-1] - 2 * running[below]
    return sums
