"""Referral's share of sales (老荐新), and what an additional sale costs beside advertising."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, overload

from attrs import frozen

from userops.core import amounts
from userops.core.statistics import wilson
from userops.core.tables import Table
from userops.errors import InvalidValue


@frozen
class ReferralShare:
    """The share of buyers whom somebody referred, among those whose source is known."""

    referred: int
    buyers: int
    unknown: int
    #: The share among buyers of known source.
    value: float
    #: Wilson's interval of it.
    interval: tuple[float, float]
    #: The share among all buyers if none, and if all, of the unknown were referred.
    bounds: tuple[float, float]

    def __str__(self) -> str:
        low, high = self.interval
        least, most = self.bounds
        return (
            f"{self.value:.1%} of {self.buyers - self.unknown:,} buyers of known source were referred "
            f"({low:.1%} to {high:.1%}); with {self.unknown:,} unknown between {least:.1%} and {most:.1%}"
        )


@overload
def referral_share(*, referred: int, buyers: int, unknown: int = 0, level: float = 0.95) -> ReferralShare: ...
@overload
def referral_share(
    *,
    referred: Mapping[str, int],
    buyers: Mapping[str, int],
    unknown: Mapping[str, int] | int = 0,
    level: float = 0.95,
) -> dict[str, ReferralShare]: ...
def referral_share(*, referred: Any, buyers: Any, unknown: Any = 0, level: float = 0.95) -> Any:
    """Return referral's share of sales; for counts by month, the share of each month.

    `buyers` counts all, those of unknown source included. A month whose sources are all unknown has no
    share, which is an error.

    >>> share = referral_share(referred=50, buyers=110, unknown=10)
    >>> share.value, [round(bound, 4) for bound in share.bounds]
    (0.5, [0.4545, 0.5455])
    """
    if isinstance(buyers, Mapping):
        return _by_month(referred, buyers, unknown, level)
    every = amounts.whole(buyers, "buyers", at_least=0)
    dark = amounts.whole(unknown, "unknown", at_least=0)
    brought = amounts.whole(referred, "referred", at_least=0)
    known = every - dark
    if known < 1:
        raise InvalidValue(f"of {every} buyers {dark} have an unknown source: no share can be told")
    if brought > known:
        raise InvalidValue(f"{brought} referred buyers are more than the {known} of known source")
    return ReferralShare(
        brought, every, dark, brought / known, wilson(brought, known, level=level),
        (brought / every, (brought + dark) / every),
    )  # fmt: skip


def _by_month(referred: Any, buyers: Any, unknown: Any, level: float) -> dict[str, ReferralShare]:
    dark = unknown if isinstance(unknown, Mapping) else dict.fromkeys(buyers, unknown)
    if not isinstance(referred, Mapping):
        raise InvalidValue("referred and buyers are both counts, or both by month")
    for name, months in (("referred", referred), ("unknown", dark)):
        odd = sorted(set(months) - set(buyers))
        if odd:
            raise InvalidValue(f"{name} names {odd[0]!r}, a month without buyers")
    return {
        month: referral_share(
            referred=referred.get(month, 0), buyers=buyers[month], unknown=dark.get(month, 0), level=level
        )
        for month in sorted(buyers)
    }


@frozen
class IncrementalCost:
    """What one additional sale costs by referral, beside advertising, exactly."""

    cost: Fraction
    advertising: Fraction
    incremental: Fraction

    @property
    def ratio(self) -> Fraction:
        """Cost by referral over cost by advertising; below 1 referral is cheaper."""
        if not self.advertising:
            raise InvalidValue("advertising costs nothing per sale: no ratio")
        return self.cost / self.advertising

    @property
    def is_cheaper(self) -> bool:
        """Whether an additional sale costs less by referral."""
        return self.cost < self.advertising

    def to_table(self) -> Table:
        """Return both costs side by side."""
        columns: dict[str, Any] = {
            "channel": ["referral", "advertising"],
            "cost per additional sale": [self.cost, self.advertising],
        }
        notes = (f"{float(self.incremental):,.1f} sales would not have come without referral",)
        return Table(columns, notes=notes, formats={"cost per additional sale": ",.2f"})

    def __str__(self) -> str:
        return str(self.to_table())


def cost_per_incremental(
    *,
    points: int,
    unit_cost: Any,
    referred: int,
    anyway: Any,
    advertising_cost: Any,
    advertised: int,
    other_cost: Any = 0,
) -> IncrementalCost:
    """Return the cost of a sale that would not have come otherwise, beside that of advertising.

    `points` paid at `unit_cost` each, and `other_cost` in money; `referred` sales, of which the share
    `anyway` would have been made without the referral; `advertising_cost` brought `advertised` additional
    sales. Money and shares are exact.

    >>> from decimal import Decimal
    >>> cost_per_incremental(points=120_000, unit_cost=Decimal("0.1"), referred=10, anyway=Fraction(2, 5),
    ...                      advertising_cost=50_000, advertised=10).cost
    Fraction(2000, 1)
    """
    paid = amounts.whole(points, "points", at_least=0) * _money(unit_cost, "unit_cost")
    spent = paid + _money(other_cost, "other_cost")
    would = amounts.exact(anyway, "anyway")
    if not 0 <= would <= 1:
        raise InvalidValue("anyway is a share between 0 and 1")
    incremental = amounts.whole(referred, "referred", at_least=0) * (1 - would)
    others = amounts.whole(advertised, "advertised", at_least=1)
    if not incremental:
        raise InvalidValue("no sale is owed to referral: its cost per additional sale is undefined")
    return IncrementalCost(
        spent / incremental, _money(advertising_cost, "advertising_cost") / others, incremental
    )


def _money(value: Any, name: str) -> Fraction:
    found = amounts.exact(value, name)
    if found < 0:
        raise InvalidValue(f"{name} must be at least 0")
    return found
