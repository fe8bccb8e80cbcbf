"""Studies: variants, solutions and runs on points."""

import numpy as np
import pytest
from plans import OWNER_CLUB, PLAN

from userops.errors import InvalidValue
from userops.simulation import Plan, PointsRun
from userops.simulation.studies.solve import only_fund

UNSURE = {"behaviour.events_per_month.order.delivered": {"uniform": [0.05, 0.12]}}


@pytest.fixture(scope="module")
def plan():
    return Plan.load(PLAN).with_(**UNSURE, **{"population.members": 1_000})


def test_differences_are_taken_under_the_same_chance(plan):
    variants = {"1,000": plan, "500": plan.with_(**{"earn.delivery.points": 500})}
    found = plan.compare(variants, seed=7, replications=30, sample=200)
    paired = found.difference("500", "issued", fund="sales")
    assert paired.mean < 0
    a, b = (one.total("issued", "sales") for one in found.forecasts.values())
    unpaired = np.sqrt(a.var(ddof=1) / 30 + b.var(ddof=1) / 30)
    assert paired.error < unpaired
    same = plan.compare({"a": plan, "b": plan}, seed=7, replications=5, sample=100).difference("b", "cost")
    assert same.mean == same.low == same.high == 0
    assert max(map(len, str(found).splitlines())) <= 80
    with pytest.raises(InvalidValue):
        found.difference("700")
    with pytest.raises(InvalidValue):
        plan.compare({})


def test_a_solution_is_honoured_by_another_seed(plan):
    """The knob's own unknown decides here, so that 300 members say as much as many; 150 replications bound it."""
    few = {"population.members": 300, "funds.sales.budget.points": 240_000}
    rich = plan.with_(**few).without_events({"order.delivered"})
    found = rich.solve(
        "earn.delivery.points", fund="sales", over_budget_at_most=0.1, replications=150, sample=None
    )
    assert found.probability <= 0.1 < found.probability_above
    other = rich.with_(**{"earn.delivery.points": int(found)})
    again = other.simulate(seed=999, replications=150, sample=None).probability_over_budget("sales")
    assert again.overall <= 0.1 + 3 * np.hypot(found.error, again.error)
    # The negative control: a grant well above breaks the promise.
    more = rich.with_(**{"earn.delivery.points": int(found) * 3 // 2})
    assert (
        more.simulate(seed=999, replications=60, sample=None).probability_over_budget("sales").overall > 0.3
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda plan: plan.solve("earn.delivery.points", fund="community", over_budget_at_most=0.1),
        lambda plan: plan.solve("earn.delivery.points", fund="nobody", over_budget_at_most=0.1),
        lambda plan: plan.solve("earn.delivery.points", fund="sales", over_budget_at_most=1),
        lambda plan: plan.solve("earn.delivry.points", fund="sales", over_budget_at_most=0.1),
        lambda plan: plan.stress(PointsRun(month=99, share=0.5)),
        lambda plan: plan.stress(0.5),
        lambda plan: PointsRun(month=0, share=0.5),
        lambda plan: PointsRun(month=1, share=1.5),
        lambda plan: PointsRun(month=1, share=float("nan")),
        lambda plan: PointsRun(month=True, share=0.5),
        lambda plan: plan.breaking_point(cash_floor=float("nan")),
        lambda plan: plan.breaking_point(cash_floor=0, at_most=2),
        lambda plan: plan.breaking_point(cash_floor=0, month=99),
        lambda plan: plan.solve("behaviour.lapse_per_month", fund="sales", over_budget_at_most=0.1),
    ],
)
def test_what_cannot_be_studied_is_refused(plan, call):
    with pytest.raises(InvalidValue):
        call(plan)


def test_a_run_empties_the_wallets_of_its_share(plan):
    calm = plan.simulate(seed=1, replications=4, sample=None)
    run = plan.stress(PointsRun(month=3, share=1.0, notice_days=30), seed=1, replications=4, sample=None)
    assert np.array_equal(calm.data["issued"], run.data["issued"])
    assert np.array_equal(calm.data["redeemed"][:, :, :2], run.data["redeemed"][:, :, :2])
    assert (run.mean("redeemed")[2] > 3 * calm.mean("redeemed")[2]).all()
    half = plan.stress(PointsRun(month=3, share=0.5, notice_days=60), seed=1, replications=4, sample=None)
    assert calm.mean("outstanding")[3] > half.mean("outstanding")[3] > run.mean("outstanding")[2]


def test_the_breaking_point_breaks(plan):
    found = plan.breaking_point(cash_floor=5_000, month=6, replications=40, sample=300)
    assert 0 < found.share < 1
    assert found.cash_before > 5_000 > found.cash_after_all
    for factor, expected in ((0.7, False), (1.3, True)):
        run = PointsRun(month=6, share=min(1.0, found.share * factor))
        cash = plan.stress(run, replications=40, sample=300).values("cash")[:, 5]
        assert (np.quantile(cash, 0.05) < 5_000) == expected
    assert plan.breaking_point(cash_floor=-1, replications=4, sample=100).share is None


def test_stock_and_cash_can_bind(plan):
    """Redemptions are refused whole once the month's stock, or the cash above its floor, is used up."""
    table = {**plan.table, "stock": {"points_per_month": 20_000}}
    short = Plan.from_tables(table, plan.program_table).simulate(seed=1, replications=3, sample=None)
    assert short.values("redeemed").max() <= 20_000
    assert short.unserved.sum() > 0
    table = {**plan.table, "cash": {"opening": 6_000, "floor": 1_000}}
    poor = Plan.from_tables(table, plan.program_table).simulate(seed=1, replications=3, sample=None)
    assert poor.values("cash").min() >= 1_000 - 1e-6
    assert poor.values("cash").min() < 1_500
    assert poor.unserved.sum() > 0


def test_a_fund_is_solved_for_without_what_gives_value_unless_its_rules_ask_for_tiers():
    plan = Plan.load(OWNER_CLUB)
    assert "charging.completed" not in only_fund(plan, "sales").spec.kinds
    assert "charging.completed" in only_fund(plan, "referral").spec.kinds
