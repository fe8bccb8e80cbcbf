"""The audit: everything the books say, proven again from the entries alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from userops.core.calendar import micros
from userops.core.commands import Earn, Exchange
from userops.errors import DamagedLedger
from userops.points.books import Store
from userops.points.history import History
from userops.points.issuing import budget_period
from userops.points.values import Entry, Finding
from userops.points.wallet import Wallet


def audit(store: Store) -> Iterator[Finding]:
    """Yield what is wrong: unbalanced entries, gaps, and running state that the entries do not bear out."""
    try:
        yield from _proofs(store)
    except DamagedLedger as damage:
        yield Finding("unreadable", damage.row, f"a row of {damage.table} cannot be read")


def _proofs(store: Store) -> Iterator[Finding]:
    entries = list(store.entries())
    by_member: dict[str, list[Entry]] = defaultdict(list)
    for place, entry in enumerate(entries, start=1):
        for member in entry.members:
            by_member[member].append(entry)
        if store.is_gapless and entry.sequence != place:
            yield Finding("sequence", entry.id, f"recorded as {entry.sequence}, found in place {place}")
        yield from _entry_findings(entry)
    ids = [entry.id for entry in entries]
    if len(set(ids)) < len(ids):
        yield Finding("duplicate", "", "two entries have one id")
    for member in store.members():
        wallet = store.wallet(member)
        if wallet is not None:
            yield from _wallet_findings(store, wallet, by_member[member])
    yield from _budget_findings(store, entries)


def _entry_findings(entry: Entry) -> Iterator[Finding]:
    command = entry.command
    if (entry.id, entry.at, entry.kind) != (command.id, command.at, type(command).__name__.lower()):
        yield Finding("entry", entry.id, "its id, time or kind is not that of its command")
    totals: dict[str, int] = defaultdict(int)
    for _, currency, points, _ in entry.bare_legs:
        totals[currency] += points
    for currency, total in totals.items():
        if total:
            yield Finding("unbalanced", entry.id, f"the legs in {currency} sum to {total:+,}")


def _wallet_findings(store: Store, wallet: Wallet, entries: list[Entry]) -> Iterator[Finding]:
    member = wallet.member
    history = History.of(member, entries)
    if wallet.length != len(entries):
        yield Finding("length", member, f"{wallet.length} entries were counted, {len(entries)} are there")
    kept = {lot.id: lot for lot in store.wallet_lots(member)}
    for id_ in kept.keys() ^ history.lots.keys():
        yield Finding("lot", id_, "is known to the running state or to the entries, not to both")
    for id_ in kept.keys() & history.lots.keys():
        was, is_ = history.lots[id_], kept[id_]
        if was != is_:
            yield Finding("lot", id_, f"the running state has {is_.left} left, the entries give {was.left}")
        if not 0 <= is_.written <= is_.left <= is_.original:
            yield Finding("lot", id_, f"{is_.left} left of {is_.original}, {is_.written} of them expired")
    opened = {lot.id: lot for lot in store.open_lots(member)}
    expected = {id_: lot for id_, lot in kept.items() if lot.left > lot.written}
    if opened != expected:
        yield Finding("wallet", member, "the open lots are not those that have points left")
    owed = {debt.entry: debt.points for debt in wallet.debts}
    if owed != {origin: debt.points for origin, debt in history.debts.items() if debt.points}:
        yield Finding("debt", member, "the debts are not those that the entries give")
    for lot_id, held in history.held_by_lot(wallet.latest).items():
        if held > history.lots[lot_id].left:
            yield Finding("hold", lot_id, f"{held} held, {history.lots[lot_id].left} left")


def _budget_findings(store: Store, entries: list[Entry]) -> Iterator[Finding]:
    for key, points in issued_by_period(store, entries).items():
        limit = store.funds[key[0]].budget
        if points != store.issued(key) or (limit is not None and points > limit.points):
            yield Finding("budget", " ".join(key), f"{points} issued, {store.issued(key)} counted")


def issued_by_period(store: Store, entries: Iterable[Entry]) -> dict[tuple[str, str], int]:
    """Return what the entries count against each fund's budget, by (fund, period)."""
    issued: dict[tuple[str, str], int] = defaultdict(int)
    earns: dict[str, Entry] = {}
    for entry in entries:
        command = entry.command
        if isinstance(command, Earn | Exchange):
            earns[entry.id] = entry
            points = command.points if isinstance(command, Earn) else command.result
        elif entry.kind == "reverse" and getattr(command, "entry", "") in earns:
            points = -(entry.recovered + entry.indebted)
            entry = earns[command.entry]  # type: ignore[attr-defined]  # noqa: PLW2901 — what it undoes
        else:
            continue
        fund = store.funds[entry.command.fund]  # type: ignore[attr-defined]
        if fund.budget is not None:
            issued[budget_period(fund, micros(entry.at))] += points
    return issued
