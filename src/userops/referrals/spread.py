"""Spread: how many follow from one member, and how unevenly."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from attrs import frozen

from userops.core.amounts import exact, whole
from userops.core.columns import column
from userops.core.statistics import root
from userops.errors import InvalidValue


@frozen
class Offspring:
    """How many invitees a member has: mean R, and dispersion k (small k: few members bring most).

    `k` is infinite where the counts vary no more than a Poisson count would.
    """

    R: float
    k: float


def offspring(counts: Any) -> Offspring:
    """Fit a negative binomial to the numbers of direct invitees by maximum likelihood.

    R is the mean; k solves Σ_j N(>j)/(k + j) = n·log(1 + R/k), N(>j) the members with more than j invitees
    (Lloyd-Smith et al. 2005 use the same pair).

    >>> offspring([0, 0, 0, 8]).k < 0.2, offspring([1, 1, 1, 1]).k
    (True, inf)
    """
    array = column(counts, "counts")
    if np.ma.getmaskarray(array).any():
        raise InvalidValue("counts has missing values")
    if array.ndim != 1 or array.dtype.kind not in "iu" or not len(array):
        raise InvalidValue("counts are one column of whole numbers, at least one")
    if array.min() < 0:
        raise InvalidValue("counts must be at least 0")
    n, total = len(array), int(array.sum(dtype=np.int64))
    mean = total / n
    if not total:
        raise InvalidValue("nobody has an invitee: k cannot be told from the counts")
    if int(array.max()) > 10**8:
        raise InvalidValue("counts must be at most 10^8")
    seen = np.bincount(array)
    more_than = n - seen.cumsum()[:-1]
    steps = np.arange(len(more_than))
    square = int(np.dot(seen, np.arange(len(seen)) ** 2))
    if square * n - total * total <= total * n:
        return Offspring(mean, math.inf)

    def slope(log_k: float) -> float:
        k = math.exp(log_k)
        return k * (math.fsum(more_than / (k + steps)) - n * math.log1p(mean / k))

    low, high = math.log(mean) - 1, math.log(mean) + 1
    while slope(low) < 0 and low > -80:
        low -= 2
    while slope(high) > 0 and high < 40:
        high += 2
    if slope(low) < 0 or slope(high) > 0:
        return Offspring(mean, math.inf if high >= 40 else math.exp(low))
    return Offspring(mean, math.exp(root(slope, low, high)))


def k_factor(invites: Any, conversion: Any) -> Any:
    """Return the new members per member: invitations sent by each, times the share that joins.

    >>> from fractions import Fraction
    >>> k_factor(5, Fraction(1, 10))
    Fraction(1, 2)
    """
    sent, share = _number(invites, "invites"), _number(conversion, "conversion")
    if share > 1:
        raise InvalidValue("conversion is a share, at most 1")
    return sent * share


def reach_limit(k: Any) -> Any:
    """Return how many members each first one leads to in the end, itself included: 1/(1 − k).

    >>> from fractions import Fraction
    >>> reach_limit(Fraction(1, 2))
    Fraction(2, 1)
    """
    factor = _number(k, "k")
    if factor >= 1:
        raise InvalidValue("k must be below 1: at 1 and above the ripple has no limit")
    return 1 / (1 - factor)


def growth(start: Any, k: Any, cycles: int) -> tuple[Any, ...]:
    """Return the new members of each cycle: start·k, start·k², …

    >>> from fractions import Fraction
    >>> growth(100, Fraction(1, 2), 3)
    (Fraction(50, 1), Fraction(25, 1), Fraction(25, 2))
    """
    new, factor = _number(start, "start"), _number(k, "k")
    found = []
    for _ in range(whole(cycles, "cycles", at_least=0, at_most=1_000)):
        new = new * factor
        if isinstance(new, float) and not math.isfinite(new):
            raise InvalidValue("the growth leaves what a number can hold")
        found.append(new)
    return tuple(found)


def _number(value: Any, name: str) -> Any:
    if isinstance(value, bool | np.bool_):
        raise InvalidValue(f"{name} must be a number, not bool")
    if isinstance(value, float | np.floating):
        value = float(value)
        if not math.isfinite(value):
            raise InvalidValue(f"{name} must be finite")
    else:
        value = exact(value, name)
        if value.denominator == 1:
            value = int(value)
    if value < 0:
        raise InvalidValue(f"{name} must be at least 0")
    return value
