"""Local time on columns: the calendar's arithmetic for millions of instants in one zone.

Instants are int64 microseconds since 1970, local days are days since 1970. What `calendar.shift` says of one
instant is said here of a column, exactly.
"""

from __future__ import annotations

import functools
from datetime import tzinfo
from typing import Final

import numpy as np
from numpy.typing import NDArray

from userops.core.calendar import MICROS_PER_DAY, from_micros

Instants = NDArray[np.int64]

_FIRST: Final = -62_135_596_800_000_000
_LAST: Final = 253_402_300_799_999_999
_MICROSECOND: Final = 1_000_000


def _offset(at: int, tz: tzinfo) -> int:
    local = from_micros(at).astimezone(tz)
    offset = local.utcoffset()
    return (
        0 if offset is None else (offset.days * 86_400 + offset.seconds) * _MICROSECOND + offset.microseconds
    )


@functools.lru_cache(maxsize=64)
def _changes(tz: tzinfo, first_day: int, last_day: int) -> tuple[tuple[int, int, int], ...]:
    """Return (instant, offset before, offset after) of the changes of clocks between two days, in order."""
    # A local time near the years 1 and 9999 may lie outside them: no clock changes there.
    low, high = _FIRST + 2 * MICROS_PER_DAY, _LAST - 2 * MICROS_PER_DAY
    found = []
    before = min(max(first_day * MICROS_PER_DAY, low), high)
    offset = _offset(before, tz)
    for day in range(first_day + 1, last_day + 1):
        at = min(max(day * MICROS_PER_DAY, low), high)
        now = _offset(at, tz)
        if now != offset:
            start, end = before, at
            while end - start > 1:
                middle = (start + end) // 2
                if _offset(middle, tz) == offset:
                    start = middle
                else:
                    end = middle
            found.append((end, offset, now))
        before, offset = at, now
    return tuple(found)


class LocalTime:
    """A zone's clock over a span of instants.

    >>> from userops.core.calendar import zone
    >>> clock = LocalTime(zone("Asia/Shanghai"), 0, 0)
    >>> clock.shift(np.array([0]), months=1).tolist() == [31 * MICROS_PER_DAY]
    True
    """

    def __init__(self, tz: tzinfo, first: int, last: int) -> None:
        """Prepare for instants from `first` to `last`; outside, the offsets of the ends go on."""
        # Rounded to years, so that spans near each other share what was found.
        low, high = (max(_FIRST, first) // MICROS_PER_DAY, min(_LAST, last) // MICROS_PER_DAY)
        low, high = low // 366 * 366 - 2, (high // 366 + 1) * 366 + 2
        changes = _changes(tz, max(low, _FIRST // MICROS_PER_DAY), min(high, _LAST // MICROS_PER_DAY))
        at_first = min(max(low * MICROS_PER_DAY, _FIRST + 2 * MICROS_PER_DAY), _LAST - 2 * MICROS_PER_DAY)
        offsets = [change[1] for change in changes[:1]] or [_offset(at_first, tz)]
        #: The instants at which the clock changes, and the offsets before, between and after them.
        self.changes: Instants = np.array([change[0] for change in changes], dtype=np.int64)
        self.offsets: Instants = np.array(offsets + [change[2] for change in changes], dtype=np.int64)
        #: What the clock shows just before each change.
        self._walls = self.changes + self.offsets[:-1]

    def wall(self, at: Instants) -> Instants:
        """Return what the clock shows, as microseconds since a local 1970."""
        if not len(self.changes):
            return np.asarray(at + self.offsets[0])
        return np.asarray(at + self.offsets[np.searchsorted(self.changes, at, side="right")])

    def day(self, at: Instants) -> Instants:
        """Return the local day of each instant."""
        found: Instants = self.wall(at) // MICROS_PER_DAY
        return found

    def resolve(self, wall: Instants) -> Instants:
        """Return the instant of each clock time: the first of two, or the end of the gap it falls into."""
        if not len(self.changes):
            found: Instants = wall - self.offsets[0]
            return found
        place = np.searchsorted(self._walls, wall, side="right")
        found = wall - self.offsets[place]
        changed = place > 0
        found[changed] = np.maximum(found[changed], self.changes[place[changed] - 1])
        return found

    def shift(self, at: Instants, *, months: int | Instants = 0, days: int | Instants = 0) -> Instants:
        """Return the instants at the same local clock time, months and days (of each, or of all) later."""
        wall = self.wall(at)
        day = wall // MICROS_PER_DAY
        moved = days_shifted(day, months=months) if np.any(months) else day
        result: Instants = self.resolve(wall + (moved - day + days) * MICROS_PER_DAY)
        return result

    def year_start(self, at: Instants, years: int = 0) -> Instants:
        """Return the first instant of the local year of each instant, `years` later."""
        year = self.day(at).astype("datetime64[D]").astype("datetime64[Y]") + np.int64(years)
        result: Instants = self.resolve(year.astype("datetime64[D]").astype(np.int64) * MICROS_PER_DAY)
        return result

    def month_end(self, at: Instants) -> Instants:
        """Return the first instant after the local month of each instant."""
        month = self.day(at).astype("datetime64[D]").astype("datetime64[M]") + np.int64(1)
        result: Instants = self.resolve(month.astype("datetime64[D]").astype(np.int64) * MICROS_PER_DAY)
        return result


def days_shifted(day: Instants, *, months: int | Instants) -> Instants:
    """Return the days `months` later, at the month's last day where the day does not exist.

    >>> days_shifted(np.array([30]), months=1).tolist()  # 31 January 1970
    [58]
    """
    if not len(day):
        return day
    low, high = int(day.min()), int(day.max())
    if isinstance(months, int) and high - low < len(day):
        # Fewer days than rows: shift every day of the span once, and look up.
        table = days_shifted(np.arange(low, high + 1), months=np.full(high - low + 1, months))
        found: Instants = table[day - low]
        return found
    dates = day.astype("datetime64[D]")
    month = dates.astype("datetime64[M]")
    place = (dates - month.astype("datetime64[D]")).astype(np.int64)
    target = month + np.asarray(months, dtype="timedelta64[M]")
    first = target.astype("datetime64[D]").astype(np.int64)
    length = (target + np.int64(1)).astype("datetime64[D]").astype(np.int64) - first
    return np.asarray(first + np.minimum(place, length - 1))
