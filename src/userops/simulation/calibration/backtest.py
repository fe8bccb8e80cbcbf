"""A backtest: what a fit to the past would have forecast, held against what came after."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import numpy as np
from attrs import field, frozen

from userops.core.amounts import whole
from userops.core.calendar import micros
from userops.core.chance import check_seed, stream
from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.simulation.calibration.fit import Fit, fit, lapse_table, weights
from userops.simulation.calibration.history import MONTH, History
from userops.simulation.columns import Array, Floats


@frozen(eq=False)
class Backtest:
    """A forecast of what is known: fitted before the cut, held against what came after."""

    cut: datetime
    fit: Fit = field(repr=False)
    #: Events of each month after the cut: what came, and what was forecast.
    actual: Array
    mean: Array
    low: Array
    high: Array
    #: A constant rate: every member goes on as all did on average.
    naive: Array
    level: float

    @property
    def coverage(self) -> float:
        """The share of months whose actual count lies within the interval."""
        return float(((self.low <= self.actual) & (self.actual <= self.high)).mean())

    @property
    def error(self) -> float:
        """The mean absolute error of the months, as a share of the mean actual count."""
        return float(np.abs(self.mean - self.actual).mean() / self.actual.mean())

    @property
    def naive_error(self) -> float:
        """The same error of the constant-rate forecast."""
        return float(np.abs(self.naive - self.actual).mean() / self.actual.mean())

    def table(self) -> Table:
        """Return the months with actual counts, forecast, interval and the naive forecast."""
        names = [f"{k + 1}" for k in range(len(self.actual))]
        columns: dict[str, Any] = {
            "month": names,
            "actual": [int(x) for x in self.actual],
            "forecast": [round(float(x)) for x in self.mean],
            "low": [round(float(x)) for x in self.low],
            "high": [round(float(x)) for x in self.high],
            "constant rate": [round(float(x)) for x in self.naive],
        }
        inside = round(self.coverage * len(self.actual))
        note = (
            f"{inside} of {len(self.actual)} months lie within the {self.level:.0%} interval; mean error "
            f"{self.error:.1%}, of a constant rate {self.naive_error:.1%}."
        )
        return Table(columns, title=f"Backtest from {self.cut.date().isoformat()}", notes=[note])

    def __str__(self) -> str:
        return str(self.table())


def backtest(
    history: Any,
    cut: datetime,
    *,
    months: int | None = None,
    seed: int = 1,
    draws: int = 1_000,
    level: float = 0.9,
) -> Backtest:
    """Fit the history before `cut`, forecast the members' events after it month by month, and compare.

    Only members first seen before the cut are forecast. Months are twelfths of a year from the cut; by default
    all that the history covers.
    """
    read = History.of(history)
    end = float(micros(cut, "cut"))
    past = read.before(cut)
    if not len(past.at) or read.at.max() <= end + MONTH:
        raise InvalidValue("cut must lie within the history, at least a month before its end")
    seen, repeats, last, observed = past.lives(end)
    found = fit(repeats, last, observed)
    known = np.isin(read.member, seen) & (read.at >= end) & read.is_done
    later = ((read.at[known] - end) / MONTH).astype(int)
    covered = int((read.at.max() - end) // MONTH)
    span = covered if months is None else whole(months, "months", at_least=1, at_most=covered)
    actual = np.bincount(later[later < span], minlength=span).astype(float)
    rng = stream(check_seed(seed), "backtest")
    futures = _futures(
        found, rng, (repeats, last, observed), months=span, draws=whole(draws, "draws", at_least=10)
    )
    tail = (1 - level) / 2
    low, high = np.quantile(futures, [tail, 1 - tail], axis=0)
    rate = repeats.sum() / observed.sum()
    return Backtest(
        cut, found, actual, futures.mean(axis=0), low, high, np.full(span, rate * len(seen)), level
    )


def _futures(
    found: Fit, rng: np.random.Generator, lives: tuple[Floats, Floats, Floats], *, months: int, draws: int
) -> Array:
    """Return counts by (draw, month) after the end, of members whose past is known."""
    repeats, last, observed = lives
    futures = np.zeros((draws, months))
    months_known = np.ceil(observed).astype(int)
    for k, logs in enumerate(found.draws(rng, draws)):
        parts = weights(logs, repeats, last, observed)
        top = parts.max(axis=1)
        alive = rng.random(len(repeats)) < np.exp(parts[:, -1] - top) / np.exp(parts - top[:, None]).sum(
            axis=1
        )
        shape, scale = math.exp(logs[0]), math.exp(logs[1])
        rate = rng.gamma(shape + repeats[alive], 1 / (scale + observed[alive]))
        _, stay = lapse_table(logs, int(months_known.max()) + months + 1)
        start = stay[np.maximum(months_known[alive] - 1, 0)]
        chance = rng.random(len(rate)) * start
        for month in range(months):
            still = stay[months_known[alive] - 1 + month] > chance
            futures[k, month] = rng.poisson(rate[still].sum())
    return futures
