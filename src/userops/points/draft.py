"""An entry in the making: legs, allocations and the state they lead to, applied only when it is whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import define, evolve, field

from userops.core.calendar import micros
from userops.core.commands import Command, Extend
from userops.core.ids import derived_id
from userops.errors import DamagedLedger, IdConflict, InsufficientPoints
from userops.points.books import Books
from userops.points.history import EXPIRED, wallet_account
from userops.points.values import Entry, Leg, LotState, Receipt
from userops.points.wallet import HoldState, Wallet, spending_order


@define
class Draft:
    """What one command is going to do."""

    books: Books
    command: Command
    member: str
    currency: str
    at: int = field(init=False)
    legs: list[Leg] = field(factory=list)
    allocations: list[tuple[str, int]] = field(factory=list)
    expired: list[tuple[str, int]] = field(factory=list)
    created: list[LotState] = field(factory=list)
    debts: list[tuple[str, str, int]] = field(factory=list)
    recovered: int = 0
    indebted: int = 0
    undone: tuple[str, int] | None = None
    issued: dict[tuple[str, str], int] = field(factory=dict)
    lots: dict[str, LotState] = field(factory=dict)
    wallets: dict[str, Wallet] = field(factory=dict)
    holds: dict[str, HoldState] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        """Note the instant."""
        self.at = micros(self.command.at)

    def wallet(self, member: str | None = None) -> Wallet:
        """Return a wallet as this draft leaves it."""
        name = self.member if member is None else member
        known = self.wallets.get(name)
        if known is None:
            known = self.wallets[name] = self.books.wallet(name)
        return known

    def lot(self, lot: str) -> LotState:
        """Return a lot as this draft leaves it."""
        found = self.lots.get(lot) or self.books.lot(lot)
        if found is None:
            message = f"row {lot!r} of ledger_lot, which entries name, is not there"
            raise DamagedLedger(f"{message}; audit() finds what is wrong", table="ledger_lot", row=lot)
        return found

    def leg(self, account: str, points: int, lot: str = "", currency: str | None = None) -> None:
        """Add a leg."""
        if points:
            self.legs.append(Leg(account, currency or self.currency, points, lot))

    def free(self, member: str | None = None) -> Iterator[tuple[LotState, int]]:
        """Yield living lots with their free points in spending order, pending ones included.

        For a back-dated command these are the points that have been free ever since.
        """
        wallet = self.wallet(member)
        if self.at >= wallet.latest:
            return wallet.free(self.currency, self.at)
        found = self.books.history(wallet.member).free(self.currency, self.at)
        return iter(sorted(found, key=lambda pair: spending_order(pair[0])))

    def spendable(self, funds: tuple[str, ...] | None = None) -> Iterator[tuple[LotState, int]]:
        """Yield the free points that are available at the command's instant."""
        for lot, points in self.free():
            if lot.available_at <= self.at and (funds is None or lot.fund in funds):
                yield lot, points

    def choose(self, points: int, found: Iterable[tuple[LotState, int]]) -> list[tuple[LotState, int]]:
        """Return (lot, points) in order until `points` are found; too few are refused."""
        chosen, left = [], points
        for lot, free in found:
            taken = min(free, left)
            chosen.append((lot, taken))
            left -= taken
            if not left:
                return chosen
        raise self.insufficient(points, points - left)

    def insufficient(self, asked: int, available: int, member: str | None = None) -> InsufficientPoints:
        """Return the rejection that says what the member has."""
        wallet = self.wallet(member)
        pending = sum(points for lot, points in self.free(member) if lot.available_at > self.at)
        held = sum(
            hold.points for hold in wallet.holds if hold.is_live(self.at) and hold.currency == self.currency
        )
        return InsufficientPoints(
            f"{asked:,} points asked, {available:,} available ({pending:,} pending, {held:,} held)",
            member=wallet.member,
            asked=asked,
            available=available,
            pending=pending,
            held=held,
        )

    def take(self, lot: LotState, points: int) -> None:
        """Take points out of a lot; those already recorded as expired come back from there."""
        state = self.lots.get(lot.id) or self.books.lot(lot.id) or lot
        from_expired = min(points - self.loose(state, points), state.written)
        self.leg(wallet_account(state.member), from_expired - points, lot.id)
        self.leg(EXPIRED, -from_expired, lot.id)
        self.keep(state.with_left(state.left - points, state.written - from_expired))

    def loose(self, lot: LotState, points: int) -> int:
        """Return how many of `points` the wallet account holds beyond what other holds reserve of the lot."""
        unwritten = lot.left - lot.written
        if lot.written:
            holds = self.wallet(lot.member).holds
            unwritten -= sum(n for hold in holds for lot_id, n in hold.allocations if lot_id == lot.id)
        return max(0, min(points, unwritten))

    def take_back(self, lot: str, points: int) -> None:
        """Take out of `expired` what a back-dated hold reserves and the wallet account has no more."""
        state = self.lot(lot)
        missing = points - self.loose(state, points)
        if missing:
            self.leg(EXPIRED, -missing, lot)
            self.leg(wallet_account(state.member), missing, lot)
            self.keep(state.with_left(state.left, state.written - missing))

    def give_back(self, lot: str, points: int) -> None:
        """Put points back into a lot; past its expiry they expire at once."""
        state = self.lot(lot)
        if state.is_alive(self.at):
            self.leg(wallet_account(state.member), points, lot)
            self.keep(state.with_left(state.left + points, state.written))
        else:
            self.leg(EXPIRED, points, lot)
            self.keep(state.with_left(state.left + points, state.written + points))
            self.expired.append((lot, points))

    def write_expired(self, lot: str, points: int, written: int) -> None:
        """Record that points of a lot have expired; only `written` of them are not on record already."""
        state = self.lot(lot)
        self.leg(wallet_account(state.member), -written, lot)
        self.leg(EXPIRED, written, lot)
        self.keep(state.with_left(state.left, state.written + written))
        self.expired.append((lot, points))

    def keep(self, lot: LotState) -> None:
        """Note a lot's new state."""
        self.lots[lot.id] = lot

    def create(self, lot: LotState) -> LotState:
        """Add a new lot."""
        if self.books.lot(lot.id) is not None:
            raise IdConflict(
                f"a lot {lot.id!r} exists already", id=lot.id, field="id", was="a lot", given="a lot"
            )
        self.created.append(lot)
        self.keep(lot)
        return lot

    def new_place(self, member: str | None = None) -> tuple[int, int]:
        """Return the place of the next lot created in a wallet."""
        return (self.wallet(member).length, len(self.created))

    def moved_lot_id(self) -> str:
        """Return the id of the next lot that this command moves points into."""
        return derived_id(self.command.id, str(len(self.created)))

    def commit(self) -> Receipt:
        """Record the entry and the state it leads to in the books."""
        books, command, changes = self.books, self.command, self.books.changes
        changed: dict[str, list[LotState]] = {self.member: []}
        for lot in self.lots.values():
            changed.setdefault(lot.member, []).append(lot)
        for member in changed:
            self.wallet(member)
        is_moved = isinstance(command, Extend)
        for member, wallet in self.wallets.items():
            changes.wallets[member] = wallet.after(self.at, changed.get(member, ()), is_moved=is_moved)
        others = [member for member in self.wallets if member != self.member]
        entry = Entry(
            id=command.id,
            sequence=books.next_sequence(),
            kind=type(command).__name__.lower(),
            members=(self.member, *sorted(others)),
            at=command.at,
            currency=self.currency,
            command=command,
            legs=tuple(self.legs),
            allocations=tuple(self.allocations),
            expired=tuple(self.expired),
            created=tuple(self.created),
            recovered=self.recovered,
            indebted=self.indebted,
            debts=tuple(self.debts),
        )
        changes.lots.update(self.lots)
        changes.holds.update(self.holds)
        if self.undone is not None:
            changes.undone[self.undone[0]] = books.undone(self.undone[0]) + self.undone[1]
        for period, points in self.issued.items():
            changes.issued[period] = changes.issued.get(period, 0) + points
        books.record(entry)
        return Receipt(entry.id, entry.sequence, entry.allocations, entry.expired)


def changed_holds(wallet: Wallet, hold: HoldState, *, is_open: bool) -> Wallet:
    """Return the wallet with a hold added, or gone."""
    others = tuple(one for one in wallet.holds if one.id != hold.id)
    return evolve(wallet, holds=(*others, hold) if is_open else others)
