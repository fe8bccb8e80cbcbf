"""Granting and using points: lots, order, funds, budgets, pending points."""

from datetime import UTC, datetime, timedelta

import attrs
import pytest

from userops.errors import BudgetExceeded, InsufficientPoints, NotSpendable, UnknownCurrency, UnknownFund
from userops.points import Earn, Exchange, Hold, Spend, Transfer


def test_an_earn_makes_a_lot_with_its_fund_and_cost(books, day):
    books.earn(10_000, id="e1", rule="delivery", expires_at=30)
    (lot,) = books.ledger.lots("u1", day(0))
    assert (lot.id, lot.points, lot.original, lot.fund, str(lot.unit_cost)) == (
        "e1",
        10_000,
        10_000,
        "sales",
        "0.10",
    )
    assert (lot.earned_at, lot.available_at, lot.expires_at) == (day(0), day(0), day(30))
    assert (lot.rule, lot.origin) == ("delivery", "e1")


def test_points_are_spendable_from_their_first_instant_until_before_their_last(books, day):
    books.earn(10, available_at=day(2), expires_at=5)
    tick = timedelta(microseconds=1)
    at = books.ledger.balance
    assert attrs.astuple(at("u1", day(2) - tick)) == (0, 10, 0, 0)
    assert attrs.astuple(at("u1", day(2))) == (10, 0, 0, 0)
    assert attrs.astuple(at("u1", day(5) - tick)) == (10, 0, 0, 0)
    assert attrs.astuple(at("u1", day(5))) == (0, 0, 0, 0)
    assert attrs.astuple(at("u1", day(0) - tick)) == (0, 0, 0, 0)


def test_the_lot_that_expires_first_pays_first(books, day):
    books.earn(1, id="never")
    books.earn(1, id="late", expires_at=40)
    books.earn(1, id="soon", expires_at=20)
    books.earn(1, id="soon but waiting", expires_at=20, available_at=day(1))
    books.earn(1, id="soon too", expires_at=20)
    receipt = books.spend(5, 2)
    assert [lot for lot, _ in receipt.allocations] == [
        "soon",
        "soon too",
        "soon but waiting",
        "late",
        "never",
    ]


def test_a_spend_may_be_held_to_some_funds(books):
    books.earn(5, id="a", expires_at=9)
    books.earn(5, id="b", fund="care")
    assert books.spend(3, funds=["care"]).allocations == (("b", 3),)
    with pytest.raises(InsufficientPoints) as caught:
        books.spend(3, funds=["care"])
    assert (caught.value.asked, caught.value.available) == (3, 2)


def test_too_few_points_are_refused_with_what_there_is(books, day):
    books.earn(10)
    books.earn(4, available_at=day(9))
    books.hold(3)
    with pytest.raises(InsufficientPoints) as caught:
        books.spend(8)
    one = caught.value
    assert (one.member, one.asked, one.available, one.pending, one.held) == ("u1", 8, 7, 4, 3)


def test_a_budget_is_enforced_by_the_period_of_its_fund(books):
    # 31 January 16:00 in UTC is the first of February in Shanghai.
    january, february = datetime(2027, 1, 31, 15, 59, 59, tzinfo=UTC), datetime(2027, 1, 31, 16, tzinfo=UTC)
    books.post(Earn(id="e1", member="u1", points=70, fund="promo", at=january))
    with pytest.raises(BudgetExceeded) as caught:
        books.post(Earn(id="e2", member="u2", points=31, fund="promo", at=january))
    one = caught.value
    assert (one.fund, one.period, one.limit, one.left, one.asked) == ("promo", "2027-01", 100, 30, 31)
    books.post(Earn(id="e2", member="u2", points=30, fund="promo", at=january))
    books.post(Earn(id="e3", member="u2", points=100, fund="promo", at=february))


@pytest.mark.parametrize("policy", ["UNSPENT", "DEBT"])
def test_an_undone_earn_gives_back_to_the_budget_of_its_own_period(books, day, policy):
    from userops.points import Clawback

    books.earn(100, 0, id="e1", fund="promo")
    books.spend(60, 1)
    books.undo("e1", 40, clawback=Clawback[policy])
    left = 100 if policy == "DEBT" else 40
    with pytest.raises(BudgetExceeded) as caught:
        books.earn(left + 1, 2, fund="promo")
    assert (caught.value.left, caught.value.period) == (left, "2027-01")
    books.earn(left, 2, fund="promo")
    books.earn(100, 40, fund="promo")


def test_growth_value_is_earned_and_never_used(books, day):
    books.earn(50, currency="value", id="v1")
    shared = {"member": "u1", "points": 1, "at": day(0), "currency": "value"}
    for refused in (
        Spend(id="x", sink="shop", **shared),
        Hold(id="x", **shared),
        Transfer(id="x", to="u2", **shared),
        Exchange(id="x", to_currency="points", rate=1, fund="sales", **shared),
    ):
        with pytest.raises(NotSpendable) as caught:
            books.post(refused)
        assert caught.value.currency == "value"
    assert books.has(currency="value") == (50, 0, 0, 0)
    books.undo("v1", points=20)
    assert books.has(currency="value") == (30, 0, 0, 0)


def test_names_are_never_made_by_a_typo(books, day):
    with pytest.raises(UnknownFund) as caught:
        books.earn(1, fund="slaes")
    assert caught.value.fund == "slaes"
    with pytest.raises(UnknownCurrency) as caught:
        books.earn(1, currency="pionts")
    assert caught.value.currency == "pionts"
    with pytest.raises(UnknownFund):
        books.spend(1, funds=["slaes"])
    with pytest.raises(UnknownCurrency):
        books.ledger.balance("u1", day(0), currency="pionts")
    assert set(books.ledger.funds) == {"sales", "care", "promo"}


def test_a_fund_spent_transferred_and_expired_is_followed_lot_by_lot(books, day):
    books.earn(100, id="e1", expires_at=10)
    books.earn(50, id="e2", fund="care", expires_at=20)
    books.spend(30, 1)
    books.post(Transfer(id="t1", member="u1", to="u2", points=90, at=day(2)))
    row = books.row("sales", 5)
    assert (row.issued, row.redeemed, row.expired, row.clawed_back, row.outstanding) == (100, 30, 0, 0, 70)
    row = books.row("sales", 10)
    assert (row.redeemed, row.expired, row.outstanding) == (30, 70, 0)
    row = books.row("care", 10)
    assert (row.issued, row.redeemed, row.outstanding) == (50, 0, 50)
    assert books.has(10, "u2") == (20, 0, 0, 0)
