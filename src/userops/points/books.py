"""The books: what posting reads and changes, over any store, with every change buffered until commit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from userops.core.calendar import micros
from userops.core.commands import Command, Transfer
from userops.errors import UnknownCurrency, UnknownFund
from userops.points.history import History
from userops.points.values import Currency, Entry, Finding, Fund, LotState, Receipt
from userops.points.wallet import HoldState, Wallet, with_lots

#: (fund, period): what a budget counts together.
Period = tuple[str, str]
#: From an instant until just before another, in microseconds since 1970.
Span = tuple[int, int]


class Store(Protocol):
    """What a store answers inside one transaction, or one reading: all of it is of one moment."""

    @property
    def currencies(self) -> Mapping[str, Currency]: ...
    @property
    def funds(self) -> Mapping[str, Fund]: ...
    def wallet(self, member: str) -> Wallet | None: ...
    def lot(self, lot: str) -> LotState | None: ...
    def wallet_lots(self, member: str, alive_at: int | None = None) -> Iterable[LotState]: ...
    def hold(self, hold: str) -> HoldState | None: ...
    def entry(self, entry: str) -> Entry | None: ...
    def knows(self, id_: str) -> bool:
        """Say whether a command with this id was posted: an entry, or an `Expire` that made others."""

    def sweep(self, id_: str) -> tuple[Command, Receipt] | None: ...
    def undone(self, entry: str) -> int: ...
    def undone_of(self, entries: Sequence[str]) -> Mapping[str, int]: ...
    def issued(self, period: Period) -> int: ...
    def counter(self, name: str) -> int: ...
    def last_sequence(self) -> int: ...
    def next_sequence(self, recorded: int) -> int:
        """Return the sequence of the next entry, after `recorded` others of the same transaction."""

    @property
    def is_gapless(self) -> bool:
        """Say whether sequences are 1, 2, 3, …; where writers do not wait for one another they may skip."""

    @property
    def declarations(self) -> Sequence[tuple[int, tuple[str, ...]]]:
        """The chain of declarations and erasures: the sequence each followed, and its words."""

    def tips(self, known_at: int) -> Iterable[tuple[str, int, bytes]] | None:
        """Return the (commitment, length, tip) of every wallet, where chains are kept; else None."""

    def open_lots(self, member: str) -> Iterable[LotState]:
        """Return the lots of a wallet that have points no expiry was written for."""

    def due_members(self, until: int) -> Iterable[str]:
        """Return the members for whom an expiry may be due."""

    def findings(self, name: Callable[[str], str]) -> Iterable[Finding]:
        """Yield what an audit of the rows themselves finds, where there are rows."""

    def members(self) -> Iterable[str]: ...
    def entries(
        self,
        member: str | None = None,
        *,
        rule: str | None = None,
        event: str | None = None,
        reference: str | None = None,
        within: Span | None = None,
    ) -> Iterable[Entry]: ...


class Changes:
    """What a transaction changes: written to a store together, or not at all."""

    __slots__ = (
        "counter_limits", "counters", "entries", "holds", "issued", "lots", "sweeps", "undone", "wallets",
    )  # fmt: skip

    def __init__(self) -> None:
        """Begin without any."""
        self.entries: list[Entry] = []
        self.wallets: dict[str, Wallet] = {}
        self.lots: dict[str, LotState] = {}
        self.holds: dict[str, HoldState] = {}
        self.sweeps: dict[str, tuple[Command, Receipt]] = {}
        self.undone: dict[str, int] = {}
        #: Differences to be added, so that a store can update conditionally.
        self.issued: dict[Period, int] = {}
        self.counters: dict[str, int] = {}
        #: The bounds that a counter's value must keep at commit.
        self.counter_limits: dict[str, int] = {}

    def are_rare(self) -> bool:
        """Say whether anything but entries, wallets and lots is changed."""
        return bool(self.holds or self.sweeps or self.undone or self.issued or self.counters)


class Books:
    """A store seen through the changes of the transaction under way."""

    __slots__ = ("_by_id", "changes", "currencies", "funds", "store")

    def __init__(self, store: Store) -> None:
        """See a store as it is."""
        self.store, self.changes = store, Changes()
        #: What no posting changes: the declared currencies and funds.
        self.currencies, self.funds = store.currencies, store.funds
        self._by_id: dict[str, Entry] = {}

    def wallet(self, member: str) -> Wallet:
        """Return a member's running state; a new member has an empty wallet."""
        return self.changes.wallets.get(member) or self.store.wallet(member) or Wallet(member)

    def lot(self, lot: str) -> LotState | None:
        """Return a lot, open or closed."""
        return self.changes.lots.get(lot) or self.store.lot(lot)

    def wallet_lots(self, member: str, alive_at: int | None = None) -> list[LotState]:
        """Return the lots of a wallet, closed ones too: all, or those not past their expiry at an instant."""
        lots = {lot.id: lot for lot in self.store.wallet_lots(member, alive_at)}
        lots.update((lot.id, lot) for lot in self.changes.lots.values() if lot.member == member)
        return list(lots.values())

    def hold(self, hold: str) -> HoldState | None:
        """Return a hold, live or resolved."""
        return self.changes.holds.get(hold) or self.store.hold(hold)

    def entry(self, entry: str) -> Entry | None:
        """Return an entry by its id."""
        return self._by_id.get(entry) or self.store.entry(entry)

    def knows(self, id_: str) -> bool:
        """Say whether a command with this id was posted."""
        return id_ in self._by_id or id_ in self.changes.sweeps or self.store.knows(id_)

    def sweep(self, id_: str) -> tuple[Command, Receipt] | None:
        """Return a posted `Expire` and its receipt: it makes entries of other ids."""
        return self.changes.sweeps.get(id_) or self.store.sweep(id_)

    def undone(self, entry: str) -> int:
        """Return how many points of an entry have been undone."""
        known = self.changes.undone.get(entry)
        return self.store.undone(entry) if known is None else known

    def undone_of(self, entries: Sequence[str]) -> dict[str, int]:
        """Return how many points of each of these entries have been undone, where any were."""
        mine = {entry: n for entry, n in self.changes.undone.items() if entry in set(entries)}
        return {**self.store.undone_of(entries), **mine}

    def issued(self, period: Period) -> int:
        """Return what counts against a fund's budget in a period."""
        return self.store.issued(period) + self.changes.issued.get(period, 0)

    def counter(self, name: str) -> int:
        """Return a program-wide counter, 0 when it was never counted."""
        return self.store.counter(name) + self.changes.counters.get(name, 0)

    def count(self, name: str, delta: int, at_most: int | None = None) -> None:
        """Add to a program-wide counter; `at_most` must still hold when the transaction commits."""
        self.changes.counters[name] = self.changes.counters.get(name, 0) + delta
        if at_most is not None:
            self.changes.counter_limits[name] = at_most

    def members(self) -> list[str]:
        """Return all members with a wallet, in order of id."""
        return sorted({*self.store.members(), *self.changes.wallets})

    def entries(
        self,
        member: str | None = None,
        *,
        rule: str | None = None,
        event: str | None = None,
        reference: str | None = None,
        within: Span | None = None,
    ) -> Iterator[Entry]:
        """Yield entries in order of recording, those of this transaction last."""
        yield from self.store.entries(member, rule=rule, event=event, reference=reference, within=within)
        for entry in self.changes.entries:
            if (
                (member is None or member in entry.members)
                and (rule is None or entry.rule == rule)
                and (event is None or entry.event == event)
                and (reference is None or entry.reference == reference)
                and (within is None or within[0] <= micros(entry.at) < within[1])
            ):
                yield entry

    def history(self, member: str) -> History:
        """Return the wallet as all its entries tell it."""
        return History.of(member, self.entries(member))

    def due_members(self, until: int) -> list[str]:
        """Return the members for whom an expiry may be due, in order of id."""
        return sorted({*self.store.due_members(until), *self.changes.wallets})

    def due_wallet(self, member: str) -> Wallet:
        """Return a wallet with all its open lots, past expiry too: `wallet` may leave those out."""
        wallet = self.wallet(member)
        lots = {lot.id: lot for lot in self.store.open_lots(member)}
        lots.update((lot.id, lot) for lot in self.changes.lots.values() if lot.member == member)
        return wallet._replace(lots=with_lots(wallet.lots, lots.values(), is_moved=True))

    def next_sequence(self) -> int:
        """Return the sequence that the next entry gets."""
        return self.store.next_sequence(len(self.changes.entries))

    def last_sequence(self) -> int:
        """Return the sequence of the entry recorded last."""
        return self.changes.entries[-1].sequence if self.changes.entries else self.store.last_sequence()

    def record(
        self,
        entry: Entry,
        wallets: Mapping[str, Wallet],
        lots: Mapping[str, LotState],
        issued: tuple[Period, int] | None = None,
    ) -> Receipt:
        """Append an entry, with the wallets and lots that it leads to and what it counts against a budget."""
        changes = self.changes
        changes.wallets.update(wallets)
        changes.lots.update(lots)
        if issued is not None:
            period, points = issued
            changes.issued[period] = changes.issued.get(period, 0) + points
        changes.entries.append(entry)
        self._by_id[entry.id] = entry
        return Receipt(entry.id, entry.sequence, entry.allocations, entry.expired)


def unknown_currency(books: Books, currency: str) -> UnknownCurrency:
    """Return the rejection of a currency that was never declared."""
    known = ", ".join(sorted(books.currencies))
    return UnknownCurrency(f"no currency {currency!r}; declared: {known}", currency=currency)


def check_currency(books: Books, currency: str) -> None:
    """Refuse a currency that was never declared."""
    if currency not in books.currencies:
        raise unknown_currency(books, currency)


def known_fund(books: Books, name: str) -> Fund:
    """Return a fund, refusing one that was never declared."""
    fund = books.funds.get(name)
    if fund is None:
        known = ", ".join(sorted(books.funds)) or "none"
        raise UnknownFund(f"no fund {name!r}; declared: {known}", fund=name)
    return fund


def members_of(command: object) -> tuple[str, ...]:
    """Return the members that a command names; what is no command names none, and is refused in its turn."""
    if isinstance(command, Transfer):
        return (command.member, command.to)
    member = getattr(command, "member", None) if isinstance(command, Command) else None
    return () if member is None else (member,)
