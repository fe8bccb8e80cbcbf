"""The wire: the one place through which statements reach a database, and what a store asks of its driver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any, Protocol

from sqlalchemy.engine import Dialect

#: Claims of no id.
NO_CLAIMS: Mapping[str, bool] = MappingProxyType({})


class Wire:
    """A connection's cursor. Every statement passes through `run` or `run_many`, so faults can be tried there."""

    def __init__(self, cursor: Any) -> None:
        """Speak through a DB-API cursor."""
        self._cursor = cursor

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        """Run one statement."""
        if parameters:
            self._cursor.execute(statement, parameters)
        else:
            self._cursor.execute(statement)

    def run_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run one statement for many rows of parameters."""
        if len(rows) == 1:
            self.run(statement, rows[0])  # Drivers prepare much for many.
            return
        self._cursor.executemany(statement, rows)

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        self.run(statement, parameters)
        return self._cursor.fetchall()  # type: ignore[no-any-return]

    def value(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        """Return the first value of a query, None when there is no row."""
        # All rows are fetched: a statement left half-way would keep its snapshot, and its connection, open.
        rows = self.rows(statement, parameters)
        return rows[0][0] if rows else None


class Driver(Protocol):
    """What differs between databases."""

    dialect: Dialect
    #: How often a transaction is tried before the store counts as unavailable.
    attempts: int
    #: Sequences are 1, 2, 3, …: writers wait for one another.
    is_gapless: bool
    #: Wallets must be locked before they are read for posting.
    locks_rows: bool
    #: What the database raises.
    error: type[Exception]

    def check(self, wire: Wire) -> None:
        """Refuse what is not a ledger's database, and settings under which one is not safe."""

    def has_tables(self, wire: Wire) -> bool:
        """Say whether the ledger's tables are there."""

    def create(self, wire: Wire) -> None:
        """Do what comes before the tables of a new ledger."""

    def connection(self) -> AbstractContextManager[Wire]:
        """Return a context with a wire to a connection; one that ends in an error may be dropped."""

    def begin(self, wire: Wire, *, posting: bool, claims: Mapping[str, bool] = NO_CLAIMS) -> None:
        """Begin a transaction: to post, with the claims of its ids, or to read one moment."""

    def claim(self, wire: Wire, claims: Mapping[str, bool]) -> None:
        """Claim ids until the transaction ends, where rows are locked: {id: alone, or beside others}.

        Entries and posted `Expire`s stand in two tables, so no unique index keeps an id from standing in both.
        An `Expire` claims its id alone, another command beside others: what they find under the id stays so.
        """

    def claim_all(self, wire: Wire) -> None:
        """Claim all ids of those who claim them so, at the very end of a transaction."""

    def end(self, wire: Wire, *, keep: bool) -> None:
        """Commit, or roll back."""

    def is_passing(self, error: Exception) -> bool:
        """Say whether trying again may help: busy, deadlock, a lost connection, a race for one id."""

    def describe(self, error: Exception) -> str:
        """Return what went wrong in words that show neither a password nor anybody's data."""

    def many(self, values: Sequence[Any]) -> Any:
        """Return a list as one parameter."""

    def draw(self, wire: Wire, count: int) -> list[int]:
        """Return new sequences that grow in the order of commits within each locked wallet."""

    def settled(self, wire: Wire) -> int:
        """Return the greatest sequence below which nothing is in flight."""

    def doctor(self, wire: Wire) -> list[str]:
        """Return unsafe settings."""

    def close(self) -> None:
        """Close every connection."""
