"""Whoever changes the database beside the ledger is found out: flip, delete, swap, insert, truncate."""

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from userops.errors import IncompatibleLedger
from userops.points import (
    Budget,
    Capture,
    Clawback,
    Earn,
    Expire,
    Fund,
    Hold,
    Ledger,
    Note,
    Reverse,
    Spend,
    Transfer,
)  # fmt: skip
from userops.points.stores import checking

T0 = datetime(2027, 1, 1, tzinfo=UTC)


def furnish(ledger):
    """Post something of every kind, so that every table has rows."""
    day = timedelta(days=1)
    ledger.add_fund(Fund("sales"))
    ledger.add_fund(Fund("tight", budget=Budget(900, per="year")))
    ledger.post(Earn(id="e1", member="ann", points=100, fund="sales", at=T0, expires_at=T0 + 9 * day, rule="shop",
                     reference="o1", event="v1"))  # fmt: skip
    ledger.post(Earn(id="e2", member="bob", points=80, fund="tight", at=T0))
    ledger.post(Spend(id="s1", member="ann", points=30, sink="shop", at=T0 + day))
    ledger.post(Transfer(id="t1", member="ann", to="bob", points=10, at=T0 + day))
    ledger.post(Hold(id="h1", member="ann", points=20, at=T0 + 2 * day))
    ledger.post(Capture(id="c1", hold="h1", points=5, sink="shop", at=T0 + 2 * day))
    ledger.post(Hold(id="h2", member="bob", points=4, at=T0 + 2 * day, expires_at=T0 + 30 * day))
    ledger.post(Reverse(id="r1", entry="s1", points=8, at=T0 + 3 * day))
    ledger.post(Earn(id="e3", member="dan", points=40, fund="sales", at=T0 + 3 * day))
    ledger.post(Spend(id="s3", member="dan", points=40, sink="shop", at=T0 + 3 * day))
    ledger.post(Reverse(id="r3", entry="e3", clawback=Clawback.DEBT, at=T0 + 4 * day))
    ledger.post(Note(id="n1", member="eve", kind="visit", at=T0 + 4 * day))

    def counting(posting):
        posting.post(Note(id="n2", member="eve", kind="visit", at=T0 + 4 * day))
        posting.count("club", 3, 10)

    ledger.transact(["eve"], counting)
    ledger.transact([], lambda posting: posting.count("loose", 2))
    ledger.post(Expire(at=T0 + 10 * day))
    ledger.erase("eve")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    path = tmp_path_factory.mktemp("tamper") / "sound.db"
    with Ledger.open(path, salt=b"s") as ledger:
        furnish(ledger)
        assert ledger.audit() == ()
    return path


def tables(path: Path):
    """Return {table: (columns, number of key columns, rows)}."""
    with closing(sqlite3.connect(path)) as raw:
        names = [row[0] for row in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {}
        for name in names:
            info = raw.execute(f"PRAGMA table_info({name})").fetchall()
            keys = [row[1] for row in info if row[5]]
            found[name] = ([row[1] for row in info], keys, raw.execute(f"SELECT * FROM {name}").fetchall())
    return found


def flipped(value):
    if value is None:
        return 7
    if isinstance(value, int):
        return value + (1 if value < 2**63 - 1 else -1)
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:]
    return value[:-1] + ("1" if value[-1:] != "1" else "2")


def attacks(path: Path):
    """Yield (what is done, statement, parameters), one attack each."""
    for table, (columns, keys, rows) in tables(path).items():
        where = " AND ".join(f"{key} IS ?" for key in keys)
        for place, row in enumerate(rows):
            key = [row[columns.index(name)] for name in keys]
            yield f"delete {table} {key}", [(f"DELETE FROM {table} WHERE {where}", key)]
            for column, value in zip(columns, row, strict=True):
                for other in [flipped(value)] if value is not None else [7, "x"]:
                    statement = f'UPDATE {table} SET "{column}" = ? WHERE {where}'
                    yield f"flip {table}.{column} {key}", [(statement, [other, *key])]
            holes = ", ".join("?" for _ in columns)
            copy = [
                flipped(v) if c in keys or c in ("id", "member") else v
                for c, v in zip(columns, row, strict=True)
            ]
            yield f"insert {table} {key}", [(f"INSERT INTO {table} VALUES ({holes})", copy)]
            other = rows[(place + 1) % len(rows)]
            rest = [name for name in columns if name not in keys and name not in ("id", "member")]
            mine, theirs = ([r[columns.index(name)] for name in rest] for r in (row, other))
            if other is not row and mine != theirs:
                sets = ", ".join(f'"{name}" = ?' for name in rest)
                other_key = [other[columns.index(name)] for name in keys]
                park = [flipped(v) for v in mine]
                update = f"UPDATE {table} SET {sets} WHERE {where}"
                yield f"swap {table} {key} {other_key}", [
                    (update, [*park, *key]), (update, [*mine, *other_key]), (update, [*theirs, *key])
                ]  # fmt: skip


def attacked(path: Path, to: Path, statements) -> bool:
    """Attack a copy; return whether the database itself let it pass."""
    for suffix in ("", "-wal", "-shm"):
        Path(f"{to}{suffix}").unlink(missing_ok=True)
    shutil.copy(path, to)
    raw = sqlite3.connect(to, isolation_level=None)
    try:
        raw.execute("PRAGMA foreign_keys = OFF")
        raw.execute("PRAGMA ignore_check_constraints = ON")
        for statement, parameters in statements:
            raw.execute(statement, parameters)
    except sqlite3.IntegrityError:
        return False  # STRICT or a unique index stood in the way.
    finally:
        raw.close()
    return True


def is_found(path: Path) -> bool:
    try:
        with Ledger.open(path, salt=b"s") as ledger:
            return bool(ledger.audit())
    except IncompatibleLedger:
        return True


def hunt(sound, tmp_path, every, counted):
    tried, refused, missed = 0, 0, []
    for number, (what, statements) in enumerate(attacks(sound)):
        if number % every:
            continue
        if not attacked(sound, tmp_path / "copy.db", statements):
            refused += 1
            continue
        tried += 1
        if not is_found(tmp_path / "copy.db"):
            missed.append(what)
    counted(attacks=tried, stopped_by_the_database=refused, missed=len(missed))
    assert missed == []
    return tried


def test_changed_rows_are_found(sound, tmp_path, counted):
    assert hunt(sound, tmp_path, 7, counted) > 50


@pytest.mark.nightly
def test_every_changed_cell_is_found(sound, tmp_path, counted):
    hunt(sound, tmp_path, 1, counted)


def test_every_table_has_rows_to_attack(sound):
    assert all(rows for _, _, rows in tables(sound).values())


def test_truncation_is_found_against_a_kept_head(tmp_path):
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


def test_an_unchained_column_would_be_missed(sound, tmp_path, monkeypatch):
    """The negative control: without the rows' own check, flips in columns that no chain covers pass."""

    def nothing(rows, name):
        yield from ()
        return []

    monkeypatch.setattr(checking, "_chains", nothing)
    missed = 0
    for what, statements in attacks(sound):
        if what.startswith("flip ledger_entry.rule"):
            missed += attacked(sound, tmp_path / "copy.db", statements) and not is_found(tmp_path / "copy.db")
    assert missed
