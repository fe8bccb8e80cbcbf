"""The Dirichlet interval: equal tails of the posterior of the score, by quadrature instead of draws."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from userops.core.statistics import root
from userops.nps.intervals import Interval

Floats = NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(96)
#: Densities below e^-this of their peak are left out.
_NEGLIGIBLE = 45.0


def dirichlet(detractors: float, passives: float, promoters: float, level: float) -> Interval:
    """Return the equal-tailed posterior interval under a uniform prior, Dirichlet(1, 1, 1).

    The share s of those who are not passive and the promoters' share r among them are independent Beta
    variables, and the score is s(2r - 1): its distribution is one integral over r.

    >>> [round(x, 4) for x in dirichlet(0, 10, 0, 0.95)]
    [-0.2209, 0.2209]
    """
    voiced = _Beta(detractors + promoters + 2, passives + 1)
    tail = (1 - level) / 2
    upward = _Beta(promoters + 1, detractors + 1)
    downward = _Beta(detractors + 1, promoters + 1)
    return -_upper(voiced, downward, tail), _upper(voiced, upward, tail)


def _upper(voiced: _Beta, upward: _Beta, tail: float) -> float:
    """Return the score exceeded with probability `tail`."""
    mirrored = _Beta(upward.b, upward.a)

    def excess(score: float) -> float:
        if score >= 0:
            return _above(voiced, upward, score) - tail
        return 1 - _above(voiced, mirrored, -score) - tail

    return root(excess, -1.0, 1.0)


def _above(voiced: _Beta, upward: _Beta, score: float) -> float:
    """Return P(s (2r - 1) > score) for a score from 0 to 1."""
    if score == 0:
        return upward.above(0.5)
    # Below `first` no s reaches the score; above `last` every s does.
    first = (1 + score / voiced.high) / 2
    last = (1 + score / voiced.low) / 2 if voiced.low > 0 else math.inf
    start, stop = max(first, upward.low), min(last, upward.high)
    certain = upward.above(last)
    if start >= stop:
        return certain
    r = start + (stop - start) * (1 + _NODES) / 2
    reach = voiced.above_each(np.clip(score / (2 * r - 1), voiced.low, voiced.high))
    part = float(np.dot(_WEIGHTS, upward.density(r) * reach)) * (stop - start) / 2
    return min(1.0, certain + part)


class _Beta:
    """A Beta distribution with both shapes at least 1, as a density over the window that matters."""

    __slots__ = ("_peak", "_scale", "a", "b", "high", "low")

    def __init__(self, a: float, b: float) -> None:
        self.a, self.b = a, b
        mode = (a - 1) / (a + b - 2) if a + b > 2 else 0.5
        self._peak = float(_log_density(a, b, np.array([mode]))[0])
        self.low, self.high = (_window_end(a, b, mode, self._peak, end) for end in (0.0, 1.0))
        self._scale = 1.0
        self._scale = 1 / self.above_each(np.array([self.low]))[0]

    def density(self, x: Floats) -> Floats:
        """Return the density at points inside the window."""
        return self._scale * np.exp(_log_density(self.a, self.b, x) - self._peak)

    def above_each(self, x: Floats) -> Floats:
        """Return the probabilities of exceeding points inside the window, a row of nodes for each."""
        half = (self.high - x) / 2
        nodes = x[:, None] + half[:, None] * (1 + _NODES)
        found: Floats = half * (self.density(nodes) @ _WEIGHTS)
        return found

    def above(self, x: float) -> float:
        """Return the probability of exceeding x."""
        if x <= self.low:
            return 1.0
        return 0.0 if x >= self.high else min(1.0, float(self.above_each(np.array([x]))[0]))


def _log_density(a: float, b: float, x: Floats) -> Floats:
    found = np.zeros_like(x)
    # Where x rounds to an end the density is 0; where its power is 0 (0 · log 0) the end does not matter.
    with np.errstate(divide="ignore"):
        if a != 1:
            found += (a - 1) * np.log(x)
        if b != 1:
            found += (b - 1) * np.log1p(-x)
    return found


def _window_end(a: float, b: float, mode: float, peak: float, end: float) -> float:
    """Return where the density has fallen out of sight on the way from the mode to an end of [0, 1]."""
    if mode == end:
        return end
    power = a - 1 if end == 0 else b - 1
    if power == 0:
        return end
    inside, outside = mode, end
    for _ in range(60):
        middle = (inside + outside) / 2
        if middle in (inside, outside):
            break
        if float(_log_density(a, b, np.array([middle]))[0]) - peak < -_NEGLIGIBLE:
            outside = middle
        else:
            inside = middle
    return outside
