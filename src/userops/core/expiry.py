"""When points expire and when they become usable: policies as values, counted from the anchor day."""

from __future__ import annotations

import calendar as months_of_year
import re
from datetime import date, datetime, tzinfo

from attrs import frozen

from userops.core.amounts import whole
from userops.core.calendar import add_days, add_months, day_end, local_day, month_end
from userops.core.quantities import choice
from userops.errors import InvalidValue

#: The longest expiry, a bound for files: a century.
MAX_SPAN = {"months": 1_200, "days": 36_525, "years": 100, "inactive_months": 1_200}


@frozen(kw_only=True)
class Expiry:
    """How long points are usable: to the end of a local day counted from the day they were earned.

    Give exactly one of `months`, `days`, `years`, `calendar` (a month and day, the next one not before the
    anchor) and `inactive_months` (counted from the last event the rule paid for). `round_to="month"` or
    `"year"` moves the end to that of the month or year. Counting starts from the anchor each time, never
    month by month.

    >>> from userops.core.calendar import zone
    >>> Expiry(months=1).last_day(date(2028, 1, 31))
    datetime.date(2028, 2, 29)
    >>> Expiry(months=24, round_to="month").last_day(date(2027, 1, 5))
    datetime.date(2029, 1, 31)
    """

    months: int | None = None
    days: int | None = None
    years: int | None = None
    calendar: str | None = None
    inactive_months: int | None = None
    round_to: str | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse anything but one span, within a century."""
        given = [name for name in (*MAX_SPAN, "calendar") if getattr(self, name) is not None]
        if len(given) != 1:
            raise InvalidValue(f"an expiry has exactly one of {', '.join((*MAX_SPAN, 'calendar'))}")
        if given[0] == "calendar":
            _month_and_day(self.calendar)
        else:
            least = 1 if given[0] == "inactive_months" else 0
            whole(getattr(self, given[0]), given[0], at_least=least, at_most=MAX_SPAN[given[0]])
        if self.round_to is not None:
            choice(self.round_to, ("month", "year"), "round_to")
        if self.round_to is not None and given[0] in ("calendar", "inactive_months"):
            raise InvalidValue(f"round_to does not go with {given[0]}")

    def last_day(self, anchor: date) -> date:
        """Return the last local day on which points of the anchor day are usable."""
        if self.calendar is not None:
            return _next_calendar_day(anchor, *_month_and_day(self.calendar))
        months = (self.months or 0) + 12 * (self.years or 0) + (self.inactive_months or 0)
        day = add_days(add_months(anchor, months), self.days or 0)
        if self.round_to == "month":
            return month_end(day)
        return date(day.year, 12, 31) if self.round_to == "year" else day

    def longest(self) -> int:
        """Return a number of days that no anchor day gives more of.

        >>> Expiry(months=1).longest(), Expiry(days=10, round_to="month").longest()
        (31, 40)
        """
        if self.calendar is not None:
            return 366
        rounding = {None: 0, "month": 30, "year": 365}[self.round_to]
        # As many months span most days from the first of some month, and leap years come every four.
        firsts = [date(year, month, 1) for year in range(2024, 2028) for month in range(1, 13)]
        plain = Expiry(
            months=self.months, days=self.days, years=self.years, inactive_months=self.inactive_months
        )
        return max((plain.last_day(first) - first).days for first in firsts) + rounding

    def ends_at(self, at: datetime, tz: tzinfo) -> datetime:
        """Return the first instant at which points earned at `at` are gone.

        >>> from userops.core.calendar import zone
        >>> Expiry(days=0).ends_at(datetime(2027, 1, 1, 4, tzinfo=zone("UTC")), zone("UTC")).isoformat()
        '2027-01-02T00:00:00+00:00'
        """
        return day_end(self.last_day(local_day(at, tz)), tz)


def _month_and_day(text: object) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{2})-([0-9]{2})", text) if isinstance(text, str) else None
    if match:
        month, day = int(match[1]), int(match[2])
        # 2028 is a leap year: 02-29 is taken, and means the 28th elsewhere.
        if 1 <= month <= 12 and 1 <= day <= months_of_year.monthrange(2028, month)[1]:
            return month, day
    raise InvalidValue("calendar must be a month and day such as '12-31'")


def _next_calendar_day(anchor: date, month: int, day: int) -> date:
    for year in (anchor.year, anchor.year + 1):
        found = date(min(year, 9999), month, min(day, months_of_year.monthrange(min(year, 9999), month)[1]))
        if found >= anchor:
            return found
    raise InvalidValue(f"no {month:02d}-{day:02d} follows {anchor}")
