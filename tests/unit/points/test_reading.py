"""Readings: what is not there, what cannot be asked, and that a long past takes no more than its length to read."""

import sys
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from userops.errors import InvalidValue, NaiveTimeError, NotSettled, UnknownCurrency
from userops.points import Budget, Earn, Extend, Fund, Ledger, Note, Reverse, Spend, Statement, roll_forward


def test_who_has_no_wallet_has_nothing(books, day):
    books.earn(5)
    ledger = books.ledger
    assert books.has(1, "nobody") == (0, 0, 0, 0)
    assert ledger.lots("nobody", day(1)) == ledger.entries("nobody") == ()
    assert ledger.balance("nobody", day(1), known_at=1) == ledger.balance("nobody", day(1))
    assert ledger.statement("nobody", day(0), day(9)) == Statement("nobody", "points", 0, (), 0)


def test_a_span_of_no_length_holds_nothing_and_one_that_ends_before_it_starts_is_refused(books, day):
    books.earn(5, 1)
    assert books.ledger.statement("u1", day(1), day(1)) == Statement("u1", "points", 0, (), 0)
    assert books.ledger.statement("u1", day(2), day(2)) == Statement("u1", "points", 5, (), 5)
    assert books.ledger.entries(start=day(1), end=day(1)) == ()
    for read in (
        lambda *span: books.ledger.statement("u1", *span),
        lambda a, b: books.ledger.entries(start=a, end=b),
    ):
        with pytest.raises(InvalidValue, match="end must not lie before start"):
            read(day(2), day(1))


def test_a_time_that_is_none_is_named(books, day):
    ledger, naive = books.ledger, datetime(2027, 1, 1)
    for name, read in (
        ("as_of", ledger.funding),
        ("as_of", ledger.trial_balance),
        ("as_of", lambda at: ledger.balance("u1", at)),
        ("start", lambda at: ledger.statement("u1", at, day(1))),
        ("end", lambda at: ledger.entries(end=at)),
        ("start", lambda at: ledger.entries(start=at)),
        ("as_of", lambda at: ledger.entries(as_of=at)),
        ("end", lambda at: ledger.transact([], lambda posting: posting.entries("u1", end=at))),
    ):
        for bad in (naive, date(2027, 1, 1)):
            with pytest.raises(NaiveTimeError, match=name):
                read(bad)


def test_places_in_the_recording_are_whole_numbers_and_those_of_all_wallets_settled(books, day):
    books.earn(5, fund="sales")
    ledger = books.ledger
    of_all = (
        lambda at: ledger.funding(day(1), known_at=at),
        lambda at: ledger.trial_balance(day(1), known_at=at),
        lambda at: ledger.entries(known_at=at),
        lambda at: roll_forward(ledger, date(2027, 1, 1), 1, known_at=at),
    )
    of_one = (
        lambda at: ledger.balance("u1", day(1), known_at=at),
        lambda at: ledger.lots("u1", day(1), known_at=at),
        lambda at: ledger.entries("u1", known_at=at),
        lambda at: ledger.statement("u1", day(0), day(1), known_at=at),
    )
    for read in (*of_all, *of_one):
        for bad in (True, -1, 1.0, float("nan"), "1"):
            with pytest.raises(InvalidValue, match="known_at"):
                read(bad)
        assert read(np.int64(1)) == read(1) == read(None)
        assert read(0) != read(1)
    for read in of_all:
        with pytest.raises(NotSettled):
            read(2)
    assert ledger.balance("u1", day(1), known_at=2) == ledger.balance("u1", day(1))


def test_funding_at_several_instants_needs_some_that_rise(books, day):
    books.earn(5, 1, expires_at=3)
    none, there, gone = books.ledger.fundings(map(day, (0, 1, 3)))
    assert none == ()
    assert [(row.outstanding, row.expired) for row in (*there, *gone)] == [(5, 0), (0, 5)]
    for bad in ([], [day(1), day(1)], [day(2), day(1)]):
        with pytest.raises(InvalidValue, match="rise"):
            books.ledger.fundings(bad)
    with pytest.raises(NaiveTimeError, match="as_of"):
        books.ledger.fundings([datetime(2027, 1, 1)])
    with pytest.raises(NotSettled):
        books.ledger.fundings([day(1)], known_at=2)


def test_a_currency_that_was_never_declared_is_refused(books, day):
    for read in (ledger_read := books.ledger.balance, books.ledger.lots):
        with pytest.raises(UnknownCurrency):
            read("u1", day(1), currency="typo")
    assert ledger_read("u1", day(1), currency="miles").available == 0
    with pytest.raises(UnknownCurrency):
        books.ledger.statement("u1", day(0), day(1), currency="typo")


@pytest.mark.parametrize(
    "open_ledger", [lambda _: Ledger.in_memory(), lambda folder: Ledger.open(folder / "points.db")]
)
def test_a_budgeted_earn_undone_in_the_batch_it_was_posted_in_is_no_finding(open_ledger, tmp_path, day):
    with open_ledger(tmp_path) as ledger:
        ledger.add_fund(Fund("promo", budget=Budget(100, per="month")))
        earn = Earn(id="e1", member="u1", points=40, fund="promo", at=day(1))
        ledger.post_all([earn, Reverse(id="r1", entry="e1", at=day(2))])
        assert ledger.audit() == ()
        ledger.post(Earn(id="e2", member="u1", points=100, fund="promo", at=day(3)))
        assert ledger.audit() == ()


def calls(act):
    """Return how many calls of Python functions something takes: its length, whatever the machine does beside."""
    counted = 0

    def count(_frame, event, _argument):
        nonlocal counted
        counted += event == "call"

    sys.setprofile(count)
    try:
        act()
    finally:
        sys.setprofile(None)
    return counted


def extended_each(pairs, day):
    """A member who earns and is extended as often, and whose last entry came late."""
    ledger = Ledger.in_memory()
    ledger.add_fund(Fund("sales"))
    for n in range(pairs):
        at, ends = day(n / 24), day(400 + n / 24)
        ledger.post(Earn(id=f"e{n}", member="u1", points=5, fund="sales", at=at, expires_at=ends, rule="r"))
        ledger.post(Extend(id=f"x{n}", member="u1", rule="r", at=at, expires_at=ends))
    ledger.post(Note(id="late", member="u1", kind="seen", at=day(0)))
    return ledger


READINGS = {
    "statement": lambda ledger, day: ledger.statement("u1", day(0), day(900)),
    "funding": lambda ledger, day: ledger.funding(day(9)),
    "trial balance": lambda ledger, day: ledger.trial_balance(day(9)),
    "audit": lambda ledger, day: ledger.audit(),
    "balance of the past": lambda ledger, day: ledger.balance("u1", day(1)),
    "balance as known": lambda ledger, day: ledger.balance("u1", day(1), known_at=10**6),
    "back-dated spend": lambda ledger, day: ledger.quote(Spend(id="b", member="u1", points=1, sink="s", at=day(1))),
}  # fmt: skip


def test_reading_the_past_takes_twice_as_long_for_twice_as_many_extended_earns(day):
    short, long = extended_each(80, day), extended_each(160, day)
    for name, read in READINGS.items():
        read(short, day), read(long, day)  # What is made once.
        few, many = calls(lambda: read(short, day)), calls(lambda: read(long, day))
        assert many < 2.3 * few, (name, few, many)
    assert long.audit() == ()
    assert long.statement("u1", day(0), day(400) + timedelta(hours=159)).closing == 800
    assert long.statement("u1", day(0), day(400) + timedelta(hours=160)).closing == 0
