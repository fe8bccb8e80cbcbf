"""The store in memory: dictionaries, and indexes of the entries; one lock around each transaction."""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import attrs

from userops.core.calendar import micros
from userops.core.commands import Command
from userops.errors import InvalidValue
from userops.points.books import Books, Changes, Period, Span, Store
from userops.points.chain import counted_words, named_command, named_entry
from userops.points.values import Currency, Entry, Finding, Fund, LotState, Receipt
from userops.points.wallet import HoldState, OpenLots, Wallet

T = TypeVar("T")
_ABSENT = object()


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
        self._index: dict[tuple[str, ...], list[int]] = {}
        #: Of each (member, rule), where entries stand by the time they took effect; no rule is the empty one.
        self._times: dict[tuple[str, str], list[tuple[int, int]]] = {}
        self._wallets: dict[str, Wallet] = {}
        self._lots: dict[str, LotState] = {}
        self._lots_of: dict[str, list[str]] = {}
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
        lots = (self._lots[lot] for lot in self._lots_of.get(member, ()))
        return (lot for lot in lots if alive_at is None or lot.is_alive(alive_at))

    def open_lots(self, member: str) -> Iterator[LotState]:
        """Yield no more than a wallet's own lots: it holds all that are open."""
        wallet = self._wallets.get(member)
        return (lot for lots in wallet.lots.values() for lot in lots) if wallet else iter(())

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
            places: Iterable[int] = self._index.get(("event", event), ())
        elif member is not None and reference is not None:
            places = self._index.get(("reference", member, reference), ())
        elif member is not None and rule is not None:
            places = self._of_rule(member, rule, within)
        elif member is not None:
            places = self._index.get(("member", member), ())
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

    def _of_rule(self, member: str, rule: str, within: Span | None) -> list[int]:
        """Return the places of a member's entries of a rule, or of none, in order of recording."""
        times = self._times.get((member, rule), [])
        if within is not None:
            times = times[bisect_left(times, (within[0], -1)) : bisect_left(times, (within[1], -1))]
        return sorted(place for _, place in times)

    def _commit(self, changes: Changes) -> None:
        """Keep the changes; whatever interrupts it (Ctrl-C, memory running out), all of them or none."""
        for name, limit in changes.counter_limits.items():
            if self.counter(name) + changes.counters[name] > limit:
                raise InvalidValue(f"the counter {name!r} would pass its limit of {limit:,}")
        tables: tuple[tuple[dict[Any, Any], Mapping[Any, Any]], ...] = (
            (self._wallets, changes.wallets),
            (self._lots, changes.lots),
            (self._holds, changes.holds),
            (self._sweeps, changes.sweeps),
            (self._undone, changes.undone),
            (self._issued, changes.issued and _added(self._issued, changes.issued)),
            (self._counters, changes.counters and _added(self._counters, changes.counters)),
        )
        kept = [
            (table, changed, [table.get(key, _ABSENT) for key in changed])
            for table, changed in tables
            if changed
        ]
        length, declared = len(self._entries), len(self.declarations)
        try:
            self._append(changes.entries)
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
                    if value is _ABSENT:
                        table.pop(key, None)
                    else:
                        table[key] = value
            raise

    def _append(self, entries: list[Entry]) -> None:
        for entry in entries:
            place = len(self._entries)
            for key in _keys(entry):
                self._index.setdefault(key, []).append(place)
            for member in entry.members:
                insort(self._times.setdefault((member, entry.rule), []), (micros(entry.at), place))
            self._place[entry.id] = place
            self._entries.append(entry)
            for lot in entry.created:
                self._lots_of.setdefault(lot.member, []).append(lot.id)

    def _take_off(self, entries: list[Entry], length: int) -> None:
        """Undo an append that may have stopped anywhere."""
        del self._entries[length:]
        for entry in entries:
            if self._place.get(entry.id, -1) >= length:
                del self._place[entry.id]
            for key in _keys(entry):
                places = self._index.get(key, [])
                while places and places[-1] >= length:
                    places.pop()
                if not places:
                    self._index.pop(key, None)
            for member in entry.members:
                times = [one for one in self._times.pop((member, entry.rule), ()) if one[1] < length]
                if times:
                    self._times[(member, entry.rule)] = times
            for lot in entry.created:
                mine = self._lots_of.get(lot.member, [])
                if lot.id in mine:
                    mine.remove(lot.id)
                if not mine:
                    self._lots_of.pop(lot.member, None)

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

        places = self._index.get(("member", member), [])
        renamed = {place: named_entry(self._entries[place], name) for place in places}
        lots = {lot: attrs.evolve(self._lots[lot], member=erased) for lot in self._lots_of.get(member, ())}
        wallet = self._wallets[member]
        by_currency = {
            currency: OpenLots.of(lots[lot.id] for lot in found) for currency, found in wallet.lots.items()
        }
        for key in [key for key in self._index if member in key[1:2] and key[0] != "event"]:
            self._index[(key[0], erased, *key[2:])] = self._index.pop(key)
        for place, entry in renamed.items():
            self._entries[place] = entry
        for mine in [mine for mine in self._times if mine[0] == member]:
            self._times[(erased, mine[1])] = self._times.pop(mine)
        self._lots.update(lots)
        self._lots_of[erased] = self._lots_of.pop(member, [])
        self._wallets[erased] = attrs.evolve(wallet, member=erased, lots=by_currency)
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


def _keys(entry: Entry) -> Iterator[tuple[str, ...]]:
    for member in entry.members:
        yield ("member", member)
        if entry.reference:
            yield ("reference", member, entry.reference)
    if entry.event:
        yield ("event", entry.event)
