"""An honest spread: that of the real population, from a sample."""

import numpy as np
import pytest
from plans import PLAN

from userops.errors import InvalidValue
from userops.simulation import Plan
from userops.simulation.forecast import noise


def test_a_sample_has_the_spread_of_the_real_population():
    """Chance among members shrinks with the real size; what nobody knows of a parameter does not."""
    small_knobs = {
        "population.members": 2_000,
        "population.joins_per_month": 0,
        "funds.sales.budget.points": 10**9,
    }
    sure = Plan.load(PLAN).with_(**small_knobs, **{"behaviour.events_per_month.app.checkin.mean": 0})
    unsure = sure.with_(**{"behaviour.events_per_month.order.delivered": {"uniform": [0.05, 0.15]}})
    drawn = []
    for plan in (sure, unsure):
        drawn.append(plan.simulate(seed=2, replications=120, sample=250))
        real = plan.simulate(seed=1, replications=120, sample=None).total("issued", "sales").std()
        small = drawn[-1].total("issued", "sales").std()
        assert 0.75 < small / real < 1.33
    # The negative control: unsettled, the sample's own spread is far too wide.
    raw = drawn[0].data["issued"][..., 0].sum(axis=(1, 2))
    assert raw.std() > 2 * drawn[0].total("issued", "sales").std()


def test_a_sample_says_of_budgets_and_liability_what_a_full_run_says():
    """Means, spreads and the chance to be over budget, of 400 members drawn and of all 4,000."""
    plan = Plan.load(PLAN).with_(
        **{
            "population.members": 4_000,
            "population.joins_per_month": 0,
            "behaviour.events_per_month.order.delivered": {"uniform": [0.05, 0.15]},
            "behaviour.events_per_month.app.checkin.mean": 0.2,
            "funds.sales.budget.points": 2_500_000,
        }
    )
    count = 110
    full = plan.simulate(seed=1, replications=count, sample=None)
    small = plan.simulate(seed=2, replications=count, sample=400)
    for name in ("asked", "liability"):
        a, b = (one.values(name, "sales")[:, -1] for one in (full, small))
        assert abs(a.mean() - b.mean()) < 4 * np.hypot(a.std(), b.std()) / np.sqrt(count)
        assert 0.75 < b.std() / a.std() < 1.33
    over = [one.probability_over_budget("sales") for one in (full, small)]
    assert 0.2 < over[0].overall < 0.8
    assert abs(over[0].overall - over[1].overall) < 4 * np.hypot(over[0].error, over[1].error)
    # In a full run the budget binds where the fund is over; and in a sample chance among its members binds it too.
    assert full.over_in_the_sample("sales") == over[0].overall


def test_every_months_band_is_as_wide_as_a_full_runs(monkeypatch):
    """One month's spread beyond chance is a poor estimate: bands pinched and swelled from month to month."""
    knobs = {
        "horizon.months": 12,
        "population.members": 3_000,
        "population.joins_per_month": 0,
        "behaviour.lapse_per_month": 0,
        "behaviour.events_per_month.order.delivered": {"uniform": [0.05, 0.15]},
        "behaviour.events_per_month.app.checkin.mean": 0.1,
        "funds.sales.budget.points": 10**9,
    }
    plan = Plan.load(PLAN).with_(**knobs)
    full = plan.simulate(seed=1, replications=80, sample=None).values("asked", "sales").std(axis=0)
    small = plan.simulate(seed=2, replications=80, sample=80)
    ratios = small.values("asked", "sales").std(axis=0) / full
    assert (ratios > 0.7).all()
    assert (ratios < 1.45).all()
    monkeypatch.setattr(noise, "WINDOW", 1)  # the negative control
    alone = small.values("asked", "sales").std(axis=0) / full
    assert ratios.std() < alone.std()
    # Money that may be owed either way is told against the noise; figures that are all one stay as they are.
    parts = np.random.default_rng(1).normal(0, 5, (50, 8, 12))
    found = noise.settled(parts, np.full((50, 1), 10.0), is_uncertain=True)
    assert found.std() < parts.sum(axis=1).std()
    assert np.array_equal(
        noise.settled(parts * 0, np.full((50, 1), 10.0), is_uncertain=True), np.zeros((50, 12))
    )


def test_a_budget_that_only_the_sample_breaks_is_told():
    """No parameter is unknown, and 50 members of 50,000 vary by far more than the real ones."""
    plan = Plan.load(PLAN).with_(
        **{
            "population.members": 50_000,
            "population.joins_per_month": 0,
            "behaviour.lapse_per_month": 0,
            "behaviour.redeem_per_month": 0,
            "funds.sales.budget.points": 31_000_000,
        }
    )
    forecast = plan.simulate(seed=1, replications=40, sample=50)
    assert forecast.probability_over_budget("sales").overall < 0.05
    assert forecast.over_in_the_sample("sales") > 0.2
    assert "draw a larger sample" in " ".join(str(forecast).split())
    with pytest.raises(InvalidValue):
        forecast.over_in_the_sample("community")
    larger = plan.simulate(seed=1, replications=3, sample=20_000)
    assert "larger sample" not in " ".join(str(larger).split())
