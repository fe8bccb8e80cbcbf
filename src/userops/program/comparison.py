"""Two programs compared: in words, and by what each would have given to whom."""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import attrs
from attrs import field, frozen

from userops.core.conditions import Condition
from userops.core.expiry import MAX_SPAN, Expiry
from userops.core.tables import Table
from userops.program.replay import Replay
from userops.program.rulebook import Rulebook
from userops.program.rules import EarnRule, Fixed, Grant, Limit, Proportional, Streak
from userops.program.rules import Table as PointsTable

_FIELD_WORDS = {
    "on": "listens to",
    "points": "gives",
    "limits": "is capped at",
    "expires": "expires after",
    "activates_days": "activates after days",
    "start": "begins",
    "until": "ends",
    "when": "applies when",
    "is_unbounded_accepted": "is accepted unbounded",
}


def diff(before: Rulebook, after: Rulebook) -> tuple[str, ...]:
    """Return the differences as sentences, in reading order; none when the rules are the same."""
    lines: list[str] = []
    for name in ("name", "timezone", "value_currency"):
        was, is_ = getattr(before, name), getattr(after, name)
        if was != is_:
            lines.append(f"The program's {name.replace('_', ' ')} changes: {is_}, was {was}.")
    for name in ("ladder", "binding", "scheme"):
        lines += _one(f"The program's {name}", getattr(before, name), getattr(after, name))
    if before.ladder is not None and after.ladder is not None:
        tiers = ({tier.name: tier for tier in ladder.tiers} for ladder in (before.ladder, after.ladder))
        lines += _by_name("Tier", *tiers)
    lines += _by_name("Currency", before.currencies, after.currencies)
    moneys = [_moneys(program) for program in (before, after)]
    lines += [
        f"Currency {name!r} has money {moneys[1][name] or 'nothing'}, was {moneys[0][name] or 'nothing'}."
        for name in moneys[0]
        if name in moneys[1] and moneys[0][name] != moneys[1][name]
    ]
    lines += _by_name("Fund", before.funds, after.funds)
    lines += _by_name("Rule", _rules(before.earn), _rules(after.earn))
    for kind, one, other in (
        ("Redemption", before.redeem, after.redeem),
        ("Counter", before.counters, after.counters),
        ("Benefit", before.benefits, after.benefits),
    ):
        lines += _by_name(kind, {x.name: x for x in one}, {x.name: x for x in other})
    lines += _by_name("Sink", before.sinks, after.sinks)
    groups = {name: choice.value for name, choice in before.groups.items()}
    now = {name: choice.value for name, choice in after.groups.items()}
    lines += _by_name("Group", groups, now)
    return tuple(lines)


def _moneys(program: Rulebook) -> dict[str, str]:
    """Return what money each currency is told in, as its file says."""
    tables = program.table.get("currencies", {})
    return {name: tables.get(name, {}).get("money", "") for name in program.currencies}


def _one(what: str, was: Any, is_: Any) -> list[str]:
    """Return how something that a program has once, or not at all, changes; tiers are told by name."""
    if was is None or is_ is None:
        return [] if was is is_ else [f"{what} is {'gone' if is_ is None else 'new'}."]
    return [f"{what} {change}." for change in _changes(was, is_, but=("tiers",))]


def _rules(rules: Iterable[EarnRule]) -> dict[str, EarnRule]:
    """Return rules by name; the second and later versions also by their first day."""
    named: dict[str, EarnRule] = {}
    for rule in rules:
        named[rule.name if rule.name not in named else f"{rule.name} from {rule.start}"] = rule
    return named


def _by_name(kind: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    lines = [f"{kind} {name!r} is gone." for name in before if name not in after]
    for name, is_ in after.items():
        was = before.get(name)
        if was is None:
            lines.append(f"{kind} {name!r} is new{_what(is_)}.")
        elif was != is_:
            lines += [f"{kind} {name!r} {change}." for change in _changes(was, is_)]
    return lines


def _what(value: Any) -> str:
    if isinstance(value, EarnRule):
        return f": {words_of(value.points)} on {value.on}, fund {value.fund}"
    return ""


def _changes(was: Any, is_: Any, but: Collection[str] = ()) -> list[str]:
    if not attrs.has(type(was)) or type(was) is not type(is_):
        return [f"is now {_words(is_)}, was {_words(was)}"]
    found = []
    for attribute in attrs.fields(type(was)):
        old, new = getattr(was, attribute.name), getattr(is_, attribute.name)
        if old != new and attribute.name not in but:
            words = _FIELD_WORDS.get(attribute.name, f"has {attribute.name.replace('_', ' ')}")
            found.append(f"{words} {_words(new)}, was {_words(old)}")
    return found


def _words(value: Any) -> str:
    if isinstance(value, Fixed | Proportional | PointsTable | Streak):
        return words_of(value)
    if isinstance(value, Condition):
        return value.describe()
    if isinstance(value, Limit) and value.is_conditional:
        return f"{value.describe()} while {value.when.describe()}"
    if isinstance(value, enum.Enum):
        return str(value.value).replace("_", " ")
    if isinstance(value, Fraction):
        return _decimal(value)
    if isinstance(value, Expiry):
        return _life(value)
    if isinstance(value, tuple):
        return "; ".join(_words(part) for part in value) or "nothing"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_words(part)}" for key, part in value.items()) or "nothing"
    if value is None or value == "":
        return "nothing"
    describe: Callable[[], str] | None = getattr(value, "describe", None)
    if describe is not None:
        return describe()
    if attrs.has(type(value)):
        parts = ((a.name, getattr(value, a.name)) for a in attrs.fields(type(value)))
        return ", ".join(f"{name} {_words(part)}" for name, part in parts if part is not None)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _decimal(value: Fraction) -> str:
    """Return a rate as a file writes it; one that no decimal is stays a fraction."""
    for digits in range(13):
        if (value * 10**digits).denominator == 1:
            return f"{Decimal(int(value * 10**digits)).scaleb(-digits):,f}"
    return str(value)


def _life(expiry: Expiry) -> str:
    if expiry.calendar is not None:
        return f"the next {expiry.calendar}"
    name = next(name for name in MAX_SPAN if getattr(expiry, name) is not None)
    length = getattr(expiry, name)
    unit = name.removeprefix("inactive_").removesuffix("s") + ("" if length == 1 else "s")
    ending = f", to the end of the {expiry.round_to}" if expiry.round_to else ""
    return f"{length} {unit}{' without a payment' if expiry.inactive_months else ''}{ending}"


def words_of(grant: Grant) -> str:
    """Say what a rule gives.

    >>> words_of(Fixed(10_000))
    '10,000 points'
    """
    if isinstance(grant, Fixed):
        return f"{grant.points:,} points"
    if isinstance(grant, Proportional):
        return f"{grant.give} for each {grant.per} of {grant.of}, rounded {grant.rounding.value}"
    if isinstance(grant, Streak):
        return f"{', '.join(map(str, grant.steps))} points by day in a row"
    return f"points by {grant.by}: {', '.join(f'{key} {points:,}' for key, points in grant.table)}"


@frozen
class Change:
    """What one member, group or fund was given under the one rules and the other, taken back already off."""

    name: str
    before: int
    after: int

    @property
    def difference(self) -> int:
        """Points more, or fewer, under the other rules."""
        return self.after - self.before


@frozen
class WhatIf:
    """A history under two programs: who wins and who loses, and whose fund pays."""

    members: tuple[Change, ...] = field(repr=False)
    by_fund: tuple[Change, ...]
    by_condition: tuple[Change, ...]

    @property
    def winners(self) -> tuple[Change, ...]:
        """Members who get more, most first."""
        found = (change for change in self.members if change.difference > 0)
        return tuple(sorted(found, key=lambda change: (-change.difference, change.name)))

    @property
    def losers(self) -> tuple[Change, ...]:
        """Members who get less, most first."""
        found = (change for change in self.members if change.difference < 0)
        return tuple(sorted(found, key=lambda change: (change.difference, change.name)))

    def __str__(self) -> str:
        same = len(self.members) - len(self.winners) - len(self.losers)
        head = f"{len(self.winners):,} members win, {len(self.losers):,} lose, {same:,} are as before."
        tables = [
            Table(
                {
                    title: [change.name for change in changes],
                    "before": [change.before for change in changes],
                    "after": [change.after for change in changes],
                    "difference": [change.difference for change in changes],
                }
            )
            for title, changes in (
                ("fund", self.by_fund),
                ("members", self.by_condition),
                ("wins most", self.winners[:5]),
                ("loses most", self.losers[:5]),
            )
            if changes
        ]
        return "\n\n".join([head, *map(str, tables)])


def what_if(
    before: Replay,
    after: Replay,
    members: Mapping[str, Mapping[str, Any]],
    conditions: Mapping[str, Condition],
    currency: str,
) -> WhatIf:
    """Compare what the same history leads to under two programs."""
    # A currency that only one of the programs has: the other gives none of it.
    totals: list[tuple[dict[str, int], dict[str, int]]] = [
        books.granted(currency)
        if currency in books.program.currencies or currency not in other.program.currencies
        else ({}, {})
        for books, other in ((before, after), (after, before))
    ]
    names = sorted({member for by_member, _ in totals for member in by_member} | set(members))
    changes = tuple(Change(name, totals[0][0].get(name, 0), totals[1][0].get(name, 0)) for name in names)
    funds = sorted({fund for _, by_fund in totals for fund in by_fund})
    by_fund = tuple(Change(fund, totals[0][1].get(fund, 0), totals[1][1].get(fund, 0)) for fund in funds)
    by_condition = []
    for words, condition in conditions.items():
        held = [change for change in changes if condition.holds(members.get(change.name, {}))]
        by_condition.append(
            Change(words, sum(change.before for change in held), sum(change.after for change in held))
        )
    return WhatIf(changes, by_fund, tuple(by_condition))
