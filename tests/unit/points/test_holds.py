"""Two-phase spends: a hold reserves; a capture uses all or part; a release gives back; a lapsed hold is resolved."""

import pytest

from userops.errors import AlreadyResolved, InsufficientPoints, OverCaptured, UnknownHold
from userops.points import Capture, Expire, Release


def test_a_held_point_cannot_be_spent(books):
    books.earn(10)
    books.hold(6)
    assert books.has() == (4, 0, 6, 0)
    with pytest.raises(InsufficientPoints):
        books.spend(5)


def test_a_held_point_does_not_expire_while_the_hold_lives(books, day):
    books.earn(10, id="e1", expires_at=5)
    books.hold(6, id="h1")
    books.post(Expire(at=day(9)))
    assert books.has(9) == (0, 0, 6, 0)
    assert books.lots(9) == [("e1", 6)]
    assert books.post(Capture(id="c1", hold="h1", sink="shop", at=day(9))).allocations == (("e1", 6),)
    assert books.row("sales", 9).redeemed == 6


def test_a_capture_of_a_part_releases_the_rest(books, day):
    books.earn(10, id="e1")
    books.earn(10, id="e2")
    books.hold(15, id="h1")
    receipt = books.post(Capture(id="c1", hold="h1", points=12, sink="shop", at=day(1)))
    assert receipt.allocations == (("e1", 10), ("e2", 2))
    assert receipt.expired == ()
    assert books.has(1) == (8, 0, 0, 0)


def test_what_a_part_capture_frees_of_an_expired_lot_expires_at_once(books, day):
    books.earn(10, id="e1", expires_at=5)
    books.hold(10, id="h1")
    receipt = books.post(Capture(id="c1", hold="h1", points=4, sink="shop", at=day(7)))
    assert receipt.expired == (("e1", 6),)
    assert books.has(7) == (0, 0, 0, 0)


@pytest.mark.parametrize("is_swept", [True, False])
def test_a_release_gives_back_and_says_what_expired(books, day, is_swept):
    books.earn(5, id="e1", expires_at=5)
    books.earn(5, id="e2", expires_at=50)
    books.hold(8, id="h1")
    if is_swept:
        books.post(Expire(at=day(6)))
    receipt = books.post(Release(id="l1", hold="h1", at=day(7)))
    assert receipt.allocations == (("e1", 5), ("e2", 3))
    assert receipt.expired == (("e1", 5),)
    assert books.has(7) == (5, 0, 0, 0)


def test_a_hold_past_its_own_expiry_gives_its_points_back(books, day):
    books.earn(10, id="e1")
    books.hold(6, id="h1", expires_at=3)
    assert books.has(2) == (4, 0, 6, 0)
    assert books.has(3) == (10, 0, 0, 0)
    for late in (Capture(id="x", hold="h1", sink="shop", at=day(3)), Release(id="x", hold="h1", at=day(3))):
        with pytest.raises(AlreadyResolved) as caught:
            books.post(late)
        assert caught.value.hold == "h1"
    assert books.spend(10, 3).allocations == (("e1", 10),)


def test_points_of_a_lapsed_hold_expire_with_it_when_their_lot_is_past(books, day):
    books.earn(10, id="e1", expires_at=5)
    books.hold(6, id="h1", expires_at=8)
    assert [books.has(n)[2] for n in (4, 5, 7, 8)] == [6, 6, 6, 0]
    lines = books.ledger.statement("u1", day(0), day(20)).lines
    assert [(line.kind, line.at, line.points) for line in lines] == [
        ("earn", day(0), 10), ("expire", day(5), -4), ("expire", day(8), -6),
    ]  # fmt: skip


def test_a_hold_is_resolved_once_and_never_beyond_what_it_holds(books, day):
    books.earn(10)
    books.hold(6, id="h1")
    with pytest.raises(OverCaptured) as caught:
        books.post(Capture(id="c1", hold="h1", points=7, sink="shop", at=day(1)))
    assert (caught.value.hold, caught.value.asked, caught.value.held) == ("h1", 7, 6)
    books.post(Capture(id="c1", hold="h1", points=2, sink="shop", at=day(1)))
    with pytest.raises(AlreadyResolved):
        books.post(Capture(id="c2", hold="h1", points=99, sink="shop", at=day(1)))
    with pytest.raises(AlreadyResolved):
        books.post(Release(id="l1", hold="h1", at=day(1)))
    with pytest.raises(UnknownHold) as caught:
        books.post(Release(id="l1", hold="h9", at=day(1)))
    assert caught.value.hold == "h9"


def test_a_sweep_ahead_of_time_does_not_let_go_of_a_living_hold(books, day):
    books.earn(10)
    books.hold(6, 1, id="h1", expires_at=10)
    books.post(Expire(at=day(20)))
    assert books.has(5) == (4, 0, 6, 0)
    with pytest.raises(InsufficientPoints):
        books.spend(5, 5)
    assert books.post(Capture(id="c1", hold="h1", sink="shop", at=day(6))).allocations[0][1] == 6
