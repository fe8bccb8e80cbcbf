"""The most a program can issue: nothing that could go on without end is allowed to load."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from userops.points import Fund
from userops.program.rules import EarnRule
from userops.referrals import Scheme


def periods_touched(per: str, years: int) -> int:
    """Return the most local periods that a span of `years` can touch, wherever it begins.

    >>> periods_touched("year", 1), periods_touched("month", 1), periods_touched("day", 1)
    (2, 13, 367)
    """
    # Any span of 4 years holds at most one 29 February more than 365 days a year.
    days = 365 * years + -(-years // 4)
    return {
        "lifetime": 1,
        "year": years + 1,
        "month": 12 * years + 1,
        "week": days // 7 + 2,
        "day": days + 1,
    }[per]


def why_unbounded(rule: EarnRule, fund: Fund) -> str:
    """Return why nothing bounds what a rule can issue, or an empty text.

    A rule is bounded when one grant is, and the number of grants is; a budget bounds both.
    """
    if fund.budget is not None or rule.is_unbounded_accepted:
        return ""
    if rule.greatest_grant() is None:
        return "one grant has no bound: give a cap in points, or the fund a budget"
    if all(limit.is_conditional for limit in rule.limits):
        return "nothing bounds how often it pays: give a cap, or the fund a budget"
    return ""


def worst_case(
    rules: Iterable[EarnRule],
    scheme: Scheme | None,
    funds: Mapping[str, Fund],
    *,
    members: int,
    events: int,
    years: int,
) -> dict[str, int | None]:
    """Return the most points each fund can issue, or None where an accepted rule has no bound.

    A referral scheme pays at most the whole pot of its dearest milestone for each event.
    """
    totals: dict[str, int | None] = {}
    if scheme is not None:
        totals[scheme.fund] = events * max(scheme.milestones.values(), default=0)
    for rule in rules:
        most = _of_rule(rule, members=members, events=events, years=years)
        so_far = totals.get(rule.fund, 0)
        totals[rule.fund] = None if most is None or so_far is None else so_far + most
    for name, total in totals.items():
        budget = funds[name].budget
        if budget is not None:
            limit = budget.points * periods_touched(budget.per, years)
            totals[name] = limit if total is None else min(total, limit)
    return totals


def _of_rule(rule: EarnRule, *, members: int, events: int, years: int) -> int | None:
    grant = rule.greatest_grant()
    bounds = [] if grant is None else [events * grant]
    for limit in rule.limits:
        cap = limit.cap
        if limit.is_conditional or cap.per == "reference":
            continue
        owners = members if cap.scope == "member" else 1
        count = owners * periods_touched(cap.per, years)
        if cap.points is not None:
            bounds.append(count * cap.points)
        elif grant is not None:
            bounds.append(count * (cap.times or 0) * grant)
    return min(bounds) if bounds else None
