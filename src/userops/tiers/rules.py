"""The rules of a ladder as values, validated together."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import tzinfo
from functools import cached_property
from typing import Any

import attrs
from attrs import field

from userops.core.amounts import whole
from userops.core.calendar import zone
from userops.core.events import Record
from userops.core.fields import checked
from userops.core.files import did_you_mean
from userops.core.ids import identifier
from userops.core.quantities import listed
from userops.errors import InvalidValue
from userops.tiers.policies import (
    Crossing,
    Downgrade,
    Exponential,
    Grace,
    Keep,
    YearlyDeduction,
    amounts_by_tier,
    policy,
)
from userops.tiers.tier import Tier, Way
from userops.tiers.windows import Lifetime, Window

MAX_TIERS = 100


def _tiers(value: object, name: str) -> tuple[Tier, ...]:
    found = tuple(listed(value, name))
    if not 1 <= len(found) <= MAX_TIERS:
        raise InvalidValue(f"a ladder has 1 to {MAX_TIERS} tiers, not {len(found)}")
    for tier in found:
        if not isinstance(tier, Tier):
            raise InvalidValue(f"{name} must be a tuple of Tier, not of {type(tier).__name__}")
    return found


def _daily_cap(value: object, name: str) -> int | Record:
    return amounts_by_tier(value, name) if isinstance(value, Mapping) else whole(value, name, at_least=0)


def _names(value: object, name: str) -> tuple[str, ...]:
    if not isinstance(value, tuple | list):
        raise InvalidValue(f"{name} must be a tuple of names")
    return tuple(identifier(one, "a badge") for one in value)


def _zone_name(value: Any, _name: str) -> str:
    zone(value)
    return str(value)


_fields = checked(
    {
        "tiers": _tiers,
        "window": lambda value, name: policy(value, Window, name),
        "keep": lambda value, name: policy(value, Keep, name),
        "downgrade": lambda value, name: policy(value, Downgrade, name),
        "grace": lambda value, name: policy(value, Grace, name),
        "crossing": lambda value, name: policy(value, Crossing, name),
        "decay": lambda value, name: policy(value, (YearlyDeduction, Exponential), name),
        "daily_cap": _daily_cap,
        "timezone": _zone_name,
        "metric": identifier,
        "badges": _names,
    }
)


@attrs.frozen(field_transformer=_fields, slots=False)
class Rules:
    """The fields of a ladder; see `Ladder`."""

    tiers: tuple[Tier, ...]
    #: Which part of the past counts.
    window: Window = field(factory=Lifetime, kw_only=True)
    #: How long a tier is held before its review; None: not at all, the tier follows the value.
    keep: Keep | None = field(default=None, kw_only=True)
    downgrade: Downgrade = field(default=Downgrade.TO_EARNED, kw_only=True)
    #: The days after a failed review in which requalifying keeps the tier.
    grace: Grace | None = field(default=None, kw_only=True)
    crossing: Crossing = field(default=Crossing.OLD_RATE, kw_only=True)
    decay: YearlyDeduction | Exponential | None = field(default=None, kw_only=True)
    #: The most value of a local day that counts; by tier held, when a mapping (a tier it lacks has no cap).
    daily_cap: int | Mapping[str, int] | None = field(default=None, hash=False, kw_only=True)
    timezone: str = field(default="UTC", kw_only=True)
    #: The metric that (at, value) pairs are of, and that `at_least`, the daily cap and deductions count.
    metric: str = field(default="value", kw_only=True)
    #: The badges that may be granted; None: any name that is no tier.
    badges: tuple[str, ...] | None = field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        """Refuse names twice, thresholds that do not rise, and policies about unknown tiers."""
        for name in self.names:
            if self.names.count(name) > 1:
                raise InvalidValue(f"two tiers are named {name!r}")
        earned = [tier for tier in self.tiers if not tier.invite_only]
        for lower, higher in itertools.pairwise(earned):
            if not _implies(higher.ways(self.metric), lower.ways(self.metric)) or _implies(
                lower.ways(self.metric), higher.ways(self.metric)
            ):
                raise InvalidValue(
                    f"thresholds must rise strictly: tier {higher.name!r} does not need more than {lower.name!r}"
                )
        mentioned: dict[str, Mapping[str, int]] = {}
        if isinstance(self.daily_cap, Mapping):
            mentioned["daily_cap"] = self.daily_cap
        if isinstance(self.decay, YearlyDeduction):
            mentioned["decay"] = self.decay.by_tier
        for policy_name, by_tier in mentioned.items():
            for name in by_tier:
                self.index(name, policy_name)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The tiers' names, lowest first."""
        return tuple(tier.name for tier in self.tiers)

    @cached_property
    def tz(self) -> tzinfo:
        """The ladder's time zone."""
        return zone(self.timezone)

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that tiers ask for, the ladder's own first."""
        asked = (name for tier in self.tiers for way in tier.ways(self.metric) for name, _ in way)
        return tuple(dict.fromkeys([self.metric, *asked]))

    def index(self, name: str, where: str = "tier") -> int:
        """Return the place of a tier, the lowest being 0."""
        if name not in self.names:
            raise InvalidValue(f"{where}: no tier is named {name!r}{did_you_mean(name, self.names)}")
        return self.names.index(name)

    def name(self, place: int) -> str | None:
        """Return the name of the tier at a place; below the lowest there is none."""
        return self.names[place] if place >= 0 else None

    @cached_property
    def falls(self) -> tuple[bool, ...]:
        """Of each tier, whether a review can ever take it away."""
        return tuple(
            self.downgrade is not Downgrade.NEVER
            and not tier.lifetime
            and not any(all(n == 0 for _, n in way) for way in tier.ways(self.metric))
            for tier in self.tiers
        )

    def open_to(self, record: Mapping[str, Any]) -> tuple[int, ...]:
        """Return the tiers, highest first, that a person with this record can reach by value."""
        return tuple(
            place
            for place in reversed(range(len(self.tiers)))
            if not self.tiers[place].invite_only
            and ((condition := self.tiers[place].requires) is None or condition.holds(record))
        )


def _implies(ways: tuple[Way, ...], others: tuple[Way, ...]) -> bool:
    """Say whether whoever fulfils one of `ways` fulfils one of `others`."""
    return all(any(all(dict(way).get(name, 0) >= n for name, n in other) for other in others) for way in ways)
