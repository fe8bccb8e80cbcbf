"""Versions of the schema: making a new ledger, lifting an older one, refusing what is not one or is newer."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import bindparam, update
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable

from userops.errors import IncompatibleLedger
from userops.points import recording
from userops.points.stores.rows import UNREADABLE, damaged
from userops.points.stores.schema import DUE, LOTS, RULE, VERSION, entry
from userops.points.stores.statements import Statements, table_order
from userops.points.stores.wire import Wire


def create(wire: Wire, sql: Statements, dialect: Dialect, salt: bytes) -> None:
    """Make the tables of an empty ledger."""
    for table in table_order():
        wire.run(_ddl(CreateTable(table), dialect))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            wire.run(_ddl(CreateIndex(index), dialect))
    rows = {"version": str(VERSION), "salt": salt_check(salt), "declarations": "0", "sweeps": "0"}
    wire.run_many(sql.insert["ledger_meta"], list(rows.items()))


def _ddl(statement: Any, dialect: Dialect) -> str:
    return str(statement.compile(dialect=dialect))


def salt_check(salt: bytes) -> str:
    """Return what shows a wrong salt; the salt itself is stored nowhere."""
    return hmac.digest(salt, b"userops ledger", "sha256").hex()


def _from_1(wire: Wire, sql: Statements, dialect: Dialect) -> None:
    """Version 2 finds due lots by an index."""
    del sql, dialect
    wire.run("CREATE INDEX ledger_lot_due ON ledger_lot (expires_at) WHERE remaining > written")


def _type_of(dialect: Dialect) -> str:
    """Return what a dialect calls the type of whole numbers."""
    return str(entry.c.at.type.compile(dialect=dialect))


def _from_2(wire: Wire, sql: Statements, dialect: Dialect) -> None:
    """Version 3 keeps beside an entry when it took effect, and finds a rule's entries of a period."""
    wire.run(f"ALTER TABLE ledger_entry ADD COLUMN at {_type_of(dialect)} NOT NULL DEFAULT 0")
    values = {"at": bindparam("new_at", type_=entry.c.at.type)}
    put = _ddl(update(entry).where(entry.c.sequence == bindparam("key")).values(values), dialect)
    after = -1
    while page := wire.rows(sql.entries, (after,)):
        wire.run_many(put, [(_instant_of(row), row[0]) for row in page])
        after = page[-1][0]
    wire.run("DROP INDEX ledger_entry_rule")
    wire.run(_ddl(CreateIndex(RULE), dialect))


def _from_3(wire: Wire, sql: Statements, dialect: Dialect) -> None:
    """Version 4 finds a wallet's open lots and its closed ones by one index; what never expires is never due."""
    del sql
    for name in ("ledger_lot_open", "ledger_lot_wallet", "ledger_lot_due"):
        wire.run(f"DROP INDEX {name}")
    for index in (LOTS, DUE):
        wire.run(_ddl(CreateIndex(index), dialect))


def _instant_of(row: Sequence[Any]) -> int:
    try:
        return recording.instant_of(row[-1])
    except UNREADABLE:
        raise damaged("entry", row[1]) from None


#: What lifts a ledger of each older version by one.
_STEPS: dict[int, Callable[[Wire, Statements, Dialect], None]] = {1: _from_1, 2: _from_2, 3: _from_3}


def lift(wire: Wire, sql: Statements, dialect: Dialect) -> None:
    """Bring an older ledger to this version, step by step, in the caller's transaction."""
    version = read_version(wire, sql)
    while version < VERSION:
        _STEPS[version](wire, sql, dialect)
        version += 1
        wire.run(sql.set_meta, (str(version), "version"))


def read_version(wire: Wire, sql: Statements) -> int:
    """Return a ledger's schema version, refusing one that this code does not know."""
    text = wire.value(sql.meta, ("version",))
    if text is None or not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 10_000:
        raise IncompatibleLedger(
            "the ledger does not say which schema version it has; restore it from a backup"
        )
    version = int(text)
    if version > VERSION:
        raise IncompatibleLedger(
            f"the ledger has schema version {version}, this userops knows up to {VERSION}; upgrade userops"
        )
    return version


def check_salt(wire: Wire, sql: Statements, salt: bytes) -> None:
    """Refuse a salt that the ledger was not made with; as long as nothing was declared in it any will do.

    Another process may have it open with its own salt, and commit members with that as soon as it posts.
    """
    if wire.value(sql.meta, ("salt",)) != salt_check(salt):
        if wire.value(sql.meta, ("declarations",)) not in ("0", "1"):  # `points` is there from the start.
            raise IncompatibleLedger("the ledger was made with another salt; open it with that one")
        wire.run(sql.set_meta, (salt_check(salt), "salt"))
