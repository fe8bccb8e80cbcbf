"""The fit: rates that differ between members, and lapse, from how often and how lately members acted.

A member acts at a gamma-distributed rate until the month in which it lapses; whether it has lapsed is not
seen. The likelihood sums over the months in which it may have (after Schmittlein, Morrison & Colombo, 1987,
with the lapse of Fader & Hardie's shifted beta-geometric, 2007).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from attrs import frozen

from userops.errors import InvalidValue
from userops.simulation.columns import Array, Floats

#: Bounds of the logarithms of: shape, scale, odds of lapsing, and the size of the beta.
_LOW, _HIGH = np.array([-5.0, -6.0, -9.0, -3.0]), np.array([6.0, 9.0, 4.0, 7.0])


@frozen(eq=False)
class Fit:
    """Rates and lapse of members as fitted, with the covariance of the logarithms of the parameters."""

    logs: Floats
    covariance: Array
    members: int

    @property
    def shape(self) -> float:
        """The gamma's shape: 1 over the dispersion."""
        return float(np.exp(self.logs[0]))

    @property
    def rate(self) -> float:
        """Mean events per month of an active member."""
        return float(np.exp(self.logs[0] - self.logs[1]))

    @property
    def lapse(self) -> float:
        """Mean chance to lapse in a month, for a new member."""
        return float(1 / (1 + np.exp(-self.logs[2])))

    @property
    def spread(self) -> float:
        """How much members differ in their lapse, as a plan's `lapse_spread`."""
        return float(1 / (1 + np.exp(self.logs[3])))

    def draws(self, rng: np.random.Generator, size: int) -> Array:
        """Return parameters as uncertain as the fit leaves them, a row each."""
        root = np.linalg.cholesky(self.covariance)
        found: Array = np.clip(self.logs + rng.standard_normal((size, 4)) @ root.T, _LOW, _HIGH)
        return found


def lapse_table(logs: Array, months: int) -> tuple[Array, Array]:
    """Return the chance to lapse after 1, 2, … months, and that to be active beyond 0, 1, … months."""
    mean, size = 1 / (1 + math.exp(-logs[2])), math.exp(logs[3])
    a, b = mean * size, (1 - mean) * size
    stay: Array = np.cumprod([1.0, *((b + k) / (a + b + k) for k in range(months))])
    return stay[:-1] - stay[1:], stay


def weights(logs: Floats, repeats: Floats, last: Floats, observed: Floats) -> Array:
    """Return the logarithm of each member's likelihood for every month it may have lapsed after.

    The last column is the member still active at the end.
    """
    months = math.ceil(observed.max()) + 1
    gone, stay = lapse_table(logs, months)
    shape, scale = math.exp(logs[0]), math.exp(logs[1])
    lengths = np.arange(1, months + 1)[None, :]
    whole = np.ceil(observed).astype(int)
    with np.errstate(divide="ignore"):
        found = np.log(gone)[None, :] - (shape + repeats)[:, None] * np.log(scale + lengths)
        found = np.where(
            (lengths >= np.maximum(last, 0)[:, None]) & (lengths < observed[:, None]), found, -np.inf
        )
        alive = np.log(stay[np.maximum(whole - 1, 0)]) - (shape + repeats) * np.log(scale + observed)
    return np.concatenate([found, alive[:, None]], axis=1)


def log_likelihood(logs: Floats, repeats: Floats, last: Floats, observed: Floats) -> float:
    """Return the logarithm of the likelihood of all members."""
    shape, scale = math.exp(logs[0]), math.exp(logs[1])
    table = np.array([math.lgamma(shape + k) for k in range(int(repeats.max()) + 1)])
    parts = weights(logs, repeats, last, observed)
    top = parts.max(axis=1)
    each = top + np.log(np.exp(parts - top[:, None]).sum(axis=1))
    constant = table[repeats.astype(int)] - math.lgamma(shape) + shape * math.log(scale)
    return float((each + constant).sum())


def fit(repeats: Floats, last: Floats, observed: Floats) -> Fit:
    """Fit rates and lapse to members' events after the first, months to the last, and months observed."""
    kept = observed > 0
    repeats, last, observed = repeats[kept], last[kept], observed[kept]
    if len(repeats) < 20 or repeats.sum() < 10:
        raise InvalidValue("a fit needs at least 20 members with 10 events between them after their first")

    def cost(logs: Floats) -> float:
        if (logs < _LOW).any() or (logs > _HIGH).any():
            return math.inf
        return -log_likelihood(logs, repeats, last, observed)

    mean = max(1e-4, float(repeats.sum() / observed.sum()))
    best = _simplex(cost, np.array([0.0, -math.log(mean), -2.5, 1.0]))
    return Fit(best, _covariance(cost, best), len(repeats))


def _covariance(cost: Callable[[Floats], float], at: Floats) -> Array:
    """Return the inverse of the curvature; directions without any are given a wide, bounded spread."""
    step, size = 0.02, len(at)
    curvature = np.zeros((size, size))
    moves = np.eye(size) * step
    here = np.clip(at, _LOW + 2 * step, _HIGH - 2 * step)
    for i in range(size):
        for j in range(size):
            signs = ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1))
            total = sum(s * cost(here + a * moves[i] + b * moves[j]) for a, b, s in signs)
            curvature[i, j] = total / (4 * step * step)
    values, vectors = np.linalg.eigh((curvature + curvature.T) / 2)
    return np.asarray((vectors / np.maximum(values, 1.0)) @ vectors.T)


def _simplex(cost: Callable[[Floats], float], start: Floats, rounds: int = 400) -> Floats:
    """Minimise by Nelder and Mead's simplex (1965)."""
    points = [start, *(start + 0.5 * row for row in np.eye(len(start)))]
    values = [cost(point) for point in points]
    for _ in range(rounds):
        order = np.argsort(values, kind="stable")
        points, values = [points[k] for k in order], [values[k] for k in order]
        if values[-1] - values[0] < 1e-7:
            break
        centre = np.mean(points[:-1], axis=0)
        for factor in (1.0, 2.0, -0.5):
            trial = centre + factor * (centre - points[-1])
            found = cost(trial)
            if factor == 1.0:
                reflected = (trial, found)
                if values[0] <= found < values[-2]:
                    points[-1], values[-1] = trial, found
                    break
                if found >= values[-2]:
                    continue
            elif factor == 2.0:
                if reflected[1] >= values[-2]:
                    continue
                points[-1], values[-1] = min((trial, found), reflected, key=lambda pair: pair[1])
                break
            elif found < values[-1]:
                points[-1], values[-1] = trial, found
            else:
                points = [points[0], *((points[0] + point) / 2 for point in points[1:])]
                values = [cost(point) for point in points]
    return points[int(np.argmin(values))]
