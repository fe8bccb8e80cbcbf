"""The ledger as a whole: batches, quotes, precedence, evidence, erasure, closing."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from userops.errors import (
    BudgetExceeded,
    HoldOpen,
    IdConflict,
    InsufficientPoints,
    InvalidCommand,
    InvalidValue,
    LedgerClosed,
    NaiveTimeError,
    NotPosted,
    NotSpendable,
    Rejected,
    UnknownCurrency,
    UnknownEntry,
    UnknownFund,
    UseropsError,
)  # fmt: skip
from userops.points import (
    Balance,
    Budget,
    Capture,
    Currency,
    Earn,
    Exchange,
    Expire,
    Fund,
    Ledger,
    Note,
    Release,
    Reverse,
    Spend,
    Transfer,
)  # fmt: skip


def test_points_are_there_from_the_start(books):
    assert Ledger.in_memory().currencies == {"points": Currency("points")}


def test_declarations_may_be_repeated_but_not_changed(books):
    books.ledger.add_fund(Fund("sales", unit_cost=Decimal("0.1")))
    for other in (Fund("sales"), Fund("sales", unit_cost=Decimal("0.1"), budget=Budget(5))):
        with pytest.raises(InvalidValue):
            books.ledger.add_fund(other)
    with pytest.raises(InvalidValue):
        books.ledger.add_currency(Currency("points", spendable=False))


def test_rejections_come_in_their_order_of_precedence(books, day):
    """Each command has this fault and all the later ones; the earliest is told."""
    books.earn(100, id="taken", fund="promo")
    books.earn(1)
    far = {"member": "u1", "points": 10**6, "at": day(0)}
    with pytest.raises(InvalidCommand):
        Exchange(id="taken", to_currency="typo", rate=0, fund="typo", currency="value", **far)
    with pytest.raises(NaiveTimeError):
        Spend(id="taken", member="u1", points=10**6, sink="s", currency="typo", at=datetime(2027, 1, 1))
    with pytest.raises(IdConflict):
        books.post(Exchange(id="taken", to_currency="typo", rate=1, fund="typo", currency="value", **far))
    with pytest.raises(UnknownCurrency):
        books.post(Exchange(id="x", to_currency="typo", rate=1, fund="promo", currency="value", **far))
    with pytest.raises(UnknownFund):
        books.post(Exchange(id="x", to_currency="miles", rate=1, fund="typo", currency="value", **far))
    with pytest.raises(NotSpendable):
        books.post(Exchange(id="x", to_currency="miles", rate=1, fund="promo", currency="value", **far))
    with pytest.raises(BudgetExceeded):
        books.post(Exchange(id="x", to_currency="miles", rate=1, fund="promo", **far))
    with pytest.raises(InsufficientPoints):
        books.post(Exchange(id="x", to_currency="miles", rate=1, fund="care", **far))
    with pytest.raises(UnknownEntry):
        books.post(Reverse(id="x", entry="typo", points=10**6, at=day(0)))
    with pytest.raises(UnknownCurrency):
        books.post(Reverse(id="x", entry="taken", currency="typo", at=day(0)))


def test_every_rejection_leaves_the_head_as_it_was_and_carries_its_fields(books, day):
    books.earn(10, id="e1")
    head = books.ledger.head
    for command in (
        Spend(id="x", member="u1", points=11, sink="shop", at=day(0)),
        Earn(id="e1", member="u1", points=11, fund="sales", at=day(0)),
        Earn(id="x", member="u1", points=101, fund="promo", at=day(0)),
        Release(id="x", hold="h9", at=day(0)),
        Reverse(id="x", entry="e1", points=11, at=day(0)),
    ):
        with pytest.raises(Rejected) as caught:
            books.post(command)
        assert caught.value.fields
        assert all(getattr(caught.value, name) == value for name, value in caught.value.fields.items())
        assert isinstance(caught.value, UseropsError)
    assert books.ledger.head == head


def test_a_quote_says_what_posting_would_give_and_posts_nothing(books, day):
    books.earn(10, id="e1")
    head = books.ledger.head
    command = Spend(id="s1", member="u1", points=4, sink="shop", at=day(0))
    quote = books.ledger.quote(command)
    assert (quote.allocations, books.ledger.head) == ((("e1", 4),), head)
    assert books.post(command) == quote
    with pytest.raises(InsufficientPoints):
        books.ledger.quote(Spend(id="s2", member="u1", points=40, sink="shop", at=day(0)))


def batch(day):
    return [
        Earn(id="e1", member="u1", points=10, fund="sales", at=day(0)),
        Spend(id="s1", member="u1", points=4, sink="shop", at=day(0)),  # sees the earn before it
        Spend(id="s2", member="u1", points=7, sink="shop", at=day(0)),
        Earn(id="e1", member="u1", points=10, fund="sales", at=day(0)),
    ]


def test_an_atomic_batch_is_posted_whole_or_not_at_all(books, day):
    head = books.ledger.head
    outcomes = books.ledger.post_all(batch(day))
    assert [type(one) for one in outcomes] == [NotPosted, NotPosted, InsufficientPoints, NotPosted]
    assert outcomes[0].because == "s2"
    assert books.ledger.head == head
    outcomes = books.ledger.post_all([*batch(day)[:2], batch(day)[3]])
    assert [one.replayed for one in outcomes] == [False, False, True]
    assert books.has() == (6, 0, 0, 0)


def test_in_a_refused_batch_only_what_was_posted_before_is_a_receipt(books, day):
    books.post(batch(day)[0])
    outcomes = books.ledger.post_all(batch(day))
    assert [type(one).__name__ for one in outcomes] == [
        "Receipt",
        "NotPosted",
        "InsufficientPoints",
        "Receipt",
    ]


def test_a_batch_that_is_not_atomic_posts_what_it_can(books, day):
    outcomes = books.ledger.post_all(batch(day), atomic=False)
    assert [isinstance(one, Rejected) for one in outcomes] == [False, False, True, False]
    assert books.has() == (6, 0, 0, 0)


def test_malformed_commands_in_a_batch_are_outcomes(books, day):
    (one,) = books.ledger.post_all(["nonsense"])
    assert isinstance(one, InvalidCommand)


def test_sequences_count_entries(books):
    assert [books.earn(1).sequence, books.spend(1).sequence, books.earn(1).sequence] == [1, 2, 3]


def test_the_legs_of_an_entry_sum_to_zero_and_are_explained(books, day):
    books.earn(10, id="e1", reason="delivery")
    books.spend(4, id="s1")
    books.post(Exchange(id="x1", member="u1", points=5, to_currency="miles", rate=2, fund="care", at=day(0)))
    for entry in books.ledger.entries():
        for currency in {leg.currency for leg in entry.legs}:
            assert sum(leg.points for leg in entry.legs if leg.currency == currency) == 0
    assert "-4 points on wallet:u1 (lot e1)" in str(books.ledger.explain("s1"))
    assert "+4 points on sink:shop" in str(books.ledger.explain("s1"))
    assert "delivery" in str(books.ledger.explain("e1"))
    with pytest.raises(UnknownEntry):
        books.ledger.explain("typo")


def test_entries_are_found_by_what_they_are_about(books, day):
    books.earn(1, 1, id="a", rule="r", event="v", reference="o1")
    books.earn(1, 2, id="b", rule="q", reference="o1", member="u2")
    books.spend(1, 3, id="c", reference="o2")

    def ids(*member, **chosen):
        return [entry.id for entry in books.ledger.entries(*member, **chosen)]

    assert ids() == ["a", "b", "c"]
    assert ids("u1") == ["a", "c"]
    assert ids(kind="earn") == ["a", "b"]
    assert (ids(rule="r"), ids(event="v"), ids(reference="o1")) == (["a"], ["a"], ["a", "b"])
    assert ids(start=day(2), end=day(3)) == ["b"]
    assert (ids(as_of=day(2)), ids(known_at=1)) == (["a", "b"], ["a"])


def test_heads_do_not_depend_on_the_order_between_members(day):
    heads = []
    for members in (("u1", "u2"), ("u2", "u1")):
        ledger = Ledger.in_memory(salt=b"pepper")
        ledger.add_fund(Fund("sales"))
        for member in members:
            ledger.post(Earn(id=f"e-{member}", member=member, points=1, fund="sales", at=day(0)))
        heads.append(ledger.head)
    assert heads[0] == heads[1]
    other = Ledger.in_memory(salt=b"salt")
    other.add_fund(Fund("sales"))
    for member in ("u1", "u2"):
        other.post(Earn(id=f"e-{member}", member=member, points=1, fund="sales", at=day(0)))
    assert other.head != heads[0]


def test_a_kept_head_is_proven_later(books, day):
    books.earn(10)
    kept = (books.ledger.head, books.ledger.settled)
    books.earn(10, member="u2")
    books.ledger.add_fund(Fund("more"))
    assert books.ledger.audit(head=kept[0], known_at=kept[1]) == ()
    assert [one.kind for one in books.ledger.audit(head="0" * 64, known_at=kept[1])] == ["head"]
    assert [one.kind for one in books.ledger.audit(head=kept[0], known_at=99)] == ["truncated"]


def test_erasure_leaves_no_id_behind_and_stays_provable(books, day):
    books.earn(10, id="e1", member="secret", expires_at=9)
    books.post(Transfer(id="t1", member="secret", to="u2", points=3, at=day(1)))
    books.post(Expire(member="secret", at=day(1)))
    kept = (books.ledger.head, books.ledger.settled)
    name = books.ledger.erase("secret")
    assert "secret" not in repr(books.ledger.entries())
    assert "secret" not in repr(vars(books.ledger._store))
    assert books.ledger.audit(head=kept[0], known_at=kept[1]) == ()
    assert books.ledger.balance("secret", day(1)) == Balance(0, 0, 0, 0)
    assert books.has(1, name) == (7, 0, 0, 0)
    assert books.has(9, name) == (0, 0, 0, 0)


def test_after_an_erasure_old_commands_are_recognised_and_the_id_is_new(books, day):
    grant = Earn(id="e1", member="u7", points=10, fund="sales", at=day(0))
    gift = Transfer(id="t1", member="u8", to="u7", points=2, at=day(0))
    books.earn(2, member="u8", id="e8")
    sweep = Expire(member="u7", at=day(0))
    for command in (grant, gift, sweep):
        books.post(command)
    books.ledger.erase("u7")
    for command in (grant, gift, sweep):
        assert books.post(command).replayed
    with pytest.raises(IdConflict):
        books.post(Earn(id="e1", member="another", points=10, fund="sales", at=day(0)))
    books.earn(5, 1, member="u7")
    assert books.has(1, "u7") == (5, 0, 0, 0)
    head, settled = books.ledger.head, books.ledger.settled
    books.ledger.erase("u7")
    assert books.post(grant).replayed
    assert books.ledger.audit(head=head, known_at=settled) == ()


def test_nobody_is_erased_while_a_hold_is_open(books, day):
    books.earn(10)
    books.hold(4, id="h1")
    head = books.ledger.head
    with pytest.raises(HoldOpen) as caught:
        books.ledger.erase("u1")
    assert (caught.value.hold, books.ledger.head) == ("h1", head)
    books.post(Capture(id="c1", hold="h1", sink="shop", at=day(1)))
    books.ledger.erase("u1")


def test_a_hold_that_has_ended_does_not_keep_anybody(books, day):
    books.earn(100)
    books.hold(10, on=1, id="h1", expires_at=2)
    with pytest.raises(HoldOpen, match="as_of"):  # The wallet's last entry is of day 1.
        books.ledger.erase("u1")
    with pytest.raises(HoldOpen):
        books.ledger.erase("u1", as_of=day(2) - timedelta(microseconds=1))
    name = books.ledger.erase("u1", as_of=day(2))
    assert books.ledger.balance(name, day(2)) == Balance(100, 0, 0, 0)
    assert books.ledger.audit() == ()


def test_an_erasure_asked_again_is_recognised_too(books, day):
    books.earn(100)
    name, head = books.ledger.erase("u1"), books.ledger.head
    assert books.ledger.erase("u1") == name
    assert books.ledger.head == head
    books.earn(1, on=1)
    second = books.ledger.erase("u1")
    assert name != second == books.ledger.erase("u1")
    for nobody in ("u2", name):
        with pytest.raises(InvalidValue, match="no such member"):
            books.ledger.erase(nobody)


def test_the_names_of_the_erased_are_not_for_use(books, day):
    books.earn(10)
    name = books.ledger.erase("u1")
    with pytest.raises(InvalidCommand):
        books.spend(1, member=name)
    with pytest.raises(InvalidValue):
        books.ledger.erase(name)


def test_an_undone_entry_of_an_erased_member_goes_to_the_nameless_wallet(books):
    books.earn(10)
    books.spend(4, id="s1")
    name = books.ledger.erase("u1")
    books.undo("s1")
    assert books.has(0, name) == (10, 0, 0, 0)


def test_a_note_has_no_legs(books, day):
    receipt = books.post(Note(id="n1", member="u1", kind="claim", amount=Decimal("1.5"), at=day(0)))
    (entry,) = books.ledger.entries("u1")
    assert (receipt.allocations, entry.legs, entry.command.amount) == ((), (), Decimal("1.5"))


def test_a_closed_ledger_says_so(day):
    with Ledger.in_memory() as ledger:
        assert ledger.doctor() == ()
    for call in (
        lambda: ledger.balance("u1", day(0)),
        lambda: ledger.post(Note(id="n", member="u", kind="k", at=day(0))),
        lambda: ledger.head,
        lambda: ledger.funds,
        lambda: ledger.doctor(),
        ledger.__enter__,
    ):
        with pytest.raises(LedgerClosed):
            call()
    ledger.close()


def test_counters_of_a_transaction_keep_their_bound(books):
    books.ledger.transact([], lambda posting: posting.count("c", 2, at_most=3))
    with pytest.raises(UseropsError):
        books.ledger.transact([], lambda posting: posting.count("c", 2, at_most=3))
    assert books.ledger.transact([], lambda posting: posting.counter("c")) == 2


def test_inside_a_transaction_only_its_posting_posts(books):
    books.earn(100, id="e1")
    spend = Spend(id="s1", member="u1", points=60, sink="shop", at=datetime(2027, 1, 2, tzinfo=UTC))
    ledger, head = books.ledger, books.ledger.head

    def beside(call):
        def work(posting):
            posting.post(Earn(id="e2", member="u1", points=1, fund="sales", at=spend.at))
            call()

        return work

    for call in (
        lambda: ledger.post(spend),
        lambda: ledger.post_all([spend]),
        lambda: ledger.post_all([spend], atomic=False),
        lambda: ledger.transact(["u1"], lambda posting: posting.post(spend)),
        lambda: ledger.erase("u1"),
        lambda: ledger.add_fund(Fund("other")),
    ):
        with pytest.raises(InvalidValue, match="posting that `work` is given"):
            ledger.transact(["u1"], beside(call))
    assert ledger.head == head
    assert (
        ledger.transact(["u1"], lambda _: ledger.balance("u1", spend.at).available) == 100
    )  # Reading is fine.
    assert ledger.post(spend).allocations == (("e1", 60),)
    assert ledger.audit() == ()


def test_a_posting_kept_beyond_its_transaction_is_refused(books):
    kept = books.ledger.transact(["u1"], lambda posting: posting)
    note = Note(id="n", member="u1", kind="k", at=datetime(2027, 1, 2, tzinfo=UTC))
    for call in (lambda: kept.post(note), lambda: kept.entries("u1"), lambda: kept.count("c", 1)):
        with pytest.raises(InvalidValue, match="over"):
            call()
    assert books.ledger.entries() == ()


def test_an_instant_beyond_the_calendar_of_a_budget_is_a_malformed_command(books):
    at = datetime(9999, 12, 31, 23, tzinfo=UTC)  # In Shanghai that is the year 10000.
    earn = Earn(id="e", member="u1", points=1, fund="promo", at=at)
    (outcome,) = books.ledger.post_all([earn])
    assert (type(outcome), outcome.field) == (InvalidCommand, "at")
