"""Readings over entries: lots, statements, funding, the trial balance, an explanation of one entry."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from userops.core.calendar import from_micros, micros
from userops.core.commands import Extend
from userops.points.history import History
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

EntriesOf = Callable[[str], Iterable[Entry]]


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
    known = [entry for entry in entries if known_at is None or entry.sequence <= known_at]
    whole = History.of(member, known)
    lines_at: dict[int, list[Line]] = {start: []}
    for entry in sorted(known, key=lambda e: (e.at, e.sequence)):
        points = _moved(whole, entry, currency)
        lines = lines_at.setdefault(micros(entry.at), [])
        if points:
            lines.append(Line(entry.at, entry.kind, points, entry.id, entry.command.reason))
    for expires_at in _expiries(whole, known):
        lines_at.setdefault(expires_at, [])
    instants = sorted(at for at in lines_at if start <= at < end)
    opening, *totals = _totals(member, known, [start - 1, *instants], currency)
    total, shown = opening, []
    for at, after in zip(instants, totals, strict=True):
        shown += lines_at[at]
        gone = after - total - sum(line.points for line in lines_at[at])
        if gone:
            shown.append(Line(from_micros(at), "expire", gone))
        total = after
    return Statement(member, currency, opening, tuple(shown), total)


def _expiries(whole: History, known: list[Entry]) -> Iterator[int]:
    """Yield every instant at which points can expire: of lots, as granted and as moved, and of holds."""
    for entry in known:
        yield from (lot.expires_at for lot in entry.created if lot.expires_at is not None)
        if isinstance(entry.command, Extend):
            yield micros(entry.command.expires_at)
    yield from (hold.expires_at for hold in whole.holds.values() if hold.expires_at is not None)


def _moved(whole: History, entry: Entry, currency: str) -> int:
    accounts = (wallet_account(whole.member), EXPIRED)
    return sum(
        leg.points
        for leg in entry.legs
        if leg.account in accounts and leg.lot in whole.lots and leg.currency == currency
    )


def _totals(member: str, known: list[Entry], instants: list[int], currency: str) -> Iterator[int]:
    """Yield the points at each of ascending instants, in one sweep where the order of recording allows it."""
    by_time = sorted(known, key=lambda e: (e.at, e.sequence))
    # Which lots an Extend moves follows from the order of recording: out of order, each instant is read anew.
    if by_time != known and any(isinstance(entry.command, Extend) for entry in known):
        for at in instants:
            yield _total(History.of(member, known, as_of=at), currency, at)
        return
    history, place = History(member), 0
    for at in instants:
        while place < len(by_time) and micros(by_time[place].at) <= at:
            history.add(by_time[place])
            place += 1
        yield _total(history, currency, at)


def _total(history: History, currency: str, at: int) -> int:
    return sum(points for _, points, _ in history.standing_lots(currency, at))


def _histories(
    members: Iterable[str], entries_of: EntriesOf, at: int, known_at: int | None
) -> Iterable[History]:
    for member in members:
        yield History.of(member, entries_of(member), as_of=at, known_at=known_at)


def funding(
    members: Iterable[str], entries_of: EntriesOf, at: int, known_at: int | None = None
) -> tuple[FundingRow, ...]:
    """Return where the points of every fund are at an instant."""
    columns = ("issued", "redeemed", "expired", "clawed_back", "outstanding", "debt", "written_off")
    rows: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: dict.fromkeys(columns, 0))
    seen: set[str] = set()
    lots: dict[str, LotState] = {}
    members = list(members)
    for history in _histories(members, entries_of, at, known_at):
        lots.update(history.lots)
        held = history.held_by_lot(at)
        for lot in history.lots.values():
            row = rows[(lot.fund, lot.currency)]
            alive = lot.left if lot.is_alive(at) else held.get(lot.id, 0)
            row["outstanding"] += alive
            row["expired"] += lot.left - alive
            row["issued"] += lot.original if lot.is_issue else 0
        for debt in history.debts.values():
            rows[(debt.fund, debt.currency)]["debt"] += debt.points
    for member in members:
        for entry in entries_of(member):
            due = micros(entry.at) <= at and (known_at is None or entry.sequence <= known_at)
            if due and entry.id not in seen:
                seen.add(entry.id)
                _add_flows(rows, lots, entry)
    return tuple(
        FundingRow(fund=fund, currency=currency, **row) for (fund, currency), row in sorted(rows.items())
    )


def _add_flows(rows: dict[tuple[str, str], dict[str, int]], lots: dict[str, LotState], entry: Entry) -> None:
    """Count what an entry took out of lots, or put back: redeemed, or clawed back, in each lot's own fund."""
    if entry.kind == "writeoff":
        for _, fund, points in entry.debts:
            rows[(fund, entry.currency)]["written_off"] -= points
        return
    if entry.kind in ("transfer", "expire", "extend", "release"):
        return
    accounts = {leg.account.partition(":")[0] for leg in entry.legs}
    if entry.kind == "reverse" and not accounts & {"sink", "fund", "debt"}:
        return
    column = "redeemed" if accounts & {"sink", "exchange"} else "clawed_back"
    moved: dict[str, int] = defaultdict(int)
    for leg in entry.legs:
        if leg.lot in lots:
            moved[leg.lot] += leg.points
    for lot in entry.created:
        moved[lot.id] -= lot.original if lot.is_issue else 0
    for lot_id, points in moved.items():
        if lot_id in lots:
            rows[(lots[lot_id].fund, lots[lot_id].currency)][column] -= points


def trial_balance(
    members: Iterable[str], entries_of: EntriesOf, at: int, known_at: int | None = None
) -> dict[tuple[str, str], int]:
    """Return the points of every account at an instant; per currency they sum to zero."""
    totals: dict[tuple[str, str], int] = defaultdict(int)
    seen: set[str] = set()
    members = list(members)
    for history in _histories(members, entries_of, at, known_at):
        held = history.held_by_lot(at)
        for lot in history.lots.values():
            alive = lot.left if lot.is_alive(at) else held.get(lot.id, 0)
            totals[(wallet_account(lot.member), lot.currency)] += alive
            totals[(EXPIRED, lot.currency)] += lot.left - alive
    for member in members:
        for entry in entries_of(member):
            if (
                micros(entry.at) > at
                or (known_at is not None and entry.sequence > known_at)
                or entry.id in seen
            ):
                continue
            seen.add(entry.id)
            for leg in entry.legs:
                if leg.account != EXPIRED and not leg.account.startswith("wallet:"):
                    totals[(leg.account, leg.currency)] += leg.points
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
