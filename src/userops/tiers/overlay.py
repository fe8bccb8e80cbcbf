"""Grants laid over what is earned: the higher of the two is the member's tier."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from userops.core.calendar import micros
from userops.core.files import did_you_mean
from userops.errors import InvalidValue
from userops.tiers.history import Grant
from userops.tiers.rules import Rules
from userops.tiers.walk import Step
from userops.tiers.windows import FOREVER
from userops.tiers.words import Why


def tier_grants(rules: Rules, grants: Iterable[Grant]) -> list[tuple[int, int, int, Grant]]:
    """Return (start, end, tier, grant) of the grants that name a tier, refusing badges that may not be given."""
    found = []
    for grant in grants:
        name = grant.tier_or_badge
        if name in rules.names:
            end = FOREVER if grant.end is None else micros(grant.end)
            found.append((micros(grant.start), end, rules.index(name), grant))
        elif rules.badges is not None and name not in rules.badges:
            raise InvalidValue(
                f"{name!r} is no tier and no badge{did_you_mean(name, [*rules.names, *rules.badges])}"
            )
    return found


def badges_at(rules: Rules, grants: Iterable[Grant], at: int) -> tuple[str, ...]:
    """Return the badges a member has at an instant, in order of the grants, each once."""
    held = [
        grant.tier_or_badge
        for grant in grants
        if grant.tier_or_badge not in rules.names
        and micros(grant.start) <= at
        and (grant.end is None or at < micros(grant.end))
    ]
    return tuple(dict.fromkeys(held))


def _highest(granted: Iterable[tuple[int, int, int, Grant]], at: int) -> tuple[int, Grant | None]:
    active = [
        (tier, -place, grant) for place, (start, end, tier, grant) in enumerate(granted) if start <= at < end
    ]
    if not active:
        return -1, None
    tier, _, grant = max(active, key=lambda one: one[:2])
    return tier, grant


def effective(
    rules: Rules, steps: Sequence[Step], base: int, grants: Iterable[Grant], until: int
) -> list[Step]:
    """Return the steps of the member's tier up to `until`, grants counted; `base` is where the member started."""
    granted = tier_grants(rules, grants)
    if not granted:
        return list(steps)
    by_instant = {at: list(group) for at, group in groupby(steps, key=lambda step: step.at)}
    bounds = {at for start, end, _, _ in granted for at in (start, end) if at <= until}
    found: list[Step] = []
    earned, given, grant = base, -1, None
    for at in sorted(bounds | by_instant.keys()):
        was, old_grant = max(earned, given), grant
        here = by_instant.get(at, [])
        before, earned = earned, here[-1].to if here else earned
        given, grant = _highest(granted, at)
        to = max(earned, given)
        if to == was:
            # What confirms a tier, or begins its grace, matters while it is the earned one that counts.
            found += [step for step in here if step.was == step.to and earned >= given]
        elif to == earned and earned != before:
            last = here[-1]
            found.append(Step(at, was, to, last.why, last.totals))
        else:
            why = Why.GRANTED if to > was else Why.REVOKED
            found.append(Step(at, was, to, why, {}, grant if to > was else old_grant))
    return found
