"""The most a program can issue: nothing that could go on without end is allowed to load."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from userops.points import Fund
from userops.program.rules import EarnRule, Limit
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
    versions: dict[tuple[str, str], list[EarnRule]] = {}
    for rule in rules:
        versions.setdefault((rule.name, rule.fund), []).append(rule)
    for (_, fund), found in versions.items():
        most = _of_versions(found, members=members, events=events, years=years)
        so_far = totals.get(fund, 0)
        totals[fund] = None if most is None or so_far is None else so_far + most
    for name, total in totals.items():
        budget = funds[name].budget
        if budget is not None:
            limit = budget.points * periods_touched(budget.per, years)
            totals[name] = limit if total is None else min(total, limit)
    return totals


def _of_versions(rules: list[EarnRule], *, members: int, events: int, years: int) -> int | None:
    """Return the most that the versions of a rule give: each by itself, or under the caps that all have."""
    singly = [_of_rule(rule, members=members, events=events, years=years) for rule in rules]
    bounds = [] if None in singly else [sum(most for most in singly if most is not None)]
    grants = [rule.greatest_grant() for rule in rules]
    grant = None if None in grants else max(most for most in grants if most is not None)
    if len(rules) > 1:
        if grant is not None:
            bounds.append(events * grant)
        # Caps of one name and period count the grants of all versions together.
        found = (
            _of_limit(limit, grant, events, _owners(limit, rules, members=members, years=years))
            for limit in _common_limits(rules)
        )
        bounds += [most for most in found if most is not None]
    return min(bounds) if bounds else None


def _of_rule(rule: EarnRule, *, members: int, events: int, years: int) -> int | None:
    grant = rule.greatest_grant()
    bounds = [] if grant is None else [events * grant]
    for limit in rule.limits:
        if not limit.is_conditional and limit.cap.per != "reference":
            most = _of_limit(limit, grant, events, _owners(limit, [rule], members=members, years=years))
            if most is not None:
                bounds.append(most)
    return min(bounds) if bounds else None


def _of_limit(limit: Limit, grant: int | None, events: int, owners: int) -> int | None:
    """Return the most that a cap leaves of so many events, for so many owners' periods.

    Whole grants fill a period first; what is left of its points is one smaller grant.
    """
    if grant is None:
        return None if limit.cap.points is None else owners * limit.cap.points
    if limit.cap.points is None:
        return min(events, owners * (limit.cap.times or 0)) * grant
    if not grant:
        return 0
    per_owner, rest = divmod(limit.cap.points, grant)
    whole = min(events, owners * per_owner)
    return whole * grant + min(events - whole, owners) * rest


def _owners(limit: Limit, rules: list[EarnRule], *, members: int, years: int) -> int:
    """Return how many times over a cap counts: for each member, or once, in each of the most periods."""
    periods = _most_periods(limit.cap.per, rules, years)
    return periods * (members if limit.cap.scope == "member" else 1)


def _common_limits(rules: list[EarnRule]) -> list[Limit]:
    """Return the caps that every version has, each with the loosest bound among them."""
    tightest: list[dict[tuple[str, ...], Limit]] = []
    for rule in rules:
        mine: dict[tuple[str, ...], Limit] = {}
        for limit in rule.limits:
            cap = limit.cap
            key = (limit.name, cap.per, cap.scope, "points" if cap.times is None else "times")
            if not limit.is_conditional and cap.per != "reference":
                mine[key] = min(mine.get(key, limit), limit, key=_bound_of)
        tightest.append(mine)
    return [
        max((mine[key] for mine in tightest), key=_bound_of)
        for key in tightest[0]
        if all(key in mine for mine in tightest)
    ]


def _bound_of(limit: Limit) -> int:
    return (limit.cap.points if limit.cap.times is None else limit.cap.times) or 0


def _most_periods(per: str, rules: list[EarnRule], years: int) -> int:
    """Return the most periods in which the rules can pay: of the span, and of the days they are in force."""
    starts, ends = [rule.start for rule in rules], [rule.until for rule in rules]
    most = periods_touched(per, years)
    if None in starts or None in ends or per == "lifetime":
        return most
    first = min(day for day in starts if day is not None)
    last = max(day for day in ends if day is not None) - timedelta(days=1)
    between = {
        "day": last.toordinal() - first.toordinal(),
        # Day 1 of the calendar is a Monday.
        "week": (last.toordinal() - 1) // 7 - (first.toordinal() - 1) // 7,
        "month": 12 * (last.year - first.year) + last.month - first.month,
        "year": last.year - first.year,
    }[per]
    return min(most, between + 1)
