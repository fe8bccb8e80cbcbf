"""Granting points: earns, which repay debts first, and exchanges into another currency."""

from __future__ import annotations

from attrs import evolve

from userops.core.calendar import from_micros, micros, period, zone
from userops.core.commands import Earn, Exchange
from userops.errors import BudgetExceeded, UnknownCurrency, UnknownFund
from userops.points.books import Books, Period
from userops.points.draft import Draft
from userops.points.history import debt_account, wallet_account
from userops.points.spending import check_spendable
from userops.points.values import Fund, LotState, Receipt
from userops.points.wallet import DebtState

EXCHANGE = "exchange"


def check_currency(books: Books, currency: str) -> None:
    """Refuse a currency that was never declared."""
    if currency not in books.currencies:
        known = ", ".join(sorted(books.currencies))
        raise UnknownCurrency(f"no currency {currency!r}; declared: {known}", currency=currency)


def known_fund(books: Books, name: str) -> Fund:
    """Return a fund, refusing one that was never declared."""
    fund = books.funds.get(name)
    if fund is None:
        known = ", ".join(sorted(books.funds)) or "none"
        raise UnknownFund(f"no fund {name!r}; declared: {known}", fund=name)
    return fund


def budget_period(fund: Fund, at: int) -> Period:
    """Return the period of a fund's budget that an instant lies in."""
    assert fund.budget is not None  # noqa: S101 — asked of funds with a budget only
    return (fund.name, period(from_micros(at), fund.budget.per, zone(fund.timezone)))


def _issue(draft: Draft, fund: Fund, points: int) -> None:
    """Count an issuance against the fund's budget."""
    if fund.budget is None:
        return
    key = budget_period(fund, draft.at)
    used, limit = draft.books.issued(key), fund.budget.points
    if used + points > limit:
        raise BudgetExceeded(
            f"{points:,} points asked of fund {fund.name!r}; {max(0, limit - used):,} of {limit:,} left in {key[1]}",
            fund=fund.name,
            period=key[1],
            limit=limit,
            left=max(0, limit - used),
            asked=points,
        )
    draft.issued[key] = points


def post_earn(books: Books, command: Earn) -> Receipt:
    """Grant points as a new lot; open debts are repaid from it first, oldest first."""
    fund = known_fund(books, command.fund)
    draft = Draft(books, command, command.member, command.currency)
    _issue(draft, fund, command.points)
    lot = draft.create(
        LotState(
            id=command.id,
            member=command.member,
            currency=command.currency,
            fund=fund.name,
            unit_cost=fund.unit_cost,
            earned_at=draft.at,
            available_at=draft.at
            if command.available_at is None
            else max(draft.at, micros(command.available_at)),
            expires_at=None if command.expires_at is None else micros(command.expires_at),
            rule=command.rule,
            origin=command.id,
            original=command.points,
            place=draft.new_place(),
            is_issue=True,
            left=command.points,
        )
    )
    draft.leg(f"fund:{fund.name}", -command.points)
    draft.leg(wallet_account(command.member), command.points, lot.id)
    _repay(draft, lot)
    return draft.commit()


def _repay(draft: Draft, lot: LotState) -> None:
    wallet = draft.wallet()
    if not wallet.debts:
        return
    kept: list[DebtState] = []
    left = lot.original
    for debt in wallet.debts:
        paid = min(left, debt.points) if debt.currency == draft.currency and debt.at <= draft.at else 0
        left -= paid
        if paid:
            draft.leg(wallet_account(draft.member), -paid, lot.id)
            draft.leg(debt_account(draft.member), paid)
            draft.debts.append((debt.entry, debt.fund, -paid))
        if paid < debt.points:
            kept.append(evolve(debt, points=debt.points - paid))
    if left < lot.original:
        draft.keep(evolve(lot, left=left))
        draft.wallets[draft.member] = evolve(wallet, debts=tuple(kept))


def post_exchange(books: Books, command: Exchange) -> Receipt:
    """Turn points into another currency: out of the member's lots, into a new lot of the target's fund."""
    check_currency(books, command.to_currency)
    fund = known_fund(books, command.fund)
    check_spendable(books, command.currency)
    check_spendable(books, command.to_currency)
    draft = Draft(books, command, command.member, command.currency)
    _issue(draft, fund, command.result)
    for lot, points in draft.choose(command.points, draft.spendable()):
        draft.take(lot, points)
        draft.allocations.append((lot.id, points))
    draft.leg(EXCHANGE, command.points)
    gained = draft.create(
        LotState(
            id=command.id,
            member=command.member,
            currency=command.to_currency,
            fund=fund.name,
            unit_cost=fund.unit_cost,
            earned_at=draft.at,
            available_at=draft.at,
            expires_at=None if command.expires_at is None else micros(command.expires_at),
            rule="",
            origin=command.id,
            original=command.result,
            place=draft.new_place(),
            is_issue=True,
            left=command.result,
        )
    )
    draft.leg(f"fund:{fund.name}", -command.result, currency=command.to_currency)
    draft.leg(wallet_account(command.member), command.result, gained.id, command.to_currency)
    return draft.commit()
