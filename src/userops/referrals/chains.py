"""Absorbing chains: the probability of an order, with all touches and without one, solved exactly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from userops.errors import InvalidValue

#: A dense system of this many states takes about a second; more call for a lower order.
MAX_STATES = 3_000

Journey = tuple[tuple[str, ...], int, int]
State = tuple[str, ...]


def removal_effects(journeys: Sequence[Journey], touches: Sequence[str], order: int) -> dict[str, float]:
    """Return for each touch the share of orders lost when every step to it leads nowhere.

    A state is the last `order` touches (fewer at the beginning). With h the probability of an order from each
    state, h = Q h + c; without a touch, the steps to states that end in it are struck from Q.

    >>> removal_effects([(("A", "B"), 1, 0), (("A",), 1, 0)], ["A", "B"], 1)
    {'A': 1.0, 'B': 0.5}
    """
    states, steps, orders = _counted(journeys, order)
    n = len(states)
    if n > MAX_STATES:
        raise InvalidValue(f"order {order} makes {n:,} states; at most {MAX_STATES:,} are solved: lower it")
    index = {state: place for place, state in enumerate(states)}
    q, c = np.zeros((n, n)), np.zeros(n)
    leaving = dict.fromkeys(states, 0)
    for (state, _), count in steps.items():
        leaving[state] += count
    for (state, following), count in steps.items():
        if following is not None:
            q[index[state], index[following]] = count / leaving[state]
    for state, count in orders.items():
        c[index[state]] = count / leaving[state]
    with_all = _from_start(q, c)
    last = np.array([state[-1] if state else "" for state in states], dtype=object)
    effects = {}
    for touch in touches:
        kept = np.flatnonzero(last != touch)
        without = _from_start(q[np.ix_(kept, kept)], c[kept])
        effects[touch] = min(1.0, max(0.0, 1 - without / with_all))
    return effects


def _from_start(q: NDArray[np.float64], c: NDArray[np.float64]) -> float:
    """Return the probability of an order from the first state."""
    return float(np.linalg.solve(np.eye(len(c)) - q, c)[0])


def _counted(
    journeys: Sequence[Journey], order: int
) -> tuple[list[State], dict[tuple[State, State | None], int], dict[State, int]]:
    """Return the states, the start first; how often each step was taken; and the orders from each state.

    A step to None leaves the chain, with an order or without.
    """
    start: State = ()
    states, steps, orders = {start: None}, dict[tuple[State, State | None], int](), dict[State, int]()
    for path, conversions, nulls in journeys:
        count = conversions + nulls
        if not count:
            continue
        state = start
        for touch in path:
            following = (*state, touch)[-order:]
            states[following] = None
            steps[state, following] = steps.get((state, following), 0) + count
            state = following
        steps[state, None] = steps.get((state, None), 0) + count
        if conversions:
            orders[state] = orders.get(state, 0) + conversions
    return list(states), steps, orders
