"""Forecasts: closed forms, budgets, and what they tell."""

import numpy as np
import pytest
from plans import PLAN

from userops.errors import InvalidValue
from userops.simulation import Plan


def test_points_are_conserved_in_every_replication():
    data = Plan.load(PLAN).simulate(seed=1, replications=5, sample=None).data
    outstanding = np.cumsum(data["issued"] - data["redeemed"] - data["expired"], axis=2)
    assert (outstanding.sum(axis=1) >= 0).all()
    assert (data["issued"] >= 0).all()


def test_mean_and_quantile_of_a_closed_form():
    """Deliveries are Poisson: so many members, none lapsing, 0.1 each a month, 1,000 points."""
    plan = Plan.load(PLAN).with_(
        **{
            "behaviour.lapse_per_month": 0,
            "population.joins_per_month": 0,
            "horizon.months": 2,
            "population.members": 500,
        }
    )
    forecast = plan.simulate(seed=5, replications=400, sample=None)
    deliveries = forecast.values("issued", "sales") / 1_000
    mean, error = 50.0, np.sqrt(50.0 / 400)
    assert abs(deliveries.mean(axis=0) - mean).max() < 4 * error
    # The variance of a sample variance of a near-normal is 2 σ⁴ / (n - 1).
    assert abs(deliveries.var(axis=0, ddof=1) - 50).max() < 4 * 55 * np.sqrt(2 / 399)
    # A quantile's standard error is sqrt(q (1 - q) / n) over the density there.
    z, density = 1.6448536, 0.1031356
    found = forecast.quantile("issued", 0.95, "sales") / 1_000
    assert (
        abs(found - (mean + z * np.sqrt(mean))).max()
        < 4 * np.sqrt(mean) * np.sqrt(0.95 * 0.05 / 400) / density
    )


def test_budgets_refuse_whole_grants_and_issued_stays_within():
    plan = Plan.load(PLAN).with_(**{"funds.sales.budget.points": 1_500_500})
    forecast = plan.simulate(seed=2, replications=6, sample=None)
    total = forecast.data["issued"][..., 0].sum(axis=(1, 2))
    assert (total == 1_500_000).all()
    assert (forecast.data["refused"][..., 0].sum(axis=(1, 2)) > 0).all()
    over = forecast.probability_over_budget("sales")
    assert over.overall == 1.0
    assert over.by_month[0] == 0.0
    assert over.by_month[-1] == 1.0
    free = (
        Plan.load(PLAN)
        .with_(**{"funds.sales.budget.points": 10**9})
        .simulate(seed=2, replications=6, sample=None)
    )
    assert np.allclose(forecast.total("asked", "sales"), free.total("asked", "sales"))
    assert free.probability_over_budget("sales").overall == 0.0


def test_changing_one_rule_leaves_the_draws_of_others_alone():
    plan = Plan.load(PLAN).with_(**{"funds.sales.budget.points": 10**9})
    other = plan.with_(**{"earn.delivery.points": 7})
    a, b = (one.simulate(seed=9, replications=3, sample=400).data["issued"] for one in (plan, other))
    assert np.array_equal(a[..., 1], b[..., 1])
    assert np.allclose(a[..., 0], b[..., 0] / 7 * 1_000)


def test_an_expected_shortfall_is_the_mean_of_the_worst():
    forecast = Plan.load(PLAN).simulate(seed=1, replications=20, sample=100)
    for month, values in enumerate(forecast.values("liability").T):
        worst = sorted(values)[-2:]  # the 0.9 quantile of 20 lies between the last two and the others
        assert forecast.expected_shortfall("liability", 0.9)[month] == pytest.approx(np.mean(worst))


def test_what_cannot_be_asked_is_refused():
    forecast = Plan.load(PLAN).simulate(seed=1, replications=2, sample=50)
    for call in (
        lambda: forecast.mean("isued"),
        lambda: forecast.mean("issued", "sale"),
        lambda: forecast.quantile("issued", 1.5),
        lambda: forecast.quantile("issued", True),
        lambda: forecast.probability_over_budget("community"),
    ):
        with pytest.raises(InvalidValue):
            call()


def test_a_forecast_reads_well_in_a_terminal():
    text = str(Plan.load(PLAN).simulate(seed=1, replications=4, sample=100))
    assert max(map(len, text.splitlines())) <= 80
    assert "4 replications, seed 1" in text
    assert "100 members drawn" in text
    assert "noise" in text


def test_names_that_do_not_meet_are_told():
    """A misspelt event is no fault, for programs differ; and it is not silent either."""
    plan = Plan.load(PLAN.replace('"order.delivered" = 0.1', '"order.deliverd" = 0.1'))
    text = " ".join(str(plan.simulate(seed=1, replications=2, sample=50)).split())
    assert "No rule listens to what members do: order.deliverd." in text
    assert "Members never do what these rules listen to: delivery." in text
    assert "listen" not in str(Plan.load(PLAN).simulate(seed=1, replications=2, sample=50))
