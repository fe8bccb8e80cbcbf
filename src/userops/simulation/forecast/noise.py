"""Noise: what chance among a sample's members adds to a forecast's spread, and taking it out."""

from __future__ import annotations

import numpy as np

from userops.simulation.columns import Array
from userops.simulation.members import PARTS

#: What replications differ in beyond chance is estimated over so many months together.
WINDOW = 5


def settled(parts: Array, weights: Array, *, is_uncertain: bool) -> Array:
    """Return (replication, month) totals of (replication, part, month), with the real population's spread.

    A sample's total varies more than the real population's: by what the members of the sample happen to do.
    That part of the spread is estimated from the parts of the samples and replaced by its value at the real
    size; what replications differ in by their parameters stays.
    """
    total: Array = parts.sum(axis=1)
    noise, real = chance_of(parts, weights)
    if len(total) < 2 or not (noise > real).any():
        return total
    spread = total.var(axis=0, ddof=1)
    mean = total.mean(axis=0)
    between = _between(spread, noise, mean) if is_uncertain else np.zeros_like(spread)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(spread > 0, np.sqrt((between + real) / spread), 1.0)
    found: Array = mean + (total - mean) * np.minimum(1.0, factor)
    return found


def chance_of(parts: Array, weights: Array) -> tuple[Array, Array]:
    """Return the variance that chance among members gives the sample's totals, and the real ones'.

    `weights`, by (replication, group), say how many real members one of the sample stands for.
    """
    groups = parts.shape[1] // PARTS
    shaped = parts.reshape(len(parts), groups, PARTS, parts.shape[-1])
    each = shaped.var(axis=2, ddof=1) * PARTS
    scale = np.maximum(1.0, weights)[:, :, None]
    sample: Array = each.sum(axis=1).mean(axis=0)
    real: Array = (each / scale).sum(axis=1).mean(axis=0)
    return sample, real


def _between(spread: Array, noise: Array, mean: Array) -> Array:
    """Return the variance beyond chance, by month.

    One month's `spread - noise` is a difference of two estimates, and of some months negative: bands would
    pinch and swell. In proportion to the mean, as unknown rates make it, it changes slowly, so that is estimated
    over the months around; money that may be owed either way has no such mean, and is told against the noise.
    """
    scale = mean**2 if (mean >= 0).all() else noise
    ones = np.ones(min(WINDOW, len(spread)))
    beyond, against = (np.convolve(one, ones, mode="same") for one in (spread - noise, scale))
    ratio = np.divide(beyond, against, out=np.zeros_like(beyond), where=against > 0)
    found: Array = np.maximum(0.0, ratio) * scale
    return found
