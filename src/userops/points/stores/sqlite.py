"""SQLite: one connection for each ledger opened, transactions that lock before they read."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from json import dumps
from os.path import isdir
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from userops.errors import DamagedLedger, IncompatibleLedger, InvalidValue, StoreUnavailable
from userops.points.stores.schema import APPLICATION_ID
from userops.points.stores.wire import NO_CLAIMS, Wire

#: STRICT tables came with this release.
_OLDEST = (3, 37, 0)
#: How long a statement waits for another process's transaction.
_BUSY_SECONDS = 5.0
#: Primary result codes that another try may cure: SQLITE_BUSY, SQLITE_LOCKED, and a constraint, which a
#: transaction that locks before it reads meets only when the file was changed by somebody else.
_PASSING = (5, 6)
#: What no other try cures: SQLITE_CORRUPT and SQLITE_NOTADB.
_CORRUPT, _NO_DATABASE = 11, 26
_SETTINGS = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def _code(error: BaseException) -> int:
    """Return the primary result code of an error, 0 when it has none."""
    return (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def _told(fault: BaseException) -> IncompatibleLedger | None:
    """Return an error that says what to do, where trying again would not help."""
    if _code(fault) == _NO_DATABASE:
        return IncompatibleLedger("the file is not a SQLite database; give the path of a ledger")
    if _code(fault) == _CORRUPT:
        return DamagedLedger("the SQLite file is damaged; restore it from a backup")
    return None


class SQLite:
    """A SQLite file: WAL with every commit synced, STRICT tables, foreign keys and CHECKs."""

    attempts = 4
    is_gapless = True
    locks_rows = False
    error: type[Exception] = sqlite3.Error

    def __init__(self, path: str) -> None:
        """Open the file, or make it."""
        if sqlite3.sqlite_version_info < _OLDEST:
            raise IncompatibleLedger(f"SQLite {sqlite3.sqlite_version} is too old; 3.37 is needed")
        if isdir(path) or not isdir(Path(path).absolute().parent):  # noqa: PTH112 — too long a name is none
            raise InvalidValue(f"a ledger is a file in a folder that is there; {path!r} is not")
        self.dialect = SQLiteDialect_pysqlite(paramstyle="qmark")
        self._path = path
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._closed = False
        #: Whether a call is under way: one made inside it gets a connection of its own.
        self._is_used = False

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(str(Path(self._path).absolute()))}",
            uri=True,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
        except BaseException as fault:
            connection.close()
            told = _told(fault)
            if told is not None:
                raise told from None
            raise
        return connection

    def check(self, wire: Wire) -> None:
        """Refuse a file that holds anything but a ledger, and a disk that cannot keep one safely."""
        tables = [row[0] for row in wire.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
        marked = wire.value("PRAGMA application_id")
        if tables and (marked != APPLICATION_ID or "ledger_meta" not in tables):
            raise IncompatibleLedger(
                "the SQLite file holds something else than a ledger; choose another path"
            )
        if wire.value("PRAGMA journal_mode = WAL") != "wal":
            raise IncompatibleLedger("the file's disk does not support write-ahead logging; choose another")

    @contextmanager
    def connection(self) -> Iterator[Wire]:
        """Return the connection, for one thread at a time; after an error that stays it is made anew."""
        with self._lock:
            if not self._is_used:
                self._drop_if_stuck()  # An interrupt may have come between the last call and its own end.
            if self._connection is None:
                if self._closed:
                    raise StoreUnavailable("the ledger was closed meanwhile")
                self._connection = self._connect()
            if self._connection.in_transaction:
                yield from self._aside()
                return
            cursor, before = self._connection.cursor(), self._is_used
            self._is_used = True
            try:
                yield Wire(cursor)
            except BaseException as fault:
                self._drop_if_stuck()
                told = _told(fault)
                if told is not None:
                    raise told from fault
                raise
            finally:
                self._is_used = before
                if self._connection is not None:
                    cursor.close()  # A statement interrupted half-way would keep the file open.

    def _aside(self) -> Iterator[Wire]:
        """Yield a connection of its own to a call made inside a transaction: it sees what was committed."""
        other = self._connect()
        try:
            yield Wire(other.cursor())
        finally:
            other.close()

    def _drop_if_stuck(self) -> None:
        """Close a connection that a failed roll-back left inside a transaction: closing rolls back."""
        connection = self._connection
        if connection is not None and connection.in_transaction:
            self._connection = (
                None  # First: an interrupt before the next line leaves a connection nobody uses.
            )
            connection.close()

    def begin(self, wire: Wire, *, posting: bool, claims: Mapping[str, bool] = NO_CLAIMS) -> None:
        """Begin; to post, the file is locked first, so that nothing read can be outdated when it is written."""
        del claims  # Who posts has every id to itself.
        wire.run("BEGIN IMMEDIATE" if posting else "BEGIN")

    def end(self, wire: Wire, *, keep: bool) -> None:
        """Commit, or roll back."""
        wire.run("COMMIT" if keep else "ROLLBACK")

    def is_passing(self, error: Exception) -> bool:
        """Say whether the file was only busy."""
        return _code(error) in _PASSING

    def describe(self, error: Exception) -> str:
        """Return SQLite's own words: they name files and columns, never values."""
        return str(error)

    def many(self, values: Sequence[Any]) -> str:
        """Return a list as JSON text."""
        return dumps(values)

    def create(self, wire: Wire) -> None:
        """Mark the file as a ledger."""
        wire.run(f"PRAGMA application_id = {APPLICATION_ID}")

    def has_tables(self, wire: Wire) -> bool:
        """Say whether the ledger's tables are there."""
        return bool(wire.value("SELECT 1 FROM sqlite_master WHERE name = 'ledger_meta'"))

    def claim(self, wire: Wire, claims: Mapping[str, bool]) -> None:
        """Nothing is claimed where the whole file is locked."""

    def claim_all(self, wire: Wire) -> None:
        """Nothing is claimed where the whole file is locked."""

    def draw(self, wire: Wire, count: int) -> list[int]:
        """Sequences are not drawn here: each is the last and one."""
        raise NotImplementedError

    def settled(self, wire: Wire) -> int:
        """Return the last sequence: writers wait for one another, so nothing below it is in flight."""
        return wire.value("SELECT max(sequence) FROM ledger_entry") or 0

    def doctor(self, wire: Wire) -> list[str]:
        """Return settings that are not the safe ones, and damage that SQLite itself sees."""
        found = [
            f"{name} is {value}, should be {safe}"
            for name, safe in _SETTINGS.items()
            if (value := wire.value(f"PRAGMA {name}")) != safe
        ]
        check = wire.value("PRAGMA quick_check")
        return found if check == "ok" else [*found, f"the file is damaged: {check}"]

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._closed = True
            if self._connection is not None:
                self._connection.close()
                self._connection = None
