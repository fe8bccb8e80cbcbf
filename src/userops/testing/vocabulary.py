"""What a program can be told: the kinds that it hears, the fields that it reads, and the values around what it asks."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from attrs import frozen

from userops.core.calendar import day_start, local_day
from userops.core.conditions import Condition
from userops.core.logic import Atom
from userops.errors import InvalidValue, UseropsError
from userops.program import Program
from userops.program.rules import (
    REDEEMED,
    EarnRule,
    Fixed,
    Proportional,
    RedeemRule,
    Streak,
    Table,
    fields_read,
)

#: Where a history begins and ends when nobody says so, and no rule begins or ends elsewhere.
_START, _LENGTH = datetime(2027, 1, 1, tzinfo=UTC), timedelta(days=3 * 366)
#: A kind that no program hears.
UNHEARD = "nobody.listens"
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
#: Budgets and other large numbers are worth meeting, beyond this only the sizes of numbers are.
_MOST = 10**15

#: By field, values to draw from.
Values = Mapping[str, tuple[Any, ...]]


@frozen(eq=False)
class Vocabulary:
    """Everything that histories are made of, drawn from the rules themselves."""

    #: The kinds that some rule, counter or milestone hears; redemptions last.
    kinds: tuple[str, ...]
    #: By kind, the fields of an event's data that its rules read.
    fields: Mapping[str, tuple[str, ...]]
    #: By kind, for each of its rules the values that its condition holds for.
    aims: Mapping[str, tuple[Values, ...]]
    #: By field, what conditions name and what lies beside it.
    values: Values
    #: What records of members may say.
    of_members: tuple[str, ...]
    #: The tiers of the program's ladder.
    tiers: tuple[str, ...]
    #: Times between events at which something of the program turns.
    gaps: tuple[timedelta, ...]
    #: Instants about which histories begin.
    anchors: tuple[datetime, ...]

    @classmethod
    def of(cls, program: Program) -> Vocabulary:
        """Read a program's rules for what they can be told."""
        rules: tuple[EarnRule | RedeemRule, ...] = (*program.earn, *program.redeem)
        counters = {counter.name for counter in program.counters}
        tiers = () if program.ladder is None else program.ladder.tiers
        conditions = [rule.when for rule in rules]
        conditions += [limit.when for rule in program.earn for limit in rule.limits]
        conditions += [tier.requires for tier in tiers if tier.requires is not None]
        values = _values_of(program, conditions)
        required = {name for tier in tiers if tier.requires is not None for name in tier.requires.fields()}
        fields: dict[str, set[str]] = {}
        for rule in rules:
            read = fields_read(rule) - counters
            fields.setdefault(rule.on, set()).update(read, required if "tier" in read else ())
        for redeem in program.redeem:
            sink = program.sinks.get(redeem.sink)
            fields[redeem.on].update(("bill",) if sink is not None and sink.share_at_most is not None else ())
        fields[REDEEMED] = {"sink", "bill"} if program.sinks else {"sink"}
        heard = [rule.on for rule in rules] + [counter.on for counter in program.counters]
        heard += list(program.scheme.milestones) if program.scheme is not None else []
        kinds = tuple(dict.fromkeys((*(kind for kind in heard if not kind.endswith(".cancelled")), REDEEMED)))
        return cls(
            kinds=kinds,
            fields={kind: tuple(sorted(fields.get(kind, set()) - {"amount"})) for kind in kinds},
            aims={
                **{kind: tuple(_aim(rule, values) for rule in rules if rule.on == kind) for kind in kinds},
                REDEEMED: ({"amount": _affordable(values["amount"])},),
            },
            values=values,
            of_members=tuple(sorted((set().union(*fields.values()) | required) - {"amount", "sink", "bill"})),
            tiers=tuple(tier.name for tier in tiers),
            gaps=_gaps(program),
            anchors=_anchors(program),
        )

    @classmethod
    def of_condition(cls, condition: Condition) -> Vocabulary:
        """Read a single condition."""
        values = {name: tuple(_once(found)) for name, found in _beside([condition]).items()}
        names = tuple(values)
        return cls(
            kinds=(), fields={}, aims={}, values=values, of_members=names, tiers=(), gaps=(), anchors=()
        )  # fmt: skip


def _once(values: Iterable[Any]) -> Iterator[Any]:
    """Yield each value once; 1, 1.0 and True are three."""
    seen: list[tuple[type, Any]] = []
    for value in values:
        if (type(value), value) not in seen:
            seen.append((type(value), value))
            yield value


def _beside(conditions: Iterable[Condition]) -> dict[str, list[Any]]:
    """Return by field the constants of conditions, what lies just beside them, and None."""
    found: dict[str, list[Any]] = {}
    for atom in itertools.chain.from_iterable(condition.atoms() for condition in conditions):
        values = found.setdefault(atom.field, [])
        if atom.op != "missing":
            for constant in atom.value if atom.op == "one_of" else (atom.value,):
                values += _neighbours(constant)
    # What nobody compares is there, or is missing.
    return {name: [*(values or [1, "something"]), None] for name, values in found.items()}


def _neighbours(constant: Any) -> list[Any]:
    if isinstance(constant, bool):
        return [constant, not constant]
    if isinstance(constant, str):
        return [constant, f"not {constant}"]
    if isinstance(constant, date):
        instant = timedelta(microseconds=1) if isinstance(constant, datetime) else _DAY
        with suppress(OverflowError):
            return [constant, constant - instant, constant + instant]
        return [constant]
    if isinstance(constant, Decimal):
        step = Decimal(1).scaleb(int(constant.as_tuple().exponent))
        return [constant, constant - step, constant + step]
    return [constant, constant - 1, constant + 1]


def _values_of(program: Program, conditions: Iterable[Condition]) -> Values:
    """Return by field the values around what conditions, tables and proportions name."""
    found = _beside(conditions)
    plain = sorted({points for rule in program.earn for points in _points_of(rule)})[:4] or [1]
    spends = [*plain, *(points + 1 for points in plain), sum(plain), 1, 0]
    for rule in program.earn:
        if isinstance(rule.points, Table):
            found.setdefault(rule.points.by, []).extend([*dict(rule.points.table), "in no table"])
        elif isinstance(rule.points, Proportional):
            found.setdefault(rule.points.of, []).extend(_around(rule, program))
        found.setdefault("tier", []).extend([*rule.multiply_by_tier, "no such tier"])
    for redeem in program.redeem:
        if isinstance(redeem.points, Proportional):
            found.setdefault(redeem.points.of, []).extend(spends)
    found.setdefault("amount", []).extend([*spends, Decimal("7.5"), None])
    bills = [4 * points for points in plain] + [points + 1 for points in plain]
    found["bill"] = [*found.get("bill", []), *bills, None]
    found["sink"] = [*found.get("sink", []), None, *program.sinks, *(rule.sink for rule in program.redeem)]
    return {
        name: tuple(x for x in _once(values) if name != "amount" or _is_amount(x))
        for name, values in found.items()
    }


def _is_amount(value: Any) -> bool:
    return value is None or (isinstance(value, int | Decimal) and not isinstance(value, bool))


def _points_of(rule: EarnRule) -> tuple[int, ...]:
    if isinstance(rule.points, Fixed):
        return (rule.points.points,)
    if isinstance(rule.points, Table):
        return tuple(points for _, points in rule.points.table)
    return rule.points.steps if isinstance(rule.points, Streak) else ()


def _around(rule: EarnRule, program: Program) -> list[Any]:
    """Return values of a proportion's field: one point's worth and a half more, and what fills caps and budgets."""
    points = rule.points
    if not isinstance(points, Proportional):
        return []
    fund = program.funds.get(rule.fund)
    budget = None if fund is None or fund.budget is None else fund.budget.points
    bounds = [limit.cap.points for limit in rule.limits] + [budget]
    one = points.per / points.give
    found: list[Any] = [
        (5 * one).__ceil__(),
        one.__ceil__(),
        one.__ceil__() - 1,
        _decimal(one * Fraction(3, 2)),
    ]
    for bound in bounds:
        if bound is not None and bound * one < _MOST:
            found += [(bound * one).__ceil__(), (bound * one).__ceil__() + one.__ceil__()]
    return [*found, 0]


def _decimal(value: Fraction) -> Decimal:
    return Decimal(round(value * 1_000)).scaleb(-3)


def _aim(rule: EarnRule | RedeemRule, values: Values) -> Values:
    """Return for the fields of a rule the values that hold every comparison of its condition."""
    aimed: dict[str, tuple[Any, ...]] = {}
    atoms: dict[str, list[Atom]] = {}
    for atom in rule.when.atoms():
        atoms.setdefault(atom.field, []).append(atom)
    for name, mine in atoms.items():
        aimed[name] = tuple(x for x in values.get(name, ()) if all(_is_met(atom, x) for atom in mine))
    name = getattr(rule.points, "of", "")
    if name:
        options = aimed.get(name) or values.get(name, ())
        aimed[name] = tuple(x for x in options if _is_amount(x) and x is not None and x > 0)
        if isinstance(rule, RedeemRule):
            aimed[name] = _affordable(aimed[name])
    if isinstance(rule.points, Table):
        aimed[rule.points.by] = tuple(dict(rule.points.table))
    return {name: options for name, options in aimed.items() if options}


def _affordable(amounts: Iterable[Any]) -> tuple[int, ...]:
    """Return the smallest amounts of points: what members have after few events pays them."""
    return tuple(sorted({x for x in amounts if isinstance(x, int) and x > 0})[:6])


def _is_met(atom: Atom, value: Any) -> bool:
    try:
        return atom.holds({atom.field: value})
    except UseropsError:
        return False


def _gaps(program: Program) -> tuple[timedelta, ...]:
    """Return times between events: none, an hour, a day, and the program's own spans; sometimes backwards."""
    days = {rule.expires.longest() + 1 for rule in program.earn if rule.expires is not None}
    days |= {rule.activates_days for rule in program.earn if rule.activates_days}
    days |= {31 * counter.months + counter.days + 1 for counter in program.counters}
    pers = {limit.cap.per for rule in program.earn for limit in rule.limits}
    pers |= {fund.budget.per for fund in program.funds.values() if fund.budget is not None}
    days |= {length for per, length in {"week": 7, "month": 31, "year": 366}.items() if per in pers}
    if program.ladder is not None:
        days |= {31, 366}
    far = tuple(number * _DAY for number in sorted(days) if number < 4_000)
    # Most events are near others: caps per day are met by what happens on one day.
    near = (0 * _DAY, 0 * _DAY, _HOUR, 5 * _HOUR, _DAY, 25 * _HOUR) * (1 + len(far) // 2)
    return (*near, *far, -_HOUR, -_DAY, -32 * _DAY)


def _anchors(program: Program) -> tuple[datetime, ...]:
    """Return instants shortly before a rule begins or ends, a year, month or week turns, or clocks change."""
    bounds = {day for rule in program.earn for day in (rule.start, rule.until) if day is not None}
    # A rule until the year 9999 has no end that histories should be about.
    bounds = {day for day in bounds if 1900 < day.year < 2900}
    first = min(bounds, default=local_day(_START, program.tz))
    year = first.year
    days = {
        *bounds,
        date(year + 1, 1, 1),
        date(year, 3, 1),
        date(year, 3, 1) + _DAY * (7 - date(year, 3, 1).weekday()),
    }
    offset = None
    for number in range(366):
        noon = datetime(year, 1, 1, 12, tzinfo=UTC) + number * _DAY
        now = noon.astimezone(program.tz).utcoffset()
        if offset is not None and now != offset:
            days.add(local_day(noon, program.tz))
        offset = now
    return tuple(day_start(day, program.tz) - _HOUR for day in sorted(days))


def span_of(words: Vocabulary, start: datetime | None, end: datetime | None) -> tuple[datetime, datetime]:
    """Return `[start, end)` of histories: what was asked for, or about where the rules begin and end."""
    first = start if start is not None else min(words.anchors)
    last = end if end is not None else max(words.anchors) + _LENGTH
    if last <= first:
        raise InvalidValue("end must lie after start")
    return first, last
