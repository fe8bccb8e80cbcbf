"""Reading the tables of a program file into rules; every fault is noted with its path."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any

from userops.core import amounts
from userops.core.calendar import PERIODS
from userops.core.caps import SCOPES, Cap
from userops.core.commands import Clawback
from userops.core.conditions import ALWAYS, Condition
from userops.core.expiry import Expiry
from userops.core.files import Section, did_you_mean, exact_number
from userops.core.ids import MAX_NAME_BYTES, identifier
from userops.core.logic import RESERVED
from userops.errors import InvalidValue
from userops.points import Budget, Currency, Fund
from userops.program.rules import (
    CANCELLED,
    REDEEMED,
    BenefitOffer,
    Choice,
    Counter,
    EarnRule,
    Fixed,
    Grant,
    Limit,
    Proportional,
    RedeemRule,
    Rounding,
    Sink,
    Streak,
    Table,
)

MAX_STEPS = 1_000
_SPANS = {"months": 1_200, "days": 36_525}
_EXPIRY_KEYS = ("months", "days", "years", "calendar", "inactive_months", "round_to")


def name_of(value: Any) -> str:
    """Return a name short enough for the ids that are made from it."""
    return identifier(value, "a name", most=MAX_NAME_BYTES)


def read_currencies(root: Section) -> dict[str, Currency]:
    """Read `[currencies.*]`; `points` is always there."""
    currencies = {"points": Currency("points")}
    for name, section in root.named_sections("currencies").items():
        spendable = section.truth("spendable", True)
        if name == "points" and not spendable:
            section.fault(
                "spendable", "points are spendable in every ledger from the start; name another currency"
            )
        section.value("money", name_of, "")
        section.finish()
        currency = section.build(partial(Currency, name, spendable=spendable))
        if currency is not None:
            currencies[name] = currency
    return currencies


def read_funds(root: Section, timezone: str) -> dict[str, Fund]:
    """Read `[funds.*]`; budgets turn in the program's time zone."""
    funds = {}
    for name, section in root.named_sections("funds").items():
        cost = section.exact("unit_cost", Fraction(0))
        kind = section.choice("kind", {"revenue": "revenue", "expense": "expense"}, "revenue")
        inner = section.section("budget")
        budget = None
        if inner is not None:
            points = inner.whole("points")
            per = inner.choice("per", {word: word for word in PERIODS}, "lifetime")
            inner.finish()
            budget = inner.build(partial(Budget, points, per=per))
        section.finish()
        fund = section.build(
            partial(Fund, name, unit_cost=_decimal(cost), budget=budget, kind=kind, timezone=timezone)
        )
        if fund is not None:
            funds[name] = fund
    return funds


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)


def read_shared_caps(root: Section) -> dict[str, Limit]:
    """Read `[caps.*]`: caps that several rules share."""
    shared = {}
    for name, section in root.named_sections("caps").items():
        limit = _read_limit(section, f"caps.{name}")
        section.finish()
        if limit is not None:
            shared[name] = limit
    return shared


def _read_limit(section: Section, name: str) -> Limit | None:
    times = section.whole("times", None)
    points = section.whole("points", None)
    per = section.choice("per", {word: word for word in (*PERIODS, "reference")}, "lifetime")
    scope = section.choice("scope", {word: word for word in SCOPES}, "member")
    when = read_when(section)
    cap = section.build(lambda: Cap(times=times, points=points, per=per, scope=scope))
    return None if cap is None else Limit(cap=cap, name=name, when=when)


def _read_limits(section: Section, name: str, shared: Mapping[str, Limit]) -> tuple[Limit, ...]:
    limits = []
    for part in section.sections("cap"):
        limit = part.choice("shared", shared, None) if "shared" in part else _read_limit(part, name)
        part.finish()
        if limit is not None:
            limits.append(limit)
    return tuple(limits)


def read_when(section: Section) -> Condition:
    """Read a `when` table; without one the rule always applies."""
    return section.value("when", Condition.from_toml, ALWAYS)


def read_expiry(section: Section) -> Expiry | None:
    """Read `expires`: a table of one span, or the word none."""
    value = section.raw("expires")
    if value is None or value == "none":
        return None
    inner = section.section("expires")
    if inner is None:
        return None
    given = {key: inner.raw(key) for key in _EXPIRY_KEYS if key in inner}
    inner.finish(_EXPIRY_KEYS)
    return inner.build(lambda: Expiry(**given))


def _read_grant(section: Section) -> Grant | None:
    value = section.raw("points")
    if not isinstance(value, Mapping):
        points = section.whole("points", at_least=1)
        return None if points is None else Fixed(points)
    inner = section.section("points")
    if inner is None:
        return None
    if "table" in inner:
        return _read_table(inner)
    if "streak" in inner:
        return _read_streak(inner)
    return _read_proportional(inner)


def _read_proportional(inner: Section) -> Proportional | None:
    of = inner.value("of", name_of)
    per = inner.exact("per", Fraction(1))
    give = inner.exact("give", Fraction(1))
    rounding = inner.choice("round", {r.value: r for r in Rounding}, Rounding.DOWN)
    if not inner.is_faulty():
        for key, number in (("per", per), ("give", give)):
            if number <= 0:
                inner.fault(key, "must be more than 0")
    inner.finish()
    return inner.build(lambda: Proportional(per, give, of, rounding))


def _read_table(inner: Section) -> Table | None:
    by = inner.value("by", name_of)
    rows = inner.section("table")
    table = () if rows is None else tuple((key, rows.whole(key, at_least=1)) for key in rows)
    if not table:
        inner.fault("table", "must name at least one value and its points")
    inner.finish()
    return inner.build(lambda: Table(table, by))


def _read_streak(inner: Section) -> Streak | None:
    def convert(value: Any) -> tuple[int, ...]:
        if not isinstance(value, list) or not 1 <= len(value) <= MAX_STEPS:
            raise InvalidValue(f"must be a list of 1 to {MAX_STEPS} numbers of points")
        return tuple(amounts.whole(step, "a step", at_least=1) for step in value)

    steps = inner.value("streak", convert)
    inner.choice("of", {"day": "day"}, "day")
    inner.finish()
    return inner.build(lambda: Streak(steps))


def _read_multipliers(section: Section) -> dict[str, Fraction]:
    inner = section.section("multiply_by_tier")
    if inner is None:
        return {}
    factors = {tier: inner.exact(tier) for tier in inner}
    return {tier: factor for tier, factor in factors.items() if factor is not None}


def _read_kind(section: Section) -> str:
    """Read which events a rule listens to: one to a cancellation would never be asked."""
    on = section.value("on", name_of)
    if on is not None and on.endswith(CANCELLED) and on != CANCELLED:
        section.fault("on", f"events that end in {CANCELLED!r} take back what was given; no rule hears them")
    return on


def _check_usable(section: Section, expires: Expiry | None, days: int) -> None:
    """Refuse points that expire before they can be used, whenever they are earned."""
    if expires is not None and not section.is_faulty() and days > (longest := expires.longest()):
        section.fault("activates", f"points expire within {longest} days, before they can be used")


def read_earn_rule(
    section: Section,
    shared: Mapping[str, Limit],
    funds: Mapping[str, Fund],
    currencies: Mapping[str, Currency],
) -> EarnRule | None:
    """Read one `[[earn]]` table."""
    name = section.value("name", name_of)
    on = _read_kind(section)
    currency = section.choice("currency", {word: word for word in currencies}, "points")
    is_value = currency in currencies and not currencies[currency].spendable
    known_funds = {word: word for word in funds}
    if is_value:
        known_funds.setdefault(currency, currency)
    fund = section.choice("fund", known_funds, *([currency] if is_value else []))
    points = _read_grant(section)
    when, expires = read_when(section), read_expiry(section)
    activates = section.section("activates")
    days = 0 if activates is None else activates.whole("days", 0, at_most=_SPANS["days"])
    if activates is not None:
        activates.finish()
    _check_usable(section, expires, days)
    limits = _read_limits(section, name or "", shared)
    start, until = section.day("from", None), section.day("until", None)
    if start is not None and until is not None and until <= start:
        section.fault("until", "must lie after from")
    group = section.value("group", name_of, "")
    priority = section.whole("priority", 0, at_least=-1_000_000, at_most=1_000_000)
    clawback = section.choice("clawback", {policy.value: policy for policy in Clawback}, Clawback.DEBT)
    multipliers = _read_multipliers(section)
    accepted = section.choice("unbounded", {"accepted": True}, False)
    section.finish()
    return section.build(
        lambda: EarnRule(
            name=name,
            on=on,
            points=points,  # type: ignore[arg-type]
            fund=fund,
            currency=currency,
            when=when,
            expires=expires,
            activates_days=days,
            limits=limits,
            start=start,
            until=until,
            group=group,
            priority=priority,
            clawback=clawback,
            multiply_by_tier=multipliers,
            is_unbounded_accepted=accepted,
        )
    )


def read_redeem_rule(section: Section, currencies: Mapping[str, Currency]) -> RedeemRule | None:
    """Read one `[[redeem]]` table."""
    name = section.value("name", name_of)
    on = _read_kind(section)
    if on == REDEEMED:
        section.fault("on", f"every program spends at {REDEEMED} already")
    sink = section.value("sink", name_of)
    currency = section.choice(
        "currency", {c: c for c, value in currencies.items() if value.spendable}, "points"
    )
    grant = _read_grant(section)
    if isinstance(grant, Table | Streak):
        section.fault("points", "a redemption is a number of points, or in proportion to a field")
    when = read_when(section)
    section.finish()
    return section.build(
        lambda: RedeemRule(name=name, on=on, points=grant, sink=sink, when=when, currency=currency)  # type: ignore[arg-type]
    )


def read_sinks(root: Section, funds: Mapping[str, Fund]) -> dict[str, Sink]:
    """Read `[sinks.*]`: whose points may pay, and what share of a bill."""
    sinks = {}
    for name, section in root.named_sections("sinks").items():
        names = section.value("funds", partial(_known_funds, funds=funds), None)
        share = section.value("share_at_most", _share, None)
        section.finish()
        sinks[name] = Sink(name=name, funds=names, share_at_most=share)
    return sinks


def _known_funds(value: Any, *, funds: Mapping[str, Fund]) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise InvalidValue("must be a list of funds")
    for name in value:
        if not isinstance(name, str) or name not in funds:
            raise InvalidValue(f"{str(name)[:40]!r} is not a fund{did_you_mean(str(name), funds)}")
    return tuple(value)


def _share(value: Any) -> Fraction:
    share = exact_number(value, at_least=0)
    if share > 1:
        raise InvalidValue("must be at most 1")
    return share


def read_counters(root: Section) -> tuple[Counter, ...]:
    """Read `[counters.*]`: counts over recorded events."""
    counters = []
    for name, section in root.named_sections("counters").items():
        on = section.value("on", name_of)
        if name in (*RESERVED, "amount", "tier"):
            section.fault(None, f"a counter cannot be called {name!r}: conditions mean something else by it")
        within = section.section("within")
        span = {}
        if within is not None:
            span = {key: within.whole(key, 0, at_most=most) for key, most in _SPANS.items()}
            within.finish(_SPANS)
            if not any(span.values()) and not within.is_faulty():
                within.fault(None, "must be a number of months or days")
        total = section.choice("sum", {"amount": True}, False)
        section.finish()
        counters.append(Counter(name=name, on=on or "", is_sum=total, **span))
    return tuple(counters)


def read_groups(root: Section) -> dict[str, Choice]:
    """Read `[groups]`: how the rules of an exclusive group share an event."""
    section = root.section("groups")
    choices = {choice.value: choice for choice in Choice}
    return {} if section is None else {name: section.choice(name, choices, Choice.ALL) for name in section}


def read_benefits(root: Section) -> tuple[BenefitOffer, ...]:
    """Read `[[benefit]]`: what orders of a day are promised."""
    offers = []
    for section in root.sections("benefit"):
        name, value = section.value("name", name_of), section.exact("value")
        start, until, when = section.day("from", None), section.day("until", None), read_when(section)
        section.finish()
        offer = section.build(
            partial(BenefitOffer, name=name, value=value, start=start, until=until, when=when)
        )
        if offer is not None:
            offers.append(offer)
    return tuple(offers)
