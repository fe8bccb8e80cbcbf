"""The [tiers] table: the fields of a ladder by name, faults with their paths."""

from decimal import Decimal

import pytest

from userops import F
from userops.core.files import load, parse
from userops.errors import PlanError
from userops.tiers import (
    Anniversary,
    Benefit,
    CalendarYear,
    Crossing,
    Downgrade,
    Exponential,
    Grace,
    Keep,
    Ladder,
    Lifetime,
    Rolling,
    Tier,
    YearlyDeduction,
    read_ladder,
)

OWNER_CLUB = """
[tiers]
currency = "value"
window = { rolling = { months = 12 } }
keep = { months = 12, until = "month_end" }
downgrade = "one_step"
grace = { days = 30 }
crossing = "old_rate"
tier = [{ name = "member", at_least = 0 }, { name = "gold", at_least = 3_000 }, { name = "ep", at_least = 12_000, requires = { kind = "owner" } }]
"""


def read(text):
    def build(root):
        return read_ladder(root.section("tiers"), "Asia/Shanghai")

    return load(parse(text, what="program"), build, what="program")


def test_the_owner_clubs_table():
    ladder, currency = read(OWNER_CLUB)
    assert currency == "value"
    assert ladder == Ladder(
        tiers=(
            Tier("member", at_least=0),
            Tier("gold", at_least=3_000),
            Tier("ep", at_least=12_000, requires=F("kind") == "owner"),
        ),
        window=Rolling(months=12),
        keep=Keep(months=12, until="month_end"),
        downgrade=Downgrade.ONE_STEP,
        grace=Grace(days=30),
        crossing=Crossing.OLD_RATE,
        timezone="Asia/Shanghai",
    )


def test_every_other_field():
    ladder, _ = read(
        """
[tiers]
currency = "value"
window = "anniversary"
keep = { days = 90 }
decay = { yearly_deduction = { gold = 1_000 } }
daily_cap = { member = 50 }
crossing = "new_rate"
badges = ["founder"]
[[tiers.tier]]
name = "member"
all_of = { value = 10 }
[[tiers.tier]]
name = "gold"
all_of = { value = 20, referrals = 1 }
lifetime_after_years = 10
[[tiers.tier.benefit]]
name = "pick-up"
quota = 2
per = "month"
shared_by = "vehicle"
on_resale = "follow"
cost = "12.50"
uses_per_year = 3
[[tiers.tier]]
name = "black"
invite_only = true
[[tiers.tier]]
name = "ep"
any_of = { value = 1_000 }
lifetime = true
""".replace("any_of = { value = 1_000 }", "all_of = { value = 1_000, referrals = 1 }")
    )
    benefit = Benefit(
        "pick-up",
        quota=2,
        per="month",
        shared_by="vehicle",
        on_resale="follow",
        cost=Decimal("12.50"),
        uses_per_year=Decimal(3),
    )
    assert (ladder.window, ladder.keep, ladder.badges) == (Anniversary(), Keep(days=90), ("founder",))
    assert (ladder.decay, ladder.daily_cap) == (YearlyDeduction({"gold": 1_000}), {"member": 50})
    assert ladder.tiers[1].benefits == (benefit,)
    assert (ladder.tiers[2].invite_only, ladder.tiers[3].lifetime) == (True, True)


@pytest.mark.parametrize(
    ("line", "field", "expected"),
    [
        ('window = "lifetime"', "window", Lifetime()),
        ('window = "calendar_year"', "window", CalendarYear()),
        ("window = { rolling = { days = 90 } }", "window", Rolling(days=90)),
        ("daily_cap = 100", "daily_cap", 100),
        ("decay = { exponential = { half_life_months = 6 } }", "decay", Exponential(half_life_months=6)),
        ('downgrade = "never"', "downgrade", Downgrade.NEVER),
    ],
)
def test_single_fields(line, field, expected):
    ladder, _ = read(f'[tiers]\ncurrency = "value"\n{line}\ntier = [{{ name = "a", at_least = 0 }}]\n')
    assert getattr(ladder, field) == expected


@pytest.mark.parametrize(
    ("was", "now", "path"),
    [
        ('currency = "value"\n', "", "tiers.currency"),
        ("window", "windwo", "tiers.windwo"),
        ("rolling =", "roling =", "tiers.window.rolling"),
        ("{ months = 12 } }", "{ months = 0 } }", "tiers.window.rolling.months"),
        ("{ months = 12 } }", "{ months = 12, days = 3 } }", "tiers.window.rolling"),
        ("{ months = 12 } }", "{ years = 1 } }", "tiers.window.rolling.years"),
        ("{ rolling = { months = 12 } }", '"fiscal_year"', "tiers.window"),
        ('until = "month_end"', 'until = "year_end"', "tiers.keep.until"),
        ('"one_step"', '"two_steps"', "tiers.downgrade"),
        ("{ days = 30 }", "{ days = 0 }", "tiers.grace.days"),
        ("{ days = 30 }", "30", "tiers.grace"),
        ('"old_rate"', '"oldrate"', "tiers.crossing"),
        ("at_least = 3_000", "at_least = 0", "tiers"),
        ("at_least = 3_000", "at_least = 3.5", "tiers.tier[1].at_least"),
        ("at_least = 3_000", "at_least = true", "tiers.tier[1].at_least"),
        ("at_least = 3_000", "at_most = 5", "tiers.tier[1].at_most"),
        (", at_least = 3_000", "", "tiers.tier[1]"),
        ('{ kind = "owner" }', '{ kind = { "=>" = 1 } }', "tiers.tier[2].requires"),
        ('crossing = "old_rate"', "daily_cap = { glod = 5 }", "tiers"),
        ('crossing = "old_rate"', "decay = { yearly = 5 }", "tiers.decay"),
        ('crossing = "old_rate"', 'badges = "x"', "tiers.badges"),
    ],
)
def test_faults_have_paths(was, now, path):
    assert was in OWNER_CLUB
    with pytest.raises(PlanError) as caught:
        read(OWNER_CLUB.replace(was, now))
    assert path in [fault.path for fault in caught.value.exceptions]


def test_no_tiers_is_a_fault():
    with pytest.raises(PlanError) as caught:
        read('[tiers]\ncurrency = "value"\n')
    assert "at least one tier" in str(caught.value.exceptions[0])
