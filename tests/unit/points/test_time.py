"""Time: expiry written or not, back-dated commands, extensions, and readings by when it happened and was known."""

from datetime import timedelta

import pytest

from userops.errors import InsufficientPoints, NotSettled, UnknownEntry, UnknownHold
from userops.points import Capture, Expire, Extend, Note, Reverse, Transfer


def test_expiries_are_written_each_at_its_own_instant_once(books, day):
    books.earn(10, id="a", expires_at=5)
    books.earn(10, id="b", expires_at=7, member="u2")
    receipt = books.post(Expire(at=day(9)))
    assert set(receipt.expired) == {("a", 10), ("b", 10)}
    assert [(e.at, e.members) for e in books.ledger.entries(kind="expire")] == [
        (day(5), ("u1",)),
        (day(7), ("u2",)),
    ]
    assert books.post(Expire(at=day(9))).replayed
    again = books.post(Expire(id="again", at=day(9)))
    assert (again.expired, again.replayed) == ((), False)


def test_one_members_expiries(books, day):
    books.earn(10, expires_at=5)
    books.earn(10, expires_at=5, member="u2")
    books.post(Expire(member="u1", at=day(9)))
    assert len(books.ledger.entries(kind="expire")) == 1


@pytest.mark.parametrize("is_swept", [True, False])
def test_no_reading_depends_on_whether_expiry_was_written(books, day, is_swept):
    books.earn(10, id="a", expires_at=5)
    books.spend(3, 1)
    if is_swept:
        books.post(Expire(at=day(9)))
    assert [books.has(n)[0] for n in (0, 1, 4, 5, 9)] == [10, 7, 7, 0, 0]
    row = books.row("sales", 6)
    assert (row.redeemed, row.expired, row.outstanding) == (3, 7, 0)
    statement = books.ledger.statement("u1", day(0), day(10))
    assert [(line.kind, line.points) for line in statement.lines] == [
        ("earn", 10),
        ("spend", -3),
        ("expire", -7),
    ]
    assert books.ledger.trial_balance(day(6))["expired", "points"] == 7


@pytest.mark.parametrize("is_swept", [True, False])
def test_a_back_dated_command_takes_points_back_from_expired(books, day, is_swept):
    books.earn(10, id="a", expires_at=5)
    if is_swept:
        books.post(Expire(at=day(9)))
    assert books.spend(4, 3).allocations == (("a", 4),)
    books.hold(3, 4, id="h1")
    assert books.has(9) == (0, 0, 3, 0)
    assert books.lots(9) == [("a", 3)]
    books.post(Capture(id="c1", hold="h1", sink="shop", at=day(9)))
    row = books.row("sales", 9)
    assert (row.redeemed, row.expired) == (7, 3)


@pytest.mark.parametrize("is_swept", [False, True])
@pytest.mark.parametrize("is_captured", [False, True])
def test_a_refused_back_dated_command_tells_what_was_held_then(books, day, is_swept, is_captured):
    books.earn(10)
    books.hold(3, on=2, id="h", expires_at=6)
    if is_captured:
        books.post(Capture(id="c", hold="h", sink="shop", at=day(5)))
    books.earn(1, on=9)
    if is_swept:
        books.post(Expire(at=day(9)))
    with pytest.raises(InsufficientPoints) as refused:
        books.spend(8, on=4)
    assert (refused.value.available, refused.value.pending, refused.value.held) == (7, 0, 3)


def test_a_back_dated_command_needs_lots_that_were_there_and_still_are(books):
    books.earn(10, 5, id="a")
    with pytest.raises(InsufficientPoints):
        books.spend(1, 4)
    books.spend(10, 8, id="s1")
    with pytest.raises(InsufficientPoints):
        books.spend(1, 6)
    books.undo("s1", 9, points=4)
    with pytest.raises(InsufficientPoints):  # they were not the member's all the time since
        books.spend(1, 6)
    books.spend(4, 9)


def test_recorded_allocations_are_never_rewritten(books, day):
    books.earn(10, 0, id="a", expires_at=50)
    books.spend(4, 5, id="s1")
    books.earn(10, 1, id="b", expires_at=20)
    (entry,) = books.ledger.entries("u1", kind="spend")
    assert entry.allocations == (("a", 4),)
    assert books.spend(12, 3).allocations == (("b", 10), ("a", 2))


def test_what_came_later_is_not_known_earlier(books, day):
    books.earn(10, 5, id="a")
    books.hold(2, 6, id="h1")
    with pytest.raises(UnknownEntry):
        books.undo("a", 4)
    with pytest.raises(UnknownHold):
        books.post(Capture(id="c1", hold="h1", sink="shop", at=day(5)))


def test_a_back_dated_earn_does_not_repay_a_later_debt(books, day):
    from userops.points import Clawback

    books.earn(10, 1, id="a")
    books.spend(10, 2)
    books.undo("a", 5, clawback=Clawback.DEBT)
    books.earn(4, 3, id="b")
    assert books.has(5) == (4, 0, 0, 10)
    assert books.has(4) == (4, 0, 0, 0)


def test_extend_moves_living_lots_later_never_earlier(books, day):
    books.earn(1, id="dead", expires_at=2, rule="r")
    books.earn(1, id="soon", expires_at=6, rule="r")
    books.earn(1, id="late", expires_at=90, rule="r")
    books.earn(1, id="other", expires_at=6, rule="q")
    books.earn(1, id="never")
    books.post(Extend(id="x1", member="u1", expires_at=day(30), rule="r", at=day(3)))
    ends = {lot.id: lot.expires_at for lot in books.ledger.lots("u1", day(4))}
    assert ends == {"soon": day(30), "late": day(90), "other": day(6), "never": None}
    assert {lot.id: lot.expires_at for lot in books.ledger.lots("u1", day(2))}["soon"] == day(6)
    books.post(Extend(id="x2", member="u1", expires_at=day(20), at=day(4)))
    assert [lot.expires_at for lot in books.ledger.lots("u1", day(4))] == [day(20), day(30), day(90), None]


@pytest.mark.parametrize("is_swept", [True, False])
def test_a_back_dated_extension_revives_what_had_expired_since(books, day, is_swept):
    books.earn(10, id="a", expires_at=5)
    if is_swept:
        books.post(Expire(at=day(9)))
    books.post(Extend(id="x1", member="u1", expires_at=day(30), at=day(4)))
    assert books.has(9) == (10, 0, 0, 0)
    assert books.ledger.statement("u1", day(0), day(20)).closing == 10


def test_a_back_dated_extension_leaves_lots_alone_that_came_later(books, day):
    books.earn(10, 0, id="a", expires_at=20)
    books.earn(10, 5, id="b", expires_at=20)
    books.earn(10, 0, id="c", member="u2", expires_at=20)
    books.post(Transfer(id="t1", member="u2", to="u1", points=10, at=day(6)))
    books.post(Extend(id="x1", member="u1", expires_at=day(40), at=day(4)))
    assert [(lot.origin, lot.expires_at) for lot in books.ledger.lots("u1", day(7))] == [
        ("c", day(20)), ("b", day(20)), ("a", day(40)),
    ]  # fmt: skip
    assert books.ledger.audit() == ()


def test_statements_agree_with_balances_when_extensions_came_out_of_order(books, day):
    books.earn(10, id="a", expires_at=7)
    books.post(Extend(id="x1", member="u1", expires_at=day(20), at=day(8)))
    books.post(Extend(id="x2", member="u1", expires_at=day(10), at=day(3)))
    for start in range(0, 25, 3):
        for end in range(start, 25, 4):
            one = books.ledger.statement("u1", day(start), day(end))
            assert one.opening + sum(line.points for line in one.lines) == one.closing
            assert one.closing == books.ledger.balance("u1", day(end) - timedelta(microseconds=1)).available


def test_as_of_is_when_it_happened_and_known_at_when_it_was_recorded(books, day):
    first = books.earn(10, 1, id="a").sequence
    second = books.spend(4, 5).sequence
    third = books.earn(7, 2, id="b").sequence  # told late
    at = books.ledger.balance
    assert [at("u1", day(3), known_at=n).available for n in (0, first, second, third)] == [0, 10, 10, 17]
    assert [at("u1", day(6), known_at=n).available for n in (0, first, second, third)] == [0, 10, 6, 13]
    assert [at("u1", day(n)).available for n in (0, 1, 2, 5)] == [0, 10, 17, 13]
    assert [row.issued for row in books.ledger.funding(day(9), known_at=second)] == [10]
    assert books.ledger.trial_balance(day(9), known_at=first) == {
        ("fund:sales", "points"): -10, ("wallet:u1", "points"): 10,
    }  # fmt: skip


def test_readings_over_all_wallets_end_where_nothing_is_in_flight(books, day):
    assert books.ledger.settled == 0
    books.earn(10)
    assert books.ledger.settled == 1
    for read in (books.ledger.funding, books.ledger.trial_balance):
        read(day(1), known_at=1)
        with pytest.raises(NotSettled):
            read(day(1), known_at=2)


def test_a_statement_closes_with_its_opening_and_lines(books, day):
    books.earn(10, 1, id="a", expires_at=8, reason="welcome")
    books.spend(3, 4, id="s1")
    books.post(Note(id="n1", member="u1", kind="seen", at=day(5)))
    books.post(Reverse(id="r1", entry="s1", points=1, at=day(6)))
    one = books.ledger.statement("u1", day(2), day(9))
    assert (one.opening, one.closing) == (10, 0)
    assert [(line.kind, line.points, line.entry) for line in one.lines] == [
        ("spend", -3, "s1"), ("reverse", 1, "r1"), ("expire", -8, ""),
    ]  # fmt: skip
    assert books.ledger.statement("u1", day(0), day(2)).lines[0].reason == "welcome"
    empty = books.ledger.statement("nobody", day(0), day(2))
    assert (empty.opening, empty.lines, empty.closing) == (0, (), 0)
