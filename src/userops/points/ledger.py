"""The ledger: the one object that changes, and only by posting."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from userops.core.amounts import whole
from userops.core.calendar import micros
from userops.core.commands import Command
from userops.core.ids import identifier, text
from userops.errors import (
    InvalidValue,
    LedgerClosed,
    MissingExtraError,
    NotSettled,
    Rejected,
    UnknownEntry,
)
from userops.points import reports
from userops.points.books import Books, Store
from userops.points.evidence import Naming, audit, declared_words, heads
from userops.points.fundings import fundings
from userops.points.posting import post
from userops.points.stores.memory import MemoryStore
from userops.points.transaction import (
    Posting,
    RefusedBatch,
    Selection,
    Works,
    balance,
    check_ids,
    declared,
    listed_members,
    lots,
    outcome,
    post_together,
    refuse_to_erase,
)
from userops.points.values import (
    NEVER,
    Balance,
    Currency,
    Entry,
    Explanation,
    Finding,
    Fund,
    FundingRow,
    Lot,
    Receipt,
    Statement,
)

if TYPE_CHECKING:
    from numpy.random import Generator

T = TypeVar("T")


class Ledger:
    """Points as double entries: lots with expiry and funding, holds, reversals, debts.

    >>> from datetime import UTC
    >>> from userops.points import Earn, Spend
    >>> t0 = datetime(2027, 1, 1, tzinfo=UTC)
    >>> with Ledger.in_memory() as ledger:
    ...     ledger.add_fund(Fund("sales"))
    ...     receipt = ledger.post(Earn(id="e1", member="u1", points=100, fund="sales", at=t0))
    ...     receipt = ledger.post(Spend(id="s1", member="u1", points=30, sink="store", at=t0))
    ...     print(receipt.allocations, ledger.balance("u1", as_of=t0).available)
    (('e1', 30),) 70
    """

    def __init__(self, store: Any, *, salt: bytes = b"") -> None:
        """Open a ledger over a store; callers use `in_memory` or `open`."""
        self._store, self._naming = store, Naming(_salt(salt))
        self._works = Works()
        self._is_closed = False
        try:
            self.add_currency(Currency("points"))
        except BaseException:
            self.close()  # Nobody will have a ledger to close.
            raise

    @classmethod
    def in_memory(cls, *, salt: bytes = b"") -> Ledger:
        """Make an empty ledger that lives as long as the process."""
        return cls(MemoryStore(), salt=salt)

    @classmethod
    def open(cls, url: str | PathLike[str], *, salt: bytes = b"", rng: Generator | None = None) -> Ledger:
        """Open a durable ledger, made when it is not there: a SQLite file, or a `postgresql+psycopg://` URL.

        Needs the extra `sql` (`postgres` for PostgreSQL). `salt` must be the one the ledger was made with;
        `rng` draws how long to wait before a transaction is tried again. Unsafe settings are refused.
        """
        _salt(salt)
        try:
            from userops.points.stores.sql import open_store
        except ModuleNotFoundError as missing:
            if (missing.name or "").partition(".")[0] != "sqlalchemy":
                raise
            raise MissingExtraError("durable ledgers need SQLAlchemy: pip install 'userops[sql]'") from None
        return cls(open_store(url, salt, rng), salt=salt)

    # -- Declarations -------------------------------------------------------------------------------------

    @property
    def currencies(self) -> Mapping[str, Currency]:
        """The declared currencies by name; `points` is there from the start."""
        with self._open().reading() as store:
            return dict(store.currencies)

    @property
    def funds(self) -> Mapping[str, Fund]:
        """The declared funds by name."""
        with self._open().reading() as store:
            return dict(store.funds)

    def add_currency(self, currency: Currency) -> None:
        """Declare a currency; the same declaration again does nothing, another one is an error."""
        if not isinstance(currency, Currency):
            raise InvalidValue(f"a Currency was expected, not {type(currency).__name__}")
        self._declare(currency)

    def add_fund(self, fund: Fund) -> None:
        """Declare a fund; the same declaration again does nothing, another one is an error."""
        if not isinstance(fund, Fund):
            raise InvalidValue(f"a Fund was expected, not {type(fund).__name__}")
        self._declare(fund)

    def _declare(self, what: Currency | Fund) -> None:
        there = self._open(to_write=True).declare(what, declared_words(what))
        if there != what:
            fields = [
                name
                for name in ("spendable", "unit_cost", "budget", "kind", "timezone")
                if getattr(there, name, None) != getattr(what, name, None)
            ]
            kind = type(what).__name__.lower()
            raise InvalidValue(f"{kind} {what.name!r} was declared with another {', '.join(fields)}")

    # -- Posting ------------------------------------------------------------------------------------------

    def post(self, command: Command) -> Receipt:
        """Post one command: a `Receipt`, or a `Rejected` that leaves the ledger as it was."""
        return self._open(to_write=True).transact(  # type: ignore[no-any-return]
            (), lambda books: post(books, command, self._naming.generations), (command,)
        )

    def post_all(self, commands: Iterable[Command], *, atomic: bool = True) -> list[Receipt | Rejected]:
        """Post commands in order, later ones seeing earlier ones; one outcome per command.

        With `atomic`, all are posted or none: when one is refused the others carry `NotPosted`.
        """
        try:
            commands = list(commands)
        except TypeError:
            raise InvalidValue(f"commands must be a list, not {type(commands).__name__}") from None
        if not isinstance(atomic, bool):
            raise InvalidValue(f"atomic must be True or False, not {type(atomic).__name__}")
        if not atomic:
            return [outcome(self.post, command) for command in commands]
        try:
            return self._open(to_write=True).transact(  # type: ignore[no-any-return]
                (),
                lambda books: post_together(Posting(books, self._naming.generations), commands),
                commands,
            )
        except RefusedBatch as refused:
            return refused.outcomes

    def transact(self, members: Iterable[str], work: Callable[[Posting], T]) -> T:
        """Run `work` in one transaction under the members' locks: all it posted is kept, or nothing.

        `work` may be run again when the store asks for it, so it must only read and post, with what it is given.
        """
        return self._open(to_write=True).transact(  # type: ignore[no-any-return]
            listed_members(members),
            lambda books: self._works.run(work, Posting(books, self._naming.generations)),
            (),
        )

    def quote(self, command: Command) -> Receipt:
        """Return what posting a command would give; nothing is posted."""
        with self._open().reading() as store:
            return post(Books(store), command, self._naming.generations)

    # -- Reading ------------------------------------------------------------------------------------------

    def balance(
        self, member: str, as_of: datetime, *, known_at: int | None = None, currency: str = "points"
    ) -> Balance:
        """Return a member's points at an instant, as known at a place in the recording."""
        at, known_at = micros(as_of, "as_of"), _known_at(known_at)
        with self._open().reading() as store:
            return balance(declared(store, currency), identifier(member, "member"), currency, at, known_at)

    def lots(
        self, member: str, as_of: datetime, *, known_at: int | None = None, currency: str = "points"
    ) -> tuple[Lot, ...]:
        """Return the lots that have points at an instant, in the order in which they are spent."""
        at, known_at = micros(as_of, "as_of"), _known_at(known_at)
        with self._open().reading() as store:
            return lots(declared(store, currency), identifier(member, "member"), currency, at, known_at)

    def entries(
        self,
        member: str | None = None,
        *,
        kind: str | None = None,
        rule: str | None = None,
        event: str | None = None,
        reference: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        as_of: datetime | None = None,
        known_at: int | None = None,
        currency: str | None = None,
    ) -> tuple[Entry, ...]:
        """Return entries in order of recording, `[start, end)` and up to `as_of` by the time they took effect."""
        known_at = self._settled_at(known_at) if member is None else _known_at(known_at)
        check_ids(member=member, kind=kind, rule=rule, event=event, reference=reference)
        chosen = Selection(kind, start, end, as_of, known_at, currency)
        with self._open().reading() as store:
            if currency is not None:
                declared(store, currency)
            found = store.entries(member, rule=rule, event=event, reference=reference)
            return tuple(entry for entry in found if chosen.takes(entry))

    def statement(
        self,
        member: str,
        start: datetime,
        end: datetime,
        *,
        known_at: int | None = None,
        currency: str = "points",
    ) -> Statement:
        """Return what happened to a member's points in `[start, end)`: closing = opening + lines."""
        first, last, known_at = micros(start, "start"), micros(end, "end"), _known_at(known_at)
        if last < first:
            raise InvalidValue("end must not lie before start")
        with self._open().reading() as store:
            declared(store, currency)
            entries = store.entries(identifier(member, "member"))
            return reports.statement(member, currency, entries, first, last, known_at=known_at)

    def funding(self, as_of: datetime, *, known_at: int | None = None) -> tuple[FundingRow, ...]:
        """Return where the points of every fund are at an instant."""
        at, known_at = micros(as_of, "as_of"), self._settled_at(known_at)
        with self._open().reading() as store:
            return reports.funding(store.entries(), at, known_at)

    def fundings(
        self, instants: Iterable[datetime], *, known_at: int | None = None
    ) -> list[tuple[FundingRow, ...]]:
        """Return `funding` at each of several rising instants; the entries are read once for all of them."""
        ats, known_at = [micros(at, "as_of") for at in instants], self._settled_at(known_at)
        if not ats or ats != sorted(set(ats)):
            raise InvalidValue("instants must rise, and there must be one")
        with self._open().reading() as store:
            return fundings(store.entries(), ats, known_at)

    def trial_balance(self, as_of: datetime, *, known_at: int | None = None) -> dict[tuple[str, str], int]:
        """Return {(account, currency): points} at an instant; per currency it sums to zero."""
        at, known_at = micros(as_of, "as_of"), self._settled_at(known_at)
        with self._open().reading() as store:
            return reports.trial_balance(store.entries(), at, known_at)

    def explain(self, entry: str) -> Explanation:
        """Say what an entry did."""
        with self._open().reading() as store:
            found = store.entry(identifier(entry, "entry"))
        if found is None:
            raise UnknownEntry(f"no entry {entry!r}", entry=entry)
        return reports.explain(found)

    # -- Evidence -----------------------------------------------------------------------------------------

    @property
    def settled(self) -> int:
        """The greatest sequence below which nothing is in flight."""
        return int(self._open().settled())

    @property
    def head(self) -> str:
        """The root over every wallet's chain and the chain of declarations; any change of the past changes it."""
        settled = self.settled
        with self._open().reading() as store:
            return heads(store, self._naming, settled, store.tips(settled))[-1]

    def audit(self, *, head: str | None = None, known_at: int | None = None) -> tuple[Finding, ...]:
        """Prove the books again from the entries; return findings, none when they are sound.

        `head`, kept from when `known_at` was the last sequence, also shows entries that were cut off.
        """
        if head is not None:
            text(head, "head")
        settled = self.settled
        at = settled if known_at is None else whole(known_at, "known_at", at_least=0)
        with self._open().reading() as store:
            return audit(store, self._naming, settled, at, head)

    def doctor(self) -> tuple[Finding, ...]:
        """Return unsafe settings of the store."""
        return tuple(Finding("setting", "", message) for message in self._open().doctor())

    def erase(self, member: str, *, as_of: datetime | None = None) -> str:
        """Replace a member's id by its commitment in the whole ledger; return what stands for it now.

        Refused while a hold is open at `as_of`, the present (else the latest instant of the wallet's entries).
        The balance stays in the nameless wallet and expires in its time; a retry of an old command is still
        recognised, and so is asking again; the id used again opens a new wallet.
        """
        at, naming = micros(as_of, "as_of") if as_of is not None else -NEVER, self._naming
        with self._open(to_write=True).reading() as store:
            erased = naming.generations(store, identifier(member, "member"))
            if erased and store.wallet(member) is None:
                return erased[-1]

        def erased_name(store: Store) -> str:
            refuse_to_erase(store.wallet(member), member, at)
            return naming.name(store, member)

        return self._open().rename(member, erased_name)  # type: ignore[no-any-return]

    def _settled_at(self, known_at: int | None) -> int | None:
        """Return a place in the recording; what all wallets were up to it must never change again."""
        known_at = _known_at(known_at)
        if known_at is not None and known_at > self.settled:
            raise NotSettled(f"known_at is {known_at}, settled is {self.settled}")
        return known_at

    def _open(self, *, to_write: bool = False) -> Any:
        if to_write:
            self._works.refuse()
        if self._is_closed:
            raise LedgerClosed("the ledger is closed")
        return self._store

    def close(self) -> None:
        """Give up the store; any later call raises `LedgerClosed`."""
        if not self._is_closed:
            self._is_closed = True
            self._store.close()

    def __enter__(self) -> Ledger:
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _known_at(known_at: int | None) -> int | None:
    return None if known_at is None else whole(known_at, "known_at", at_least=0)


def _salt(salt: bytes) -> bytes:
    if not isinstance(salt, bytes):
        raise InvalidValue("salt must be bytes")
    return salt
