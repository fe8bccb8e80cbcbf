"""Replay: a whole history under a program, in columns where the rules allow it, and read like a ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from userops.core.calendar import from_micros, micros
from userops.core.ids import derived_id, identifier
from userops.core.quantities import choice
from userops.errors import InvalidValue
from userops.points import Balance, Entry, Fund, FundingRow, Ledger, Lot, Replayed, Statement
from userops.points.replaying import Kind
from userops.points.replaying import replay as replay_points
from userops.program import live
from userops.program.replay.asked import TooLarge
from userops.program.replay.engine import Commands, SharedOut, alone, commands_of, why_not
from userops.program.replay.facts import Facts
from userops.program.replay.history import History, history_of
from userops.program.replay.shared_limits import Elsewhere
from userops.program.replay.tiers import Untold
from userops.program.rulebook import Rulebook
from userops.program.rules import EarnRule

Members = Mapping[str, Mapping[str, Any]] | None
_COLUMNS = ("issued", "redeemed", "expired", "clawed_back", "outstanding", "debt", "written_off")


def replay(program: Rulebook, events: Any, members: Members = None, order: str = "time") -> Replay:
    """Replay a history; see `Program.replay`."""
    choice(order, ("time", "recorded"), "order")
    history = history_of(events, program.tz)
    places = np.arange(len(history))
    if order == "time":
        places = np.argsort(history.at, kind="stable")
    facts = Facts(program, history, places, members or {})
    plain = alone(program, facts)
    if why_not(program):
        plain[:] = True
    ledger, commands = _in_both_ways(facts, plain, members)
    return Replay(program, history, members, plain, ledger, commands, places)


def _in_both_ways(facts: Facts, plain: NDArray[np.bool_], members: Members) -> tuple[Ledger, Commands]:
    """Post some members' events one by one and reckon the others' in columns; `plain` grows where it must."""
    places, member = facts.places, facts.history.codes("member")[0]
    while True:
        ledger, elsewhere = _run(facts, plain, members)
        try:
            return ledger, commands_of(facts.among(places.compress(~plain[member[places]])), elsewhere)
        except (TooLarge, SharedOut):
            plain[:] = True
        except Untold as untold:
            # What reads the tier is refused at some of their events, which only one by one is told.
            plain[untold.members] = True


def _run(facts: Facts, plain: NDArray[np.bool_], members: Members) -> tuple[Ledger, Elsewhere]:
    """Post the events of some members one by one; return the ledger, and what was granted."""
    program, elsewhere = facts.program, Elsewhere()
    versions: dict[str, list[int]] = {}
    for place, rule in enumerate(program.earn):
        versions.setdefault(rule.name, []).append(place)
    ledger, member = _ledger_of(program), facts.history.codes("member")[0]
    for place in facts.places.compress(plain[member[facts.places]]).tolist():
        decision = live.handle(program, facts.history.event(place), ledger, members)
        elsewhere.note(place, decision, versions, facts)
    return ledger, elsewhere


def _ledger_of(program: Rulebook) -> Ledger:
    ledger = Ledger.in_memory()
    for currency in program.currencies.values():
        ledger.add_currency(currency)
    for fund in program.funds.values():
        ledger.add_fund(fund)
    return ledger


@define(eq=False)
class _Wallets:
    """One currency's points in columns, and the command that each row is."""

    replayed: Replayed
    #: Place in `commands` of each row.
    command: NDArray[np.int64]


@define(eq=False, repr=False)
class Replay:
    """The books that a history leads to: the same balances, lots and allocations as `Program.run`.

    Members whose commands follow from the events alone stand in columns; the others (whose events take back,
    or all when a rule reads the past) were posted one by one into a ledger. Entries, statements and
    allocations of a member in columns are made when asked for, by running that member's events;
    `sequence` then counts within the member.
    """

    program: Rulebook
    _history: History
    _members: Members
    _is_plain: NDArray[np.bool_]
    _ledger: Ledger
    _commands: Commands
    #: The events in the order in which they take effect.
    _places: NDArray[np.int64]
    _wallets: dict[str, _Wallets] = field(init=False)
    _known: dict[str, int] = field(init=False)
    _single: dict[str, Ledger] = field(factory=dict)
    _whole: Ledger | None = None

    def __attrs_post_init__(self) -> None:
        """Replay the commands of each currency."""
        self._known = {name: code for code, name in enumerate(self._history.codes("member")[1])}
        currencies = [rule.currency for rule in self._commands.rules]
        self._wallets = {
            currency: self._replayed(currency, np.array([one == currency for one in currencies], np.bool_))
            for currency in dict.fromkeys(currencies)
        }

    def __repr__(self) -> str:
        plain = int(self._is_plain.sum())
        return f"Replay({len(self._history):,} events of {len(self._known):,} members, {plain:,} of them one by one)"

    def _replayed(self, currency: str, rules: NDArray[np.bool_]) -> _Wallets:
        commands, history = self._commands, self._history
        del currency
        chosen = np.flatnonzero(rules.take(commands.rule))
        rule, event = commands.rule.take(chosen), commands.event.take(chosen)
        is_earn = np.array([isinstance(one, EarnRule) for one in commands.rules], np.bool_)
        funds = self._fund_names()
        fund = np.array([funds.index(getattr(one, "fund", funds[0])) for one in commands.rules], np.int64)
        return _Wallets(
            replay_points(
                {
                    "member": history.codes("member")[0].take(event),
                    "kind": np.where(is_earn.take(rule), Kind.EARN, Kind.SPEND).astype(np.int8),
                    "points": commands.points.take(chosen),
                    "at": history.at.take(event),
                    "expires_at": commands.expires_at.take(chosen),
                    "available_at": commands.available_at.take(chosen),
                    "fund": fund.take(rule),
                }
            ),
            chosen,
        )

    def _fund_names(self) -> list[str]:
        return sorted(self.program.funds) or [""]

    def _ledger_for(self, member: str) -> Ledger:
        """Return a ledger that holds all of a member's entries."""
        code = self._known.get(identifier(member, "member"), -1)
        if code < 0 or self._is_plain[code]:
            return self._ledger
        if self._commands.is_bound:
            return self._of_all()
        if member not in self._single:
            mine = np.flatnonzero(self._history.codes("member")[0] == code)
            ledger = _ledger_of(self.program)
            for place in mine.take(np.argsort(self._history.at.take(mine), kind="stable")).tolist():
                live.handle(self.program, self._history.event(place), ledger, self._members)
            self._single[member] = ledger
        return self._single[member]

    def balance(self, member: str, as_of: datetime, *, currency: str = "points") -> Balance:
        """Return a member's points at an instant."""
        code = self._known.get(identifier(member, "member"), -1)
        wallets = self._wallets.get(currency)
        # The ledger also knows which currencies there are, and that the others have nothing in it.
        if code < 0 or self._is_plain[code] or wallets is None:
            return self._ledger.balance(member, as_of, currency=currency)
        return wallets.replayed.balance(code, as_of)

    def balances(self, as_of: datetime, *, currency: str = "points") -> dict[str, Balance]:
        """Return the points of every member with events at an instant."""
        names = self._history.codes("member")[1]
        wallets = self._wallets.get(currency)
        if wallets is None:
            return {name: self._ledger.balance(name, as_of, currency=currency) for name in names}
        found = dict.fromkeys(names, Balance(0, 0, 0, 0))
        if len(self._history):
            columns = wallets.replayed.balances(as_of)
            for code, available, pending in zip(
                *(column.tolist() for column in columns.values()), strict=True
            ):
                found[names[code]] = Balance(available, pending, 0, 0)
        for code in np.flatnonzero(self._is_plain).tolist():
            found[names[code]] = self._ledger.balance(names[code], as_of, currency=currency)
        return found

    def lots(self, member: str, as_of: datetime, *, currency: str = "points") -> tuple[Lot, ...]:
        """Return a member's lots that have points at an instant, in the order in which they are spent."""
        code = self._known.get(identifier(member, "member"), -1)
        wallets = self._wallets.get(currency)
        if code < 0 or self._is_plain[code] or wallets is None:
            return self._ledger.lots(member, as_of, currency=currency)
        return tuple(self._lot(wallets, lot) for lot in wallets.replayed.lots(code, as_of))

    def _lot(self, wallets: _Wallets, lot: Any) -> Lot:
        commands, history = self._commands, self._history
        place = int(wallets.command[lot.row])
        rule: Any = commands.rules[int(commands.rule[place])]
        event = int(commands.event[place])
        id_ = derived_id(self.program.name, history.id[event], rule.name)
        return Lot(
            id=id_,
            points=lot.points,
            original=lot.original,
            fund=rule.fund,
            unit_cost=self.program.funds[rule.fund].unit_cost,
            earned_at=from_micros(int(history.at[event])),
            available_at=from_micros(lot.available_at),
            expires_at=None if lot.expires_at is None else from_micros(lot.expires_at),
            rule=rule.name,
            origin=id_,
        )

    def statement(
        self, member: str, start: datetime, end: datetime, *, currency: str = "points"
    ) -> Statement:
        """Return what happened to a member's points in `[start, end)`: closing = opening + lines."""
        return self._ledger_for(member).statement(member, start, end, currency=currency)

    def entries(self, member: str | None = None, **chosen: Any) -> tuple[Entry, ...]:
        """Return entries with their allocations, chosen as by `Ledger.entries`.

        Without a member all events are posted, which takes as long as `run`.
        """
        if member is not None:
            return self._ledger_for(member).entries(member, **chosen)
        return self._of_all().entries(**chosen)

    def _of_all(self) -> Ledger:
        """Return a ledger that holds all entries."""
        if self._whole is None:
            self._whole = _ledger_of(self.program)
            for place in self._places.tolist():
                live.handle(self.program, self._history.event(place), self._whole, self._members)
        return self._whole

    def granted(self, currency: str = "points") -> tuple[dict[str, int], dict[str, int]]:
        """Return points given by member, and by fund, less what was taken back of them."""
        by_member: dict[str, int] = defaultdict(int)
        by_fund: dict[str, int] = defaultdict(int)
        fund_of: dict[str, str] = {}
        for entry in self._ledger.entries(currency=currency):
            command: Any = entry.command
            if entry.kind == "earn":
                points, fund_of[entry.id] = command.points, command.fund
                fund = command.fund
            elif entry.kind == "reverse" and command.entry in fund_of:
                points, fund = -(entry.recovered + entry.indebted), fund_of[command.entry]
            else:
                continue
            by_member[entry.member] += points
            by_fund[fund] += points
        commands, (codes, names) = self._commands, self._history.codes("member")
        for place, rule in enumerate(self.program.earn):
            mine = np.flatnonzero(commands.rule == place) if rule.currency == currency else ()
            if len(mine):
                points_of = commands.points.take(mine)
                by_fund[rule.fund] += int(points_of.sum())
                member, where = np.unique(codes.take(commands.event.take(mine)), return_inverse=True)
                totals = np.zeros(len(member), np.int64)
                np.add.at(totals, where.reshape(-1), points_of)
                for code, total in zip(member.tolist(), totals.tolist(), strict=True):
                    by_member[names[code]] += total
        return by_member, by_fund

    @property
    def funds(self) -> Mapping[str, Fund]:
        """The funds of the program by name."""
        return dict(self.program.funds)

    def funding(self, as_of: datetime, *, known_at: None = None) -> tuple[FundingRow, ...]:
        """Return where the points of every fund are at an instant; a replay knows all events at once."""
        if known_at is not None:
            raise InvalidValue("a replay has no order of recording to read by: leave out known_at")
        totals: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: dict.fromkeys(_COLUMNS, 0))
        rows = list(self._ledger.funding(as_of))
        names = self._fund_names()
        for currency, wallets in self._wallets.items():
            for row in wallets.replayed.funding(as_of, currency=currency):
                key = (names[int(row.fund)], currency)
                for column in _COLUMNS:
                    totals[key][column] += getattr(row, column)
        for row in rows:
            for column in _COLUMNS:
                totals[(row.fund, row.currency)][column] += getattr(row, column)
        return tuple(
            FundingRow(fund=fund, currency=currency, **row)
            for (fund, currency), row in sorted(totals.items())
        )

    def trial_balance(self, as_of: datetime) -> dict[tuple[str, str], int]:
        """Return {(account, currency): points} at an instant; per currency it sums to zero."""
        totals: dict[tuple[str, str], int] = defaultdict(int, self._ledger.trial_balance(as_of))
        names, funds = self._history.codes("member")[1], self._fund_names()
        for currency, wallets in self._wallets.items():
            done = wallets.replayed
            columns = done.balances(as_of)
            for code, available, pending in zip(*(c.tolist() for c in columns.values()), strict=True):
                totals[(f"wallet:{names[code]}", currency)] += available + pending
            for row in done.funding(as_of):
                totals[(f"fund:{funds[int(row.fund)]}", currency)] -= row.issued
                totals[("expired", currency)] += row.expired
            for sink, points in self._paid(wallets, micros(as_of, "as_of")).items():
                totals[(f"sink:{sink}", currency)] += points
        return {key: points for key, points in sorted(totals.items()) if points}

    def _paid(self, wallets: _Wallets, at: int) -> dict[str, int]:
        """Return the points that each sink was paid."""
        done, paid = wallets.replayed, defaultdict[str, int](int)
        spent = (done.columns.kind == Kind.SPEND) & done.accepted & (done.columns.at <= at)
        rule = self._commands.rule.take(wallets.command)
        for which in np.unique(rule[spent]).tolist():
            points = done.columns.points[spent & (rule == which)]
            paid[self._commands.rules[which].sink] += int(points.sum())
        return paid
