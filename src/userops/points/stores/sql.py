"""The durable store: transactions over SQLite or PostgreSQL, tried again while the database asks for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from os import PathLike, fspath
from typing import Any, TypeVar

from numpy.random import Generator
from sqlalchemy.engine import Dialect

from userops.core.calendar import micros
from userops.core.chance import stream
from userops.core.commands import Capture, Earn, Expire, Note, Release, Reverse
from userops.errors import IncompatibleLedger, InvalidValue, StoreUnavailable
from userops.points import chain
from userops.points.books import Books, Store, members_of
from userops.points.stores import migrations
from userops.points.stores.checking import AuditedSession
from userops.points.stores.declared import Declared
from userops.points.stores.session import MOST_CLAIMS, NotLocked, Session
from userops.points.stores.statements import Statements
from userops.points.stores.trying import Transaction, Try
from userops.points.stores.wire import NO_CLAIMS, Driver, Wire
from userops.points.stores.writing import (
    Outdated,
    declare,
    new_row,
    renamed_sweep,
    wallet_values,
    write,
)
from userops.points.values import Currency, Fund

T = TypeVar("T")

#: The statements of each dialect; nothing in them changes.
_COMPILED: dict[tuple[str, str], Statements] = {}

#: Commands that look at no lots of their member's wallet.
_GIVING = frozenset({Earn, Note})

#: The first wait before a transaction is tried again, doubled each time up to the last.
_FIRST_WAIT, _LAST_WAIT = 0.002, 0.25
#: Beginning again because more wallets must be locked is progress, so it is bounded apart.
_MOST_LOCKINGS = 20


def open_store(url: str | PathLike[str], salt: bytes, rng: Generator | None) -> SqlStore:
    """Open a store by path or URL; a message never shows the URL, which may hold a password."""
    text = fspath(url) if isinstance(url, str | PathLike) else None
    if not isinstance(text, str) or not text:
        raise InvalidValue("the path or URL of a ledger must be a text that is not empty")
    if rng is not None and not isinstance(rng, Generator):
        raise InvalidValue(f"rng must be a numpy Generator, not {type(rng).__name__}")
    if text.startswith(("postgresql://", "postgresql+psycopg://")):
        from userops.points.stores.postgres import PostgreSQL

        driver: Any = PostgreSQL(text)
    else:
        from userops.points.stores.sqlite import SQLite

        driver = SQLite(_sqlite_path(text))
    try:
        return SqlStore(driver, salt, rng if rng is not None else stream(0, "retries"))
    except BaseException:
        driver.close()
        raise


def _sqlite_path(text: str) -> str:
    for scheme in ("sqlite:///", "sqlite+pysqlite:///"):
        text = text.removeprefix(scheme)
    if "://" in text:
        raise InvalidValue(
            "a ledger is opened by a path, or by sqlite:/// or postgresql+psycopg:// and what follows"
        )
    if "\0" in text:
        raise InvalidValue("the path of a ledger contains a NUL character")
    if not text or text == ":memory:" or "mode=memory" in text or "?" in text:
        raise InvalidValue("a durable ledger needs the plain path of a file; Ledger.in_memory() needs none")
    return text


class SqlStore:
    """The contract of a store, over a driver."""

    def __init__(self, driver: Any, salt: bytes, rng: Generator) -> None:
        """Make the tables, or check and lift what is there."""
        self._driver: Driver = driver
        self._salt, self._rng = salt, rng
        self._sql = _statements(driver.dialect)
        self._declared = Declared()

        def prepare(trial: Try) -> None:
            with self._driver.connection() as wire:
                self._driver.check(wire)
            with self._driver.connection() as wire, Transaction(self._driver, wire, trial):
                self._prepare(wire)

        self._retrying(prepare)

    def _prepare(self, wire: Wire) -> None:
        driver, sql, salt = self._driver, self._sql, self._salt
        if not driver.has_tables(wire):
            driver.create(wire)
            migrations.create(wire, sql, driver.dialect, salt)
        try:
            migrations.lift(wire, sql, driver.dialect)
        except driver.error as fault:
            if driver.is_passing(fault):
                raise
            raise IncompatibleLedger(
                "the ledger is not of the version it says, so it was not lifted to this one; restore a backup"
            ) from fault
        migrations.check_salt(wire, sql, salt)

    # -- Transactions -------------------------------------------------------------------------------------

    def transact(
        self, members: Iterable[str], work: Callable[[Books], T], commands: Sequence[object] = ()
    ) -> T:
        """Run `work` on the books and keep what it changed; run it again when the database asks for it."""
        named = {member for command in commands for member in members_of(command)}
        ids = [*{id_: None for one in commands if isinstance(id_ := getattr(one, "id", None), str)}]
        claims = _claims(commands) if self._driver.locks_rows else NO_CLAIMS

        def attempt(trial: Try) -> T:
            with self._driver.connection() as wire, Transaction(self._driver, wire, trial) as transaction:
                session = self._begin(wire, trial, commands, ids)
                books = Books(session)
                result = work(books)
                transaction.keep = not _was_kept(session, trial) and _has_changes(books)
                if transaction.keep:
                    trial.doubtful = _first_id(books)
                    write(session, books.changes)
                    self._drop_unused(session)
            return result

        return self._retrying(attempt, Try({*members, *named}, claims))

    def _begin(
        self, wire: Wire, trial: Try, commands: Sequence[object] = (), ids: Sequence[str] = ()
    ) -> AuditedSession:
        """Return a session that knows which ids are new, its wallets read, and locked, in order, where rows are."""
        session = AuditedSession(wire, self._sql, self._driver, self._declared, self._salt, is_posting=True)
        is_blind = bool(commands) and all(type(command) in _GIVING for command in commands)
        if self._driver.locks_rows:
            self._lock(session, trial, commands, is_blind=is_blind)
        elif len(trial.members) == len(ids) == 1:
            session.open_one(*trial.members, *ids, is_blind=is_blind)
            return session
        elif trial.members:
            session.load(sorted(trial.members), is_blind=is_blind)
        if ids:
            session.know_ids(ids)
        if self._driver.locks_rows:
            session.unclaimed.update(set(ids).difference(session.claimed))
        return session

    def _lock(self, session: Session, trial: Try, commands: Sequence[object], *, is_blind: bool) -> None:
        """Lock the rows of wallets, budgets and counters that a transaction is known to need."""
        session.claimed.update(trial.claims)
        wanted = {*trial.members, *_targets(session, commands)}
        if wanted:
            self._lock_wallets(session, sorted(wanted), is_blind=is_blind)
        session.locked = frozenset(wanted)
        for period in sorted(trial.periods):
            session.wire.rows(self._sql.lock_budget, period)
        for name in sorted(trial.counters):
            session.wire.rows(self._sql.lock_counter, (name,))

    def _lock_wallets(self, session: Session, members: list[str], *, is_blind: bool) -> None:
        """Lock wallets in order of their numbers; those of new members are made first, in order of id."""
        wire, sql = session.wire, self._sql
        one = len(members) == 1
        what = (members[0],) if one else (self._driver.many(members),)
        rows = wire.rows((sql.lock_wallet if one else sql.wallets), what)
        missing = sorted({*members}.difference(row[1] for row in rows))
        for member in missing:
            if not member.startswith(chain.ERASED):
                wire.rows(sql.new_wallet, wallet_values(new_row(session, member, 0)))
        if missing or not one:
            rows = wire.rows(sql.lock_wallet if one else sql.lock_wallets, what)
        session.load(members, rows, is_blind=is_blind)

    def _drop_unused(self, session: Session) -> None:
        """Take away wallets that were made to be locked, and got no entry."""
        if self._driver.locks_rows:
            for row in session.rows.values():
                if row is not None and not row.length:
                    session.wire.run(self._sql.drop_wallet, (row.no,))

    def _retrying(self, attempt: Callable[[Try], T], trial: Try | None = None) -> T:
        """Try until it works; a fault that does not pass, or does not pass in time, is `StoreUnavailable`."""
        trial = Try(set()) if trial is None else trial
        while True:
            try:
                return attempt(trial)
            except NotLocked as more:
                trial.lockings += 1
                if trial.lockings > _MOST_LOCKINGS or trial.members.issuperset(more.members):
                    raise StoreUnavailable("wallets kept changing while they were to be locked") from None
                trial.members.update(more.members)
            except Outdated as outdated:
                self._note_outdated(trial, outdated)
            except self._driver.error as fault:
                trial.failures += 1
                passes = trial.is_in_doubt or self._driver.is_passing(fault)
                if not passes or trial.failures >= self._driver.attempts:
                    raise StoreUnavailable(
                        f"the database failed ({self._driver.describe(fault)}); the same call may safely be made again"
                    ) from fault
                wait = min(_LAST_WAIT, _FIRST_WAIT * 2**trial.failures)
                time.sleep(wait * (0.5 + float(self._rng.random())))

    def _note_outdated(self, trial: Try, outdated: Outdated) -> None:
        """Lock the rows first next time; when they were locked already, a limit was simply passed."""
        for name in outdated.counters:
            if name in trial.counters or not self._driver.locks_rows:
                raise InvalidValue(f"the counter {name!r} would pass its limit")
        trial.failures += 1
        if trial.failures >= 4 * self._driver.attempts:
            raise StoreUnavailable("budgets or ids kept changing while they were to be used")
        trial.periods.update(outdated.periods)
        trial.counters.update(outdated.counters)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Tell of the database's faults in the library's words."""
        try:
            yield
        except self._driver.error as fault:
            raise StoreUnavailable(f"the database failed ({self._driver.describe(fault)})") from fault

    @contextmanager
    def reading(self) -> Iterator[AuditedSession]:
        """Return a context in which all reads see one moment."""
        with self._telling(), ExitStack() as open_:
            wire = self._retrying(lambda _: self._begin_reading(open_))
            yield AuditedSession(wire, self._sql, self._driver, self._declared, self._salt)

    def _begin_reading(self, open_: ExitStack) -> Wire:
        """Begin to read, on a connection that answers: a pool may keep those of a server that has restarted."""
        with ExitStack() as trying:
            wire = trying.enter_context(self._driver.connection())
            trying.enter_context(Transaction(self._driver, wire))
            open_.push(trying.pop_all())
        return wire

    def _asked(self, question: Callable[[Wire], T]) -> T:
        def attempt(_: Try) -> T:
            with self._driver.connection() as wire:
                return question(wire)

        return self._retrying(attempt)

    def settled(self) -> int:
        """Return the greatest sequence below which nothing is in flight."""
        return self._asked(self._driver.settled)

    # -- Declarations and erasures ------------------------------------------------------------------------

    def declare(self, what: Currency | Fund, words: tuple[str, ...]) -> Currency | Fund:
        """Keep a declaration, unless the name is taken; return what the name stands for."""

        def known(wire: Wire) -> Currency | Fund | None:
            declared = self._declared
            found: Any = (
                declared.funds(wire, self._sql)
                if isinstance(what, Fund)
                else declared.currencies(wire, self._sql)
            )
            return found.get(what.name)  # type: ignore[no-any-return]

        def attempt(trial: Try) -> Currency | Fund:
            with self._driver.connection() as wire:
                there = known(wire)
            if there is not None:
                return there
            with self._driver.connection() as wire, Transaction(self._driver, wire, trial) as transaction:
                wire.value(self._sql.lock_meta, ("declarations",))
                there = known(wire)
                transaction.keep = there is None
                if there is None:
                    declare(wire, self._sql, words)
            return what if there is None else there

        return self._retrying(attempt)

    def rename(self, member: str, erased_name: Callable[[Store], str]) -> str:
        """Replace a member's id by what `erased_name` gives, or refuse as it refuses."""

        def attempt(trial: Try) -> str:
            with self._driver.connection() as wire, Transaction(self._driver, wire, trial) as transaction:
                session = self._begin(wire, trial)
                if trial.is_in_doubt and session.wallet(member) is None and session.wallet(trial.erased):
                    transaction.keep = False  # A row made to be locked would name the member once more.
                    return trial.erased
                trial.erased = erased = erased_name(session)
                row = session.row(member)
                assert row is not None, "there is a wallet to rename"  # noqa: S101
                wire.run(self._sql.name_wallet, (erased, row.no))
                for sweep in wire.rows(self._sql.sweeps_of, (member,)):
                    wire.run(self._sql.name_sweep, renamed_sweep(sweep, erased))
                declare(wire, self._sql, ("erased", erased))
            return erased

        return self._retrying(attempt, Try({member}))

    # -- Care ---------------------------------------------------------------------------------------------

    def doctor(self) -> tuple[str, ...]:
        """Return unsafe settings."""
        return tuple(self._asked(self._driver.doctor))

    def close(self) -> None:
        """Close every connection."""
        self._driver.close()


def _statements(dialect: Dialect) -> Statements:
    """Return the statements of a dialect: compiled once per process, for that takes longer than opening a file."""
    key = (dialect.name, dialect.paramstyle)
    if key not in _COMPILED:
        _COMPILED[key] = Statements(dialect)
    return _COMPILED[key]


def _has_changes(books: Books) -> bool:
    return bool(books.changes.entries or books.changes.sweeps or books.changes.counters)


def _claims(commands: Sequence[object]) -> dict[str, bool]:
    """Return which ids to claim before anything is read: those of `Expire`s alone, of others unless too many."""
    alone: dict[str, bool] = {}
    for command in commands:
        id_ = getattr(command, "id", None)
        if isinstance(id_, str):
            alone[id_] = isinstance(command, Expire) or alone.get(id_, False)
    if len(alone) <= MOST_CLAIMS:
        return alone
    return {id_: is_alone for id_, is_alone in alone.items() if is_alone}


def _first_id(books: Books) -> str:
    entries = books.changes.entries
    return entries[0].id if entries else next(iter(books.changes.sweeps), "")


def _was_kept(session: Session, trial: Try) -> bool:
    """Say whether a commit that was left in doubt did happen: then nothing is written twice."""
    if not trial.is_in_doubt or not trial.doubtful:
        return False
    return session.entry(trial.doubtful) is not None or session.sweep(trial.doubtful) is not None


def _targets(session: Session, commands: Sequence[object]) -> set[str]:
    """Return the members whose wallets commands concern without naming them."""
    found: set[str] = set()
    for command in commands:
        if isinstance(command, Capture | Release):
            hold = session.hold(command.hold)
            found.update([hold.member] if hold is not None else [])
        elif isinstance(command, Reverse):
            entry = session.entry(command.entry)
            found.update(entry.members if entry is not None else [])
        elif isinstance(command, Expire) and command.member is None:
            found.update(session.due_members(micros(command.at)))
    return found
