"""A tier: its name and what it takes to reach it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from attrs import field, frozen

from userops.core.amounts import whole
from userops.core.conditions import Condition
from userops.core.events import Record
from userops.core.fields import checked
from userops.core.ids import MAX_NAME_BYTES, identifier
from userops.errors import InvalidValue
from userops.tiers.benefits import Benefit

#: One way to reach a tier: amounts of metrics that are all needed.
Way = tuple[tuple[str, int], ...]


def _thresholds(value: object, name: str) -> Record:
    if not isinstance(value, Mapping) or not value:
        raise InvalidValue(f"{name} must be a mapping from metrics to amounts")
    return Record(
        {
            identifier(metric, "a metric"): whole(n, f"{name} of {metric}", at_least=0)
            for metric, n in value.items()
        }
    )


def _condition(value: object, name: str) -> Condition:
    if isinstance(value, Condition):
        return value
    raise InvalidValue(f"{name} must be a condition such as F('kind') == 'owner', not {type(value).__name__}")


def _truth(value: object, name: str) -> bool:
    if isinstance(value, bool):
        return value
    raise InvalidValue(f"{name} must be True or False, not {type(value).__name__}")


def _benefits(value: object, name: str) -> tuple[Benefit, ...]:
    found = tuple(value) if isinstance(value, tuple | list) else ()
    if not isinstance(value, tuple | list) or not all(isinstance(one, Benefit) for one in found):
        raise InvalidValue(f"{name} must be a tuple of Benefit")
    names = [one.name for one in found]
    if len(set(names)) < len(names):
        raise InvalidValue(f"{name} has two of one name")
    return found


_fields = checked(
    {
        "name": partial(identifier, most=MAX_NAME_BYTES),
        "at_least": partial(whole, at_least=0),
        "all_of": _thresholds,
        "any_of": _thresholds,
        "requires": _condition,
        "lifetime": _truth,
        "lifetime_after_years": partial(whole, at_least=1, at_most=100),
        "invite_only": _truth,
        "benefits": _benefits,
    }
)


@frozen(field_transformer=_fields)
class Tier:
    """One level of a ladder, reached by value, by several metrics, or by invitation alone.

    Give one of `at_least` (of the ladder's metric), `all_of` or `any_of` ({metric: amount}) and
    `invite_only`. `requires` is a condition on the member's record that has to hold besides. A lifetime tier,
    or one held for `lifetime_after_years`, is not lost at a review.

    >>> Tier("gold", at_least=3_000).name
    'gold'
    >>> Tier("gold")
    Traceback (most recent call last):
    userops.errors.InvalidValue: tier 'gold' needs one of at_least, all_of, any_of or invite_only=True
    """

    name: str
    at_least: int | None = None
    all_of: Mapping[str, int] | None = field(default=None, kw_only=True, hash=False)
    any_of: Mapping[str, int] | None = field(default=None, kw_only=True, hash=False)
    requires: Condition | None = field(default=None, kw_only=True)
    lifetime: bool = field(default=False, kw_only=True)
    lifetime_after_years: int | None = field(default=None, kw_only=True)
    invite_only: bool = field(default=False, kw_only=True)
    benefits: tuple[Benefit, ...] = field(default=(), kw_only=True)

    def __attrs_post_init__(self) -> None:
        """Refuse anything but one way of reaching the tier."""
        given = [way for way in (self.at_least, self.all_of, self.any_of) if way is not None]
        if len(given) + self.invite_only != 1:
            raise InvalidValue(
                f"tier {self.name!r} needs one of at_least, all_of, any_of or invite_only=True"
            )
        if self.lifetime and self.lifetime_after_years is not None:
            raise InvalidValue(f"tier {self.name!r}: lifetime, or lifetime_after_years, not both")

    def ways(self, metric: str) -> tuple[Way, ...]:
        """Return the ways to reach the tier, each a set of amounts needed; `metric` is what `at_least` counts.

        >>> Tier("gold", any_of={"value": 3_000, "referrals": 5}).ways("value")
        ((('value', 3000),), (('referrals', 5),))
        """
        if self.at_least is not None:
            return (((metric, self.at_least),),)
        if self.all_of is not None:
            return (tuple(self.all_of.items()),)
        return tuple(((name, n),) for name, n in (self.any_of or {}).items())

    def is_met(self, totals: Mapping[str, Any], metric: str) -> bool:
        """Say whether totals by metric are enough, whatever the record says.

        >>> Tier("gold", at_least=3_000).is_met({"value": 3_000}, "value")
        True
        """
        return any(all(totals.get(name, 0) >= n for name, n in way) for way in self.ways(metric))
