"""The program: one file of rules, validated whole, decided purely, run live."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, tzinfo
from functools import partial
from pathlib import Path
from typing import Any

from attrs import field, frozen

from userops.core.amounts import whole
from userops.core.calendar import instant, zone
from userops.core.commands import Clawback
from userops.core.events import Event, Record
from userops.core.files import Section, load, parse, read_text
from userops.core.ids import derived_id
from userops.errors import InvalidValue
from userops.points import Currency, Fund, Ledger
from userops.program import reading, running
from userops.program.bounds import why_unbounded, worst_case
from userops.program.deciding import decide_event
from userops.program.decision import Decision
from userops.program.returning import decide_return
from userops.program.rules import (
    CANCELLED,
    BenefitOffer,
    Choice,
    Counter,
    EarnRule,
    Limit,
    RedeemRule,
    Sink,
    check_versions,
)
from userops.program.state import State

SCHEMA = 1


@frozen(kw_only=True)
class Program:
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

    name: str
    timezone: str = "UTC"
    currencies: Mapping[str, Currency] = field(factory=dict, hash=False)
    funds: Mapping[str, Fund] = field(factory=dict, hash=False)
    earn: tuple[EarnRule, ...] = ()
    redeem: tuple[RedeemRule, ...] = ()
    groups: Mapping[str, Choice] = field(factory=dict, hash=False)
    sinks: Mapping[str, Sink] = field(factory=dict, hash=False)
    counters: tuple[Counter, ...] = ()
    benefits: tuple[BenefitOffer, ...] = ()
    #: The tiers' ladder, and the currency whose entries it counts.
    ladder: Any = None
    value_currency: str | None = None
    #: Whether the event that crosses a threshold already earns at the new tier.
    is_new_rate: bool = False
    #: The table it was read from.
    table: Mapping[str, Any] = field(factory=dict, hash=False, repr=False, eq=False)

    @classmethod
    def load(cls, path_or_text: str | Path) -> Program:
        """Read a program from a file, or from text with a newline; one `PlanError` carries every fault."""
        text, _ = read_text(path_or_text, what="program")
        return cls.from_table(parse(text, what="program"))

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Program:
        """Build a program from the table of a file."""
        return load(table, partial(_build, table=table), what="program")

    @property
    def tz(self) -> tzinfo:
        """The program's time zone."""
        return zone(self.timezone)

    @property
    def prefix(self) -> str:
        """What the ids of this program's commands begin with."""
        return derived_id(self.name)

    @property
    def cap_names(self) -> Mapping[str, tuple[str, ...]]:
        """Of each rule, the names under which caps count its grants."""
        names: dict[str, tuple[str, ...]] = {}
        for rule in self.earn:
            found = (rule.name, *(limit.name for limit in rule.limits))
            names[rule.name] = tuple(dict.fromkeys(names.get(rule.name, ()) + found))
        return names

    @property
    def clawbacks(self) -> Mapping[str, Clawback]:
        """Of each rule, how a cancelled event takes its grant back."""
        return {rule.name: rule.clawback for rule in self.earn}

    def decide(self, event: Event, state: State | None = None) -> Decision:
        """Return what the rules make of an event, given the member's past; posts nothing.

        `state=None` is a member without history.
        """
        past = State() if state is None else state
        is_return = event.kind.endswith(CANCELLED) and event.kind != CANCELLED
        return (decide_return if is_return else decide_event)(self, event, past)

    def state(
        self,
        ledger: Ledger,
        member: str,
        at: datetime,
        members: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> State:
        """Return a member's past as the rules see it, from the ledger's entries."""
        instant(at)
        return ledger.transact([member], lambda posting: running.read(self, posting, member, at, "", members))

    def register(self, ledger: Ledger) -> None:
        """Declare the program's currencies and funds in a ledger; what is declared already must be equal."""
        for currency in self.currencies.values():
            ledger.add_currency(currency)
        for fund in self.funds.values():
            ledger.add_fund(fund)

    def handle(
        self, event: Event, ledger: Ledger, members: Mapping[str, Mapping[str, Any]] | None = None
    ) -> Decision:
        """Decide an event and post what it leads to, in one transaction under the member's lock.

        An event handled before is answered from its entries (`replayed`). A rule that the ledger refuses is
        an outcome; the event's other rules still pay.
        """
        return running.handle(self, event, ledger, members)

    def run(
        self, events: Iterable[Event], ledger: Ledger, members: Mapping[str, Mapping[str, Any]] | None = None
    ) -> list[Decision]:
        """Register what the program declares, then handle events by (`at`, place in the list)."""
        self.register(ledger)
        ordered = sorted(_events(events), key=lambda event: event.at)
        return [self.handle(event, ledger, members) for event in ordered]

    def worst_case(self, *, members: int, events: int, years: int = 1) -> dict[str, int | None]:
        """Return {fund: the most points that so many members and events can draw in `years`}.

        Never too small; exact for one rule. None where a rule without bounds was accepted.
        """
        return worst_case(
            self.earn,
            self.funds,
            members=whole(members, "members", at_least=0),
            events=whole(events, "events", at_least=0),
            years=whole(years, "years", at_least=1, at_most=1_000),
        )


def _events(events: Iterable[Event]) -> Iterable[Event]:
    for event in events:
        if not isinstance(event, Event):
            raise InvalidValue(f"an Event was expected, not {type(event).__name__}")
        yield event


def _build(root: Section, *, table: Mapping[str, Any]) -> Program:
    root.choice_of_number("schema", SCHEMA)
    name = root.value("name", reading.name_of)
    timezone = root.value("timezone", lambda value: (zone(value), str(value))[1], "UTC")
    currencies = reading.read_currencies(root)
    funds = reading.read_funds(root, timezone)
    shared = reading.read_shared_caps(root)
    groups = reading.read_groups(root)
    earn = _read_earn(root, shared, funds, currencies, groups)
    for rule in earn:
        if rule.fund not in funds and rule.fund == rule.currency:
            funds[rule.fund] = Fund(rule.fund, timezone=timezone)
    redeem = tuple(rule for s in root.sections("redeem") if (rule := reading.read_redeem_rule(s, currencies)))
    sinks, counters = reading.read_sinks(root, funds), reading.read_counters(root)
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
        table=Record(table),
    )


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
        if rule.group and rule.group not in groups:
            section.fault("group", f"{rule.group!r} is not in [groups]")
        fund = funds.get(rule.fund) or Fund(rule.fund)
        why = why_unbounded(rule, fund)
        if why:
            section.fault(None, f'{why}, or say unbounded = "accepted"')
        rules.append(rule)
    root.build(lambda: check_versions(tuple(rules)))
    return tuple(rules)
