"""Undoing: reversals of spends, captures, earns and transfers; debts given up."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from userops.core.calendar import MICROS_PER_DAY, micros
from userops.core.commands import Capture, Clawback, Earn, Reverse, Spend, Transfer, WriteOff
from userops.errors import OverReversed, UnknownEntry
from userops.points.books import Books
from userops.points.draft import Draft
from userops.points.issuing import budget_period
from userops.points.values import Entry, Receipt, debt_account, wallet_account
from userops.points.wallet import DebtState


def post_reverse(books: Books, command: Reverse) -> Receipt:
    """Undo an entry, whole or in part, up to its original points."""
    target = books.entry(command.entry)
    if target is None or target.at > command.at:
        raise UnknownEntry(f"no entry {command.entry!r} at that time", entry=command.entry)
    if not isinstance(target.command, Earn | Spend | Capture | Transfer):
        raise UnknownEntry(f"a {target.kind} is not undone: {command.entry!r}", entry=command.entry)
    total = (
        target.command.points if isinstance(target.command, Earn) else sum(n for _, n in target.allocations)
    )
    left = total - books.undone(target.id)
    points = left if command.points is None else command.points
    if points < 1 or points > left:
        raise over_reversed(target.id, points if command.points is not None else total, left)
    draft = Draft(books, command, target.member, target.currency)
    if isinstance(target.command, Earn):
        _undo_earn(draft, target, target.command, points)
    elif isinstance(target.command, Transfer):
        _undo_transfer(draft, target, target.command, points)
    else:
        _undo_spend(draft, target, target.command.sink, points)
    return draft.commit()


def over_reversed(entry: str, asked: int, left: int) -> OverReversed:
    """Return the rejection of undoing more than is left."""
    what = f"{left:,} are left" if left else "nothing is left"
    return OverReversed(
        f"{asked:,} points of {entry!r} asked, {what} to undo", entry=entry, asked=asked, left=left
    )


def _from_the_end(target: Entry, done: int, points: int) -> list[tuple[int, int]]:
    """Return (place in the allocations, points), last-consumed lot first, after `done` were undone."""
    parts = []
    for place in range(len(target.allocations) - 1, -1, -1):
        size = target.allocations[place][1]
        skipped = min(done, size)
        done -= skipped
        part = min(points, size - skipped)
        points -= part
        if part:
            parts.append((place, part))
    return parts


def _undo_spend(draft: Draft, target: Entry, sink: str, points: int) -> None:
    command: Any = draft.command
    draft.leg(f"sink:{sink}", -points)
    for place, part in _from_the_end(target, draft.books.undone(target.id), points):
        lot = draft.lot(target.allocations[place][0])
        days = command.restore.days
        extended = None if days is None else draft.at + days * MICROS_PER_DAY
        if extended is None or lot.ends >= extended:
            draft.give_back(lot.id, part)
            draft.allocations.append((lot.id, part))
            continue
        longer = draft.create(
            lot._replace(
                id=draft.moved_lot_id(),
                ends=extended,
                original=part,
                place=draft.new_place(),
                is_issue=False,
                left=part,
                written=0,
            )
        )
        draft.leg(wallet_account(lot.member), part, longer.id)
        draft.allocations.append((longer.id, part))
    draft.undone = (target.id, points)


def _undo_earn(draft: Draft, target: Entry, earn: Earn, points: int) -> None:
    command: Any = draft.command
    policy = command.clawback
    free = list(draft.free())
    # What came of the earn is its own wherever it went and came back: given back with more time, or sent around.
    own = [(lot, n) for lot, n in free if lot.origin == target.id]
    reaches_others = policy in (Clawback.ANY, Clawback.DEBT)
    others = [(lot, n) for lot, n in free if lot.origin != target.id] if reaches_others else []
    found = sum(n for _, n in (*own, *others))
    if policy is Clawback.REJECT and found < points:
        raise draft.insufficient(points, found)
    draft.recovered = min(points, found)
    for lot, part in draft.choose(draft.recovered, [*own, *others]) if draft.recovered else []:
        draft.take(lot, part)
        draft.leg(f"fund:{lot.fund}", part)
        draft.allocations.append((lot.id, part))
    if policy is Clawback.DEBT and draft.recovered < points:
        _book_debt(draft, earn.fund, points - draft.recovered)
    undone = draft.recovered + draft.indebted
    draft.undone = (target.id, undone)
    fund = draft.books.funds[earn.fund]
    if fund.budget is not None and undone:
        draft.issued = (budget_period(fund, micros(target.at)), -undone)


def _book_debt(draft: Draft, fund: str, points: int) -> None:
    draft.indebted = points
    draft.leg(f"fund:{fund}", points)
    draft.leg(debt_account(draft.member), -points)
    draft.debts.append((draft.command.id, fund, points))
    wallet = draft.wallet()
    debt = DebtState(draft.command.id, fund, draft.currency, draft.at, points)
    debts = sorted((*wallet.debts, debt), key=lambda one: one.at)
    draft.wallets[draft.member] = wallet._replace(debts=tuple(debts))


def _undo_transfer(draft: Draft, target: Entry, transfer: Transfer, points: int) -> None:
    free = {lot.id: n for lot, n in draft.free(transfer.to)}
    parts = _from_the_end(target, draft.books.undone(target.id), points)
    there = sum(min(part, free.get(target.created[place].id, 0)) for place, part in parts)
    if there < points:
        raise draft.insufficient(points, there, transfer.to)
    for place, part in parts:
        draft.take(draft.lot(target.created[place].id), part)
        draft.give_back(target.allocations[place][0], part)
        draft.allocations.append((target.allocations[place][0], part))
    draft.undone = (target.id, points)


def post_write_off(books: Books, command: WriteOff) -> Receipt:
    """Give up what a member owes, oldest debt first."""
    draft = Draft(books, command, command.member, command.currency)
    wallet = draft.wallet()
    owed = sum(
        debt.points for debt in wallet.debts if debt.currency == command.currency and debt.at <= draft.at
    )
    points = owed if command.points is None else command.points
    if points < 1 or points > owed:
        raise over_reversed(f"debt of {command.member}", command.points or 0, owed)
    left, kept = points, []
    for debt in wallet.debts:
        is_due = debt.currency == command.currency and debt.at <= draft.at
        part = min(left, debt.points) if is_due else 0
        left -= part
        if part:
            draft.debts.append((debt.entry, debt.fund, -part))
        if part < debt.points:
            kept.append(evolve(debt, points=debt.points - part))
    draft.leg(debt_account(command.member), points)
    draft.leg("loss", -points)
    draft.wallets[command.member] = wallet._replace(debts=tuple(kept))
    return draft.commit()
