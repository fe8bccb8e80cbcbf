"""Benefits: quotas by period, refusals with both numbers, vehicles and their resale."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from userops.core.calendar import zone
from userops.errors import InvalidValue, NaiveTimeError, QuotaExceeded
from userops.tiers import Benefit, Entitlements, Ladder, Tier

SHANGHAI = zone("Asia/Shanghai")
BENEFITS = (
    Benefit("pick-up", quota=2),
    Benefit("coffee", quota=3, per="month"),
    Benefit("lounge"),
    Benefit("welcome gift", quota=1, per="lifetime"),
    Benefit("charging", quota=4, per="year", shared_by="vehicle", on_resale="follow"),
    Benefit("roadside help", quota=1, per="tier_year", shared_by="vehicle"),
)
LADDER = Ladder(tiers=(Tier("gold", at_least=10, benefits=BENEFITS),), timezone="Asia/Shanghai")


def day(year, month, at_day, hour=0):
    return datetime(year, month, at_day, hour, tzinfo=SHANGHAI)


def rights(as_of, uses=(), **more):
    return Entitlements(LADDER.standing([(day(2028, 2, 29, 9), 10)], as_of), uses, **more)


def test_a_tier_year_runs_from_reaching_the_tier():
    uses = [("pick-up", day(2028, 3, 1)), ("pick-up", day(2029, 2, 28, 8))]
    now = rights(day(2029, 2, 28, 8), uses)
    assert (now.left("pick-up"), now.renews_at("pick-up")) == (0, day(2029, 2, 28, 9).astimezone(UTC))
    assert rights(day(2029, 2, 28, 9), uses).left("pick-up") == 2
    # The next turn is counted from the 29th again, not from the 28th.
    assert rights(day(2031, 6, 1)).renews_at("pick-up") == day(2032, 2, 29, 9).astimezone(UTC)


def test_a_month_turns_at_local_midnight():
    uses = [("coffee", day(2028, 3, 31, 23)), ("coffee", day(2028, 4, 1))]
    assert rights(day(2028, 3, 31, 23), uses).left("coffee") == 2
    assert rights(day(2028, 4, 2), uses).left("coffee") == 2
    assert rights(day(2028, 4, 2)).renews_at("coffee") == day(2028, 5, 1).astimezone(UTC)
    assert rights(day(2028, 4, 2)).left("coffee", at=day(2028, 5, 2)) == 3


@pytest.mark.parametrize(
    ("per", "renews"),
    [("day", day(2028, 3, 9)), ("week", day(2028, 3, 13)), ("year", day(2029, 1, 1)), ("lifetime", None)],
)
def test_other_periods(per, renews):
    ladder = Ladder(
        tiers=(Tier("a", at_least=0, benefits=(Benefit("x", quota=1, per=per),)),), timezone="Asia/Shanghai"
    )
    found = Entitlements(ladder.standing([], day(2028, 3, 8, 12))).renews_at("x")
    assert found == renews


def test_without_an_anchor_the_tier_year_is_the_calendar_year():
    ladder = Ladder(tiers=(Tier("a", at_least=0, benefits=(Benefit("x", quota=1),)),))
    found = Entitlements(ladder.standing([], datetime(2028, 3, 8, tzinfo=UTC)))
    assert found.renews_at("x") == datetime(2029, 1, 1, tzinfo=UTC)


def test_using_more_than_the_quota_is_refused_with_both_numbers():
    once = rights(day(2028, 3, 1)).use("pick-up", at=day(2028, 3, 2))
    assert once.left("pick-up", at=day(2028, 3, 3)) == 1
    with pytest.raises(QuotaExceeded, match="1 of 2 per tier_year are used, 2 more asked for") as caught:
        once.use("pick-up", at=day(2028, 3, 3), times=2)
    assert (caught.value.quota, caught.value.used, caught.value.asked) == (2, 1, 2)
    assert once.left("pick-up", at=day(2028, 3, 3)) == 1


def test_no_quota_is_no_limit():
    now = rights(day(2028, 3, 1))
    for _ in range(5):
        now = now.use("lounge", at=day(2028, 3, 1))
    assert (now.left("lounge"), now.renews_at("lounge")) == (None, None)


def test_vehicle_benefits_follow_or_end_at_the_resale():
    uses = [("charging", day(2028, 3, 5)), ("roadside help", day(2028, 3, 5))]
    sold = rights(day(2028, 6, 1), uses, sold_at=day(2028, 5, 1))
    assert sold.left("charging") == 3  # what the first owner used is used
    assert sold.left("roadside help", at=day(2029, 6, 1)) == 0
    assert sold.renews_at("roadside help") is None
    assert sold.left("coffee") == 3  # the member's own
    with pytest.raises(QuotaExceeded, match="ended when the vehicle was sold"):
        sold.use("roadside help", at=day(2029, 6, 1))
    assert sold.use("charging", at=day(2028, 6, 1)).left("charging") == 2


def test_unknown_benefits_and_meaningless_uses_are_refused():
    now = rights(day(2028, 3, 1))
    with pytest.raises(InvalidValue, match="did you mean 'coffee'"):
        now.left("cofee")
    with pytest.raises(InvalidValue, match="no tier has no benefit"):
        Entitlements(LADDER.standing([], day(2028, 3, 1))).left("coffee")
    with pytest.raises(NaiveTimeError):
        now.use("coffee", at=datetime(2028, 3, 1))
    for uses in ("coffee", [("coffee",)], [5], 5):
        with pytest.raises(InvalidValue):
            Entitlements(now.standing, uses)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Benefit("x", quota=-1),
        lambda: Benefit("x", quota=True),
        lambda: Benefit("x", per="fortnight"),
        lambda: Benefit("x", shared_by="dog"),
        lambda: Benefit("x", on_resale="explode"),
        lambda: Benefit("x", cost=1.5),
        lambda: Tier("a", at_least=0, benefits=(Benefit("x"), Benefit("x"))),
        lambda: Benefit("x", cost=Decimal(5)).yearly_cost(),
    ],
)
def test_benefits_without_meaning_are_refused(make):
    with pytest.raises(InvalidValue):
        make()


def test_a_years_cost():
    assert Benefit("x", quota=2, per="month", cost=Decimal("1.50")).yearly_cost() == 36
    assert Benefit("x", cost=Decimal(5), uses_per_year=Decimal("0.5")).yearly_cost() == Decimal("2.5")
    assert Benefit("x").yearly_cost() == 0
