"""Programs compared in words and over a history; offers held against each other day by day."""

from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from tests.golden.test_program_text import TEXT as DESIGN

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


#: (was, is, what is said of it), over the program text of the design.
CHANGES = [
    ('name = "owner-club"', 'name = "b"', "The program's name changes: b, was owner-club."),
    ('money = "CNY"', 'money = "EUR"', "Currency 'points' has money EUR, was CNY."),
    ("spendable = false", "spendable = false\n[currencies.miles]", "Currency 'miles' is new."),
    ('unit_cost = "0.10"', 'unit_cost = "0.12"', "Fund 'sales' has unit cost 0.12, was 0.1."),
    (
        'points = 400_000_000, per = "year"',
        'points = 3, per = "month"',
        "Fund 'sales' has budget points 3, per month, was points 400,000,000, per year.",
    ),
    (
        "expires = { months = 24, round_to",
        "expires = { days = 1, round_to",
        "Rule 'delivery' expires after 1 day, to the end of the month, was 24 months, to the end of the month.",
    ),
    ("activates = { days = 14 }", "", "Rule 'delivery' activates after days 0, was 14."),
    (
        'times = 1, per = "reference"',
        'times = 2, scope = "program"',
        "Rule 'delivery' is capped at 2 times per lifetime for the whole program, was 1 time per reference.",
    ),
    ("from = 2027-01-01 ", "", "Rule 'delivery' begins nothing, was 2027-01-01."),
    ('clawback = "debt"', 'clawback = "any"', "Rule 'delivery' has clawback any, was debt."),
    (
        "invited = true",
        "vip = true",
        "Rule 'invited-delivery' applies when vip is True, was invited is True.",
    ),
    (
        'gold = "1.5", ep = "2"',
        'gold = "1.25"',
        "Rule 'shop' has multiply by tier gold 1.25, was gold 1.5, ep 2.",
    ),
    (
        'when = { kind = "fan" }',
        'when = { kind = "lead" }',
        (
            "Rule 'check-in' is capped at 1 time per day; 100 points per lifetime (caps.basics) while kind is lead, "
            "was 1 time per day; 100 points per lifetime (caps.basics) while kind is fan."
        ),
    ),
    ("within = { months = 12 }", "", "Counter 'claims_12_months' has months 0, was 12."),
    ('sink = "shop"', 'sink = "store"', "Redemption 'gift' has sink store, was shop."),
    ('"0.5"', '"0.25"', "Sink 'repair_labour' has share at most 0.25, was 0.5."),
    ("at_least = 3_000", "at_least = 4_000", "Tier 'gold' has at least 4,000, was 3,000."),
    ("grace = { days = 30 }", "grace = { days = 9 }", "The program's ladder has grace days 9, was days 30."),
    ("locked_days = 180", "locked_days = 9", "The program's binding has locked days 9, was 180."),
    (
        '"order.delivered" = 12_000',
        '"order.delivered" = 9',
        "The program's scheme has milestones order.delivered 9, was order.delivered 12,000.",
    ),
    ("value = 8_000", 'value = "0.5"', "Benefit 'wallbox' has value 0.5, was 8,000."),
]


@pytest.mark.parametrize(("was", "is_", "says"), CHANGES)
def test_every_change_is_told_in_its_own_words(was, is_, says):
    assert was in DESIGN
    before, after = Program.load(DESIGN), Program.load(DESIGN.replace(was, is_, 1))
    assert before.diff(after) == (says,)
    assert after.diff(after) == ()


def test_a_part_that_comes_or_goes_is_told():
    head = DESIGN[: DESIGN.index("[tiers]")]
    shorter = Program.load(head.replace(', ep = "2"', "").replace('multiply_by_tier = { gold = "1.5" }', ""))
    lines = Program.load(DESIGN).diff(shorter)
    for part in ("ladder", "binding", "scheme"):
        assert f"The program's {part} is gone." in lines
        assert f"The program's {part} is new." in shorter.diff(Program.load(DESIGN))


def test_what_if_sees_budgets_cancellations_and_a_currency_that_one_program_lacks():
    before = Program.load(TEXT)
    budget = "[funds.sales]\nbudget = { points = 120_000 }"
    value = '[currencies.value]\nspendable = false\n[[earn]]\nname = "v"\non = "post"\npoints = 4\ncurrency = "value"\ncap = [{ times = 1 }]\n'
    after = Program.load(TEXT.replace("[funds.sales]", budget) + value)
    events = [event("order.delivered", 1, f"m{n}", reference=f"o{n}") for n in range(3)]
    events += [event("order.delivered.cancelled", 2, "m0", reference="o0"), event("order.delivered", 3, "m3")]
    found = before.what_if([*events, event("post", 4, "m0")], after)
    # Of three orders the budget pays two; the one that was returned leaves room for the last.
    assert [(c.name, c.before, c.after) for c in found.by_fund if c.name == "sales"] == [
        ("sales", 150_000, 100_000)
    ]
    assert [(c.name, c.difference) for c in found.losers] == [("m2", -50_000)]
    assert [
        (c.name, c.before, c.after)
        for c in before.what_if([event("post", 4, "m0")], after, currency="value").winners
    ] == [("m0", 0, 4)]
    with pytest.raises(InvalidValue):
        before.what_if([], TEXT)


def test_parity_of_one_day_and_of_benefits_that_end():
    lines = "".join(
        f'[[benefit]]\nname = "{name}"\nvalue = {value}\nfrom = 2027-01-{first:02d}\nuntil = 2027-01-{last:02d}\n'
        for name, value, first, last in (("a", 5, 1, 3), ("b", 5, 3, 5), ("c", 2, 4, 5))
    )
    program = Program.load(TEXT + lines)
    assert len(program.parity({}, date(2027, 1, 1), date(2027, 1, 2))) == 0
    found = program.parity(
        {}, date(2027, 1, 1), date(2027, 1, 6), orders_per_day={date(2027, 1, 1): 2, date(2027, 1, 5): 9}
    )
    # One benefit in another's place is no gain; the last day promises nothing, and nobody is later.
    assert [(one.earlier.day, one.later.day, one.gap, one.gained, one.lost) for one in found] == [
        (1, 4, 2, ("b", "c"), ("a",)), (2, 4, 2, ("b", "c"), ("a",)), (3, 4, 2, ("c",), ())
    ]  # fmt: skip
    assert found.cost == 4
