"""Signals of abuse on the graph that the money follows: each with its evidence, none a verdict."""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from fractions import Fraction
from typing import Any

import numpy as np

from userops.core import amounts
from userops.core.calendar import MICROS_PER_DAY, from_micros, micros
from userops.core.components import representatives
from userops.core.ids import identifier
from userops.core.quantities import hashable, listed, of_kind
from userops.core.statistics import check_level, poisson_tail
from userops.errors import InvalidValue
from userops.referrals.graph import ReferralGraph
from userops.referrals.review import Signal
from userops.referrals.ripple import NO_TIME

_SHOWN = 6


def shared_components(links: Iterable[tuple[str, str]]) -> tuple[Signal, ...]:
    """Return groups of members tied together by devices or payments that they share, the largest first.

    `links` are (member, device or payment) pairs. Strength: members per shared thing.

    >>> shared_components([("a", "phone"), ("b", "phone"), ("c", "card")])[0].members
    ('a', 'b')
    """
    users = _users(links)
    top = representatives(
        (_node(0, members[0]), _node(0, other)) for members in users.values() for other in members[1:]
    )
    groups: dict[Any, set[str]] = defaultdict(set)
    things: dict[Any, list[str]] = defaultdict(list)
    for thing, sharers in users.items():
        if len(sharers) > 1:
            group = top[_node(0, sharers[0])]
            groups[group].update(sharers)
            things[group].append(thing)
    signals = []
    for group, members in groups.items():
        shared = sorted(things[group])
        words = "; ".join(
            f"{thing!r} used by {', '.join(users[thing][:_SHOWN])}" for thing in shared[:_SHOWN]
        )
        evidence = f"{len(members)} members share {len(shared)} devices or payments: {words}"
        signals.append(
            Signal("shared_components", tuple(sorted(members)), float(len(members) / len(shared)), evidence)
        )
    return tuple(sorted(signals, key=lambda signal: (-len(signal.members), signal.members)))


def bursts(
    graph: ReferralGraph,
    *,
    alpha: float,
    window_days: int = 1,
    start: datetime | None = None,
    end: datetime | None = None,
) -> tuple[Signal, ...]:
    """Return referrers who brought more invitees within a window than a steady stream would explain.

    Time is cut into windows from `start` to `end` (without them, the graph's first and last referral). Under
    a steady stream a referrer's n invitees fall into the windows at random; the greatest count c is
    flagged when windows·P(Poisson(n/windows) ≥ c) ≤ alpha, so that at most a share `alpha` of steady referrers
    is flagged (the Poisson tail bounds the binomial one; Hoeffding 1956). Strength: −log10 of that bound.
    """
    of_kind(graph, ReferralGraph, "graph")
    bound = check_level(alpha, "alpha")
    width = amounts.whole(window_days, "window_days", at_least=1, at_most=36_525) * MICROS_PER_DAY
    times = graph.bound_at()
    known = np.flatnonzero((times != NO_TIME) & (graph.parent >= 0))
    if not len(known):
        return ()
    first = int(times[known].min()) if start is None else micros(start, "start")
    last = int(times[known].max()) + 1 if end is None else micros(end, "end")
    if last <= first:
        raise InvalidValue("end must lie after start")
    inside = known[(times[known] >= first) & (times[known] < last)]
    windows = -(-(last - first) // width)
    cells = graph.parent[inside].astype(np.int64) * windows + (times[inside] - first) // width
    keys, counts = np.unique(cells, return_counts=True)
    totals = np.bincount(graph.parent[inside], minlength=len(graph))
    best: dict[int, tuple[int, int]] = {}
    for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
        owner, window = divmod(key, windows)
        if count > best.get(owner, (0, 0))[0]:
            best[owner] = (count, window)
    signals = []
    for owner, (count, window) in sorted(best.items()):
        n = int(totals[owner])
        chance = min(1.0, windows * poisson_tail(count, n / windows))
        # The tail bounds the binomial one only above the mean.
        if chance <= bound and count >= n / windows + 1:
            since = from_micros(first + window * width).date().isoformat()
            evidence = (
                f"{count} of {n} invitees within {window_days} day{'s' if window_days > 1 else ''} from {since}; "
                f"a steady stream over {windows} windows would do so with probability at most {chance:.2g}"
            )
            strength = -math.log10(chance) if chance > 0 else 300.0
            signals.append(Signal("bursts", (graph.members[owner],), strength, evidence))
    return tuple(sorted(signals, key=lambda signal: -signal.strength))


def fresh_stars(
    graph: ReferralGraph, *, active: Collection[Any], least: int = 5, share: Any = Fraction(4, 5)
) -> tuple[Signal, ...]:
    """Return referrers most of whose direct invitees did nothing: not `active`, and inviting nobody.

    From `least` invitees on, when at least `share` of them are such. Strength: that share.

    >>> graph = ReferralGraph.from_parents([-1, 0, 0, 0, 0, 0])
    >>> fresh_stars(graph, active={1})[0].evidence
    '4 of 5 direct invitees are neither active nor inviting'
    """
    fewest, bound = amounts.whole(least, "least", at_least=1), amounts.exact(share, "share")
    if not 0 < bound <= 1:
        raise InvalidValue("share must lie above 0 and be at most 1")
    of_kind(graph, ReferralGraph, "graph")
    doing = set(active) if isinstance(active, set | frozenset | Mapping) else _hashed(active, "active")
    busy = np.fromiter((member in doing for member in graph.members), bool, len(graph))
    invitees, parent = graph.invitees, graph.parent
    idle = (parent >= 0) & ~busy & (invitees == 0)
    idle_invitees = np.bincount(parent[idle], minlength=len(graph))
    signals = []
    for place in np.flatnonzero((invitees >= fewest) & (idle_invitees > 0)).tolist():
        count, n = int(idle_invitees[place]), int(invitees[place])
        if Fraction(count, n) >= bound:
            evidence = f"{count} of {n} direct invitees are neither active nor inviting"
            signals.append(Signal("fresh_stars", (graph.members[place],), count / n, evidence))
    return tuple(sorted(signals, key=lambda signal: -signal.strength))


def kickbacks(graph: ReferralGraph, transfers: Iterable[tuple[Any, Any, datetime]]) -> tuple[Signal, ...]:
    """Return referrers who gave points to their own invitees while credited with them.

    `transfers` are (giver, taker, at). Strength: how many such transfers there were.
    """
    found: dict[tuple[Any, Any], list[datetime]] = defaultdict(list)
    of_kind(graph, ReferralGraph, "graph")
    for transfer in listed(transfers, "transfers"):
        giver, taker, at = _three(transfer)
        micros(at)
        referrer = graph.referrer(taker, at=at)
        if referrer is not None and referrer == graph.person(giver):
            found[referrer, graph.person(taker)].append(at)
    signals = []
    for (referrer, invitee), times in found.items():
        day = min(times, key=micros).date().isoformat()
        evidence = f"{len(times)} transfers from the referrer to the invitee {invitee!r}, the first on {day}"
        signals.append(Signal("kickbacks", (referrer, invitee), float(len(times)), evidence))
    return tuple(sorted(signals, key=lambda signal: (-signal.strength, signal.members)))


def dense_blocks(links: Iterable[tuple[str, str]], *, blocks: int = 1) -> tuple[Signal, ...]:
    """Return the groups whose links to devices, payments or goods are densest (FRAUDAR, Hooi et al. 2016).

    A link weighs 1/log(d + 5), d the number of members at its thing, so that what everybody uses counts
    little. The node with the least weight is taken away until nobody is left; the densest set on the way has
    at least half the greatest possible density. Found blocks are taken out before the next is sought.
    Strength: weight per node.
    """
    wanted = amounts.whole(blocks, "blocks", at_least=1, at_most=1_000)
    left = {(member, thing) for thing, members in _users(links).items() for member in members}
    signals: list[Signal] = []
    while left and len(signals) < wanted:
        density, inside = _densest(left)
        block = {link for link in left if _node(0, link[0]) in inside and _node(1, link[1]) in inside}
        members = sorted({member for member, _ in block})
        things = sorted({thing for _, thing in block})
        evidence = (
            f"{len(members)} members and {len(things)} devices, payments or goods hold {len(block)} of "
            f"{len(members) * len(things)} possible links: {', '.join(things[:_SHOWN])}"
        )
        signals.append(Signal("dense_blocks", tuple(members), density, evidence))
        left -= block
    return tuple(signals)


def _densest(links: set[tuple[str, str]]) -> tuple[float, set[tuple[int, str]]]:
    degree: dict[str, int] = defaultdict(int)
    for _, thing in links:
        degree[thing] += 1
    near: dict[tuple[int, str], dict[tuple[int, str], float]] = defaultdict(dict)
    for member, thing in sorted(links):
        weight = 1 / math.log(degree[thing] + 5)
        near[_node(0, member)][_node(1, thing)] = weight
        near[_node(1, thing)][_node(0, member)] = weight
    weights = {node: math.fsum(others.values()) for node, others in near.items()}
    heap = [(weight, node) for node, weight in weights.items()]
    heapq.heapify(heap)
    total = math.fsum(weights.values()) / 2
    best, cut, taken = total / len(weights), 0, list[tuple[int, str]]()
    gone: set[tuple[int, str]] = set()
    while heap:
        weight, node = heapq.heappop(heap)
        if node in gone or weight != weights[node]:
            continue
        gone.add(node)
        taken.append(node)
        total -= weight
        for other, part in near[node].items():
            if other not in gone:
                weights[other] -= part
                heapq.heappush(heap, (weights[other], other))
        remaining = len(near) - len(taken)
        # What rounding leaves of nothing is not density.
        if remaining and total / remaining > best * (1 + 1e-12):
            best, cut = total / remaining, len(taken)
    return best, set(near) - set(taken[:cut])


def _node(side: int, name: str) -> tuple[int, str]:
    return (side, name)


def _users(links: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the members at each device or payment, each once, sorted."""
    users: dict[str, set[str]] = defaultdict(set)
    for link in listed(links, "links"):
        if not isinstance(link, tuple | list) or len(link) != 2:
            raise InvalidValue("links are (member, device or payment) pairs")
        users[identifier(link[1], "a device or payment")].add(identifier(link[0], "a member"))
    return {thing: sorted(members) for thing, members in sorted(users.items())}


def _three(transfer: Any) -> tuple[Any, Any, datetime]:
    if not isinstance(transfer, tuple | list) or len(transfer) != 3:
        raise InvalidValue("transfers are (giver, taker, at)")
    giver, taker, at = transfer
    return hashable(giver, "a giver"), hashable(taker, "a taker"), at


def _hashed(values: Any, name: str) -> set[Any]:
    return {hashable(value, f"a member of {name}") for value in listed(values, name)}
