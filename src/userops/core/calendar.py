"""Time: instants, zones, local days and periods. The only importer of pendulum.

Inside the library an instant is a plain `datetime` in UTC, or an int64 of microseconds since 1970.
"""

from __future__ import annotations

import functools
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final

import pendulum

from userops.core.amounts import whole
from userops.errors import InvalidValue, NaiveTimeError

MICROS_PER_DAY: Final = 86_400_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_MICROSECOND: Final = timedelta(microseconds=1)
#: The periods that limits may count by.
PERIODS: Final = ("day", "week", "month", "year", "lifetime")


def instant(value: object, name: str = "at") -> datetime:
    """Return an aware time as a plain `datetime` in UTC; naive times and bare dates are refused.

    >>> instant(datetime(2027, 1, 31, 8, tzinfo=zone("Asia/Shanghai"))).isoformat()
    '2027-01-31T00:00:00+00:00'
    >>> instant(datetime(2027, 1, 31))
    Traceback (most recent call last):
    userops.errors.NaiveTimeError: at has no time zone; give an aware datetime
    """
    if type(value) is datetime and value.tzinfo is UTC:
        return value
    return from_micros(micros(value, name))


def micros(value: object, name: str = "at") -> int:
    """Return an aware time as microseconds since 1970 in UTC.

    >>> micros(datetime(1970, 1, 2, tzinfo=UTC))
    86400000000
    """
    if not isinstance(value, datetime):
        if isinstance(value, date):
            raise NaiveTimeError(f"{name} is a bare date; give an aware datetime")
        raise InvalidValue(f"{name} must be an aware datetime, not {type(value).__name__}")
    if type(value) is datetime and value.tzinfo is UTC:
        since = value - _EPOCH
        return since.days * MICROS_PER_DAY + since.seconds * 1_000_000 + since.microseconds
    offset = value.utcoffset()
    if offset is None:
        raise NaiveTimeError(f"{name} has no time zone; give an aware datetime")
    # Integer arithmetic on the fields: pendulum's own subtraction is slow, and wrong within a DST fold.
    seconds = (value.toordinal() - _EPOCH_ORDINAL) * 86_400
    seconds += value.hour * 3_600 + value.minute * 60 + value.second
    result = seconds * 1_000_000 + value.microsecond - offset // _MICROSECOND
    if not _FIRST <= result <= _LAST:
        raise InvalidValue(f"{name} lies outside the years 1 to 9999 in UTC")
    return result


_FIRST: Final = (date.min.toordinal() - _EPOCH_ORDINAL) * MICROS_PER_DAY
_LAST: Final = (date.max.toordinal() - _EPOCH_ORDINAL + 1) * MICROS_PER_DAY - 1


def from_micros(value: int) -> datetime:
    """Return the instant of microseconds since 1970.

    >>> from_micros(86_400_000_000).isoformat()
    '1970-01-02T00:00:00+00:00'
    """
    return _EPOCH + timedelta(microseconds=value)


def parse_instant(text: str, name: str = "at", *, zone: tzinfo | None = None) -> datetime:
    """Read an ISO 8601 time; without an offset in the text it is a local time of `zone`, when given.

    >>> parse_instant("2027-01-31T08:00:00+08:00").isoformat()
    '2027-01-31T00:00:00+00:00'
    """
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidValue(f"{name}: {text[:40]!r} is not an ISO 8601 time") from None
    if value.tzinfo is None and zone is not None:
        value = value.replace(tzinfo=zone)
    return instant(value, name)


def zone(name: str) -> tzinfo:
    """Return the time zone of an IANA name.

    >>> str(zone("Asia/Shanghai"))
    'Asia/Shanghai'
    """
    if not isinstance(name, str) or not name or name.lower() == "local":
        raise InvalidValue("a time zone is an IANA name such as 'Asia/Shanghai'")
    return _zone(str(name))


@functools.lru_cache(maxsize=256)
def _zone(name: str) -> tzinfo:
    try:
        return pendulum.timezone(name)
    except Exception as fault:  # zoneinfo raises KeyError, ValueError or OSError by the kind of nonsense
        raise InvalidValue(f"{name[:60]!r} is not a known time zone") from fault


def local_day(at: datetime, tz: tzinfo) -> date:
    """Return the local date of an instant.

    >>> local_day(datetime(2027, 1, 31, 23, tzinfo=UTC), zone("Asia/Shanghai"))
    datetime.date(2027, 2, 1)
    """
    local = _local(at, tz)
    return date(local.year, local.month, local.day)


def _local(at: datetime, tz: tzinfo) -> datetime:
    try:
        return at.astimezone(tz)
    except OverflowError:
        raise InvalidValue(f"{at} lies outside the years 1 to 9999 in {tz}") from None


def day_start(day: date, tz: tzinfo) -> datetime:
    """Return the first instant of a local day: midnight, or what comes next where midnight is skipped.

    >>> day_start(date(2024, 9, 8), zone("America/Santiago")).isoformat()  # midnight does not exist
    '2024-09-08T04:00:00+00:00'
    """
    return _resolve(datetime(day.year, day.month, day.day), tz)  # noqa: DTZ001 — a wall-clock time


def _resolve(wall: datetime, tz: tzinfo) -> datetime:
    """Return the instant of a wall-clock time: the first of two, or the end of the gap it falls into."""
    before = instant(wall.replace(tzinfo=tz, fold=0))
    after = instant(wall.replace(tzinfo=tz, fold=1))
    if after >= before:
        return before
    # In a gap fold=1 reads the time with the offset after the change, which is earlier: search the change.
    low, high = micros(after), micros(before)
    offset = before.astimezone(tz).utcoffset()
    while low < high:
        middle = (low + high) // 2
        if from_micros(middle).astimezone(tz).utcoffset() == offset:
            high = middle
        else:
            low = middle + 1
    return from_micros(low)


def day_end(day: date, tz: tzinfo) -> datetime:
    """Return the first instant after a local day: what is usable to the end of `day` is gone then.

    >>> day_end(date(2027, 2, 28), zone("Asia/Shanghai")).isoformat()
    '2027-02-28T16:00:00+00:00'
    """
    return day_start(add_days(day, 1), tz)


def add_days(day: date, days: int) -> date:
    """Return the date `days` later.

    >>> add_days(date(2028, 2, 28), 1)
    datetime.date(2028, 2, 29)
    """
    try:
        return day + timedelta(days=days)
    except OverflowError:
        raise InvalidValue(f"{days} days from {day} lies outside the years 1 to 9999") from None


def add_months(day: date, months: int) -> date:
    """Return the date `months` later, at the month's last day where the day does not exist.

    >>> add_months(date(2027, 1, 31), 1)
    datetime.date(2027, 2, 28)
    """
    if abs(months) <= 120_000:
        try:
            later = pendulum.date(day.year, day.month, day.day).add(months=months)
            return date(later.year, later.month, later.day)
        except (ValueError, OverflowError):
            pass
    raise InvalidValue(f"{months} months from {day} lies outside the years 1 to 9999")


def month_end(day: date) -> date:
    """Return the last day of the month of `day`.

    >>> month_end(date(2028, 2, 3))
    datetime.date(2028, 2, 29)
    """
    first = day.replace(day=1)
    return date.max if first == date(9999, 12, 1) else add_days(add_months(first, 1), -1)


def shift(at: datetime, tz: tzinfo, *, months: int = 0, days: int = 0) -> datetime:
    """Return the instant at the same local clock time, months and days later.

    A time in a daylight-saving gap becomes the gap's end; of two equal times the first is taken.

    >>> noon = datetime(2024, 3, 9, 17, tzinfo=UTC)  # noon in New York, before the clocks change
    >>> shift(noon, zone("America/New_York"), days=1).isoformat()
    '2024-03-10T16:00:00+00:00'
    """
    local = _local(at, tz)
    day = add_days(add_months(date(local.year, local.month, local.day), months), days)
    wall = datetime.combine(day, local.time())
    return _resolve(wall, tz)


def period(at: datetime, per: str, tz: tzinfo) -> str:
    """Return the name of the local day, ISO week, month or year that an instant lies in.

    >>> period(datetime(2027, 1, 1, tzinfo=UTC), "week", zone("UTC"))
    '2026-W53'
    """
    if per == "lifetime":
        return "lifetime"
    day = local_day(at, tz)
    if per == "day":
        return day.isoformat()
    if per == "month":
        return f"{day.year:04d}-{day.month:02d}"
    if per == "year":
        return f"{day.year:04d}"
    if per == "week":
        iso = day.isocalendar()
        return f"{iso.year:04d}-W{iso.week:02d}"
    raise InvalidValue(f"{per!r} is not a period; one of {', '.join(PERIODS)}")


def month_starts(start: date, months: int, tz: tzinfo) -> list[datetime]:
    """Return the `months` + 1 instants that bound `months` local months from the month of `start`.

    >>> [t.isoformat() for t in month_starts(date(2027, 1, 1), 1, zone("UTC"))]
    ['2027-01-01T00:00:00+00:00', '2027-02-01T00:00:00+00:00']
    """
    if not isinstance(start, date):
        raise InvalidValue(f"start must be a date, not a {type(start).__name__}")
    first = start.replace(day=1)
    return [day_start(add_months(first, k), tz) for k in range(whole(months, "months", at_least=0) + 1)]
