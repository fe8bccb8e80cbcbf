"""Occurrences: who did what and when, as columns, from events, tuples, columns or any data frame; and periods."""

from __future__ import annotations

from datetime import date, datetime, tzinfo
from typing import Any, Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from userops.core.calendar import MICROS_PER_DAY, day_start, from_micros, micros
from userops.core.columns import codes, column, instants
from userops.core.columns import columns as taken_columns
from userops.core.events import Event
from userops.core.quantities import choice, is_table, listed
from userops.errors import InvalidValue

Ints = NDArray[np.int64]
#: The periods that activity is counted by.
PERIODS: Final = ("day", "week", "month", "year")
_MOST_PERIODS: Final = 5_000
#: Offsets from UTC change on quarter hours, since clocks follow zones (before 1970 some did not).
_QUARTER: Final = 900_000_000


@frozen(eq=False)
class Occurrences:
    """Columns of equal length: each row a member's place among `members`, an instant, perhaps a kind."""

    members: NDArray[Any]
    member: Ints
    at: Ints
    kind: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.at)


def occurrences(events: Any, *, kinds: bool = False) -> Occurrences:
    """Return events as columns: from `Event`s, tuples (member, at) or (member, kind, at), or columns so named.

    >>> from datetime import UTC
    >>> found = occurrences([("ann", datetime(2027, 1, 1, tzinfo=UTC))])
    >>> found.members.tolist(), len(found)
    (['ann'], 1)
    """
    names = ("member", "kind", "at") if kinds else ("member", "at")
    if is_table(events):
        table = taken_columns(events, names=names)
        found = [table[name] for name in names]
    else:
        found = _of_rows(listed(events, "events"), names)
    members, member = (
        codes(found[0], "member") if len(found[0]) else (np.array([], dtype=object), np.zeros(0, np.int64))
    )
    at = instants(found[-1], "at") if len(found[-1]) else np.zeros(0, np.int64)
    return Occurrences(members, member, at, found[1] if kinds else None)


def _of_rows(rows: list[Any], names: tuple[str, ...]) -> list[NDArray[Any]]:
    listed: list[list[Any]] = [[] for _ in names]
    for row in rows:
        if isinstance(row, Event):
            values: tuple[Any, ...] = tuple(getattr(row, name) for name in names)
        else:
            values = _checked_row(row, names)
        for place, value in enumerate(values):
            listed[place].append(value)
    return [column(values, name) for name, values in zip(names, listed, strict=True)]


def _checked_row(row: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    # (member, kind, at) serves where kinds are not asked for.
    if isinstance(row, tuple | list) and len(row) == len(names):
        return tuple(row)
    if isinstance(row, tuple | list) and len(row) == 3 and len(names) == 2:
        return (row[0], row[2])
    raise InvalidValue(
        f"events are Events, columns, or tuples ({', '.join(names)}); got a {type(row).__name__}"
    )


def wall_clock(at: Ints, tz: tzinfo) -> Ints:
    """Return instants as microseconds of the local clock.

    >>> from userops.core.calendar import zone
    >>> wall_clock(np.array([0]), zone("Asia/Shanghai")).tolist()
    [28800000000]
    """
    if str(tz) == "UTC" or not len(at):
        return at
    key = at // _QUARTER if at.min() >= 0 else at
    distinct, inverse = np.unique(key, return_inverse=True)
    step = _QUARTER if key is not at else 1
    shifts = np.fromiter((_offset(int(value) * step, tz) for value in distinct), np.int64, len(distinct))
    local: Ints = at + shifts[inverse]
    return local


def _offset(value: int, tz: tzinfo) -> int:
    offset = from_micros(value).astimezone(tz).utcoffset()
    return round(offset.total_seconds() * 1_000_000) if offset is not None else 0


def period_of(wall: Ints, period: str) -> Ints:
    """Return the number of the calendar day, ISO week, month or year, counted from 1970.

    >>> period_of(np.array([4 * 86_400_000_000]), "week").tolist()  # Monday, 5 January 1970
    [1]
    """
    days = wall // MICROS_PER_DAY
    if choice(period, PERIODS, "period") == "day":
        return days
    if period == "week":
        # 1 January 1970 was a Thursday.
        weeks: Ints = (days + 3) // 7
        return weeks
    return days.astype("datetime64[D]").astype(f"datetime64[{period[0].upper()}]").astype(np.int64)


def first_day(number: int, period: str) -> date:
    """Return the first day of a period.

    >>> first_day(1, "week").isoformat()
    '1970-01-05'
    """
    if period in ("day", "week"):
        days = np.array([number if period == "day" else 7 * number - 3]).astype("datetime64[D]")
    else:
        days = np.array([number]).astype(f"datetime64[{period[0].upper()}]").astype("datetime64[D]")
    found = days.astype(object)[0]
    if not isinstance(found, date):
        # Beyond the years 1 to 9999 numpy gives a number.
        raise InvalidValue("the window reaches beyond the years 1 to 9999: give start and end")
    return found


def period_name(number: int, period: str) -> str:
    """Return the name of a period, as `core.calendar.period` writes it.

    >>> period_name(0, "month"), period_name(0, "week")
    ('1970-01', '1970-W01')
    """
    day = first_day(number, period)
    if period == "week":
        iso = day.isocalendar()
        return f"{iso.year:04d}-W{iso.week:02d}"
    return day.isoformat()[: {"day": 10, "month": 7, "year": 4}[period]]


@frozen
class Window:
    """The instants [start, end) in microseconds, the periods they touch, and the last that is complete."""

    #: The end by the local clock.
    end_wall: int
    start: int
    end: int
    first: int
    last: int
    last_complete: int


def window(
    found: Occurrences, period: str, tz: tzinfo, start: datetime | None, end: datetime | None
) -> Window:
    """Return the window; without bounds, the whole periods from the first event to the last."""
    if not len(found) and (start is None or end is None):
        raise InvalidValue("there are no events: give start and end")
    if start is not None:
        begin = micros(start, "start")
    else:
        number = int(period_of(wall_clock(found.at.min()[None], tz), period)[0])
        begin = micros(day_start(first_day(number, period), tz))
    if end is not None:
        stop = micros(end, "end")
    else:
        number = int(period_of(wall_clock(found.at.max()[None], tz), period)[0])
        stop = micros(day_start(first_day(number + 1, period), tz))
    if begin >= stop:
        raise InvalidValue("start must lie before end: windows are half-open")
    first, last = (int(period_of(wall_clock(np.array([at]), tz), period)[0]) for at in (begin, stop - 1))
    if last - first >= _MOST_PERIODS:
        raise InvalidValue(
            f"the window spans {last - first + 1:,} periods; at most {_MOST_PERIODS:,} are counted"
        )
    complete = micros(day_start(first_day(last + 1, period), tz)) <= stop
    end_wall = int(wall_clock(np.array([stop]), tz)[0])
    return Window(end_wall, begin, stop, first, last, last if complete else last - 1)
