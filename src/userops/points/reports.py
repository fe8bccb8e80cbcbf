"""Readings over entries: lots, statements, funding, the trial balance, an explanation of one entry."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from userops.core.calendar import from_micros, micros
from userops.points.history import History, Standing, is_lots_account
from userops.points.values import (
    EXPIRED,
    Balance,
    Entry,
    Explanation,
    FundingRow,
    Line,
    Lot,
    LotState,
    Statement,
    wallet_account,
)
from userops.points.wallet import spending_order


def balance_of(history: History, currency: str, at: int) -> Balance:
    """Return what a history leaves a member at an instant."""
    available = pending = held = 0
    for lot, points, reserved in history.standing_lots(currency, at):
        held += reserved
        if lot.available_at <= at:
            available += points - reserved
        else:
            pending += points - reserved
    debt = sum(debt.points for debt in history.debts.values() if debt.currency == currency)
    return Balance(available, pending, held, debt)


def shown_lot(lot: LotState, points: int) -> Lot:
    """Return a lot as callers see it."""
    return Lot(
        id=lot.id,
        points=points,
        original=lot.original,
        fund=lot.fund,
        unit_cost=lot.unit_cost,
        earned_at=from_micros(lot.earned_at),
        available_at=from_micros(lot.available_at),
        expires_at=None if lot.expires_at is None else from_micros(lot.expires_at),
        rule=lot.rule,
        origin=lot.origin,
    )


def lots_of(history: History, currency: str, at: int) -> tuple[Lot, ...]:
    """Return the lots that have points at an instant, in spending order."""
    found = sorted(history.standing_lots(currency, at), key=lambda found: spending_order(found[0]))
    return tuple(shown_lot(lot, points) for lot, points, _ in found)


def statement(
    member: str, currency: str, entries: Iterable[Entry], start: int, end: int, *, known_at: int | None
) -> Statement:
    """Return what happened to a member's points in `[start, end)`, expiries included, written or not.

    An entry's line is what it moved in or out of the member's lots; whatever else changed between two
    instants at which something can change has expired (or came back, where an expiry was moved since).
    """
    history = History.of(member, entries, known_at=known_at)
    changes = history.changes(currency)
    opening = total = sum(points for at, points in changes.items() if at < start)
    lines_at: dict[int, tuple[list[Line], int]] = {
        at: ([], points) for at, points in changes.items() if start <= at < end
    }
    for entry in sorted(history.entries, key=lambda e: (e.at, e.sequence)):
        at = micros(entry.at)
        points = _moved(history, entry, currency) if start <= at < end else 0
        if points:
            line = Line(entry.at, entry.kind, points, entry.id, entry.command.reason)
            lines_at.setdefault(at, ([], 0))[0].append(line)
    shown: list[Line] = []
    for at, (lines, change) in sorted(lines_at.items()):
        shown += lines
        gone = change - sum(line.points for line in lines)
        if gone:
            shown.append(Line(from_micros(at), "expire", gone))
        total += change
    return Statement(member, currency, opening, tuple(shown), total)


def _moved(history: History, entry: Entry, currency: str) -> int:
    return sum(
        points
        for account, unit, points, lot in entry.bare_legs
        if unit == currency and lot in history.granted and is_lots_account(account)
    )


def as_it_was(entries: Iterable[Entry], at: int, known_at: int | None) -> Iterator[tuple[Entry, int]]:
    """Yield the entries that took effect by an instant and were recorded by a place, each with its own instant."""
    for entry in entries:
        if known_at is None or entry.sequence <= known_at:
            took_effect = micros(entry.at)
            if took_effect <= at:
                yield entry, took_effect


_COLUMNS = ("issued", "redeemed", "expired", "clawed_back", "outstanding", "debt", "written_off")
#: The columns of each (fund, currency).
Rows = dict[tuple[str, str], dict[str, int]]


def no_rows() -> Rows:
    """Return rows that are nothing until something is added to them."""
    return defaultdict(lambda: dict.fromkeys(_COLUMNS, 0))


def funding(entries: Iterable[Entry], at: int, known_at: int | None = None) -> tuple[FundingRow, ...]:
    """Return where the points of every fund are at an instant, from the entries of all members."""
    standing = Standing()
    rows = no_rows()
    for entry, took_effect in as_it_was(entries, at, known_at):
        standing.add(entry, took_effect)
        add_flows(rows, standing.granted, entry)
    for lot, left, present in standing.present(at):
        row = rows[lot.fund, lot.currency]
        row["outstanding"] += present
        row["expired"] += left - present
        row["issued"] += lot.original if lot.is_issue else 0
    for debt in standing.debts.values():
        rows[debt.fund, debt.currency]["debt"] += debt.points
    return tuple(
        FundingRow(fund=fund, currency=currency, **row) for (fund, currency), row in sorted(rows.items())
    )


def add_flows(rows: Rows, lots: dict[str, LotState], entry: Entry) -> None:
    """Count what an entry took out of lots, or put back: redeemed, or clawed back, in each lot's own fund."""
    if entry.kind == "writeoff":
        for _, fund, points in entry.debts:
            rows[fund, entry.currency]["written_off"] -= points
        return
    column = _column(entry)
    if not column:
        return
    for _, _, points, lot_id in entry.bare_legs:
        lot = lots.get(lot_id)
        if lot is not None:
            rows[lot.fund, lot.currency][column] -= points
    for lot in entry.created:
        if lot.is_issue:
            rows[lot.fund, lot.currency][column] += lot.original


def _column(entry: Entry) -> str:
    """Return where the points count that an entry took out of lots; nowhere when it moved them within wallets."""
    if entry.kind in ("spend", "capture", "exchange"):
        return "redeemed"
    if entry.kind == "earn":
        return "clawed_back" if entry.debts else ""
    if entry.kind != "reverse":
        return ""
    accounts = {leg[0].partition(":")[0] for leg in entry.bare_legs}
    if "sink" in accounts:
        return "redeemed"
    return "clawed_back" if accounts & {"fund", "debt"} else ""


def trial_balance(
    entries: Iterable[Entry], at: int, known_at: int | None = None
) -> dict[tuple[str, str], int]:
    """Return the points of every account at an instant; per currency they sum to zero."""
    standing, totals = Standing(), defaultdict[tuple[str, str], int](int)
    for entry, took_effect in as_it_was(entries, at, known_at):
        standing.add(entry, took_effect)
        for account, currency, points, _ in entry.bare_legs:
            if not is_lots_account(account):
                totals[account, currency] += points
    for lot, left, present in standing.present(at):
        totals[wallet_account(lot.member), lot.currency] += present
        totals[EXPIRED, lot.currency] += left - present
    return {key: points for key, points in sorted(totals.items()) if points}


def explain(entry: Entry) -> Explanation:
    """Say what an entry did, line by line."""
    command = entry.command
    head = f"{entry.kind} {entry.id}, at {entry.at.isoformat()}, recorded as number {entry.sequence}"
    lines = [head]
    if command.reason or entry.rule:
        lines.append(
            "because of " + ", ".join(x for x in (command.reason, entry.rule and f"rule {entry.rule}") if x)
        )
    lines += [
        f"{leg.points:+,} {leg.currency} on {leg.account}{f' (lot {leg.lot})' if leg.lot else ''}"
        for leg in entry.legs
    ]
    lines += [f"lot {lot}: {points:,} points" for lot, points in entry.allocations if not entry.legs]
    lines += [
        f"lot {lot}: {points:,} points expired at once"
        for lot, points in entry.expired
        if entry.kind != "expire"
    ]
    if entry.kind == "reverse" and (entry.recovered or entry.indebted):
        lines.append(f"{entry.recovered:,} points taken back, {entry.indebted:,} owed")
    lines += [f"debt of {origin} (fund {fund}): {points:+,} points" for origin, fund, points in entry.debts]
    return Explanation(entry.id, tuple(lines))
