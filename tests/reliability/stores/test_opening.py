"""What a ledger opens, lifts and refuses; and what it never says."""

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from userops.core.chance import stream
from userops.errors import (
    BudgetExceeded,
    DamagedLedger,
    IncompatibleLedger,
    InvalidValue,
    LedgerClosed,
    NotSettled,
    StoreUnavailable,
)
from userops.points import Budget, Earn, Fund, Ledger, Spend
from userops.points.stores import sqlite
from userops.points.stores.schema import VERSION

HERE = Path(__file__).parent
T0 = datetime(2027, 1, 1, tzinfo=UTC)
#: The head that the ledgers in version_1.sql and version_3.sql, of one history, had when they were written.
HEAD_OF_OLD_VERSIONS = "fe56ff46096bdfd878d4f945fa6af00a509e17908769f26074dd00fa9e0ea0cb"


def raw(path, *statements):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return [connection.execute(statement).fetchall() for statement in statements]


INDEXES = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name"


@pytest.mark.parametrize("version", [1, 3])
def test_a_file_of_an_older_version_is_lifted(tmp_path, version):
    path, new = tmp_path / "old.db", tmp_path / "new.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((HERE / "data" / f"version_{version}.sql").read_text())
    with Ledger.open(path, salt=b"s") as ledger:
        assert ledger.head == HEAD_OF_OLD_VERSIONS
        assert ledger.audit() == ()
        ledger.post(Spend(id="after", member="bob", points=1, sink="shop", at=T0 + timedelta(days=20)))
        assert ledger.audit() == ()
    Ledger.open(new).close()
    found, indexes = raw(path, "SELECT value FROM ledger_meta WHERE name = 'version'", INDEXES)
    assert found == [(str(VERSION),)]
    assert [indexes] == raw(new, INDEXES)


def test_a_newer_version_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "points.db"
    Ledger.open(path).close()
    raw(path, "UPDATE ledger_meta SET value = '99' WHERE name = 'version'")
    before = path.read_bytes()
    with pytest.raises(IncompatibleLedger, match=r"99.*upgrade userops"):
        Ledger.open(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database at all" * 100, None])
def test_a_foreign_file_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "other.db"
    if content is None:
        raw(path, "CREATE TABLE customers (id)")
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(IncompatibleLedger):
        Ledger.open(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "url",
    [
        "",
        ":memory:",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://u:hush@h/d",
        "points.db?mode=memory",
        "points\0.db",
        "no_folder/points.db",
        ".",
        b"x",
        7,
    ],
)
def test_what_is_no_durable_ledger_is_refused(url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidValue) as refused:
        Ledger.open(url)
    assert "hush" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_not_said_to_be_worth_another_try(tmp_path):
    path = tmp_path / "points.db"
    with Ledger.open(path) as ledger:
        ledger.add_fund(Fund("sales"))
    content = path.read_bytes()
    path.write_bytes(content[:100] + bytes([255]) * 200 + content[300:])
    with pytest.raises(DamagedLedger, match="backup"):
        Ledger.open(path)


def test_a_source_of_randomness_is_one(tmp_path):
    with pytest.raises(InvalidValue, match="rng"):
        Ledger.open(tmp_path / "points.db", rng=7)


def test_an_encoding_that_keeps_bytes_only_is_refused(postgres):
    postgres.sql("CREATE DATABASE bytes_only TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    with pytest.raises(IncompatibleLedger, match="UTF8"):
        Ledger.open(postgres.url("bytes_only"))


def test_a_reading_outlives_the_connections_it_finds(postgres):
    url = postgres.new()
    cut = f"""SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
              WHERE datname = '{url.rpartition("/")[2]}' AND pid <> pg_backend_pid()"""
    with Ledger.open(url) as ledger:
        ledger.add_fund(Fund("sales"))
        ledger.post(Earn(id="e", member="ann", points=1, fund="sales", at=T0))
        for read in (
            lambda: ledger.balance("ann", T0).available,
            lambda: ledger.settled,
            lambda: len(ledger.doctor()) - 1,
        ):
            assert int(postgres.sql(cut)) > 0
            assert read() == 1


def test_another_salt_is_refused_once_there_is_anything(new_url):
    url = new_url()
    Ledger.open(url, salt=b"s").close()
    with Ledger.open(url, salt=b"t") as ledger:
        ledger.add_fund(Fund("sales"))
        with pytest.raises(IncompatibleLedger, match="another salt"):  # Who has it open would not know.
            Ledger.open(url, salt=b"s")
        ledger.post(Earn(id="e", member="ann", points=1, fund="sales", at=T0))
        assert ledger.audit() == ()
    for salt in (b"s", b""):
        with pytest.raises(IncompatibleLedger, match="another salt"):
            Ledger.open(url, salt=salt)


def test_passwords_are_never_said(postgres):
    secret = "hush-hush"
    for url in (
        f"postgresql+psycopg://tests:{secret}@127.0.0.1:1/none",
        f"postgresql+psycopg://tests:{secret}@127.0.0.1:{postgres.port}/no_such_database",
        f"postgresql://tests:{secret}@127.0.0.1:port/none",
    ):
        with pytest.raises((StoreUnavailable, InvalidValue)) as refused:
            Ledger.open(url)
        assert secret not in "".join(_chain(refused.value))
        assert url not in "".join(_chain(refused.value))


def _chain(error):
    while error is not None:
        yield f"{error!r} {error}"
        error = error.__cause__


def test_settings_are_the_safe_ones(tmp_path, postgres):
    with Ledger.open(tmp_path / "points.db") as ledger:
        assert ledger.doctor() == ()
        with ledger._store._driver.connection() as wire:
            wire.run("PRAGMA synchronous = OFF")
        assert "synchronous is 0" in ledger.doctor()[0].message
    with Ledger.open(postgres.new(), salt=b"s") as ledger:  # The tests' own server does not sync.
        assert {finding.message.split()[0] for finding in ledger.doctor()} == {"fsync", "full_page_writes"}


def test_a_busy_file_is_given_up_in_time(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "_BUSY_SECONDS", 0.05)
    path = tmp_path / "points.db"
    with Ledger.open(path, rng=stream(1, "busy")) as ledger:
        ledger.add_fund(Fund("sales"))
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable, match="may safely be made again"):
                ledger.post(Earn(id="e", member="ann", points=1, fund="sales", at=T0))
            other.execute("ROLLBACK")
        assert not ledger.post(Earn(id="e", member="ann", points=1, fund="sales", at=T0)).replayed
    with pytest.raises(LedgerClosed):
        ledger.balance("ann", T0)


def test_declarations_of_another_process_are_seen(new_url):
    url = new_url()
    with Ledger.open(url, salt=b"s") as one, Ledger.open(url, salt=b"s") as other:
        one.add_fund(Fund("sales"))
        other.post(Earn(id="e", member="ann", points=1, fund="sales", at=T0))
        other.add_fund(Fund("sales"))
        with pytest.raises(InvalidValue, match="another kind"):
            other.add_fund(Fund("sales", kind="expense"))
        assert set(other.funds) == {"sales"}
        assert one.balance("ann", T0).available == 1


def test_reads_inside_a_transaction_see_what_was_committed(new_url):
    with Ledger.open(new_url(), salt=b"s") as ledger:
        ledger.add_fund(Fund("sales"))

        def work(posting):
            posting.post(Earn(id="e", member="ann", points=5, fund="sales", at=T0))
            return ledger.balance("ann", T0).available, posting.balance("ann", T0).available

        assert ledger.transact(["ann"], work) == (0, 5)


def test_one_budget_is_never_passed_by_many_threads(new_url):
    with Ledger.open(new_url(), salt=b"s") as ledger:
        ledger.add_fund(Fund("tight", budget=Budget(100, per="year")))
        refusals = []

        def earn(worker):
            for number in range(10):
                try:
                    ledger.post(
                        Earn(id=f"{worker}-{number}", member=f"m{worker}", points=3, fund="tight", at=T0)
                    )
                except BudgetExceeded as refused:
                    refusals.append((refused.left, refused.limit, refused.period))

        threads = [threading.Thread(target=earn, args=(one,)) for one in range(6)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert refusals == [(1, 100, "2027")] * (60 - 33)
        assert ledger.audit() == ()
        assert sum(row.issued for row in ledger.funding(T0)) == 99


def test_settled_waits_for_what_is_in_flight(postgres):
    url = postgres.new()
    with Ledger.open(url, salt=b"s") as ledger, Ledger.open(url, salt=b"s") as other:
        ledger.add_fund(Fund("sales"))
        assert ledger.settled == 0
        first = ledger.post(Earn(id="e0", member="ann", points=1, fund="sales", at=T0)).sequence

        def slow(posting):
            receipt = posting.post(Earn(id="slow", member="bob", points=1, fund="sales", at=T0))
            later = other.post(Earn(id="e1", member="cy", points=1, fund="sales", at=T0)).sequence
            assert first < receipt.sequence < later
            assert other.settled == first
            with pytest.raises(NotSettled):
                other.funding(T0, known_at=later)
            return later

        later = ledger.transact(["bob"], slow)
        assert other.settled == later
        assert sum(row.issued for row in other.funding(T0, known_at=later)) == 3
        assert other.audit(head=other.head, known_at=later) == ()


def test_the_library_works_without_sqlalchemy(tmp_path):
    code = """
import sys
sys.modules["sqlalchemy"] = None
from userops.points import Ledger
from userops.errors import MissingExtraError
Ledger.in_memory().close()
try:
    Ledger.open("points.db")
except MissingExtraError as missing:
    print(missing)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path,
                           env={"PYTHONPATH": str(HERE.parents[2] / "src")})  # fmt: skip
    assert "userops[sql]" in found.stdout
    assert list(tmp_path.iterdir()) == []
