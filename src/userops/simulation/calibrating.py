"""Calibration: a plan's rates, lapse and redemption from what members did; and a test of it on the past."""

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
from userops.program.rules import CANCELLED, REDEEMED
from userops.simulation.arrays import Array, Floats
from userops.simulation.fitting import Fit, fit, lapse_table, weights
from userops.simulation.history import MONTH, History
from userops.simulation.plan import Plan


def calibrate(history: Any, plan: Plan, *, as_of: datetime | None = None) -> Plan:
    """Return a plan whose rates, lapse and redemption are fitted to a ledger or to events, with uncertainty.

    The history is taken to end at `as_of`, or at its last event. What the history does not show stays as the
    plan has it. Members count from their first event, which is not an event of the rate.
    """
    read = History.of(history)
    end = float(read.at.max()) if as_of is None else float(micros(as_of, "as_of"))
    seen, repeats, last, observed = read.lives(end)
    found = fit(repeats, last, observed)
    exposure = _exposure(found, repeats, last, observed)
    is_first = read.is_first
    changes: dict[str, Any] = {
        "behaviour.lapse_per_month": _uncertain(found, 2, lambda x: 1 / (1 + math.exp(-x)), high=1.0),
        "behaviour.lapse_spread": round(min(0.99, found.spread), 4),
    }
    for kind in read.kinds:
        count = float((read.kind == kind).sum())
        was = kind.removesuffix(CANCELLED)
        if was != kind:
            done = float((read.kind == was).sum())
            if done:
                # Of what was done, so much was taken back: when, the plan says, or within a month.
                kept = max(0.0, done - count)
                changes[f"behaviour.cancelled.{was}"] = {"beta": [round(count + 1, 1), round(kept + 1, 1)]}
            continue
        count -= float((read.kind[is_first] == kind).sum())
        if not count:
            changes[f"behaviour.events_per_month.{kind}"] = 0
            continue
        rate = count / exposure
        error = rate * math.sqrt(max(1.0 / count, found.covariance[0, 0] / len(seen)))
        changes[f"behaviour.events_per_month.{kind}"] = {
            "mean": {"normal": [round(rate, 6), round(error, 6)]},
            "dispersion": round(min(1_000.0, 1 / found.shape), 4),
        }
    spent = float((read.kind == REDEEMED).sum())
    if spent:
        idle = max(1.0, exposure - spent)
        changes["behaviour.redeem_per_month"] = {"beta": [round(spent + 1, 1), round(idle + 1, 1)]}
    if len(read.shares) > 1:
        changes["behaviour.redeem_share"] = {
            "normal": [
                round(float(read.shares.mean()), 4),
                round(float(read.shares.std(ddof=1) / math.sqrt(len(read.shares))), 4),
            ]
        }
    return plan.with_new(**changes)


def _uncertain(found: Fit, place: int, back: Any, *, high: float) -> dict[str, list[float]]:
    """Return an uncertain parameter as three values: one standard error below, the fit, one above."""
    error = math.sqrt(found.covariance[place, place])
    values = [back(found.logs[place] + k * error) for k in (-1.22, 0.0, 1.22)]
    return {"empirical": [round(min(high, value), 6) for value in values]}


def _exposure(found: Fit, repeats: Floats, last: Floats, observed: Floats) -> float:
    """Return the months in which members were active, as expected from what was seen."""
    parts = weights(found.logs, repeats, last, np.maximum(observed, 1e-9))
    chances = np.exp(parts - parts.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    lengths = np.arange(1, parts.shape[1])
    active = (chances[:, :-1] * lengths).sum(axis=1) + chances[:, -1] * observed
    return max(1e-9, float(active.sum()))


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
