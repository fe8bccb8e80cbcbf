"""The bootstrap of a score: answers drawn again from the counts, without touching the answers."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from userops.nps.intervals import score_variance


def resampled_balances(
    detractors: int, passives: int, promoters: int, *, resamples: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return promoters minus detractors of `resamples` samples drawn with replacement, in rising order.

    Samples have no order that matters, so what is drawn is how many of them show each balance: one
    multinomial draw over the exact law of the balance. Where that law has far more values than there are
    samples to draw, promoters are drawn as binomial, and detractors as binomial among the rest.

    >>> resampled_balances(0, 5, 0, resamples=3, rng=np.random.default_rng(1)).tolist()
    [0, 0, 0]
    """
    n = detractors + passives + promoters
    window = _window(detractors, passives, promoters)
    if window > 4 * resamples:
        up = rng.binomial(n, promoters / n, size=resamples)
        down = rng.binomial(n - up, detractors / max(1, detractors + passives))
        return np.sort(up - down)
    values, law = balance_law(detractors, passives, promoters)
    return np.repeat(values, rng.multinomial(resamples, law))


def _window(detractors: int, passives: int, promoters: int) -> int:
    """Return a power of two of values outside of which a balance practically never falls."""
    n = detractors + passives + promoters
    deviation = math.sqrt(n * score_variance(detractors, passives, promoters))
    return 1 << math.ceil(math.log2(2 * (12 * deviation + 32)))


def balance_law(
    detractors: int, passives: int, promoters: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the values that promoters minus detractors of a resample can take, and their probabilities.

    The balance is a sum of n answers, so its characteristic function is the n-th power of one answer's,
    and the discrete Fourier transform inverts it. Values beyond 12 deviations are left out.

    >>> values, law = balance_law(1, 0, 1)
    >>> {int(v): float(p.round(9)) for v, p in zip(values, law, strict=True) if p > 1e-9}
    {-2: 0.25, 0: 0.5, 2: 0.25}
    """
    n = detractors + passives + promoters
    size = _window(detractors, passives, promoters)
    centre = promoters - detractors
    turn = np.arange(size // 2 + 1) * (2 * math.pi / size)
    step = np.expm1(-1j * turn)
    # An answer's function may be zero, and the power of zero is zero.
    with np.errstate(divide="ignore", invalid="ignore"):
        power = n * np.log1p(promoters / n * step + detractors / n * step.conj()) + 1j * centre * turn
        law = np.fft.irfft(np.nan_to_num(np.exp(power), nan=0.0), size)
    law = np.maximum(np.roll(law, size // 2), 0.0)
    values = np.arange(centre - size // 2, centre + size // 2, dtype=np.int64)
    is_possible = (values >= -n) & (values <= n) & (law > 1e-15)
    return values[is_possible], law[is_possible] / law[is_possible].sum()
