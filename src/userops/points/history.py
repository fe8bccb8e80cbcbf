"""A wallet as its entries tell it: at any instant, and as known at any place in the recording.

What is left of a lot is what its legs on the wallet and on `expired` add up to; whether that has expired
follows from the time alone. So no reading depends on whether an expiry was written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import define, evolve, field

from userops.core.calendar import micros
from userops.core.commands import Extend, Hold
from userops.points.values import EXPIRED, NEVER, Entry, LotState, wallet_account
from userops.points.wallet import DebtState, HoldState


@define
class History:
    """The state that a wallet's entries add up to, in order of recording."""

    member: str
    lots: dict[str, LotState] = field(factory=dict)
    holds: dict[str, HoldState] = field(factory=dict)
    debts: dict[str, DebtState] = field(factory=dict)
    #: Of each lot, (instant, change of what is left), in order of recording.
    moves: dict[str, list[tuple[int, int]]] = field(factory=dict)

    @classmethod
    def of(
        cls, member: str, entries: Iterable[Entry], *, as_of: int | None = None, known_at: int | None = None
    ) -> History:
        """Fold the entries that took effect by `as_of` and were recorded by `known_at`."""
        history = cls(member)
        for entry in entries:
            if (as_of is None or micros(entry.at) <= as_of) and (
                known_at is None or entry.sequence <= known_at
            ):
                history.add(entry)
        return history

    def add(self, entry: Entry) -> None:
        """Fold one more entry."""
        at, account = micros(entry.at), wallet_account(self.member)
        for lot in entry.created:
            if lot.member == self.member:
                self.lots[lot.id] = lot.with_left(0, 0)
        for name, _, points, lot_id in entry.bare_legs:
            lot_state = self.lots.get(lot_id)
            if lot_state is not None and name in (account, EXPIRED):
                written = points if name == EXPIRED else 0
                self.lots[lot_id] = lot_state.with_left(lot_state.left + points, lot_state.written + written)
                self.moves.setdefault(lot_id, []).append((at, points))
        self._add_hold(entry, at)
        if entry.members[0] == self.member:
            self._add_debts(entry, at)
        if isinstance(entry.command, Extend):
            for lot_state in extended_lots(self.there(at), entry.command):
                self.lots[lot_state.id] = lot_state

    def there(self, at: int) -> Iterator[LotState]:
        """Yield the lots that had come into the wallet by an instant."""
        return (lot for lot in self.lots.values() if self.moves[lot.id][0][0] <= at)

    def _add_hold(self, entry: Entry, at: int) -> None:
        command = entry.command
        if isinstance(command, Hold):
            ends = None if command.expires_at is None else micros(command.expires_at)
            self.holds[entry.id] = HoldState(
                entry.id, self.member, entry.currency, command.points, at, ends, entry.allocations
            )
        elif entry.kind in ("capture", "release"):
            hold = self.holds.get(command.hold)  # type: ignore[attr-defined]
            if hold is not None:
                self.holds[hold.id] = evolve(hold, resolved_by=entry.id, resolved_at=at)

    def _add_debts(self, entry: Entry, at: int) -> None:
        for origin, fund, points in entry.debts:
            debt = self.debts.get(origin) or DebtState(origin, fund, entry.currency, at, 0)
            self.debts[origin] = evolve(debt, points=debt.points + points)

    def held_by_lot(self, at: int) -> dict[str, int]:
        """Return how many points of each lot live holds reserve at an instant."""
        held: dict[str, int] = {}
        for hold in self.holds.values():
            if hold.is_live(at):
                for lot, points in hold.allocations:
                    held[lot] = held.get(lot, 0) + points
        return held

    def standing_lots(self, currency: str, at: int) -> Iterator[tuple[LotState, int, int]]:
        """Yield lots that have points at an instant, with (points, of them held)."""
        held = self.held_by_lot(at)
        for lot in self.lots.values():
            if lot.currency == currency:
                reserved = held.get(lot.id, 0)
                points = lot.left if lot.is_alive(at) else reserved
                if points:
                    yield lot, points, reserved

    def free_since(self, lot: LotState, at: int) -> int:
        """Return the points of a lot that have been free at `at` and at every later instant."""
        changes: dict[int, int] = {}
        for moved_at, points in self.moves.get(lot.id, ()):
            changes[moved_at] = changes.get(moved_at, 0) + points
        for hold in self.holds.values():
            points = sum(n for lot_id, n in hold.allocations if lot_id == lot.id)
            if points:
                ends = min(hold.expires_at or NEVER, NEVER if hold.resolved_at is None else hold.resolved_at)
                if hold.at < ends:
                    changes[hold.at] = changes.get(hold.at, 0) - points
                    changes[ends] = changes.get(ends, 0) + points
        total = sum(points for moved_at, points in changes.items() if moved_at <= at)
        least = total
        for moved_at in sorted(moved_at for moved_at in changes if moved_at > at):
            total += changes[moved_at]
            least = min(least, total)
        return max(0, least)

    def free(self, currency: str, at: int) -> Iterator[tuple[LotState, int]]:
        """Yield the lots alive at an instant with what has been free ever since, in no order."""
        for lot in self.lots.values():
            if lot.currency == currency and lot.is_alive(at):
                points = self.free_since(lot, at)
                if points:
                    yield lot, points


def extended_lots(lots: Iterable[LotState], command: Extend) -> list[LotState]:
    """Return the lots whose expiry an `Extend` moves: alive at its instant, of its rule, and ending earlier.

    The earliest comes first: a store gives lots in an order of its own, and the chain may not depend on that.
    """
    at, expires_at = micros(command.at), micros(command.expires_at)
    moved = [
        lot.with_expiry(expires_at)
        for lot in lots
        if lot.currency == command.currency
        and (command.rule is None or lot.rule == command.rule)
        and at < lot.ends < expires_at
    ]
    return sorted(moved, key=lambda lot: lot.place)
