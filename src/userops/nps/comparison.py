"""Comparison: the difference of two scores, its constrained-score test, and the interval that inverts it."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Protocol

from attrs import frozen

from userops.core.statistics import check_level, normal_quantile, normal_tail, root
from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.nps.charts import draw_points
from userops.nps.constrained import Sample, statistic
from userops.nps.intervals import Interval
from userops.nps.scales import Scale, same_scale
from userops.nps.values import brief


class Scored(Protocol):
    """What can be compared: an `NPS`, or a weighted result with its effective counts."""

    @property
    def scale(self) -> Scale:
        """Return the scale of the answers."""

    @property
    def score(self) -> float:
        """Return the score."""

    @property
    def counts(self) -> Sample:
        """Return (detractors, passives, promoters), scaled to the effective number of answers."""


@frozen
class Difference:
    """The score of `a` minus the score of `b`, with the test that both are one.

    `interval` holds exactly the differences that the test does not reject: 0 lies outside it just when
    `p_value` is below 1 - level. Two overlapping intervals of single scores say nothing of the kind.
    """

    difference: float
    z: float
    p_value: float
    interval: Interval
    level: float
    score_a: float
    score_b: float

    @property
    def points(self) -> float:
        """Return the difference in points, from -200 to 200."""
        return 100 * self.difference

    def table(self) -> Table:
        """Return the comparison as a table of one row, scores in points."""
        low, high = f"{100 * self.level:.6g}% low", "high"
        cells = {"NPS a": self.score_a, "NPS b": self.score_b, "a - b": self.difference}
        cells |= {low: self.interval[0], high: self.interval[1]}
        columns: dict[str, Any] = {name: [100 * cell] for name, cell in cells.items()}
        return Table(
            {**columns, "z": [self.z], "p": [self.p_value]},
            title="Difference of two scores (constrained-score test)",
            formats={**dict.fromkeys(cells, "+.1f"), "z": "+.3f", "p": shown_p},
        )

    def plot(self, ax: Any = None) -> Any:
        """Draw the difference with its interval on matplotlib Axes (extra `plot`) and return them."""
        low, high = self.interval
        xlabel = f"difference of NPS, {self.level:.0%} interval"
        return draw_points(["a - b"], [self.difference], [low], [high], ax=ax, xlabel=xlabel)

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def difference(a: Scored, b: Scored, *, level: float = 0.95, method: str = "score") -> Difference:
    """Test whether two independent samples have one score, and estimate by how much a exceeds b.

    One common θ is fitted to both trinomials by maximum likelihood; z is the difference over its standard
    error there. At a nominal 5% the exact size, over the trinomials with all shares positive multiples of
    .05, is at most .07 from 12 answers a side and .06 from 30; where there are no passives the score has few
    distinct values, and the size can be .076 (13 a side).
    Weighted results enter with their counts scaled to their effective number of answers.

    >>> from userops.nps.scores import NPS
    >>> found = difference(
    ...     NPS(detractors=10, passives=30, promoters=60), NPS(detractors=20, passives=30, promoters=50)
    ... )
    >>> round(found.z, 5), round(found.p_value, 5), found.interval[0] < 0
    (1.93375, 0.05314, True)
    """
    if not isinstance(method, str) or method != "score":
        raise InvalidValue(f'method must be "score", not {brief(method)}')
    same_scale(_scale_of(a, "a"), _scale_of(b, "b"))
    level = check_level(level)
    counts_a, counts_b = a.counts, b.counts
    apart = exact_difference(counts_a, counts_b)
    z = _mirrored_statistic(counts_a, counts_b, apart)
    p = p_of(z)
    low = _bound(counts_a, counts_b, apart, level=level, p=p)
    high = -_bound(counts_b, counts_a, -apart, level=level, p=p)
    return Difference(apart, z, p, (low, high), level, a.score, b.score)


def _scale_of(result: Any, name: str) -> Scale:
    scale = getattr(result, "scale", None)
    if not isinstance(scale, Scale) or not hasattr(result, "counts"):
        raise InvalidValue(f"{name} must be a result such as NPS, not {type(result).__name__}")
    return scale


def shown_p(p: float) -> str:
    """Return a p-value as a table shows it; a small one is not shown as none.

    >>> shown_p(0.00001)
    '<0.0001'
    """
    return "<0.0001" if p < 0.0001 else f"{p:.4f}"


def p_of(z: float) -> float:
    """Return the two-sided p-value of a normal statistic.

    >>> p_of(0.0)
    1.0
    """
    return 2 * normal_tail(abs(z))


def exact_difference(a: Sample, b: Sample) -> float:
    """Return the difference of two scores, rounded once: a difference of one answer in 10⁹ keeps its sign.

    >>> exact_difference((0, 0, 1), (0, 1, 0))
    1.0
    """
    score_a = Fraction(a[2]) - Fraction(a[0])
    score_b = Fraction(b[2]) - Fraction(b[0])
    return float(score_a / sum(map(Fraction, a)) - score_b / sum(map(Fraction, b)))


def _mirrored_statistic(a: Sample, b: Sample, apart: float) -> float:
    """Return z at no difference, computed from the higher score down, so that swapping only flips its sign."""
    return -statistic(b, a, -apart, 0.0) if apart < 0 else statistic(a, b, apart, 0.0)


def _bound(a: Sample, b: Sample, apart: float, *, level: float, p: float) -> float:
    """Return the low end of the interval of a - b.

    z falls strictly from 0 at δ = `apart` ... to -∞ as δ grows, and rises to +∞ at δ = -2, where neither
    sample could vary: a bracket. When `apart` is positive, the test of δ = 0 halves the bracket, so that
    the bound and the p-value can never disagree.
    """
    reach = -normal_quantile((1 - level) / 2)

    def excess(delta: float) -> float:
        return statistic(a, b, apart, delta) - reach

    if apart <= -2:
        return -2.0
    if apart <= 0:
        return _searched(excess, -2.0, apart)
    if p < 1 - level:
        return max(_searched(excess, 0.0, apart), math.ulp(0.0))
    return min(_searched(excess, -2.0, 0.0), 0.0)


def _searched(excess: Any, low: float, high: float) -> float:
    """Return the root in a bracket whose ends may touch it within rounding."""
    at_high = excess(high)
    if at_high >= 0:
        return high
    if excess(low) <= 0:
        return low
    if low == -2.0:
        # The statistic is infinite at the end: step inside until it is a number above the reach.
        step = 1.0
        while not math.isfinite(excess(low + step)) or excess(low + step) < 0:
            step /= 2
            if low + step in (low, high):
                return low
        low += step if low + step < high else 0.0
    return root(excess, low, high)
