"""Wallets as their entries tell them: at any instant, and as known at any place in the recording.

What is left of a lot is what its legs on the wallet and on `expired` add up to; whether that has expired
follows from the time alone. So no reading depends on whether an expiry was written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from attrs import define, evolve, field

from userops.core.calendar import micros
from userops.core.commands import Extend, Hold
from userops.points.endings import Endings
from userops.points.values import EXPIRED, NEVER, Entry, LotState
from userops.points.wallet import DebtState, HoldState


def is_lots_account(account: str) -> bool:
    """Say whether what stands on an account is left of lots: in a wallet, or recorded as expired."""
    return account == EXPIRED or account.startswith("wallet:")


@define
class Standing:
    """What entries, in order of recording, add up to: in one member's wallet, or, without a member, in all."""

    member: str | None = None
    holds: dict[str, HoldState] = field(factory=dict)
    debts: dict[str, DebtState] = field(factory=dict)
    #: The lots as they were granted, when they came into their wallets, and what is left of them.
    granted: dict[str, LotState] = field(factory=dict)
    starts: dict[str, int] = field(factory=dict)
    left: dict[str, int] = field(factory=dict)
    _written: dict[str, int] = field(factory=dict)
    _endings: Endings = field(factory=Endings)

    def add(self, entry: Entry, at: int) -> None:
        """Fold one more entry, which took effect at an instant."""
        for lot in entry.created:
            if self.member is None or lot.member == self.member:
                self._grant(lot, at)
        left = self.left
        for account, _, points, lot_id in entry.bare_legs:
            if lot_id in left and is_lots_account(account):
                left[lot_id] += points
                if account == EXPIRED:
                    self._written[lot_id] = self._written.get(lot_id, 0) + points
        if entry.kind == "extend":
            self._extend(entry, at)
        elif entry.kind in ("hold", "capture", "release"):
            self._add_hold(entry, at)
        for origin, fund, points in entry.debts:
            debt = self.debts.get(origin) or DebtState(origin, fund, entry.currency, at, 0)
            self.debts[origin] = evolve(debt, points=debt.points + points)

    def _grant(self, lot: LotState, at: int) -> None:
        self.granted[lot.id], self.starts[lot.id], self.left[lot.id] = lot, at, 0
        self._endings.add(lot.member, lot.currency, lot.rule, lot.id, start=at, ends=lot.ends)

    def _extend(self, entry: Entry, at: int) -> None:
        command = entry.command
        assert isinstance(command, Extend)  # noqa: S101 — of this kind
        until = micros(command.expires_at)
        self._endings.extend(entry.member, command.currency, command.rule, at=at, until=until)

    def _add_hold(self, entry: Entry, at: int) -> None:
        command = entry.command
        if isinstance(command, Hold):
            ends = None if command.expires_at is None else micros(command.expires_at)
            self.holds[entry.id] = HoldState(
                entry.id, entry.member, entry.currency, command.points, at, ends, entry.allocations
            )
        else:
            hold = self.holds.get(command.hold)  # type: ignore[attr-defined]
            if hold is not None:
                self.holds[hold.id] = evolve(hold, resolved_by=entry.id, resolved_at=at)

    def moved(self) -> dict[str, int]:
        """Return when lots end that end at all, as granted and as extended since."""
        return dict(self._endings)

    def held_by_lot(self, at: int) -> dict[str, int]:
        """Return how many points of each lot live holds reserve at an instant."""
        held: dict[str, int] = {}
        for hold in self.holds.values():
            if hold.is_live(at):
                for lot, points in hold.allocations:
                    held[lot] = held.get(lot, 0) + points
        return held

    def present(self, at: int) -> Iterator[tuple[LotState, int, int]]:
        """Yield every lot as granted, with (points left, of them not expired at an instant)."""
        ends, held = self.moved(), self.held_by_lot(at)
        for id_, lot in self.granted.items():
            left = self.left[id_]
            yield lot, left, left if at < ends.get(id_, NEVER) else held.get(id_, 0)


@define
class History(Standing):
    """One wallet, with all that happened in it."""

    entries: list[Entry] = field(factory=list)
    _lots: dict[str, LotState] | None = None
    _moves: dict[str, list[tuple[int, int]]] | None = None
    _holding: dict[str, list[tuple[str, int]]] | None = None

    @classmethod
    def of(
        cls, member: str, entries: Iterable[Entry], *, as_of: int | None = None, known_at: int | None = None
    ) -> History:
        """Fold the entries that took effect by `as_of` and were recorded by `known_at`."""
        history = cls(member)
        for entry in entries:
            if known_at is None or entry.sequence <= known_at:
                at = micros(entry.at)
                if as_of is None or at <= as_of:
                    history.add(entry, at)
        return history

    def add(self, entry: Entry, at: int) -> None:
        """Fold one more entry, which took effect at an instant."""
        self.entries.append(entry)
        self._lots = self._moves = self._holding = None
        super().add(entry, at)

    @property
    def lots(self) -> dict[str, LotState]:
        """The lots as they stand, in order of recording."""
        if self._lots is None:
            ends, left, written = self.moved(), self.left, self._written
            self._lots = {
                id_: _standing(lot, ends.get(id_, NEVER), left[id_], written.get(id_, 0))
                for id_, lot in self.granted.items()
            }
        return self._lots

    @property
    def moves(self) -> dict[str, list[tuple[int, int]]]:
        """Of each lot, (instant, change of what is left), in order of recording."""
        if self._moves is None:
            self._moves = {id_: [] for id_ in self.granted}
            for entry in self.entries:
                at = micros(entry.at)
                for account, _, points, lot in entry.bare_legs:
                    if lot in self._moves and is_lots_account(account):
                        self._moves[lot].append((at, points))
        return self._moves

    def there(self, at: int) -> Iterator[LotState]:
        """Yield the lots that had come into the wallet by an instant."""
        return (lot for lot in self.lots.values() if self.starts[lot.id] <= at)

    def reserved(self, lot: str) -> Iterator[tuple[int, int, int]]:
        """Yield (from, until, points) of a lot that a hold reserves, or reserved."""
        if self._holding is None:
            self._holding = defaultdict(list)
            for hold in self.holds.values():
                for lot_id, points in hold.allocations:
                    self._holding[lot_id].append((hold.id, points))
        for hold_id, points in self._holding.get(lot, ()):
            if hold_id in self.holds:  # A caller may leave one out of account.
                hold = self.holds[hold_id]
                ends = min(hold.expires_at or NEVER, NEVER if hold.resolved_at is None else hold.resolved_at)
                if hold.at < ends:
                    yield hold.at, ends, points

    def standing_lots(self, currency: str, at: int) -> Iterator[tuple[LotState, int, int]]:
        """Yield lots that have points at an instant, with (points, of them held)."""
        held = self.held_by_lot(at)
        for lot in self.lots.values():
            if lot.currency == currency:
                reserved = held.get(lot.id, 0)
                points = lot.left if lot.is_alive(at) else reserved
                if points:
                    yield lot, points, reserved

    def changes(self, currency: str) -> dict[int, int]:
        """Return by how much the points of a currency change at each instant at which they do.

        An instant is read as it was then, without what took effect later. That includes extensions, but one
        that took effect later only ever moved lots alive at its own instant, so they were alive before, moved
        or not: at every instant those lots are alive that have not ended by it as all entries tell.
        """
        changes: dict[int, int] = defaultdict(int)
        for lot in self.lots.values():
            if lot.currency != currency:
                continue
            alive = 0
            for at, points in self.moves[lot.id]:
                if lot.is_alive(at):
                    changes[at] += points
                    alive += points
            if lot.ends < NEVER:
                changes[lot.ends] -= alive
                for start, until, points in self.reserved(lot.id):
                    if until > lot.ends:
                        changes[max(start, lot.ends)] += points
                        changes[until] -= points
        return changes

    def free_since(self, lot: LotState, at: int) -> int:
        """Return the points of a lot that have been free at `at` and at every later instant."""
        changes: dict[int, int] = {}
        for moved_at, points in self.moves.get(lot.id, ()):
            changes[moved_at] = changes.get(moved_at, 0) + points
        for start, until, points in self.reserved(lot.id):
            changes[start] = changes.get(start, 0) - points
            changes[until] = changes.get(until, 0) + points
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


def _standing(lot: LotState, ends: int, left: int, written: int) -> LotState:
    return (lot if ends == lot.ends else lot.with_expiry(ends)).with_left(left, written)


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
