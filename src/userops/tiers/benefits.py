"""Benefits: what a tier brings, how often, and whom it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final

from attrs import frozen

from userops.core.amounts import bounded_decimal, whole
from userops.core.fields import checked
from userops.core.ids import identifier
from userops.errors import InvalidValue

#: How many periods of a kind a year holds, for costing; a lifetime quota counts once.
PERIODS_PER_YEAR: Final[Mapping[str, int]] = {
    "tier_year": 1,
    "year": 1,
    "month": 12,
    "week": 53,
    "day": 366,
    "lifetime": 1,
}
_SHARING = ("member", "vehicle")
_RESALE = ("end", "follow")


def _word(words: tuple[str, ...]) -> Any:
    def check(value: object, name: str) -> str:
        if isinstance(value, str) and value in words:
            return value
        raise InvalidValue(f"{name} must be one of {', '.join(words)}")

    return check


_fields = checked(
    {
        "name": identifier,
        "quota": partial(whole, at_least=0, at_most=1_000_000),
        "per": _word(tuple(PERIODS_PER_YEAR)),
        "shared_by": _word(_SHARING),
        "on_resale": _word(_RESALE),
        "cost": bounded_decimal,
        "uses_per_year": bounded_decimal,
    }
)


@frozen(field_transformer=_fields)
class Benefit:
    """A right that a tier brings: so many uses per period, or without limit when `quota` is None.

    A tier year runs from when the tier was reached. What is shared by a vehicle's owners ends at its resale,
    or follows the vehicle. `cost` is the money one use costs, `uses_per_year` the uses expected of a member
    (the whole quota when not given).

    >>> Benefit("airport pick-up", quota=2, cost=Decimal(120)).yearly_cost()
    Decimal('240')
    """

    name: str
    quota: int | None = None
    per: str = "tier_year"
    shared_by: str = "member"
    on_resale: str = "end"
    cost: Decimal = Decimal(0)
    uses_per_year: Decimal | None = None

    def yearly_cost(self) -> Decimal:
        """Return the expected cost of a member and year.

        Without a quota, expected uses have to be given where a use costs anything.
        """
        uses = self.uses_per_year
        if uses is None:
            if self.quota is None:
                if self.cost:
                    raise InvalidValue(f"benefit {self.name!r} has no quota: give uses_per_year to cost it")
                return Decimal(0)
            uses = Decimal(self.quota * PERIODS_PER_YEAR[self.per])
        return self.cost * uses


#: A use of a benefit: its name and when.
Use = tuple[str, datetime]
