"""Instants, local days and expiry: gaps, folds, Shanghai in 1988, midnights that do not exist, 29 February."""

import zoneinfo
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from userops.core.calendar import (
    add_days,
    add_months,
    day_end,
    day_start,
    from_micros,
    instant,
    local_day,
    micros,
    month_end,
    month_starts,
    parse_instant,
    period,
    shift,
    zone,
)  # fmt: skip
from userops.core.expiry import Expiry
from userops.errors import InvalidValue, NaiveTimeError

SHANGHAI, NEW_YORK, SANTIAGO = zone("Asia/Shanghai"), zone("America/New_York"), zone("America/Santiago")


@given(
    st.datetimes(
        timezones=st.sampled_from([UTC, zoneinfo.ZoneInfo("America/New_York"), SHANGHAI]),
        allow_imaginary=False,
    )
)
def test_instants_are_the_same_instant_in_utc(value):
    try:
        found = instant(value)
    except InvalidValue:  # outside the years 1 to 9999 once in UTC
        return
    assert found == value.astimezone(UTC)  # across zones nothing equals a time in a clock change
    assert found.tzinfo is UTC
    assert from_micros(micros(value)) == found


def test_naive_times_and_bare_dates_are_no_instants():
    for bad in (datetime(2027, 1, 1), date(2027, 1, 1)):
        with pytest.raises(NaiveTimeError):
            instant(bad)
    with pytest.raises(InvalidValue):
        parse_instant("now")
    with pytest.raises(NaiveTimeError):
        parse_instant("2027-01-01T00:00")


def test_a_time_in_a_fold_is_the_first_of_two_and_in_a_gap_its_end():
    new_york = zoneinfo.ZoneInfo("America/New_York")
    one = datetime(2024, 11, 3, 1, 30, tzinfo=new_york)
    assert instant(one.replace(fold=1)) - instant(one) == timedelta(hours=1)
    noon = datetime(2024, 3, 9, 7, 30, tzinfo=UTC)  # 02:30 in New York, the day before the gap
    assert shift(noon, NEW_YORK, days=1) == datetime(2024, 3, 10, 7, tzinfo=UTC)


def test_shanghai_had_summer_time_in_1988():
    assert day_start(date(1988, 7, 1), SHANGHAI) == datetime(1988, 6, 30, 15, tzinfo=UTC)
    assert day_start(date(1992, 7, 1), SHANGHAI) == datetime(1992, 6, 30, 16, tzinfo=UTC)
    assert local_day(datetime(1988, 6, 30, 15, tzinfo=UTC), SHANGHAI) == date(1988, 7, 1)


def test_a_day_without_midnight_begins_with_its_first_instant():
    assert day_start(date(2024, 9, 8), SANTIAGO) == datetime(2024, 9, 8, 4, tzinfo=UTC)
    assert local_day(day_start(date(2024, 9, 8), SANTIAGO) - timedelta(microseconds=1), SANTIAGO) == date(
        2024, 9, 7
    )


@given(
    st.dates(date(1950, 1, 1), date(2100, 1, 1)),
    st.sampled_from(["Asia/Shanghai", "America/Santiago", "America/New_York", "Pacific/Apia"]),
)
def test_days_follow_one_another_without_gap(day, name):
    tz = zone(name)
    start, end = day_start(day, tz), day_end(day, tz)
    assert start <= end
    if start < end:  # Samoa had no 30 December 2011
        assert local_day(start, tz) == day
        assert local_day(end - timedelta(microseconds=1), tz) == day
        assert local_day(start - timedelta(microseconds=1), tz) < day


def test_months_are_counted_from_the_anchor():
    assert add_months(date(2027, 1, 31), 1) == date(2027, 2, 28)
    assert add_months(date(2028, 1, 31), 1) == date(2028, 2, 29)
    assert add_months(date(2028, 2, 29), 12) == date(2029, 2, 28)
    assert (month_end(date(2028, 2, 1)), month_end(date(9999, 12, 5))) == (date(2028, 2, 29), date.max)
    for bad in (
        lambda: add_days(date.max, 1),
        lambda: add_months(date.max, 1),
        lambda: add_months(date(1, 1, 1), -1),
        lambda: add_months(date.max, 10**9),
    ):
        with pytest.raises(InvalidValue):
            bad()


def test_periods_have_names():
    at = datetime(2026, 12, 31, 16, tzinfo=UTC)  # New Year in Shanghai
    assert [period(at, per, SHANGHAI) for per in ("day", "week", "month", "year", "lifetime")] == [
        "2027-01-01", "2026-W53", "2027-01", "2027", "lifetime",
    ]  # fmt: skip
    assert period(at, "year", zone("UTC")) == "2026"
    with pytest.raises(InvalidValue):
        period(at, "hour", SHANGHAI)
    assert len(month_starts(date(2027, 1, 9), 12, SHANGHAI)) == 13


@pytest.mark.parametrize("name", ["", "local", "Mars/Base", "../../etc/passwd", None, 8, [], "x" * 100_000])
def test_unknown_zones_are_refused(name):
    with pytest.raises(InvalidValue):
        zone(name)


@pytest.mark.parametrize(
    ("expiry", "anchor", "last"),
    [
        (Expiry(months=1), date(2027, 1, 31), date(2027, 2, 28)),
        (Expiry(months=1), date(2028, 1, 31), date(2028, 2, 29)),
        (Expiry(months=24, round_to="month"), date(2027, 1, 5), date(2029, 1, 31)),
        (Expiry(years=1), date(2028, 2, 29), date(2029, 2, 28)),
        (Expiry(years=1, round_to="year"), date(2027, 3, 1), date(2028, 12, 31)),
        (Expiry(days=0), date(2027, 1, 1), date(2027, 1, 1)),
        (Expiry(months=0, round_to="month"), date(2027, 2, 1), date(2027, 2, 28)),
        (Expiry(calendar="12-31"), date(2027, 12, 31), date(2027, 12, 31)),
        (Expiry(calendar="06-30"), date(2027, 7, 1), date(2028, 6, 30)),
        (Expiry(calendar="02-29"), date(2027, 1, 1), date(2027, 2, 28)),
        (Expiry(inactive_months=12), date(2027, 1, 31), date(2028, 1, 31)),
    ],
)  # fmt: skip
def test_the_last_day_of_points(expiry, anchor, last):
    assert expiry.last_day(anchor) == last


def test_to_the_end_of_a_day_is_the_next_local_midnight():
    at = datetime(2027, 1, 31, 16, tzinfo=UTC)  # 1 February in Shanghai
    assert Expiry(months=1).ends_at(at, SHANGHAI) == datetime(2027, 3, 1, 16, tzinfo=UTC)
    assert Expiry(days=0).ends_at(datetime(2024, 9, 7, 12, tzinfo=UTC), SANTIAGO) == datetime(
        2024, 9, 8, 4, tzinfo=UTC
    )


@pytest.mark.parametrize(
    "given_",
    [{}, {"months": 1, "days": 1}, {"months": -1}, {"months": True}, {"inactive_months": 0}, {"calendar": "13-01"}, {"calendar": "1-1"},
     {"calendar": "１２-31"}, {"months": 1, "round_to": "week"}, {"calendar": "12-31", "round_to": "month"}, {"years": 101}],
)  # fmt: skip
def test_expiries_that_are_none_are_refused(given_):
    with pytest.raises(InvalidValue):
        Expiry(**given_)
