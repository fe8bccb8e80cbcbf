"""The ledger: the one object that changes, and only by posting."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, TypeVar

from userops.core.amounts import whole
from userops.core.calendar import micros
from userops.core.commands import Command
from userops.core.ids import identifier, text
from userops.errors import (
    AlreadyResolved,
    InvalidValue,
    LedgerClosed,
    NotSettled,
    Rejected,
    UnknownEntry,
)
from userops.points import auditing, chain, reports
from userops.points.books import Books
from userops.points.issuing import check_currency
from userops.points.posting import post
from userops.points.stores.memory import MemoryStore
from userops.points.transaction import (
    Posting,
    RefusedBatch,
    Selection,
    balance,
    lots,
    members_of,
    outcome,
    post_together,
)
from userops.points.values import (
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
        if not isinstance(salt, bytes):
            raise InvalidValue("salt must be bytes")
        self._store = store
        self._salt = salt
        self._is_closed = False
        if "points" not in store.currencies:
            store.declare(Currency("points"), ("currency", "points", "True"))

    @classmethod
    def in_memory(cls, *, salt: bytes = b"") -> Ledger:
        """Make an empty ledger that lives as long as the process."""
        return cls(MemoryStore(), salt=salt)

    # -- Declarations -------------------------------------------------------------------------------------

    @property
    def currencies(self) -> Mapping[str, Currency]:
        """The declared currencies by name; `points` is there from the start."""
        return dict(self._open().currencies)

    @property
    def funds(self) -> Mapping[str, Fund]:
        """The declared funds by name."""
        return dict(self._open().funds)

    def add_currency(self, currency: Currency) -> None:
        """Declare a currency; the same declaration again does nothing, another one is an error."""
        if not isinstance(currency, Currency):
            raise InvalidValue(f"a Currency was expected, not {type(currency).__name__}")
        words = ("currency", currency.name, str(currency.spendable))
        self._declare(currency, self._open().currencies.get(currency.name), words)

    def add_fund(self, fund: Fund) -> None:
        """Declare a fund; the same declaration again does nothing, another one is an error."""
        if not isinstance(fund, Fund):
            raise InvalidValue(f"a Fund was expected, not {type(fund).__name__}")
        budget = ("", "") if fund.budget is None else (str(fund.budget.points), fund.budget.per)
        words = ("fund", fund.name, str(fund.unit_cost), fund.kind, fund.timezone, *budget)
        self._declare(fund, self._open().funds.get(fund.name), words)

    def _declare(self, what: Currency | Fund, before: Currency | Fund | None, words: tuple[str, ...]) -> None:
        if before is None:
            self._open().declare(what, words)
        elif before != what:
            kind = type(what).__name__.lower()
            fields = [
                name
                for name in ("spendable", "unit_cost", "budget", "kind", "timezone")
                if getattr(before, name, None) != getattr(what, name, None)
            ]
            raise InvalidValue(f"{kind} {what.name!r} was declared with another {', '.join(fields)}")

    # -- Posting ------------------------------------------------------------------------------------------

    def post(self, command: Command) -> Receipt:
        """Post one command: a `Receipt`, or a `Rejected` that leaves the ledger as it was."""
        return self.transact(members_of(command), lambda posting: posting.post(command))

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
        members = sorted({member for command in commands for member in members_of(command)})
        try:
            return self.transact(members, lambda posting: post_together(posting, commands))
        except RefusedBatch as refused:
            return refused.outcomes

    def transact(self, members: Iterable[str], work: Callable[[Posting], T]) -> T:
        """Run `work` in one transaction under the members' locks: all it posted is kept, or nothing.

        `work` may be run again when the store asks for it, so it must only read and post.
        """
        try:
            named = sorted({identifier(member, "member") for member in _listed(members)})
        except TypeError:
            raise InvalidValue(f"members must be a list of ids, not {type(members).__name__}") from None
        return self._open().transact(  # type: ignore[no-any-return]
            named, lambda books: work(Posting(books, self._generations))
        )

    def quote(self, command: Command) -> Receipt:
        """Return what posting a command would give; nothing is posted."""
        with self._open().reading():
            return post(Books(self._store), command, self._generations)

    # -- Reading ------------------------------------------------------------------------------------------

    def balance(
        self, member: str, as_of: datetime, *, known_at: int | None = None, currency: str = "points"
    ) -> Balance:
        """Return a member's points at an instant, as known at a place in the recording."""
        at, known_at = micros(as_of, "as_of"), _known_at(known_at)
        with self._open().reading():
            books = Books(self._store)
            check_currency(books, identifier(currency, "currency"))
            return balance(books, identifier(member, "member"), currency, at, known_at)

    def lots(
        self, member: str, as_of: datetime, *, known_at: int | None = None, currency: str = "points"
    ) -> tuple[Lot, ...]:
        """Return the lots that have points at an instant, in the order in which they are spent."""
        at, known_at = micros(as_of, "as_of"), _known_at(known_at)
        with self._open().reading():
            books = Books(self._store)
            check_currency(books, identifier(currency, "currency"))
            return lots(books, identifier(member, "member"), currency, at, known_at)

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
        if member is None:
            self._check_settled(known_at)
        words = {"member": member, "kind": kind, "rule": rule, "event": event, "reference": reference}
        for name, value in words.items():
            if value is not None:
                identifier(value, name)
        chosen = Selection(kind, start, end, as_of, _known_at(known_at), currency)
        with self._open().reading():
            if currency is not None:
                check_currency(Books(self._store), identifier(currency, "currency"))
            found = self._store.entries(member, rule=rule, event=event, reference=reference)
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
        first, last = micros(start, "start"), micros(end, "end")
        if last < first:
            raise InvalidValue("end must not lie before start")
        with self._open().reading():
            check_currency(Books(self._store), identifier(currency, "currency"))
            entries = self._store.entries(identifier(member, "member"))
            return reports.statement(member, currency, entries, first, last, known_at=_known_at(known_at))

    def funding(self, as_of: datetime, *, known_at: int | None = None) -> tuple[FundingRow, ...]:
        """Return where the points of every fund are at an instant."""
        self._check_settled(known_at)
        with self._open().reading():
            return reports.funding(
                self._store.members(), self._store.entries, micros(as_of, "as_of"), known_at
            )

    def trial_balance(self, as_of: datetime, *, known_at: int | None = None) -> dict[tuple[str, str], int]:
        """Return {(account, currency): points} at an instant; per currency it sums to zero."""
        self._check_settled(known_at)
        with self._open().reading():
            return reports.trial_balance(
                self._store.members(), self._store.entries, micros(as_of, "as_of"), known_at
            )

    def explain(self, entry: str) -> Explanation:
        """Say what an entry did."""
        found = self._open().entry(identifier(entry, "entry"))
        if found is None:
            raise UnknownEntry(f"no entry {entry!r}", entry=entry)
        return reports.explain(found)

    # -- Evidence -----------------------------------------------------------------------------------------

    @property
    def settled(self) -> int:
        """The greatest sequence below which nothing is in flight."""
        return int(self._open().last_sequence())

    @property
    def head(self) -> str:
        """The root over every wallet's chain and the chain of declarations; any change of the past changes it."""
        return self._heads(self.settled)[-1]

    def _heads(self, known_at: int) -> list[str]:
        """Return the heads that the ledger had while `known_at` was the last sequence, in order."""
        with self._open().reading():
            chains = []
            for member in self._store.members():
                entries = [e for e in self._store.entries(member) if e.sequence <= known_at]
                if entries:
                    chains.append((self._name(member), len(entries), chain.tip_of(entries, self._name)))
            heads, tip = [chain.root([*chains, ("declarations", 0, chain.EMPTY_TIP)])], chain.EMPTY_TIP
            for count, (after, words) in enumerate(self._store.declarations, start=1):
                if after > known_at:
                    break
                tip = chain.extend(tip, chain.canonical(words))
                if after < known_at:
                    heads.clear()
                heads.append(chain.root([*chains, ("declarations", count, tip)]))
            return heads

    def audit(self, *, head: str | None = None, known_at: int | None = None) -> tuple[Finding, ...]:
        """Prove the books again from the entries; return findings, none when they are sound.

        `head`, kept from when `known_at` was the last sequence, also shows entries that were cut off.
        """
        with self._open().reading():
            findings = list(auditing.audit(self._store))
            if head is not None:
                text(head, "head")
                at = self.settled if known_at is None else whole(known_at, "known_at", at_least=0)
                if at > self.settled:
                    findings.append(
                        Finding("truncated", "", f"{at} entries were known, {self.settled} are there")
                    )
                elif head not in self._heads(at):
                    findings.append(Finding("head", "", "the entries known then are not the ones here now"))
            return tuple(findings)

    def doctor(self) -> tuple[Finding, ...]:
        """Return unsafe settings of the store."""
        return tuple(Finding("setting", "", message) for message in self._open().doctor())

    def erase(self, member: str) -> str:
        """Replace a member's id by its commitment in the whole ledger; return what stands for it now.

        Refused while a hold is open. The balance stays in the nameless wallet and expires in its time; a
        retry of an old command is still recognised; the id used again opens a new wallet.
        """
        wallet = self._open().wallet(identifier(member, "member"))
        if wallet is None or member.startswith(chain.ERASED):
            raise InvalidValue("no such member to erase")
        holds = [hold.id for hold in wallet.holds if hold.is_live(wallet.latest)]
        if holds:
            raise AlreadyResolved(f"a hold is open: {holds[0]!r}; capture or release it first", hold=holds[0])
        erased = chain.commitment(self._salt, member, len(self._generations(member)))
        self._store.rename(member, erased, ("erased", erased))
        return erased

    def _generations(self, member: str) -> list[str]:
        """Return the names under which erased wallets of this id stand."""
        names: list[str] = []
        while True:
            name = chain.commitment(self._salt, member, len(names))
            if self._store.wallet(name) is None:
                return names
            names.append(name)

    def _name(self, member: str) -> str:
        if member.startswith(chain.ERASED):
            return member
        return chain.commitment(self._salt, member, len(self._generations(member)))

    def _check_settled(self, known_at: int | None) -> None:
        if known_at is not None and whole(known_at, "known_at", at_least=0) > self.settled:
            raise NotSettled(f"known_at is {known_at}, settled is {self.settled}")

    # -- Closing ------------------------------------------------------------------------------------------

    def _open(self) -> Any:
        if self._is_closed:
            raise LedgerClosed("the ledger is closed")
        return self._store

    def close(self) -> None:
        """Give up the store; any later call raises `LedgerClosed`."""
        if not self._is_closed:
            self._is_closed = True
            self._store.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _listed(members: Iterable[str]) -> Iterable[str]:
    """Refuse one text, whose letters would be taken for ids."""
    if isinstance(members, str | bytes):
        raise TypeError
    return members


def _known_at(known_at: int | None) -> int | None:
    return None if known_at is None else whole(known_at, "known_at", at_least=0)
