"""Which pass a plan takes: by months where no rule asks for a day, by days where one does.

The month pass knows how many events a member has in a month and not on which days. It is taken where that
decides everything: the figures are then the same, to the point. What it cannot follow is named here, rule by rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from userops.program import Program
from userops.program.rules import Choice, Fixed, Streak
from userops.simulation.arrays import Array, Ints
from userops.simulation.asking import PreparedRule, Rulebook
from userops.simulation.behaviour import Behaviour
from userops.simulation.clock import Clock
from userops.simulation.facts import fields_read
from userops.simulation.lots import buckets_of

#: Periods that hold whole months.
OF_MONTHS = frozenset({"month", "year", "lifetime"})


def why_by_days(program: Program, book: Rulebook, behaviours: Mapping[str, Behaviour]) -> str:
    """Return what in a program needs days, "" where nothing does and the month pass gives the same figures."""
    return next(_reasons(program, book, behaviours), "")


def _reasons(program: Program, book: Rulebook, behaviours: Mapping[str, Behaviour]) -> Iterator[str]:
    if program.ladder is not None:
        yield "tiers change on days"
    if any(one.referrals is not None for one in behaviours.values()):
        yield "referrals join on days"
    rules = [rule for found in book.rules.values() for rule in found]
    for kind in (book.kinds[k] for k, found in book.rules.items() if found):
        counted = fields_read(program, kind) & {one.name for one in program.counters}
        if counted:
            yield f"rules of {kind} read the counter {min(counted)}"
    for rule in rules:
        why = _why_rule(program, book, rule)
        if why:
            yield f"rule {rule.rule.name} {why}"
    yield from _between(program, rules)
    if not _is_queue(book.clock, rules):
        yield "points do not expire in the order of the months in which they were earned"


def _why_rule(program: Program, book: Rulebook, one: PreparedRule) -> str:
    """Return what about one rule needs days."""
    rule, clock = one.rule, book.clock
    if not one.is_points:
        return f"gives {rule.currency}"
    if isinstance(rule.points, Streak):
        return "counts days in a row"
    if rule.multiply_by_tier:
        return "asks for the tier"
    if rule.activates_days:
        return "activates points days later"
    if program.groups.get(rule.group, Choice.ALL) is not Choice.ALL:
        return "is one of an exclusive group"
    if not all(_is_by_month(clock, table) for table in (one.is_open, buckets_of(clock, one.expiry))):
        return "begins, ends or expires within a month"
    return _why_caps(one)


def _why_caps(one: PreparedRule) -> str:
    """Return what about a rule's caps needs days."""
    is_fixed = isinstance(one.rule.points, Fixed)
    own = [x for x in one.limits if x.slot >= 0 and not x.is_shared]
    shared = [x for x in one.limits if x.is_shared]
    if any(x.limit.cap.times == 0 for x in one.limits):
        return "is under a cap of no times"
    if any(x.limit.cap.per not in OF_MONTHS for x in (*own, *shared)):
        return "is under a cap by day or week"
    if own and any(x.limit.is_conditional for x in one.limits):
        return "is under a cap that binds only sometimes"
    if not is_fixed and any(x.limit.cap.times is not None for x in own):
        return "gives unlike points under a cap in times"
    if not is_fixed and own and one.shared_counts:
        return "gives unlike points under caps that count times"
    return ""


def _between(program: Program, rules: list[PreparedRule]) -> Iterator[str]:
    """Yield what between rules depends on the order of events within a month."""
    if len({rule.fund for rule in rules}) > 1:
        yield "several funds pay: which one's points a redemption takes depends on days"
    budgets = list(program.funds.values())
    for fund in {rule.fund for rule in rules}:
        budget = budgets[fund].budget
        if budget is not None and budget.per not in OF_MONTHS:
            yield f"fund {budgets[fund].name} has a budget by {budget.per}"
    slots = [slot for rule in rules for slot in set(rule.counts)]
    keys = [key for rule in rules for key in {x.key for x in rule.limits if not x.is_shared}]
    if len(slots) != len(set(slots)) or len(keys) != len(set(keys)):
        yield "rules share a cap: which of them it stops depends on days"
    shared = [(rule, x.limit.cap) for rule in rules for x in rule.limits if x.is_shared]
    for rule, cap in shared:
        grant = rule.rule.points
        if cap.points is not None and not (isinstance(grant, Fixed) and grant.points <= cap.points):
            yield f"rule {rule.rule.name} may give more at once than a cap of all members holds"


def _is_by_month(clock: Clock, table: Array) -> bool:
    """Say whether a table of days holds one value in each month."""
    first = clock.first_days
    return bool((table == np.repeat(table[first[:-1]], np.diff(first))).all())


def grant_buckets(clock: Clock, rules: list[PreparedRule]) -> Ints:
    """Return of each month when points that are granted in it expire; where none can be, as in the month before."""
    months = clock.span.months
    found = np.zeros(months, dtype=np.int64)
    for rule in rules:
        first = clock.first_days[:-1]
        bucket = np.where(rule.is_open[first], buckets_of(clock, rule.expiry)[first], 0)
        np.maximum(found, bucket, out=found)
    latest: Ints = np.maximum.accumulate(found)
    return latest


def _is_queue(clock: Clock, rules: list[PreparedRule]) -> bool:
    """Say whether all points granted in a month expire together, and not before those of an earlier one."""
    first = clock.first_days[:-1]
    latest = grant_buckets(clock, rules)
    return all(
        bool((buckets_of(clock, rule.expiry)[first] == latest)[rule.is_open[first]].all()) for rule in rules
    )
