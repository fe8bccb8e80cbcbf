"""Groups: one result per city, model or wave, and the comparison of every pair."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from itertools import combinations
from typing import Any, Generic, TypeVar

import numpy as np
from attrs import evolve, field, frozen
from numpy.typing import NDArray

from userops.core.statistics import check_level, holm
from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.nps.charts import draw_points
from userops.nps.comparison import p_of, shown_p
from userops.nps.constrained import differences, statistics_at_zero
from userops.nps.intervals import Interval
from userops.nps.labels import is_missing, label_order, label_text
from userops.nps.scales import Scale, check_scale, same_scale
from userops.nps.scores import NPS, Shares, by_reason, excluded_notes, merged_reasons
from userops.nps.values import brief
from userops.nps.weighting import WeightedNPS

Result = TypeVar("Result", NPS, WeightedNPS)
_BLOCK = 1 << 14


@frozen
class GroupRow:
    """One group: its answers, its score with interval, and the shares; None where it has no answers."""

    group: Any
    n: int
    score: float | None
    interval: Interval | None
    shares: Shares | None


@frozen
class ComparisonRow:
    """Two groups: a minus b, the constrained-score p-value, and Holm's adjustment over all pairs."""

    a: Any
    b: Any
    difference: float
    p_value: float
    p_adjusted: float


def _in_order(results: Any) -> tuple[tuple[Any, Any], ...]:
    try:
        found = dict(results)
    except (TypeError, ValueError):
        raise InvalidValue("groups are a mapping from label to result") from None
    for group, result in found.items():
        if is_missing(group) or not isinstance(result, NPS | WeightedNPS):
            raise InvalidValue(f"the group {brief(group)} needs a label and a result such as NPS")
    return tuple(sorted(found.items(), key=lambda pair: label_order(pair[0])))


@frozen
class Groups(Generic[Result]):
    """Results by group, in one order of labels whatever order the answers came in; they merge by group.

    >>> groups = Groups.empty().update("Hefei", 9).update("Anqing", 3)
    >>> [(row.group, row.score) for row in groups]
    [('Anqing', -1.0), ('Hefei', 1.0)]
    """

    _results: tuple[tuple[Any, Result], ...] = field(converter=_in_order)
    level: float = field(default=0.95, kw_only=True, converter=check_level)
    #: Answers whose group is unknown, by reason.
    _ungrouped: tuple[tuple[str, int], ...] = field(default=(), kw_only=True, converter=by_reason)

    #: The scale of groups yet to come.
    scale: Scale = field(default=Scale.ZERO_TO_TEN, kw_only=True, converter=check_scale)

    @classmethod
    def empty(cls, *, scale: Scale = Scale.ZERO_TO_TEN, level: float = 0.95) -> Groups[NPS]:
        """Return no groups yet, the start of a stream."""
        return Groups((), level=level, scale=scale)

    @property
    def results(self) -> dict[Any, Result]:
        """Return each group's result."""
        return dict(self._results)

    def __getitem__(self, group: Any) -> Result:
        try:
            return self.results[group]
        except (KeyError, TypeError):
            raise InvalidValue(f"there is no group {brief(group)}") from None

    def __len__(self) -> int:
        return len(self._results)

    def __iter__(self) -> Iterator[GroupRow]:
        return iter(self.rows)

    @functools.cached_property
    def rows(self) -> tuple[GroupRow, ...]:
        """Return one row per group, in the order of the labels."""
        return tuple(
            GroupRow(group, r.n, r.score, r.interval(self.level), r.shares)
            if r.n
            else GroupRow(group, 0, None, None, None)
            for group, r in self._results
        )

    @property
    def excluded(self) -> dict[str, int]:
        """Return how many answers were set aside in all, by reason; `"no group"` where the label is missing."""
        found = dict(self._ungrouped)
        for _, result in self._results:
            found = merged_reasons(found, result.excluded)
        return found

    @property
    def total(self) -> NPS:
        """Return the result of all groups together, as their counts add."""
        found = NPS.empty(scale=self.scale)
        for _, result in self._results:
            if not isinstance(result, NPS):
                raise InvalidValue("weighted groups do not add; weigh all answers together instead")
            found += result
        return found

    @functools.cached_property
    def comparisons(self) -> tuple[ComparisonRow, ...]:
        """Return a row per pair of groups with answers; p-values are adjusted over all of them (Holm).

        Whether two intervals overlap answers another question, and is not used.
        """
        known = [(group, result.counts) for group, result in self._results if result.n]
        pairs = list(combinations(range(len(known)), 2))
        if not pairs:
            return ()
        # Whole counts stay whole: their differences are exact.
        counts = np.array([sample for _, sample in known])
        places = np.array(pairs)
        z, apart = [], []
        for part in np.array_split(places, 1 + len(pairs) // _BLOCK):
            a, b = counts[part[:, 0]], counts[part[:, 1]]
            z += statistics_at_zero(a, b).tolist()
            apart += differences(a, b).tolist()
        p = [p_of(value) for value in z]
        return tuple(
            ComparisonRow(known[i][0], known[j][0], gap, one, adjusted)
            for (i, j), gap, one, adjusted in zip(pairs, apart, p, holm(p), strict=True)
        )

    def update(self: Groups[NPS], group: Any, score: Any, *, invalid: str = "raise") -> Groups[NPS]:
        """Return the groups with one more answer; for many answers at once, count a column and add."""
        try:
            hash(group)
        except TypeError:
            raise InvalidValue(f"{brief(group)} cannot be a label") from None
        if is_missing(group):
            raise InvalidValue("the group is missing")
        results = self.results
        before = results.get(group, NPS.empty(scale=self.scale))
        results[group] = before.update(score, invalid=invalid)
        return evolve(self, results=results)

    def __add__(self: Groups[NPS], other: object) -> Groups[NPS]:
        if other == 0 and type(other) is int:
            return self  # what `sum` starts with
        if not isinstance(other, Groups):
            return NotImplemented
        if self.level != other.level:
            raise InvalidValue(f"groups at the levels {self.level} and {other.level} do not merge")
        same_scale(self.scale, other.scale)
        results = self.results
        for group, result in other._results:
            if not isinstance(result, NPS):
                raise InvalidValue("weighted groups do not merge; weigh all answers together instead")
            results[group] = results[group] + result if group in results else result
        ungrouped = merged_reasons(dict(self._ungrouped), dict(other._ungrouped))
        return evolve(self, results=results, ungrouped=ungrouped)

    __radd__ = __add__

    def resample(self: Groups[NPS], *, seed: int = 0, resamples: int = 10_000) -> NDArray[np.float64]:
        """Return bootstrap scores: a row per group in the order of `rows`, a column per resample."""
        found = np.empty((len(self), resamples))
        for place, (_, result) in enumerate(self._results):
            found[place] = result.resample(seed=seed, resamples=resamples, name=place)
        return found

    def table(self) -> Table:
        """Return the rows as a table, scores in points."""
        low = f"{100 * self.level:.6g}% low"
        rows = [_cells(row, low) for row in self.rows]
        names = ["group", "n", "detractors", "passives", "promoters", "NPS", low, "high"]
        return Table.of_rows(
            rows,
            names,
            title="NPS by group",
            notes=excluded_notes(self.excluded),
            formats={
                "group": label_text,
                **dict.fromkeys(names[2:5], ".1%"),
                **dict.fromkeys(names[5:], "+.1f"),
            },
        )

    def comparison_table(self) -> Table:
        """Return the comparisons as a table, differences in points."""
        rows = self.comparisons
        return Table(
            {
                "a": [row.a for row in rows],
                "b": [row.b for row in rows],
                "a - b": [100 * row.difference for row in rows],
                "p": [row.p_value for row in rows],
                "p adjusted": [row.p_adjusted for row in rows],
            },
            title="All pairs, adjusted by Holm's method",
            formats={"a": label_text, "b": label_text, "a - b": "+.1f", "p": shown_p, "p adjusted": shown_p},
        )

    def plot(self, ax: Any = None) -> Any:
        """Draw each group's score with its interval on matplotlib Axes (extra `plot`) and return them."""
        known = [(label_text(row.group), row.score, row.interval) for row in self.rows if row.n]
        if not known:
            raise InvalidValue("there are no answers to draw")
        labels, scores, intervals = zip(*known, strict=True)
        lows, highs = zip(*intervals, strict=True)
        return draw_points(labels, scores, lows, highs, ax=ax, xlabel=f"NPS, {self.level:.0%} interval")

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def _cells(row: GroupRow, low: str) -> dict[str, Any]:
    cells: dict[str, Any] = {"group": row.group, "n": row.n}
    if row.score is not None and row.interval is not None and row.shares is not None:
        cells |= row.shares._asdict()
        cells |= {"NPS": 100 * row.score, low: 100 * row.interval[0], "high": 100 * row.interval[1]}
    return cells
