"""Asking for a score: one call for a column of answers, with or without groups and weights."""

from __future__ import annotations

from typing import Any, overload

import numpy as np

from userops.errors import InvalidValue
from userops.nps.counting import class_codes, columns_of, tally
from userops.nps.groups import Groups
from userops.nps.labels import Labels
from userops.nps.scales import Scale, check_scale
from userops.nps.scores import NPS
from userops.nps.values import brief
from userops.nps.weighting import WeightedNPS, check_trim, check_weights, weigh


@overload
def nps(scores: Any, *, scale: Scale = ..., invalid: str = ...) -> NPS: ...
@overload
def nps(
    scores: Any, *, by: None = ..., weights: None = ..., scale: Scale = ..., invalid: str = ...
) -> NPS: ...
@overload
def nps(
    scores: Any,
    *,
    by: Any,
    weights: None = ...,
    scale: Scale = ...,
    invalid: str = ...,
    level: float = ...,
) -> Groups[NPS]: ...
@overload
def nps(
    scores: Any,
    *,
    by: None = ...,
    weights: Any,
    scale: Scale = ...,
    invalid: str = ...,
    trim: float | None = ...,
) -> WeightedNPS: ...
@overload
def nps(
    scores: Any,
    *,
    by: Any,
    weights: Any,
    scale: Scale = ...,
    invalid: str = ...,
    trim: float | None = ...,
    level: float = ...,
) -> Groups[WeightedNPS]: ...
def nps(
    scores: Any,
    *,
    by: Any = None,
    weights: Any = None,
    scale: Scale = Scale.ZERO_TO_TEN,
    invalid: str = "raise",
    trim: float | None = None,
    level: float = 0.95,
) -> NPS | WeightedNPS | Groups[NPS] | Groups[WeightedNPS]:
    """Count a column of answers: a list, an array, a masked array or a data frame's column.

    Answers are whole numbers of the scale; anything else is refused, or, under `invalid="exclude"`, set
    aside and counted by reason, and floats that are whole are taken. A dismissed question is set aside, it
    is no detractor. `by`, a column of labels, gives one result per group (intervals at `level`) and all
    comparisons. `weights`, a column, gives a weighted score; their scale does not matter, and `trim`
    limits them to that many mean weights.

    >>> nps([10, 9, 8, 3, None], invalid="exclude").score
    0.25
    >>> nps([10, 9.0])
    Traceback (most recent call last):
    userops.errors.InvalidValue: scores[1] is of type float; the scale '0 to 10' takes whole numbers; invalid="exclude" sets such answers aside and counts them
    """
    scale = check_scale(scale)
    limit = check_trim(trim)
    if limit is not None and weights is None:
        raise InvalidValue("trim limits weights, and there are none")
    answers = columns_of(scores, scale, invalid)
    labels = None if by is None else Labels.of(by, "by", rows=len(answers))
    if labels is not None and labels.has_missing and not answers.excluding:
        row = int(np.flatnonzero(labels.places < 0)[0])
        raise InvalidValue(f'by[{row}] is missing; invalid="exclude" sets such answers aside and counts them')
    if weights is None:
        counted = tally(answers, labels)
        found_results = counted.results()
        if labels is None:
            return found_results[0] or NPS.empty(scale=scale)
        results = {
            label: result
            for label, result in zip(labels.values, found_results, strict=True)
            if result is not None
        }
        return Groups(results, level=level, scale=scale, ungrouped=counted.ungrouped)
    classes, excluded = class_codes(answers)
    found = check_weights(weights, rows=len(answers))
    if labels is None:
        kept = classes >= 0
        return weigh(classes[kept], found[kept], trim=limit, scale=scale, excluded=excluded)
    return _weighted_groups(classes, excluded, found, labels, limit=limit, level=level, scale=scale)


def _weighted_groups(
    classes: Any,
    excluded: dict[str, int],
    weights: Any,
    labels: Labels,
    *,
    limit: float | None,
    level: float,
    scale: Scale,
) -> Groups[WeightedNPS]:
    """Weigh each group by itself; what is set aside is counted for all groups together."""
    places = labels.block(0, len(classes))
    kept = (classes >= 0) & (places >= 0)
    lost = int(np.count_nonzero((classes >= 0) & (places < 0)))
    places, classes, weights = places[kept], classes[kept], weights[kept]
    order = np.argsort(places, kind="stable")
    bounds = np.searchsorted(places[order], np.arange(len(labels) + 1))
    results = {}
    for group, label in enumerate(labels.values):
        rows = order[bounds[group] : bounds[group + 1]]
        if len(rows):
            results[label] = weigh(
                classes[rows],
                weights[rows],
                trim=limit,
                scale=scale,
                excluded={},
                what=f" of the group {brief(label)}",
            )
    ungrouped = excluded | ({"no group": lost} if lost else {})
    return Groups(results, level=level, scale=scale, ungrouped=ungrouped)
