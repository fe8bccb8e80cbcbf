"""A transaction under way: posting and reading over books that are kept together, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from threading import local
from typing import TypeVar

from attrs import define, frozen

from userops.core.amounts import whole
from userops.core.calendar import from_micros, instant, micros
from userops.core.commands import Command
from userops.core.fields import checked
from userops.core.ids import MAX_TEXT_BYTES, identifier
from userops.errors import HoldOpen, InvalidValue, NotPosted, Rejected
from userops.points import reports
from userops.points.books import Books, Store, check_currency
from userops.points.chain import ERASED
from userops.points.history import History
from userops.points.posting import Generations, post
from userops.points.reports import shown_lot
from userops.points.values import Balance, Entry, Lot, Receipt
from userops.points.wallet import Wallet

T = TypeVar("T")

_EARLIEST, _LATEST = -(2**62), 2**62


@frozen(field_transformer=checked(dict.fromkeys(("start", "end", "as_of"), instant)))
class Selection:
    """Which entries a caller asked for, beside what a store's indexes can tell."""

    kind: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    as_of: datetime | None = None
    known_at: int | None = None
    currency: str | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse a time that ends before it starts."""
        if self.start is not None and self.end is not None and self.end < self.start:
            raise InvalidValue("end must not lie before start")

    def takes(self, entry: Entry) -> bool:
        """Say whether an entry is among those asked for."""
        return (
            (self.kind is None or entry.kind == self.kind)
            and (self.start is None or self.start <= entry.at)
            and (self.end is None or entry.at < self.end)
            and (self.as_of is None or entry.at <= self.as_of)
            and (self.known_at is None or entry.sequence <= self.known_at)
            and self.currency in (None, entry.currency, getattr(entry.command, "to_currency", None))
        )


@define(eq=False)
class Posting:
    """What `work` may do inside `Ledger.transact`: post, and read what is there and what it posted."""

    _books: Books
    _generations: Generations
    _is_over: bool = False

    @property
    def _current(self) -> Books:
        if self._is_over:
            raise InvalidValue("this transaction is over; nothing posted now would be kept")
        return self._books

    def end(self) -> None:
        """Refuse whatever comes after the transaction."""
        self._is_over = True

    def post(self, command: Command) -> Receipt:
        """Post a command; a `Rejected` leaves the transaction as it was, and usable."""
        return post(self._current, command, self._generations)

    def balance(self, member: str, as_of: datetime, *, currency: str = "points") -> Balance:
        """Return a member's points at an instant."""
        check_currency(self._current, identifier(currency, "currency"))
        return balance(self._current, identifier(member, "member"), currency, micros(as_of, "as_of"), None)

    def lots(self, member: str, as_of: datetime, *, currency: str = "points") -> tuple[Lot, ...]:
        """Return a member's lots at an instant."""
        check_currency(self._current, identifier(currency, "currency"))
        return lots(self._current, identifier(member, "member"), currency, micros(as_of, "as_of"), None)

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
    ) -> tuple[Entry, ...]:
        """Return entries in order of recording, those of this transaction last.

        `rule=""` chooses those of no rule. A member's entries of a rule, or of none, that took effect in
        `[start, end)` are found by an index: what lies outside is not read.
        """
        within = None
        if start is not None or end is not None:
            within = (
                _EARLIEST if start is None else micros(start, "start"),
                _LATEST if end is None else micros(end, "end"),
            )
        found = self._current.entries(member, rule=rule, event=event, reference=reference, within=within)
        return tuple(entry for entry in found if kind is None or entry.kind == kind)

    def undone(self, entries: Iterable[str]) -> dict[str, int]:
        """Return how many points of each of these entries have been undone, where any were."""
        return self._current.undone_of(tuple(entries))

    def latest(self, member: str) -> datetime | None:
        """Return the latest instant at which an entry of a member took effect; None without entries."""
        wallet = self._current.wallet(identifier(member, "member"))
        return from_micros(wallet.latest) if wallet.length else None

    def counter(self, name: str) -> int:
        """Return a program-wide counter, 0 when it was never counted."""
        return self._current.counter(_counter_name(name))

    def count(self, name: str, delta: int, at_most: int | None = None) -> None:
        """Add to a program-wide counter; `at_most` must still hold when the transaction commits."""
        limit = None if at_most is None else whole(at_most, "at_most")
        self._current.count(_counter_name(name), whole(delta, "delta"), limit)


class Works:
    """The `work` under way in each thread: what it has done is seen by its own posting only."""

    def __init__(self) -> None:
        """Begin with none."""
        self._here = local()

    def refuse(self) -> None:
        """Refuse to change the ledger beside the work under way: that would be overwritten, or wait for ever."""
        if getattr(self._here, "is_working", False):
            raise InvalidValue(
                "inside `transact`, post with the posting that `work` is given, not with the ledger"
            )

    def run(self, work: Callable[[Posting], T], posting: Posting) -> T:
        """Run one work to its end."""
        self._here.is_working = True
        try:
            return work(posting)
        finally:
            self._here.is_working = False
            posting.end()


def declared(store: Store, currency: str) -> Books:
    """Return a store's books for reading in a currency, refusing one that was never declared."""
    books = Books(store)
    check_currency(books, identifier(currency, "currency"))
    return books


def check_ids(**given: str | None) -> None:
    """Refuse what can be no id; what is left out may be None."""
    for name, value in given.items():
        if value is not None:
            identifier(value, name)


def listed_members(members: Iterable[str]) -> set[str]:
    """Return the ids of a list; one text, whose letters would be taken for ids, is refused."""
    if isinstance(members, Iterable) and not isinstance(members, str | bytes):
        return {identifier(member, "member") for member in members}
    raise InvalidValue(f"members must be a list of ids, not {type(members).__name__}")


def _counter_name(value: str) -> str:
    """Check a counter's name, which may hold a whole reference beside other words."""
    return identifier(value, "name", most=MAX_TEXT_BYTES)


def balance(books: Books, member: str, currency: str, at: int, known_at: int | None) -> Balance:
    """Return a balance: from the running state where it is enough, else from the entries."""
    wallet = books.wallet(member)
    if known_at is not None or at < wallet.latest:
        history = History.of(member, books.entries(member), as_of=at, known_at=known_at)
        return reports.balance_of(history, currency, at)
    available = pending = 0
    for lot, points in wallet.free(currency, at):
        if lot.available_at <= at:
            available += points
        else:
            pending += points
    reserved = sum(
        points
        for hold in wallet.holds
        if hold.currency == currency and hold.is_live(at)
        for _, points in hold.allocations
    )
    return Balance(available, pending, reserved, wallet.debt(currency))


def lots(books: Books, member: str, currency: str, at: int, known_at: int | None) -> tuple[Lot, ...]:
    """Return the lots with points: from the running state where it is enough, else from the entries."""
    wallet = books.wallet(member)
    if known_at is not None or at < wallet.latest:
        history = History.of(member, books.entries(member), as_of=at, known_at=known_at)
        return reports.lots_of(history, currency, at)
    held = wallet.held_by_lot(at)
    shown = []
    for lot in wallet.alive(currency):
        points = lot.left if lot.is_alive(at) else held.get(lot.id, 0)
        if points:
            shown.append(shown_lot(lot, points))
    return tuple(shown)


def refuse_to_erase(wallet: Wallet | None, member: str, at: int) -> None:
    """Refuse to erase who is not there, or has a hold open: an order is under way."""
    if wallet is None or member.startswith(ERASED):
        raise InvalidValue("no such member to erase")
    live = [(hold.at, hold.id) for hold in wallet.holds if hold.is_live(max(wallet.latest, at))]
    if live:
        _, first = min(live)
        raise HoldOpen(
            f"a hold is open: {first!r}; capture or release it first, or erase as_of an instant when it has ended",
            hold=first,
        )


class RefusedBatch(Exception):
    """Carries the outcomes of an atomic batch out of the transaction that it undoes."""

    def __init__(self, outcomes: list[Receipt | Rejected]) -> None:
        super().__init__("a command of the batch was refused")
        self.outcomes = outcomes


def post_together(posting: Posting, commands: Sequence[Command]) -> list[Receipt | Rejected]:
    """Post a batch; when one command is refused, undo all and say of each what became of it."""
    post_one = posting.post
    outcomes = [outcome(post_one, command) for command in commands]
    refused = next((one for one in outcomes if isinstance(one, Rejected)), None)
    if refused is None:
        return outcomes
    fresh = {one.id for one in outcomes if isinstance(one, Receipt) and not one.replayed}
    because = next(
        getattr(command, "id", "") for command, one in zip(commands, outcomes, strict=True) if one is refused
    )
    innocent = NotPosted(f"another command of the batch was refused: {because!r}", because=because)
    raise RefusedBatch(
        [one if isinstance(one, Rejected) or one.id not in fresh else innocent for one in outcomes]
    ) from None


def outcome(post_one: Callable[[Command], Receipt], command: Command) -> Receipt | Rejected:
    """Return a command's receipt, or its rejection as a value."""
    try:
        return post_one(command)
    except Rejected as rejection:
        return rejection
