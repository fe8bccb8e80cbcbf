"""Calibration: weights that make a sample match the population, by cells or by margins."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from userops.errors import InvalidValue
from userops.nps.counting import class_codes, columns_of
from userops.nps.labels import Labels
from userops.nps.scales import Scale, check_scale
from userops.nps.values import brief
from userops.nps.weighting import VALUES, Floats, WeightedNPS, check_trim, from_sums

#: Rounds of raking before giving up; margins that can be met settle in dozens.
MOST_ROUNDS = 10_000
_SETTLED = 1e-13


@frozen(eq=False)
class _Margin:
    """The levels that have answers, each row's place among them, and the levels' target shares."""

    name: str
    levels: tuple[Any, ...]
    places: NDArray[np.int64]
    targets: Floats


@frozen(eq=False)
class _Sample:
    """The classes of the answers that count, and what was set aside."""

    classes: NDArray[np.int8]
    excluded: dict[str, int]
    margins: tuple[_Margin, ...]
    scale: Scale


def post_stratify(
    scores: Any,
    cell: Any,
    targets: Mapping[Any, Any],
    *,
    scale: Scale = Scale.ZERO_TO_TEN,
    invalid: str = "raise",
    trim: float | None = None,
) -> WeightedNPS:
    """Return the score with each cell counted at its share of the population.

    `cell` is a column of labels, `targets` each label's share (together 1). The error is that of the
    post-stratified mean, linearised: residuals are taken from the cell's own score. `trim` limits weights
    to that many mean weights; the targets then hold only roughly, and residuals are taken from the score.

    >>> found = post_stratify([10, 9, 0, 8], ["a", "a", "b", "b"], targets={"a": 0.75, "b": 0.25})
    >>> found.score
    0.625
    """
    sample = _sample(scores, {"cell": cell}, {"cell": targets}, scale=scale, invalid=invalid)
    (margin,) = sample.margins
    counts = _cell_counts(margin.places, sample.classes, len(margin.levels))
    sizes = counts.sum(axis=1)
    residuals = VALUES - (counts @ VALUES / sizes)[:, None]
    return _calibrated(sample, counts, margin.targets / sizes, residuals, trim=trim)


def rake(
    scores: Any,
    columns: Mapping[str, Any],
    targets: Mapping[str, Mapping[Any, Any]],
    *,
    scale: Scale = Scale.ZERO_TO_TEN,
    invalid: str = "raise",
    trim: float | None = None,
) -> WeightedNPS:
    """Return the score under weights whose margins match the population (iterative proportional fitting).

    `columns` gives each margin's column of labels, `targets` each margin's shares by level. The error is
    linearised: residuals are those of a regression on the margins. `trim` is as in `post_stratify`.

    >>> found = rake(
    ...     [10, 9, 0, 8] * 2,
    ...     {"city": list("aabb") * 2, "sex": list("fm") * 4},
    ...     {"city": {"a": 0.75, "b": 0.25}, "sex": {"f": 0.5, "m": 0.5}},
    ... )
    >>> round(found.score, 12)
    0.625
    """
    if not isinstance(columns, Mapping) or not isinstance(targets, Mapping) or not columns:
        raise InvalidValue("rake takes two mappings: {margin: column} and {margin: {level: share}}")
    if set(columns) != set(targets):
        odd = sorted(map(brief, set(columns) ^ set(targets)))
        raise InvalidValue(f"margin {odd[0]} needs both a column and targets")
    sample = _sample(scores, columns, targets, scale=scale, invalid=invalid)
    # Rows of equal levels share one weight: the fitting works on the cells that occur.
    rows = np.stack([margin.places for margin in sample.margins], axis=1)
    cells, places = np.unique(rows, axis=0, return_inverse=True)
    counts = _cell_counts(places.reshape(-1), sample.classes, len(cells))
    weights = _raked(counts.sum(axis=1), cells, sample.margins)
    residuals = VALUES - _fitted(counts, cells, sample.margins)[:, None]
    return _calibrated(sample, counts, weights, residuals, trim=trim)


def _sample(
    scores: Any, columns: Mapping[str, Any], targets: Mapping[str, Any], *, scale: Scale, invalid: str
) -> _Sample:
    """Read the answers and the margins, refusing levels that cannot be weighed."""
    answers = columns_of(scores, check_scale(scale), invalid)
    classes, excluded = class_codes(answers)
    kept = classes >= 0
    if not kept.any():
        raise InvalidValue("there are no answers: the score of none is undefined")
    margins = []
    for name, given in columns.items():
        labels = Labels.of(given, str(name), rows=len(answers))
        places = labels.block(0, len(answers)).astype(np.int64)
        gone = np.flatnonzero((places < 0) & kept)
        if len(gone):
            raise InvalidValue(f"{name}[{int(gone[0])}] is missing: an answer without it has no weight")
        margins.append(_margin(str(name), labels, places[kept], targets[name]))
    return _Sample(classes[kept], excluded, tuple(margins), scale)


def _margin(name: str, labels: Labels, places: NDArray[np.int64], targets: Any) -> _Margin:
    """Meet the levels that have answers with those that have targets."""
    if not isinstance(targets, Mapping) or not targets:
        raise InvalidValue(f"targets of {name} must be a mapping from level to share")
    sizes = np.bincount(places, minlength=len(labels))
    used = np.flatnonzero(sizes)
    levels = tuple(labels.values[k] for k in used)
    shares = {level: _share(name, level, share) for level, share in targets.items()}
    for level in shares:
        if level not in levels:
            raise InvalidValue(f"{name} {brief(level)} has a target but no answers; join it to another")
    for level, size in zip(levels, sizes[used].tolist(), strict=True):
        if level not in shares:
            raise InvalidValue(f"{name} {brief(level)} has answers but no target")
        if size < 2:
            raise InvalidValue(
                f"{name} {brief(level)} has one answer, which shows no spread; join it to another"
            )
    total = math.fsum(shares.values())
    if abs(total - 1) > 1e-6:
        raise InvalidValue(f"targets of {name} sum to {total:.6g}; shares sum to 1")
    compact = np.zeros(len(labels), np.int64)
    compact[used] = np.arange(len(used))
    return _Margin(name, levels, compact[places], np.array([shares[level] / total for level in levels]))


def _share(name: str, level: Any, share: Any) -> float:
    if isinstance(share, bool | np.bool_) or not isinstance(
        share, int | float | Decimal | Fraction | np.integer | np.floating
    ):
        raise InvalidValue(
            f"the target of {name} {brief(level)} must be a number, not {type(share).__name__}"
        )
    try:
        value = float(share)
    except (OverflowError, ValueError):
        value = math.nan
    if not 0 < value <= 1:
        raise InvalidValue(f"the target of {name} {brief(level)} must be a share above 0, at most 1")
    return value


def _cell_counts(places: NDArray[np.int64], classes: NDArray[np.int8], cells: int) -> NDArray[np.int64]:
    """Return (cell, class) counts."""
    found: NDArray[np.int64] = np.bincount(places * 3 + classes, minlength=3 * cells).reshape(cells, 3)
    return found


def _raked(sizes: NDArray[np.int64], cells: NDArray[np.int64], margins: tuple[_Margin, ...]) -> Floats:
    """Return one answer's weight by cell, scaling to each margin in turn until all are met."""
    mass = sizes / sizes.sum()
    worst, gap = margins[0], math.inf
    for _ in range(MOST_ROUNDS):
        gap = 0.0
        for k, margin in enumerate(margins):
            now = np.bincount(cells[:, k], weights=mass, minlength=len(margin.levels))
            off = float(np.abs(now - margin.targets).max())
            if off > gap:
                worst, gap = margin, off
            # A level is never empty, but its mass may sink below the smallest float where nothing fits.
            mass = mass * (margin.targets / np.maximum(now, 1e-300))[cells[:, k]]
        if gap <= _SETTLED:
            found: Floats = mass / sizes
            return found
    raise InvalidValue(
        f"raking did not settle: after {MOST_ROUNDS:,} rounds a level of {worst.name} is off by {gap:.2g}; "
        "the cells that occur cannot meet these margins"
    )


def _fitted(counts: NDArray[np.int64], cells: NDArray[np.int64], margins: tuple[_Margin, ...]) -> Floats:
    """Return each cell's value under the least-squares fit of answers on the margins' levels."""
    design = np.concatenate(
        [np.eye(len(margin.levels))[cells[:, k]] for k, margin in enumerate(margins)], axis=1
    )
    sizes = counts.sum(axis=1)
    roots = np.sqrt(sizes)
    solution = np.linalg.lstsq(design * roots[:, None], counts @ VALUES / sizes * roots, rcond=None)[0]
    found: Floats = design @ solution
    return found


def _calibrated(
    sample: _Sample, counts: NDArray[np.int64], weights: Floats, residuals: Floats, *, trim: float | None
) -> WeightedNPS:
    """Return the score of cells with one weight each, and the error of its residuals."""
    limit, trimmed, n = check_trim(trim), 0, int(counts.sum())
    sizes = counts.sum(axis=1)
    if limit is not None:
        most = limit * float(np.dot(weights, sizes)) / n
        trimmed = int(sizes[weights > most].sum())
        weights = np.minimum(weights, most)
    sums = weights @ counts
    squares = weights**2 @ counts
    variance = None
    if not trimmed:
        parts = weights[:, None] * residuals
        total = float(sums.sum())
        centre = float((counts * parts).sum()) / n
        variance = math.fsum((counts * (parts - centre) ** 2).ravel()) / total**2
    return from_sums(
        n,
        sums,
        squares,
        trimmed=trimmed,
        variance=variance,
        scale=sample.scale,
        excluded=sample.excluded,
    )
