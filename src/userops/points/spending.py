"""Using points: spends, two-phase spends (hold, then capture or release), and transfers."""

from __future__ import annotations

from attrs import evolve

from userops.core.calendar import micros
from userops.core.commands import Capture, Hold, Release, Spend, Transfer
from userops.errors import AlreadyResolved, NotSpendable, OverCaptured, UnknownHold
from userops.points.books import Books, known_fund
from userops.points.draft import Draft, changed_holds, insufficient
from userops.points.values import Entry, Receipt, wallet_account
from userops.points.wallet import HoldState


def check_spendable(books: Books, currency: str) -> None:
    """Refuse to spend, hold, transfer or exchange a currency that is not for it."""
    if not books.currencies[currency].spendable:
        raise NotSpendable(f"{currency!r} is not a spendable currency", currency=currency)


def post_spend(books: Books, command: Spend) -> Receipt:
    """Consume available points, earliest expiry first."""
    for fund in command.funds or ():
        known_fund(books, fund)
    check_spendable(books, command.currency)
    wallet, at = books.wallet(command.member), micros(command.at)
    if at < wallet.latest:
        return _spend_in_the_past(books, command)
    funds, left = command.funds, command.points
    allocations, changed = [], {}
    for lot, free in wallet.free(command.currency, at):
        if lot.available_at <= at and (funds is None or lot.fund in funds):
            taken = min(free, left)
            left -= taken
            allocations.append((lot.id, taken))
            changed[lot.id] = lot.with_left(lot.left - taken, lot.written)
            if not left:
                break
    else:
        free_at = wallet.free(command.currency, at)
        found = command.points - left
        raise insufficient(wallet, free_at, command.currency, at, asked=command.points, available=found)
    entry = Entry(
        command.id, books.next_sequence(), "spend", (command.member,), command.at, command.currency, command, None,
        tuple(allocations),
    )  # fmt: skip
    return books.record(entry, {command.member: wallet.after(at, changed.values())}, changed)


def _spend_in_the_past(books: Books, command: Spend) -> Receipt:
    """Consume points that have been free since an earlier instant, those that were written off meanwhile too."""
    draft = Draft(books, command, command.member, command.currency)
    for lot, points in draft.choose(command.points, draft.spendable(command.funds)):
        draft.take(lot, points)
        draft.allocations.append((lot.id, points))
    draft.leg(f"sink:{command.sink}", command.points)
    return draft.commit()


def post_hold(books: Books, command: Hold) -> Receipt:
    """Reserve available points in the order in which a spend would take them."""
    check_spendable(books, command.currency)
    draft = Draft(books, command, command.member, command.currency)
    for lot, points in draft.choose(command.points, draft.spendable()):
        draft.allocations.append((lot.id, points))
        draft.take_back(lot.id, points)
    hold = HoldState(
        id=command.id,
        member=command.member,
        currency=command.currency,
        points=command.points,
        at=draft.at,
        expires_at=None if command.expires_at is None else micros(command.expires_at),
        allocations=tuple(draft.allocations),
    )
    draft.hold = hold
    draft.wallets[command.member] = changed_holds(draft.wallet(), hold, is_open=True)
    return draft.commit()


def _live_hold(books: Books, hold_id: str, at: int) -> HoldState:
    hold = books.hold(hold_id)
    if hold is None or at < hold.at:
        raise UnknownHold(f"no hold {hold_id!r} at that time", hold=hold_id)
    if hold.resolved_by:
        raise AlreadyResolved(f"hold {hold_id!r} was resolved by {hold.resolved_by!r}", hold=hold_id)
    if not hold.is_live(at):
        raise AlreadyResolved(f"hold {hold_id!r} has expired", hold=hold_id)
    return hold


def _resolve(draft: Draft, hold: HoldState) -> None:
    done = evolve(hold, resolved_by=draft.command.id, resolved_at=draft.at)
    draft.hold = done
    draft.wallets[hold.member] = changed_holds(draft.wallet(), done, is_open=False)


def post_capture(books: Books, command: Capture) -> Receipt:
    """Spend what a hold reserves, or part of it; the rest goes back to its lots."""
    hold = _live_hold(books, command.hold, micros(command.at))
    points = hold.points if command.points is None else command.points
    if points > hold.points:
        raise OverCaptured(
            f"{points:,} points asked, hold {hold.id!r} reserves {hold.points:,}",
            hold=hold.id,
            asked=points,
            held=hold.points,
        )
    draft = Draft(books, command, hold.member, hold.currency)
    taken = _first(points, hold)
    _check_still_there(draft, hold, taken)
    _resolve(draft, hold)
    for (lot_id, reserved), part in zip(hold.allocations, taken, strict=True):
        if part:
            draft.take(draft.lot(lot_id), part)
            draft.allocations.append((lot_id, part))
        _free(draft, lot_id, reserved - part)
    draft.leg(f"sink:{command.sink}", points)
    return draft.commit()


def _first(points: int, hold: HoldState) -> list[int]:
    """Return what of each of a hold's allocations is among its first `points`."""
    taken = []
    for _, reserved in hold.allocations:
        taken.append(min(points, reserved))
        points -= taken[-1]
    return taken


def _check_still_there(draft: Draft, hold: HoldState, taken: list[int]) -> None:
    """Refuse a back-dated capture of a hold that has lapsed since, when its points are gone by now."""
    if hold.is_live(max(draft.at, draft.wallet().latest)):
        return
    history = draft.books.history(hold.member)
    history.holds.pop(hold.id, None)
    there = sum(
        min(part, history.free_since(history.lots[lot_id], draft.at))
        for (lot_id, _), part in zip(hold.allocations, taken, strict=True)
    )
    if there < sum(taken):
        raise draft.insufficient(sum(taken), there)


def _free(draft: Draft, lot_id: str, points: int) -> None:
    """Let points of a hold go; those whose lot has expired meanwhile expire at once."""
    lot = draft.lot(lot_id)
    if points and not lot.is_alive(draft.at):
        draft.write_expired(lot_id, points, draft.loose(lot, points))


def post_release(books: Books, command: Release) -> Receipt:
    """Give a hold's points back to their lots."""
    hold = _live_hold(books, command.hold, micros(command.at))
    draft = Draft(books, command, hold.member, hold.currency)
    _resolve(draft, hold)
    for lot_id, points in hold.allocations:
        draft.allocations.append((lot_id, points))
        _free(draft, lot_id, points)
    return draft.commit()


def post_transfer(books: Books, command: Transfer) -> Receipt:
    """Move points to another member: each lot's part becomes a lot of theirs with the same fund and expiry."""
    check_spendable(books, command.currency)
    draft = Draft(books, command, command.member, command.currency)
    for lot, points in draft.choose(command.points, draft.spendable()):
        draft.take(lot, points)
        draft.allocations.append((lot.id, points))
        moved = draft.create(
            lot._replace(
                id=draft.moved_lot_id(),
                member=command.to,
                original=points,
                place=draft.new_place(command.to),
                is_issue=False,
                left=points,
                written=0,
            )
        )
        draft.leg(wallet_account(command.to), points, moved.id)
    return draft.commit()
