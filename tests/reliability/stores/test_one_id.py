"""One id, two commands: an `Expire`, which is kept in a table of its own, racing another kind of command."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from userops.errors import IdConflict, Rejected
from userops.points import Earn, Expire, Fund, Ledger, Note
from userops.points.stores import session, writing

T0 = datetime(2027, 1, 1, tzinfo=UTC)
T9 = T0 + timedelta(days=9)


@pytest.fixture
def pair(new_url):
    """Two processes' ledgers on one database, with something to expire."""
    url = new_url()
    opened = [Ledger.open(url, salt=b"s") for _ in range(2)]
    opened[0].add_fund(Fund("sales"))
    for n in range(12):
        opened[0].post(
            Earn(id=f"lot{n}", member="ann", points=5, fund="sales", at=T0, expires_at=T9 + n * (T9 - T0))
        )
    yield opened
    assert opened[0].audit() == ()
    for one in opened:
        one.close()


def expiry(id_, n=0):
    return Expire(id=id_, member=None if n % 2 else "ann", at=T9 + n * (T9 - T0))


def grant(id_):
    return Earn(id=id_, member="bob", points=1, fund="sales", at=T0)


def outcome(act, *arguments):
    try:
        return act(*arguments)
    except Rejected as refused:
        return refused


def posting(ledger, commands):
    return lambda: ledger.post_all(commands)[0] if len(commands) > 1 else outcome(ledger.post, commands[0])


def is_kept_twice(ledger, id_):
    with ledger._store.reading() as store:
        return store.entry(id_) is not None and store.sweep(id_) is not None


def notes(count):
    return [Note(id=f"n{n}", member="cy", kind="visit", at=T0) for n in range(count)]


def inside(function, monkeypatch, act):
    """Let another process act inside the first transaction that comes to a function; wait a while for it."""
    plain, found = getattr(writing, function), []

    def acting(*arguments):
        if not found:
            found.append(None)
            thread = threading.Thread(target=lambda: found.__setitem__(0, act()))
            found.append(thread)
            thread.start()
            thread.join(0.15)
        return plain(*arguments)

    monkeypatch.setattr(writing, function, acting)
    return found


@pytest.mark.parametrize("more", [0, session.MOST_CLAIMS], ids=["alone", "in a long batch"])
@pytest.mark.parametrize("is_expiry_first", [True, False], ids=["expiry first", "grant first"])
@pytest.mark.parametrize("before", ["_write_entries", "_count"])
def test_one_of_them_wins_whoever_comes_between(pair, monkeypatch, more, is_expiry_first, before):
    acts = [posting(pair[0], [expiry("x")]), posting(pair[1], [grant("x"), *notes(more)])]
    first, second = acts if is_expiry_first else acts[::-1]
    found = inside(before, monkeypatch, second)
    outcomes = [first()]
    found[1].join()
    outcomes.append(found[0])
    assert sum(isinstance(one, IdConflict) for one in outcomes) == 1, outcomes
    assert not is_kept_twice(pair[0], "x")
    # The one that won is known for good, the other stays refused.
    again = [outcome(pair[0].post, expiry("x")), outcome(pair[0].post, grant("x"))]
    assert sorted(type(one).__name__ for one in again) == ["IdConflict", "Receipt"]


def test_one_of_them_wins_in_a_race(pair, counted):
    won = {"expiry": 0, "grant": 0}
    for n in range(12):
        barrier, found = threading.Barrier(2), [None, None]

        def run(place, command, barrier=barrier, found=found):
            barrier.wait(30)
            found[place] = outcome(pair[place].post, command)

        threads = [
            threading.Thread(target=run, args=one) for one in enumerate([expiry(f"x{n}", n), grant(f"x{n}")])
        ]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert sum(isinstance(one, IdConflict) for one in found) == 1, found
        assert not is_kept_twice(pair[0], f"x{n}")
        won["grant" if isinstance(found[0], IdConflict) else "expiry"] += 1
    counted(**won)


def test_the_same_inside_a_transaction_of_the_callers(pair, monkeypatch):
    found = inside("_write_entries", monkeypatch, lambda: outcome(pair[1].post, expiry("x")))
    outcomes = [outcome(pair[0].transact, ["bob"], lambda posting: posting.post(grant("x")))]
    found[1].join()
    outcomes.append(found[0])
    assert sum(isinstance(one, IdConflict) for one in outcomes) == 1, outcomes
    assert not is_kept_twice(pair[0], "x")


def test_without_the_claims_both_are_kept(postgres, monkeypatch):
    """The negative control: where nothing is claimed, the id stands in both tables."""
    from userops.points.stores import postgres as driver

    monkeypatch.setattr(driver, "_locks", lambda claims: [])
    monkeypatch.setattr(writing, "_check_ids", lambda session, changes: None)
    url = postgres.new()
    with Ledger.open(url, salt=b"s") as one, Ledger.open(url, salt=b"s") as other:
        one.add_fund(Fund("sales"))
        found = inside("_count", monkeypatch, lambda: outcome(other.post, grant("x")))
        one.post(expiry("x"))
        found[1].join()
        assert is_kept_twice(one, "x")


def lot(ledger):
    ledger.add_fund(Fund("sales"))
    ledger.post(Earn(id="lot", member="ann", points=5, fund="sales", at=T0, expires_at=T9))


@pytest.mark.parametrize("is_durable", [True, False], ids=["durable", "in memory"])
def test_an_id_that_an_expiry_would_make_is_refused(new_url, is_durable):
    with Ledger.in_memory() as trial:
        lot(trial)
        trial.post(expiry("x"))
        made = trial.entries(kind="expire")[0].id
    with Ledger.open(new_url()) if is_durable else Ledger.in_memory() as ledger:
        lot(ledger)
        ledger.post(Note(id=made, member="bob", kind="visit", at=T0))
        with pytest.raises(IdConflict, match="another id"):
            ledger.post(expiry("x"))
        assert len(ledger.post(expiry("y")).expired) == 1
        assert ledger.audit() == ()
