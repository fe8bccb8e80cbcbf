"""What happens to a tier over time, as values: how long it is kept, the grace, the fall, the decay."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

from attrs import field, frozen

from userops.core.amounts import whole
from userops.core.calendar import day_end, from_micros, local_day, micros, month_end
from userops.core.events import Record
from userops.core.ids import identifier
from userops.core.quantities import choice
from userops.errors import InvalidValue
from userops.tiers.windows import FOREVER, MAX_DAYS, MAX_MONTHS, moved


class Downgrade(enum.Enum):
    """Where a member falls to when a tier is not kept."""

    NEVER = "never"
    ONE_STEP = "one_step"
    TO_EARNED = "to_earned"


class Crossing(enum.Enum):
    """Whether the event that crosses a threshold already earns at the new tier."""

    OLD_RATE = "old_rate"
    NEW_RATE = "new_rate"


@frozen(kw_only=True)
class Keep:
    """How long a tier is held before its review: months or days from when it was reached.

    The n-th review is n times that long after the tier was reached, at the same local clock time, or with
    `until="month_end"` at the end of that month. It is counted from the first anchor, so that nothing drifts.

    >>> from datetime import UTC, datetime
    >>> from userops.core.calendar import zone
    >>> start = micros(datetime(2028, 1, 31, 9, tzinfo=UTC))
    >>> [from_micros(Keep(months=1).review(start, n, zone("UTC"))).day for n in (1, 2, 3)]
    [29, 31, 30]
    """

    months: int | None = None
    days: int | None = None
    until: str | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse anything but one span."""
        if (self.months is None) == (self.days is None):
            raise InvalidValue("keep has months or days, one of them")
        if self.months is None:
            whole(self.days, "days", at_least=1, at_most=MAX_DAYS)
        else:
            whole(self.months, "months", at_least=1, at_most=MAX_MONTHS)
        if self.until is not None:
            choice(self.until, ("month_end",), "until")

    def review(self, anchor: int, number: int, tz: tzinfo) -> int:
        """Return the instant of the n-th review of a tier reached at `anchor`."""
        due = moved(anchor, tz, (self.months or 0) * number, (self.days or 0) * number)
        if due == FOREVER or self.until is None:
            return due
        try:
            return micros(day_end(month_end(local_day(from_micros(due), tz)), tz))
        except InvalidValue:
            return FOREVER


@frozen
class Grace:
    """The days after a failed review in which requalifying keeps the tier.

    >>> Grace(days=30)
    Grace(days=30)
    """

    days: int = field()

    def __attrs_post_init__(self) -> None:
        """Refuse no days at all."""
        whole(self.days, "days", at_least=1, at_most=MAX_DAYS)


def amounts_by_tier(value: object, name: str) -> Record:
    """Return {tier: amount} as a read-only mapping of whole numbers.

    >>> amounts_by_tier({"gold": 1_000}, "deduction")["gold"]
    1000
    """
    if not isinstance(value, Mapping) or not value:
        raise InvalidValue(f"{name} must be a mapping from tiers to amounts")
    return Record(
        {identifier(tier, "a tier"): whole(n, f"{name} of {tier}", at_least=0) for tier, n in value.items()}
    )


def _deductions(value: Any) -> Mapping[str, int]:
    return amounts_by_tier(value, "deduction")


@frozen
class YearlyDeduction:
    """Value taken off each year, counted from reaching a tier, by tier; never below zero.

    >>> YearlyDeduction({"gold": 1_000}).by_tier["gold"]
    1000
    """

    by_tier: Mapping[str, int] = field(converter=_deductions, hash=False)


@frozen(kw_only=True)
class Exponential:
    """Value that fades: half of it is left after each half-life, counted in calendar months and parts of one.

    The total is rounded down to a whole number.

    >>> Exponential(half_life_months=12)
    Exponential(half_life_months=12)
    """

    half_life_months: int

    def __attrs_post_init__(self) -> None:
        """Refuse anything but a number of months."""
        whole(self.half_life_months, "half_life_months", at_least=1, at_most=MAX_MONTHS)

    def left(self, value: int, since: int, at: int, tz: tzinfo) -> float:
        """Return what is left at `at` of value earned at `since`.

        >>> from datetime import UTC, datetime
        >>> from userops.core.calendar import zone
        >>> start, end = (micros(datetime(y, 1, 31, tzinfo=UTC)) for y in (2027, 2028))
        >>> Exponential(half_life_months=12).left(3_000, start, end, zone("UTC"))
        1500.0
        """
        return float(value * 2.0 ** (-months_between(since, at, tz) / self.half_life_months))


def months_between(since: int, at: int, tz: tzinfo) -> float:
    """Return the calendar months from `since` to `at`, with the part of the last one.

    >>> from userops.core.calendar import zone
    >>> months_between(0, 31 * 86_400_000_000, zone("UTC"))
    1.0
    """
    first, last = local_day(from_micros(since), tz), local_day(from_micros(at), tz)
    whole_months = (last.year - first.year) * 12 + last.month - first.month
    if moved(since, tz, months=whole_months) > at:
        whole_months -= 1
    start, end = moved(since, tz, months=whole_months), moved(since, tz, months=whole_months + 1)
    return whole_months + (at - start) / (end - start)


def policy(value: Any, kinds: type | tuple[type, ...], name: str) -> Any:
    """Return `value` when it is of the kind that a policy has; otherwise say which were expected.

    >>> policy(30, Grace, "grace")
    Traceback (most recent call last):
    userops.errors.InvalidValue: grace must be Grace, not int
    """
    if isinstance(value, kinds):
        return value
    expected = kinds if isinstance(kinds, tuple) else (kinds,)
    words = ", ".join(kind.__name__ for kind in expected)
    raise InvalidValue(f"{name} must be {words}, not {type(value).__name__}")
