"""Dates worked out by hand on the calendar: leap days, month ends, changes of clocks, turns of years.

Offsets: Shanghai +8 (+9 in the summers of 1986–1991: it left summer time on 1988-09-11 at 02:00 to 01:00),
New York −5, from 2024-03-10 02:00 −4, from 2024-11-03 02:00 again −5; Santiago −4, from 2024-09-08 00:00 −3.
"""

from datetime import UTC, datetime

import numpy as np
import pytest

from userops.core.calendar import zone
from userops.tiers import Keep, Ladder, Rolling, Tier


def ladder(name, keep=None, **window):
    return Ladder(tiers=(Tier("a", at_least=1),), window=Rolling(**window), keep=keep, timezone=name)


REVIEWS = [
    # zone, reached (local), keep, the first reviews in UTC
    ("UTC", "2028-02-29 10:00", Keep(months=12), ["2029-02-28 10:00", "2030-02-28 10:00", "2031-02-28 10:00", "2032-02-29 10:00"]),
    ("UTC", "2027-01-31 10:00", Keep(months=1), ["2027-02-28 10:00", "2027-03-31 10:00", "2027-04-30 10:00"]),
    ("UTC", "2027-01-31 10:00", Keep(months=1, until="month_end"), ["2027-03-01 00:00", "2027-04-01 00:00"]),
    ("UTC", "2027-11-30 10:00", Keep(months=3, until="month_end"), ["2028-03-01 00:00", "2028-06-01 00:00"]),
    ("Asia/Shanghai", "2027-12-31 23:30", Keep(months=12, until="month_end"), ["2028-12-31 16:00", "2029-12-31 16:00"]),
    ("Asia/Shanghai", "1987-09-11 01:30", Keep(months=12), ["1988-09-10 16:30", "1989-09-10 16:30"]),
    ("America/New_York", "2023-03-10 02:30", Keep(months=12), ["2024-03-10 07:00", "2025-03-10 06:30"]),
    ("America/New_York", "2023-11-03 01:30", Keep(months=12), ["2024-11-03 05:30", "2025-11-03 06:30"]),
    ("America/New_York", "2024-03-08 02:30", Keep(days=1), ["2024-03-09 07:30", "2024-03-10 07:00", "2024-03-11 06:30"]),
    ("America/Santiago", "2024-08-08 00:00", Keep(months=1), ["2024-09-08 04:00", "2024-10-08 03:00"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "reached", "keep", "expected"), REVIEWS)
def test_reviews(name, reached, keep, expected):
    # A window that never empties: every review is passed, and the next one is known.
    rules = ladder(name, keep, months=1_200)
    at = datetime.fromisoformat(reached).replace(tzinfo=zone(name))
    found, now = [], at
    for _ in expected:
        now = rules.standing([(at, 1)], now).review_at
        found.append(now.strftime("%Y-%m-%d %H:%M"))
    assert found == expected


LEAVES = [
    # zone, value at (UTC), window, the first instant at which it is out (UTC)
    ("UTC", "2028-02-29 10:00", {"months": 12}, "2029-03-01 00:00"),  # on 28 February it was 28 February a year ago
    ("UTC", "2027-02-28 10:00", {"months": 12}, "2028-02-28 10:00"),
    ("UTC", "2027-01-31 10:00", {"months": 1}, "2027-03-01 00:00"),
    ("UTC", "2027-01-30 10:00", {"months": 1}, "2027-03-01 00:00"),
    ("UTC", "2027-01-28 10:00", {"months": 1}, "2027-02-28 10:00"),
    ("UTC", "2027-01-01 00:00", {"days": 30}, "2027-01-31 00:00"),
    ("America/New_York", "2024-02-10 07:30", {"months": 1}, "2024-03-10 07:00"),  # 02:30 is skipped: at 07:00 the clock shows 03:00
    ("America/New_York", "2024-10-03 05:30", {"months": 1}, "2024-11-03 05:30"),
    ("America/New_York", "2023-11-05 06:30", {"months": 12}, "2024-11-05 07:00"),  # the second 01:30: told by 02:00
]  # fmt: skip


@pytest.mark.parametrize(("name", "at", "window", "out"), LEAVES)
def test_values_leave_the_window(name, at, window, out):
    rules = ladder(name, **window)
    at, out = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (at, out))
    (_, fallen) = rules.timeline([(at, 1)], at, datetime(2040, 1, 1, tzinfo=UTC))
    assert fallen.at == out
    columns = {"member": [1], "at": np.array([at.replace(tzinfo=None)], "datetime64[us]"), "value": [1]}
    found = rules.standings(columns, out)
    assert found["tier"].tolist() == [None]
    assert found["since"][0].item().replace(tzinfo=UTC) == out
