"""Statistics: quantiles, intervals and p-values that results need, without scipy."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from userops.core.amounts import whole
from userops.errors import InvalidValue

_EPSILON = 2.0**-53
#: Coefficients of Stirling's series for the logarithm of the scaled gamma function.
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)


def check_level(level: object, name: str = "level") -> float:
    """Return a probability strictly between 0 and 1.

    >>> check_level(0.95)
    0.95
    """
    if isinstance(level, bool) or not isinstance(level, float | int | np.floating):
        raise InvalidValue(f"{name} must be a number between 0 and 1, not {type(level).__name__}")
    # Compared before it is converted: a huge integer is no float.
    if not 0 < level < 1:
        raise InvalidValue(f"{name} must lie between 0 and 1")
    return float(level)


def normal_tail(z: float) -> float:
    """Return P(Z > z) of the standard normal distribution.

    >>> round(normal_tail(1.96), 6)
    0.024998
    """
    return 0.5 * math.erfc(z / math.sqrt(2))


def normal_quantile(p: float) -> float:
    """Return the z with P(Z ≤ z) = p: bisection-safe Newton steps on the complementary error function.

    >>> round(normal_quantile(0.975), 12)
    1.95996398454
    """
    p = check_level(p, "p")
    if p > 0.5:
        # 1 - p is exact for p in [0.5, 1].
        return -normal_quantile(1 - p)
    if p == 0.5:
        return 0.0
    root = math.sqrt(-2 * math.log(p))
    # Abramowitz and Stegun 26.2.23 starts within 4.5e-4; Halley's step triples the digits.
    z = -(
        root
        - (2.515517 + root * (0.802853 + root * 0.010328))
        / (1 + root * (1.432788 + root * (0.189269 + root * 0.001308)))
    )
    for _ in range(4):
        excess = (
            (0.5 * math.erfc(-z / math.sqrt(2)) - p) * math.sqrt(2 * math.pi) * math.exp(min(z * z / 2, 700))
        )
        step = excess / (1 + z * excess / 2)
        z -= step
        if abs(step) <= 4 * _EPSILON * abs(z):
            break
    return z


def gamma_tails(a: float, x: float) -> tuple[float, float]:
    """Return the regularised incomplete gamma functions (P, Q) at shape `a` > 0 and `x` ≥ 0.

    The series is used below the shape, Lentz's continued fraction above it (DLMF 8.11.4, 8.9.2).

    >>> gamma_tails(1.0, 2.0)[1] == math.exp(-2)
    True
    """
    if not (a > 0 and x >= 0 and math.isfinite(a) and math.isfinite(x)):
        raise InvalidValue("the shape must be positive and x at least 0, both finite")
    if x == 0:
        return 0.0, 1.0
    front = _gamma_front(a, x)
    if x < a + 1:
        term = total = 1 / a
        n = a
        while abs(term) > _EPSILON * abs(total):
            n += 1
            term *= x / n
            total += term
        lower = min(1.0, front * total)
        return lower, 1 - lower
    b = x + 1 - a
    c = 1e300
    d = 1 / b
    fraction = d
    i = 0
    while True:
        i += 1
        an = -i * (i - a)
        b += 2
        d = an * d + b
        d = 1 / (d if abs(d) > 1e-300 else 1e-300)
        c = b + an / c
        c = c if abs(c) > 1e-300 else 1e-300
        change = d * c
        fraction *= change
        if abs(change - 1) <= 2 * _EPSILON:
            break
    upper = min(1.0, front * fraction)
    return 1 - upper, upper


def _gamma_front(a: float, x: float) -> float:
    """Return x^a e^-x / Γ(a), without the cancellation that large shapes bring."""
    if a < 10:
        return math.exp(a * math.log(x) - x - math.lgamma(a))
    mu = (x - a) / a
    if abs(mu) < 0.1:
        total, power, k = 0.0, mu, 1
        while True:
            k += 1
            power *= -mu
            term = -power / k
            total += term
            if abs(term) <= _EPSILON * abs(total) or total == 0:
                break
    else:
        total = mu - math.log(x / a)
    stirling = sum(c / a ** (2 * k + 1) for k, c in enumerate(_STIRLING))
    return math.sqrt(a / (2 * math.pi)) * math.exp(-a * total - stirling)


def chi_square_tail(x: float, df: float) -> float:
    """Return P(X > x) of the chi-square distribution with `df` degrees of freedom.

    >>> round(chi_square_tail(3.841458820694124, 1), 12)
    0.05
    """
    return gamma_tails(df / 2, x / 2)[1]


def chi_square_quantile(p: float, df: float) -> float:
    """Return the x with P(X ≤ x) = p of the chi-square distribution.

    >>> round(chi_square_quantile(0.95, 2), 12)
    5.991464547108
    """
    return 2 * _gamma_quantile(check_level(p, "p"), df / 2)


def _gamma_quantile(p: float, a: float) -> float:
    """Return the x with P(a, x) = p, by Newton's steps kept inside a bracket."""
    z = normal_quantile(p)
    start = a * max(1 - 1 / (9 * a) + z / (3 * math.sqrt(a)), 0.0) ** 3
    if start <= 0 or a < 0.5:
        start = math.exp((math.log(p) + math.lgamma(a + 1)) / a)
    low, high = 0.0, max(2 * start, a + 1)
    while gamma_tails(a, high)[0] < p:
        low, high = high, 2 * high
    x = min(max(start, 1e-300), high)
    for _ in range(200):
        lower, upper = gamma_tails(a, x)
        # The smaller tail keeps its digits.
        excess = lower - p if lower < 0.5 else (1 - p) - upper
        low, high = (low, x) if excess > 0 else (x, high)
        slope = _gamma_front(a, x) / x
        following = x - excess / slope if slope > 0 else 0.5 * (low + high)
        if not low < following < high:
            following = 0.5 * (low + high)
        if abs(following - x) <= 2 * _EPSILON * x:
            return following
        x = following
    return x


def wilson(successes: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of a share (Wilson 1927).

    >>> [round(x, 4) for x in wilson(0, 10)]
    [0.0, 0.2775]
    """
    n = whole(n, "n", at_least=1)
    k = whole(successes, "successes", at_least=0, at_most=n)
    z = normal_quantile(0.5 + check_level(level) / 2)
    share, extra = k / n, z * z / n
    middle = share + extra / 2
    half = z * math.sqrt(share * (1 - share) / n + extra / (4 * n))
    low, high = (middle - half) / (1 + extra), (middle + half) / (1 + extra)
    return (0.0 if k == 0 else max(0.0, low)), (1.0 if k == n else min(1.0, high))


def poisson_interval(count: int, *, level: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a Poisson mean from one count (Garwood 1936).

    >>> [round(x, 4) for x in poisson_interval(0)]
    [0.0, 3.6889]
    """
    k = whole(count, "count", at_least=0)
    tail = (1 - check_level(level)) / 2
    low = 0.0 if k == 0 else _gamma_quantile(tail, k)
    return low, _gamma_quantile(1 - tail, k + 1)


def poisson_tail(k: int, mean: float) -> float:
    """Return P(X ≥ k) for a Poisson count of that mean.

    >>> round(poisson_tail(1, 1.0), 6)
    0.632121
    """
    k = whole(k, "k", at_least=0)
    return 1.0 if k == 0 else gamma_tails(float(k), mean)[0]


def permutation_p(observed: float, draws: Sequence[float]) -> float:
    """Return the two-sided p-value of a statistic against its permutations, the observed one counted too.

    >>> permutation_p(3.0, [1.0, -3.0, 2.0])
    0.5
    """
    # Equal arrangements may differ in their last bits; they count as at least as extreme.
    bound = abs(observed) * (1 - 1e-12)
    found = np.abs(np.asarray(draws, dtype=float))
    return float((1 + np.count_nonzero(found >= bound)) / (1 + len(found)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for several comparisons (Holm 1979), in the order given.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted, greatest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda k: p_values[k])):
        greatest = max(greatest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = greatest
    return adjusted


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function that changes sign between `low` and `high` is zero, to the last bits.

    Bisection with secant steps inside the bracket; a bracket without a change of sign is an error.

    >>> root(lambda x: x * x - 2, 0, 2) == math.sqrt(2)
    True
    """
    at_low, at_high = function(low), function(high)
    if at_low == 0:
        return low
    if at_high == 0:
        return high
    if not at_low * at_high < 0:
        raise InvalidValue("the bracket does not enclose a root")
    for turn in range(400):
        middle = low + (high - low) / 2
        if turn % 2 == 0:
            secant = high - at_high * (high - low) / (at_high - at_low)
            middle = secant if min(low, high) < secant < max(low, high) else middle
        if middle in (low, high):
            break
        value = function(middle)
        if value == 0:
            return middle
        if (value > 0) == (at_low > 0):
            low, at_low = middle, value
        else:
            high, at_high = middle, value
    return low if abs(at_low) < abs(at_high) else high
