"""Which pass a plan takes: by months where no rule asks for a day, else by days; and who needs a ledger.

The month pass knows how many events a member has in a month and not on which days. It is taken where that
decides everything: the figures are then the same, to the point. What it cannot follow is named here, rule by rule.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping

import numpy as np
from attrs import evolve, frozen

from userops.program import Program
from userops.program.rules import CANCELLED, REDEEMED, Choice, Fixed, Streak, fields_read
from userops.simulation.columns import Array
from userops.simulation.inputs.behaviour import Behaviour
from userops.simulation.inputs.clock import Clock, buckets_of
from userops.simulation.inputs.rulebook import PreparedRule, Rulebook, fields_read_on

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
        counted = fields_read_on(program, kind) & {one.name for one in program.counters}
        if counted:
            yield f"rules of {kind} read the counter {min(counted)}"
    for rule in rules:
        why = _why_rule(program, book, rule)
        if why:
            yield f"rule {rule.rule.name} {why}"
    yield from _between(program, rules)
    if not rules or spending_order(book) is not None:
        return
    yield "points expire within a month, or those of two funds together: days say which a redemption takes first"


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
    if not _is_by_month(clock, one.is_open):
        return "begins or ends within a month"
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


@frozen
class Lot:
    """What members earn in one month that expires together: one fund's, by some of the rules."""

    #: When it expires: 2 · month, + 1 at the very end of the month; 2 · months beyond the horizon.
    bucket: int
    month: int
    fund: int
    #: The rules that give it: (kind, place among its rules).
    rules: tuple[tuple[int, int], ...]


def spending_order(book: Rulebook) -> tuple[Lot, ...] | None:
    """Return the lots of months in the order in which a redemption takes them; None where days decide it."""
    clock, first = book.clock, book.clock.first_days[:-1]
    rules = {(kind, k): one for kind, found in book.rules.items() for k, one in enumerate(found)}
    # Of one fund's points it does not matter which go first within a month, nor beyond the horizon.
    is_one = len({one.fund for one in rules.values()}) == 1
    lots: dict[tuple[int, int], Lot] = {}
    for key, one in rules.items():
        buckets = buckets_of(clock, one.expiry)
        table = buckets if is_one else one.expiry
        if not _is_by_month(clock, table):
            return None
        for month in np.flatnonzero(one.is_open[first]).tolist():
            at = (int(table[first[month]]), month)
            known = lots.setdefault(at, Lot(int(buckets[first[month]]), month, one.fund, ()))
            if known.fund != one.fund:
                return None
            lots[at] = evolve(known, rules=(*known.rules, key))
    return tuple(lots[at] for at in sorted(lots))


def is_line(lots: tuple[Lot, ...]) -> bool:
    """Say whether one fund's points expire in the order in which they were earned."""
    months = [lot.month for lot in lots]
    return len({lot.fund for lot in lots}) <= 1 and all(a < b for a, b in itertools.pairwise(months))


def lonely_kinds(program: Program, kinds: Collection[str]) -> frozenset[str]:
    """Return the kinds of events that spend, move expiries, or ask what was redeemed or cancelled."""
    late = {one.name for one in program.counters if one.on == REDEEMED or one.on.endswith(CANCELLED)}
    found = {rule.on for rule in program.redeem}
    found |= {
        rule.on
        for rule in program.earn
        if (rule.expires is not None and rule.expires.inactive_months) or late & fields_read(rule)
    }
    return frozenset(found & set(kinds))


def is_narrow(program: Program, sink: str) -> bool:
    """Say whether a sink takes the points of some funds only, or a share of a bill."""
    found = program.sinks.get(sink)
    return found is not None and (found.funds is not None or found.share_at_most is not None)


def is_one_by_one(program: Program, behaviours: Mapping[str, Behaviour], kinds: Collection[str]) -> bool:
    """Say whether a plan has what only a ledger does: takings-back, spending rules, and what reads them."""
    return (
        program.scheme is not None
        or any(one.cancelled or is_narrow(program, one.sink) for one in behaviours.values())
        or bool(lonely_kinds(program, kinds))
    )
