"""One transaction's view of the tables: rows become the values that posting and reading know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import define, field

from userops.core.calendar import micros
from userops.core.commands import Command
from userops.points import chain
from userops.points.books import Period, Span
from userops.points.stores.declared import Declared
from userops.points.stores.rows import (
    WalletRow,
    hold_state,
    lot_state,
    read_debts,
    read_entry,
    read_sweep,
    read_words,
)
from userops.points.stores.statements import EVER, Statements
from userops.points.stores.wire import Driver, Wire
from userops.points.values import Currency, Entry, Fund, LotState, Receipt
from userops.points.wallet import HoldState, Wallet, in_order

#: So many ids are claimed one by one; the database's table of locks is not for whole imports.
MOST_CLAIMS = 64


class NotLocked(Exception):
    """Posting came upon members whose wallets it had not locked: begin again with them."""

    def __init__(self, members: Iterable[str]) -> None:
        super().__init__("wallets must be locked first")
        self.members = tuple(members)


@define(eq=False)
class Session:
    """The `Store` of one transaction; what was read once is remembered, because nobody else can change it.

    With `locked` (when posting to a store that locks rows) only those members' wallets may be read.
    """

    wire: Wire
    sql: Statements
    driver: Driver
    declared: Declared
    salt: bytes
    locked: frozenset[str] | None = None
    is_posting: bool = False
    rows: dict[str, WalletRow | None] = field(factory=dict, init=False)
    wallets: dict[str, Wallet | None] = field(factory=dict, init=False)
    lots: dict[str, LotState] = field(factory=dict, init=False)
    unknown: set[str] = field(factory=set, init=False)
    #: Ids of commands that were claimed before they were looked for, and those that were too many for it.
    claimed: set[str] = field(factory=set, init=False)
    unclaimed: set[str] = field(factory=set, init=False)
    _drawn: list[int] = field(factory=list, init=False)
    _last: int | None = field(default=None, init=False)

    # -- Declarations -------------------------------------------------------------------------------------

    @property
    def currencies(self) -> Mapping[str, Currency]:
        """The declared currencies."""
        return self.declared.currencies(self.wire, self.sql)

    @property
    def funds(self) -> Mapping[str, Fund]:
        """The declared funds."""
        return self.declared.funds(self.wire, self.sql)

    @property
    def declarations(self) -> list[tuple[int, tuple[str, ...]]]:
        """The chain of declarations and erasures."""
        rows = self.wire.rows(self.sql.declarations, (0,))
        return [(after, read_words(place, words)) for place, after, words, _ in rows]

    # -- Wallets ------------------------------------------------------------------------------------------

    def know_ids(self, ids: Sequence[str]) -> None:
        """Find out in one query which ids of commands were never used, as most are not."""
        if len(ids) == 1:
            found = self.wire.rows(self.sql.known_id, (ids[0],) * 3)
        else:
            found = self.wire.rows(self.sql.known_ids, (self.driver.many(ids),) * 3)
        self.unknown.update(set(ids).difference(row[0] for row in found))

    def open_one(self, member: str, id_: str, *, is_blind: bool) -> None:
        """Read what one command needs in one query: the wallet, whether its id is new, and the last sequence."""
        ((known, last, *values),) = self.wire.rows(self.sql.opening, (id_, id_, id_, member))
        self._last = last or 0
        if known is None:
            self.unknown.add(id_)
        self.rows[member] = self.wallets[member] = None
        if values[0] is not None:
            self._take([WalletRow._make(values)], is_blind=is_blind)

    def load(
        self, members: Sequence[str], rows: Sequence[Sequence[Any]] | None = None, *, is_blind: bool = False
    ) -> None:
        """Read the running state of wallets: in three queries, however many they are.

        With `is_blind` lots are left out: whoever only gives points looks at none.
        """
        if rows is None:
            one = len(members) == 1
            what: Any = (members[0],) if one else (self.driver.many(list(members)),)
            rows = self.wire.rows(self.sql.wallet if one else self.sql.wallets, what)
        for member in members:
            self.rows[member] = self.wallets[member] = None
        self._take([*map(WalletRow._make, rows)], is_blind=is_blind)

    def _take(self, rows: Sequence[WalletRow], *, is_blind: bool) -> None:
        """Remember wallets' rows, and what their lots and holds make of those that have entries."""
        self.rows.update((row.member, row) for row in rows)
        used = [row for row in rows if row.length]
        if not used:
            return
        lots = {} if is_blind else self._living_lots(used)
        holds = self._open_holds(used) if any(row.open_holds for row in used) else {}
        for row in used:
            held = holds.get(row.member, ())
            there = [*lots.get(row.member, ()), *(self._held_alive(row, held) if held else ())]
            self.wallets[row.member] = Wallet(
                row.member,
                in_order(there) if there else (),
                tuple(held),
                read_debts(row) if row.debts else (),
                row.latest,
                row.length,
            )

    def _open_holds(self, rows: Sequence[WalletRow]) -> dict[str, list[HoldState]]:
        """Return the open holds of each wallet."""
        sql, one = self.sql, len(rows) == 1
        which: Any = (rows[0].no,) if one else (self.driver.many([row.no for row in rows]),)
        holds: dict[str, list[HoldState]] = {}
        for values in self.wire.rows(sql.open_holds if one else sql.open_holds_of_many, which):
            holds.setdefault(values[-1], []).append(hold_state(values))
        return holds

    def _living_lots(self, rows: Sequence[WalletRow]) -> dict[str, list[LotState]]:
        """Return the open lots of each wallet that are alive after its latest entry."""
        if len(rows) == 1:
            (row,) = rows
            found = self.wire.rows(self.sql.living_lots, (row.no, row.latest))
            return {row.member: [self._lot((*values, row.member)) for values in found]}
        lots: dict[str, list[LotState]] = {}
        for values in self.wire.rows(
            self.sql.living_lots_of_many, (self.driver.many([row.no for row in rows]),)
        ):
            lots.setdefault(values[-1], []).append(self._lot(values))
        return lots

    def _held_alive(self, row: WalletRow, holds: Iterable[HoldState]) -> list[LotState]:
        """Return the lots past their expiry of which a hold keeps points alive."""
        ids = dict.fromkeys(id_ for hold in holds for id_, _ in hold.allocations)
        lots = [lot for id_ in ids if (lot := self.lot(id_)) is not None]
        return [lot for lot in lots if not lot.is_alive(row.latest)]

    def wallet(self, member: str) -> Wallet | None:
        """Return a wallet; only what is alive after the latest entry, for that is what posting needs."""
        if member not in self.wallets:
            if self.locked is not None and member not in self.locked:
                raise NotLocked([member])
            self.load([member])
        return self.wallets[member]

    def row(self, member: str) -> WalletRow | None:
        """Return a wallet's row."""
        if member not in self.rows:
            self.load([member])
        return self.rows[member]

    def members(self) -> list[str]:
        """Return the members with a wallet."""
        return [row[0] for row in self.wire.rows(self.sql.members)]

    def due_members(self, until: int) -> list[str]:
        """Return the members for whom an expiry may be due."""
        return [row[0] for row in self.wire.rows(self.sql.due_members, (until, until))]

    # -- Lots and holds -----------------------------------------------------------------------------------

    def _lot(self, values: Sequence[Any]) -> LotState:
        lot = lot_state(values)
        self.lots[lot.id] = lot
        return lot

    def lot(self, lot: str) -> LotState | None:
        """Return a lot, open or closed."""
        if lot in self.lots:
            return self.lots[lot]
        if lot in self.unknown:
            return None
        rows = self.wire.rows(self.sql.lot, (lot,))
        return self._lot(rows[0]) if rows else None

    def wallet_lots(self, member: str, alive_at: int | None = None) -> list[LotState]:
        """Return the lots of a wallet, closed ones too."""
        after = EVER if alive_at is None else alive_at
        return [self._lot(row) for row in self.wire.rows(self.sql.wallet_lots, (member, after))]

    def open_lots(self, member: str) -> list[LotState]:
        """Return the lots of a wallet that have points no expiry was written for."""
        return [self._lot(row) for row in self.wire.rows(self.sql.open_lots, (member,))]

    def hold(self, hold: str) -> HoldState | None:
        """Return a hold."""
        rows = self.wire.rows(self.sql.hold, (hold,))
        return hold_state(rows[0]) if rows else None

    # -- Entries ------------------------------------------------------------------------------------------

    def _entry(self, row: Sequence[Any]) -> Entry:
        sequence, id_, member, count, content = row
        others: list[tuple[Any, ...]] = []
        if count > 1:
            others = self.wire.rows(self.sql.other_members, (sequence,))
        return self.read_entry(sequence, id_, (member, *(other[0] for other in others)), content)

    def read_entry(self, sequence: int, id_: str, members: Sequence[str], content: str) -> Entry:
        """Return an entry from what its row and its wallets say."""
        return read_entry(sequence, id_, members, content)

    def entry(self, entry: str) -> Entry | None:
        """Return an entry."""
        if entry in self.unknown:
            return None
        rows = self.wire.rows(self.sql.entry, (entry,))
        return self._entry(rows[0]) if rows else None

    def knows(self, id_: str) -> bool:
        """Say whether a command with this id was posted."""
        return id_ not in self.unknown and (self.sweep(id_) is not None or self.entry(id_) is not None)

    def sweep(self, id_: str) -> tuple[Command, Receipt] | None:
        """Return a posted `Expire` and its receipt."""
        if id_ in self.unknown:
            return None
        self._claim(id_)
        rows = self.wire.rows(self.sql.sweep, (id_,))
        return read_sweep(rows[0]) if rows else None

    def _claim(self, id_: str) -> None:
        if not self.is_posting or not self.driver.locks_rows or id_ in self.claimed:
            return
        if len(self.claimed) < MOST_CLAIMS:
            self.driver.claim(self.wire, {id_: False})
            self.claimed.add(id_)
        else:
            self.unclaimed.add(id_)

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
        for row in self._entry_rows(member, rule, event, reference, within):
            entry = self._entry(row)
            if (
                (member is None or member in entry.members)
                and (rule is None or entry.rule == rule)
                and (event is None or entry.event == event)
                and (reference is None or entry.reference == reference)
                and (within is None or within[0] <= micros(entry.at) < within[1])
            ):
                yield entry

    def _entry_rows(
        self,
        member: str | None,
        rule: str | None,
        event: str | None,
        reference: str | None,
        within: Span | None,
    ) -> Iterable[Sequence[Any]]:
        wire, sql = self.wire, self.sql
        if event:
            return wire.rows(sql.entries_of_event, (event,))
        if member is None:
            return self._all_rows()
        if reference:
            return wire.rows(sql.entries_of_reference, (member, reference) * 2)
        if rule is not None and within is not None:
            return self._rows_within(member, rule, within)
        if rule:
            return wire.rows(sql.entries_of_rule, (member, rule) * 2)
        return wire.rows(sql.entries_of_member, (member, member))

    def _rows_within(self, member: str, rule: str, within: Span) -> Sequence[Sequence[Any]]:
        if rule:
            return self.wire.rows(self.sql.entries_of_rule_within, (member, rule, *within) * 2)
        return self.wire.rows(self.sql.entries_of_no_rule_within, (member, *within) * 2)

    def _all_rows(self) -> Iterator[Sequence[Any]]:
        after = -1
        while page := self.wire.rows(self.sql.entries, (after,)):
            yield from page
            after = page[-1][0]

    # -- Counts and sequences -----------------------------------------------------------------------------

    def undone(self, entry: str) -> int:
        """Return how many points of an entry have been undone."""
        return self.wire.value(self.sql.undone, (entry,)) or 0

    def undone_of(self, entries: Sequence[str]) -> dict[str, int]:
        """Return how many points of each of these entries have been undone, where any were."""
        if not entries:
            return {}
        return dict(self.wire.rows(self.sql.undone_of, (self.driver.many(list(entries)),)))

    def issued(self, period: Period) -> int:
        """Return what counts against a budget."""
        return self.wire.value(self.sql.issued, period) or 0

    def counter(self, name: str) -> int:
        """Return a program-wide counter."""
        return self.wire.value(self.sql.counter, (name,)) or 0

    @property
    def is_gapless(self) -> bool:
        """Say whether sequences are 1, 2, 3, …."""
        return self.driver.is_gapless

    def last_sequence(self) -> int:
        """Return the greatest sequence that this transaction sees."""
        if self._last is None:
            self._last = self.wire.value(self.sql.last_sequence) or 0
        return self._last

    def next_sequence(self, recorded: int) -> int:
        """Return the sequence of the next entry: drawn, where writers do not wait for one another."""
        if not self.is_posting or self.driver.is_gapless:
            last = self._last
            return (self.last_sequence() if last is None else last) + recorded + 1
        if not self._drawn:
            self._drawn = self.driver.draw(self.wire, min(max(1, recorded), 100))
        return self._drawn.pop(0)

    # -- Evidence -----------------------------------------------------------------------------------------

    def tips(self, known_at: int) -> Iterator[tuple[str, int, bytes]]:
        """Yield every wallet's chain as it is kept; those that go on after `known_at`, from their entries."""
        late = {}
        if known_at < self.last_sequence():
            late = dict(self.wire.rows(self.sql.late_wallets, (known_at, known_at)))
        for commitment, length, tip in self.wire.rows(self.sql.tips):
            if commitment not in late:
                yield commitment, length, bytes(tip)
        for commitment, member in late.items():
            entries = [entry for entry in self.entries(member) if entry.sequence <= known_at]
            if entries:
                yield commitment, len(entries), chain.tip_of(entries, self.name)

    def name(self, member: str) -> str:
        """Return the commitment that stands for a member in the chains."""
        row = self.row(member)
        assert row is not None, "an entry's member has a wallet"  # noqa: S101
        return row.commitment
