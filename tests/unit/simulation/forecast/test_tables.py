"""What a forecast shows: tables, charts, a report, and what matters most."""

import re

import pytest
from plans import OWNER_CLUB, PLAN

from userops.core.tables import display_width
from userops.simulation import Plan

UNSURE = {"behaviour.events_per_month.order.delivered": {"uniform": [0.05, 0.12]}}


@pytest.fixture(scope="module")
def plan():
    return Plan.load(PLAN).with_(**UNSURE, **{"population.members": 1_000})


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
        PLAN.replace("funds.sales", 'funds."销售"')
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
    forecast = (
        Plan.load(OWNER_CLUB).with_(**{"horizon.months": 6}).simulate(seed=1, replications=20, sample=60)
    )
    paths = [row[0] for row in forecast.tornado("redeemed").rows]
    assert "behaviour.redeem_per_month" in paths
    assert not {"behaviour.fan.redeem_per_month", "behaviour.owner.redeem_per_month"} & set(paths)
    assert "behaviour.owner.events_per_month.service_plan.renewed" in paths
