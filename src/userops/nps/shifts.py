"""Shifts: where a series of waves most likely changed its level, and whether chance would do as much."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from userops.core.chance import stream
from userops.core.statistics import permutation_p
from userops.nps.intervals import score_variance
from userops.nps.scores import NPS

#: numpy's hypergeometric draws end below this many answers; the normal law is as good from there.
_MOST_EXACT = 10**9
_BLOCK = 1 << 16


@frozen
class Shift:
    """The split of the waves with the greatest contrast between the scores before and after it.

    `at` is the first wave of the new level. `p_value` is by permutation: how often waves of the same sizes,
    dealt from all the answers at random, show a contrast as great at any split.
    """

    last_before: Any
    at: Any
    before: NPS
    after: NPS
    statistic: float
    p_value: float
    permutations: int

    @property
    def difference(self) -> float:
        """Return the score after the shift minus the score before it."""
        return self.after.score - self.before.score


def find_shift(names: Sequence[Any], results: Sequence[NPS], *, permutations: int, seed: int) -> Shift:
    """Return the most likely shift in at least two waves.

    >>> low, high = NPS(detractors=30, passives=5, promoters=5), NPS(detractors=5, passives=5, promoters=30)
    >>> found = find_shift(["I", "II", "III"], [low, low, high], permutations=999, seed=1)
    >>> found.at, found.p_value
    ('III', 0.001)
    """
    sizes = np.array([result.n for result in results], np.int64)
    whole = sum(results, NPS.empty(scale=results[0].scale))
    balances = np.array([[result.promoters - result.detractors for result in results]], np.int64)
    contrasts = _contrasts(balances, sizes, whole)[0]
    place = int(np.abs(contrasts).argmax())
    draws = np.concatenate(
        [
            np.abs(_contrasts(dealt, sizes, whole)).max(axis=1)
            for dealt in _dealt(whole, sizes, permutations, stream(seed, "nps", "shift"))
        ]
    )
    found = float(contrasts[place])
    return Shift(
        names[place],
        names[place + 1],
        sum(results[1 : place + 1], results[0]),
        sum(results[place + 2 :], results[place + 1]),
        found,
        permutation_p(found, draws),  # type: ignore[arg-type]
        permutations,
    )


def _contrasts(balances: NDArray[np.int64], sizes: NDArray[np.int64], whole: NPS) -> NDArray[np.float64]:
    """Return, for each row of promoters minus detractors by wave, z of every split: after minus before."""
    n = sizes.cumsum()[:-1].astype(float)
    rest = whole.n - n
    before = balances.cumsum(axis=1)[:, :-1]
    after = balances.sum(axis=1, keepdims=True) - before
    variance = score_variance(*whole.counts)
    if variance == 0:
        return np.zeros(before.shape)
    found: NDArray[np.float64] = (after / rest - before / n) / np.sqrt(variance * (1 / n + 1 / rest))
    return found


def _dealt(whole: NPS, sizes: NDArray[np.int64], permutations: int, rng: np.random.Generator) -> Any:
    """Yield blocks of permutations: promoters minus detractors by wave, all answers dealt at random."""
    for start in range(0, permutations, _BLOCK):
        rows = min(_BLOCK, permutations - start)
        found = np.empty((rows, len(sizes)), np.int64)
        d, q, p = (
            np.full(rows, count, np.int64) for count in (whole.detractors, whole.passives, whole.promoters)
        )
        for wave, size in enumerate(sizes.tolist()):
            up = _drawn(p, d + q, np.full(rows, size), rng)
            down = _drawn(d, q, size - up, rng)
            p, d, q = p - up, d - down, q - (size - up - down)
            found[:, wave] = up - down
        yield found


def _drawn(
    good: NDArray[np.int64], bad: NDArray[np.int64], size: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw without replacement; beyond numpy's limit, from the normal law of the same mean and variance."""
    total = good + bad
    if int(total.max(initial=0)) < _MOST_EXACT:
        return rng.hypergeometric(good, bad, size)
    share = good / np.maximum(total, 1)
    left = (total - size) / np.maximum(total - 1, 1)
    drawn = np.rint(
        size * share + np.sqrt(size * share * (1 - share) * left) * rng.standard_normal(len(size))
    )
    found: NDArray[np.int64] = np.clip(
        drawn.astype(np.int64), np.maximum(0, size - bad), np.minimum(size, good)
    )
    return found
