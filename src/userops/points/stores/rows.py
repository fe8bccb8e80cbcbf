"""Rows taken apart into the values that posting and reading know; one error tells which row cannot be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from userops.core.calendar import micros
from userops.core.commands import Command
from userops.errors import DamagedLedger
from userops.points import recording
from userops.points.values import NEVER, Entry, LotState, Receipt
from userops.points.wallet import DebtState, HoldState

#: The instants that a calendar knows.
_FIRST, _LAST = micros(datetime.min.replace(tzinfo=UTC)), micros(datetime.max.replace(tzinfo=UTC))

#: What taking a row apart may raise when its text is not what was written; a refused command is a ValueError.
UNREADABLE = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError)


def damaged(table: str, row: object) -> DamagedLedger:
    """Return the error that names a row which cannot be read."""
    return DamagedLedger(
        f"row {row!r} of ledger_{table} cannot be read: the database was changed beside the ledger, or is broken; "
        "audit() finds what is wrong, a backup restores it",
        table=f"ledger_{table}",
        row=str(row),
    )


class WalletRow(NamedTuple):
    """What a wallet's row says beyond the running state. (A named tuple, as each posting reads one.)"""

    no: int
    member: str
    commitment: str
    latest: int
    length: int
    tip: bytes
    debts: str
    open_holds: int


def lot_state(values: Sequence[Any]) -> LotState:
    """Return a lot's state from its row, the member's id at the end."""
    id_, _, currency, fund, cost, earned, available, ends, rule, origin, original, *rest = values
    place, within, is_issue, left, written, member = rest
    try:
        unit_cost = Decimal(cost)
    except UNREADABLE:
        raise damaged("lot", id_) from None
    if (
        not (_FIRST <= earned <= _LAST >= available >= _FIRST <= ends)
        or _LAST < ends != NEVER
        or is_issue not in (0, 1)
    ):
        raise damaged("lot", id_)
    return LotState(
        currency, ends, available, (place, within), id_, member, fund, unit_cost, earned, rule, origin, original,
        is_issue == 1, left, written,
    )  # fmt: skip


def hold_state(values: Sequence[Any]) -> HoldState:
    """Return a hold's state from its row, the member's id at the end."""
    id_, _, currency, points, at, expires_at, allocations, resolved_by, resolved_at, _, member = values
    try:
        pairs = tuple((lot, n) for lot, n in json.loads(allocations))
    except UNREADABLE:
        raise damaged("hold", id_) from None
    return HoldState(id_, member, currency, points, at, expires_at, pairs, resolved_by, resolved_at)


def read_entry(sequence: int, id_: str, members: Sequence[str], content: str) -> Entry:
    """Return an entry from what its row and its wallets say."""
    try:
        return recording.read(id_, sequence, tuple(members), content)
    except UNREADABLE:
        raise damaged("entry", id_) from None


def read_sweep(row: Sequence[Any]) -> tuple[Command, Receipt]:
    """Return a posted `Expire` and its receipt as their row keeps them."""
    id_, _, sequence, content, _ = row
    try:
        command, expired = json.loads(content)
        receipt = Receipt(id_, sequence, (), tuple((lot, points) for lot, points in expired))
        return recording.read_command(id_, command), receipt
    except UNREADABLE:
        raise damaged("sweep", id_) from None


def read_words(place: int, text: str) -> tuple[str, ...]:
    """Return the words of a declaration."""
    try:
        words = tuple(json.loads(text))
        if words and all(isinstance(word, str) for word in words):
            return words
    except UNREADABLE:
        pass
    raise damaged("declaration", place)


def read_debts(row: WalletRow) -> tuple[DebtState, ...]:
    """Return the debts that a wallet's row keeps."""
    if not row.debts:
        return ()
    try:
        return tuple(DebtState(*debt) for debt in json.loads(row.debts))
    except UNREADABLE:
        raise damaged("wallet", row.no) from None
