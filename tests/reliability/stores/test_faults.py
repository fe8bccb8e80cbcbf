"""Fault-proof: an error at every statement of every operation leaves all of it done, or nothing."""

import shutil
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from userops.errors import StoreUnavailable, UseropsError
from userops.points import (
    Budget,
    Capture,
    Clawback,
    Currency,
    Earn,
    Exchange,
    Expire,
    Extend,
    Fund,
    Hold,
    Ledger,
    Note,
    Release,
    Reverse,
    Spend,
    Transfer,
    WriteOff,
)
from userops.points.stores import sql
from userops.points.stores.statements import table_order
from userops.points.stores.wire import Wire

T0 = datetime(2027, 1, 1, tzinfo=UTC)
T1 = T0 + timedelta(days=1)


def furnish(ledger):
    ledger.add_currency(Currency("miles"))
    ledger.add_fund(Fund("sales"))
    ledger.add_fund(Fund("tight", budget=Budget(10_000, per="year")))
    for member in ("ann", "bob"):
        ledger.post(Earn(id=f"e-{member}", member=member, points=500, fund="tight", at=T0))
        ledger.post(Earn(id=f"x-{member}", member=member, points=50, fund="sales", at=T0, expires_at=T1))
    ledger.post(Spend(id="s", member="ann", points=60, sink="shop", at=T0))
    ledger.post(Hold(id="h", member="ann", points=40, at=T0))
    ledger.post(Earn(id="e-dan", member="dan", points=9, fund="tight", at=T0))
    ledger.post(Spend(id="s-dan", member="dan", points=9, sink="shop", at=T0))
    ledger.post(Reverse(id="r-dan", entry="e-dan", clawback=Clawback.DEBT, at=T0))


def counting(posting):
    if not posting.post(Note(id="n2", member="ann", kind="visit", at=T1)).replayed:
        posting.count("club", 1, 10)


#: Every operation that changes something: each is tried with a fault at each of its statements.
OPERATIONS: dict[str, Callable[[Ledger], object]] = {
    "earn": lambda ledger: ledger.post(Earn(id="1", member="new", points=5, fund="tight", at=T1)),
    "earn repaying": lambda ledger: ledger.post(Earn(id="1", member="dan", points=5, fund="sales", at=T1)),
    "spend": lambda ledger: ledger.post(Spend(id="1", member="ann", points=70, sink="shop", at=T0)),
    "hold": lambda ledger: ledger.post(Hold(id="1", member="bob", points=70, at=T0)),
    "capture": lambda ledger: ledger.post(Capture(id="1", hold="h", points=7, sink="shop", at=T0)),
    "release": lambda ledger: ledger.post(Release(id="1", hold="h", at=T1)),
    "reverse spend": lambda ledger: ledger.post(Reverse(id="1", entry="s", at=T1)),
    "reverse earn": lambda ledger: ledger.post(Reverse(id="1", entry="e-ann", clawback=Clawback.DEBT, at=T1)),
    "transfer": lambda ledger: ledger.post(Transfer(id="1", member="ann", to="new", points=7, at=T0)),
    "exchange": lambda ledger: ledger.post(
        Exchange(id="1", member="bob", points=7, to_currency="miles", rate=Fraction(2), fund="sales", at=T0)
    ),
    "extend": lambda ledger: ledger.post(Extend(id="1", member="ann", expires_at=T1 + timedelta(9), at=T0)),
    "write-off": lambda ledger: ledger.post(WriteOff(id="1", member="dan", at=T1)),
    "expire": lambda ledger: ledger.post(Expire(id="1", at=T1)),
    "batch": lambda ledger: ledger.post_all(
        [
            Earn(id="1", member="ann", points=5, fund="tight", at=T1),
            Spend(id="2", member="bob", points=5, sink="shop", at=T1),
            Transfer(id="3", member="ann", to="bob", points=5, at=T1),
        ]
    ),
    "transact": lambda ledger: ledger.transact(["ann"], counting),
    "declare": lambda ledger: ledger.add_fund(Fund("more", budget=Budget(5))),
    "erase": lambda ledger: ledger.erase("bob"),
}
READINGS: dict[str, Callable[[Ledger], object]] = {
    "balance": lambda ledger: ledger.balance("ann", T1),
    "statement": lambda ledger: ledger.statement("ann", T0, T1),
    "funding": lambda ledger: ledger.funding(T1),
    "quote": lambda ledger: ledger.quote(Spend(id="q", member="ann", points=5, sink="shop", at=T1)),
    "head": lambda ledger: ledger.head,
    "audit": lambda ledger: ledger.audit(),
}


class Fault:
    """An error at the k-th statement from now on, before it runs or after, once or for good."""

    def __init__(self, monkeypatch):
        self.left, self.error, self.after, self.once, self.hits = None, None, False, True, 0
        for name in ("run", "run_many"):
            monkeypatch.setattr(Wire, name, self.wrapped(getattr(Wire, name)))

    def wrapped(self, plain):
        def run(wire, statement, parameters=()):
            strikes = False
            if self.left is not None and statement != "ROLLBACK":
                self.left -= 1
                strikes = self.left == 0 or (self.left < 0 and not self.once)
            if strikes and not self.after:
                self.hits += 1
                raise self.error
            plain(wire, statement, parameters)
            if strikes:
                self.hits += 1
                raise self.error

        return run

    def arm(self, place, error, *, after, once):
        self.left, self.error, self.after, self.once, self.hits = place, error, after, once, 0

    def disarm(self):
        self.left = None


def tried(act):
    try:
        return act()
    except (UseropsError, MemoryError, KeyboardInterrupt) as error:
        return error


def state(ledger):
    with ledger._store.reading() as store:
        return ledger.head, store.counter("club"), len(ledger.entries())


def pursue(name, act, fresh, fault, errors, most=200):
    """Try an operation with a fault at its 1st, 2nd, … statement until it is out of reach; count the tries."""
    tries = 0
    with Ledger.open(fresh(), salt=b"s") as ledger:
        before = state(ledger)
        act(ledger)
        done = state(ledger)
    for make, after, once in errors:
        for place in range(1, most):
            with Ledger.open(fresh(), salt=b"s") as ledger:
                fault.arm(place, make(), after=after, once=once)
                tried(lambda: act(ledger))
                fault.disarm()
                where = (name, repr(make()), after, once, place)
                assert ledger.audit() == (), where
                assert state(ledger) in (before, done), where
                tried(lambda: act(ledger))
                assert state(ledger) == done, where
            if not fault.hits:
                break
            tries += 1
        else:
            raise AssertionError("the operation never finished clean")
    return tries


@pytest.fixture
def fault(monkeypatch):
    monkeypatch.setattr(sql, "_FIRST_WAIT", 0.0)
    monkeypatch.setattr(sql, "_LAST_WAIT", 0.0)
    return Fault(monkeypatch)


@pytest.fixture
def fresh(tmp_path):
    """Return what copies a furnished ledger."""
    path = tmp_path / "base.db"
    with Ledger.open(path, salt=b"s") as ledger:
        furnish(ledger)

    def copy():
        for suffix in ("-wal", "-shm"):
            (tmp_path / f"copy.db{suffix}").unlink(missing_ok=True)
        shutil.copy(path, tmp_path / "copy.db")
        return tmp_path / "copy.db"

    return copy


def broken_disk():
    return sqlite3.OperationalError("disk I/O error")


ALL = {**OPERATIONS, **READINGS}
EVERY_DAY = ("earn", "capture", "transfer", "expire", "batch", "transact", "erase", "balance")
ERRORS = [
    (broken_disk, False, True), (broken_disk, True, True), (broken_disk, False, False),
    (MemoryError, True, True), (KeyboardInterrupt, False, True),
]  # fmt: skip


def every_error(database):
    """Each error before a statement and after it; the database's own also for good."""
    return [
        (make, after, once)
        for make in (database, MemoryError, KeyboardInterrupt)
        for after in (False, True)
        for once in ((True, False) if make is database else (True,))
    ]


@pytest.mark.parametrize("name", EVERY_DAY)
def test_an_error_at_any_statement_leaves_nothing_half_done(name, fresh, fault, counted):
    errors = ERRORS[:2] if name in READINGS else ERRORS
    counted(operation=name, faults=pursue(name, ALL[name], fresh, fault, errors))


@pytest.mark.nightly
@pytest.mark.parametrize("name", ALL)
def test_every_error_at_any_statement_of_every_operation(name, fresh, fault, counted):
    counted(operation=name, faults=pursue(name, ALL[name], fresh, fault, every_error(broken_disk)))


@pytest.fixture
def fresh_postgres(postgres):
    """Return what puts a furnished ledger's rows back: far sooner done than cloning a database for each fault."""
    import psycopg

    url = postgres.new()
    with Ledger.open(url, salt=b"s") as ledger:
        furnish(ledger)
    tables = [table.name for table in table_order()]
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as raw:
        for name in tables:
            raw.execute(f"CREATE TABLE kept_{name} AS TABLE {name}")
        numbers = raw.execute("SELECT pg_get_serial_sequence('ledger_wallet', 'no')").fetchone()[0]
        counts = {
            name: raw.execute(f"SELECT last_value FROM {name}").fetchone()[0]
            for name in ("ledger_sequence", numbers)
        }
        raw.execute("SET session_replication_role = replica")  # Foreign keys are not looked after.
        script = "; ".join(
            [
                "BEGIN",
                *(f"DELETE FROM {name}; INSERT INTO {name} SELECT * FROM kept_{name}" for name in tables),
            ]
            + [f"SELECT setval('{name}', {count})" for name, count in counts.items()]
            + ["COMMIT"]
        )

        def restored():
            raw.execute(script)
            return url

        yield restored


def lost():
    import psycopg

    return psycopg.OperationalError("server closed the connection unexpectedly")


#: Every day: what writes most tables; a lost connection after each statement.
EVERY_DAY_ON_POSTGRESQL = ("capture", "transfer", "expire", "transact", "erase")


@pytest.mark.parametrize("name", EVERY_DAY_ON_POSTGRESQL)
def test_the_same_on_postgresql(name, fresh_postgres, fault, counted):
    errors = [(lost, True, True)]
    counted(
        database="postgres", operation=name, faults=pursue(name, ALL[name], fresh_postgres, fault, errors)
    )


@pytest.mark.nightly
@pytest.mark.parametrize("name", ALL)
def test_every_error_at_any_statement_of_every_operation_on_postgresql(name, fresh_postgres, fault, counted):
    errors = every_error(lost)
    counted(
        database="postgres", operation=name, faults=pursue(name, ALL[name], fresh_postgres, fault, errors)
    )


def test_a_full_disk_stops_posting_and_nothing_else(tmp_path, counted):
    path, posted = tmp_path / "points.db", 0
    with Ledger.open(path, salt=b"s") as ledger:
        furnish(ledger)
        with ledger._store._driver.connection() as wire:
            pages = wire.value("PRAGMA page_count")
            wire.rows(f"PRAGMA max_page_count = {pages + 3}")
        with pytest.raises(StoreUnavailable):  # noqa: PT012 — which posting meets it is not known
            for number in range(1_000):
                one = Earn(id=f"f{number}", member="ann", points=1, fund="sales", at=T1, reason="r" * 300)
                ledger.post(one)
                posted += 1
        assert ledger.audit() == ()
        assert ledger.entries()[-1].id == f"f{posted - 1}"
        with ledger._store._driver.connection() as wire:
            wire.rows("PRAGMA max_page_count = 1000000")
        assert not ledger.post(one).replayed
        assert ledger.audit() == ()
    counted(posted_before_the_disk_was_full=posted)


def test_committing_inside_a_loop_is_caught(fresh, fault, monkeypatch):
    """The negative control: a store that commits between the tables is half done after a fault."""
    from userops.points.stores import writing

    plain = writing._write_lots

    def committing(session, changes, chains):
        session.wire.run("COMMIT")
        session.wire.run("BEGIN IMMEDIATE")
        plain(session, changes, chains)

    monkeypatch.setattr(writing, "_write_lots", committing)
    with pytest.raises(AssertionError):
        pursue("spend", OPERATIONS["spend"], fresh, fault, ERRORS[:2])
