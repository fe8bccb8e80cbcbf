"""The statements of a durable ledger: built in SQLAlchemy Core, compiled to text once per store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Select,
    Text,
    TextClause,
    any_,
    bindparam,
    func,
    literal_column,
    select,
    text,
    union,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.expression import ClauseElement, ColumnElement

from userops.points.stores.schema import (
    LOT_IS_DUE,
    NEVER,
    budget,
    counter,
    declaration,
    entry,
    hold,
    lot,
    meta,
    shared,
    sweep,
    undone,
    wallet,
)

_ENTRY = (entry.c.sequence, entry.c.id, wallet.c.member, entry.c.members, entry.c.content)

# Written out rather than bound: a partial index is chosen only for the constants of its own condition.
_HOLD_IS_OPEN, _LOT_IS_DUE = text("ledger_hold.is_open = 1"), text(LOT_IS_DUE)
_WALLET_IS_USED, _WALLET_IS_UNUSED = text("ledger_wallet.length > 0"), text("ledger_wallet.length = 0")


class Statements:
    """Texts ready for a driver, parameters in the order that each name's comment or columns give."""

    def __init__(self, dialect: Dialect) -> None:
        """Compile everything for one dialect."""
        self._dialect = dialect
        self._is_postgresql = dialect.name == postgresql.dialect.name
        self._read_wallets()
        self._read_lots_and_holds()
        self._read_entries()
        self._read_counts()
        self._write()

    def _text(self, statement: ClauseElement, *order: str) -> str:
        compiled: Any = statement.compile(dialect=self._dialect)
        if order:
            assert tuple(compiled.positiontup or ()) == order, (order, compiled.positiontup)  # noqa: S101 — a slip of this module
        return str(compiled)

    def _among(self, column: ColumnElement[Any], kind: Any = Text) -> ColumnElement[bool]:
        """Return "column is one of `many`", one parameter however many."""
        if self._is_postgresql:
            return column == any_(bindparam("many", type_=ARRAY(kind)))
        listed = func.json_each(bindparam("many", type_=Text)).table_valued("value")
        return column.in_(select(listed.c.value))

    def _one_and_many(self, statement: Select[Any], column: ColumnElement[Any]) -> tuple[str, str]:
        """Return the text for one value, and for a list of them."""
        one = statement.where(column == bindparam("one"))
        return self._text(one, "one"), self._text(statement.where(self._among(column, column.type)), "many")

    def _read_wallets(self) -> None:
        found = select(wallet)
        self.wallet, self.wallets = self._one_and_many(found, wallet.c.member)
        locked = found.order_by(wallet.c.no).with_for_update()
        self.lock_wallet, self.lock_wallets = self._one_and_many(locked, wallet.c.member)
        self.members = self._text(select(wallet.c.member).where(_WALLET_IS_USED))
        self.last_wallet = self._text(select(func.max(wallet.c.no)))
        self.tips = self._text(
            select(wallet.c.commitment, wallet.c.length, wallet.c.tip).where(_WALLET_IS_USED)
        )
        late = select(entry.c.wallet).where(entry.c.sequence > bindparam("known_at"))
        late_too = (
            select(shared.c.wallet)
            .join(entry, entry.c.sequence == shared.c.sequence)
            .where(entry.c.sequence > bindparam("known_at_too"))
        )
        self.late_wallets = self._text(
            select(wallet.c.commitment, wallet.c.member).where(wallet.c.no.in_(union(late, late_too)))
        )
        self.declarations = self._text(
            select(declaration.c.place, declaration.c.after, declaration.c.words, declaration.c.tip)
            .where(declaration.c.place > bindparam("place"))
            .order_by(declaration.c.place),
            "place",
        )
        self.meta = self._text(select(meta.c.value).where(meta.c.name == bindparam("name")), "name")
        self.lock_meta = self._text(
            select(meta.c.value).where(meta.c.name == bindparam("name")).with_for_update(), "name"
        )

    def _openness(self) -> tuple[TextClause, TextClause]:
        """Return "is open" and "is open or closed" as an index reads them that has the answer between its columns."""
        openness = "(ledger_lot.remaining > ledger_lot.written)"
        if self._is_postgresql:
            return text(openness), text(f"{openness} IN (false, true)")
        return text(f"{openness} = 1"), text(f"{openness} IN (0, 1)")

    def _read_lots_and_holds(self) -> None:
        named = select(lot, wallet.c.member).join(wallet, wallet.c.no == lot.c.wallet)
        is_open, is_either = self._openness()
        living = named.where(is_open, lot.c.expires_at > wallet.c.latest)
        _, self.living_lots_of_many = self._one_and_many(living, wallet.c.no)
        of_one = (lot.c.wallet == bindparam("no"), is_open, lot.c.expires_at > bindparam("latest"))
        self.living_lots = self._text(select(lot).where(*of_one), "no", "latest")
        self.open_lots, _ = self._one_and_many(named.where(is_open), wallet.c.member)
        self.lot, self.lots = self._one_and_many(named, lot.c.id)
        self.wallet_lots = self._text(
            named.where(
                wallet.c.member == bindparam("member"), is_either, lot.c.expires_at > bindparam("alive_at")
            ),
            "member",
            "alive_at",
        )
        held = select(hold, wallet.c.member).join(wallet, wallet.c.no == hold.c.wallet)
        self.open_holds, self.open_holds_of_many = self._one_and_many(
            held.where(_HOLD_IS_OPEN).order_by(hold.c.at, hold.c.id), wallet.c.no
        )
        self.hold, _ = self._one_and_many(held, hold.c.id)
        due_lots = (
            select(wallet.c.member)
            .join(lot, lot.c.wallet == wallet.c.no)
            .where(_LOT_IS_DUE, lot.c.expires_at <= bindparam("until"))
        )
        due_holds = (
            select(wallet.c.member)
            .join(hold, hold.c.wallet == wallet.c.no)
            .where(_HOLD_IS_OPEN, hold.c.expires_at <= bindparam("until_too"))
        )
        self.due_members = self._text(union(due_lots, due_holds), "until", "until_too")

    def _read_entries(self) -> None:
        named = select(*_ENTRY).join(wallet, wallet.c.no == entry.c.wallet)
        self.entry, _ = self._one_and_many(named, entry.c.id)
        others = select(wallet.c.member).join(shared, shared.c.wallet == wallet.c.no)
        self.other_members, _ = self._one_and_many(others.order_by(shared.c.position), shared.c.sequence)
        page = named.where(entry.c.sequence > bindparam("after")).order_by(entry.c.sequence)
        self.entries = self._text(page, "after") + " LIMIT 2000"
        self.entries_of_event, _ = self._one_and_many(named.order_by(entry.c.sequence), entry.c.event)
        mine = select(*_ENTRY).join(wallet, wallet.c.no == entry.c.wallet)
        first = aliased_wallet = wallet.alias("first")
        joined = (
            select(entry.c.sequence, entry.c.id, first.c.member, entry.c.members, entry.c.content)
            .select_from(shared)
            .join(wallet, wallet.c.no == shared.c.wallet)
            .join(entry, entry.c.sequence == shared.c.sequence)
            .join(aliased_wallet, aliased_wallet.c.no == entry.c.wallet)
        )
        self.entries_of_member = self._of_member(mine, joined)
        self.entries_of_rule = self._of_member(mine, joined, entry.c.rule)
        self.entries_of_rule_within = self._of_rule_within(mine, joined, is_of_rule=True)
        self.entries_of_no_rule_within = self._of_rule_within(mine, joined, is_of_rule=False)
        self.entries_of_reference = self._of_member(mine, joined, entry.c.reference)
        self.sweep, self.sweeps = self._one_and_many(select(sweep), sweep.c.id)
        ids = [select(table.c.id).where(self._among(table.c.id)) for table in (entry, sweep, lot)]
        self.known_ids = self._text(union_all(*ids))
        ids = [select(table.c.id).where(table.c.id == bindparam("id")) for table in (entry, sweep, lot)]
        self.known_id = self._text(union_all(*ids))
        last = select(func.max(entry.c.sequence))
        self.last_sequence = self._text(last)
        #: Of a command's id, three times, and its member: the id if it is known, the last sequence, the wallet.
        always = select(literal_column("1")).subquery("always")
        self.opening = self._text(
            select(union_all(*ids).scalar_subquery(), last.scalar_subquery(), wallet).select_from(
                always.outerjoin(wallet, wallet.c.member == bindparam("member"))
            )
        )

    def _of_member(self, mine: Any, joined: Any, column: ColumnElement[Any] | None = None) -> str:
        """Return the entries of a member: (member[, value]) twice, because he may be first or another."""
        mine = mine.where(wallet.c.member == bindparam("member"))
        joined = joined.where(wallet.c.member == bindparam("member_too"))
        if column is None:
            return self._text(union_all(mine, joined).order_by("sequence"), "member", "member_too")
        both = union_all(
            mine.where(column == bindparam("value")), joined.where(column == bindparam("value_too"))
        )
        return self._text(both.order_by("sequence"), "member", "value", "member_too", "value_too")

    def _of_rule_within(self, mine: Any, joined: Any, *, is_of_rule: bool) -> str:
        """Return a member's entries of a rule, or of none, in a span: (member[, rule], start, end) twice."""
        both, order = [], []
        for statement, ending in ((mine, ""), (joined, "_too")):
            names = [f"{name}{ending}" for name in ("member", "rule", "start", "end")]
            chosen = entry.c.rule == bindparam(names[1]) if is_of_rule else entry.c.rule.is_(None)
            span = (entry.c.at >= bindparam(names[2]), entry.c.at < bindparam(names[3]))
            both.append(statement.where(wallet.c.member == bindparam(names[0]), chosen, *span))
            order += names if is_of_rule else [names[0], *names[2:]]
        return self._text(union_all(*both).order_by("sequence"), *order)

    def _read_counts(self) -> None:
        self.undone, _ = self._one_and_many(select(undone.c.points), undone.c.entry)
        _, self.undone_of = self._one_and_many(select(undone.c.entry, undone.c.points), undone.c.entry)
        is_period = (budget.c.fund == bindparam("fund"), budget.c.period == bindparam("period"))
        self.issued = self._text(select(budget.c.issued).where(*is_period), "fund", "period")
        self.lock_budget = self._text(
            select(budget.c.issued).where(*is_period).with_for_update(), "fund", "period"
        )
        self.counter, _ = self._one_and_many(select(counter.c.value), counter.c.name)
        self.lock_counter, _ = self._one_and_many(select(counter.c.value).with_for_update(), counter.c.name)

    def _insert(self, table: Any) -> Any:
        return postgresql_insert(table) if self._is_postgresql else sqlite_insert(table)

    def _write(self) -> None:
        self.insert = {table.name: self._text(table.insert()) for table in table_order()}
        self.new_wallet = self._text(
            self._insert(wallet)
            .values({name: bindparam(name) for name in wallet.c.keys() if name != "no"})  # noqa: SIM118 — not a mapping
            .on_conflict_do_nothing(index_elements=["member"])
            .returning(wallet.c.no)
        )
        self.drop_wallet = self._text(
            wallet.delete().where(wallet.c.no == bindparam("no"), _WALLET_IS_UNUSED), "no"
        )
        self.move_wallet = self._update(wallet, "no", "latest", "length", "tip", "debts", "open_holds")
        self.name_wallet = self._update(wallet, "no", "member")
        self.move_lot = self._update(lot, "id", "expires_at", "remaining", "written")
        self.close_hold = self._update(hold, "id", "is_open", "resolved_by", "resolved_at")
        self.name_sweep = self._update(sweep, "id", "member", "content", "seal")
        self.set_meta = self._update(meta, "name", "value")
        self.sweeps_of = self._text(select(sweep).where(sweep.c.member == bindparam("member")), "member")
        new = self._insert(undone)
        self.put_undone = self._text(
            new.on_conflict_do_update(index_elements=["entry"], set_={"points": new.excluded.points})
        )
        new = self._insert(budget)
        total = budget.c.issued + new.excluded.issued
        self.add_issued = self._text(
            new.on_conflict_do_update(
                index_elements=["fund", "period"], set_={"issued": total}, where=total <= budget.c.bound
            ).returning(budget.c.issued)
        )
        # A difference below zero must not pass as a new row: its CHECK is tried before the conflict is seen.
        self.take_issued = self._text(
            update(budget)
            .where(budget.c.fund == bindparam("key"), budget.c.period == bindparam("key_too"))
            .values(issued=budget.c.issued + bindparam("change", type_=budget.c.issued.type)),
            "change",
            "key",
            "key_too",
        )
        new = self._insert(counter).values({name: bindparam(name) for name in counter.c.keys()})  # noqa: SIM118
        counted = counter.c.value + new.excluded.value
        self.add_count = self._text(
            new.on_conflict_do_update(
                index_elements=["name"],
                set_={"value": counted},
                where=counted <= bindparam("at_most", type_=counter.c.value.type),
            ).returning(counter.c.value),
            *counter.c.keys(),
            "at_most",
        )

    def _update(self, table: Any, key: str, *columns: str) -> str:
        values = {name: bindparam(f"new_{name}", type_=table.c[name].type) for name in columns}
        statement = update(table).where(table.c[key] == bindparam("key")).values(values)
        in_table_order = [f"new_{name}" for name in table.c.keys() if name in columns]  # noqa: SIM118
        return self._text(statement, *in_table_order, "key")


def table_order() -> Sequence[Any]:
    """Return the tables in the order in which rows may be written."""
    return (meta, declaration, wallet, entry, shared, lot, hold, undone, budget, counter, sweep)


#: Nothing expires later: the `alive_at` that finds every lot.
EVER = -NEVER
