"""Calibration: a plan's rates, lapse and redemption from what members did."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import numpy as np

from userops.core.calendar import micros
from userops.program.rules import CANCELLED, REDEEMED
from userops.simulation.calibration.fit import Fit, fit, weights
from userops.simulation.calibration.history import History
from userops.simulation.columns import Floats
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
