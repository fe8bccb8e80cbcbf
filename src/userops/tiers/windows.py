"""Windows: which of a member's value counts at an instant, by the clock of the ladder's time zone.

Inside this room an instant is an int of microseconds since 1970, and a window is its lower end: what happened
after it counts.
"""

from __future__ import annotations

import functools
import itertools
from datetime import date, tzinfo
from typing import Final

from attrs import field, frozen

from userops.core.amounts import whole
from userops.core.calendar import day_start, from_micros, local_day, micros, shift
from userops.errors import InvalidValue

#: Later, or earlier, than every instant of the years 1 to 9999.
FOREVER: Final = 2**62
MAX_MONTHS: Final = 1_200
MAX_DAYS: Final = 36_525
_DAY: Final = 86_400_000_000


@functools.lru_cache(maxsize=16_384)
def moved(at: int, tz: tzinfo, months: int = 0, days: int = 0) -> int:
    """Return the instant at the same local clock time, months and days later; beyond all years, FOREVER.

    >>> from userops.core.calendar import zone
    >>> moved(0, zone("UTC"), months=1) // _DAY
    31
    """
    try:
        return micros(shift(from_micros(at), tz, months=months, days=days))
    except InvalidValue:
        return FOREVER if months + days > 0 else -FOREVER


@functools.lru_cache(maxsize=4_096)
def _year_start(year: int, tz: tzinfo) -> int:
    # The first year begins before all instants in some zones, the year 10000 after all.
    if not 1 < year <= 9999:
        return FOREVER if year > 1 else -FOREVER
    return micros(day_start(date(year, 1, 1), tz))


class Window:
    """The part of the past that counts; a subclass says where it begins."""

    __slots__ = ()

    def after(self, at: int, tz: tzinfo, anchor: int | None) -> int:
        """Return the lower end, exclusive, of the window at an instant."""
        raise NotImplementedError

    def after_review(self, at: int, tz: tzinfo, anchor: int | None) -> int:
        """Return the lower end for a review: one that falls on the turn of a year is about the year that ends."""
        return self.after(at, tz, anchor)

    def leaves(self, at: int, tz: tzinfo, anchor: int | None, start: int = -FOREVER) -> int:
        """Return the first instant, not before `start`, at which what happened at `at` no longer counts."""
        raise NotImplementedError

    def surely_after(self, at: int) -> int:
        """Return an instant not later than the window's lower end, without asking the calendar."""
        return at - 368 * _DAY


@frozen
class Lifetime(Window):
    """Everything counts, for ever."""

    def after(self, at: int, tz: tzinfo, anchor: int | None) -> int:  # noqa: ARG002 — as every window
        return -FOREVER

    def leaves(self, at: int, tz: tzinfo, anchor: int | None, start: int = -FOREVER) -> int:  # noqa: ARG002 — as every window
        return FOREVER

    def surely_after(self, at: int) -> int:  # noqa: ARG002 — as every window
        return -FOREVER


@frozen
class CalendarYear(Window):
    """The local calendar year so far, from the midnight it begins with."""

    def after(self, at: int, tz: tzinfo, anchor: int | None) -> int:  # noqa: ARG002 — as every window
        return _year_start(local_day(from_micros(at), tz).year, tz) - 1

    def after_review(self, at: int, tz: tzinfo, anchor: int | None) -> int:
        return self.after(at - 1, tz, anchor)

    def leaves(self, at: int, tz: tzinfo, anchor: int | None, start: int = -FOREVER) -> int:  # noqa: ARG002 — as every window
        return _year_start(local_day(from_micros(at), tz).year + 1, tz)


@frozen
class Anniversary(Window):
    """The member's own year so far: years run from `joined_at`, or else from the first event."""

    def after(self, at: int, tz: tzinfo, anchor: int | None) -> int:
        return -FOREVER if anchor is None else moved(anchor, tz, months=12 * self._year(at, tz, anchor)) - 1

    def after_review(self, at: int, tz: tzinfo, anchor: int | None) -> int:
        return self.after(at - 1, tz, anchor)

    def leaves(self, at: int, tz: tzinfo, anchor: int | None, start: int = -FOREVER) -> int:  # noqa: ARG002 — as every window
        return FOREVER if anchor is None else moved(anchor, tz, months=12 * self._year(at, tz, anchor) + 12)

    @staticmethod
    def _year(at: int, tz: tzinfo, anchor: int) -> int:
        """Return which year of the member, the first being 0, an instant lies in."""
        year = local_day(from_micros(at), tz).year - local_day(from_micros(anchor), tz).year
        while moved(anchor, tz, months=12 * year) > at:
            year -= 1
        return year


def _check_span(window: Rolling) -> None:
    if (window.months is None) == (window.days is None):
        raise InvalidValue("a rolling window has months or days, one of them")
    name, most = ("days", MAX_DAYS) if window.months is None else ("months", MAX_MONTHS)
    whole(getattr(window, name), name, at_least=1, at_most=most)


@frozen
class Rolling(Window):
    """The last months or days: (t − length, t] by the local clock.

    >>> from datetime import UTC, datetime
    >>> from userops.core.calendar import zone
    >>> leap = micros(datetime(2028, 2, 29, 12, tzinfo=UTC))
    >>> from_micros(Rolling(months=12).leaves(leap, zone("UTC"), None)).isoformat()
    '2029-03-01T00:00:00+00:00'
    """

    months: int | None = field(default=None, kw_only=True)
    days: int | None = field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        """Refuse anything but one span."""
        _check_span(self)

    def after(self, at: int, tz: tzinfo, anchor: int | None) -> int:  # noqa: ARG002 — as every window
        return moved(at, tz, -(self.months or 0), -(self.days or 0))

    def leaves(self, at: int, tz: tzinfo, anchor: int | None, start: int = -FOREVER) -> int:
        later = moved(at, tz, self.months or 0, self.days or 0)
        if later == FOREVER:
            return FOREVER
        if later >= start and self.after(later - 1, tz, anchor) < at <= self.after(later, tz, anchor):
            return later
        return self._search(at, max(later, start), start, tz, anchor)

    def surely_after(self, at: int) -> int:
        return at - (31 * (self.months or 0) + (self.days or 0) + 3) * _DAY

    def _search(self, at: int, near: int, start: int, tz: tzinfo, anchor: int | None) -> int:
        """Search piece by piece: within a local day without a change of clocks the lower end only rises.

        Across a month's end it goes back: on the 29th, 30th and 31st of March, at one, a month ago was the
        28th of February at one, while on the 28th at noon it was noon.
        """
        cuts = [cut for cut in self._cuts(near, tz) if cut > start]
        for low, high in itertools.pairwise([max(start, cuts[0] - _DAY), *cuts]):
            if self.after(high - 1, tz, anchor) < at:
                continue
            first, last = low, high - 1
            while first < last:
                middle = (first + last) // 2
                if self.after(middle, tz, anchor) >= at:
                    last = middle
                else:
                    first = middle + 1
            return first
        return FOREVER

    @staticmethod
    def _cuts(near: int, tz: tzinfo) -> list[int]:
        """Return local midnights and changes of clocks around an instant, in order."""
        cuts = []
        for hour in range(-48, 24 * 5):
            start, end = near + hour * _DAY // 24, near + (hour + 1) * _DAY // 24
            if not -FOREVER < start < end < FOREVER:
                continue
            cuts += _changes(start, end, tz)
        return cuts


def _changes(start: int, end: int, tz: tzinfo) -> list[int]:
    """Return the instants in (start, end] at which the local day or the clock's offset changes."""
    try:
        before, after = from_micros(start).astimezone(tz), from_micros(end).astimezone(tz)
    except OverflowError:
        return []
    if (before.utcoffset(), before.day) == (after.utcoffset(), after.day):
        return []
    low, high = start + 1, end
    while low < high:
        middle = (low + high) // 2
        local = from_micros(middle).astimezone(tz)
        if (local.utcoffset(), local.day) == (before.utcoffset(), before.day):
            low = middle + 1
        else:
            high = middle
    return [low, *(_changes(low, end, tz) if low < end else [])]
