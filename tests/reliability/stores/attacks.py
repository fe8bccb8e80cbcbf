"""Attacks on a ledger's database behind the ledger's back, on both databases: flip, delete, swap, insert, set."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from attrs import frozen
from sqlalchemy import LargeBinary, Table, Text

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
)
from userops.points.stores.statements import table_order

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
    ledger.post(Hold(id="h0", member="bob", points=4, at=T0 + day, expires_at=T0 + 1.5 * day))
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


@frozen
class Database:
    """A sound ledger, and how somebody with every right on its database gets at a copy of it."""

    name: str
    #: Where the sound ledger is; what copies it; what connects to a copy without the database's own checks.
    url: str
    copy: Callable[[], str]
    connect: Callable[[str], Any]
    #: What the driver raises when the database stands in the way all the same.
    error: type[Exception]
    #: How the driver marks a parameter.
    mark: str

    def rows(self, table: Table) -> list[tuple[Any, ...]]:
        names = ", ".join(f'"{column.name}"' for column in table.columns)
        keys = ", ".join(f'"{column.name}"' for column in table.primary_key)
        with closing(self.connect(self.url)) as raw:
            return [
                tuple(row)
                for row in raw.execute(f"SELECT {names} FROM {table.name} ORDER BY {keys}").fetchall()
            ]

    def attacked(self, statements: list[tuple[str, list[Any]]]) -> str | None:
        """Attack a copy; return where it is, or nothing when the database itself did not let it pass."""
        url = self.copy()
        with closing(self.connect(url)) as raw:
            try:
                for statement, parameters in statements:
                    raw.execute(statement.replace("?", self.mark), parameters)
            except self.error:
                return None
        return url

    def put(self, url: str, rows: dict[Table, list[tuple[Any, ...]]]) -> None:
        """Make the tables hold these rows, and no others."""
        with closing(self.connect(url)) as raw:
            for table, kept in rows.items():
                raw.execute(f"DELETE FROM {table.name}")
                holes = ", ".join(self.mark for _ in table.columns)
                for row in kept:
                    raw.execute(f"INSERT INTO {table.name} VALUES ({holes})", row)


def sqlite_database(folder: Path) -> Database:
    path = folder / "sound.db"
    with Ledger.open(path, salt=b"s") as ledger:
        furnish(ledger)
        assert ledger.audit() == ()

    def copy() -> str:
        for suffix in ("", "-wal", "-shm"):
            (folder / f"copy.db{suffix}").unlink(missing_ok=True)
        return shutil.copy(path, str(folder / "copy.db"))

    def connect(where: str) -> sqlite3.Connection:
        raw = sqlite3.connect(where, isolation_level=None)
        raw.execute("PRAGMA foreign_keys = OFF")
        raw.execute("PRAGMA ignore_check_constraints = ON")
        return raw

    return Database("sqlite", str(path), copy, connect, sqlite3.IntegrityError, "?")


def postgres_database(server: Any) -> Database:
    import psycopg

    url = server.new()
    with Ledger.open(url, salt=b"s") as ledger:
        furnish(ledger)
        assert ledger.audit() == ()
    name = url.rpartition("/")[2]

    def copy() -> str:
        server.sql("DROP DATABASE IF EXISTS attacked WITH (FORCE)")
        server.sql(f"CREATE DATABASE attacked TEMPLATE {name} STRATEGY file_copy")
        return server.url("attacked")

    def connect(where: str) -> Any:
        raw = psycopg.connect(where.replace("+psycopg", ""), autocommit=True)
        raw.execute("SET session_replication_role = replica")  # Foreign keys are not looked after.
        return raw

    return Database("postgres", url, copy, connect, psycopg.Error, "%s")


def _flipped(value: Any) -> Any:
    if isinstance(value, int):
        return value + (1 if value < 2**63 - 1 else -1)
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:]
    return value[:-1] + ("1" if value[-1:] != "1" else "2")


def attacks(database: Database) -> Iterator[tuple[str, list[tuple[str, list[Any]]]]]:
    """Yield (what is done, statements with their parameters), one attack each."""
    for table in table_order():
        rows = database.rows(table)
        for place, row in enumerate(rows):
            yield from _attacks_on(table, row, rows[(place + 1) % len(rows)])


def _attacks_on(table: Table, row: Any, other: Any) -> Iterator[tuple[str, list[tuple[str, list[Any]]]]]:
    name, columns = table.name, [column.name for column in table.columns]
    keys = [column.name for column in table.primary_key]
    where = " AND ".join(f"{key} = ?" for key in keys)
    key, other_key = ([one[columns.index(column)] for column in keys] for one in (row, other))
    yield f"delete {name} {key}", [(f"DELETE FROM {name} WHERE {where}", key)]
    for column, value in zip(table.columns, row, strict=True):
        for new in [_flipped(value)] if value is not None else ["7", "x"]:
            statement = f'UPDATE {name} SET "{column.name}" = ? WHERE {where}'
            yield f"flip {name}.{column.name} {key}", [(statement, [new, *key])]
    holes = ", ".join("?" for _ in columns)
    named = {*keys, "id", "member"}
    copied = [_flipped(v) if c in named and v is not None else v for c, v in zip(columns, row, strict=True)]
    yield f"insert {name} {key}", [(f"INSERT INTO {name} VALUES ({holes})", copied)]
    rest = [column for column in columns if column not in named]
    mine, theirs = ([one[columns.index(column)] for column in rest] for one in (row, other))
    if mine != theirs:
        # Unique columns are parked first: at no moment may two rows have the same.
        park = [v if v is None else _flipped(v) for v in mine]
        sets = ", ".join(f'"{column}" = ?' for column in rest)
        update = f"UPDATE {name} SET {sets} WHERE {where}"
        yield f"swap {name} {key} {other_key}", [
            (update, [*park, *key]), (update, [*mine, *other_key]), (update, [*theirs, *key])
        ]  # fmt: skip


#: Texts that are not what any column of the ledger keeps.
NONSENSE = ("", "{", "null", "[1]", "[[1,2,3]]", '["x"]', "1e400000", "[" * 5_000)


def nonsense(
    database: Database, texts: tuple[str, ...] = NONSENSE
) -> Iterator[tuple[str, list[tuple[str, list[Any]]]]]:
    """Yield attacks that put a text which cannot be read into every column of texts, in every row."""
    for table in table_order():
        keys = [column.name for column in table.primary_key]
        where = " AND ".join(f"{key} = ?" for key in keys)
        places = {column.name: place for place, column in enumerate(table.columns)}
        for row in database.rows(table):
            key = [row[places[name]] for name in keys]
            for column in table.columns:
                if isinstance(column.type, Text) and not isinstance(column.type, LargeBinary):
                    for text in texts:
                        if text != row[places[column.name]]:
                            statement = f'UPDATE {table.name} SET "{column.name}" = ? WHERE {where}'
                            yield (
                                f"set {table.name}.{column.name} {key} to {text[:9]}",
                                [(statement, [text, *key])],
                            )
