"""Forecasts: determinism, closed forms, budgets, and an honest spread."""

import importlib.util
import os
import signal
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from userops.errors import InvalidValue
from userops.simulation import Plan, SimulationFailed, noise

spec = importlib.util.spec_from_file_location("plans", Path(__file__).with_name("plans.py"))
plans = importlib.util.module_from_spec(spec)
spec.loader.exec_module(plans)
PLAN = plans.PLAN


def bytes_of(forecast):
    return {name: values.tobytes() for name, values in forecast.data.items()} | {
        "active": forecast.active.tobytes(),
        "mean": forecast.mean("liability").tobytes(),
    }


def test_the_same_seed_gives_the_same_bytes_with_any_executor():
    plan = Plan.load(PLAN)
    alone = bytes_of(plan.simulate(seed=3, replications=14, sample=600))
    assert alone == bytes_of(plan.simulate(seed=3, replications=14, sample=600))
    with ThreadPoolExecutor(2) as pool:
        assert alone == bytes_of(plan.simulate(seed=3, replications=14, sample=600, executor=pool))
    assert alone != bytes_of(plan.simulate(seed=4, replications=14, sample=600))


def test_processes_give_the_same_bytes():
    plan = Plan.load(PLAN)
    alone = bytes_of(plan.simulate(seed=3, replications=14, sample=600))
    for workers in (1, 2):
        with ProcessPoolExecutor(workers) as pool:
            assert alone == bytes_of(plan.simulate(seed=3, replications=14, sample=600, executor=pool))


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


def test_changing_one_rule_leaves_the_draws_of_others_alone():
    plan = Plan.load(PLAN).with_(**{"funds.sales.budget.points": 10**9})
    other = plan.with_(**{"earn.delivery.points": 7})
    a, b = (one.simulate(seed=9, replications=3, sample=400).data["issued"] for one in (plan, other))
    assert np.array_equal(a[..., 1], b[..., 1])
    assert np.allclose(a[..., 0], b[..., 0] / 7 * 1_000)


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


def test_stopping_keeps_what_is_done_and_says_so():
    def stop(done, total):
        if done >= 12:
            raise KeyboardInterrupt

    forecast = Plan.load(PLAN).simulate(seed=1, replications=40, sample=600, progress=stop)
    assert not forecast.is_whole
    assert 12 <= forecast.replications < 40
    assert "PARTIAL" in str(forecast)


def test_a_broken_executor_is_a_clear_error():
    class Broken:
        def submit(self, _function, *_arguments):
            from concurrent.futures import Future

            future = Future()
            future.set_exception(RuntimeError("the worker died"))
            return future

    with pytest.raises(SimulationFailed, match="replications 0 to"):
        Plan.load(PLAN).simulate(seed=1, replications=4, sample=100, executor=Broken())


def _die(_task):
    os._exit(3)


class Dying(ProcessPoolExecutor):
    """A pool one of whose workers is gone in the middle of the run."""

    def submit(self, function, *arguments):
        self.count = getattr(self, "count", 0) + 1
        return super().submit(_die if self.count == 3 else function, *arguments)


def test_a_worker_that_dies_midway_is_a_clear_error():
    plan = Plan.load(PLAN)
    with Dying(2) as pool, pytest.raises(SimulationFailed, match="the executor broke off at replications"):
        plan.simulate(seed=1, replications=60, sample=600, executor=pool)
    # A pool that is closed takes no task: the same error, and not the pool's own.
    with pytest.raises(SimulationFailed, match="run again with another executor"):
        plan.simulate(seed=1, replications=60, sample=600, executor=pool)


def test_ctrl_c_with_a_pool_of_processes_leaves_what_is_done():
    """The signal itself, as a terminal sends it to the process that waits for its workers."""
    plan, done = Plan.load(PLAN), []

    def interrupt(count, _total):
        done.append(count)
        if count >= 12:
            signal.raise_signal(signal.SIGINT)

    with ProcessPoolExecutor(2) as pool:
        forecast = plan.simulate(seed=3, replications=400, sample=600, executor=pool, progress=interrupt)
    assert not forecast.is_whole
    assert 12 <= forecast.replications < 400
    text = " ".join(str(forecast).split())
    assert f"PARTIAL: stopped after {forecast.replications} of 400 replications" in text
    # What is there is what a whole run of so many replications gives.
    alone = plan.simulate(seed=3, replications=forecast.replications, sample=600)
    assert bytes_of(alone) == bytes_of(forecast)


@pytest.mark.parametrize("more", [{"executor": "pool"}, {"progress": 3}, {"executor": ProcessPoolExecutor}])
def test_executors_and_progress_are_checked_before_the_run(more):
    if more.get("executor") is ProcessPoolExecutor:
        with pytest.raises(SimulationFailed):
            Plan.load(PLAN).simulate(seed=1, replications=2, sample=50, **more)
        return
    with pytest.raises(InvalidValue, match=next(iter(more))):
        Plan.load(PLAN).simulate(seed=1, replications=2, sample=50, **more)


def test_names_that_do_not_meet_are_told():
    """A misspelt event is no fault, for programs differ; and it is not silent either."""
    plan = Plan.load(PLAN.replace('"order.delivered" = 0.1', '"order.deliverd" = 0.1'))
    text = " ".join(str(plan.simulate(seed=1, replications=2, sample=50)).split())
    assert "No rule listens to what members do: order.deliverd." in text
    assert "Members never do what these rules listen to: delivery." in text
    assert "listen" not in str(Plan.load(PLAN).simulate(seed=1, replications=2, sample=50))
