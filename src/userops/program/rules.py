"""The rules of a program as values: what is granted, when, how often, and from whose budget."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from attrs import field, frozen

from userops.core import amounts
from userops.core.caps import Cap
from userops.core.commands import Clawback
from userops.core.conditions import ALWAYS, Condition
from userops.core.expiry import Expiry
from userops.core.ids import identifier
from userops.errors import InvalidValue

#: The event kind that every program understands as a spend.
REDEEMED = "points.redeemed"
#: What a kind ends in when it takes back what its reference gave.
CANCELLED = ".cancelled"
#: The reason of the record of a cancellation that took nothing back.
REFUSED = "refused"


class Rounding(enum.Enum):
    """How a proportional grant becomes whole points."""

    DOWN = "down"
    UP = "up"
    HALF_UP = "half_up"
    HALF_EVEN = "half_even"

    def apply(self, value: Fraction) -> int:
        """Return the whole number of points.

        >>> Rounding.HALF_UP.apply(Fraction(5, 2)), Rounding.HALF_EVEN.apply(Fraction(5, 2))
        (3, 2)
        """
        if self is Rounding.DOWN:
            return value.__floor__()
        if self is Rounding.UP:
            return value.__ceil__()
        return (value + Fraction(1, 2)).__floor__() if self is Rounding.HALF_UP else round(value)


@frozen
class Fixed:
    """The same points each time."""

    points: int

    def greatest(self) -> Fraction | None:
        """Return the most one grant can be, before a multiplier."""
        return Fraction(self.points)


@frozen
class Proportional:
    """`give` points for each `per` of a field, in proportion: rounded once, after any multiplier."""

    per: Fraction
    give: Fraction
    of: str
    rounding: Rounding = Rounding.DOWN

    def greatest(self) -> None:
        """Return None: nothing bounds the field."""

    def of_record(self, record: Mapping[str, Any]) -> Fraction | None:
        """Return the exact points for a record, or None where the field is missing."""
        value = record.get(self.of)
        if value is None or (isinstance(value, Decimal | float) and value != value):
            return None
        return amounts.exact(value, self.of) * self.give / self.per


@frozen
class Table:
    """Points by the value of a field; nothing for values that are not in the table."""

    table: tuple[tuple[str, int], ...]
    by: str

    def greatest(self) -> Fraction | None:
        """Return the most one grant can be, before a multiplier."""
        return Fraction(max(points for _, points in self.table))

    def of_record(self, record: Mapping[str, Any]) -> Fraction | None:
        """Return the points for a record, or None where its value is not in the table."""
        value = record.get(self.by)
        found = None if value is None else dict(self.table).get(str(value))
        return None if found is None else Fraction(found)


@frozen
class Streak:
    """Points by how many local days in a row the rule has paid; the last step goes on."""

    steps: tuple[int, ...]

    def greatest(self) -> Fraction | None:
        """Return the most one grant can be, before a multiplier."""
        return Fraction(max(self.steps))

    def on_day(self, length: int) -> Fraction:
        """Return the points of the `length`-th day in a row.

        >>> Streak((1, 2, 5)).on_day(9)
        Fraction(5, 1)
        """
        return Fraction(self.steps[min(length, len(self.steps)) - 1])


Grant = Fixed | Proportional | Table | Streak


@frozen(kw_only=True)
class Limit:
    """A cap as one rule is under it: its own, or one shared with other rules."""

    cap: Cap
    #: Whose grants count: the rule's name, or `caps.<name>` of a shared cap.
    name: str
    #: Binds only while this holds.
    when: Condition = ALWAYS

    @property
    def is_conditional(self) -> bool:
        """Say whether it binds only sometimes, and therefore bounds nothing."""
        return self.when != ALWAYS

    def describe(self) -> str:
        """Say the cap in words."""
        shared = f" ({self.name})" if self.name.startswith("caps.") else ""
        return f"{self.cap.describe()}{shared}"


@frozen(kw_only=True)
class EarnRule:
    """Which events earn what: one `[[earn]]` table; rules of one name are versions of each other."""

    name: str
    on: str
    points: Grant
    fund: str
    currency: str = "points"
    when: Condition = ALWAYS
    expires: Expiry | None = None
    activates_days: int = 0
    limits: tuple[Limit, ...] = ()
    start: date | None = None
    until: date | None = None
    group: str = ""
    priority: int = 0
    clawback: Clawback = Clawback.DEBT
    multiply_by_tier: Mapping[str, Fraction] = field(factory=dict, hash=False)
    is_unbounded_accepted: bool = False

    def is_in_force(self, day: date) -> bool:
        """Say whether a local day lies in the rule's validity, `[from, until)`."""
        return (self.start is None or self.start <= day) and (self.until is None or day < self.until)

    def rounded(self, points: Fraction, tier: str | None) -> int:
        """Return whole points after the tier's multiplier; the rule's rounding applies once, here."""
        multiplied = points * self.multiply_by_tier.get(tier, Fraction(1)) if tier is not None else points
        rounding = self.points.rounding if isinstance(self.points, Proportional) else Rounding.DOWN
        return rounding.apply(multiplied)

    def greatest_grant(self) -> int | None:
        """Return the most points that one event can earn by this rule, or None where nothing bounds it."""
        caps = [x.cap.points for x in self.limits if x.cap.points is not None and not x.is_conditional]
        most = self.points.greatest()
        if most is not None:
            factor = max([Fraction(1), *self.multiply_by_tier.values()])
            caps.append((most * factor).__floor__())
        return min(caps) if caps else None


@frozen(kw_only=True)
class RedeemRule:
    """Which events spend what: one `[[redeem]]` table."""

    name: str
    on: str
    points: Fixed | Proportional
    sink: str
    when: Condition = ALWAYS
    currency: str = "points"


def redemption_into(sink: object) -> RedeemRule:
    """Return the rule of the program's own redemption events, into the sink that their data names, if any."""
    name = "redeemed" if sink is None or sink == "" else identifier(sink, "sink")
    points = Proportional(Fraction(1), Fraction(1), "amount")
    return RedeemRule(name=REDEEMED, on=REDEEMED, points=points, sink=name)


@frozen(kw_only=True)
class Sink:
    """Where points go: whose may pay there, and what share of a bill (field `bill`, in points) at most."""

    name: str
    funds: tuple[str, ...] | None = None
    share_at_most: Fraction | None = None


@frozen(kw_only=True)
class Counter:
    """A named count, or sum, over a member's recorded events of one kind, in a window before the present."""

    name: str
    on: str
    months: int = 0
    days: int = 0
    #: The amounts are summed instead of the events counted.
    is_sum: bool = False


@frozen(kw_only=True)
class BenefitOffer:
    """What an order of a day is promised: one `[[benefit]]` table, worth `value` in money."""

    name: str
    value: Fraction
    start: date | None = None
    until: date | None = None
    when: Condition = ALWAYS

    def is_in_force(self, day: date) -> bool:
        """Say whether a local day lies in the offer's validity, `[from, until)`."""
        return (self.start is None or self.start <= day) and (self.until is None or day < self.until)


def fields_read(rule: EarnRule | RedeemRule) -> set[str]:
    """Return the fields that deciding a rule may read: its condition's, its grant's, its caps', the tier's."""
    found = {*rule.when.fields()}
    found.update(name for name in (getattr(rule.points, "of", ""), getattr(rule.points, "by", "")) if name)
    if isinstance(rule, EarnRule):
        found.update(name for limit in rule.limits for name in limit.when.fields())
        if rule.multiply_by_tier:
            found.add("tier")
    return found


class Choice(enum.Enum):
    """Which rule of an exclusive group pays: the one that gives most, the first that gives, or all."""

    BEST = "best"
    FIRST = "first"
    ALL = "all"


def check_versions(rules: tuple[EarnRule, ...]) -> None:
    """Refuse rules of one name whose validities overlap."""
    by_name: dict[str, list[EarnRule]] = {}
    for rule in rules:
        by_name.setdefault(rule.name, []).append(rule)
    for name, versions in by_name.items():
        ordered = sorted(versions, key=lambda rule: rule.start or date.min)
        for earlier, later in itertools.pairwise(ordered):
            if earlier.until is None or earlier.until > (later.start or date.min):
                raise InvalidValue(f"two rules are named {name!r} and their dates overlap")
