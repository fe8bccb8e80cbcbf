"""Roll-forwards, accruals, debts by age and breakage read from a ledger, tied to it to the point."""

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from userops import Event
from userops.errors import InvalidValue, Rejected
from userops.points import (
    Clawback,
    Earn,
    Fund,
    Ledger,
    Reverse,
    Spend,
    Transfer,
    accrued_cost,
    debts_by_age,
    redemption_rate,
    redemption_triangle,
    roll_forward,
)
from userops.program import Program

T0 = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def ledger():
    made = Ledger.in_memory()
    made.add_fund(Fund("sales", unit_cost=Decimal("0.10")))
    made.add_fund(Fund("club", unit_cost=Decimal("0.05"), kind="expense"))
    rng = random.Random(3)
    for n in range(1_500):
        at = T0 + timedelta(hours=7 * n)
        member, points = f"u{rng.randrange(30)}", rng.randrange(1, 200)
        kind = rng.random()
        try:
            if kind < 0.5:
                ends = at + timedelta(days=rng.randrange(60, 400))
                made.post(
                    Earn(
                        id=f"e{n}",
                        member=member,
                        points=points,
                        fund=rng.choice(["sales", "club"]),
                        at=at,
                        expires_at=ends,
                    )
                )
            elif kind < 0.85:
                made.post(Spend(id=f"s{n}", member=member, points=points, sink="shop", at=at))
            elif kind < 0.93:
                made.post(
                    Transfer(id=f"t{n}", member=member, to=f"v{rng.randrange(9)}", points=points, at=at)
                )
            else:
                made.post(
                    Reverse(
                        id=f"r{n}",
                        entry=f"{rng.choice('es')}{rng.randrange(n)}",
                        at=at,
                        clawback=Clawback.DEBT,
                    )
                )
        except Rejected:
            pass
    return made


def test_nothing_comes_before_the_first_instant_there_is(ledger):
    with pytest.raises(InvalidValue, match="first instant of year 1"):
        roll_forward(ledger, date(1, 1, 1), 2)
    assert roll_forward(ledger, date(1, 2, 1), 2).rows == ()


def test_the_roll_forward_ties_to_the_point(ledger):
    rows = roll_forward(ledger, date(2027, 1, 1), 18, timezone="Asia/Shanghai").rows
    closing = {}
    for row in rows:
        assert row.opening + row.issued - row.redeemed - row.expired - row.clawed_back == row.closing
        assert row.opening == closing.get(row.fund, 0)
        closing[row.fund] = row.closing
    assert sum(row.redeemed for row in rows) > 1_000
    assert sum(row.clawed_back for row in rows) > 0
    last = datetime(2028, 6, 30, 15, 59, 59, 999999, tzinfo=UTC)
    assert closing == {row.fund: row.outstanding for row in ledger.funding(last)}


def test_an_instant_at_midnight_belongs_to_the_month_that_begins():
    made = Ledger.in_memory()
    made.add_fund(Fund("f", unit_cost=Decimal("0.5")))
    made.post(Earn(id="e", member="u", points=10, fund="f", at=datetime(2027, 2, 1, tzinfo=UTC)))
    january = roll_forward(made, date(2027, 1, 1), 1).rows
    assert sum(row.issued for row in january) == 0
    (row,) = roll_forward(made, date(2027, 2, 1), 1, redemption_rates=[1, Fraction(4, 5)]).rows
    assert (row.issued, row.liability, row.reestimate) == (10, 4, 0)
    (march,) = roll_forward(made, date(2027, 3, 1), 1, redemption_rates=[Fraction(4, 5), Fraction(1, 2)]).rows
    assert (march.opening, march.reestimate, march.liability) == (10, Fraction(-3, 2), Fraction(5, 2))


def test_accrued_cost_counts_the_funds_of_a_kind(ledger):
    at = datetime(2028, 1, 1, tzinfo=UTC)
    outstanding = {row.fund: row.outstanding for row in ledger.funding(at)}
    (row,) = accrued_cost(ledger, at, redemption_rate={"club": Decimal("0.8")})
    assert (row.fund, row.cost) == ("club", outstanding["club"] * Fraction(4, 100))
    assert {row.fund for row in accrued_cost(ledger, at, kind=None)} == {"club", "sales"}
    with pytest.raises(InvalidValue):
        accrued_cost(ledger, at, redemption_rate=Decimal("1.5"))


def test_debts_by_age_sum_to_the_open_debt():
    made = Ledger.in_memory()
    for fund in ("sales", "club"):
        made.add_fund(Fund(fund))
    for n, (fund, day) in enumerate([("sales", 0), ("sales", 25), ("club", 29), ("club", 30), ("sales", 31)]):
        at, member = T0 + timedelta(days=day), f"u{n}"
        made.post(Earn(id=f"e{n}", member=member, points=100 + n, fund=fund, at=at))
        made.post(Spend(id=f"s{n}", member=member, points=60, sink="shop", at=at))
        made.post(Reverse(id=f"r{n}", entry=f"e{n}", at=at, clawback=Clawback.DEBT))
    made.post(Earn(id="repay", member="u1", points=25, fund="club", at=T0 + timedelta(days=40)))
    at = T0 + timedelta(days=59)
    rows = debts_by_age(made, at, days=(30, 50))
    found = {(row.fund, row.from_days, row.until_days): (row.members, row.points) for row in rows}
    assert found == {
        ("club", 0, 30): (1, 60),
        ("club", 30, 50): (1, 60),
        ("sales", 0, 30): (1, 60),
        ("sales", 30, 50): (1, 35),
        ("sales", 50, None): (1, 60),
    }
    assert {row.fund: row.debt for row in made.funding(at)} == {"club": 120, "sales": 155}
    with pytest.raises(InvalidValue):
        debts_by_age(made, at, days=(30, 10))


def test_the_triangle_counts_every_redeemed_point_once(ledger):
    at = datetime(2028, 4, 1, tzinfo=UTC)
    triangle = redemption_triangle(ledger, at)
    latest = sum(int(triangle.redeemed[k, len(triangle.months) - 1 - k]) for k in range(len(triangle.months)))
    before = at - timedelta(microseconds=1)
    assert latest == sum(row.redeemed for row in ledger.funding(before))
    assert triangle.issued.sum() == sum(row.issued for row in ledger.funding(before))
    found = redemption_rate(triangle)
    assert found.interval[0] <= found.rate <= found.interval[1] <= 1
    assert "Ultimate redemption rate" in str(found)
    with pytest.raises(InvalidValue):
        redemption_triangle(Ledger.in_memory(), at)


def test_a_replay_is_accounted_for_as_the_ledger_of_a_run_is():
    text = """
schema = 1
name = "books"
[funds.sales]
unit_cost = "0.10"
[funds.club]
kind = "expense"
unit_cost = "0.05"
[[earn]]
name = "paid"
on = "paid"
points = { of = "amount" }
fund = "sales"
expires = { months = 2 }
cap = [{ points = 500 }]
[[earn]]
name = "post"
on = "post"
points = 3
fund = "club"
cap = [{ times = 1, per = "day" }]
"""
    rng = random.Random(4)
    events = [
        Event(
            f"e{n}",
            rng.choice(["paid", "paid", "post", "points.redeemed"]),
            f"u{rng.randrange(9)}",
            T0 + timedelta(hours=9 * n),
            amount=rng.randrange(1, 90),
        )
        for n in range(700)
    ]
    program, posted = Program.load(text), Ledger.in_memory()
    program.run(events, posted)
    replayed = program.replay(events)
    arguments = (date(2027, 1, 1), 9)
    rates = [Fraction(9 - k, 10) for k in range(10)]
    rows = roll_forward(replayed, *arguments, redemption_rates=rates).rows
    assert rows == roll_forward(posted, *arguments, redemption_rates=rates).rows
    assert sum(row.expired for row in rows) > 0
    assert sum(row.redeemed for row in rows) > 0
    at = T0 + timedelta(days=250)
    assert accrued_cost(replayed, at) == accrued_cost(posted, at)
    assert (redemption_triangle(replayed, at).issued == redemption_triangle(posted, at).issued).all()
