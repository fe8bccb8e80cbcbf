"""Mechanisms from the literature, for comparison with a scheme: halving, geometric trees, own-spend rewards."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from userops.core import amounts
from userops.core.columns import column
from userops.core.quantities import hashable, listed
from userops.errors import InvalidValue
from userops.referrals.graph import ReferralGraph

Name = TypeVar("Name", bound=Hashable)


def recursive_halving(pot: int, path: Iterable[Name]) -> dict[Name, int]:
    """Return half the pot for the last of a path, half of that for the one before, and so on, rounded down.

    `path` leads from the first referrer to whoever succeeded. (The winners of DARPA's network challenge;
    Pickard et al. 2011.)

    >>> recursive_halving(4_000, ["Alice", "Bob", "Charlie", "Diane"])
    {'Alice': 250, 'Bob': 500, 'Charlie': 1000, 'Diane': 2000}
    """
    total = amounts.whole(pot, "pot", at_least=0)
    names = [hashable(name, "a member of the path") for name in listed(path, "path")]
    if len(set(names)) != len(names):
        raise InvalidValue("a member stands twice on the path")
    return {name: total >> (len(names) - place) for place, name in enumerate(names)}


def geometric_tree(
    graph: ReferralGraph, contributions: Any, *, ratio: Any, share: Any
) -> NDArray[np.float64]:
    """Return each member's reward share·Σ ratio^distance·contribution over its subtree, itself included.

    In the order of `graph.members`, in linear time. All rewards together are at most share/(1 − ratio) of the
    contributions, so `share` is at most 1 − ratio. (Geometric mechanism: Emek, Karidi, Tennenholtz and Zohar
    2011; Lv and Moscibroda 2013.) Rewards are statistics here: nothing is posted from them.

    >>> graph = ReferralGraph.from_parents([-1, 0, 1])
    >>> geometric_tree(graph, [0, 0, 100], ratio=Fraction(1, 2), share=Fraction(1, 2)).tolist()
    [12.5, 25.0, 50.0]
    """
    step, part = _stated(ratio, "ratio"), _stated(share, "share")
    if not 0 <= step < 1:
        raise InvalidValue("ratio must be at least 0 and below 1")
    if not 0 <= part <= 1 - step:
        raise InvalidValue(f"share must lie between 0 and 1 − ratio = {1 - step}: more could not be paid")
    given = column(contributions, "contributions")
    if given.shape != (len(graph),) or given.dtype.kind not in "iuf":
        raise InvalidValue("contributions are one number for each member")
    amounts_given = given.astype(np.float64)
    if not np.isfinite(amounts_given).all() or (amounts_given < 0).any():
        raise InvalidValue("contributions must be finite and at least 0")
    forest = graph.forest
    values = forest.gather(amounts_given)
    forest.up_sweep(values, ratio=float(step))
    values *= float(part)
    return forest.scatter(values)


def _stated(value: Any, name: str) -> Fraction:
    """Return a number as it was written: rewards are statistics, so a float will do, and 0.1 means a tenth."""
    is_finite = isinstance(value, float) and math.isfinite(value)
    return amounts.exact(Decimal(repr(float(value))) if is_finite else value, name)


def own_spend_reward(own: Any, friends: Any, rate: Callable[[Fraction], Any]) -> Fraction:
    """Return own·rate(own + friends): friends' spending raises the rate, only own spending is paid for.

    Splitting oneself into several identities pays only if the rate grows faster than the spending does: each
    identity's friends then include the others.

    >>> own_spend_reward(100, 300, lambda total: Fraction(total, 4_000))
    Fraction(10, 1)
    """
    mine, theirs = amounts.exact(own, "own"), amounts.exact(friends, "friends")
    if mine < 0 or theirs < 0:
        raise InvalidValue("spending must be at least 0")
    if not callable(rate):
        raise InvalidValue(f"rate must be a function of all spending, not a {type(rate).__name__}")
    found = amounts.exact(rate(mine + theirs), "rate")
    if found < 0:
        raise InvalidValue(f"rate must give at least 0, not {found}")
    return mine * found
