"""Journeys: many touches before one order, and how much of it each touch is credited with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from attrs import field, frozen

from userops.core.amounts import whole
from userops.core.ids import identifier
from userops.core.quantities import listed
from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.referrals.chains import removal_effects


@frozen
class Attribution(Mapping[str, float]):
    """Credit by touch: a mapping, and a table when printed."""

    credits: Mapping[str, float]
    #: The conversions that there were.
    total: float
    #: For a chain: what share of the conversions is lost without each touch.
    removal_effects: Mapping[str, float] = field(factory=dict)
    #: Why the credits do not sum to the total, or an empty text.
    reason: str = ""

    def __getitem__(self, touch: str) -> float:
        return self.credits[touch]

    def __iter__(self) -> Iterator[str]:
        return iter(self.credits)

    def __len__(self) -> int:
        return len(self.credits)

    def to_table(self) -> Table:
        """Return the credits, and the removal effects where there are any."""
        columns: dict[str, Any] = {"touch": list(self.credits), "credit": list(self.credits.values())}
        if self.removal_effects:
            columns["removal effect"] = [self.removal_effects[touch] for touch in self.credits]
        notes = [f"of {self.total:,.0f} conversions"] + ([self.reason] if self.reason else [])
        formats = {"credit": ",.2f", "removal effect": ".3f"}
        return Table(columns, notes=tuple(notes), formats=formats)

    def __str__(self) -> str:
        return str(self.to_table())


class Journeys:
    """Paths of touches, how many journeys along each ended in an order, and how many in nothing.

    A path is a sequence of names; a plain text is read as one-letter touches.

    >>> journeys = Journeys(["ABABBA", "ABBAA", "AA"], [1, 1, 1])
    >>> dict(journeys.markov().credits)
    {'A': 2.0, 'B': 1.0}
    """

    __slots__ = ("conversions", "nulls", "paths", "touches")

    def __init__(
        self, paths: Iterable[Sequence[str]], conversions: Iterable[int], nulls: Iterable[int] | None = None
    ) -> None:
        """Check the journeys; counts are whole numbers."""
        self.paths = tuple(_path(path, place) for place, path in enumerate(listed(paths, "paths")))
        self.conversions = _counts(conversions, "conversions", len(self.paths))
        self.nulls = (0,) * len(self.paths) if nulls is None else _counts(nulls, "nulls", len(self.paths))
        #: Every touch, sorted.
        self.touches = tuple(sorted({touch for path in self.paths for touch in path}))

    @property
    def total(self) -> int:
        """How many journeys ended in an order."""
        return sum(self.conversions)

    def first_touch(self) -> Attribution:
        """Credit the first touch with the whole."""
        return self._weighted(lambda n: [1.0] + [0.0] * (n - 1))

    def last_touch(self) -> Attribution:
        """Credit the last touch with the whole."""
        return self._weighted(lambda n: [0.0] * (n - 1) + [1.0])

    def linear(self) -> Attribution:
        """Credit every touch alike."""
        return self._weighted(lambda n: [1.0] * n)

    def position(self, *, first: float = 0.4, last: float = 0.4) -> Attribution:
        """Credit the first and the last touch with these shares, and those between with the rest.

        Of two touches the shares keep their proportion; a single touch takes all.

        >>> Journeys([["ad", "owner"]], [1]).position(first=0.5, last=0.25)["ad"] == 2 / 3
        True
        """
        ahead, behind = _share(first, "first"), _share(last, "last")
        if ahead + behind > 1 + 1e-12:
            raise InvalidValue("first and last must not sum to more than 1")

        def weights(n: int) -> list[float]:
            if n == 1:
                return [1.0]
            if n == 2:
                return [ahead, behind] if ahead + behind else [1.0, 1.0]
            between = max(0.0, 1 - ahead - behind) / (n - 2)
            return [ahead, *[between] * (n - 2), behind]

        return self._weighted(weights)

    def time_decay(self, half_life: float) -> Attribution:
        """Credit a touch half as much for every `half_life` touches that lie between it and the last.

        >>> Journeys(["AB"], [3]).time_decay(1)["A"]
        1.0
        """
        span = _positive(half_life, "half_life")
        return self._weighted(lambda n: [2.0 ** (-(n - 1 - place) / span) for place in range(n)])

    def markov(self, order: int = 1) -> Attribution:
        """Credit by what is lost when a touch is removed from the chain that the journeys make.

        States are the last `order` touches; the chain is solved exactly, nothing is drawn. The effect of a
        touch is the share of conversions lost when every step to it leads nowhere (Anderl et al. 2016).
        """
        steps = whole(order, "order", at_least=1, at_most=16)
        self._need_conversions()
        journeys = zip(self.paths, self.conversions, self.nulls, strict=True)
        effects = removal_effects(list(journeys), self.touches, steps)
        weight = math.fsum(effects.values())
        shares = {touch: self.total * effect / weight for touch, effect in effects.items()}
        return Attribution(shares, self.total, effects)

    def shapley(self, worth: str = "set_sum") -> Attribution:
        """Credit by the Shapley value of the touches.

        `worth` of a set of touches: "set_sum", the conversions of journeys that use no others (a journey's
        credit is then shared alike by its distinct touches; Zhao et al. 2018), or "exact_set", the
        conversions of journeys with exactly that set. The latter's values sum to what the set of all
        touches is worth, which need not be the total: they are returned as they are, with `reason`.
        """
        if not isinstance(worth, str) or worth not in ("set_sum", "exact_set"):
            raise InvalidValue("worth is 'set_sum' or 'exact_set'")
        worths: dict[frozenset[str], int] = {}
        for path, count in zip(self.paths, self.conversions, strict=True):
            used = frozenset(path)
            worths[used] = worths.get(used, 0) + count
        values = (_shared if worth == "set_sum" else _exact)(worths, self.touches)
        found = sum(values.values(), Fraction(0))
        reason = ""
        if found != self.total:
            reason = (
                f"the worth of all {len(self.touches)} touches together is {found} "
                f"of {self.total} conversions, and Shapley values sum to that"
            )
        return Attribution({touch: float(value) for touch, value in values.items()}, self.total, {}, reason)

    def _need_conversions(self) -> None:
        if not self.total:
            raise InvalidValue("no journey ended in an order: there is nothing to credit")

    def _weighted(self, weights: Callable[[int], list[float]]) -> Attribution:
        parts: dict[str, list[float]] = {touch: [] for touch in self.touches}
        for path, count in zip(self.paths, self.conversions, strict=True):
            if not count:
                continue
            shares = weights(len(path))
            whole_of_it = math.fsum(shares)
            for touch, share in zip(path, shares, strict=True):
                parts[touch].append(count * share / whole_of_it)
        return Attribution({touch: math.fsum(found) for touch, found in parts.items()}, self.total)


def _path(path: Any, place: int) -> tuple[str, ...]:
    if not isinstance(path, Sequence) or isinstance(path, bytes):
        raise InvalidValue(f"paths[{place}] must be a sequence of touches")
    touches = tuple(identifier(touch, f"a touch of paths[{place}]") for touch in path)
    if not touches:
        raise InvalidValue(f"paths[{place}] has no touch")
    return touches


def _counts(values: Iterable[Any], name: str, length: int) -> tuple[int, ...]:
    counts = tuple(
        whole(value, f"{name}[{place}]", at_least=0) for place, value in enumerate(listed(values, name))
    )
    if len(counts) != length:
        raise InvalidValue(f"{name} has {len(counts)} counts for {length} paths")
    return counts


def _share(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction) or not 0 <= value <= 1:
        raise InvalidValue(f"{name} must be a share between 0 and 1")
    return float(value)


def _positive(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction):
        raise InvalidValue(f"{name} must be a number, not {type(value).__name__}")
    if not 0 < value < math.inf:
        raise InvalidValue(f"{name} must be positive and finite")
    try:
        return max(float(value), 1e-300)
    except OverflowError:
        raise InvalidValue(f"{name} is beyond what a number can hold") from None


def _shared(worths: Mapping[frozenset[str], int], touches: Sequence[str]) -> dict[str, Fraction]:
    values = dict.fromkeys(touches, Fraction(0))
    for used, count in worths.items():
        for touch in used:
            values[touch] += Fraction(count, len(used))
    return values


def _exact(worths: Mapping[frozenset[str], int], touches: Sequence[str]) -> dict[str, Fraction]:
    """Sum the Shapley formula over the sets that have a worth; all others add nothing."""
    n = len(touches)
    weight = [Fraction(math.factorial(s) * math.factorial(n - s - 1), math.factorial(n)) for s in range(n)]
    values = dict.fromkeys(touches, Fraction(0))
    for used, count in worths.items():
        size = len(used)
        for touch in touches:
            if touch in used:
                values[touch] += count * weight[size - 1]
            else:
                values[touch] -= count * weight[size]
    return values
