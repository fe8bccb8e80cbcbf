"""The rulebook: everything a program file says, as one value that decisions read."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

from attrs import field, frozen

from userops.core.calendar import zone
from userops.core.commands import Clawback
from userops.core.ids import derived_id
from userops.points import Currency, Fund
from userops.program.rules import BenefitOffer, Choice, Counter, EarnRule, Limit, RedeemRule, Sink
from userops.referrals import Binding, Scheme
from userops.tiers import Crossing, Ladder


@frozen(kw_only=True)
class Rulebook:
    """The rules of a program, and what follows from them alone."""

    name: str
    timezone: str = "UTC"
    currencies: Mapping[str, Currency] = field(factory=dict, hash=False)
    funds: Mapping[str, Fund] = field(factory=dict, hash=False)
    earn: tuple[EarnRule, ...] = ()
    redeem: tuple[RedeemRule, ...] = ()
    groups: Mapping[str, Choice] = field(factory=dict, hash=False)
    sinks: Mapping[str, Sink] = field(factory=dict, hash=False)
    counters: tuple[Counter, ...] = ()
    benefits: tuple[BenefitOffer, ...] = ()
    #: The tiers' ladder, and the currency whose entries it counts.
    ladder: Ladder | None = None
    value_currency: str | None = None
    #: How invitees are bound to referrers, and who is credited for what.
    binding: Binding | None = None
    scheme: Scheme | None = None
    #: The table it was read from.
    table: Mapping[str, Any] = field(factory=dict, hash=False, repr=False, eq=False)

    @functools.cached_property
    def tz(self) -> tzinfo:
        """The program's time zone."""
        return zone(self.timezone)

    @functools.cached_property
    def prefix(self) -> str:
        """What the ids of this program's commands begin with."""
        return derived_id(self.name)

    @functools.cached_property
    def cap_names(self) -> Mapping[str, tuple[str, ...]]:
        """Of each rule, the names under which caps count its grants."""
        names: dict[str, tuple[str, ...]] = {}
        for rule in self.earn:
            found = (rule.name, *(limit.name for limit in rule.limits))
            names[rule.name] = tuple(dict.fromkeys(names.get(rule.name, ()) + found))
        return names

    @functools.cached_property
    def capped_rules(self) -> Mapping[str, tuple[str, ...]]:
        """Under each name that caps count by, the rules whose grants count."""
        rules: dict[str, tuple[str, ...]] = {}
        for rule, names in self.cap_names.items():
            for name in names:
                rules[name] = (*rules.get(name, ()), rule)
        return rules

    @functools.cached_property
    def clawbacks(self) -> Mapping[str, Clawback]:
        """Of each rule, how a cancelled event takes its grant back."""
        return {rule.name: rule.clawback for rule in self.earn}

    @functools.cached_property
    def limits_of_all(self) -> tuple[Limit, ...]:
        """The caps that count the grants of the whole program, each once."""
        limits = (limit for rule in self.earn for limit in rule.limits if limit.cap.scope == "program")
        return tuple(dict.fromkeys(limits))

    @property
    def is_new_rate(self) -> bool:
        """Say whether the event that crosses a threshold already earns at the new tier."""
        return self.ladder is not None and self.ladder.crossing is Crossing.NEW_RATE

    def counts(self, kind: str) -> bool:
        """Say whether some counter counts events of a kind."""
        return any(counter.on == kind for counter in self.counters)
