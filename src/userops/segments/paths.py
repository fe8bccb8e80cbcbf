"""Paths: how far one member came along the steps of a funnel."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence


def deepest_strict(events: Sequence[tuple[int, str]], steps: Sequence[str], within: int) -> int:
    """Return how many steps were made in order within a time of the first, from (at, kind) in order of time.

    For every step the latest start from which it was reached is kept: a later start leaves more time. Events
    of one instant have no order among them and may be taken in any.

    >>> deepest_strict([(0, "a"), (5, "a"), (9, "b")], ["a", "b"], 5)
    2
    """
    start: list[int | None] = [None] * len(steps)
    best = 0
    for at, group in itertools.groupby(events, key=lambda event: event[0]):
        here = Counter(kind for _, kind in group)
        before = list(start)
        # From each step reached before this instant, and from none, go on as far as the instant's events allow.
        for reached in range(-1, len(steps) - 1):
            begun = at if reached < 0 else before[reached]
            if begun is None or at - begun >= within:
                continue
            left, step = here.copy(), reached + 1
            while step < len(steps) and left[steps[step]] > 0:
                left[steps[step]] -= 1
                known = start[step]
                start[step] = begun if known is None else max(known, begun)
                best = max(best, step + 1)
                step += 1
        if best == len(steps):
            break
    return best


def deepest_any(events: Sequence[tuple[int, str]], steps: Sequence[str], within: int) -> int:
    """Return for how many of the first steps some stretch shorter than a time holds an event of each.

    >>> deepest_any([(0, "b"), (3, "a")], ["a", "b"], 5)
    2
    """
    needed = [Counter(steps[: depth + 1]) for depth in range(len(steps))]
    here: Counter[str] = Counter()
    best = low = 0
    for at, kind in events:
        here[kind] += 1
        while at - events[low][0] >= within:
            here[events[low][1]] -= 1
            low += 1
        while best < len(steps) and all(here[name] >= count for name, count in needed[best].items()):
            best += 1
    return best
