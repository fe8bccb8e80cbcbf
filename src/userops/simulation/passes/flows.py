"""Flows: what a block's points came to, by replication, month and fund, scaled to the real population."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from attrs import define, field

from userops.simulation.columns import Array, Ints
from userops.simulation.inputs import PreparedRule, Spec, rule_names
from userops.simulation.members import PARTS, Block, Crowd, by_part
from userops.simulation.rules import CreditColumns, MonthTiers, tier_names

FLOWS = ("issued", "refused", "redeemed", "expired", "clawed_back")
#: What cancellations gave back to budgets: it is asked no more.
RETURNED = "returned"


@define(eq=False)
class Flows:
    """Points by (replication, part of the sample, month, fund), scaled to the real population."""

    issued: Array
    refused: Array
    redeemed: Array
    expired: Array
    #: Points of lots whose expiry lies within the horizon, by (replication, part of the sample, fund).
    matured: Array
    #: By (replication, month, rule of the program).
    rule_issued: Array
    rule_refused: Array
    #: Members active, by (replication, month, group).
    active: Array
    #: The same by tier, below the lowest first; of a program without tiers, nothing.
    tiers: Array
    #: Redemptions refused for want of stock or cash, in points.
    unserved: Array
    #: Of each redemption (month, rows, points), when it was asked for.
    log: list[tuple[int, Ints, Ints]]
    #: What cancellations took back, and of that what budgets got back: in the month of the return, or the last of
    #: a period that is over. In columns nothing is taken back.
    clawed_back: Array = field(init=False)
    returned: Array = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Start with nothing taken back."""
        self.clawed_back, self.returned = np.zeros_like(self.issued), np.zeros_like(self.issued)

    def plus(self, other: Flows) -> Flows:
        """Add what other members came to."""
        late = ("clawed_back", "returned")
        names = [name for name in Flows.__slots__ if name not in ("__weakref__", "log", *late)]
        found = Flows(**{name: getattr(self, name) + getattr(other, name) for name in names}, log=[])
        for name in late:
            setattr(found, name, getattr(self, name) + getattr(other, name))
        return found


@define(eq=False)
class Posted:
    """Points that rules gave, or that were refused: whole sums first, then scaled to the real population.

    In this order no figure depends on how members and rules are laid out.
    """

    spec: Spec
    crowd: Crowd
    #: By (replication, part, month, fund), and by (replication, group, month, rule): as sampled.
    parts: Array = field(init=False)
    groups: Array = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Start with nothing."""
        spec, replications = self.spec, self.crowd.replications
        months, funds, rules = spec.span.months, len(spec.program.funds), len(rule_names(spec))
        self.parts = np.zeros((replications, PARTS * len(spec.groups), months, funds))
        self.groups = np.zeros((replications, len(spec.groups), months, rules))

    def add(self, rule: PreparedRule | CreditColumns, points: Array) -> None:
        """Add a rule's points, by (replication, part, month)."""
        found: Array = points.reshape(self.parts.shape[:3])
        self.parts[..., rule.fund] += found
        by_group = found.reshape(found.shape[0], -1, PARTS, found.shape[2]).sum(axis=2)
        self.groups[..., rule.index] += by_group

    @property
    def by_fund(self) -> Array:
        """Return real points by (replication, part, month, fund)."""
        return self.parts * by_part(self.crowd.weights)[:, :, None, None]

    @property
    def by_rule(self) -> Array:
        """Return real points by (replication, month, rule)."""
        found: Array = (self.groups * self.crowd.weights[:, :, None, None]).sum(axis=1)
        return found


def active(spec: Spec, block: Crowd) -> Array:
    """Count the active members by month and group."""
    months, groups = spec.span.months, len(spec.groups)
    rows = block.rows
    # By where members come from, too: that says how many real ones a row stands for.
    origin = (block.replication.astype(np.int64) * groups + block.part // PARTS) * (months + 1)
    total = np.zeros((block.replications, groups, months + 1, groups))
    stop = np.minimum(rows.lapse, months)
    turn = np.minimum(rows.becomes, stop)
    for at, group, sign in (
        (np.minimum(rows.arrival, turn), rows.group, 1),
        (turn, rows.group, -1),
        (turn, rows.target, 1),
        (stop, rows.target, -1),
    ):
        code = (origin + at) * groups + group
        total += sign * np.bincount(code, minlength=total.size).reshape(total.shape)
    real: Array = (total * block.weights[:, :, None, None]).sum(axis=1)
    return real.cumsum(axis=1)[:, :-1]


def by_tier(spec: Spec, block: Block, found: MonthTiers | None) -> Array:
    """Count the active members by month and tier, as the ladder sees them at each month's end."""
    months, names = spec.span.months, tier_names(spec.program)
    if found is None or not len(block.rows):
        return np.zeros((block.replications, months, 0 if spec.program.ladder is None else len(names)))
    code = (
        (block.replication[found.row].astype(np.int64) * months + found.month) * len(names) + found.tier + 1
    )
    total = np.bincount(code, block.weight[found.row], minlength=block.replications * months * len(names))
    return total.reshape(block.replications, months, len(names))


def outstanding(flows: Mapping[str, Array]) -> Array:
    """Return what is left of the points issued: neither redeemed, nor expired, nor taken back."""
    found: Array = flows["issued"] - flows["redeemed"] - flows["expired"] - flows["clawed_back"]
    return found
