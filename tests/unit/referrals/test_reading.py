"""The `[referral]` table of a program file: values by name, faults by path."""

from datetime import UTC, datetime
from fractions import Fraction

import pytest

from userops.core.files import load, parse
from userops.errors import PlanError
from userops.referrals import Binding, Clawback, Levels, Touch, Vest, read_referral


def read(text, **more):
    return load(
        parse("[referral]\n" + text, what="program"),
        lambda root: read_referral(root.section("referral"), **more),
        what="program",
    )


def faults(text, **more):
    with pytest.raises(PlanError) as caught:
        read(text, **more)
    return {fault.path: fault.message for fault in caught.value.exceptions}


def test_the_table_of_the_design_page():
    binding, scheme = read(
        'binding = { window_days = 30, locked_days = 180 }\nmilestones = { "order.delivered" = 12_000 }\n'
        'levels = ["1"]\nfund = "referral"\n',
        funds={"referral"},
    )
    assert binding == Binding(window_days=30, locked_days=180)
    assert (scheme.milestones, scheme.levels) == ({"order.delivered": 12_000}, Levels.single())


def test_every_field_is_read():
    binding, scheme = read(
        """
        name = "owners"
        binding = { cap = 9, touch = "last" }
        milestones = { drive = 200, buy = 12_000 }
        levels = { ratio = "0.5", depth = 3 }
        depth_accepted = "checked with counsel, Norway"
        split = { dealer = 0.1, agent = "0.05" }
        caps = [{ times = 5, per = "year" }, { points = 100_000, scope = "program" }]
        vest = { days = 14, after = "buy" }
        eligible = { kind = "owner" }
        fund = "f"
        currency = "value"
        expires = { months = 24, round_to = "month" }
        clawback = "unspent"
        """,
        timezone="Asia/Shanghai",
    )
    assert (binding.cap, binding.touch, binding.window_days) == (9, Touch.LAST, 30)
    assert scheme.levels.shares == (Fraction(4, 7), Fraction(2, 7), Fraction(1, 7))
    assert (scheme.split.dealer, scheme.split.agent) == (Fraction(1, 10), Fraction(1, 20))
    assert [cap.describe() for cap in scheme.caps] == [
        "5 times per year",
        "100,000 points per lifetime for the whole program",
    ]
    assert scheme.vest == Vest(14, "buy")
    assert (scheme.name, scheme.fund, scheme.currency, scheme.clawback) == (
        "owners",
        "f",
        "value",
        Clawback.UNSPENT,
    )
    assert (
        scheme.expires.ends_at(datetime(2027, 1, 5, tzinfo=UTC), scheme.tz).isoformat()
        == "2029-01-31T16:00:00+00:00"
    )
    assert scheme.eligible.describe() == "kind is owner"


def test_faults_carry_their_paths_all_at_once():
    found = faults(
        """
        binding = { window_days = 0, locked = 9, touch = "frist" }
        milestones = { buy = -1 }
        levels = ["0.9", "0.2"]
        split = { dealer = 2 }
        caps = [{ times = 1, per = "mnth" }, { times = 1, points = 1 }]
        vest = { days = 1.5 }
        eligible = { kind = {} }
        fund = "sale"
        clawback = "debts"
        expire = "none"
        """,
        funds={"sales"},
    )
    assert set(found) == {
        "referral.binding.window_days", "referral.binding.locked", "referral.binding.touch",
        "referral.milestones.buy", "referral.levels", "referral.split", "referral.caps[0].per", "referral.caps[1]",
        "referral.vest.days", "referral.eligible", "referral.fund", "referral.clawback", "referral.expire",
    }  # fmt: skip
    assert "did you mean 'first'" in found["referral.binding.touch"]
    assert "did you mean 'sales'" in found["referral.fund"]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", "referral.milestones"),
        ("milestones = {}", "referral.milestones"),
        ("milestones = 5", "referral.milestones"),
        ('milestones = { a = 1 }\nlevels = ["0.2", "0.2", "0.2"]', "referral.levels"),
        ("milestones = { a = 1 }\nlevels = 1", "referral.levels"),
        ("milestones = { a = 1 }\nlevels = [nan]", "referral.levels"),
        ("milestones = { a = 1 }\nlevels = { ratio = -1, depth = 2 }", "referral.levels.ratio"),
        ("milestones = { a = 1 }\nlevels = { ratio = 1, depth = 99 }", "referral.levels.depth"),
        ('milestones = { a = 1 }\nvest = { days = 1, after = "b" }', "referral"),
        ("milestones = { a = 1 }\nexpires = { inactive_months = 3 }", "referral.expires.inactive_months"),
        ("milestones = { a = 1 }\nexpires = { months = 1, days = 1 }", "referral.expires"),
        ("milestones = { a = 1 }\nbinding = 3", "referral.binding"),
    ],
)
def test_one_fault_is_one_fault(text, path):
    found = faults(text)
    assert path in found
    assert len(found) == 1 or path == "referral.expires.inactive_months"


def test_a_program_without_the_usual_fund_says_so():
    assert "referral" in faults("milestones = { a = 1 }", funds={"sales"})["referral.fund"]
