"""Two samples whose scores are held a given distance apart: the refit behind the constrained-score test.

Each sample is (detractors, passives, promoters). A refit of one sample to the score Δ has the variance
V(Δ) = 2x + Δ(1 - Δ) for Δ ≥ 0, where x, the refitted detractors' share, solves a quadratic; negative Δ are
mirrored. The slope of a sample's log-likelihood in Δ is n(Δ̂ - Δ) / V(Δ), and it falls in Δ, because the
likelihood is concave. So the two slopes cancel at exactly one common θ, which lies between the two scores.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Sample = tuple[float, float, float]

#: Halvings of the bracket; what is left of it is below the rounding of a score.
_HALVINGS = 62
#: Counts whose products with each other, and the difference of two such, stay within 64 bits.
_CROSSABLE = 2_000_000_000


def refitted_variance(sample: Sample, score: float) -> float:
    """Return the variance of one answer after refitting the shares to a given score.

    >>> refitted_variance((0, 10, 0), 0.5)  # no detractors are needed for a positive score
    0.25
    """
    d, q, p = sample
    if score < 0:
        d, p, score = p, d, -score
    n = d + q + p
    b = score * (2 * n + d - p) - d - p
    score = min(score, 1.0)
    root = math.sqrt(b * b + 8 * n * d * score * (1 - score))
    # The form of the quadratic's positive root that does not subtract nearly equal numbers.
    x = (root - b) / (4 * n) if b <= 0 else 2 * d * score * (1 - score) / (b + root)
    return 2 * x + score * (1 - score)


def statistic(a: Sample, b: Sample, difference: float, at: float) -> float:
    """Return z of the hypothesis that the scores of a and b differ by `at`, given their difference.

    Its square is μ (Δ̂ - δ) with μ the common multiplier, which grows as δ leaves Δ̂: so z falls strictly
    in δ, and what the test accepts is one interval.

    >>> round(statistic((10, 30, 60), (20, 30, 50), 0.2, 0.0), 5)
    1.93375
    """
    if difference == at:
        return 0.0
    n_a, n_b = sum(a), sum(b)
    score_a, score_b = (a[2] - a[0]) / n_a, (b[2] - b[0]) / n_b + at
    low = max(min(score_a, score_b), -1.0, at - 1)
    high = min(max(score_a, score_b), 1.0, at + 1)
    for _ in range(_HALVINGS):
        theta = low + (high - low) / 2
        slope = n_a * (score_a - theta) * refitted_variance(b, theta - at) + n_b * (
            score_b - theta
        ) * refitted_variance(a, theta)
        if slope > 0:
            low = theta
        else:
            high = theta
    theta = low + (high - low) / 2
    spread = refitted_variance(a, theta) / n_a + refitted_variance(b, theta - at) / n_b
    # At ±2 only one pair of scores is so far apart, and neither sample could vary there.
    return (difference - at) / math.sqrt(spread) if spread > 0 else math.copysign(math.inf, difference - at)


def statistics_at_zero(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """Return z of equal scores for many pairs: rows of counts in `a` against the same rows in `b`.

    The same steps as `statistic`, a column at a time; z is signed as score of a minus score of b.

    >>> statistics_at_zero(np.array([[10, 30, 60]]), np.array([[20, 30, 50]])).round(5).tolist()
    [1.93375]
    """
    difference = differences(a, b)
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    n_a, n_b = a.sum(axis=1), b.sum(axis=1)
    score_a, score_b = (a[:, 2] - a[:, 0]) / n_a, (b[:, 2] - b[:, 0]) / n_b
    low, high = np.minimum(score_a, score_b), np.maximum(score_a, score_b)
    for _ in range(_HALVINGS):
        theta = low + (high - low) / 2
        slope = n_a * (score_a - theta) * _variances(b, n_b, theta) + n_b * (score_b - theta) * _variances(
            a, n_a, theta
        )
        upper = slope > 0
        low = np.where(upper, theta, low)
        high = np.where(upper, high, theta)
    theta = low + (high - low) / 2
    spread = _variances(a, n_a, theta) / n_a + _variances(b, n_b, theta) / n_b
    found: NDArray[np.float64] = np.zeros(len(theta))
    apart = difference != 0
    found[apart] = difference[apart] / np.sqrt(spread[apart])
    return found


def differences(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """Return the score of a minus the score of b for rows of counts; whole counts are subtracted exactly.

    >>> differences(np.array([[0, 2, 1]]), np.array([[0, 1, 1]])).tolist() == [1 / 3 - 1 / 2]
    False
    >>> differences(np.array([[0, 2, 1]]), np.array([[0, 1, 1]])).tolist() == [-1 / 6]
    True
    """
    n_a, n_b = a.sum(axis=1), b.sum(axis=1)
    balance_a, balance_b = a[:, 2] - a[:, 0], b[:, 2] - b[:, 0]
    is_exact = a.dtype.kind == b.dtype.kind == "i" and max(n_a.max(), n_b.max()) <= _CROSSABLE
    if is_exact:
        found: NDArray[np.float64] = (balance_a * n_b - balance_b * n_a) / (n_a.astype(float) * n_b)
        return found
    apart: NDArray[np.float64] = balance_a / n_a - balance_b / n_b
    return apart


def _variances(sample: NDArray[Any], n: NDArray[Any], score: NDArray[Any]) -> NDArray[Any]:
    """Return `refitted_variance` by columns."""
    mirrored = score < 0
    d = np.where(mirrored, sample[:, 2], sample[:, 0])
    p = np.where(mirrored, sample[:, 0], sample[:, 2])
    score = np.abs(score)
    b = score * (2 * n + d - p) - d - p
    root = np.sqrt(b * b + 8 * n * d * score * (1 - score))
    below = b <= 0
    x = np.where(below, (root - b) / (4 * n), 2 * d * score * (1 - score) / np.where(below, 1.0, b + root))
    found: NDArray[Any] = 2 * x + score * (1 - score)
    return found
