"""The certificate: what a scheme's rules alone prove about cost and about fake identities.

A conversion pays a chain of referrers above the buyer. Whoever owns k made-up identities can put them into the
chain: the buyer, who is then credited for the own purchase, or the referrer, who then stands on several
levels. The greatest gain is found over every chain above, presence of dealer and agent, and order of ids
(which decides ties of the remainders), so it is exact and not an estimate.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product

from attrs import frozen

from userops.core.amounts import whole
from userops.core.tables import Table
from userops.referrals.terms import Terms


@frozen
class Certificate:
    """What is proven from the rules alone, in points of one conversion."""

    #: The most that one conversion can cost.
    budget_per_conversion: int
    #: The most that one conversion can pay the direct referrer.
    first_reward: int
    #: `gains[k - 1]` for k identities; more identities than levels add nothing.
    gains: tuple[int, ...]

    def gain(self, k: int) -> int:
        """Return the most that k fake identities between referrer and buyer add for whoever owns them."""
        number = whole(k, "k", at_least=0)
        return self.gains[min(number, len(self.gains)) - 1] if number else 0

    @property
    def identity_cost(self) -> int:
        """The smallest cost of an identity at which no number of them pays."""
        return max((-(-gain // k) for k, gain in enumerate(self.gains, 1)), default=0)

    def to_table(self) -> Table:
        """Return the gain by the number of fake identities."""
        numbers = range(1, len(self.gains) + 1)
        notes = (
            f"one conversion costs at most {self.budget_per_conversion:,} points",
            f"no number of fakes pays once an identity costs {self.identity_cost:,}",
        )
        columns = {"fakes": numbers, "greatest gain": self.gains}
        return Table(columns, title="Certificate, per conversion", notes=notes)

    def __str__(self) -> str:
        return str(self.to_table())


@frozen
class _World:
    """One conversion's takers: floors and remainders of their shares, and how many points go to remainders."""

    floors: tuple[int, ...]
    remainders: tuple[Fraction, ...]
    extras: int
    #: The most that caps let one referrer have, or None.
    most: int | None

    def paid(self, level: int, *, extra: bool) -> int:
        points = self.floors[level - 1] + extra
        return points if self.most is None else min(points, self.most)

    def cut(self, place: int) -> int:
        """Return how a taker stands at the cut of the remainders: 1 above, 0 tied, -1 below."""
        if self.extras == 0:
            return -1
        at_cut = sorted(self.remainders, reverse=True)[self.extras - 1]
        mine = self.remainders[place]
        return (mine > at_cut) - (mine < at_cut)

    def slots(self) -> int:
        """Return how many of the tied takers get a point."""
        return self.extras - sum(self.cut(place) > 0 for place in range(len(self.floors)))


def certify(terms: Terms) -> Certificate:
    """Return the certificate of a scheme: integers, exact over all chains, roles and orders of ids."""
    depth = len(terms.levels.shares)
    ceiling = _program_ceiling(terms)
    budget, first = 0, 0
    gains = [0] * depth
    for pot in terms.milestones.values():
        for dealer, agent in product((False, True), repeat=2):
            worlds = [_world(terms, pot, levels, dealer=dealer, agent=agent) for levels in range(depth + 1)]
            for world, levels in zip(worlds, range(depth + 1), strict=True):
                budget = max(budget, _most(world, range(1, levels + 1), roles=True))
            first = max(first, max((_most(world, [1]) for world in worlds[1:]), default=0))
            for k in range(1, depth + 1):
                gains[k - 1] = max(gains[k - 1], _gain(worlds, k, depth))
    return Certificate(min(budget, ceiling), min(first, ceiling), tuple(min(gain, ceiling) for gain in gains))


def _program_ceiling(terms: Terms) -> int:
    return min([*_limits(terms, "program"), max(terms.milestones.values())])


def _limits(terms: Terms, scope: str) -> list[int]:
    """Return the most points that each cap lets one conversion have; a cap of no times lets it have none."""
    caps = [cap for cap in terms.caps if cap.scope == scope and (cap.points is not None or cap.times == 0)]
    return [cap.points or 0 for cap in caps]


def _world(terms: Terms, pot: int, levels: int, *, dealer: bool, agent: bool) -> _World:
    shares = [terms.level_share(level) for level in range(1, levels + 1)]
    roles = [terms.role_share(role) for role, here in (("dealer", dealer), ("agent", agent)) if here]
    quotas = [pot * share for share in [*shares, *(role for role in roles if role)]]
    floors = tuple(quota.__floor__() for quota in quotas)
    extras = sum(quotas, Fraction(0)).__floor__() - sum(floors)
    remainders = tuple(quota - floor for quota, floor in zip(quotas, floors, strict=True))
    return _World(floors, remainders, extras, min(_limits(terms, "member"), default=None))


def _most(world: _World, levels: range | list[int], *, roles: bool = False) -> int:
    """Return the most that these levels can get together, over all orders of ids."""
    tied, total, wanted = world.slots(), 0, 0
    for level in levels:
        stands = world.cut(level - 1)
        total += world.paid(level, extra=stands > 0)
        wanted += stands == 0 and world.paid(level, extra=True) > world.paid(level, extra=False)
    if roles:
        for place in range(len(levels), len(world.floors)):
            stands = world.cut(place)
            total += world.floors[place] + (stands > 0)
            wanted += stands == 0
    return total + min(tied, wanted)


def _gain(worlds: list[_World], k: int, depth: int) -> int:
    """Return the greatest gain of k identities: owned by the buyer, or by the referrer below `above` others."""
    best = 0
    for above in range(depth):
        after = worlds[min(depth, above + 1 + k)]
        best = max(best, _most(after, range(1, min(k, depth) + 1)))
        before = worlds[min(depth, above + 1)]
        best = max(best, *_referrer_gains(before, after, k, above, depth))
    return best


def _referrer_gains(before: _World, after: _World, k: int, above: int, depth: int) -> Iterator[int]:
    """Yield the referrer's greatest gain when the referrer keeps, and when it loses, a tie without fakes.

    Others are known by how far they stand above the referrer, or by role; those with smaller ids than the
    referrer's are chosen as the worst case needs. The fakes' ids are the owner's choice.
    """
    others = len(before.floors) - min(depth, above + 1)
    tied_before = {("level", j) for j in range(1, above + 1) if j < depth and before.cut(j) == 0}
    tied_before |= {("role", r) for r in range(others) if before.cut(len(before.floors) - others + r) == 0}
    tied_after = {("level", j) for j in range(1, above + 1) if k + j < depth and after.cut(k + j) == 0}
    tied_after |= {("role", r) for r in range(others) if after.cut(len(after.floors) - others + r) == 0}
    is_tied = before.cut(0) == 0
    # Keeping the tie: nobody need have a smaller id.
    keeps = before.paid(1, extra=before.cut(0) >= 0)
    yield _owned(after, k, depth, smaller=0) - keeps
    if is_tied and len(tied_before) >= before.slots():
        forced = max(0, before.slots() - len(tied_before - tied_after))
        yield _owned(after, k, depth, smaller=forced) - before.paid(1, extra=False)


def _owned(world: _World, k: int, depth: int, *, smaller: int) -> int:
    """Return what k fakes and their owner above them get; `smaller` tied others come before the owner."""
    fakes = list(range(1, min(k, depth) + 1))
    own = k + 1 if k < depth else None
    slots, total, wanted = world.slots(), 0, 0
    for level in fakes:
        stands = world.cut(level - 1)
        total += world.paid(level, extra=stands > 0)
        wanted += stands == 0 and world.paid(level, extra=True) > world.paid(level, extra=False)
    used = min(slots, wanted)
    total += used
    if own is not None:
        stands = world.cut(own - 1)
        wins = stands > 0 or (stands == 0 and slots - used - smaller >= 1)
        total += world.paid(own, extra=wins)
    return total
