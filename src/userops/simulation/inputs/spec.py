"""What a simulation runs on: a program, its population and behaviour, the horizon and the limits."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from attrs import define, field, frozen

from userops.core.chance import stream
from userops.core.files import Section
from userops.errors import InvalidValue
from userops.program import Program
from userops.simulation.inputs.behaviour import Behaviour, read_behaviours, vocabulary
from userops.simulation.inputs.checks import check_data, check_kinds
from userops.simulation.inputs.clock import Clock, Span, clock_of
from userops.simulation.inputs.distributions import Parameter, number
from userops.simulation.inputs.population import Group, World, read_population
from userops.simulation.inputs.rulebook import Rulebook
from userops.simulation.inputs.which_pass import is_one_by_one, lonely_kinds, why_by_days

MOST_MONTHS = 240


@frozen(kw_only=True)
class Run:
    """A wave of redemptions: who is in it redeems the whole balance at the end of its month."""

    #: Of each month from 0, the share of members who take part then.
    shares: tuple[tuple[int, float], ...] = ()


@frozen(kw_only=True)
class Cash:
    """Money for redemptions: what is there at the start, what each month adds, and what must stay."""

    opening: float = 0.0
    per_month: float = 0.0
    floor: float | None = None


@define(slots=False)
class Spec:
    """A plan's content, read and checked."""

    program: Program
    span: Span
    groups: tuple[Group, ...]
    behaviours: Mapping[str, Behaviour]
    cash: Cash | None = None
    #: Points that the shops can hand out in a month.
    stock: float | None = None
    run: Run = field(factory=Run)
    #: Tiers are found before the rules that ask for them: their events carry them.
    knows_tiers: bool = False
    #: Of each fund, the share of its points that is redeemed in the end, where the plan states it.
    redemption_rates: tuple[float | None, ...] = ()

    @cached_property
    def clock(self) -> Clock:
        """The clock of the horizon."""
        return clock_of(self.span)

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of events that members do, in order of name."""
        found = {kind for one in self.behaviours.values() for kind in one.events}
        found |= {one.becomes_event for one in self.groups if one.becomes_event}
        found |= {one.referral_event for one in self.behaviours.values() if one.referrals is not None}
        return tuple(sorted(found))

    @cached_property
    def is_one_by_one(self) -> bool:
        """Whether events go through a ledger one by one; see `which_pass`."""
        return is_one_by_one(self.program, self.behaviours, self.kinds)

    @cached_property
    def lonely_kinds(self) -> frozenset[str]:
        """The kinds of events that columns do not run."""
        return lonely_kinds(self.program, self.kinds)

    @property
    def limits_redemption(self) -> bool:
        """Whether redemptions may be refused, for want of stock or cash."""
        return self.stock is not None or (self.cash is not None and self.cash.floor is not None)

    @cached_property
    def book(self) -> Rulebook:
        """The program's rules, prepared."""
        return Rulebook.of(self.program, self.clock, self.kinds)

    @property
    def decides_tiers(self) -> bool:
        """Say whether tiers are found on the way, event by event."""
        return self.program.ladder is not None and not self.knows_tiers

    @cached_property
    def sides(self) -> tuple[Spec, Spec] | None:
        """This in two: the rules that give value, and the others with the tiers known; None where they are one.

        An event that carries a field named tier is told about it by the ladder's walk alone.
        """
        carries = any(name == "tier" for _, name in self.words)
        if not self.decides_tiers or carries or not self.book.is_value_first:
            return None
        value = self.book.value_rules
        found = []
        for kept in (value, set(range(len(self.program.earn))) - value):
            side = copy.copy(self)
            side.knows_tiers = True
            side.__dict__["book"] = self.book.part(kept)
            found.append(side)
        return found[0], found[1]

    @cached_property
    def why_by_days(self) -> str:
        """What needs days; "" where the month pass gives the same figures."""
        if self.limits_redemption:
            return "redemptions may be refused"
        if self.is_one_by_one:
            return "members live event by event"
        return why_by_days(self.program, self.book, self.behaviours)

    @cached_property
    def words(self) -> dict[tuple[str, str], tuple[Any, ...] | None]:
        """The words that fields of events may hold."""
        return vocabulary(self.behaviours)

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """What is drawn once per replication, by its path."""
        found: dict[str, Parameter] = {}
        for one in self.groups:
            at = f"population.{one.name}" if one.name else "population"
            found[f"{at}.joins_per_month"] = one.joins
            if one.becomes:
                found[f"{at}.becomes.per_month"] = one.becomes_per_month
            at = f"behaviour.{one.name}" if one.name else "behaviour"
            found |= {f"{at}.{path}": p for path, p in self.behaviours[one.name].parameters().items()}
        return found

    @property
    def uncertain(self) -> list[str]:
        """The paths of the parameters that replications differ in."""
        return [path for path, one in self.parameters.items() if one.is_uncertain]

    def world(self, seed: int, replication: int, sample: int | None) -> World:
        """Draw one replication's parameters."""
        drawn = {
            path: one.values[0]
            if one.form == "number"
            else one.draw(stream(seed, replication, "parameter", _shared_path(path, one, self)))
            for path, one in self.parameters.items()
        }
        months = self.clock.calendar_months
        return World(
            self.groups, self.behaviours, self.span.months, sample, months, drawn, (seed, replication)
        )


def _shared_path(path: str, one: Parameter, spec: Spec) -> str:
    """Return the name of a parameter's stream: what all groups have from one table is drawn once for all."""
    if not path.startswith("behaviour."):
        return path
    names = [group.name for group in spec.groups if group.name]
    for name in names:
        if path.startswith(f"behaviour.{name}."):
            inner = path.removeprefix(f"behaviour.{name}.")
            others = [spec.parameters.get(f"behaviour.{other}.{inner}") for other in names]
            if all(other == one for other in others if other is not None):
                return f"behaviour.{inner}"
    return path


def read_spec(root: Section, program: Program) -> Spec | None:
    """Read a plan's tables over a program."""
    start, months = None, 0
    horizon = root.section("horizon")
    if horizon is None:
        root.fault("horizon", "is missing")
    else:
        start = horizon.day("start")
        if start is not None and start.day != 1:
            horizon.fault("start", f"is the first day of a month, not {start}: months are calendar months")
        months = horizon.whole("months", at_least=1, at_most=MOST_MONTHS)
        horizon.finish()
    groups = read_population(root)
    names = tuple(group.name for group in groups)
    behaviours = read_behaviours(root, names or ("",))
    if groups and not any(one.members or one.joins.mean() > 0 for one in groups):
        root.fault("population", "has no members, and nobody joins: give members or joins_per_month")
    cash, stock = _read_cash(root), root.section("stock")
    most = None
    if stock is not None:
        most = stock.value("points_per_month", number)
        stock.finish()
    rates = _read_rates(root, tuple(program.funds))
    if start is None or months is None or not groups:
        return None
    check_data(root, behaviours)
    found = Spec(
        program=program,
        span=Span(start.replace(day=1), months, program.timezone),
        groups=groups,
        behaviours=behaviours,
        cash=cash,
        stock=most,
        redemption_rates=rates,
    )
    check_kinds(root, program, behaviours, found.kinds)
    return found


def _read_cash(root: Section) -> Cash | None:
    section = root.section("cash")
    if section is None:
        return None
    found = Cash(
        opening=section.value("opening", number, 0.0),
        per_month=section.value("per_month", number, 0.0),
        floor=section.value("floor", number, None),
    )
    section.finish()
    return found


def _read_rates(root: Section, funds: tuple[str, ...]) -> tuple[float | None, ...]:
    """Read `[accounting] redemption_rate`: one for all funds, or a table by fund."""
    section = root.section("accounting")
    if section is None:
        return (None,) * len(funds)
    if not isinstance(section.raw("redemption_rate"), Mapping):
        everywhere = section.value("redemption_rate", _share, None)
        section.finish()
        return (everywhere,) * len(funds)
    inner = section.section("redemption_rate")
    assert inner is not None  # noqa: S101 — it is a table
    found = tuple(inner.value(fund, _share, None) for fund in funds)
    inner.finish()
    section.finish()
    return found


def _share(value: Any) -> float:
    found = number(value)
    if not 0 <= found <= 1:
        raise InvalidValue("must be between 0 and 1")
    return found


def group_names(spec: Spec) -> tuple[str, ...]:
    """Return the groups' names, `members` for the nameless one."""
    return tuple(group.name or "members" for group in spec.groups)


def rule_names(spec: Spec) -> tuple[str, ...]:
    """Return the names of the earn rules, and last that of the referral scheme, which pays too."""
    scheme = spec.program.scheme
    return (*(rule.name for rule in spec.program.earn), *(() if scheme is None else (scheme.name,)))


def heard_kinds(spec: Spec) -> set[str]:
    """Return the kinds of events that a rule or a counter of the program listens to."""
    program = spec.program
    found = {rule.on for rule in program.earn} | {rule.on for rule in program.redeem}
    found |= set() if program.scheme is None else {*program.scheme.milestones}
    return found | {counter.on for counter in program.counters}


def value_only_funds(spec: Spec) -> set[str]:
    """Return the funds of a currency that is not spent, such as growth value."""
    rules = spec.program.earn
    paying = {r.fund for r in rules if r.currency == "points"}
    scheme = spec.program.scheme
    if scheme is not None and scheme.currency == "points":
        paying.add(scheme.fund)
    return {r.fund for r in rules if r.currency != "points"} - paying


def unit_costs(spec: Spec) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return what a point of each fund costs, in money."""
    return np.array([float(fund.unit_cost) for fund in spec.program.funds.values()])
