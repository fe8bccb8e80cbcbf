"""The laws that every program keeps on every history, each a function that yields what breaks it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from userops.points import Ledger
from userops.program import Program, Replay
from userops.testing import recounting
from userops.testing.books import Books

#: Yields a sentence for each way in which it is broken; nothing where it is kept.
Law = Callable[[Books], Iterator[str]]


def decides(books: Books) -> Iterator[str]:
    """Deciding posts nothing, says the same twice, and says what handling then does."""
    by_reference = any(limit.cap.per == "reference" for limit in books.program.limits_of_all)
    for turn in books.turns:
        said, again, id_ = *turn.said, turn.event.id
        if turn.entries[0] != turn.entries[1]:
            yield f"deciding event {id_!r} posted {turn.entries[1] - turn.entries[0]} entries"
        if said != again:
            yield f"event {id_!r} is decided one way, then another: {said.describe()}; {again.describe()}"
        turn.done.describe()
        # A cap of the whole program per reference is known to `handle` alone.
        if not turn.is_new or by_reference:
            continue
        answers = ([(one.rule, one.asked, one.cap) for one in x.outcomes] for x in (said, turn.done))
        if next(answers) != next(answers):
            yield f"event {id_!r} is decided as {said.describe()}, and handled as {turn.done.describe()}"
            continue
        for one, other in zip(said.outcomes, turn.done.outcomes, strict=True):
            # What the ledger refused stands in the outcome; up to there the commands are the same.
            commands = one.commands if other.error is None else one.commands[: len(other.commands)]
            if commands != other.commands:
                yield f"event {id_!r} was to post {commands}, and posted {other.commands}"


def once(books: Books) -> Iterator[str]:
    """An event that is handled again changes nothing, and gets the same answer."""
    known: set[str] = set()
    for turn in books.turns:
        id_ = turn.event.id
        if id_ in known and turn.entries[2] != turn.entries[1]:
            yield f"event {id_!r}, told again, posted {turn.entries[2] - turn.entries[1]} more entries"
        # What nothing came of can be tried again.
        known |= {id_} if turn.entries[2] != turn.entries[1] else set()
        if turn.entries[3] != turn.entries[2]:
            yield f"event {id_!r}, handled again, posted {turn.entries[3] - turn.entries[2]} more entries"
        given = ({one.rule: one.given for one in x.outcomes if one.receipts} for x in (turn.done, turn.again))
        if next(given) != next(given):
            yield f"event {id_!r}, handled again, is answered {turn.again.describe()}; at first {turn.done.describe()}"


def conserved(books: Books) -> Iterator[str]:
    """Points are conserved: every account balances, no lot is negative, and the audit finds nothing."""
    ledger = books.ledger
    yield from (f"the audit finds {found.kind} at {found.where}: {found.message}" for found in ledger.audit())
    for as_of in books.instants:
        sums: dict[str, int] = defaultdict(int)
        accounts = ledger.trial_balance(as_of)
        for (_, currency), points in accounts.items():
            sums[currency] += points
        yield from (f"the accounts in {c} sum to {n:+,} at {as_of}" for c, n in sums.items() if n)
        for row in ledger.funding(as_of):
            went = row.redeemed + row.expired + row.clawed_back + row.outstanding
            if row.issued != went or min(row.redeemed, row.expired, row.clawed_back, row.outstanding) < 0:
                yield f"fund {row.fund!r} issued {row.issued:,} points, and {went:,} went somewhere: {row}"
        for member in books.names:
            for currency in ledger.currencies:
                balance = ledger.balance(member, as_of, currency=currency)
                total = balance.available + balance.pending + balance.held
                lots = [lot.points for lot in ledger.lots(member, as_of, currency=currency)]
                account = accounts.get((f"wallet:{member}", currency), 0)
                if not total == sum(lots) == account or min([balance.available, balance.debt, *lots]) < 0:
                    yield (
                        f"member {member!r} has {balance} in {currency}, lots of {lots}, and {account:,} in the "
                        f"accounts, at {as_of}"
                    )


def replays(books: Books) -> Iterator[str]:
    """The replay of a history has the balances, lots and funding of its run."""
    yield from _unlike(books, books.run, books.replayed, "run", "replay")


def records(books: Books) -> Iterator[str]:
    """The replay in the order of recording has the books of a ledger that events reached so, late ones too."""
    yield from _unlike(books, books.ledger, books.recorded, "ledger", "replay as recorded")


def _unlike(books: Books, ledger: Ledger, replay: Replay, one: str, other: str) -> Iterator[str]:
    """Yield where two books differ."""

    def told(what: str, as_of: datetime, pair: list[Any]) -> str:
        return f"{what} at {as_of.isoformat()}: {pair[0]} by the {one}, {pair[1]} by the {other}"

    for as_of in books.instants:
        for member in books.names:
            for currency in ledger.currencies:
                pair: list[Any] = [x.balance(member, as_of, currency=currency) for x in (ledger, replay)]
                if pair[0] != pair[1]:
                    yield told(f"the {currency} of {member!r}", as_of, pair)
                pair = [x.lots(member, as_of, currency=currency) for x in (ledger, replay)]
                if pair[0] != pair[1]:
                    yield told(f"the lots in {currency} of {member!r}", as_of, pair)
        pair = [x.funding(as_of) for x in (ledger, replay)]
        if pair[0] != pair[1]:
            yield told("the funding", as_of, pair)
        pair = [x.trial_balance(as_of) for x in (ledger, replay)]
        if pair[0] != pair[1]:
            yield told("the accounts", as_of, pair)


#: By name, in the order in which they are looked at: what is recounted by itself before what is compared.
LAWS: Mapping[str, Law] = {
    "caps": recounting.over_caps,
    "budgets": recounting.over_budgets,
    "worst_case": recounting.over_worst_case,
    "returns": recounting.wrong_returns,
    "conserved": conserved,
    "once": once,
    "decides": decides,
    "replays": replays,
    "records": records,
}


def unlike_itself(program: Program) -> Iterator[str]:
    """A program does not differ from itself, nor from what its file says when it is read again."""
    yield from program.diff(program)
    if program.table:
        yield from program.diff(Program.from_table(_thawed(program.table)))


def _thawed(value: Any) -> Any:
    """Return a table as a file gives it: a program keeps its own frozen."""
    if isinstance(value, Mapping):
        return {name: _thawed(part) for name, part in value.items()}
    return [_thawed(part) for part in value] if isinstance(value, tuple) else value
