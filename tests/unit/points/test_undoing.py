"""Reversals of spends, captures, earns and transfers; debts, repaid and given up."""

import pytest

from userops.errors import InsufficientPoints, OverReversed, UnknownEntry
from userops.points import Capture, Clawback, Exchange, Restore, Transfer, WriteOff


def test_an_undone_spend_restores_the_same_lots(books, day):
    books.earn(10, id="a", expires_at=20)
    books.earn(10, id="b", expires_at=30)
    books.spend(15, id="s1")
    receipt = books.undo("s1", 1)
    assert receipt.allocations == (("b", 5), ("a", 10))
    assert books.lots(1) == [("a", 10), ("b", 10)]
    assert [lot.expires_at for lot in books.ledger.lots("u1", day(1))] == [day(20), day(30)]
    assert books.row("sales", 1).redeemed == 0


def test_parts_come_back_last_consumed_first_up_to_the_whole(books):
    books.earn(10, id="a", expires_at=20)
    books.earn(10, id="b", expires_at=30)
    books.spend(15, id="s1")
    assert books.undo("s1", points=3).allocations == (("b", 3),)
    assert books.undo("s1", points=4).allocations == (("b", 2), ("a", 2))
    with pytest.raises(OverReversed) as caught:
        books.undo("s1", points=9)
    assert (caught.value.entry, caught.value.asked, caught.value.left) == ("s1", 9, 8)
    assert books.undo("s1").allocations == (("a", 8),)
    with pytest.raises(OverReversed) as caught:
        books.undo("s1")
    assert caught.value.left == 0


def test_lots_past_their_expiry_expire_at_once(books):
    books.earn(10, id="a", expires_at=5)
    books.spend(10, id="s1")
    receipt = books.undo("s1", 7)
    assert receipt.expired == (("a", 10),)
    assert books.has(7) == (0, 0, 0, 0)
    row = books.row("sales", 7)
    assert (row.redeemed, row.expired) == (0, 10)


def test_extended_gives_days_from_the_reversal_and_never_less_than_there_were(books, day):
    books.earn(10, id="a", expires_at=5, rule="r")
    books.earn(10, id="b", expires_at=90)
    books.spend(20, id="s1")
    receipt = books.undo("s1", 7, restore=Restore.EXTENDED(30))
    assert receipt.expired == ()
    lots = {lot.origin: lot for lot in books.ledger.lots("u1", day(7))}
    assert (lots["a"].points, lots["a"].expires_at, lots["a"].rule, lots["a"].fund) == (
        10,
        day(37),
        "r",
        "sales",
    )
    assert (lots["b"].id, lots["b"].expires_at) == ("b", day(90))
    assert books.row("sales", 7).issued == 20


def test_a_refund_takes_back_what_a_reversed_spend_gave_more_time(books):
    """Kept by the member otherwise: the points stand in a lot of another name by then."""
    books.earn(10, id="a", expires_at=5)
    books.earn(10, id="b", expires_at=90)
    books.spend(10, id="s1")
    books.undo("s1", 7, restore=Restore.EXTENDED(30))
    receipt = books.undo("a", 8)
    assert sum(points for _, points in receipt.allocations) == 10
    assert books.lots(8) == [("b", 10)]


def test_points_sent_around_are_still_the_earns_own(books, day):
    books.earn(10, id="a", expires_at=50)
    for place, (giver, taker) in enumerate((("u1", "u2"), ("u2", "u1"))):
        books.post(Transfer(id=f"t{place}", member=giver, to=taker, points=10, at=day(1)))
    books.undo("a", 2)
    assert books.has(2) == (0, 0, 0, 0)


def test_a_capture_is_undone_like_a_spend(books, day):
    books.earn(10, id="a")
    books.hold(8, id="h1")
    books.post(Capture(id="c1", hold="h1", points=5, sink="shop", at=day(1)))
    assert books.undo("c1", 2).allocations == (("a", 5),)
    with pytest.raises(UnknownEntry):
        books.undo("h1", 2)


def test_unspent_takes_what_is_left_of_the_lot(books):
    books.earn(10, id="a", expires_at=9)
    books.earn(10, id="b")
    books.spend(6)
    assert books.undo("a").allocations == (("a", 4),)
    assert books.has() == (10, 0, 0, 0)
    row = books.row("sales")
    assert (row.issued, row.redeemed, row.clawed_back, row.outstanding) == (20, 6, 4, 10)


def test_any_takes_the_lot_and_then_others_each_counted_in_its_own_fund(books):
    books.earn(10, id="a", expires_at=9)
    books.earn(3, id="b", fund="care")
    books.spend(6)
    assert books.undo("a", clawback=Clawback.ANY).allocations == (("a", 4), ("b", 3))
    assert books.has() == (0, 0, 0, 0)
    assert books.row("care").clawed_back == 3
    assert books.row("sales").clawed_back == 4


def test_what_any_could_not_take_can_be_asked_again(books):
    books.earn(10, id="a")
    books.spend(6)
    books.undo("a", clawback=Clawback.ANY)
    books.earn(5, id="b")
    assert books.undo("a", clawback=Clawback.ANY).allocations == (("b", 5),)
    with pytest.raises(OverReversed):
        books.undo("a", points=2)


def test_a_debt_is_booked_and_repaid_first_with_provenance(books):
    books.earn(10, id="a")
    books.spend(8)
    books.undo("a", 1, id="r1", clawback=Clawback.DEBT)
    assert books.has(1) == (0, 0, 0, 8)
    row = books.row("sales", 1)
    assert (row.issued, row.redeemed, row.clawed_back, row.debt) == (10, 8, 2, 8)
    receipt = books.earn(5, 2, id="b", fund="care")
    assert receipt.allocations == ()
    assert books.has(2) == (0, 0, 0, 3)
    assert books.row("care", 2).clawed_back == 5
    assert books.row("sales", 2).debt == 3
    books.earn(5, 3, id="c", fund="care")
    assert books.has(3) == (2, 0, 0, 0)
    (entry,) = books.ledger.entries("u1", kind="earn")[-1:]
    assert entry.debts == (("r1", "sales", -3),)


def test_the_oldest_debt_is_repaid_first(books):
    for place, fund in enumerate(("sales", "care")):
        books.earn(10, place, id=fund, fund=fund)
        books.spend(10, place)
    books.undo("care", 3, clawback=Clawback.DEBT)
    books.undo("sales", 2, clawback=Clawback.DEBT)
    books.earn(10, 4, fund="care")
    assert (books.row("sales", 4).debt, books.row("care", 4).debt) == (0, 10)


def test_a_debt_in_one_currency_is_not_repaid_from_another(books):
    books.earn(10, id="a")
    books.spend(10)
    books.undo("a", clawback=Clawback.DEBT)
    books.earn(7, currency="miles")
    assert (books.has(), books.has(currency="miles")) == ((0, 0, 0, 10), (7, 0, 0, 0))


def test_reject_takes_all_or_nothing(books):
    books.earn(10, id="a")
    books.earn(10, id="b")
    books.spend(6)
    with pytest.raises(InsufficientPoints) as caught:
        books.undo("a", clawback=Clawback.REJECT)
    assert (caught.value.asked, caught.value.available) == (10, 4)
    books.undo("a", points=4, clawback=Clawback.REJECT)
    assert books.has() == (10, 0, 0, 0)


def test_a_transfer_is_undone_while_its_lots_are_there(books, day):
    books.earn(10, id="a", expires_at=9)
    books.earn(10, id="b")
    books.post(Transfer(id="t1", member="u1", to="u2", points=15, at=day(1)))
    books.spend(12, 1, member="u2")
    with pytest.raises(InsufficientPoints) as caught:
        books.undo("t1", 1, points=4)
    assert caught.value.member == "u2"
    assert books.undo("t1", 1, points=3).allocations == (("b", 3),)
    assert (books.has(1), books.has(1, "u2")) == ((8, 0, 0, 0), (0, 0, 0, 0))


def test_an_exchange_is_not_undone(books, day):
    books.earn(10)
    books.post(Exchange(id="x1", member="u1", points=4, to_currency="miles", rate=1, fund="care", at=day(0)))
    with pytest.raises(UnknownEntry) as caught:
        books.undo("x1")
    assert caught.value.entry == "x1"


def test_a_debt_is_given_up(books, day):
    books.earn(10, id="a")
    books.spend(10)
    books.undo("a", 1, clawback=Clawback.DEBT)
    books.post(WriteOff(id="w1", member="u1", points=4, at=day(2)))
    assert books.has(2) == (0, 0, 0, 6)
    books.post(WriteOff(id="w2", member="u1", at=day(3)))
    row = books.row("sales", 3)
    assert (row.debt, row.written_off) == (0, 10)
    with pytest.raises(OverReversed):
        books.post(WriteOff(id="w3", member="u1", at=day(3)))
    with pytest.raises(OverReversed):
        books.post(WriteOff(id="w3", member="u1", at=day(0)))
