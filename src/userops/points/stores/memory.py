"""The store in memory: dictionaries, and indexes of the entries; one lock around each transaction."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import attrs

from userops.core.calendar import micros
from userops.core.commands import Command
from userops.errors import InvalidValue
from userops.points.books import Books, Changes, Period, Span, Store
from userops.points.chain import counted_words, named_command, named_entry
from userops.points.stores.indexing import EntryIndex
from userops.points.values import Currency, Entry, Finding, Fund, LotState, Receipt
from userops.points.wallet import HoldState, Wallet, in_order

T = TypeVar("T")


class MemoryStore:
    """Everything in dictionaries; nothing survives the process."""

    is_gapless = True

    def __init__(self) -> None:
        """Begin empty."""
        self.currencies: dict[str, Currency] = {}
        self.funds: dict[str, Fund] = {}
        #: Declarations and erasures, each with the sequence it followed: a chain of their own.
        self.declarations: list[tuple[int, tuple[str, ...]]] = []
        self._lock = threading.RLock()
        self._entries: list[Entry] = []
        self._place: dict[str, int] = {}
        self._index = EntryIndex(self._entries)
        self._wallets: dict[str, Wallet] = {}
        self._lots: dict[str, LotState] = {}
        self._holds: dict[str, HoldState] = {}
        self._sweeps: dict[str, tuple[Command, Receipt]] = {}
        self._undone: dict[str, int] = {}
        self._issued: dict[Period, int] = {}
        self._counters: dict[str, int] = {}

    def transact(
        self, members: Iterable[str], work: Callable[[Books], T], commands: Sequence[object] = ()
    ) -> T:
        """Run `work` on the books and keep what it changed, unless it raises."""
        del members, commands
        with self._lock:
            books = Books(self)
            result = work(books)
            self._commit(books.changes)
        return result

    @contextmanager
    def reading(self) -> Iterator[MemoryStore]:
        """Return a context in which several reads see one state."""
        with self._lock:
            yield self

    def declare(self, what: Currency | Fund, words: tuple[str, ...]) -> Currency | Fund:
        """Keep a declaration, unless the name is taken; return what the name stands for."""
        with self._lock:
            declared = self.funds if isinstance(what, Fund) else self.currencies
            if what.name in declared:
                return declared[what.name]
            if isinstance(what, Fund):
                self.funds = {**self.funds, what.name: what}
            else:
                self.currencies = {**self.currencies, what.name: what}
            self.declarations.append((len(self._entries), words))
            return what

    def wallet(self, member: str) -> Wallet | None:
        """Return a wallet."""
        return self._wallets.get(member)

    def lot(self, lot: str) -> LotState | None:
        """Return a lot."""
        return self._lots.get(lot)

    def wallet_lots(self, member: str, alive_at: int | None = None) -> Iterator[LotState]:
        """Yield the lots of a wallet, closed ones too."""
        lots = (self._lots[lot] for lot in self._index.lots(member))
        return (lot for lot in lots if alive_at is None or lot.is_alive(alive_at))

    def open_lots(self, member: str) -> Iterator[LotState]:
        """Yield no more than a wallet's own lots: it holds all that are open."""
        wallet = self._wallets.get(member)
        return wallet.open_lots() if wallet else iter(())

    def due_members(self, until: int) -> list[str]:
        """Return all members; looking is as quick as asking."""
        del until
        return self.members()

    def hold(self, hold: str) -> HoldState | None:
        """Return a hold."""
        return self._holds.get(hold)

    def entry(self, entry: str) -> Entry | None:
        """Return an entry."""
        place = self._place.get(entry)
        return None if place is None else self._entries[place]

    def knows(self, id_: str) -> bool:
        """Say whether a command with this id was posted."""
        return id_ in self._place or id_ in self._sweeps

    def sweep(self, id_: str) -> tuple[Command, Receipt] | None:
        """Return a posted `Expire` and its receipt."""
        return self._sweeps.get(id_)

    def undone(self, entry: str) -> int:
        """Return how many points of an entry have been undone."""
        return self._undone.get(entry, 0)

    def undone_of(self, entries: Sequence[str]) -> dict[str, int]:
        """Return how many points of each of these entries have been undone, where any were."""
        return {entry: self._undone[entry] for entry in entries if entry in self._undone}

    def issued(self, period: Period) -> int:
        """Return what counts against a budget."""
        return self._issued.get(period, 0)

    def counter(self, name: str) -> int:
        """Return a program-wide counter."""
        return self._counters.get(name, 0)

    def last_sequence(self) -> int:
        """Return the sequence of the entry recorded last."""
        return len(self._entries)

    def settled(self) -> int:
        """Return the last sequence: nothing is ever in flight beside it."""
        return len(self._entries)

    def next_sequence(self, recorded: int) -> int:
        """Return the sequence after the last, and after those of the transaction."""
        return len(self._entries) + recorded + 1

    def tips(self, known_at: int) -> None:
        """Keep no chains: they are made from the entries when a head is read."""

    def findings(self, name: Callable[[str], str]) -> Iterator[Finding]:
        """Find nothing: there are no rows beside the books themselves."""
        del name
        return iter(())

    def members(self) -> list[str]:
        """Return the members with a wallet."""
        return list(self._wallets)

    def entries(
        self,
        member: str | None = None,
        *,
        rule: str | None = None,
        event: str | None = None,
        reference: str | None = None,
        within: Span | None = None,
    ) -> Iterator[Entry]:
        """Yield entries in order of recording, by the narrowest index."""
        if event is not None:
            places: Iterable[int] = self._index.of_event(event)
        elif member is not None and reference is not None:
            places = self._index.of_reference(member, reference)
        elif member is not None and rule is not None:
            places = self._index.of_rule(member, rule, within)
        elif member is not None:
            places = self._index.of_member(member)
        else:
            places = range(len(self._entries))
        for place in places:
            entry = self._entries[place]
            if (
                (member is None or member in entry.members)
                and (rule is None or entry.rule == rule)
                and (event is None or entry.event == event)
                and (reference is None or entry.reference == reference)
                and (within is None or within[0] <= micros(entry.at) < within[1])
            ):
                yield entry

    def _commit(self, changes: Changes) -> None:
        """Keep the changes; whatever interrupts it (Ctrl-C, memory running out), all of them or none."""
        for name, limit in changes.counter_limits.items():
            if self.counter(name) + changes.counters[name] > limit:
                raise InvalidValue(f"the counter {name!r} would pass its limit of {limit:,}")
        tables: list[tuple[dict[Any, Any], dict[Any, Any]]] = [
            (self._wallets, changes.wallets),
            (self._lots, changes.lots),
        ]
        if changes.are_rare():
            tables += [
                (self._holds, changes.holds),
                (self._sweeps, changes.sweeps),
                (self._undone, changes.undone),
                (self._issued, _added(self._issued, changes.issued)),
                (self._counters, _added(self._counters, changes.counters)),
            ]
        # No table holds a None, so it stands for what was not there.
        kept = [(table, changed, [*map(table.get, changed)]) for table, changed in tables]
        length, declared = len(self._entries), len(self.declarations)
        try:
            for place, entry in enumerate(changes.entries, length):
                self._place[entry.id] = place
            self._entries += changes.entries
            for table, changed, _ in kept:
                table.update(changed)
            if changes.counters and not changes.entries:
                # Counted beside every wallet, so it stands in the chain that belongs to none.
                self.declarations.append((length, counted_words(changes.counters)))
        except BaseException:
            self._take_off(changes.entries, length)
            del self.declarations[declared:]
            for table, changed, before in kept:
                for key, value in zip(changed, before, strict=True):
                    if value is None:
                        table.pop(key, None)
                    else:
                        table[key] = value
            raise

    def _take_off(self, entries: list[Entry], length: int) -> None:
        """Undo the recording of entries, which may have stopped anywhere."""
        del self._entries[length:]
        for entry in entries:
            self._place.pop(entry.id, None)

    def rename(self, member: str, erased_name: Callable[[Store], str]) -> str:
        """Replace a member's id by what `erased_name` gives, or refuse as it refuses."""
        with self._lock:
            erased = erased_name(self)
            self._rename(member, erased)
            self.declarations.append((len(self._entries), ("erased", erased)))
            return erased

    def _rename(self, member: str, erased: str) -> None:
        def name(known: str) -> str:
            return erased if known == member else known

        places = self._index.of_member(member)
        renamed = {place: named_entry(self._entries[place], name) for place in places}
        lots = {lot: self._lots[lot]._replace(member=erased) for lot in self._index.lots(member)}
        wallet = self._wallets[member]
        opened = in_order(lots[lot.id] for lot in wallet.open_lots())
        self._index.rename(member, erased)
        for place, entry in renamed.items():
            self._entries[place] = entry
        self._lots.update(lots)
        self._wallets[erased] = wallet._replace(member=erased, lots=opened)
        del self._wallets[member]
        self._holds = {id_: attrs.evolve(hold, member=name(hold.member)) for id_, hold in self._holds.items()}
        self._sweeps = {
            id_: (named_command(command, name), receipt) for id_, (command, receipt) in self._sweeps.items()
        }

    def doctor(self) -> tuple[str, ...]:
        """Return unsafe settings: there are none to make here."""
        return ()

    def close(self) -> None:
        """Give up nothing: there is nothing to give up."""


def _added(table: Mapping[Any, int], changes: Mapping[Any, int]) -> dict[Any, int]:
    return {key: table.get(key, 0) + change for key, change in changes.items()}
