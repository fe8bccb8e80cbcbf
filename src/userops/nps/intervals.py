"""Intervals of one score: from counts of detractors, passives and promoters to (low, high).

Counts may be fractions: weighted answers are counted as scaled to their effective number. With shares
p and d, score Δ̂ = p - d, the values of an answer are x = -1, 0, 1.
"""

from __future__ import annotations

import math

from userops.core.statistics import root

Interval = tuple[float, float]


def score_variance(detractors: float, passives: float, promoters: float) -> float:
    """Return the variance of one answer, p + d - (p - d)², without cancellation.

    >>> score_variance(0, 30, 10)
    0.1875
    """
    n = detractors + passives + promoters
    d, q, p = detractors / n, passives / n, promoters / n
    return q * (p + d) + 4 * p * d


def wald(detractors: float, passives: float, promoters: float, z: float) -> Interval:
    """Return score ± z standard errors: a point for one-sided samples, and beyond ±1 near the edges.

    >>> [round(x, 5) for x in wald(10, 30, 60, 1.959964)]
    [0.36852, 0.63148]
    """
    n = detractors + passives + promoters
    score = (promoters - detractors) / n
    half = z * math.sqrt(score_variance(detractors, passives, promoters) / n)
    return score - half, score + half


def adjusted_wald(detractors: float, passives: float, promoters: float, z: float) -> Interval:
    """Return the Wald interval after adding ¾, 1½ and ¾ answers (Bonett & Price's idea on a trinomial).

    >>> [round(x, 5) for x in adjusted_wald(10, 30, 60, 1.959964)]
    [0.35467, 0.61621]
    """
    return wald(detractors + 0.75, passives + 1.5, promoters + 0.75, z)


def score_interval(detractors: float, passives: float, promoters: float, z: float) -> Interval:
    """Return all Δ that the score test does not reject at |z| (May & Johnson 1997, Tango 1998).

    Stays inside [-1, 1]. Its coverage is near nominal inside and falls towards the edges, as Wilson's
    does: at n = 10 with promoters .9825 it is .84 for a nominal .95.

    >>> [round(x, 5) for x in score_interval(10, 30, 60, 1.959964)]
    [0.35569, 0.61876]
    """
    n = detractors + passives + promoters
    score = (promoters - detractors) / n
    low = score - _reach(detractors, passives, promoters, z)
    high = score + _reach(promoters, passives, detractors, z)
    return max(-1.0, low), min(1.0, high)


def _reach(detractors: float, passives: float, promoters: float, z: float) -> float:
    """Return u, how far the interval reaches below the score.

    The test of Δ = Δ̂ - u refits the shares under p - d = Δ. With Lagrange's multiplier λ the refitted
    shares are p̂ₖ / (1 + λ(xₖ - Δ)), and λ = u / V, V the refitted variance. The statistic is u²n / V, so at
    the bound λ = c / u with c = z²/n, and "the refitted shares sum to 1" becomes, with yₖ = xₖ - Δ̂ and
    κ = c / (1 + c),

        H(u) = Σ p̂ₖ yₖ² / (u (u + κ yₖ)) = (1 + c)² / c.

    H falls strictly from u = κ|y₋₁| on, so there is one solution, at most at u = 1 + Δ̂ (Δ = -1). Only
    where nobody is a detractor can H start below the right side; then the refitted detractors take the
    rest, and the bound is the start itself, in closed form.
    """
    n = detractors + passives + promoters
    room = (passives + 2 * promoters) / n
    if room == 0:
        return 0.0
    c = z * z / n
    kappa = c / (1 + c)
    terms = [
        (share / n * y * y, kappa * y)
        for share, y in (
            (detractors, -room),
            (passives, (detractors - promoters) / n),
            (promoters, (passives + 2 * detractors) / n),
        )
        if share > 0 and y != 0
    ]
    target = math.sqrt(c) / (1 + c)

    def short_of(u: float) -> float:
        # 1 / √H is nearly a straight line, which the search likes; at a pole of H it is zero.
        total = 0.0
        for weight, shift in terms:
            if u + shift <= 0:
                return -target
            total += weight / (u * (u + shift))
        return 1 / math.sqrt(total) - target if total > 0 else math.inf

    nearest = kappa * room
    if detractors == 0 and short_of(nearest) >= 0:
        return nearest
    if short_of(room) <= 0:
        # Rounding only: the bound lies within the last bits of the end of the scale.
        return room
    return root(short_of, nearest, room)
