"""An entry in the making: legs, allocations and the state they lead to, applied only when it is whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from userops.core.calendar import micros
from userops.core.commands import Command, Extend
from userops.core.ids import derived_id
from userops.errors import DamagedLedger, IdConflict, InsufficientPoints
from userops.points.books import Books, Period
from userops.points.values import EXPIRED, BareLeg, Entry, LotState, Receipt, wallet_account
from userops.points.wallet import HoldState, Wallet, spending_order

#: What entries of each kind of command are called.
_KINDS = {kind: kind.__name__.lower() for kind in Command.__subclasses__()}


class Draft:
    """What one command is going to do."""

    __slots__ = (
        "allocations", "at", "books", "command", "created", "currency", "debts", "expired", "hold", "indebted",
        "issued", "legs", "lots", "member", "recovered", "undone", "wallets",
    )  # fmt: skip

    def __init__(self, books: Books, command: Command, member: str, currency: str) -> None:
        """Begin with nothing done."""
        self.books, self.command, self.member, self.currency = books, command, member, currency
        self.at = micros(command.at)
        self.legs: list[BareLeg] = []
        self.allocations: list[tuple[str, int]] = []
        self.expired: list[tuple[str, int]] = []
        self.created: list[LotState] = []
        self.debts: list[tuple[str, str, int]] = []
        self.recovered = self.indebted = 0
        #: (entry, points): what is undone, and (fund and period, points): what counts against a budget.
        self.undone: tuple[str, int] | None = None
        self.issued: tuple[Period, int] | None = None
        self.hold: HoldState | None = None
        self.lots: dict[str, LotState] = {}
        self.wallets = {member: books.wallet(member)}

    def wallet(self, member: str | None = None) -> Wallet:
        """Return a wallet as this draft leaves it."""
        if member is None:
            return self.wallets[self.member]
        known = self.wallets.get(member)
        if known is None:
            known = self.wallets[member] = self.books.wallet(member)
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
            self.legs.append((account, currency or self.currency, points, lot))

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
        if self.at < wallet.latest:
            # The running state forgets holds that are over; the entries tell what was held at an earlier instant.
            wallet = wallet._replace(holds=tuple(self.books.history(wallet.member).holds.values()))
        return insufficient(
            wallet, self.free(member), self.currency, self.at, asked=asked, available=available
        )

    def take(self, lot: LotState, points: int) -> None:
        """Take points out of a lot; those already recorded as expired come back from there."""
        if (
            self.at < self.wallet(lot.member).latest
        ):  # History told what was free; the books tell how it stands.
            lot = self.lot(lot.id)
        from_expired = min(points - self.loose(lot, points), lot.written) if lot.written else 0
        self.leg(wallet_account(lot.member), from_expired - points, lot.id)
        if from_expired:
            self.leg(EXPIRED, -from_expired, lot.id)
        self.lots[lot.id] = lot.with_left(lot.left - points, lot.written - from_expired)

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
        check_new_lot(self.books, lot.id)
        self.add(lot)
        return lot

    def add(self, lot: LotState) -> None:
        """Note a new lot."""
        self.created.append(lot)
        self.lots[lot.id] = lot

    def new_place(self, member: str | None = None) -> tuple[int, int]:
        """Return the place of the next lot created in a wallet."""
        return (self.wallet(member).length, len(self.created))

    def moved_lot_id(self) -> str:
        """Return the id of the next lot that this command moves points into."""
        return derived_id(self.command.id, str(len(self.created)))

    def commit(self) -> Receipt:
        """Record the entry and the state it leads to in the books."""
        books, command, changes = self.books, self.command, self.books.changes
        after = self._wallets_after()
        members = (self.member,) if len(after) == 1 else (self.member, *sorted(after.keys() - {self.member}))
        entry = Entry(
            command.id, books.next_sequence(), _KINDS[type(command)], members, command.at, self.currency, command,
            tuple(self.legs), tuple(self.allocations), tuple(self.expired), tuple(self.created), self.recovered,
            self.indebted, tuple(self.debts),
        ).as_kept()  # fmt: skip
        if self.hold is not None:
            changes.holds[self.hold.id] = self.hold
        if self.undone is not None:
            changes.undone[self.undone[0]] = books.undone(self.undone[0]) + self.undone[1]
        return books.record(entry, after, self.lots, self.issued)

    def _wallets_after(self) -> dict[str, Wallet]:
        """Return the wallets as the entry leaves them."""
        lots, is_moved = self.lots.values(), isinstance(self.command, Extend)
        for lot in lots:
            if lot.member not in self.wallets:
                self.wallet(lot.member)
        if len(self.wallets) == 1:
            return {self.member: self.wallet().after(self.at, lots, is_moved=is_moved)}
        return {
            member: wallet.after(self.at, [lot for lot in lots if lot.member == member], is_moved=is_moved)
            for member, wallet in self.wallets.items()
        }


def insufficient(
    wallet: Wallet,
    free: Iterable[tuple[LotState, int]],
    currency: str,
    at: int,
    *,
    asked: int,
    available: int,
) -> InsufficientPoints:
    """Return the rejection that says what a member has, of which `free` is not held."""
    pending = sum(points for lot, points in free if lot.available_at > at)
    held = sum(hold.points for hold in wallet.holds if hold.is_live(at) and hold.currency == currency)
    return InsufficientPoints(
        f"{asked:,} points asked, {available:,} available ({pending:,} pending, {held:,} held)",
        member=wallet.member,
        asked=asked,
        available=available,
        pending=pending,
        held=held,
    )


def check_new_lot(books: Books, lot: str) -> None:
    """Refuse a lot whose id another bears."""
    if books.lot(lot) is not None:
        raise IdConflict(f"a lot {lot!r} exists already", id=lot, field="id", was="a lot", given="a lot")


def changed_holds(wallet: Wallet, hold: HoldState, *, is_open: bool) -> Wallet:
    """Return the wallet with a hold added, or gone."""
    others = tuple(one for one in wallet.holds if one.id != hold.id)
    return wallet._replace(holds=(*others, hold) if is_open else others)
