"""PostgreSQL: READ COMMITTED with wallets locked in one order, sequences that nobody waits for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from zlib import crc32

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from userops.errors import IncompatibleLedger, InvalidValue, MissingExtraError, StoreUnavailable
from userops.points.stores.wire import NO_CLAIMS, Wire

#: The class of the advisory locks that tell from which sequence on a transaction may be drawing.
_LOCK_CLASS = 0x75_6F_70
#: The class of the advisory locks on ids of commands, and of the one that stands for all ids.
_ID_CLASS, _ALL_CLASS = _LOCK_CLASS + 1, _LOCK_CLASS + 2
#: Locks are keyed by the low bits of a sequence, or of an id's checksum.
_KEYS = 2**31
#: How long a statement waits for a lock, and for its result.
_LOCK_MILLISECONDS, _STATEMENT_MILLISECONDS = 10_000, 120_000
#: SQLSTATE classes and codes that another try may cure: lost connections, serialization, deadlock, lock
#: timeouts, cancelled statements, a shutdown, and two transactions racing for one new id.
_PASSING = ("08", "40", "55P03", "57", "23505")
_TABLES = """
SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND left(tablename, 7) = 'ledger_'
"""
_DRAW = f"""
WITH last AS MATERIALIZED (
       SELECT last_value - (NOT is_called)::int AS value FROM ledger_sequence),
     told AS MATERIALIZED (
       SELECT pg_advisory_xact_lock_shared({_LOCK_CLASS}, mod(value, {_KEYS})::int) FROM last)
SELECT nextval('ledger_sequence') FROM told, generate_series(1, %s::int)
"""  # noqa: S608 — made of constants
_IN_FLIGHT = f"""
SELECT objid::bigint FROM pg_locks
WHERE locktype = 'advisory' AND classid = {_LOCK_CLASS} AND objsubid = 2
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""  # noqa: S608 — made of constants


class PostgreSQL:
    """A PostgreSQL database: one transaction for each posting, connections from a pool."""

    attempts = 10
    is_gapless = False
    locks_rows = True

    def __init__(self, url: str) -> None:
        """Connect; the URL is kept inside the engine and shown nowhere."""
        try:
            import psycopg
        except ModuleNotFoundError:
            raise MissingExtraError("PostgreSQL needs psycopg: pip install 'userops[postgres]'") from None
        self.error: type[Exception] = psycopg.Error
        try:
            parsed = make_url(url).set(drivername="postgresql+psycopg")
            self._engine = create_engine(
                parsed,
                poolclass=QueuePool,
                pool_size=4,
                max_overflow=60,
                paramstyle="format",
                connect_args={"autocommit": True, "client_encoding": "UTF8"},
            )
        except (ArgumentError, ValueError, TypeError):
            raise InvalidValue("the URL is not one of postgresql+psycopg://user@host/database") from None
        self.dialect = self._engine.dialect
        try:
            with self.connection():
                pass
        except (SQLAlchemyError, self.error) as fault:
            self.close()
            raise StoreUnavailable(f"the database cannot be reached ({self.describe(fault)})") from None

    @contextmanager
    def connection(self) -> Iterator[Wire]:
        """Return a pooled connection; one on which a transaction was left open is dropped."""
        try:
            pooled = self._engine.raw_connection()
        except (SQLAlchemyError, self.error) as fault:
            raise self._bare(fault) from None
        driver: Any = pooled.driver_connection
        try:
            with driver.cursor() as cursor:
                wire = Wire(cursor)
                if "is_set" not in pooled.info:
                    self._set(wire)
                    pooled.info["is_set"] = True
                yield wire
        finally:
            if driver.closed or driver.info.transaction_status != 0:
                pooled.invalidate()
            pooled.close()

    def _bare(self, fault: Exception) -> Exception:
        """Return the driver's kind of error, without the words that may tell of the URL."""
        cause = getattr(fault, "orig", None) or fault
        kind = type(cause) if isinstance(cause, self.error) else self.error
        return kind("no connection")

    def _set(self, wire: Wire) -> None:
        """Make the session safe, whatever the server's defaults are."""
        wire.run("SET synchronous_commit TO on")
        wire.run("SET default_transaction_isolation TO 'read committed'")
        wire.run(f"SET lock_timeout TO {_LOCK_MILLISECONDS}")
        wire.run(f"SET statement_timeout TO {_STATEMENT_MILLISECONDS}")

    def check(self, wire: Wire) -> None:
        """Refuse a database that cannot keep every text, or does not accept writes."""
        if wire.value("SHOW server_encoding") != "UTF8":
            raise IncompatibleLedger("the database's encoding must be UTF8")
        if wire.value("SELECT pg_is_in_recovery()"):
            raise IncompatibleLedger("the server is a standby, which takes no postings; open the primary")
        found = [row[0] for row in wire.rows(_TABLES)]
        if found and "ledger_meta" not in found:
            raise IncompatibleLedger(
                "the schema has tables called ledger_… that are no ledger's; use another schema"
            )

    def has_tables(self, wire: Wire) -> bool:
        """Say whether the ledger's tables are there; one process at a time looks, and makes them."""
        wire.rows(f"SELECT pg_advisory_xact_lock({_LOCK_CLASS})")
        return wire.value("SELECT to_regclass('ledger_meta')") is not None

    def create(self, wire: Wire) -> None:
        """Make the sequence of sequences."""
        wire.run("CREATE SEQUENCE ledger_sequence AS bigint CACHE 1")

    def begin(self, wire: Wire, *, posting: bool, claims: Mapping[str, bool] = NO_CLAIMS) -> None:
        """Begin: to post at READ COMMITTED, because locks decide; to read, one moment."""
        if posting:
            # Claims must be held before an id is looked for; sent along with BEGIN they cost no journey.
            wire.run("; ".join(["BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", *_locks(claims)]))
        else:
            wire.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def claim(self, wire: Wire, claims: Mapping[str, bool]) -> None:
        """Lock ids until the transaction ends."""
        wire.run("; ".join(_locks(claims)))

    def claim_all(self, wire: Wire) -> None:
        """Wait for whoever else claims all ids, and lock them until the transaction ends."""
        wire.run(f"SELECT pg_advisory_xact_lock({_ALL_CLASS}, 0)")

    def end(self, wire: Wire, *, keep: bool) -> None:
        """Commit, or roll back."""
        wire.run("COMMIT" if keep else "ROLLBACK")

    def is_passing(self, error: Exception) -> bool:
        """Say whether another try may help; an error without a code is a connection that was lost."""
        code = getattr(error, "sqlstate", None)
        return code is None or code.startswith(_PASSING)

    def describe(self, error: Exception) -> str:
        """Return the kind and code of an error: the server's words may quote rows."""
        return f"{type(error).__name__} {getattr(error, 'sqlstate', None) or ''}".strip()

    def many(self, values: Sequence[Any]) -> list[Any]:
        """Return a list as an array."""
        return list(values)

    def draw(self, wire: Wire, count: int) -> list[int]:
        """Return new sequences, after telling by a lock that none below the present last will be drawn."""
        return [row[0] for row in wire.rows(_DRAW, (count,))]

    def settled(self, wire: Wire) -> int:
        """Return the greatest sequence below which nothing is in flight.

        The last drawn is read first: who drew up to it is finished, or its lock is still seen, and everything
        that holder draws lies above the lock's key.
        """
        last = wire.value("SELECT last_value - (NOT is_called)::int FROM ledger_sequence")
        floors = [last - (last - key) % _KEYS for (key,) in wire.rows(_IN_FLIGHT)]
        return int(min([last, *floors]))

    def doctor(self, wire: Wire) -> list[str]:
        """Return server settings under which a power cut may take what was acknowledged."""
        return [
            f"{name} is {value}, should be on"
            for name in ("fsync", "full_page_writes", "synchronous_commit")
            if (value := wire.value(f"SHOW {name}")) in ("off", "local")
        ]

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def _locks(claims: Mapping[str, bool]) -> list[str]:
    """Return what locks ids, in one order, so that two transactions never wait for each other's."""
    alone: dict[int, bool] = {}
    for id_, is_alone in claims.items():
        key = crc32(id_.encode("utf-8", "surrogatepass")) % _KEYS
        alone[key] = is_alone or alone.get(key, False)
    return [
        f"SELECT pg_advisory_xact_lock{'' if is_alone else '_shared'}({_ID_CLASS}, {key})"
        for key, is_alone in sorted(alone.items())
    ]
