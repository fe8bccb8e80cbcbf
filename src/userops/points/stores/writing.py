"""Writing a transaction's changes: rows per table, each table's at once, budgets and counters last."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from attrs import evolve

from userops.points import chain, recording
from userops.points.books import Changes, Period
from userops.points.stores.rows import WalletRow, damaged, read_sweep
from userops.points.stores.session import Session
from userops.points.stores.statements import Statements
from userops.points.stores.wire import Wire
from userops.points.values import LotState
from userops.points.wallet import HoldState

#: A counter without a limit has this one.
_NO_LIMIT = 2**63 - 1


class Outdated(Exception):
    """A budget or counter has less left than was read, or an id was used: decide again, these rows locked first."""

    def __init__(self, periods: Sequence[Period] = (), counters: Sequence[str] = ()) -> None:
        super().__init__("a budget or counter has moved on, or an id was used")
        self.periods, self.counters = tuple(periods), tuple(counters)


class _Chain:
    """A wallet's chain as it grows in this transaction."""

    __slots__ = ("length", "name", "no", "row", "tip")

    def __init__(self, row: WalletRow) -> None:
        self.row, self.no, self.length, self.tip = row, row.no, row.length, bytes(row.tip)
        #: What stands for the member in the bytes that a link covers.
        self.name = chain.measured(row.commitment)


def write(session: Session, changes: Changes) -> None:
    """Write all changes, or raise: the caller then rolls back."""
    chains = {member: _Chain(_row(session, member)) for member in changes.wallets}
    _write_entries(session, changes, chains)
    _write_lots(session, changes, chains)
    _write_holds(session, changes, chains)
    _write_wallets(session, changes, chains)
    wire, sql = session.wire, session.sql
    if changes.undone:
        wire.run_many(sql.put_undone, sorted(changes.undone.items()))
    if changes.sweeps:
        _write_sweeps(session, changes)
    if changes.counters and not changes.entries:
        declare(session.wire, sql, chain.counted_words(changes.counters))
    _count(session, changes)
    if session.driver.locks_rows and (changes.sweeps or session.unclaimed):
        _check_ids(session, changes)


def _check_ids(session: Session, changes: Changes) -> None:
    """See once more that no id stands in both tables; nothing is waited for after this but the commit."""
    wire, sql, many = session.wire, session.sql, session.driver.many
    session.driver.claim_all(wire)
    unclaimed = wire.rows(sql.sweeps, (many(sorted(session.unclaimed)),)) if session.unclaimed else []
    if any(row[0] not in changes.sweeps for row in unclaimed) or any(
        wire.rows(sql.entry, (id_,)) for id_ in changes.sweeps
    ):
        raise Outdated


def _row(session: Session, member: str) -> WalletRow:
    """Return a wallet's row, new when there is none; where rows are locked it was made to be locked."""
    row = session.row(member)
    if row is not None:
        return row
    last = max((other.no for other in session.rows.values() if other is not None), default=0)
    no = 1 + max(session.wire.value(session.sql.last_wallet) or 0, last)
    row = new_row(session, member, no)
    session.rows[member] = row
    return row


def new_row(session: Session, member: str, no: int) -> WalletRow:
    """Return the row of a wallet without entries, its commitment of the next free generation."""
    generation = 0
    while session.wire.value(session.sql.wallet, (chain.commitment(session.salt, member, generation),)):
        generation += 1
    commitment = chain.commitment(session.salt, member, generation)
    return WalletRow(no, member, commitment, -(2**63), 0, chain.EMPTY_TIP, "", 0)


def wallet_values(row: WalletRow) -> tuple[Any, ...]:
    """Return a wallet's row as the table has it, without the number."""
    return (
        row.member, row.commitment, row.latest, row.length, row.tip, row.debts, row.open_holds,
    )  # fmt: skip


def _write_entries(session: Session, changes: Changes, chains: dict[str, _Chain]) -> None:
    wire, insert = session.wire, session.sql.insert
    if not session.driver.locks_rows and (new := [one.row for one in chains.values() if not one.row.length]):
        wire.run_many(insert["ledger_wallet"], [(row.no, *wallet_values(row)) for row in new])
    entries: list[tuple[Any, ...]] = []
    others: list[tuple[Any, ...]] = []
    for entry in changes.entries:
        id_, sequence, members, command = entry.id, entry.sequence, entry.members, entry.command
        text, at = recording.written(entry)
        content, named, count = text.encode(), id_.encode(), len(members)
        first = chains[members[0]]
        names = first.name if count == 1 else b"".join([chains[member].name for member in members])
        # The digest of what `chain.link_bytes` gives.
        link = sha256(b"%d:%b%d:%b%b" % (len(named), named, len(content), content, names)).digest()
        place, first.tip = first.length, (tip := sha256(first.tip + link).digest())
        first.length = place + 1
        for position in range(1, count):
            mine = chains[members[position]]
            mine.tip = sha256(mine.tip + link).digest()
            others.append((mine.no, mine.length, sequence, position))
            mine.length += 1
        entries.append((
            sequence, id_, first.no, place, count, entry_seal(tip, sequence, None), command.event or None,
            getattr(command, "rule", None) or None, command.reference or None, None, text, at,
        ))  # fmt: skip
    if entries and changes.counters:
        entries[-1] = _counted_with(entries[-1], tip, changes.counters)
    if entries:
        wire.run_many(insert["ledger_entry"], entries)
    if others:
        wire.run_many(insert["ledger_shared"], others)


def _counted_with(row: tuple[Any, ...], tip: bytes, counters: Mapping[str, int]) -> tuple[Any, ...]:
    """Return an entry's row with what was counted in the transaction that it ends."""
    counts = _encode(sorted(counters.items()))
    return (*row[:5], entry_seal(tip, row[0], counts), *row[6:9], counts, *row[10:])


def entry_seal(tip: bytes, sequence: int, counts: str | None) -> bytes:
    """Return what ties an entry's row to its chain."""
    if counts:
        return chain.extend(tip, chain.canonical((sequence, counts)))
    number = b"%d" % sequence
    return sha256(tip + sha256(_UNCOUNTED[len(number)] + number + b"s0:").digest()).digest()


#: How the canonical bytes of (sequence, "") begin, by the digits of the sequence: without counts, as nearly all are.
_UNCOUNTED = [chain.canonical((10**digits // 10, ""))[: -digits - 3] for digits in range(21)]


def _write_lots(session: Session, changes: Changes, chains: dict[str, _Chain]) -> None:
    new = {lot.id for entry in changes.entries for lot in entry.created}
    made, moved = [], []
    for lot in changes.lots.values():
        if lot.id in new:
            made.append(lot_values(lot, chains[lot.member].no))
        else:
            moved.append((lot.ends, lot.left, lot.written, lot.id))
    if made:
        session.wire.run_many(session.sql.insert["ledger_lot"], made)
    if moved:
        session.wire.run_many(session.sql.move_lot, moved)


def lot_values(lot: LotState, wallet: int) -> tuple[Any, ...]:
    """Return a lot's row."""
    (
        currency, ends, available_at, place, id_, _, fund, cost, earned_at, rule, origin, original, is_issue, left,
        written,
    ) = lot  # fmt: skip
    return (
        id_, wallet, currency, fund, str(cost), earned_at, available_at, ends, rule, origin, original, *place,
        int(is_issue), left, written,
    )  # fmt: skip


def _write_holds(session: Session, changes: Changes, chains: dict[str, _Chain]) -> None:
    before = {
        hold.id: hold
        for member in changes.wallets
        if (wallet := session.wallet(member)) is not None and wallet.holds
        for hold in wallet.holds
    }
    if not before and not changes.holds:
        return
    after = {hold.id for wallet in changes.wallets.values() for hold in wallet.holds}
    lapsed = {id_: hold for id_, hold in before.items() if id_ not in after and id_ not in changes.holds}
    # A hold that lapsed earlier is no longer among a wallet's own, yet a back-dated command may resolve it.
    new = {entry.id for entry in changes.entries}
    made, closed = [], []
    for hold in (*changes.holds.values(), *lapsed.values()):
        is_open = int(hold.id in after)
        if hold.id in new:
            made.append(_hold_values(hold, chains[hold.member].no, is_open))
        else:
            closed.append((hold.resolved_by, hold.resolved_at, is_open, hold.id))
    if made:
        session.wire.run_many(session.sql.insert["ledger_hold"], made)
    if closed:
        session.wire.run_many(session.sql.close_hold, closed)


def _hold_values(hold: HoldState, wallet: int, is_open: int) -> tuple[Any, ...]:
    return (
        hold.id, wallet, hold.currency, hold.points, hold.at, hold.expires_at, _encode(hold.allocations),
        hold.resolved_by, hold.resolved_at, is_open,
    )  # fmt: skip


def _write_wallets(session: Session, changes: Changes, chains: dict[str, _Chain]) -> None:
    moved = []
    for member, wallet in changes.wallets.items():
        mine, debts = chains[member], ""
        if wallet.debts:
            debts = _encode([(d.entry, d.fund, d.currency, d.at, d.points) for d in wallet.debts])
        moved.append((wallet.latest, wallet.length, mine.tip, debts, len(wallet.holds), mine.no))
    if moved:
        session.wire.run_many(session.sql.move_wallet, moved)


def _write_sweeps(session: Session, changes: Changes) -> None:
    rows = []
    for id_, (command, receipt) in changes.sweeps.items():
        content = _encode([recording.write_command(command), receipt.expired])
        member = getattr(command, "member", None)
        rows.append((id_, member, receipt.sequence, content, seal(id_, receipt.sequence, content)))
    session.wire.run_many(session.sql.insert["ledger_sweep"], rows)
    count = _counted(session.wire, session.sql, "sweeps")
    session.wire.run(session.sql.set_meta, (str(count + len(rows)), "sweeps"))


def renamed_sweep(row: Sequence[Any], erased: str) -> tuple[Any, ...]:
    """Return (member, content, seal, id) of a posted `Expire` whose member was erased."""
    id_, _, sequence, _, _ = row
    found, receipt = read_sweep(row)
    before: Any = found
    command = evolve(before, member=erased)
    content = _encode([recording.write_command(command), receipt.expired])
    return (erased, content, seal(id_, sequence, content), id_)


def declare(wire: Wire, sql: Statements, words: tuple[str, ...]) -> None:
    """Append to the chain of declarations, whose count is locked."""
    count = _counted(wire, sql, "declarations")
    rows = wire.rows(sql.declarations, (count - 1,)) if count else []
    after = wire.value(sql.last_sequence) or 0
    tip = declaration_tip(bytes(rows[-1][3]) if rows else chain.EMPTY_TIP, after, words)
    text = json.dumps(words, ensure_ascii=False)
    wire.run(sql.insert["ledger_declaration"], (count + 1, after, text, tip))
    wire.run(sql.set_meta, (str(count + 1), "declarations"))


def _counted(wire: Wire, sql: Statements, name: str) -> int:
    """Return how many rows a table has, and lock that number."""
    text = wire.value(sql.lock_meta, (name,))
    if not isinstance(text, str) or not (text.isascii() and text.isdigit()):
        raise damaged("meta", name)
    return int(text)


def declaration_tip(tip: bytes, after: int, words: tuple[str, ...]) -> bytes:
    """Return the tip of the table of declarations after one more row."""
    return chain.extend(tip, chain.canonical((after, words)))


def seal(id_: str, sequence: int, content: str) -> bytes:
    """Return what shows that a row outside the chains was changed."""
    return sha256(chain.canonical((id_, sequence, content))).digest()


def _count(session: Session, changes: Changes) -> None:
    """Count against budgets and limits, each by one conditional statement, in one order."""
    if not changes.issued and not changes.counters:
        return
    wire, sql = session.wire, session.sql
    for period, points in sorted(changes.issued.items()):
        if points < 0:
            wire.run(sql.take_issued, (points, *period))
            continue
        budget = session.funds[period[0]].budget
        assert budget is not None, "only budgets are counted"  # noqa: S101
        if points and not wire.rows(sql.add_issued, (*period, points, budget.points)):
            raise Outdated(periods=[period])
    for name, change in sorted(changes.counters.items()):
        limit = changes.counter_limits.get(name, _NO_LIMIT)
        if change > limit or not wire.rows(sql.add_count, (name, change, limit)):
            raise Outdated(counters=[name])


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode
