"""Shifted beta-geometric: how long contracts last, when churn differs between members (Fader and Hardie 2007)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from attrs import frozen

from userops.core.amounts import whole
from userops.core.quantities import listed
from userops.core.tables import Table
from userops.errors import InvalidValue, MissingExtraError

#: Beyond this sum of the parameters members hardly differ: the likelihood is flat, and no maximum is found.
_MOST: Final = 1e6


@frozen
class SBG:
    """Each member's yearly chance of leaving is drawn once from a beta distribution of `alpha` and `beta`."""

    alpha: float
    beta: float
    log_likelihood: float

    def survival(self, year: int) -> float:
        """Return the share still there after so many years: Π (β + i − 1) / (α + β + i − 1)."""
        years = whole(year, "year", at_least=0, at_most=1_000_000)
        return math.exp(
            math.lgamma(self.beta + years)
            - math.lgamma(self.beta)
            + math.lgamma(self.alpha + self.beta)
            - math.lgamma(self.alpha + self.beta + years)
        )

    def retention(self, year: int) -> float:
        """Return the share of those still there at the start of a year who stay through it; it rises.

        >>> model = SBG(1.0, 2.0, 0.0)
        >>> round(model.retention(1), 6), round(model.retention(2), 6)
        (0.666667, 0.75)
        """
        years = whole(year, "year", at_least=1, at_most=1_000_000)
        return (self.beta + years - 1) / (self.alpha + self.beta + years - 1)

    def projection(self, years: int) -> Table:
        """Return survival and retention for every year up to `years`."""
        each = range(whole(years, "years", at_least=1, at_most=10_000) + 1)
        return Table(
            {
                "year": list(each),
                "survival": [self.survival(year) for year in each],
                "retention": [None if not year else self.retention(year) for year in each],
            },
            title=f"Shifted beta-geometric, α = {self.alpha:.3f}, β = {self.beta:.3f}",
            formats={"survival": ".1%", "retention": ".1%"},
        )

    def plot(self, survivors: Sequence[float] = (), *, years: int = 12, ax: Any = None) -> Any:
        """Draw the projected survival, and the observed one; needs the extra `plot`. Returns the Axes."""
        try:
            import matplotlib.pyplot as plt
        except ImportError:
            raise MissingExtraError("drawing needs the extra 'plot': pip install 'userops[plot]'") from None
        ax = ax or plt.subplots()[1]
        ax.plot(range(years + 1), [self.survival(year) for year in range(years + 1)], label="projected")
        if len(survivors):
            ax.plot(range(len(survivors)), [n / survivors[0] for n in survivors], "o", label="observed")
        ax.set_xlabel("years")
        ax.set_ylabel("share still there")
        ax.set_ylim(0, 1.02)
        ax.legend()
        return ax


def sbg(survivors: Any) -> SBG:
    """Return the maximum-likelihood fit to the survivors of one cohort: those at the start, after a year, …

    At least two years, in which somebody left and somebody stayed. Where the data show no difference between
    members (churn does not fall) the likelihood has no maximum, which is an error.

    >>> model = sbg([1000, 869, 743, 653, 593, 551, 517, 491])
    >>> round(model.alpha, 3), round(model.beta, 3)
    (0.668, 3.806)
    """
    counts = _checked(survivors)
    lost = -np.diff(counts)
    a, b = 0.0, 0.0
    value = _likelihood(a, b, lost, counts[-1])
    for _ in range(500):
        slope, curve = _derivatives(a, b, lost, counts[-1])
        if math.exp(a) + math.exp(b) > _MOST:
            break
        step = _ascent(slope, curve)
        size = 1.0
        while size > 1e-12:
            following = _likelihood(a + size * step[0], b + size * step[1], lost, counts[-1])
            if following >= value:
                break
            size /= 2
        a, b = a + size * step[0], b + size * step[1]
        moved, value = size * max(abs(step[0]), abs(step[1])), max(value, following)
        if moved < 1e-12:
            return SBG(math.exp(a), math.exp(b), float(value))
    raise InvalidValue(
        "the likelihood has no maximum: churn does not fall over the years, so that members do not seem to "
        "differ; a constant churn rate describes them"
    )


def _checked(survivors: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    counts = [whole(value, "survivors", at_least=0) for value in listed(survivors, "survivors")]
    if len(counts) < 3:
        raise InvalidValue("survivors are those at the start and after at least two years")
    if any(after > before for before, after in itertools.pairwise(counts)):
        raise InvalidValue("survivors of one cohort never grow in number")
    if counts[0] == counts[-1] or counts[1] == 0:
        raise InvalidValue("a fit needs somebody who left and somebody who stayed the first year")
    return np.array(counts, dtype=np.float64)


def _likelihood(a: float, b: float, lost: Any, left: float) -> float:
    """Return Σ lost·log P(leaves in year t) + left·log S(T), at the logarithms of the parameters."""
    alpha, beta = math.exp(min(a, 50.0)), math.exp(min(b, 50.0))
    years = np.arange(len(lost))
    stay = np.log(beta + years) - np.log(alpha + beta + years)
    survived = np.concatenate([[0.0], np.cumsum(stay)])
    leaves = survived[:-1] + math.log(alpha) - np.log(alpha + beta + years)
    return float(lost @ leaves + left * survived[-1])


def _derivatives(a: float, b: float, lost: Any, left: float) -> tuple[Any, Any]:
    """Return slope and curvature by the logarithms of the parameters."""
    alpha, beta = math.exp(a), math.exp(b)
    years = np.arange(len(lost))
    # Who stays through year t: those lost later and those left; every member at risk divides by α + β + t.
    stayed = np.cumsum(np.concatenate([lost, [left]])[::-1])[::-1][1:]
    at_risk = stayed + lost
    total = alpha + beta + years
    by_alpha = lost.sum() / alpha - (at_risk / total).sum()
    by_beta = (stayed / (beta + years)).sum() - (at_risk / total).sum()
    both = (at_risk / total**2).sum()
    alpha2 = -lost.sum() / alpha**2 + both
    beta2 = -(stayed / (beta + years) ** 2).sum() + both
    slope = np.array([alpha * by_alpha, beta * by_beta])
    curve = np.array(
        [
            [alpha**2 * alpha2 + slope[0], alpha * beta * both],
            [alpha * beta * both, beta**2 * beta2 + slope[1]],
        ]
    )
    return slope, curve


def _ascent(slope: Any, curve: Any) -> Any:
    """Return Newton's step where the curvature is negative, else one along the slope; never too long."""
    values, vectors = np.linalg.eigh(curve)
    steps = (vectors.T @ slope) / np.maximum(np.abs(values), 1e-12)
    step = vectors @ steps
    return step / max(1.0, float(np.abs(step).max()))
