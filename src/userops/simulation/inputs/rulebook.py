"""The rulebook: a program's earn rules prepared for a clock, with the places of what they read and count."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from attrs import define, evolve

from userops.program import Program
from userops.program.rules import Choice, EarnRule, Limit, Streak, fields_read
from userops.simulation.columns import Ints, Mask
from userops.simulation.inputs.clock import NEVER, Clock


def needs_tier(rule: EarnRule) -> bool:
    """Say whether the member's tier matters to a rule."""
    conditions = [rule.when, *(limit.when for limit in rule.limits)]
    return bool(rule.multiply_by_tier) or any("tier" in one.fields() for one in conditions)


def fields_read_on(program: Program, kind: str) -> set[str]:
    """Return the fields that the earn rules of a kind of events read."""
    return {name for rule in program.earn if rule.on == kind for name in fields_read(rule)}


@define(eq=False)
class PreparedLimit:
    """A cap as one rule is under it."""

    limit: Limit
    #: The place of the counter that it reads, among the members' or among the shared ones; -1: per reference.
    slot: int
    is_shared: bool
    key: tuple[str, str]


@define(eq=False)
class PreparedRule:
    """An earn rule with the places of what it reads and counts."""

    rule: EarnRule
    #: Its place among the program's earn rules.
    index: int
    fund: int
    limits: list[PreparedLimit]
    #: The member counters, and shared ones, that its grants count in.
    counts: list[int]
    shared_counts: list[int]
    streak: int
    is_points: bool
    #: Of each day: whether the rule can give on it, and the day on which such points are gone.
    is_open: Mask
    expiry: Ints

    @property
    def needs_tier(self) -> bool:
        """Say whether the member's tier matters to it."""
        return needs_tier(self.rule)


@define(eq=False)
class Rulebook:
    """A program's rules, prepared for a clock and for the kinds of events that a plan simulates."""

    program: Program
    clock: Clock
    kinds: tuple[str, ...]
    funds: tuple[str, ...]
    rules: dict[int, list[PreparedRule]]
    #: (name, per) of the counters of members, and of the whole program.
    slots: list[tuple[str, str]]
    shared: list[tuple[str, str]]
    streaks: list[str]

    @classmethod
    def of(cls, program: Program, clock: Clock, kinds: Sequence[str]) -> Rulebook:
        """Prepare the rules of a program."""
        limits = [limit for rule in program.earn for limit in rule.limits if limit.cap.per != "reference"]
        slots = sorted({(x.name, x.cap.per) for x in limits if x.cap.scope == "member"})
        shared = sorted({(x.name, x.cap.per) for x in limits if x.cap.scope == "program"})
        streaks = sorted({rule.name for rule in program.earn if isinstance(rule.points, Streak)})
        book = cls(program, clock, tuple(kinds), tuple(program.funds), {}, slots, shared, streaks)
        for place, kind in enumerate(kinds):
            book.rules[place] = [
                book._prepared(index, rule) for index, rule in enumerate(program.earn) if rule.on == kind
            ]
        return book

    @property
    def value_rules(self) -> set[int]:
        """The places, among the program's rules, of those that give the value that tiers count."""
        currency = self.program.value_currency
        return {index for index, rule in enumerate(self.program.earn) if rule.currency == currency}

    @property
    def is_value_first(self) -> bool:
        """Say whether the rules that give value can be decided before all others, as tiers wait for them.

        They can where they ask for no tier, share no limit with other rules, and no budget is theirs.
        """
        value = self.value_rules
        rules = [one for found in self.rules.values() for one in found]
        mine, others = ([x for x in rules if (x.index in value) == is_mine] for is_mine in (True, False))
        counted = {slot for one in others for slot in one.counts} | {
            x.key for one in others for x in one.limits
        }
        groups, funds = self.program.groups, self.program.funds
        return not any(
            one.needs_tier
            or one.shared_counts
            or funds[one.rule.fund].budget is not None
            or groups.get(one.rule.group, Choice.ALL) is not Choice.ALL
            or counted & {*one.counts, *(x.key for x in one.limits)}
            for one in mine
        )

    def part(self, kept: Collection[int]) -> Rulebook:
        """Return a rulebook with some of the program's rules, by place; what they count in stays where it is."""
        rules = {kind: [one for one in found if one.index in kept] for kind, found in self.rules.items()}
        return evolve(self, rules=rules)

    def _prepared(self, index: int, rule: EarnRule) -> PreparedRule:
        names = self.program.cap_names[rule.name]
        expiry = expiry_days_of(self.clock, rule)
        days = self.clock.days
        is_open = np.array([rule.is_in_force(day) for day in days])
        if rule.expires is not None:
            # Points that would be gone before they can be used are refused by the command itself.
            is_open &= expiry > np.arange(len(days)) + rule.activates_days
        return PreparedRule(
            rule=rule,
            index=index,
            fund=self.funds.index(rule.fund),
            limits=[self._limit(limit) for limit in rule.limits],
            counts=[k for k, (name, _) in enumerate(self.slots) if name in names],
            shared_counts=[
                k
                for k, key in enumerate(self.shared)
                if any(x.cap.scope == "program" and (x.name, x.cap.per) == key for x in rule.limits)
            ],
            streak=self.streaks.index(rule.name) if rule.name in self.streaks else -1,
            is_points=rule.currency == "points",
            is_open=is_open,
            expiry=expiry,
        )

    def _limit(self, limit: Limit) -> PreparedLimit:
        key, is_shared = (limit.name, limit.cap.per), limit.cap.scope == "program"
        places = self.shared if is_shared else self.slots
        slot = -1 if limit.cap.per == "reference" else places.index(key)
        return PreparedLimit(limit, slot, is_shared, key)


_expiries: dict[tuple[Any, Any], Ints] = {}


def expiry_days_of(clock: Clock, rule: EarnRule) -> Ints:
    """Return of each earning day the day on which the points of a rule are gone."""
    if rule.expires is None:
        return np.full(len(clock.days), NEVER)
    key = (clock.span, rule.expires)
    if key not in _expiries:
        if len(_expiries) > 64:
            _expiries.clear()
        _expiries[key] = clock.expiry_days(rule.expires)
    return _expiries[key]
