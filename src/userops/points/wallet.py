"""One member's points as running state: open lots in the order they are spent, holds, debts.

Wallets are values: posting makes a new one. Nothing here looks at closed lots, so a long history costs nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping

from attrs import field, frozen

from userops.points.values import Allocations, LotState

#: Later than every instant: the sort key of lots that never expire.
NEVER = 2**63
#: More changed lots than this are sorted in at once.
_FEW = 8


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


def _placed(lots: tuple[LotState, ...], lot: LotState) -> tuple[LotState, ...]:
    """Return open lots with one lot in its place, or gone when nothing of it is open."""
    place = bisect_left(lots, spending_order(lot), key=spending_order)
    after = place + 1 if place < len(lots) and lots[place].id == lot.id else place
    if lot.left > lot.written:
        return (*lots[:place], lot, *lots[after:])
    return lots[:place] + lots[after:] if after > place else lots


def _sorted(lots: tuple[LotState, ...], changed: Iterable[LotState]) -> tuple[LotState, ...]:
    """Return open lots with many changed, wherever they stood before."""
    by_id = {lot.id: lot for lot in (*lots, *changed)}
    return tuple(sorted((lot for lot in by_id.values() if lot.left > lot.written), key=spending_order))


@frozen
class Wallet:
    """The running state of one member."""

    member: str
    #: Open lots by currency, in spending order.
    lots: Mapping[str, tuple[LotState, ...]] = field(factory=dict)
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
        lots = self.lots.get(currency, ())
        start = bisect_left(lots, at + 1, key=lambda lot: NEVER if lot.expires_at is None else lot.expires_at)
        for place in range(start, len(lots)):
            yield lots[place]

    def free(self, currency: str, at: int) -> Iterator[tuple[LotState, int]]:
        """Yield living lots with what no hold reserves, pending ones included."""
        held = self.held_by_lot(at) if self.holds else {}
        for lot in self.alive(currency, at):
            points = lot.left - lot.written - held.get(lot.id, 0)
            if points > 0:
                yield lot, points

    def with_lots(self, changed: Iterable[LotState], *, is_moved: bool = False) -> Wallet:
        """Return the wallet with lots changed, added, or gone when nothing of them is open.

        `is_moved` says that expiries may have changed, so that a lot need not stand where it did.
        """
        by_currency: dict[str, list[LotState]] = {}
        for lot in changed:
            by_currency.setdefault(lot.currency, []).append(lot)
        lots = dict(self.lots)
        for currency, some in by_currency.items():
            known = lots.get(currency, ())
            if is_moved or len(some) > _FEW:
                known = _sorted(known, some)
            else:
                for lot in some:
                    known = _placed(known, lot)
            lots[currency] = known
        return Wallet(self.member, lots, self.holds, self.debts, self.latest, self.length)

    def debt(self, currency: str) -> int:
        """Return the points owed in a currency."""
        return sum(debt.points for debt in self.debts if debt.currency == currency)
