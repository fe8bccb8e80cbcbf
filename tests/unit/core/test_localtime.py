"""Column arithmetic of local time equals the calendar's, instant by instant."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from userops.core.calendar import (
    MICROS_PER_DAY,
    day_end,
    day_start,
    from_micros,
    local_day,
    micros,
    month_end,
    shift,
    zone,
)
from userops.core.localtime import LocalTime

ZONES = [
    "UTC",
    "Asia/Shanghai",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Europe/Dublin",
]
instants = st.integers(
    micros(datetime(1985, 1, 1, tzinfo=UTC)) // 900_000_000,
    micros(datetime(2030, 1, 1, tzinfo=UTC)) // 900_000_000,
).map(lambda quarter: quarter * 900_000_000)


@given(
    st.lists(instants, min_size=1, max_size=30),
    st.sampled_from(ZONES),
    st.integers(-30, 30),
    st.integers(-40, 40),
)
def test_shift_is_the_calendars(values, name, months, days):
    at = np.array(values)
    low, high = int(at.min()), int(at.max())
    clock = LocalTime(zone(name), low - 1200 * MICROS_PER_DAY, high + 1200 * MICROS_PER_DAY)
    expected = [micros(shift(from_micros(v), zone(name), months=months, days=days)) for v in values]
    assert clock.shift(at, months=months, days=days).tolist() == expected


@given(st.lists(instants, min_size=1, max_size=30), st.sampled_from(ZONES))
def test_years_and_months_turn_where_the_calendar_says(values, name):
    at, tz = np.array(values), zone(name)
    clock = LocalTime(tz, int(at.min()) - 400 * MICROS_PER_DAY, int(at.max()) + 400 * MICROS_PER_DAY)
    days = [local_day(from_micros(v), tz) for v in values]
    assert clock.day(at).tolist() == [(day - datetime(1970, 1, 1).date()).days for day in days]
    assert clock.year_start(at).tolist() == [
        micros(day_start(day.replace(month=1, day=1), tz)) for day in days
    ]
    assert clock.month_end(at).tolist() == [micros(day_end(month_end(day), tz)) for day in days]


@pytest.mark.parametrize("year", [1, 9999])
def test_ends_of_time(year):
    at = np.array([micros(datetime(year, 6, 1, tzinfo=UTC))])
    clock = LocalTime(zone("America/New_York"), int(at[0]), int(at[0]))
    assert clock.resolve(clock.wall(at)).tolist() == at.tolist()
