"""The program: one file of rules, validated whole, decided purely, run live."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

from attrs import frozen

from userops.core.amounts import whole
from userops.core.calendar import zone
from userops.core.conditions import Condition
from userops.core.events import Event, Record
from userops.core.files import Section, did_you_mean, load, parse, read_text
from userops.core.quantities import listed
from userops.errors import InvalidValue
from userops.points import Currency, Fund, Ledger
from userops.program import comparison, live, offers, reading
from userops.program.bounds import why_unbounded, worst_case
from userops.program.decision import Decision
from userops.program.live import State
from userops.program.milestones import conversions_of
from userops.program.replay import Replay, history_of, replay
from userops.program.rulebook import Rulebook
from userops.program.rules import (
    REDEEMED,
    Choice,
    EarnRule,
    Limit,
    RedeemRule,
    check_versions,
)
from userops.referrals import Binding, Credits, ReferralGraph, Scheme, read_referral
from userops.tiers import Ladder, read_ladder

SCHEMA = 1
Members = Mapping[str, Mapping[str, Any]] | None


@frozen(kw_only=True)
class Program(Rulebook):
    """The rules as data: what is earned and spent, from whose budget, in which tiers.

    >>> program = Program.load('''
    ... schema = 1
    ... name = "club"
    ... [funds.sales]
    ... [[earn]]
    ... name = "delivery"
    ... on = "order.delivered"
    ... points = 10_000
    ... fund = "sales"
    ... cap = [{ times = 1, per = "reference" }]
    ... ''')
    >>> from datetime import UTC
    >>> event = Event("e1", "order.delivered", "u1", datetime(2027, 1, 5, tzinfo=UTC), reference="o1")
    >>> print(program.decide(event, None).describe())
    order.delivered of u1
      delivery: 10,000 points
    """

    @classmethod
    def load(cls, path_or_text: str | Path) -> Program:
        """Read a program from a file, or from text with a newline; one `PlanError` carries every fault."""
        text, _ = read_text(path_or_text, what="program")
        return cls.from_table(parse(text, what="program"))

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Program:
        """Build a program from the table of a file."""
        return load(table, partial(_build, table=table), what="program")

    def decide(self, event: Event, state: State | None = None) -> Decision:
        """Return what the rules make of an event, given the member's past; posts nothing.

        `state=None` is a member without history.
        """
        if not isinstance(state, State | None):
            raise InvalidValue(f"state is what program.state() returns, not {type(state).__name__}")
        return live.decide(self, _event(event), State() if state is None else state)

    def state(
        self,
        ledger: Ledger,
        member: str,
        at: datetime,
        members: Members = None,
    ) -> State:
        """Return all of a member's past as the rules see it, from the ledger's entries.

        Counts of the whole program are those of the periods of `at`; a cap of the whole program per reference
        is known to `handle` alone.
        """
        return live.state_of(self, _ledger(ledger), member, at, _members(members))

    def register(self, ledger: Ledger) -> None:
        """Declare the program's currencies and funds in a ledger; what is declared already must be equal."""
        _ledger(ledger)
        for currency in self.currencies.values():
            ledger.add_currency(currency)
        for fund in self.funds.values():
            ledger.add_fund(fund)

    def handle(self, event: Event, ledger: Ledger, members: Members = None) -> Decision:
        """Decide an event and post what it leads to, in one transaction under the member's lock.

        An event handled before is answered from its entries (`replayed`). A rule that the ledger refuses is
        an outcome; the event's other rules still pay.
        """
        return live.handle(self, _event(event), _ledger(ledger), _members(members))

    def run(
        self,
        events: Iterable[Event],
        ledger: Ledger,
        members: Members = None,
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Decision]:
        """Register what the program declares, then handle events by (`at`, place in the list).

        Returns the decisions in that order. `progress` is told (done, total) after each event.
        """
        ordered = sorted(_events(events), key=lambda event: event.at)
        self.register(ledger)
        decisions = []
        for event in ordered:
            decisions.append(self.handle(event, ledger, members))
            if progress is not None:
                progress(len(decisions), len(ordered))
        return decisions

    def replay(
        self,
        events: Any,
        members: Members = None,
        *,
        order: str = "time",
    ) -> Replay:
        """Return the books of a whole history: the same balances, lots and allocations as `run`, read alike.

        `events` are `Event`s, columns (`id`, `kind`, `member`, `at`, `reference`, `amount`, any other is data),
        a data frame, or the path of a CSV or Parquet file. They take effect by (`at`, place in the list);
        order="recorded" keeps the list's order, and so reproduces a ledger that events reached late.
        """
        return replay(self, events, _members(members), order)

    def worst_case(self, *, members: int, events: int, years: int = 1) -> dict[str, int | None]:
        """Return {fund: the most points that so many members and events can draw in `years`}.

        Never too small; exact for one rule. None where a rule without bounds was accepted.
        """
        return worst_case(
            self.earn,
            self.scheme,
            self.funds,
            members=whole(members, "members", at_least=0),
            events=whole(events, "events", at_least=0),
            years=whole(years, "years", at_least=1, at_most=1_000),
        )

    def diff(self, other: Program) -> tuple[str, ...]:
        """Return what changes from this program to `other`, a sentence each; none when nothing does."""
        return comparison.diff(self, _program(other))

    def what_if(
        self,
        events: Any,
        other: Program,
        *,
        members: Members = None,
        conditions: Mapping[str, Condition] | None = None,
        currency: str = "points",
    ) -> comparison.WhatIf:
        """Replay the events under both programs; return who wins and loses by `other`, by member and fund.

        `events` are what `replay` takes.

        `conditions` name groups of members by their records (`members`), and are totalled too.
        """
        history, members, other = history_of(events, self.tz), _members(members), _program(other)
        before, after = self.replay(history, members), other.replay(history, members)
        return comparison.what_if(before, after, members or {}, conditions or {}, currency)

    def referral_credits(self, graph: ReferralGraph, events: Iterable[Event]) -> Credits:
        """Return who is credited for the milestones that invitees reach in these events, by `[referral]`.

        A `<kind>.cancelled` of the same member and reference cancels what its milestone had earned. Posting
        `credits.commands()` pays each once, however often the events are read again.
        """
        if self.scheme is None:
            raise InvalidValue("the program has no [referral]")
        return self.scheme.credit(
            graph, conversions_of(self.scheme, sorted(_events(events), key=lambda e: e.at))
        )

    def parity(
        self,
        profile: Mapping[str, Any],
        start: date,
        end: date,
        *,
        orders_per_day: int | Mapping[date, int] = 1,
    ) -> offers.Parity:
        """Return the pairs of order days in `[start, end)` on which the later buyer is promised more.

        `profile` is what is known of the buyer; the stacked value of the benefits in force counts. The cost
        of making earlier orders whole takes `orders_per_day`.
        """
        return offers.parity(self.benefits, profile, start, end, orders_per_day)


def _program(other: Program) -> Program:
    if not isinstance(other, Program):
        raise InvalidValue(f"a Program was expected, not {type(other).__name__}")
    return other


def _event(event: Event) -> Event:
    if not isinstance(event, Event):
        raise InvalidValue(f"an Event was expected, not {type(event).__name__}")
    return event


def _events(events: Iterable[Event]) -> Iterable[Event]:
    return map(_event, events if isinstance(events, Iterator) else listed(events, "events"))


def _ledger(ledger: Ledger) -> Ledger:
    if not isinstance(ledger, Ledger):
        raise InvalidValue(f"a Ledger was expected, not {type(ledger).__name__}")
    return ledger


def _members(members: Members) -> Members:
    """Check what is known of members: {id: record}, both looked at when a member's event is."""
    if not isinstance(members, Mapping | None):
        raise InvalidValue(f"members must be a mapping of ids to records, not {type(members).__name__}")
    return members


def _build(root: Section, *, table: Mapping[str, Any]) -> Program:
    root.value("schema", _known_schema, SCHEMA)
    name = root.value("name", reading.name_of)
    timezone = root.value("timezone", lambda value: (zone(value), str(value))[1], "UTC")
    currencies = reading.read_currencies(root)
    funds = reading.read_funds(root, timezone)
    shared = reading.read_shared_caps(root)
    groups = reading.read_groups(root)
    earn = _read_earn(root, shared, funds, currencies, groups)
    # Without [groups], a group is what its name says: exclusive, and the best pays.
    groups = {**{rule.group: Choice.BEST for rule in earn if rule.group}, **groups}
    for rule in earn:
        if rule.fund not in funds and rule.fund == rule.currency:
            funds[rule.fund] = Fund(rule.fund, timezone=timezone)
    redeem = tuple(
        found for s in root.sections("redeem") if (found := reading.read_redeem_rule(s, currencies))
    )
    sinks, counters = reading.read_sinks(root, funds), reading.read_counters(root)
    _check_names(root, earn, redeem)
    ladder, value_currency = _read_tiers(root, timezone, currencies, earn)
    binding, scheme = _read_referral(root, timezone, currencies, funds)
    benefits = reading.read_benefits(root)
    return Program(
        name=name,
        timezone=timezone,
        currencies=currencies,
        funds=funds,
        earn=earn,
        redeem=redeem,
        groups=groups,
        sinks=sinks,
        counters=counters,
        benefits=benefits,
        ladder=ladder,
        value_currency=value_currency,
        binding=binding,
        scheme=scheme,
        table=Record(table),
    )


def _read_tiers(
    root: Section, timezone: str, currencies: Mapping[str, Currency], earn: tuple[EarnRule, ...]
) -> tuple[Ladder | None, str | None]:
    """Read `[tiers]`; multipliers may name only tiers that are there."""
    section = root.section("tiers")
    found = None if section is None else read_ladder(section, timezone)
    if section is None or found is None:
        return None, None
    ladder, currency = found
    if currency not in currencies:
        section.fault("currency", f"{currency!r} is not a currency{did_you_mean(currency, currencies)}")
    names = {tier.name for tier in ladder.tiers}
    for rule in earn:
        for tier in sorted(set(rule.multiply_by_tier) - names):
            root.fault(
                "earn",
                f"rule {rule.name!r} multiplies for {tier!r}, which is no tier{did_you_mean(tier, names)}",
            )
    return ladder, currency


def _read_referral(
    root: Section, timezone: str, currencies: Mapping[str, Currency], funds: Mapping[str, Fund]
) -> tuple[Binding | None, Scheme | None]:
    """Read `[referral]`; a fund without a budget needs a cap on referrers, or nothing bounds what is paid."""
    section = root.section("referral")
    found = (
        None
        if section is None
        else read_referral(section, timezone=timezone, funds=funds, currencies=currencies)
    )
    if section is None or found is None:
        return None, None
    scheme = found[1]
    fund = funds.get(scheme.fund)
    if fund is not None and fund.budget is None and not scheme.caps:
        section.fault(None, "nothing bounds what is paid: give the fund a budget, or the scheme caps")
    return found


def _check_names(root: Section, earn: tuple[EarnRule, ...], redeem: tuple[RedeemRule, ...]) -> None:
    """Refuse a redemption rule named like another rule: the ids of commands are made from rule names."""
    seen = {rule.name for rule in earn} | {REDEEMED}
    if any(rule.name == REDEEMED for rule in earn):
        root.fault("earn", f"{REDEEMED!r} names the rule that every program has")
    for rule in redeem:
        if rule.name in seen:
            root.fault("redeem", f"{rule.name!r} names another rule already")
        seen.add(rule.name)


def _known_schema(value: Any) -> int:
    if value != SCHEMA or isinstance(value, bool):
        raise InvalidValue(f"this version reads schema {SCHEMA}")
    return SCHEMA


def _read_earn(
    root: Section,
    shared: Mapping[str, Limit],
    funds: Mapping[str, Fund],
    currencies: Mapping[str, Currency],
    groups: Mapping[str, Choice],
) -> tuple[EarnRule, ...]:
    rules = []
    for section in root.sections("earn"):
        rule = reading.read_earn_rule(section, shared, funds, currencies)
        if rule is None:
            continue
        if rule.group and "groups" in root and rule.group not in groups:
            section.fault("group", f"{rule.group!r} is not in [groups]{did_you_mean(rule.group, groups)}")
        fund = funds.get(rule.fund) or Fund(rule.fund)
        why = why_unbounded(rule, fund)
        if why:
            section.fault(None, f'{why}, or say unbounded = "accepted"')
        rules.append(rule)
    root.build(lambda: check_versions(tuple(rules)))
    return tuple(rules)
