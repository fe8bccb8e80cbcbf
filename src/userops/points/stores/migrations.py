"""Versions of the schema: making a new ledger, lifting an older one, refusing what is not one or is newer."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable

from userops.errors import IncompatibleLedger
from userops.points.stores.schema import DUE, VERSION
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


def _from_1(wire: Wire, dialect: Dialect) -> None:
    """Version 2 finds due lots by an index."""
    wire.run(_ddl(CreateIndex(DUE), dialect))


#: What lifts a ledger of each older version by one.
_STEPS: dict[int, Callable[[Wire, Dialect], None]] = {1: _from_1}


def lift(wire: Wire, sql: Statements, dialect: Dialect) -> None:
    """Bring an older ledger to this version, step by step, in the caller's transaction."""
    version = read_version(wire, sql)
    while version < VERSION:
        _STEPS[version](wire, dialect)
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
    """Refuse a salt that the ledger's members were not committed with; without members any will do."""
    if wire.value(sql.meta, ("salt",)) != salt_check(salt):
        if wire.value(sql.last_wallet) is not None:
            raise IncompatibleLedger("the ledger was made with another salt; open it with that one")
        wire.run(sql.set_meta, (salt_check(salt), "salt"))
