"""Referral's share of sales with its interval and bounds, and the cost of an additional sale."""

from decimal import Decimal
from fractions import Fraction

import pytest
from scipy import stats

from userops.errors import InvalidValue
from userops.referrals import cost_per_incremental, referral_share


def test_the_share_is_among_known_sources():
    share = referral_share(referred=50, buyers=120, unknown=20)
    assert share.value == 0.5
    peer = stats.binomtest(50, 100).proportion_ci(method="wilson")
    assert share.interval == pytest.approx((peer.low, peer.high), rel=1e-12)
    assert share.bounds == (50 / 120, 70 / 120)
    assert "50.0% of 100 buyers of known source" in str(share)


def test_shares_by_month():
    months = referral_share(
        referred={"2027-02": 3, "2027-01": 2}, buyers={"2027-02": 10, "2027-01": 9}, unknown={"2027-01": 1}
    )
    assert {month: share.value for month, share in months.items()} == {"2027-01": 0.25, "2027-02": 0.3}
    with pytest.raises(InvalidValue, match="2027-03"):
        referral_share(referred={"2027-03": 1}, buyers={"2027-02": 10})
    with pytest.raises(InvalidValue):
        referral_share(referred=3, buyers={"2027-02": 10})


@pytest.mark.parametrize(
    "bad",
    [
        (0, 0, 0),
        (0, 5, 5),
        (6, 5, 0),
        (4, 5, 2),
        (-1, 5, 0),
        (1.0, 5, 0),
        (1, 5, -1),
        (True, 5, 0),
        (1, 4, 5),
    ],
)
def test_no_share_without_known_buyers(bad):
    referred, buyers, unknown = bad
    with pytest.raises(InvalidValue):
        referral_share(referred=referred, buyers=buyers, unknown=unknown)


def test_an_additional_sale_costs_what_was_spent_on_those_who_would_not_have_come():
    found = cost_per_incremental(
        points=1_000_000, unit_cost=Decimal("0.1"), other_cost=20_000, referred=100, anyway=Fraction(1, 4),
        advertising_cost=450_000, advertised=150,
    )  # fmt: skip
    assert (found.cost, found.advertising, found.ratio, found.is_cheaper) == (
        1_600,
        3_000,
        Fraction(8, 15),
        True,
    )
    assert "75.0 sales would not have come" in str(found)


def test_costs_are_exact_and_defined():
    usual = {"points": 1, "unit_cost": 1, "referred": 1, "anyway": 0, "advertising_cost": 1, "advertised": 1}
    for bad in ({"anyway": 1}, {"anyway": 0.5}, {"anyway": 2}, {"unit_cost": 0.1}, {"unit_cost": -1},
                {"advertised": 0}, {"referred": 0}, {"points": -1}, {"advertising_cost": Decimal("nan")}):  # fmt: skip
        with pytest.raises(InvalidValue):
            cost_per_incremental(**{**usual, **bad})
    with pytest.raises(InvalidValue, match="no ratio"):
        _ = cost_per_incremental(**{**usual, "advertising_cost": 0}).ratio
