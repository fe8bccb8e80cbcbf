"""Reaching: which members together know most people, and how many each brought."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from typing import Any

from userops.core.amounts import whole
from userops.core.components import representatives
from userops.core.quantities import hashable, listed, mapped, shown, tuples
from userops.errors import InvalidValue


def choose_seeds(
    contacts: Mapping[Any, Iterable[Any]],
    k: int,
    quotas: Mapping[Any, int] | None = None,
    *,
    groups: Mapping[Any, Any] | None = None,
    same_person: Iterable[tuple[Any, Any]] = (),
) -> tuple[Any, ...]:
    """Return k members, in order of choice, each adding most people not yet covered (greedy).

    A member covers themselves and their contacts; ties go to the smallest id. Greedy covers at least
    1 − 1/e ≈ 63% of the best choice (Nemhauser, Wolsey and Fisher 1978; half with quotas), and the choice for k begins the one for
    k + 1. `quotas` bounds how many come from each group, with `groups` as {member: group}; groups without a
    quota are free. `same_person` merges accounts: self-loops and duplicate accounts add nothing.

    >>> choose_seeds({"ann": ["x", "y"], "bo": ["x"], "cy": ["z"]}, 2)
    ('ann', 'cy')
    """
    count = whole(k, "k", at_least=0)
    person = representatives(same_person)
    covers = _covers(contacts, person)
    belongs = {member: hashable(group, "a group") for member, group in mapped(groups, "groups").items()}
    left = _quotas(quotas, groups)
    try:
        heap = [(-len(people), member) for member, people in sorted(covers.items())]
    except TypeError:
        raise InvalidValue("members' ids must be of one kind that has an order") from None
    heapq.heapify(heap)
    chosen: list[Any] = []
    covered: set[Any] = set()
    while heap and len(chosen) < count:
        stale, member = heapq.heappop(heap)
        group = belongs.get(member)
        if left.get(group, 1) == 0:
            continue
        # Gains only shrink: one that is still the greatest when recomputed is the greatest of all.
        gain = len(covers[member] - covered)
        if -gain != stale:
            heapq.heappush(heap, (-gain, member))
            continue
        chosen.append(member)
        covered |= covers[member]
        if group in left:
            left[group] -= 1
    return tuple(chosen)


def _covers(contacts: Mapping[Any, Iterable[Any]], person: Mapping[Any, Any]) -> dict[Any, set[Any]]:
    covers: dict[Any, set[Any]] = {}
    for member, known in mapped(contacts, "contacts").items():
        mine = person.get(member, member)
        people = covers.setdefault(mine, {mine})
        for contact in listed(known, "the contacts of a member"):
            people.add(person.get(hashable(contact, "a contact"), contact))
    return covers


def _quotas(quotas: Mapping[Any, int] | None, groups: Mapping[Any, Any] | None) -> dict[Any, int]:
    if quotas is None:
        return {}
    if groups is None:
        raise InvalidValue("quotas need groups={member: group}")
    return {
        group: whole(most, f"the quota of {shown(group)}", at_least=0)
        for group, most in mapped(quotas, "quotas").items()
    }


def coverage(chosen: Iterable[Any], contacts: Mapping[Any, Iterable[Any]]) -> int:
    """Return how many distinct people some members and their contacts are.

    >>> coverage(["ann"], {"ann": ["bo", "ann"]})
    2
    """
    known, people = mapped(contacts, "contacts"), set[Any]()
    for member in listed(chosen, "chosen"):
        if hashable(member, "a member") not in known:
            raise InvalidValue(f"nobody is known of {shown(member)}: contacts does not list them")
        people.add(member)
        people.update(
            hashable(contact, "a contact") for contact in listed(known[member], "the contacts of a member")
        )
    return len(people)


def verified_reach(
    referrals: Iterable[tuple[Any, Any]], *, same_person: Iterable[tuple[Any, Any]] = ()
) -> dict[Any, int]:
    """Return how many distinct persons each referrer reached, directly and through those they brought.

    `referrals` are verified pairs (referrer, invitee); `same_person` merges accounts. Referring oneself, one's
    other account, or the same person twice adds nothing, and a cycle leads back to nobody new.

    >>> verified_reach([("ann", "bo"), ("bo", "cy"), ("ann", "ann"), ("ann", "bo")])
    {'ann': 2, 'bo': 1, 'cy': 0}
    """
    person = representatives(same_person)
    brought: dict[Any, set[Any]] = {}
    for referrer, invitee in tuples(referrals, ("referrer", "invitee"), "referrals"):
        hashable(referrer, "referrer")
        hashable(invitee, "invitee")
        one, other = person.get(referrer, referrer), person.get(invitee, invitee)
        brought.setdefault(one, set())
        brought.setdefault(other, set())
        if one != other:
            brought[one].add(other)
    return {member: len(_downstream(member, brought)) for member in brought}


def _downstream(member: Any, brought: Mapping[Any, set[Any]]) -> set[Any]:
    seen, waiting = {member}, [member]
    while waiting:
        for other in brought[waiting.pop()] - seen:
            seen.add(other)
            waiting.append(other)
    return seen - {member}
