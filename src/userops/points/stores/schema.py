"""The tables of a durable ledger: one schema for SQLite and PostgreSQL, declared in SQLAlchemy Core.

Rows of `entry`, `declaration` and `sweep` are never changed but by an erasure; all else is running state
that an audit can make again from them. What an invariant needs stands in a CHECK too.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

#: The version this code writes; `migrations` lifts older ledgers to it.
VERSION = 4
#: Marks a SQLite file as a ledger ("uopl").
APPLICATION_ID = 0x756F706C
#: "Never" as an instant: later than all others, so that an index finds what lives on by one comparison.
NEVER = 2**63 - 1

_WHOLE = BigInteger().with_variant(Integer, "sqlite")
metadata = MetaData()


def _table(name: str, *parts: Any) -> Table:
    is_by_key = name not in ("entry", "wallet")
    return Table(f"ledger_{name}", metadata, *parts, sqlite_strict=True, sqlite_with_rowid=not is_by_key)


def _whole(name: str, **options: Any) -> Column[int]:
    return Column(name, _WHOLE, nullable=options.pop("nullable", False), **options)


def _text(name: str, **options: Any) -> Column[str]:
    return Column(name, Text, nullable=options.pop("nullable", False), **options)


def _to(column: Column[Any]) -> ForeignKey:
    return ForeignKey(column)


def _wallet_number(**options: Any) -> Column[int]:
    return Column("wallet", _WHOLE, _to(wallet.c.no), nullable=False, **options)


#: What the ledger is: its schema version, a check of its salt, and how many rows must be in two tables.
meta = _table("meta", _text("name", primary_key=True), _text("value"))

#: Currencies, funds and erasures, each with the sequence that it followed: a chain of their own.
declaration = _table(
    "declaration",
    _whole("place", primary_key=True, autoincrement=False),
    _whole("after"),
    _text("words"),
    Column("tip", LargeBinary, nullable=False),
)

#: A member's running state; the row that posting for the member locks.
wallet = _table(
    "wallet",
    _whole("no", primary_key=True),
    _text("member", unique=True),
    #: What stands for the member in the chains, and once the id is erased.
    _text("commitment"),
    _whole("latest"),
    _whole("length"),
    Column("tip", LargeBinary, nullable=False),
    _text("debts"),
    _whole("open_holds"),
    CheckConstraint("length >= 0 AND open_holds >= 0", name="wallet_counts"),
)

#: The entries. `wallet` and `place` are those of the first member; others' stand in `shared`. The chain covers
#: id, content and members; `seal` covers the rest, which may differ between equal ledgers.
entry = _table(
    "entry",
    _whole("sequence", primary_key=True, autoincrement=False),
    _text("id", unique=True),
    _wallet_number(),
    _whole("place"),
    _whole("members"),
    Column("seal", LargeBinary, nullable=False),
    _text("event", nullable=True),
    _text("rule", nullable=True),
    _text("reference", nullable=True),
    #: What was counted program-wide in the transaction that this entry ended.
    _text("counts", nullable=True),
    _text("content"),
    #: The instant it took effect, as in the content: since version 3.
    _whole("at"),
    UniqueConstraint("wallet", "place", name="entry_place"),
    CheckConstraint("sequence > 0 AND place >= 0 AND members > 0", name="entry_counts"),
)

shared = _table(
    "shared",
    _wallet_number(primary_key=True),
    _whole("place", primary_key=True, autoincrement=False),
    Column("sequence", _WHOLE, _to(entry.c.sequence), nullable=False),
    _whole("position"),
    UniqueConstraint("sequence", "position", name="shared_position"),
    CheckConstraint("position > 0", name="shared_counts"),
)

lot = _table(
    "lot",
    _text("id", primary_key=True),
    _wallet_number(),
    _text("currency"),
    _text("fund"),
    _text("unit_cost"),
    _whole("earned_at"),
    _whole("available_at"),
    _whole("expires_at"),
    _text("rule"),
    _text("origin"),
    _whole("original"),
    _whole("place"),
    _whole("place_within"),
    _whole("is_issue"),
    _whole("remaining"),
    _whole("written"),
    CheckConstraint("0 <= written AND written <= remaining AND remaining <= original", name="lot_points"),
    CheckConstraint("is_issue IN (0, 1)", name="lot_issue"),
)

hold = _table(
    "hold",
    _text("id", primary_key=True),
    _wallet_number(),
    _text("currency"),
    _whole("points"),
    _whole("at"),
    _whole("expires_at", nullable=True),
    _text("allocations"),
    _text("resolved_by"),
    _whole("resolved_at", nullable=True),
    _whole("is_open"),
    CheckConstraint("points > 0", name="hold_points"),
    CheckConstraint("is_open = 0 OR (is_open = 1 AND resolved_by = '')", name="hold_open"),
)

#: How many points of an entry have been undone.
undone = _table(
    "undone",
    Column("entry", Text, _to(entry.c.id), primary_key=True),
    _whole("points"),
    CheckConstraint("points >= 0", name="undone_points"),
)

#: What counts against a fund's budget in a period, and the bound that it keeps.
budget = _table(
    "budget",
    _text("fund", primary_key=True),
    _text("period", primary_key=True),
    _whole("issued"),
    _whole("bound"),
    CheckConstraint("0 <= issued AND issued <= bound", name="budget_bound"),
)

#: Program-wide counts: what entries say was counted with them, and declarations without an entry.
counter = _table("counter", _text("name", primary_key=True), _whole("value"))

#: Posted `Expire` commands, which make entries of other ids, with their receipts.
sweep = _table(
    "sweep",
    _text("id", primary_key=True),
    _text("member", nullable=True),
    _whole("sequence"),
    _text("content"),
    Column("seal", LargeBinary, nullable=False),
)


def _partial(name: str, condition: str, *columns: Column[Any]) -> Index:
    return Index(name, *columns, sqlite_where=text(condition), postgresql_where=text(condition))


_partial("ledger_entry_event", "event IS NOT NULL", entry.c.event)
#: Since version 3: what a rule gave in a period is read without what it gave before.
RULE = Index("ledger_entry_rule", entry.c.wallet, entry.c.rule, entry.c.at)
_partial("ledger_entry_reference", "reference IS NOT NULL", entry.c.wallet, entry.c.reference)
_partial("ledger_hold_open", "is_open = 1", hold.c.wallet)
#: Since version 4: a wallet's open lots and its closed ones, each in order of expiry, by one index, for every index
#: costs each commit a page.
LOTS = Index("ledger_lot_wallet", lot.c.wallet, lot.c.remaining > lot.c.written, lot.c.expires_at)
#: What the nightly expiry may find due. Since version 2; since version 4 without what never is.
LOT_IS_DUE = f"remaining > written AND expires_at < {NEVER}"
DUE = _partial("ledger_lot_due", LOT_IS_DUE, lot.c.expires_at)
