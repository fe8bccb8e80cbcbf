"""Offers: what an order of a day is promised, whom a later offer would make worse off, and what benefits cost."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from userops.core.amounts import exact, whole
from userops.core.calendar import add_days
from userops.core.chance import stream
from userops.core.statistics import check_level
from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.program.rules import BenefitOffer

_MOST_DAYS = 1_100


@frozen(kw_only=True)
class Pair:
    """Two order days, the later one promised more: by how much, and by which benefits."""

    earlier: date
    later: date
    #: In money: the later day's stacked value less the earlier day's.
    gap: Fraction
    #: Benefits the later order has and the earlier has not, and the other way round.
    gained: tuple[str, ...]
    lost: tuple[str, ...]


@frozen
class Parity:
    """The pairs of order days on which a later buyer would be better off; none when the offers are fair.

    Iterating, `len()` and truth speak of the pairs; printing shows spans of days that are alike.
    """

    pairs: tuple[Pair, ...] = field(repr=False)
    #: (order day, the stacked value in money, the benefits in force).
    days: tuple[tuple[date, Fraction, tuple[str, ...]], ...] = field(repr=False)
    #: What it costs to raise each order of an earlier day to the best later one, by day.
    top_up: Mapping[date, Fraction] = field(repr=False, hash=False)
    #: The cost of making every earlier order whole, in money.
    cost: Fraction

    def __iter__(self) -> Iterator[Pair]:
        return iter(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __str__(self) -> str:
        if not self.pairs:
            return "No later order is promised more than an earlier one."
        spans = [list(group) for _, group in itertools.groupby(self.days, key=lambda day: day[1:])]
        rows = []
        for before, after in itertools.combinations(spans, 2):
            gap = after[0][1] - before[0][1]
            if gap > 0:
                gained = [name for name in after[0][2] if name not in before[0][2]]
                rows.append(
                    {
                        "ordered": _span(before),
                        "later": _span(after),
                        "gap": float(gap),
                        "by": ", ".join(gained),
                    }
                )
        note = f"Making the earlier orders whole costs {float(self.cost):,.2f}."
        table = Table.of_rows(
            rows, ["ordered", "later", "gap", "by"], title="Later buyers better off", notes=(note,),
            formats={"gap": ",.2f"},
        )  # fmt: skip
        return str(table)


def _span(days: Sequence[tuple[date, Fraction, tuple[str, ...]]]) -> str:
    return str(days[0][0]) if len(days) == 1 else f"{days[0][0]} to {days[-1][0]}"


def parity(
    benefits: Sequence[BenefitOffer],
    profile: Mapping[str, Any],
    start: date,
    end: date,
    orders_per_day: int | Mapping[date, int],
) -> Parity:
    """Compare the stacked value of benefits over the order days `[start, end)`."""
    days = _days(benefits, profile, start, end)
    pairs = tuple(
        Pair(
            earlier=before[0],
            later=after[0],
            gap=after[1] - before[1],
            gained=tuple(name for name in after[2] if name not in before[2]),
            lost=tuple(name for name in before[2] if name not in after[2]),
        )
        for place, before in enumerate(days)
        for after in days[place + 1 :]
        if after[1] > before[1]
    )
    top_up: dict[date, Fraction] = {}
    best = Fraction(0)
    for day, value, _ in reversed(days):
        best = max(best, value)
        if best > value:
            top_up[day] = best - value
    cost = sum((gap * _orders(orders_per_day, day) for day, gap in top_up.items()), Fraction(0))
    return Parity(pairs, days, dict(sorted(top_up.items())), cost)


def _days(
    benefits: Sequence[BenefitOffer], profile: Mapping[str, Any], start: date, end: date
) -> tuple[tuple[date, Fraction, tuple[str, ...]], ...]:
    for name, day in (("start", start), ("end", end)):
        if type(day) is not date:
            raise InvalidValue(f"{name} must be a date, not {type(day).__name__}")
    if not 0 < (end - start).days <= _MOST_DAYS:
        raise InvalidValue(f"end must lie 1 to {_MOST_DAYS} days after start")
    promised = [offer for offer in benefits if offer.when.holds(profile)]
    found = []
    for n in range((end - start).days):
        day = add_days(start, n)
        in_force = [offer for offer in promised if offer.is_in_force(day)]
        value = sum((offer.value for offer in in_force), Fraction(0))
        found.append((day, value, tuple(offer.name for offer in in_force)))
    return tuple(found)


def _orders(orders_per_day: int | Mapping[date, int], day: date) -> int:
    given = orders_per_day.get(day, 0) if isinstance(orders_per_day, Mapping) else orders_per_day
    return whole(given, "orders_per_day", at_least=0)


@frozen(eq=False)
class CostDistribution:
    """What a promised benefit costs, in money: a distribution, with its exact mean."""

    mean: float
    standard_deviation: float
    #: Simulated totals, sorted.
    draws: NDArray[np.float64] = field(repr=False)

    def quantile(self, q: float) -> float:
        """Return the cost that is not passed with probability `q`."""
        return float(np.quantile(self.draws, check_level(q, "q")))

    def __str__(self) -> str:
        low, middle, high = (self.quantile(q) for q in (0.05, 0.5, 0.95))
        return f"mean {self.mean:,.0f}; 5% {low:,.0f}, median {middle:,.0f}, 95% {high:,.0f}"


def benefit_cost(
    *, uses: object, cost: object, members: int, draws: int = 10_000, seed: int = 0
) -> CostDistribution:
    """Return what a benefit costs over all members: the number of uses times the cost of one, as a distribution.

    `uses` and `cost` are each a mean (uses are then Poisson, a cost fixed) or a list of observed values, one
    per member or use, that members and uses are drawn from. Sums over many members are drawn from their
    normal limit, with the exact variance of a compound sum (Wald).

    >>> lifetime = benefit_cost(uses=8, cost=450, members=10_000)
    >>> round(lifetime.mean), round(lifetime.standard_deviation)
    (36000000, 127279)
    """
    count = whole(members, "members", at_least=1)
    use_mean, use_variance = _moments(uses, "uses", is_count=True)
    cost_mean, cost_variance = _moments(cost, "cost", is_count=False)
    mean = count * use_mean * cost_mean
    variance = count * (use_mean * cost_variance + use_variance * cost_mean**2)
    rng = stream(seed, "benefit cost")
    size = whole(draws, "draws", at_least=100, at_most=10_000_000)
    spread = float(np.sqrt(variance))
    if count * use_mean >= 1_000 or mean == 0:
        found = np.maximum(0.0, rng.normal(mean, spread, size))
    else:
        # Few uses: gamma-shaped, never below 0, with the same two moments.
        shape = mean**2 / variance if variance else 1e12
        found = rng.gamma(shape, mean / shape, size)
    return CostDistribution(mean, spread, np.sort(found))


def _moments(given: object, name: str, *, is_count: bool) -> tuple[float, float]:
    if isinstance(given, int | float | Decimal | Fraction | np.number) and not isinstance(given, bool):
        value = float(given) if isinstance(given, float | np.floating) else float(exact(given, name))
        if not (np.isfinite(value) and value >= 0):
            raise InvalidValue(f"{name} must be finite and not negative")
        value = abs(value)  # -0.0, whose square root is no spread.
        return value, value if is_count else 0.0
    try:
        if isinstance(given, str | bytes | bool):
            raise TypeError
        observed = np.array([float(x) for x in given], dtype=np.float64)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise InvalidValue(f"{name} must be a mean or a list of observed numbers") from None
    if observed.size < 2 or not np.isfinite(observed).all() or (observed < 0).any():
        raise InvalidValue(f"{name} needs at least two observed numbers, finite and not negative")
    return float(observed.mean()), float(observed.var(ddof=1))
