"""Scores: counts of detractors, passives and promoters, and the net promoter score they make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from attrs import evolve, field, frozen
from numpy.typing import NDArray

from userops.core.amounts import whole
from userops.core.chance import stream
from userops.core.fields import Check, checked
from userops.core.ids import identifier
from userops.core.statistics import check_level, normal_quantile
from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.nps.answers import REASONS, Answers
from userops.nps.charts import draw_points
from userops.nps.intervals import Interval, adjusted_wald, score_interval, score_variance, wald
from userops.nps.posterior import dirichlet
from userops.nps.resampling import resampled_balances
from userops.nps.scales import Scale, check_scale, same_scale
from userops.nps.values import brief

Counts = tuple[float, float, float]
METHODS = ("score", "adjusted_wald", "wald", "dirichlet", "bootstrap")


class Shares(NamedTuple):
    """The shares of the three classes; they sum to 1 but for rounding."""

    detractors: float
    passives: float
    promoters: float


def interval_of(counts: Counts, *, level: float, method: str) -> Interval:
    """Return an interval of the score of counts, which may be fractions of effective answers.

    >>> interval_of((1.5, 0, 0), level=0.95, method="wald")
    (-1.0, -1.0)
    """
    level = check_level(level)
    forms = {"score": score_interval, "adjusted_wald": adjusted_wald, "wald": wald}
    if isinstance(method, str) and method == "dirichlet":
        return dirichlet(*counts, level)
    if not isinstance(method, str) or method not in forms:
        raise InvalidValue(f"method must be one of {', '.join(METHODS)}, not {brief(method)}")
    return forms[method](*counts, _two_sided(level))


def _two_sided(level: float) -> float:
    """Return the z that leaves (1 - level) / 2 on each side; the tail is the exact half of 1 - level."""
    return -normal_quantile((1 - level) / 2)


def _count(value: object, name: str) -> int:
    return whole(value, name, at_least=0)


def by_reason(given: object) -> tuple[tuple[str, int], ...]:
    """Return counts by reason as sorted pairs, from a mapping or pairs; reasons counted zero are dropped.

    >>> by_reason({"text": 1, "missing": 2, "boolean": 0})
    (('missing', 2), ('text', 1))
    """
    if isinstance(given, tuple) and not given:
        return ()
    pairs = dict(given.items()) if isinstance(given, Mapping) else given
    try:
        counted = {
            identifier(reason, "a reason"): _count(n, "excluded")
            for reason, n in (pairs.items() if isinstance(pairs, dict) else pairs)  # type: ignore[attr-defined]
        }
    except (TypeError, ValueError) as fault:
        if isinstance(fault, InvalidValue):
            raise
        raise InvalidValue("excluded must map each reason to a count") from None
    return tuple(sorted((reason, n) for reason, n in counted.items() if n))


def merged_reasons(a: Mapping[str, int], b: Mapping[str, int]) -> dict[str, int]:
    """Return the sum of two counts by reason.

    >>> merged_reasons({"missing": 1}, {"missing": 2, "text": 1})
    {'missing': 3, 'text': 1}
    """
    return {reason: a.get(reason, 0) + b.get(reason, 0) for reason in sorted({*a, *b})}


_CHECKS: dict[str, Check] = {
    **dict.fromkeys(("detractors", "passives", "promoters"), _count),
    "scale": check_scale,
}


@frozen(kw_only=True, repr=False, field_transformer=checked(_CHECKS))
class NPS:
    """One net promoter score: the counts of the three classes, and what was set aside, by reason.

    Counts add, so results merge in any order and any split. Statistics of no answers are errors.

    >>> result = NPS(detractors=10, passives=30, promoters=60)
    >>> result.score, result.points, [round(x, 5) for x in result.interval()]
    (0.5, 50.0, [0.35569, 0.61876])
    """

    detractors: int
    passives: int
    promoters: int
    scale: Scale = Scale.ZERO_TO_TEN
    _excluded: tuple[tuple[str, int], ...] = field(default=(), converter=by_reason)

    @classmethod
    def empty(cls, *, scale: Scale = Scale.ZERO_TO_TEN) -> NPS:
        """Return the result of no answers, the start of a stream.

        >>> NPS.empty().update(10).update(3).score
        0.0
        """
        return cls(detractors=0, passives=0, promoters=0, scale=scale)

    @property
    def n(self) -> int:
        """Return how many answers count; those set aside do not."""
        return self.detractors + self.passives + self.promoters

    @property
    def excluded(self) -> dict[str, int]:
        """Return how many answers were set aside, by reason."""
        return dict(self._excluded)

    @property
    def counts(self) -> Counts:
        """Return (detractors, passives, promoters), at least one answer in all."""
        if not self.n:
            raise InvalidValue("there are no answers: the score of none is undefined")
        return self.detractors, self.passives, self.promoters

    @property
    def score(self) -> float:
        """Return promoters minus detractors per answer, from -1 to 1."""
        d, _, p = self.counts
        return float((p - d) / self.n)

    @property
    def points(self) -> float:
        """Return the score as boards quote it, from -100 to 100."""
        d, _, p = self.counts
        return float(100 * (p - d) / self.n)

    @property
    def shares(self) -> Shares:
        """Return the shares of detractors, passives and promoters."""
        return Shares(*(float(count / self.n) for count in self.counts))

    @property
    def variance(self) -> float:
        """Return the variance of one answer, p + d - score²."""
        return score_variance(*self.counts)

    def interval(
        self, level: float = 0.95, method: str = "score", *, seed: int = 0, resamples: int = 10_000
    ) -> Interval:
        """Return (low, high) of the score, in units of score.

        `"score"` inverts the score test and stays inside [-1, 1]; its exact coverage is at least .93 over
        the inner trinomials from n = 10, and falls towards the edges, as Wilson's does (.84 at n = 10 with
        promoters .9825). `"adjusted_wald"` and `"wald"` may leave [-1, 1]; `"wald"` and `"bootstrap"` are a
        point where all answers agree. `"dirichlet"` is the posterior's equal tails under a uniform prior.
        `"bootstrap"` takes the percentiles of `resamples` samples drawn from `seed`.

        >>> NPS(detractors=0, passives=10, promoters=0).interval(method="wald")
        (0.0, 0.0)
        """
        if not isinstance(method, str) or method != "bootstrap":
            return interval_of(self.counts, level=level, method=method)
        tail = (1 - check_level(level)) / 2
        low, high = np.quantile(self.resample(seed=seed, resamples=resamples), [tail, 1 - tail])
        return float(low), float(high)

    def resample(self, *, seed: int = 0, resamples: int = 10_000, name: int = 0) -> NDArray[np.float64]:
        """Return scores of samples drawn again, with replacement, from these answers (in no meaningful order).

        Results that need independent draws from one seed take a `name` each.

        >>> NPS(detractors=0, passives=0, promoters=4).resample(resamples=2).tolist()
        [1.0, 1.0]
        """
        d, q, p = (int(count) for count in self.counts)
        draws = whole(resamples, "resamples", at_least=1, at_most=100_000_000)
        return (
            resampled_balances(d, q, p, resamples=draws, rng=stream(seed, "nps", "bootstrap", name)) / self.n
        )

    def update(self, score: Any, *, invalid: str = "raise") -> NPS:
        """Return the result with one more answer; this one stays as it is.

        >>> NPS.empty().update(6.5, invalid="exclude").excluded
        {'not whole': 1}
        """
        boxed = np.empty(1, dtype=object)
        boxed[0] = score
        code = int(Answers.of(boxed, self.scale, invalid=invalid).codes(0, 1)[0])
        classes = self.scale.classes
        if code >= len(classes):
            reason = REASONS[code - len(classes)]
            return evolve(self, excluded=merged_reasons(self.excluded, {reason: 1}))
        name = ("detractors", "passives", "promoters")[classes[code]]
        return evolve(self, **{name: getattr(self, name) + 1})

    def __add__(self, other: object) -> NPS:
        if type(other) is int and other == 0:
            return self  # what `sum` starts with
        if not isinstance(other, NPS):
            return NotImplemented
        return NPS(
            detractors=self.detractors + other.detractors,
            passives=self.passives + other.passives,
            promoters=self.promoters + other.promoters,
            scale=same_scale(self.scale, other.scale),
            excluded=merged_reasons(self.excluded, other.excluded),
        )

    __radd__ = __add__

    def table(self, *, level: float = 0.95, method: str = "score") -> Table:
        """Return the counts, shares and the score with its interval as a table."""
        if not self.n:
            return Table({"n": [0]}, title="NPS: no answers", notes=excluded_notes(self.excluded))
        low, high = self.interval(level, method)
        return score_table(
            "NPS",
            self.n,
            self.shares,
            (self.score, low, high),
            level=level,
            notes=excluded_notes(self.excluded),
        )

    def plot(self, ax: Any = None, *, level: float = 0.95, method: str = "score") -> Any:
        """Draw the score with its interval on matplotlib Axes (extra `plot`) and return them."""
        low, high = self.interval(level, method)
        return draw_points(["all"], [self.score], [low], [high], ax=ax, xlabel=f"NPS, {level:.0%} interval")

    def __repr__(self) -> str:
        parts = [f"{name}={getattr(self, name)}" for name in ("detractors", "passives", "promoters")]
        if self.scale != Scale.ZERO_TO_TEN:
            parts.append(f"scale={self.scale!r}")
        if self._excluded:
            parts.append(f"excluded={self.excluded}")
        return f"NPS({', '.join(parts)})"

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def score_table(
    title: str,
    n: int,
    shares: Shares,
    bounds: tuple[float, float, float],
    *,
    level: float,
    notes: Iterable[str],
) -> Table:
    """Return one result as a table of one row, the score in points.

    >>> score_table("NPS", 4, Shares(0, 0.5, 0.5), (0.5, 0, 1), level=0.95, notes=()).columns["NPS"]
    (50.0,)
    """
    low, high = f"{100 * level:.6g}% low", "high"
    score = [100 * bound for bound in bounds]
    return Table(
        {
            "n": [n],
            "detractors": [shares.detractors],
            "passives": [shares.passives],
            "promoters": [shares.promoters],
            "NPS": [score[0]],
            low: [score[1]],
            high: [score[2]],
        },
        title=title,
        notes=notes,
        formats={
            **dict.fromkeys(("detractors", "passives", "promoters"), ".1%"),
            **dict.fromkeys(("NPS", low, high), "+.1f"),
        },
    )


def excluded_notes(excluded: Mapping[str, int]) -> tuple[str, ...]:
    """Return the sentence that says what was set aside, or nothing.

    >>> excluded_notes({"missing": 2})
    ('set aside: 2 missing',)
    """
    if not excluded:
        return ()
    return ("set aside: " + ", ".join(f"{n:,} {reason}" for reason, n in excluded.items()),)
