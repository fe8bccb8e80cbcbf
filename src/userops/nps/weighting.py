"""Weighting: scores of answers that stand for unequal numbers of members."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from userops.core.columns import column
from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.nps.charts import draw_points
from userops.nps.intervals import Interval
from userops.nps.scales import Scale
from userops.nps.scores import Counts, Shares, by_reason, excluded_notes, interval_of, score_table
from userops.nps.values import number

#: The value of an answer by class.
VALUES = np.array([-1.0, 0.0, 1.0])
Floats = NDArray[np.float64]


@frozen(kw_only=True)
class WeightedNPS:
    """A weighted score with its linearised standard error; the scale of the weights does not matter.

    `counts` are the weighted shares scaled to Kish's effective number of answers; the interval, and a
    comparison with another result, are those of such counts.
    """

    n: int
    shares: Shares
    effective_n: float
    #: The linearised variance of the score; None from a single answer, which shows no spread.
    variance_of_score: float | None
    #: How many weights were cut to the limit of `trim`.
    trimmed: int
    scale: Scale
    _excluded: tuple[tuple[str, int], ...] = field(default=(), converter=by_reason)

    @property
    def excluded(self) -> dict[str, int]:
        """Return how many answers were set aside, by reason."""
        return dict(self._excluded)

    @property
    def score(self) -> float:
        """Return the weighted score, from -1 to 1."""
        return self.shares.promoters - self.shares.detractors

    @property
    def points(self) -> float:
        """Return the score in points, from -100 to 100."""
        return 100 * self.score

    @property
    def standard_error(self) -> float:
        """Return the linearised standard error, with n / (n - 1), in units of score."""
        if self.variance_of_score is None:
            raise InvalidValue("one answer has no standard error; the interval does not need it")
        return math.sqrt(self.variance_of_score)

    @property
    def design_effect(self) -> float:
        """Return Kish's design effect of the weights, n over the effective n."""
        return self.n / self.effective_n

    @property
    def counts(self) -> Counts:
        """Return (detractors, passives, promoters), scaled to the effective number of answers."""
        d, q, p = (share * self.effective_n for share in self.shares)
        return d, q, p

    def interval(self, level: float = 0.95, method: str = "score") -> Interval:
        """Return (low, high) of the score from the counts scaled to the effective number of answers.

        All methods of `NPS.interval` but the bootstrap, which would need the answers themselves.
        """
        if isinstance(method, str) and method == "bootstrap":
            raise InvalidValue("the bootstrap needs unweighted counts; use another method")
        return interval_of(self.counts, level=level, method=method)

    def table(self, *, level: float = 0.95, method: str = "score") -> Table:
        """Return the weighted shares and the score with its interval as a table."""
        low, high = self.interval(level, method)
        notes = [f"weighted: effective n {self.effective_n:,.1f}, design effect {self.design_effect:.3f}"]
        if self.variance_of_score is not None:
            notes.append(f"linearised standard error {100 * self.standard_error:.2f} points")
        if self.trimmed:
            notes.append(f"{self.trimmed:,} weights trimmed")
        notes += excluded_notes(self.excluded)
        return score_table(
            "Weighted NPS", self.n, self.shares, (self.score, low, high), level=level, notes=notes
        )

    def plot(self, ax: Any = None, *, level: float = 0.95, method: str = "score") -> Any:
        """Draw the score with its interval on matplotlib Axes (extra `plot`) and return them."""
        low, high = self.interval(level, method)
        xlabel = f"weighted NPS, {level:.0%} interval"
        return draw_points(["all"], [self.score], [low], [high], ax=ax, xlabel=xlabel)

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def check_weights(given: Any, *, rows: int) -> Floats:
    """Return weights as floats, one per row: finite, not negative; integers, floats, decimals, fractions.

    >>> check_weights([1, 2.5], rows=2).tolist()
    [1.0, 2.5]
    """
    taken = column(given, "weights")
    if len(taken) != rows:
        raise InvalidValue(f"weights have {len(taken)} rows where scores have {rows}")
    gone = np.flatnonzero(np.ma.getmaskarray(taken))
    if len(gone):
        raise InvalidValue(f"weights[{int(gone[0])}] is missing")
    data = np.ma.getdata(taken)
    if data.dtype.kind == "O":
        found = np.fromiter((_weight(value, row) for row, value in enumerate(data)), float, len(data))
    elif data.dtype.kind in "iuf":
        found = data.astype(float)
    else:
        raise InvalidValue(f"weights must be numbers, not {data.dtype}")
    bad = np.flatnonzero(~(np.isfinite(found) & (found >= 0)))
    if len(bad):
        row = int(bad[0])
        raise InvalidValue(f"weights[{row}] is {found[row]}; a weight is finite and not negative")
    return found


def _weight(value: Any, row: int) -> float:
    if isinstance(value, bool | np.bool_) or not isinstance(
        value, int | float | Decimal | Fraction | np.integer | np.floating
    ):
        raise InvalidValue(f"weights[{row}] must be a number, not {type(value).__name__}")
    try:
        return float(value)
    except (OverflowError, ValueError):
        raise InvalidValue(f"weights[{row}] is not a finite number of ordinary size") from None


def check_trim(trim: object) -> float | None:
    """Return the greatest allowed weight in units of the mean weight, or None for no limit.

    >>> check_trim(3)
    3.0
    """
    if trim is None:
        return None
    value = number(trim, "trim")
    if value < 1:
        raise InvalidValue("trim must be at least 1: a weight of the mean is never too large")
    return value


def weigh(
    classes: NDArray[Any],
    weights: Floats,
    *,
    trim: float | None,
    scale: Scale,
    excluded: Mapping[str, int],
    what: str = "",
) -> WeightedNPS:
    """Return the weighted score of classes 0, 1, 2, each answer with its weight.

    The error is that of the ratio Σwx / Σw, linearised: n / (n - 1) · Σ (w (x - score) / Σw)².
    """
    n = len(classes)
    if not n:
        raise InvalidValue(f"there are no answers{what}: the score of none is undefined")
    most = float(weights.max())
    if most == 0:
        raise InvalidValue(f"all weights{what} are zero")
    weights = weights / most
    trimmed = 0
    if trim is not None:
        limit = trim * float(weights.mean())
        trimmed = int(np.count_nonzero(weights > limit))
        weights = np.minimum(weights, limit)
    by_class = [weights[classes == k] for k in range(3)]
    sums = np.array([part.sum() for part in by_class])
    squares = np.array([np.dot(part, part) for part in by_class])
    return from_sums(n, sums, squares, trimmed=trimmed, scale=scale, excluded=excluded)


def from_sums(
    n: int,
    sums: Floats,
    squares: Floats,
    *,
    scale: Scale,
    excluded: Mapping[str, int],
    trimmed: int = 0,
    variance: float | None = None,
) -> WeightedNPS:
    """Return the weighted score of sums of weights and of squared weights by class.

    `variance` replaces that of the plain weighted score where the weights were fitted to the sample.
    """
    total = math.fsum(sums)
    shares = Shares(*(float(part / total) for part in sums))
    if variance is None:
        deviations = VALUES - (shares.promoters - shares.detractors)
        variance = math.fsum(squares * deviations**2) / total**2
    return WeightedNPS(
        n=n,
        shares=shares,
        effective_n=min(float(n), total**2 / math.fsum(squares)),
        variance_of_score=variance * n / (n - 1) if n > 1 else None,
        trimmed=trimmed,
        scale=scale,
        excluded=excluded,
    )
