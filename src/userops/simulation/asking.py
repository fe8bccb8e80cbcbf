"""A program's earn rules prepared for columns: what depends on the event alone is computed for all at once."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from attrs import define, evolve, frozen

from userops.core.conditions import ALWAYS, Condition
from userops.errors import IncomparableError, InvalidValue
from userops.program import Program
from userops.program.rules import Choice, EarnRule, Fixed, Limit, Proportional, Rounding, Streak, Table
from userops.simulation.arrays import Array, Ints, Mask
from userops.simulation.clock import NEVER, Clock

#: Marks a missing whole number; no amount of a simulation comes near it.
MISSING = -(2**62)
#: Conditions on words are looked up in a table of at most this many combinations.
_MOST_COMBINATIONS = 4_096
#: Products beyond this are computed with Python's integers.
_SAFE = 2**62


@frozen(eq=False)
class Column:
    """A field of events: whole numbers, or places in `words` (-1 where it is missing)."""

    values: Ints
    words: tuple[Any, ...] | None = None

    def spelt(self) -> Array:
        """Return the values as the condition language reads them."""
        if self.words is None:
            gone = self.values == MISSING
            return np.ma.array(self.values, mask=gone) if gone.any() else self.values
        spelt = np.empty(len(self.words) + 1, dtype=object)
        spelt[:-1] = self.words
        found: Array = spelt[self.values]
        return found

    def taken(self, places: Any) -> Column:
        """Return the column at some places."""
        return Column(self.values[places], self.words)


Columns = Mapping[str, Column]


def mask_of(condition: Condition, columns: Columns, rows: int) -> Mask | None:
    """Return where a condition holds, or None where it always does; a comparison of unlike kinds never holds."""
    if condition == ALWAYS:
        return None
    names = [name for name in condition.fields() if name in columns]
    words = [columns[name].words for name in names]
    combinations = int(np.prod([len(known) + 1 for known in words if known is not None], dtype=float))
    if all(known is not None for known in words) and combinations <= _MOST_COMBINATIONS:
        return _by_table(condition, [(name, columns[name]) for name in names], rows)
    try:
        found = condition.mask({name: columns[name].spelt() for name in names})
    except (IncomparableError, InvalidValue):
        return np.zeros(rows, dtype=bool)
    return found


def _by_table(condition: Condition, columns: Sequence[tuple[str, Column]], rows: int) -> Mask:
    """Decide every combination of words once, by the plain engine's own test, and look events up."""
    if not columns:
        return np.full(rows, _holds(condition, {}))
    options = [(*(column.words or ()), None) for _, column in columns]
    table = np.array(
        [
            _holds(condition, {name: value for (name, _), value in zip(columns, chosen, strict=True)})
            for chosen in itertools.product(*options)
        ]
    )
    if len(columns) == 1:
        # A missing word is -1, and the last of the table.
        return np.asarray(table[columns[0][1].values])
    code = np.zeros(rows, dtype=np.int64)
    for option, (_, column) in zip(options, columns, strict=True):
        code *= len(option)
        code += np.where(column.values < 0, len(option) - 1, column.values)
    found: Mask = table[code]
    return found


def _holds(condition: Condition, record: Mapping[str, Any]) -> bool:
    try:
        return condition.holds({name: value for name, value in record.items() if value is not None})
    except (IncomparableError, InvalidValue):
        return False


def asked_points(rule: EarnRule, columns: Columns, rows: int, tier: str | None) -> Ints:
    """Return the whole points that a rule asks for at each event, 0 where it gives none; streaks as 1."""
    grant = rule.points
    if isinstance(grant, Streak):
        return np.ones(rows, dtype=np.int64)
    if isinstance(grant, Fixed):
        return np.full(rows, max(0, rule.rounded(Fraction(grant.points), tier)))
    if isinstance(grant, Table):
        column = columns.get(grant.by)
        if column is None:
            return np.zeros(rows, dtype=np.int64)
        values, places = (
            (np.array([]), column.values)
            if column.words is not None
            else np.unique(column.values, return_inverse=True)
        )
        words = column.words if column.words is not None else tuple(int(v) for v in values)
        table = [_table_points(rule, grant, word, tier) for word in words]
        found: Ints = np.array([*table, 0], dtype=np.int64)[places]
        return found
    column = columns.get(grant.of)
    if column is None or column.words is not None:
        return np.zeros(rows, dtype=np.int64)
    return _proportional(rule, grant, column.values, tier)


def _table_points(rule: EarnRule, grant: Table, word: Any, tier: str | None) -> int:
    exact = None if word == MISSING else grant.of_record({grant.by: word})
    return 0 if exact is None else max(0, rule.rounded(exact, tier))


def _proportional(rule: EarnRule, grant: Proportional, values: Ints, tier: str | None) -> Ints:
    factor = grant.give / grant.per * (rule.multiply_by_tier.get(tier, Fraction(1)) if tier else Fraction(1))
    up, down = factor.numerator, factor.denominator
    known = np.where(values == MISSING, 0, values)
    most = max(abs(int(known.max(initial=0))), abs(int(known.min(initial=0))))
    if most * up * 2 + down * 2 >= _SAFE:
        exact = [grant.rounding.apply(int(value) * factor) for value in known]
        return np.array([max(0, min(value, _SAFE)) for value in exact], dtype=np.int64)
    product = known * up
    if grant.rounding is Rounding.DOWN:
        found = product // down
    elif grant.rounding is Rounding.UP:
        found = -(-product // down)
    else:
        found = (2 * product + down) // (2 * down)
        if grant.rounding is Rounding.HALF_EVEN:
            is_tie = (2 * product + down) % (2 * down) == 0
            found = found - (is_tie & (found % 2 == 1))
    points: Ints = np.maximum(found, 0)
    return points


def needs_tier(rule: EarnRule) -> bool:
    """Say whether the member's tier matters to a rule."""
    conditions = [rule.when, *(limit.when for limit in rule.limits)]
    return bool(rule.multiply_by_tier) or any("tier" in one.fields() for one in conditions)


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
