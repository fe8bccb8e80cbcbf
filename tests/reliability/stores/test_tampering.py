"""Whoever changes the database beside the ledger is found out: flip, delete, swap, insert, truncate."""

import shutil
from datetime import UTC, datetime

import pytest
from tests.reliability.stores.attacks import attacks, postgres_database, sqlite_database

from userops.errors import IncompatibleLedger
from userops.points import Earn, Fund, Ledger, Spend
from userops.points.stores import checking
from userops.points.stores.statements import table_order

T0 = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def sound(request, tmp_path_factory):
    """A ledger with rows in every table, to be attacked on each database."""
    if request.param == "postgres":
        return postgres_database(request.getfixturevalue("postgres"))
    return sqlite_database(tmp_path_factory.mktemp("tamper"))


def is_found(url) -> bool:
    try:
        with Ledger.open(url, salt=b"s") as ledger:
            return bool(ledger.audit())
    except IncompatibleLedger:
        return True


def hunt(sound, every, counted):
    tried, refused, missed = 0, 0, []
    for number, (what, statements) in enumerate(attacks(sound)):
        if number % every:
            continue
        url = sound.attacked(statements)
        if url is None:
            refused += 1
            continue
        tried += 1
        if not is_found(url):
            missed.append(what)
    counted(database=sound.name, attacks=tried, stopped_by_the_database=refused, missed=len(missed))
    assert missed == []
    return tried


def test_changed_rows_are_found(sound, counted):
    assert hunt(sound, 7 if sound.name == "sqlite" else 47, counted) >= 6


@pytest.mark.nightly
def test_every_changed_cell_is_found(sound, counted):
    hunt(sound, 1, counted)


def test_a_living_hold_is_not_exchanged_for_one_that_is_over(sound):
    table = "UPDATE ledger_hold SET is_open = 1 - is_open WHERE id IN ('h0', 'h2')"
    url = sound.attacked([(table, [])])
    assert url is not None  # No constraint of the database stands in the way.
    assert is_found(url)


def test_every_table_has_rows_to_attack(sound):
    assert all(sound.rows(table) for table in table_order())


def test_truncation_of_a_file_is_found_against_a_kept_head(tmp_path):
    path, older = tmp_path / "points.db", tmp_path / "older.db"
    with Ledger.open(path) as ledger:
        ledger.add_fund(Fund("sales"))
        ledger.post(Earn(id="e1", member="ann", points=100, fund="sales", at=T0))
    shutil.copy(path, older)
    with Ledger.open(path) as ledger:
        ledger.post(Spend(id="s1", member="ann", points=30, sink="shop", at=T0))
        head, known_at = ledger.head, ledger.settled
        ledger.post(Spend(id="s2", member="ann", points=30, sink="shop", at=T0))
        assert ledger.audit(head=head, known_at=known_at) == ()
    with Ledger.open(older) as ledger:  # As if the last entries had never been.
        assert ledger.audit() == ()  # Nothing inside a database can show it …
        assert [f.kind for f in ledger.audit(head=head, known_at=known_at)] == [
            "truncated"
        ]  # … a kept head can.
        ledger.post(Spend(id="s1", member="ann", points=31, sink="shop", at=T0))
        assert [f.kind for f in ledger.audit(head=head, known_at=known_at)] == ["head"]


@pytest.mark.parametrize("table", [table.name for table in table_order()])
def test_an_emptied_table_is_found(sound, table):
    url = sound.attacked([(f"DELETE FROM {table}", [])])
    assert url is None or is_found(url)


def test_entries_cut_off_consistently_are_found_against_a_kept_head(sound):
    """Everything that tells of the last entry is put back as it was before it, as only a master of the rows can."""
    with Ledger.open(sound.url, salt=b"s") as ledger:
        head, known_at = ledger.head, ledger.settled
    before = {table: sound.rows(table) for table in table_order()}
    url = sound.copy()
    with Ledger.open(url, salt=b"s") as ledger:
        ledger.post(Spend(id="late", member="bob", points=1, sink="shop", at=T0.replace(month=6)))
        late, late_at = ledger.head, ledger.settled
        assert ledger.audit(head=late, known_at=late_at) == ()
        assert ledger.audit(head=head, known_at=known_at) == ()
    sound.put(url, before)
    with Ledger.open(url, salt=b"s") as ledger:
        assert ledger.audit() == ()
        assert ledger.audit(head=head, known_at=known_at) == ()
        assert [f.kind for f in ledger.audit(head=late, known_at=late_at)] in (["truncated"], ["head"])


def test_an_unchained_column_would_be_missed(sound, monkeypatch):
    """The negative control: without the rows' own check, flips in columns that no chain covers pass."""

    def nothing(rows, name):
        yield from ()
        return []

    monkeypatch.setattr(checking, "_chains", nothing)
    flips = [statements for what, statements in attacks(sound) if what.startswith("flip ledger_entry.rule")]
    urls = (sound.attacked(statements) for statements in flips[:3])
    assert any(url is not None and not is_found(url) for url in urls)
