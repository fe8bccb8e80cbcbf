"""One member's points as running state: open lots in the order they are spent, holds, debts.

Wallets are values: posting makes a new one. Nothing here looks at closed lots, so a long history costs nothing;
open lots stand in blocks, so many of them cost little.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice

from attrs import field, frozen

from userops.points.values import Allocations, LotState

#: Later than every instant: the sort key of lots that never expire.
NEVER = 2**63
#: The most lots of a block.
_BLOCK = 128


@frozen
class HoldState:
    """A hold: which points of which lots it reserves, and until when."""

    id: str
    member: str
    currency: str
    points: int
    at: int
    expires_at: int | None
    allocations: Allocations
    #: The entry that captured or released it; a hold past its expiry is resolved without one.
    resolved_by: str = ""
    resolved_at: int | None = None

    def is_live(self, at: int) -> bool:
        """Say whether it reserves points at an instant."""
        ends = min(self.expires_at or NEVER, NEVER if self.resolved_at is None else self.resolved_at)
        return self.at <= at < ends


@frozen
class DebtState:
    """Points a member owes for an undone earn: `entry` made the debt, `fund` had paid for the earn."""

    entry: str
    fund: str
    currency: str
    at: int
    points: int


def spending_order(lot: LotState) -> tuple[int, int, tuple[int, int]]:
    """Return the key by which lots are spent: expiry, availability, then the earlier entry."""
    return (NEVER if lot.expires_at is None else lot.expires_at, lot.available_at, lot.place)


def _first_order(block: tuple[LotState, ...]) -> tuple[int, int, tuple[int, int]]:
    return spending_order(block[0])


def _end(lot: LotState) -> int:
    return NEVER if lot.expires_at is None else lot.expires_at


def _last_end(block: tuple[LotState, ...]) -> int:
    return _end(block[-1])


def _place(block: tuple[LotState, ...], order: tuple[int, int, tuple[int, int]]) -> int:
    """Return where a lot stands, or would; most are added at the end and taken from the front."""
    if not block or order <= spending_order(block[0]):
        return 0
    if order > spending_order(block[-1]):
        return len(block)
    return bisect_left(block, order, key=spending_order)


def _halved(block: tuple[LotState, ...]) -> tuple[tuple[LotState, ...], ...]:
    """Return a block as no block when it is empty, as two when it has grown too long."""
    if len(block) <= _BLOCK:
        return (block,) if block else ()
    return (block[: len(block) // 2], block[len(block) // 2 :])


@frozen
class OpenLots:
    """Open lots of one currency in spending order, in blocks: a change copies one block, not all lots."""

    blocks: tuple[tuple[LotState, ...], ...] = ()

    @classmethod
    def of(cls, lots: Iterable[LotState]) -> OpenLots:
        """Put lots in order, those left out of which nothing is open."""
        ordered = sorted((lot for lot in lots if lot.left > lot.written), key=spending_order)
        return cls(tuple(tuple(ordered[at : at + _BLOCK]) for at in range(0, len(ordered), _BLOCK)))

    def __iter__(self) -> Iterator[LotState]:
        return chain.from_iterable(self.blocks)

    def __len__(self) -> int:
        return sum(map(len, self.blocks))

    def alive(self, at: int) -> Iterator[LotState]:
        """Yield those that have not expired at an instant."""
        first = bisect_right(self.blocks, at, key=_last_end)
        for block in islice(self.blocks, first, None):
            expired = 0 if block[0].is_alive(at) else bisect_right(block, at, key=_end)
            yield from islice(block, expired, None)

    def with_lot(self, lot: LotState) -> OpenLots:
        """Return them with one lot in its place, or gone when nothing of it is open."""
        blocks, order = self.blocks, spending_order(lot)
        at = max(0, bisect_right(blocks, order, key=_first_order) - 1)
        block = blocks[at] if blocks else ()
        place = _place(block, order)
        after = place + 1 if place < len(block) and block[place].id == lot.id else place
        block = block[:place] + ((lot,) if lot.left > lot.written else ()) + block[after:]
        return OpenLots(blocks[:at] + _halved(block) + blocks[at + 1 :])

    def with_lots(self, changed: Sequence[LotState], *, is_moved: bool) -> OpenLots:
        """Return them with lots changed, added or gone; `is_moved` when one need not stand where it did."""
        if is_moved or len(changed) > 8 * len(self.blocks):  # So many are placed sooner by sorting all again.
            return OpenLots.of({lot.id: lot for lot in chain(self, changed)}.values())
        lots = self
        for lot in changed:
            lots = lots.with_lot(lot)
        return lots


_NO_LOTS = OpenLots()


@frozen
class Wallet:
    """The running state of one member."""

    member: str
    #: Open lots by currency.
    lots: Mapping[str, OpenLots] = field(factory=dict)
    #: Holds that are neither captured nor released; some may have lapsed.
    holds: tuple[HoldState, ...] = ()
    debts: tuple[DebtState, ...] = ()
    #: The latest effective time recorded; earlier commands are back-dated.
    latest: int = -NEVER
    #: Entries recorded.
    length: int = 0

    def held_by_lot(self, at: int) -> dict[str, int]:
        """Return how many points of each lot live holds reserve at an instant."""
        held: dict[str, int] = {}
        for hold in self.holds:
            if hold.is_live(at):
                for lot, points in hold.allocations:
                    held[lot] = held.get(lot, 0) + points
        return held

    def alive(self, currency: str, at: int) -> Iterator[LotState]:
        """Yield the open lots that have not expired at an instant, in spending order."""
        lots = self.lots.get(currency)
        return iter(()) if lots is None else lots.alive(at)

    def free(self, currency: str, at: int) -> Iterator[tuple[LotState, int]]:
        """Yield living lots with what no hold reserves, pending ones included."""
        held = self.held_by_lot(at) if self.holds else {}
        for lot in self.alive(currency, at):
            points = lot.left - lot.written - held.get(lot.id, 0)
            if points > 0:
                yield lot, points

    def after(self, at: int, changed: Iterable[LotState], *, is_moved: bool = False) -> Wallet:
        """Return the wallet after one more entry, which took effect at an instant and changed lots."""
        lots = self._lots_with(changed, is_moved=is_moved)
        return Wallet(self.member, lots, self.holds, self.debts, max(self.latest, at), self.length + 1)

    def with_lots(self, changed: Iterable[LotState]) -> Wallet:
        """Return the wallet with lots changed, added, or gone when nothing of them is open."""
        lots = self._lots_with(changed, is_moved=True)
        return Wallet(self.member, lots, self.holds, self.debts, self.latest, self.length)

    def _lots_with(self, changed: Iterable[LotState], *, is_moved: bool) -> dict[str, OpenLots]:
        by_currency: dict[str, list[LotState]] = {}
        for lot in changed:
            by_currency.setdefault(lot.currency, []).append(lot)
        lots = {**self.lots}
        for currency, some in by_currency.items():
            lots[currency] = lots.get(currency, _NO_LOTS).with_lots(some, is_moved=is_moved)
        return lots

    def debt(self, currency: str) -> int:
        """Return the points owed in a currency."""
        return sum(debt.points for debt in self.debts if debt.currency == currency)
