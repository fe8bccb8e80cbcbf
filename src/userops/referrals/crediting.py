"""Crediting: conversions taken in order of time; each pays its levels and roles, or is refused with a reason."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from datetime import datetime
from fractions import Fraction
from typing import Any

from attrs import evolve

from userops.core.amounts import largest_remainder
from userops.core.calendar import micros, shift
from userops.core.commands import Clawback
from userops.core.quantities import listed, of_kind
from userops.errors import InvalidValue
from userops.referrals.credits import Credits, Line, Refused, Status
from userops.referrals.graph import ReferralGraph
from userops.referrals.terms import Conversion, Terms

ROLES = ("dealer", "agent")
_NOBODY = ""


def facts_of(conversions: Iterable[Conversion]) -> tuple[list[Conversion], list[tuple[Conversion, str]]]:
    """Return conversions in order of time, each fact once, and the repeated ones with words for why.

    A fact is (id, milestone). Where it is told once with and once without a cancellation, it is cancelled.
    """
    taken = [of_kind(one, Conversion, "a conversion") for one in listed(conversions, "conversions")]
    taken.sort(key=lambda c: (c.at, c.id, c.milestone, str(c.member), c.dealer, c.agent))
    kept: dict[tuple[str, str], Conversion] = {}
    repeated = []
    for one in taken:
        fact = (one.id, one.milestone)
        first = kept.get(fact)
        if first is None:
            kept[fact] = one
            continue
        differing = [
            name for name in ("member", "at", "dealer", "agent") if getattr(first, name) != getattr(one, name)
        ]
        if not differing and one.cancelled_at is not None:
            known = [at for at in (first.cancelled_at, one.cancelled_at) if at is not None]
            kept[fact] = evolve(first, cancelled_at=min(known))
        why = f"another {differing[0]} under the same id" if differing else "the same fact was told before"
        repeated.append((one, f"{why}: {one.id!r} reached {one.milestone!r} once"))
    return list(kept.values()), repeated


class Crediting:
    """One scheme over one graph; remembers what each referrer's caps have taken."""

    def __init__(self, terms: Terms, graph: ReferralGraph) -> None:
        """Start with every cap untouched."""
        if not isinstance(graph, ReferralGraph):
            raise InvalidValue(f"a ReferralGraph was expected, not {type(graph).__name__}")
        self.terms, self.graph = terms, graph
        self._caps = _Caps(terms)
        self._eligible: dict[Any, bool] = {}

    def is_eligible(self, member: Any) -> bool:
        """Say whether the scheme pays this referrer."""
        condition = self.terms.eligible
        if condition is None:
            return True
        if member not in self._eligible:
            self._eligible[member] = condition.holds(self.graph.attributes(member))
        return self._eligible[member]

    def lines(self, conversion: Conversion) -> list[Line]:
        """Return the payouts and refusals of one conversion; never empty."""
        terms, graph = self.terms, self.graph
        self._caps.release(conversion.at)
        above = graph.referrers(conversion.member, at=conversion.at, depth=len(terms.levels.shares))
        if not above:
            return [refused(conversion, Refused.UNBOUND, _why_unbound(graph, conversion))]
        if conversion.milestone not in terms.milestones:
            known = ", ".join(terms.milestones)
            return [refused(conversion, Refused.NOT_ELIGIBLE, f"the scheme pays for {known} only", above[0])]
        if not self.is_eligible(above[0]):
            why = f"the scheme pays referrers for whom {_condition(terms)}"
            return [refused(conversion, Refused.NOT_ELIGIBLE, why, above[0])]
        return self._pay(conversion, above)

    def _pay(self, conversion: Conversion, above: list[Any]) -> list[Line]:
        terms = self.terms
        takers: list[tuple[int | str, Any, Fraction]] = []
        lines: list[Line] = []
        buyer = self.graph.person(conversion.member)
        paths: dict[int | str, tuple[Any, ...]] = {
            level: (*above[:level][::-1], buyer) for level in range(1, len(above) + 1)
        }
        for level, member in enumerate(above, 1):
            if self.is_eligible(member):
                takers.append((level, member, terms.level_share(level)))
            else:
                why = f"the scheme pays referrers for whom {_condition(terms)}"
                line = refused(conversion, Refused.NOT_ELIGIBLE, why, member)
                lines.append(evolve(line, level=level, path=paths[level]))
        for role in ROLES:
            member, share = getattr(conversion, role), terms.role_share(role)
            if member and share:
                takers.append((role, member, share))
                paths[role] = (member, buyer)
        # Ties of the remainders go to the smallest id, whatever the takers' level or role.
        keys = [(isinstance(taker[1], str), taker[1], place) for place, taker in enumerate(takers)]
        pot = terms.milestones[conversion.milestone]
        given = largest_remainder(pot, {key: taker[2] for key, taker in zip(keys, takers, strict=True)})
        for key, (place, member, _) in zip(keys, takers, strict=True):
            lines.append(self._line(conversion, place, member, given[key], paths[place]))
        return sorted(lines, key=_reading_order)

    def _line(
        self, conversion: Conversion, level: int | str, member: Any, asked: int, path: tuple[Any, ...]
    ) -> Line:
        points, bound = self._caps.take(member, conversion, asked, is_referrer=isinstance(level, int))
        if asked and not points:
            line = refused(conversion, Refused.CAP, f"capped at {bound}", member)
            return evolve(line, level=level, path=path)
        why = f"{points:,} of {asked:,}: capped at {bound}" if points < asked else ""
        paid = Line(
            member, points, conversion.milestone, level, path, conversion.id,
            self._available_at(conversion), Status.PAID, None, why,
        )  # fmt: skip
        if conversion.cancelled_at is None:
            return paid
        cancelled = f"cancelled at {conversion.cancelled_at.isoformat()}"
        return evolve(
            paid, status=Status.VOID, reason=Refused.CANCELLED, why="; ".join(filter(None, [why, cancelled]))
        )

    def _available_at(self, conversion: Conversion) -> datetime | None:
        vest = self.terms.vest
        if vest is None or (vest.after and vest.after != conversion.milestone):
            return None
        return shift(conversion.at, self.terms.tz, days=vest.days)


class _Caps:
    """What each referrer's caps have taken so far; a cancellation gives it back from its own instant on."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._used: dict[tuple[int, Any, str], int] = {}
        self._releases: list[tuple[int, int, list[tuple[tuple[int, Any, str], int]]]] = []

    def take(self, member: Any, conversion: Conversion, asked: int, *, is_referrer: bool) -> tuple[int, str]:
        """Return how many of the asked points the caps let through, and the cap that bound.

        A cap of the whole program counts dealers and agents too; one per referrer does not.
        """
        given, bound, keys = asked, "", []
        for place, cap in enumerate(self._terms.caps):
            if cap.scope == "member" and not is_referrer:
                continue
            owner = member if cap.scope == "member" else None
            key = (place, owner, cap.period(conversion.at, conversion.id, self._terms.tz))
            keys.append(key)
            used = self._used.get(key, 0)
            left = max(0, (cap.points or 0) - used) if cap.times is None else given if used < cap.times else 0
            if left < given:
                given, bound = left, cap.describe()
        if given:
            taken = [(key, 1 if self._terms.caps[key[0]].points is None else given) for key in keys]
            for key, amount in taken:
                self._used[key] = self._used.get(key, 0) + amount
            # Only a debt is sure to take all of it back; what other policies recover the ledger knows.
            if conversion.cancelled_at is not None and self._terms.clawback is Clawback.DEBT and taken:
                heapq.heappush(self._releases, (micros(conversion.cancelled_at), len(self._releases), taken))
        return given, bound

    def release(self, at: datetime) -> None:
        """Give back what was cancelled by `at`."""
        while self._releases and self._releases[0][0] <= micros(at):
            for key, amount in heapq.heappop(self._releases)[2]:
                self._used[key] -= amount


def refused(conversion: Conversion, reason: Refused, why: str, member: Any = _NOBODY) -> Line:
    """Return the line of a conversion that pays nobody."""
    path = (conversion.member,) if member == _NOBODY else (member, conversion.member)
    return Line(
        member, 0, conversion.milestone, 1, path, conversion.id, None, Status.REFUSED, reason, why
    )  # fmt: skip


def _why_unbound(graph: ReferralGraph, conversion: Conversion) -> str:
    if conversion.member not in graph:
        return "nobody was referred under this name"
    if graph.referrer(conversion.member) is None:
        return "no touch bound this member"
    return "the conversion came before the binding"


def _condition(terms: Terms) -> str:
    return "anything holds" if terms.eligible is None else terms.eligible.describe()


def _reading_order(line: Line) -> tuple[int, int]:
    return (0, line.level) if isinstance(line.level, int) else (1, ROLES.index(line.level))


def credit(terms: Terms, graph: ReferralGraph, conversions: Iterable[Conversion]) -> Credits:
    """Return what a scheme pays for conversions; every one has at least one line."""
    return credit_each({terms.name: Crediting(terms, graph)}, conversions, lambda _: terms.name)


def credit_each(schemes: Mapping[str, Crediting], conversions: Iterable[Conversion], choose: Any) -> Credits:
    """Return the lines of conversions, each paid by the scheme that `choose` names."""
    facts, repeated = facts_of(conversions)
    found: list[tuple[Line, tuple[Terms, Conversion]]] = []
    for conversion in facts:
        engine = schemes[choose(conversion)]
        found.extend((line, (engine.terms, conversion)) for line in engine.lines(conversion))
    for conversion, why in repeated:
        terms = schemes[choose(conversion)].terms
        found.append((refused(conversion, Refused.REPEATED, why), (terms, conversion)))
    found.sort(key=lambda pair: (pair[1][1].at, pair[1][1].id, pair[1][1].milestone))
    return Credits(tuple(line for line, _ in found), tuple(of for _, of in found))
