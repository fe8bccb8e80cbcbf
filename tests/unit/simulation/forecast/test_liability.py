"""What simulated points owe and cost: the ledger's accounting of the same population, and closed forms."""

from datetime import date
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from plans import DAILY, ONCE, earn_rule

from userops.core.calendar import month_starts, zone
from userops.errors import InvalidValue, PlanError
from userops.points import Ledger
from userops.points.accounting import accrued_cost, revenue_schedule
from userops.simulation import Plan
from userops.simulation.forecast.liability import rates_to_come, ultimate_rates

PLAN = f"""
[program]
schema = 1
name = "club"
timezone = "Asia/Shanghai"
[program.funds.sales]
unit_cost = "0.10"
[program.funds.community]
unit_cost = "0.03"
kind = "expense"
{earn_rule("delivery", on="order.delivered", points=100, fund="sales", months=2, cap=ONCE)}
unbounded = "accepted"
{earn_rule("check-in", on="app.checkin", points=7, fund="community", months=1, cap=DAILY)}
{earn_rule("comment", on="app.checkin", points=2, fund="community", months=3, cap=DAILY)}
[horizon]
start = 2027-01-01
months = 6
[population]
members = 80
[behaviour]
redeem_per_month = 0.3
redeem_share = 0.7
redeem_balance = 60
[behaviour.events_per_month]
"order.delivered" = 0.4
"app.checkin" = 1.5
"""
END = date(2027, 7, 1)
FUNDS = ("sales", "community")


def by_ledger(plan, seed):
    """Return the ledger of the very population that one whole replication simulates."""
    trace = plan.trace(members=80, seed=seed)
    ledger = Ledger.in_memory()
    plan.program.run(trace.events, ledger, members=trace.members)
    return ledger


def test_the_rates_and_the_liability_are_those_of_the_ledger_of_the_same_members():
    plan = Plan.load(PLAN)
    forecast = plan.simulate(seed=5, replications=1, sample=None)
    ledger = by_ledger(plan, 5)
    end = month_starts(date(2027, 1, 1), 6, zone("Asia/Shanghai"))[-1]
    rows = {row.fund: row for row in ledger.funding(end)}
    due = dict.fromkeys(FUNDS, 0)
    for entry in ledger.entries():
        for leg in entry.legs:
            lot = leg.lot
            if entry.kind == "earn" and lot and leg.points > 0:
                found = next(one for one in ledger.lots(entry.member, as_of=entry.at) if one.id == lot)
                due[found.fund] += found.original if found.expires_at <= end else 0
    rates = dict(zip(FUNDS, forecast.redemption_rates[0], strict=True))
    for fund in FUNDS:
        assert due[fund] > rows[fund].expired > 0
        assert rates[fund] == pytest.approx(1 - rows[fund].expired / due[fund])
    to_come = {f: Fraction(float(x)) for f, x in zip(FUNDS, forecast.rates_to_come[0, -1], strict=True)}
    for row in accrued_cost(ledger, end, redemption_rate=to_come, kind=None):
        assert forecast.values("liability", row.fund)[0, -1] == pytest.approx(float(row.cost))


def test_every_month_owes_what_the_cumulative_catch_up_owes():
    """`revenue_schedule` on points allocated at their selling price, cell by cell."""
    forecast = Plan.load(PLAN).simulate(seed=3, replications=3, sample=None)
    to_date = {k: np.cumsum(v.sum(axis=1), axis=1) for k, v in forecast.data.items()}
    cells = 0
    for place, (fund, cost) in enumerate(zip(FUNDS, (Decimal("0.10"), Decimal("0.03")), strict=True)):
        owed = forecast.values("liability", fund)
        for r, m in np.ndindex(owed.shape):
            expected = Fraction(float(forecast.redemption_rates[r, place])) * int(
                to_date["issued"][r, m, place]
            )
            redeemed = int(to_date["redeemed"][r, m, place])
            if 0 < redeemed <= expected:
                row = revenue_schedule(Fraction(cost) * expected, [(redeemed, expected)])[0]
                assert owed[r, m] == pytest.approx(float(row.liability))
                cells += 1
    assert cells > 20


def test_what_never_expires_is_expected_back_whole_and_what_is_never_redeemed_owes_nothing():
    never = Plan.load(PLAN.replace("expires = { months = 2", "expires = { months = 40"))
    forecast = never.simulate(seed=1, replications=2, sample=None)
    assert (forecast.redemption_rates[:, 0] == 1).all()
    assert forecast.mean("liability", "sales") == pytest.approx(forecast.mean("outstanding", "sales") * 0.1)
    assert "community" in str(forecast).split("Liability:")[1]
    lazy = Plan.load(PLAN.replace("redeem_per_month = 0.3", "redeem_per_month = 0"))
    found = lazy.simulate(seed=1, replications=2, sample=None)
    assert found.mean("outstanding")[-1] > 0
    assert (found.mean("liability") == 0).all()
    assert found.by_rule("cost")["delivery"].sum() == 0


def test_a_plan_may_state_the_rates():
    stated = Plan.load(f"{PLAN}[accounting]\nredemption_rate = {{ sales = 0.9 }}\n")
    forecast = stated.simulate(seed=5, replications=1, sample=None)
    assert forecast.redemption_rates[0, 0] == 0.9
    assert 0 < forecast.redemption_rates[0, 1] < 1
    assert "sales 90% by the plan" in " ".join(str(forecast).split())
    all_back = stated.with_(**{"accounting.redemption_rate.sales": 1}).simulate(
        seed=5, replications=1, sample=None
    )
    assert all_back.mean("liability", "sales") == pytest.approx(all_back.mean("outstanding", "sales") * 0.1)
    everywhere = Plan.load(PLAN).with_(**{"accounting.redemption_rate": 0.25})
    assert everywhere.spec.redemption_rates == (0.25, 0.25)
    for wrong, where in (
        ("redemption_rate = 1.1", "accounting.redemption_rate"),
        ("redemption_rate = -0.1", "accounting.redemption_rate"),
        ("redemption_rate = { sale = 0.5 }", "accounting.redemption_rate.sale"),
        ("redemption_rat = 0.5", "accounting.redemption_rat"),
        ("redemption_rate = { sales = true }", "accounting.redemption_rate.sales"),
    ):
        with pytest.raises(PlanError) as caught:
            Plan.load(f"{PLAN}[accounting]\n{wrong}\n")
        assert [fault.path for fault in caught.value.exceptions] == [where]


def test_what_rules_cost_is_what_their_fund_paid_and_owes():
    forecast = Plan.load(PLAN).simulate(seed=2, replications=4, sample=None)
    cost = forecast.by_rule("cost")
    for fund, rules in (("sales", ["delivery"]), ("community", ["check-in", "comment"])):
        assert (forecast.rates_to_come[:, -1] > 0).all()
        paid_and_owed = forecast.mean("cost", fund).sum() + forecast.mean("liability", fund)[-1]
        assert sum(cost[rule].sum() for rule in rules) == pytest.approx(paid_and_owed)
    with pytest.raises(InvalidValue, match="issued, refused, cost"):
        forecast.by_rule("redeemed")


def test_the_roll_forward_ties_to_the_point_and_owes_the_mean_liability():
    forecast = Plan.load(PLAN).simulate(seed=2, replications=3, sample=None)
    found = forecast.roll_forward().rows
    assert len(found) == 12
    for row in found:
        assert row.opening + row.issued - row.redeemed - row.expired == row.closing
        month = row.month.month - 1
        cost = 0.1 if row.fund == "sales" else 0.03
        assert abs(float(row.liability) - forecast.mean("liability", row.fund)[month]) <= cost


def test_rates_are_believed_as_far_as_chance_does_not_explain_them():
    """Alike replications differ by chance alone and share one rate; unlike ones keep theirs."""
    rng = np.random.default_rng(1)
    due = np.full((200, 8, 1), 100.0)
    alike = ultimate_rates(rng.binomial(100, 0.4, due.shape).astype(float), due, [None])
    assert alike.std() < 0.006  # one replication's own: sqrt(0.24 / 800) = 0.017
    chances = rng.uniform(0.1, 0.9, (200, 1, 1))
    unlike = ultimate_rates(rng.binomial(100, chances, due.shape).astype(float), due, [None])
    assert np.corrcoef(unlike[:, 0], 1 - chances[:, 0, 0])[0, 1] > 0.99
    # Where nothing matures, everything is expected back; with one replication its own rate stands.
    assert ultimate_rates(due * 0, due * 0, [None]).tolist() == [[1.0]] * 200
    assert ultimate_rates(due[:1] * 0.25, due[:1], [None]).tolist() == [[0.75]]
    to_come = rates_to_come(
        *(np.array(x, dtype=float).reshape(1, -1, 1) for x in ([0, 10, 10], [0, 9, 1], [0, 0, 4])),
        np.array([[0.5]]),
    )
    assert to_come.ravel().tolist() == [0.0, 0.0, 1.0]


def test_columns_by_rule_and_group():
    forecast = Plan.load(PLAN).simulate(seed=2, replications=2, sample=20)
    rules = forecast.to_columns(by="rule")
    assert {len(values) for values in rules.values()} == {3 * 3 * 6}
    assert set(rules["series"]) == {"issued", "refused", "cost"}
    groups = forecast.to_columns(by="group")
    assert groups["members"].tolist() == pytest.approx(forecast.members()["members"].tolist())
    for by in ("rules", None, "tier"):
        with pytest.raises(InvalidValue):
            forecast.to_columns(by=by)
    assert max(map(len, f"{forecast.accounting_table()}\n{forecast.rule_table()}".splitlines())) <= 80
