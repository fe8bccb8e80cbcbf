"""One member's points as running state: open lots in the order they are spent, holds, debts.

Wallets are values: posting makes a new one. Nothing here looks at closed lots, so a long history costs nothing;
open lots stand in blocks, so many of them cost little.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator
from itertools import chain
from typing import Any, NamedTuple

from attrs import frozen

from userops.points.values import NEVER, Allocations, LotState

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


#: Open lots in spending order, currency by currency, in blocks: a change copies one block, not all lots.
Block = tuple[LotState, ...]
OpenLots = tuple[Block, ...]


def spending_order(lot: LotState) -> tuple[str, int, int, tuple[int, int]]:
    """Return the key by which lots of a currency are spent: expiry, availability, then the earlier entry.

    Lots begin with it, and so stand behind their own key, and before the next one's: they need no key to be found.
    """
    return (lot.currency, lot.ends, lot.available_at, lot.place)


def _last(block: Block) -> tuple[Any, ...]:
    return block[-1]


def in_order(lots: Iterable[LotState]) -> OpenLots:
    """Return lots in order, those left out of which nothing is open."""
    ordered = sorted(lot for lot in lots if lot.left > lot.written)
    return tuple(tuple(ordered[at : at + _BLOCK]) for at in range(0, len(ordered), _BLOCK))


def living(lots: OpenLots, currency: str, at: int) -> Iterator[LotState]:
    """Return the lots of a currency that have not expired at an instant, in spending order."""
    first, end = (currency, at + 1), (currency + "\0",)  # No currency's name holds a NUL.
    if len(lots) > 1:
        lots = lots[bisect_left(lots, first, key=_last) : bisect_left(lots, end, key=_last) + 1]
    if len(lots) == 1:
        return iter(lots[0][bisect_left(lots[0], first) : bisect_left(lots[0], end)])
    if not lots:
        return iter(())
    head, last = lots[0], lots[-1]
    return chain(
        head[bisect_left(head, first) :], chain.from_iterable(lots[1:-1]), last[: bisect_left(last, end)]
    )


def with_lot(lots: OpenLots, lot: LotState) -> OpenLots:
    """Return open lots with one in its place, or gone when nothing of it is open."""
    order, at = lot[:4], 0
    if not lots or lots[-1][-1] < order:  # Behind all others, as most new ones are.
        if lot.left <= lot.written:
            return lots
        return lots[:-1] + _halved((*lots[-1], lot)) if lots else ((lot,),)
    if len(lots) > 1:
        at = min(bisect_left(lots, order, key=_last), len(lots) - 1)
    block = lots[at]
    place = bisect_left(block, order)
    after = place + 1 if place < len(block) and block[place].id == lot.id else place
    block = block[:place] + ((lot,) if lot.left > lot.written else ()) + block[after:]
    return lots[:at] + _halved(block) + lots[at + 1 :]


def _halved(block: Block) -> OpenLots:
    """Return a block as no block when it is empty, as two when it has grown too long."""
    if len(block) <= _BLOCK:
        return (block,) if block else ()
    return (block[: len(block) // 2], block[len(block) // 2 :])


def with_lots(lots: OpenLots, changed: Collection[LotState], *, is_moved: bool = False) -> OpenLots:
    """Return open lots with some changed, added or gone; `is_moved` when one need not stand where it did."""
    # So many are placed sooner by sorting all again.
    if is_moved or len(changed) > 8 * len(lots) + 8:
        return in_order({lot.id: lot for lot in chain(chain.from_iterable(lots), changed)}.values())
    for lot in changed:
        lots = with_lot(lots, lot)
    return lots


class Wallet(NamedTuple):
    """The running state of one member. (A named tuple, as each posting makes one.)"""

    member: str
    lots: OpenLots = ()
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

    def open_lots(self) -> Iterator[LotState]:
        """Return all open lots, in spending order within each currency."""
        return chain.from_iterable(self.lots)

    def alive(self, currency: str, at: int = -NEVER) -> Iterator[LotState]:
        """Return the open lots that have not expired at an instant, in spending order."""
        return living(self.lots, currency, at)

    def free(self, currency: str, at: int) -> Iterator[tuple[LotState, int]]:
        """Return living lots with what no hold reserves, pending ones included."""
        if self.holds:
            return self._free_of_holds(currency, at)
        return ((lot, lot.left - lot.written) for lot in self.alive(currency, at))

    def _free_of_holds(self, currency: str, at: int) -> Iterator[tuple[LotState, int]]:
        held = self.held_by_lot(at)
        for lot in self.alive(currency, at):
            points = lot.left - lot.written - held.get(lot.id, 0)
            if points > 0:
                yield lot, points

    def after(self, at: int, changed: Collection[LotState], *, is_moved: bool = False) -> Wallet:
        """Return the wallet after one more entry, which took effect at an instant and changed lots."""
        lots = with_lots(self.lots, changed, is_moved=is_moved)
        return Wallet(self.member, lots, self.holds, self.debts, max(self.latest, at), self.length + 1)

    def debt(self, currency: str) -> int:
        """Return the points owed in a currency."""
        return sum(debt.points for debt in self.debts if debt.currency == currency)
