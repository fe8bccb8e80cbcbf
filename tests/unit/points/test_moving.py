"""Transfers and exchanges: what goes along, and what is refused."""

from decimal import Decimal
from fractions import Fraction

import pytest

from userops.errors import BudgetExceeded, InsufficientPoints, InvalidCommand, UnknownCurrency, UnknownFund
from userops.points import Exchange, Transfer


def exchange(day, **more):
    return Exchange(**{"id": "x1", "member": "u1", "points": 10, "to_currency": "miles", "rate": Fraction(1, 3), "fund": "care", "at": day(1), **more})  # fmt: skip


def test_a_transfer_moves_lots_with_fund_cost_expiry_and_origin(books, day):
    books.earn(10, id="a", expires_at=20, rule="r", fund="care")
    books.earn(10, id="b", expires_at=30)
    receipt = books.post(Transfer(id="t1", member="u1", to="u2", points=15, at=day(5)))
    assert receipt.allocations == (("a", 10), ("b", 5))
    first, second = books.ledger.lots("u2", day(5))
    assert (first.points, first.fund, first.unit_cost, first.expires_at) == (
        10,
        "care",
        Decimal("0.20"),
        day(20),
    )
    assert (first.origin, first.rule, first.earned_at) == ("a", "r", day(0))
    assert (second.points, second.fund, second.expires_at, second.origin) == (5, "sales", day(30), "b")


def test_points_sent_there_and_back_expire_when_they_always_did(books, day):
    books.earn(10, expires_at=20)
    books.post(Transfer(id="t1", member="u1", to="u2", points=10, at=day(1)))
    books.post(Transfer(id="t2", member="u2", to="u1", points=10, at=day(2)))
    (lot,) = books.ledger.lots("u1", day(2))
    assert (lot.points, lot.expires_at) == (10, day(20))
    assert books.row("sales", 2).issued == 10
    assert books.has(20) == (0, 0, 0, 0)


def test_to_oneself_is_malformed(day):
    with pytest.raises(InvalidCommand):
        Transfer(id="t1", member="u1", to="u1", points=1, at=day(0))


def test_an_exchange_rounds_the_exact_product_down_at_the_target_funds_cost(books, day):
    books.earn(10, id="a", expires_at=20)
    receipt = books.post(exchange(day))
    assert receipt.allocations == (("a", 10),)
    (lot,) = books.ledger.lots("u1", day(1), currency="miles")
    assert (lot.points, lot.fund, lot.unit_cost, lot.expires_at) == (3, "care", Decimal("0.20"), None)
    assert (books.row("sales", 1).redeemed, books.row("care", 1, "miles").issued) == (10, 3)
    assert books.ledger.trial_balance(day(1))["exchange", "points"] == 10


@pytest.mark.parametrize(
    ("points", "rate", "result"),
    [(3, Fraction(1, 3), 1), (2, Fraction(1, 3), 0), (10, Decimal("0.29"), 2), (7, Decimal("0.1"), 0), (2**62, Fraction(3, 2), 3 * 2**61)],
)  # fmt: skip
def test_products_are_exact(day, points, rate, result):
    if result:
        assert exchange(day, points=points, rate=rate).result == result
    else:
        with pytest.raises(InvalidCommand):
            exchange(day, points=points, rate=rate)


def test_an_exchange_is_an_issuance_of_its_fund(books, day):
    books.earn(1_000)
    with pytest.raises(BudgetExceeded):
        books.post(exchange(day, fund="promo", points=101, rate=1))
    books.post(exchange(day, fund="promo", points=100, rate=1))
    with pytest.raises(BudgetExceeded):  # before the balance is looked at
        books.post(exchange(day, id="x2", fund="promo", points=10**6, rate=1))
    with pytest.raises(InsufficientPoints):
        books.post(exchange(day, id="x2", points=10**6))
    with pytest.raises(UnknownCurrency):
        books.post(exchange(day, id="x2", to_currency="typo", fund="typo"))
    with pytest.raises(UnknownFund):
        books.post(exchange(day, id="x2", fund="typo"))


def test_an_exchange_is_an_entry_of_both_its_currencies(books, day):
    books.earn(10, id="e1")
    books.post(exchange(day, id="x"))
    found = {currency: [entry.id for entry in books.ledger.entries("u1", currency=currency)] for currency in ("points", "miles", "value")}  # fmt: skip
    assert found == {"points": ["e1", "x"], "miles": ["x"], "value": []}
