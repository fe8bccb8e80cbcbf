"""Tiers in a forecast: members by tier, and the chain from value to tier to multiplier to points."""

import numpy as np
import pytest
from plans import OWNER_CLUB, PLAN

from userops.errors import InvalidValue
from userops.simulation import Plan

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
    text = PLAN.replace(
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
        PLAN.replace("members = 5_000", "members = 60").replace("joins_per_month = 50", "joins_per_month = 0")
    )
    assert (
        forecast.total("asked", "sales").sum()
        > plain.simulate(seed=1, replications=2, sample=None).total("asked", "sales").sum()
    )
    assert flat.program.ladder is not None
    with pytest.raises(InvalidValue):
        plain.simulate(seed=1, replications=1, sample=10).members_by_tier()


def test_the_owner_club_runs_through_the_whole_chain():
    """Events give value, value a tier, the tier multiplies what a friend who joins earns, and friends are members."""
    plan = Plan.load(OWNER_CLUB).with_(**{"horizon.months": 12})
    assert plan.spec.sides is not None  # tiers are found at once
    forecast = plan.simulate(seed=7, replications=3, sample=300)
    tiers = forecast.members_by_tier()
    assert np.allclose(sum(tiers.values()), sum(forecast.members().values()))
    assert tiers["gold"][11] > tiers["gold"][2]
    assert "growth" not in str(forecast.rule_table()) + str(forecast.budget_table())
    assert forecast.tier_table().to_columns()["gold"][-1] == round(float(tiers["gold"][11]))
    columns = forecast.to_columns(by="tier")
    assert columns["tier"].tolist() == [name for name in ("", "member", "gold", "ep") for _ in range(12)]
    # A link taken out of the chain shows in what friends who join are worth.
    flat = plan.with_(**{f"earn.growth-{name}.points": 1 for name in ("delivery", "renewal", "friend")})
    less = flat.simulate(seed=7, replications=3, sample=300)
    assert less.by_rule("issued")["friend-joined"].sum() < forecast.by_rule("issued")["friend-joined"].sum()
    assert np.array_equal(
        less.data["issued"][..., 0], forecast.data["issued"][..., 0]
    )  # deliveries are as they were
    none = plan.with_(**{"behaviour.owner.referrals.per_month": 0}).simulate(
        seed=7, replications=3, sample=300
    )
    assert none.by_rule("issued")["friend-joined"].sum() == 0
    assert sum(none.members().values())[-1] < sum(forecast.members().values())[-1]
