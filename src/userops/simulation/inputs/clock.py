"""The clock of a simulation: months are reported, local days are simulated.

A day's events lie after noon, in an order that a member's rank on the day, the kind and the member's number
give; redemptions come late on the last day of a month, after its earns. Nothing lies where clocks change.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cached_property, lru_cache

import numpy as np
from attrs import define, frozen

from userops.core.calendar import add_days, add_months, instant, micros, month_starts, zone
from userops.core.expiry import Expiry
from userops.simulation.columns import Ints

#: An expiry that never comes.
NEVER = np.int32(2**30)


@frozen
class Span:
    """The local months of a horizon, in the program's time zone."""

    start: date
    months: int
    timezone: str


@define(slots=False)
class Clock:
    """Days of a span counted from its first, with the month and the periods that each lies in."""

    span: Span

    @property
    def tz(self) -> tzinfo:
        """The program's time zone."""
        return zone(self.span.timezone)

    @cached_property
    def first_days(self) -> Ints:
        """Of each month, and of the one after the last, the day it begins on."""
        first = self.span.start.replace(day=1)
        starts = [add_months(first, k).toordinal() for k in range(self.span.months + 1)]
        return np.array(starts, dtype=np.int32) - np.int32(first.toordinal())

    @cached_property
    def month_of(self) -> Ints:
        """Of each day, its month, counted from 0."""
        return np.repeat(np.arange(self.span.months, dtype=np.int32), np.diff(self.first_days))

    @cached_property
    def days(self) -> list[date]:
        """The local dates."""
        first = self.span.start.replace(day=1)
        return [first + timedelta(days=k) for k in range(int(self.first_days[-1]))]

    @cached_property
    def periods(self) -> dict[str, Ints]:
        """Of each kind of period, a number for each day that is equal within a period only."""
        days = self.days
        return {
            "day": np.arange(len(days), dtype=np.int32),
            "week": np.array([(day.toordinal() - 1) // 7 for day in days], dtype=np.int32),
            "month": np.array([day.year * 12 + day.month for day in days], dtype=np.int32),
            "year": np.array([day.year for day in days], dtype=np.int32),
            "lifetime": np.zeros(len(days), dtype=np.int32),
        }

    @cached_property
    def calendar_months(self) -> list[int]:
        """Of each month, its number in the year, from 0 for January."""
        return [(self.span.start.month - 1 + k) % 12 for k in range(self.span.months)]

    def expiry_days(self, expiry: Expiry | None) -> Ints:
        """Of each earning day, the first day on which the points are gone."""
        if expiry is None:
            return np.full(len(self.days), NEVER)
        first = self.days[0].toordinal()
        ends = [add_days(expiry.last_day(day), 1).toordinal() - first for day in self.days]
        return np.array(ends, dtype=np.int64).clip(0, NEVER).astype(np.int32)

    @cached_property
    def _shifts(self) -> dict[tuple[int, int], Ints]:
        return {}

    def shifted(self, *, months: int = 0, days: int = 0) -> Ints:
        """Of each day, the day at the same place `months` and `days` later (earlier, when negative)."""
        if (months, days) not in self._shifts:
            self._shifts[months, days] = self._shift(months, days)
        return self._shifts[months, days]

    def _shift(self, months: int, days: int) -> Ints:
        first = self.days[0].toordinal()
        found = [add_days(add_months(day, months), days).toordinal() - first for day in self.days]
        return np.array(found, dtype=np.int32)

    @cached_property
    def noons(self) -> Ints:
        """Of each day, its noon in microseconds."""
        return np.array([micros(self.instant(day, 0)) for day in range(len(self.days))], dtype=np.int64)

    def instant(self, day: int, micros_after: int) -> datetime:
        """Return the instant so many microseconds after the noon of a day."""
        noon = self.days[0] + timedelta(days=day)
        local = datetime(noon.year, noon.month, noon.day, 12, tzinfo=self.tz)
        return instant(local).astimezone(UTC) + timedelta(microseconds=micros_after)

    @cached_property
    def month_micros(self) -> Ints:
        """The instants that bound the months, in microseconds."""
        return np.array([micros(at) for at in self.month_bounds()], dtype=np.int64)

    def month_bounds(self) -> list[datetime]:
        """Return the instants that bound the months."""
        return month_starts(self.span.start, self.span.months, self.tz)


@lru_cache(maxsize=16)
def clock_of(span: Span) -> Clock:
    """Return the clock of a span; its tables are made once."""
    return Clock(span)


def buckets_of(clock: Clock, expiry: Ints) -> Ints:
    """Return of days of expiry 2 · month, + 1 at the very end of a month, and 2 · months beyond the horizon."""
    bounds, months = clock.first_days, clock.span.months
    month = np.searchsorted(bounds, expiry, side="left") - 1
    at_end = expiry == bounds[np.minimum(month + 1, months)]
    found: Ints = np.where(month >= months, 2 * months, 2 * month + at_end).astype(np.int32)
    return found
