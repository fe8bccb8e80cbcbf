"""The bootstrap of a score: answers drawn again from the counts, without touching the answers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def resampled_balances(
    detractors: int, passives: int, promoters: int, *, resamples: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return promoters minus detractors of `resamples` samples drawn with replacement.

    Promoters are binomial, and detractors binomial among the rest. The rests are sorted first: equal
    neighbours let the generator keep its set-up, and samples have no order that could matter.

    >>> resampled_balances(0, 5, 0, resamples=3, rng=np.random.default_rng(1)).tolist()
    [0, 0, 0]
    """
    n = detractors + passives + promoters
    found = rng.binomial(n, promoters / n, size=resamples)
    if promoters == n or detractors == 0:
        return found
    found.sort()
    others = n - found
    if passives == 0:
        found -= others
    else:
        found -= rng.binomial(others, detractors / (detractors + passives))
    return found
