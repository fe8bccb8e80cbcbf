"""The audit of the rows: that every table holds exactly what was written, the chains included."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

from attrs import define, field
from sqlalchemy import select

from userops.core.calendar import micros
from userops.core.commands import Reverse
from userops.errors import DamagedLedger
from userops.points import chain
from userops.points.auditing import issued_by_period
from userops.points.history import History
from userops.points.stores import migrations
from userops.points.stores.rows import UNREADABLE, WalletRow, hold_state, read_sweep
from userops.points.stores.schema import VERSION, budget, counter, entry, hold, shared, undone, wallet
from userops.points.stores.schema import declaration as declarations
from userops.points.stores.schema import meta as about
from userops.points.stores.schema import sweep as sweeps
from userops.points.stores.session import Session
from userops.points.stores.writing import declaration_tip, entry_seal, seal
from userops.points.values import Entry, Finding
from userops.points.wallet import HoldState


class AuditedSession(Session):
    """A session that can prove what it reads."""

    def findings(self, name: Callable[[str], str]) -> Iterator[Finding]:
        """Yield where rows are not what was written."""
        return check_rows(self, name)


def check_rows(session: AuditedSession, name: Callable[[str], str]) -> Iterator[Finding]:
    """Yield findings: rows that were flipped, deleted, swapped or put in."""
    try:
        rows = _Rows(session)
        yield from _about(rows)
        yield from _declarations(rows)
        yield from _sweeps(rows)
        entries = yield from _chains(rows, name)
        if len(entries) == len(rows.entries):
            yield from _holds_and_debts(rows, entries)
            yield from _counts(rows, entries)
    except DamagedLedger as damage:
        yield Finding("unreadable", damage.row, f"a row of {damage.table} cannot be read")
    except (*UNREADABLE, AssertionError) as fault:
        yield Finding("unreadable", "", f"a row cannot be read ({type(fault).__name__})")


@define
class _Rows:
    session: AuditedSession
    meta: dict[str, str] = field(init=False)
    wallets: dict[int, WalletRow] = field(init=False)
    entries: list[tuple[Any, ...]] = field(init=False)
    shared: dict[int, list[tuple[Any, ...]]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.meta = dict(self.of(about))
        self.wallets = {row[0]: WalletRow(*row) for row in self.of(wallet)}
        self.entries = self.of(entry, entry.c.sequence)
        self.shared = {}
        for row in self.of(shared, shared.c.position):
            self.shared.setdefault(row[2], []).append(row)

    def of(self, table: Any, *order: Any) -> list[tuple[Any, ...]]:
        """Return all rows of a table."""
        statement = select(table).order_by(*order)
        return self.session.wire.rows(str(statement.compile(dialect=self.session.driver.dialect)))


def _about(rows: _Rows) -> Iterator[Finding]:
    expected = {
        "version": str(VERSION),
        "salt": migrations.salt_check(rows.session.salt),
        "declarations": str(len(rows.of(declarations))),
        "sweeps": str(len(rows.of(sweeps))),
    }
    for key in sorted(expected.keys() | rows.meta.keys()):
        if expected.get(key) != rows.meta.get(key):
            yield Finding("meta", key, f"{rows.meta.get(key)} is noted, {expected.get(key)} is so")


def _declarations(rows: _Rows) -> Iterator[Finding]:
    tip = chain.EMPTY_TIP
    for number, (place, after, words, found) in enumerate(
        rows.of(declarations, declarations.c.place), start=1
    ):
        tip = declaration_tip(tip, after, tuple(json.loads(words)))
        if place != number or tip != bytes(found):
            yield Finding("declaration", str(place), "is not what was declared in this place")


def _sweeps(rows: _Rows) -> Iterator[Finding]:
    for row in rows.of(sweeps):
        id_, member, sequence, content, found = row
        command = read_sweep(row)[0]
        if seal(id_, sequence, content) != bytes(found) or getattr(command, "member", None) != member:
            yield Finding("sweep", id_, "is not what was posted")


@define
class _Tip:
    length: int = 0
    tip: bytes = chain.EMPTY_TIP
    latest: int = -(2**63)


def _chains(rows: _Rows, name: Callable[[str], str]) -> Generator[Finding, None, list[Entry]]:
    """Make every chain again from the rows; return the entries that could be read."""
    tips: dict[int, _Tip] = {no: _Tip() for no in rows.wallets}
    for known_as in rows.wallets.values():
        if known_as.commitment != name(known_as.member):
            yield Finding("wallet", known_as.member, "its commitment is not that of its member and the salt")
    entries: list[Entry] = []
    for row in rows.entries:
        finding = _link(rows, tips, row, entries)
        if finding is not None:
            yield finding
    known = {row[0] for row in rows.entries}
    for sequence in sorted(set(rows.shared) - known):
        yield Finding("shared", str(sequence), "belongs to no entry")
    for no, kept in rows.wallets.items():
        made = tips[no]
        found = (kept.length, bytes(kept.tip), kept.latest)
        if not kept.length or found != (made.length, made.tip, made.latest):
            yield Finding("chain", kept.member, "the wallet's chain does not end where its entries lead")
    return entries


def _link(rows: _Rows, tips: dict[int, _Tip], row: tuple[Any, ...], entries: list[Entry]) -> Finding | None:
    """Add an entry's row to the chains of its wallets; return what is wrong with it."""
    sequence, id_, no, place, count, found, event, rule, reference, counts, content, at = row
    others = rows.shared.get(sequence, [])
    numbers = [no, *(other[0] for other in others)]
    places = [place, *(other[1] for other in others)]
    if any(number not in rows.wallets for number in numbers) or len(numbers) != count:
        return Finding("entry", id_, "is recorded in wallets that are not there")
    link = chain.link_bytes(id_, content, [rows.wallets[number].commitment for number in numbers])
    is_sound = [other[3] for other in others] == list(range(1, count))
    for number, length in zip(numbers, places, strict=True):
        mine = tips[number]
        is_sound = is_sound and mine.length == length
        mine.length, mine.tip = mine.length + 1, chain.extend(mine.tip, link)
    try:
        made = rows.session.read_entry(
            sequence, id_, [rows.wallets[number].member for number in numbers], content
        )
    except DamagedLedger:
        return Finding("entry", id_, "cannot be read")
    for number in numbers:
        tips[number].latest = max(tips[number].latest, micros(made.at))
    entries.append(made)
    columns = (made.event or None, made.rule or None, made.reference or None, micros(made.at))
    if (
        not is_sound
        or columns != (event, rule, reference, at)
        or counts == ""  # Nothing is written as NULL; the seal does not tell one from the other.
        or bytes(found) != entry_seal(tips[no].tip, sequence, counts)
    ):
        return Finding("entry", id_, "is not what was recorded in this place")
    return None


def _holds_and_debts(rows: _Rows, entries: list[Entry]) -> Iterator[Finding]:
    by_member: dict[str, list[Entry]] = {row.member: [] for row in rows.wallets.values()}
    for one in entries:
        for member in one.members:
            by_member[member].append(one)
    kept: dict[str, dict[str, Any]] = {member: {} for member in by_member}
    opened: dict[str, dict[str, int]] = {member: {} for member in by_member}
    for values in rows.of(hold):
        member = rows.wallets[values[1]].member
        kept[member][values[0]] = hold_state((*values, member))
        opened[member][values[0]] = values[-1]
    for row in rows.wallets.values():
        history = History.of(row.member, by_member[row.member])
        if (
            kept[row.member] != history.holds
            or sum(opened[row.member].values()) != row.open_holds
            or not _are_open(opened[row.member], history.holds, row.latest)
        ):
            yield Finding("hold", row.member, "the holds are not those that the entries give")
        owed = sorted(
            [one.entry, one.fund, one.currency, one.at, one.points]
            for one in history.debts.values()
            if one.points
        )
        if owed != sorted(json.loads(row.debts) if row.debts else []):
            yield Finding("debt", row.member, "the debts are not those that the entries give")


def _are_open(opened: Mapping[str, int], holds: Mapping[str, HoldState], latest: int) -> bool:
    """Say whether all living holds are open, and none that was resolved; a lapsed one may be either."""
    return all(
        opened[one.id] == 1 if one.is_live(max(latest, one.at)) else not one.resolved_by or not opened[one.id]
        for one in holds.values()
    )


def _counts(rows: _Rows, entries: list[Entry]) -> Iterator[Finding]:
    expected: dict[str, int] = {}
    for one in entries:
        if isinstance(one.command, Reverse):
            points = one.recovered + one.indebted or sum(n for _, n in one.allocations)
            expected[one.command.entry] = expected.get(one.command.entry, 0) + points
    if expected != dict(rows.of(undone)):
        yield Finding("undone", "", "what was undone is not what the entries give")
    issued = issued_by_period(rows.session, entries)
    found = {(fund, period): (points, bound) for fund, period, points, bound in rows.of(budget)}
    for key in sorted(issued.keys() | found.keys()):
        declared = rows.session.funds[key[0]].budget if key[0] in rows.session.funds else None
        # What was issued and undone within one transaction was never written.
        is_nothing = key not in found and not issued[key]
        if not is_nothing and found.get(key) != (issued.get(key), declared.points if declared else None):
            yield Finding("budget", " ".join(key), "is not what the entries count against it")
    yield from _counters(rows)


def _counters(rows: _Rows) -> Iterator[Finding]:
    totals: dict[str, int] = {}
    for row in rows.entries:
        for name, change in json.loads(row[-3]) if row[-3] else ():
            totals[name] = totals.get(name, 0) + change
    for _, words in rows.session.declarations:
        for name, text in zip(words[1::2], words[2::2], strict=False) if words[0] == "counted" else ():
            totals[name] = totals.get(name, 0) + int(text)
    counters = dict(rows.of(counter))
    for name in sorted(totals.keys() | counters.keys()):
        if counters.get(name) != totals.get(name):
            yield Finding("counter", name, "is not what was counted")
