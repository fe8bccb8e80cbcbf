"""Studies: variants, solutions, runs on points, pictures and reports."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from userops.core.tables import display_width
from userops.errors import InvalidValue
from userops.simulation import Plan, PointsRun

spec = importlib.util.spec_from_file_location("plans", Path(__file__).with_name("plans.py"))
plans = importlib.util.module_from_spec(spec)
spec.loader.exec_module(plans)
UNSURE = {"behaviour.events_per_month.order.delivered": {"uniform": [0.05, 0.12]}}


@pytest.fixture(scope="module")
def plan():
    return Plan.load(plans.PLAN).with_(**UNSURE, **{"population.members": 1_000})


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


def test_a_tornado_names_the_unknown_that_matters(plan):
    forecast = plan.simulate(seed=3, replications=60, sample=300)
    rows = forecast.tornado("issued", "sales").rows
    assert rows[0][0] == "behaviour.events_per_month.order.delivered"
    assert rows[0][1] > 0.8
    assert rows[0][2] < rows[0][3]


def test_a_report_is_one_file_that_needs_no_network(plan, tmp_path):
    forecast = plan.simulate(seed=3, replications=8, sample=100)
    path = forecast.report(tmp_path / "forecast.html")
    text = path.read_text(encoding="utf-8")
    assert text.count("<svg") >= 5
    assert not re.search(r"(src|href)\s*=|url\(|@import|<script", text)
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "<svg" in forecast._repr_html_()


def test_columns_and_plot(plan):
    forecast = plan.simulate(seed=3, replications=8, sample=100)
    columns = forecast.to_columns()
    assert {len(values) for values in columns.values()} == {3 * 10 * 6}
    assert (columns["p05"] <= columns["p95"]).all()
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    ax = forecast.plot("liability")
    assert "liability" in ax.get_title()
    matplotlib.pyplot.close(ax.figure)


def test_chinese_names_stand_in_the_report_and_in_the_plot(tmp_path, monkeypatch):
    """The report leaves fonts to the browser; matplotlib is given one with the characters, or the reader is told."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from userops.core import fonts

    text = (
        plans.PLAN.replace("funds.sales", 'funds."销售"')
        .replace('"sales"', '"销售"')
        .replace('"check-in"', '"签到"')
    )
    forecast = Plan.load(text.replace('name = "club"', 'name = "车主俱乐部"')).simulate(
        seed=1, replications=3, sample=100
    )
    page = forecast.report(tmp_path / "报告.html").read_text(encoding="utf-8")
    assert '<meta charset="utf-8">' in page
    assert all(word in page for word in ("车主俱乐部", "销售", "签到", "Noto Sans CJK SC"))
    assert all(display_width(line) <= 80 for line in f"{forecast}\n{forecast.rule_table()}".splitlines())
    monkeypatch.setattr(fonts, "_chinese_font", lambda: "DejaVu Serif")
    ax = forecast.plot("issued", "销售")
    assert ax.title.get_fontfamily()[0] == "DejaVu Serif"
    assert "车主俱乐部: issued of 销售" in ax.get_title()
    monkeypatch.setattr(fonts, "_chinese_font", lambda: None)
    with pytest.warns(UserWarning, match="no installed font"):
        forecast.plot("issued", "销售", ax=ax)
    matplotlib.pyplot.close("all")


def test_tables_hold_figures_and_not_only_words(plan):
    forecast = plan.simulate(seed=1, replications=3, sample=100)
    issued = forecast.table().to_columns()["issued"]
    assert issued.sum() == pytest.approx(forecast.mean("issued").sum())
    assert forecast.budget_table().to_columns()["cost"].sum() == pytest.approx(forecast.total("cost").mean())


def test_what_groups_share_is_one_bar_of_the_tornado():
    path = Path(__file__).resolve().parents[3] / "examples" / "owner_club.toml"
    forecast = Plan.load(path).with_(**{"horizon.months": 6}).simulate(seed=1, replications=20, sample=60)
    paths = [row[0] for row in forecast.tornado("redeemed").rows]
    assert "behaviour.redeem_per_month" in paths
    assert not {"behaviour.fan.redeem_per_month", "behaviour.owner.redeem_per_month"} & set(paths)
    assert "behaviour.owner.events_per_month.service_plan.renewed" in paths
