"""Planning: how many answers a margin or a difference takes."""

from __future__ import annotations

import math
from typing import Any

from userops.core.amounts import whole
from userops.core.statistics import check_level, normal_quantile
from userops.errors import InvalidValue
from userops.nps.scores import NPS
from userops.nps.values import number


def required_n(
    margin: float, level: float = 0.95, like: NPS | None = None, *, population: int | None = None
) -> int:
    """Return how many answers give an interval of score ± margin.

    `margin` is in units of score: 0.05 is five points. `like`, an earlier result, gives the variance of one
    answer, otherwise the worst case is 1. A finite `population` needs fewer: n / (1 + (n - 1) / N).

    >>> required_n(0.05), required_n(0.05, population=1_000)
    (1537, 607)
    """
    size = _distance(margin, "margin")
    z = -normal_quantile((1 - check_level(level)) / 2)
    return _finite(z / size, _variance(like), population)


def required_n_to_detect(
    delta: float,
    power: float = 0.8,
    like: NPS | None = None,
    *,
    level: float = 0.95,
    population: int | None = None,
) -> int:
    """Return how many answers each of two samples needs to find a difference of `delta` with this power.

    The test is two-sided at 1 - level; both samples are taken to vary as `like` does (worst case 1), and
    `population` is the number of members behind each.

    >>> required_n_to_detect(0.1, 0.8)
    1570
    """
    size = _distance(delta, "delta")
    z = -normal_quantile((1 - check_level(level)) / 2)
    reached = check_level(power, "power")
    if reached <= (1 - level):
        raise InvalidValue("power must exceed 1 - level: chance alone reaches that")
    z += normal_quantile(reached)
    return _finite(z / size, 2 * _variance(like), population)


def _distance(value: Any, name: str) -> float:
    size = number(value, name)
    if not 0 < size <= 2:
        raise InvalidValue(f"{name} must be above 0 and at most 2 units of score: 0.05 is five points")
    return size


def _variance(like: NPS | None) -> float:
    if like is None:
        return 1.0
    if not isinstance(like, NPS):
        raise InvalidValue(f"like must be an NPS or None, not {type(like).__name__}")
    variance = like.variance
    if variance == 0:
        raise InvalidValue("in `like` all answers are of one class: it shows no variance to plan with")
    return variance


def _finite(ratio: float, variance: float, population: int | None) -> int:
    """Round ratio² · variance up, after the correction for a finite population."""
    # A product, unlike a power, becomes infinite instead of raising.
    n = max(ratio * ratio * variance, 1.0)
    if population is not None:
        members = whole(population, "population", at_least=1)
        n = n / (1 + (n - 1) / members) if math.isfinite(n) else float(members)
    if not n < 2**63:
        raise InvalidValue("no sample of 64-bit size is large enough")
    # What exceeds a whole number by rounding only is that number.
    return max(1, math.ceil(n * (1 - 1e-12)))
