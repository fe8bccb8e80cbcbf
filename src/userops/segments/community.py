"""Community: what owner-run and maker-run activities bring, and which kinds there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from userops.core.chance import stream
from userops.core.columns import columns as taken_columns
from userops.core.quantities import checked_number, mapped
from userops.core.statistics import check_level
from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.segments.waiting import Share

Floats = NDArray[np.float64]
RUNNERS: Final = ("owner", "maker")
MEASURES: Final = ("attendance", "return", "content")
_DRAWS: Final = 2_000


@frozen
class Comparison:
    """One measure of owner-run against maker-run activities: means, difference, interval of the difference."""

    measure: str
    owner: float
    maker: float
    difference: float
    interval: tuple[float, float]


@frozen(eq=False)
class Activities:
    """Owner-run against maker-run activities, and the mix of kinds against the one intended."""

    comparisons: tuple[Comparison, ...]
    owner_run: int
    maker_run: int
    #: Share of activities by kind.
    mix: Mapping[str, Share]
    intended: Mapping[str, float]
    seed: int

    def __getitem__(self, measure: str) -> Comparison:
        for comparison in self.comparisons:
            if comparison.measure == measure:
                return comparison
        raise KeyError(measure)

    def table(self) -> Table:
        """Return one row per measure."""
        rows = self.comparisons
        return Table(
            {
                "measure": [row.measure for row in rows],
                "owner-run": [row.owner for row in rows],
                "maker-run": [row.maker for row in rows],
                "difference": [row.difference for row in rows],
                "interval": ["{:.3g} to {:.3g}".format(*row.interval) for row in rows],
            },
            formats=dict.fromkeys(("owner-run", "maker-run", "difference"), ".3g"),
            notes=(f"{self.owner_run} owner-run, {self.maker_run} maker-run; bootstrap, seed {self.seed}",),
        )

    def mix_table(self) -> Table:
        """Return the actual mix beside the intended one; "off" where the interval leaves the intention out."""
        kinds = sorted(set(self.mix) | set(self.intended))
        n = self.owner_run + self.maker_run
        shares = [self.mix.get(kind) or Share.of(0, n) for kind in kinds]
        meant = [self.intended.get(kind) for kind in kinds]
        return Table(
            {
                "kind": kinds,
                "share": shares,
                "interval": ["{:.0%}–{:.0%}".format(*share.interval) for share in shares],
                "intended": meant,
                "": [
                    "" if goal is None or share.interval[0] <= goal <= share.interval[1] else "off"
                    for share, goal in zip(shares, meant, strict=True)
                ],
            },
            formats={"share": ".0%", "intended": ".0%"},
        )

    def __str__(self) -> str:
        return f"{self.table()}\n\n{self.mix_table()}"

    def _repr_html_(self) -> str:
        return self.table()._repr_html_() + self.mix_table()._repr_html_()


def activities(
    columns: Any, *, intended: Mapping[str, float] | None = None, seed: int = 0, level: float = 0.95
) -> Activities:
    """Compare owner-run with maker-run activities, one row each.

    Columns: `run_by` (owner or maker), `kind`, `attendance` (people who came), `returned` (of them, who came to
    a later activity), `content` (posts about it). Compared are the mean attendance, the share of people who
    return and the posts per person, each with the bootstrap interval of the difference over activities.
    `intended` maps kinds to the share of activities meant for them.
    """
    check_level(level)
    taken = taken_columns(columns, names=("run_by", "kind", "attendance", "returned", "content"))
    run_by, kinds = (_texts(taken[name], name) for name in ("run_by", "kind"))
    if not set(run_by) <= set(RUNNERS):
        raise InvalidValue(f"run_by is {' or '.join(RUNNERS)}")
    counts = np.stack([_counts(taken[name], name) for name in ("attendance", "returned", "content")])
    if (counts[1] > counts[0]).any():
        raise InvalidValue("returned cannot be more than attendance")
    groups = [counts[:, np.array([name == who for name in run_by])] for who in RUNNERS]
    if any(not group.shape[1] for group in groups):
        raise InvalidValue("a comparison needs owner-run and maker-run activities")
    if any(not group[0].sum() for group in groups):
        raise InvalidValue("nobody came to the activities of one side: shares of nobody are undefined")
    owner, maker = (_measures(group) for group in groups)
    drawn = [
        _resampled(group, stream(seed, "activities", who)) for group, who in zip(groups, RUNNERS, strict=True)
    ]
    tail = (1 - level) / 2
    differences = drawn[0] - drawn[1]
    low, high = np.nanquantile(differences, [tail, 1 - tail], axis=0)
    goals = {
        kind: checked_number(goal, f"the intended share of {kind!r}", 0, 1)
        for kind, goal in mapped(intended, "intended").items()
    }
    if goals and sum(goals.values()) > 1 + 1e-9:
        raise InvalidValue("the intended shares sum to more than 1")
    return Activities(
        tuple(
            Comparison(
                name,
                float(owner[k]),
                float(maker[k]),
                float(owner[k] - maker[k]),
                (float(low[k]), float(high[k])),
            )
            for k, name in enumerate(MEASURES)
        ),
        groups[0].shape[1],
        groups[1].shape[1],
        {kind: Share.of(kinds.count(kind), len(kinds), level) for kind in sorted(set(kinds))},
        goals,
        seed,
    )


def _texts(values: NDArray[Any], name: str) -> list[str]:
    listed = values.tolist()
    if not all(isinstance(value, str) for value in listed):
        raise InvalidValue(f"{name} must be a column of texts, without missing ones")
    return [str(value) for value in listed]


def _counts(values: NDArray[Any], name: str) -> Floats:
    if values.dtype.kind not in "iu" or np.ma.getmaskarray(values).any() or (values < 0).any():
        raise InvalidValue(f"{name} must be a column of counts, at least 0")
    return np.asarray(values, dtype=np.float64)


def _measures(group: Floats) -> Floats:
    came = group[0].sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.stack(
            [group[0].mean(axis=-1), group[1].sum(axis=-1) / came, group[2].sum(axis=-1) / came], axis=-1
        )


def _resampled(group: Floats, rng: np.random.Generator) -> Floats:
    rows = rng.integers(0, group.shape[1], (_DRAWS, group.shape[1]))
    return _measures(group[:, rows])
