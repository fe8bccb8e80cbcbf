"""Granting points: earns, which repay debts first, and exchanges into another currency."""

from __future__ import annotations

from attrs import evolve

from userops.core.calendar import from_micros, micros, period, zone
from userops.core.commands import Earn, Exchange
from userops.errors import BudgetExceeded, InvalidCommand, InvalidValue
from userops.points.books import Books, Period, check_currency, known_fund
from userops.points.draft import Draft, check_new_lot
from userops.points.spending import check_spendable
from userops.points.values import (
    NEVER,
    BareLeg,
    Debts,
    Entry,
    Fund,
    LotState,
    Receipt,
    debt_account,
    issue_legs,
    wallet_account,
)
from userops.points.wallet import DebtState, Wallet

EXCHANGE = "exchange"


def budget_period(fund: Fund, at: int) -> Period:
    """Return the period of a fund's budget that an instant lies in."""
    assert fund.budget is not None  # noqa: S101 — asked of funds with a budget only
    return (fund.name, period(from_micros(at), fund.budget.per, zone(fund.timezone)))


def issued_lot(
    command: Earn | Exchange, fund: Fund, points: int, currency: str, place: tuple[int, int]
) -> LotState:
    """Return a new lot of points that a fund pays for, named by the command."""
    at, rule = micros(command.at), ""
    usable, ends = at, NEVER if command.expires_at is None else micros(command.expires_at)
    if isinstance(command, Earn):
        rule = command.rule
        if command.available_at is not None:
            usable = max(at, micros(command.available_at))
    return LotState(
        currency, ends, usable, place, command.id, command.member, fund.name, fund.unit_cost,
        at, rule, command.id, points, True, points, 0,
    )  # fmt: skip


def _counted(books: Books, fund: Fund, at: int, points: int) -> tuple[Period, int] | None:
    """Return what an issuance counts against the fund's budget, if it has one, refusing what is beyond it."""
    if fund.budget is None:
        return None
    try:
        key = budget_period(fund, at)
    except (
        InvalidValue
    ) as outside:  # The ends of the calendar: an instant that has no year in the fund's zone.
        raise InvalidCommand(str(outside), field="at") from None
    used, limit = books.issued(key), fund.budget.points
    if used + points > limit:
        raise BudgetExceeded(
            f"{points:,} points asked of fund {fund.name!r}; {max(0, limit - used):,} of {limit:,} left in {key[1]}",
            fund=fund.name,
            period=key[1],
            limit=limit,
            left=max(0, limit - used),
            asked=points,
        )
    return (key, points)


def post_earn(books: Books, command: Earn) -> Receipt:
    """Grant points as a new lot; open debts are repaid from it first, oldest first.

    The commonest command: it knows what its entry is, and needs no draft to find it.
    """
    check_new_lot(books, command.id)
    fund, member = known_fund(books, command.fund), command.member
    wallet = books.wallet(member)
    lot = left = issued_lot(command, fund, command.points, command.currency, (wallet.length, 0))
    at = lot.earned_at
    issued = None if fund.budget is None else _counted(books, fund, at, command.points)
    legs: tuple[BareLeg, ...] | None = None
    paid: Debts = ()
    if wallet.debts:
        kept, paid, more = _repaid(wallet, lot, at)
        legs = issue_legs(lot) + more if more else None
        left = lot.with_left(lot.left + sum(points for _, _, points in paid), 0)
        wallet = wallet._replace(debts=kept)
    entry = Entry(
        command.id, books.next_sequence(), "earn", (member,), command.at, command.currency, command, legs,
        (), (), (lot,), 0, 0, paid,
    )  # fmt: skip
    return books.record(entry, {member: wallet.after(at, (left,))}, {lot.id: left}, issued)


def _repaid(
    wallet: Wallet, lot: LotState, at: int
) -> tuple[tuple[DebtState, ...], Debts, tuple[BareLeg, ...]]:
    """Return the debts that are left once a lot has repaid what it can, what it repaid, and the legs of that."""
    kept: list[DebtState] = []
    repaid: list[tuple[str, str, int]] = []
    legs: list[BareLeg] = []
    left = lot.original
    for debt in wallet.debts:
        paid = min(left, debt.points) if debt.currency == lot.currency and debt.at <= at else 0
        left -= paid
        if paid:
            legs.append((wallet_account(lot.member), lot.currency, -paid, lot.id))
            legs.append((debt_account(lot.member), lot.currency, paid, ""))
            repaid.append((debt.entry, debt.fund, -paid))
        if paid < debt.points:
            kept.append(evolve(debt, points=debt.points - paid))
    return tuple(kept), tuple(repaid), tuple(legs)


def post_exchange(books: Books, command: Exchange) -> Receipt:
    """Turn points into another currency: out of the member's lots, into a new lot of the target's fund."""
    check_new_lot(books, command.id)
    check_currency(books, command.to_currency)
    fund = known_fund(books, command.fund)
    check_spendable(books, command.currency)
    check_spendable(books, command.to_currency)
    draft = Draft(books, command, command.member, command.currency)
    draft.issued = _counted(books, fund, draft.at, command.result)
    for lot, points in draft.choose(command.points, draft.spendable()):
        draft.take(lot, points)
        draft.allocations.append((lot.id, points))
    draft.leg(EXCHANGE, command.points)
    gained = issued_lot(command, fund, command.result, command.to_currency, draft.new_place())
    draft.add(gained)
    draft.legs += issue_legs(gained)
    return draft.commit()
