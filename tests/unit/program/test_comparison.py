"""Programs compared in words and over a history; offers held against each other day by day."""

from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from userops import Event, F
from userops.core.calendar import zone
from userops.errors import InvalidValue
from userops.program import Program, benefit_cost

SHANGHAI = zone("Asia/Shanghai")
TEXT = """
schema = 1
name = "club"
timezone = "Asia/Shanghai"
[funds.sales]
unit_cost = "0.10"
[funds.club]
[[earn]]
name = "delivery"
on = "order.delivered"
points = 50_000
fund = "sales"
cap = [{ times = 1, per = "reference" }]
[[earn]]
name = "post"
on = "post"
points = 10
fund = "club"
cap = [{ points = 30, per = "day" }]
"""


def event(kind, day, member, **more):
    return Event(f"{kind} {day} {member}", kind, member, datetime(2027, 1, day, tzinfo=SHANGHAI), **more)


def test_diff_says_what_changes():
    before = Program.load(TEXT)
    after = Program.load(
        TEXT.replace("50_000", "20_000")
        .replace("points = 30", "points = 50")
        .replace("[funds.club]", "[funds.club]\nbudget = { points = 9 }")
        + '[[earn]]\nname = "test-drive"\non = "drive"\npoints = 200\nfund = "sales"\ncap = [{ times = 1 }]\n'
    )
    assert before.diff(before) == ()
    assert after.diff(before)[-1] != before.diff(after)[-1]
    assert before.diff(after) == (
        "Fund 'club' has budget points 9, per lifetime, was nothing.",
        "Rule 'delivery' gives 20,000 points, was 50,000 points.",
        "Rule 'post' is capped at 50 points per day, was 30 points per day.",
        "Rule 'test-drive' is new: 200 points on drive, fund sales.",
    )
    assert "Rule 'test-drive' is gone." in after.diff(before)


def test_what_if_finds_winners_and_losers():
    before = Program.load(TEXT)
    after = Program.load(TEXT.replace("50_000", "20_000").replace("points = 30", "points = 50"))
    events = [
        event("order.delivered", 1, "buyer"),
        *(event("post", 2, "fan", reference=f"{n}") for n in range(1)),
    ]
    events += [Event(f"p{n}", "post", "fan", datetime(2027, 1, 3, n, tzinfo=SHANGHAI)) for n in range(6)]
    members = {"buyer": {"kind": "owner"}, "fan": {"kind": "fan"}, "idle": {"kind": "fan"}}
    found = before.what_if(
        events,
        after,
        members=members,
        conditions={"owners": F("kind") == "owner", "fans": F("kind") == "fan"},
    )
    assert [(c.name, c.difference) for c in found.winners] == [("fan", 20)]
    assert [(c.name, c.difference) for c in found.losers] == [("buyer", -30_000)]
    assert {c.name: (c.before, c.after) for c in found.by_fund} == {
        "club": (40, 60),
        "sales": (50_000, 20_000),
    }
    assert {c.name: c.difference for c in found.by_condition} == {"owners": -30_000, "fans": 20}
    assert "1 members win, 1 lose, 1 are as before." in str(found)


def test_what_if_counts_what_was_taken_back():
    program = Program.load(TEXT)
    events = [
        event("order.delivered", 1, "a", reference="o"),
        event("order.delivered.cancelled", 2, "a", reference="o"),
    ]
    (change,) = program.what_if(events, program).members
    assert (change.before, change.after) == (0, 0)


OFFERS = (
    TEXT
    + """
[[benefit]]
name = "wallbox"
value = 8_000
until = 2027-01-04
[[benefit]]
name = "charging"
value = 6_000
from = 2027-01-04
[[benefit]]
name = "maintenance"
value = "3500.50"
from = 2027-01-05
[[benefit]]
name = "staff"
value = 1
when = { kind = "staff" }
from = 2027-01-06
"""
)


def test_parity_finds_every_pair_of_days_by_brute_force():
    program = Program.load(OFFERS)
    found = program.parity({"kind": "buyer"}, date(2027, 1, 1), date(2027, 1, 8), orders_per_day=2)
    value = {
        n: Fraction(8_000 if n < 4 else 6_000) + (Fraction("3500.50") if n >= 5 else 0) for n in range(1, 8)
    }
    expected = {
        (date(2027, 1, a), date(2027, 1, b)): value[b] - value[a]
        for a in value
        for b in value
        if a < b and value[b] > value[a]
    }
    assert {(p.earlier, p.later): p.gap for p in found} == expected
    assert found.pairs[0].gained == ("charging", "maintenance")
    assert found.pairs[0].lost == ("wallbox",)
    assert found.cost == 2 * (3 * Fraction("1500.50") + Fraction("3500.50"))
    assert "2027-01-01 to 2027-01-03" in str(found)


def test_fair_offers_have_no_pairs():
    program = Program.load(OFFERS)
    found = program.parity({}, date(2027, 1, 5), date(2027, 2, 1))
    assert not found
    assert found.cost == 0
    assert str(found) == "No later order is promised more than an earlier one."


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (date(2027, 1, 2), date(2027, 1, 2)),
        (datetime(2027, 1, 1), date(2027, 2, 1)),
        (date(1, 1, 1), date(9999, 1, 1)),
    ],
)
def test_bad_days_are_refused(start, end):
    with pytest.raises(InvalidValue):
        Program.load(OFFERS).parity({}, start, end)


def test_benefit_cost_against_a_plain_simulation():
    uses, cost = [0, 1, 2, 8], [300, 500, 1_000]
    found = benefit_cost(uses=uses, cost=cost, members=4_000, seed=1)
    rng = np.random.default_rng(5)
    totals = []
    for _ in range(600):
        n = int(rng.choice(uses, 4_000).sum())
        totals.append(rng.choice(cost, n).sum())
    assert found.mean == pytest.approx(4_000 * 2.75 * 600)
    assert np.mean(totals) == pytest.approx(found.mean, rel=0.01)
    # Sample variances (n - 1) stand in for the populations' here.
    assert np.std(totals) == pytest.approx(found.standard_deviation, rel=0.2)
    assert found.quantile(0.05) < found.mean < found.quantile(0.95)


@pytest.mark.parametrize(
    "bad",
    [
        {"uses": -1},
        {"uses": float("nan")},
        {"cost": True},
        {"cost": "450"},
        {"members": 0},
        {"uses": [1]},
        {"cost": [1, float("inf")]},
        {"cost": Decimal("1e400000")},
    ],
)
def test_bad_costs_are_refused(bad):
    with pytest.raises(InvalidValue):
        benefit_cost(**{"uses": 8, "cost": 450, "members": 10, **bad})
