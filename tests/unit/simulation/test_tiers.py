"""Tiers in a forecast: members by tier, and the chain from value to tier to multiplier to points."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from userops.errors import InvalidValue
from userops.simulation import Plan

spec = importlib.util.spec_from_file_location("plans", Path(__file__).with_name("plans.py"))
plans = importlib.util.module_from_spec(spec)
spec.loader.exec_module(plans)
TIERS = """
[program.currencies.value]
spendable = false
[program.tiers]
currency = "value"
window = "lifetime"
tier = [{ name = "member", at_least = 0 }, { name = "gold", at_least = 3 }]
[[program.earn]]
name = "value"
on = "app.checkin"
points = 1
currency = "value"
cap = [{ times = 1, per = "day" }]
"""


def test_members_climb_and_earn_more():
    text = plans.PLAN.replace(
        'cap = [{ times = 1, per = "reference" }]',
        'cap = [{ times = 1, per = "reference" }]\nmultiply_by_tier = { gold = "2" }',
    )
    text = text.replace("[horizon]", f"{TIERS}[horizon]").replace("members = 5_000", "members = 60")
    plan = Plan.load(text.replace("joins_per_month = 50", "joins_per_month = 0"))
    forecast = plan.simulate(seed=1, replications=2, sample=None)
    found = forecast.members_by_tier()
    assert set(found) == {None, "member", "gold"}
    assert np.allclose(sum(found.values()), sum(forecast.members().values()))
    assert (np.diff(found["gold"] / sum(found.values())) > -0.2).all()
    assert found["gold"][-1] > found["gold"][0]
    flat = plan.with_(**{"earn.delivery.points": 1_000})
    assert forecast.total("issued", "sales").mean() > 0
    plain = Plan.load(
        plans.PLAN.replace("members = 5_000", "members = 60").replace(
            "joins_per_month = 50", "joins_per_month = 0"
        )
    )
    assert (
        forecast.total("asked", "sales").sum()
        > plain.simulate(seed=1, replications=2, sample=None).total("asked", "sales").sum()
    )
    assert flat.program.ladder is not None
    with pytest.raises(InvalidValue):
        plain.simulate(seed=1, replications=1, sample=10).members_by_tier()
