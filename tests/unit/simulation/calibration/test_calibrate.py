"""Calibration finds what a simulation was made with; a history that cannot teach is refused."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from plans import PLAN

from userops import Event
from userops.errors import InvalidValue, NaiveTimeError
from userops.points import Ledger
from userops.simulation import Plan, backtest, calibrate
from userops.simulation.calibration.fit import fit

T0 = datetime(2027, 1, 1, tzinfo=UTC)


def lives(members, months, rate, shape, lapse, seed):
    """Draw events after the first, months to the last of them, and months observed."""
    rng = np.random.default_rng(seed)
    active = np.minimum(rng.geometric(lapse, members), months) if lapse else np.full(members, months)
    counts = rng.poisson(rng.gamma(shape, rate / shape, members) * active)
    last = np.array([active[k] * rng.random(n).max() if n else 0.0 for k, n in enumerate(counts)])
    return counts.astype(float), last, np.full(members, float(months))


def test_a_fit_finds_rate_dispersion_and_lapse():
    found = fit(*lives(3_000, 18, rate=1.5, shape=2.0, lapse=0.08, seed=1))
    assert abs(found.rate - 1.5) < 0.15
    assert abs(found.shape - 2.0) < 0.4
    assert abs(found.lapse - 0.08) < 0.02


def test_a_ledger_teaches_redemption_too():
    knobs = {
        "population.members": 300,
        "population.joins_per_month": 0,
        "behaviour.redeem_per_month": 0.5,
        "behaviour.redeem_share": 0.4,
        "funds.sales.budget.points": 10**9,
    }
    plan = Plan.load(PLAN).with_(**knobs, **{"behaviour.events_per_month.order.delivered": 1})
    trace = plan.trace(members=120, seed=2)
    ledger = Ledger.in_memory()
    plan.program.run(trace.events, ledger)
    fitted = calibrate(ledger, plan, as_of=trace.ends_at)
    behaviour = fitted.spec.behaviours[""]
    assert abs(behaviour.redeem_share.mean() - 0.4) < 0.03
    assert behaviour.redeem.is_uncertain
    assert 0.6 < behaviour.events["order.delivered"].mean.mean() < 1.4


def test_a_members_first_event_is_not_of_the_rate():
    """Half an event a month for a year: with the first of each, 0.6 would be found."""
    rng = np.random.default_rng(5)
    counts = rng.poisson(6.0, 800)
    history = [
        Event(f"e{member}-{k}", "order.delivered", f"m{member}", T0 + timedelta(days=float(day)))
        for member, count in enumerate(counts)
        for k, day in enumerate(np.sort(rng.random(count)) * 365.2425)
    ]
    history += [Event(f"j{member}", "joined", f"n{member}", T0) for member in range(100)]
    fitted = calibrate(history, Plan.load(PLAN), as_of=T0 + timedelta(days=365.2425))
    rates = fitted.spec.behaviours[""].events
    assert abs(rates["order.delivered"].mean.mean() - 0.5) < 0.03
    assert rates["joined"].mean.mean() == 0


@pytest.mark.parametrize(
    "history",
    [[], [Event("e1", "a", "m", T0)], ["purchase"], [Event(f"e{k}", "a", f"m{k}", T0) for k in range(50)]],
)
def test_what_teaches_nothing_is_refused(history):
    with pytest.raises(InvalidValue):
        calibrate(history, Plan.load(PLAN), as_of=T0 + timedelta(days=365))


def test_a_cut_outside_the_history_is_refused():
    events = [Event(f"e{k}", "a", f"m{k % 30}", T0 + timedelta(days=k)) for k in range(200)]
    for cut in (T0, T0 + timedelta(days=400)):
        with pytest.raises(InvalidValue):
            backtest(events, cut)
    with pytest.raises(NaiveTimeError):
        backtest(events, datetime(2027, 3, 1))
