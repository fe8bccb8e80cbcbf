"""Flows: what a block's points came to, by replication, month and fund, scaled to the real population."""

from __future__ import annotations

import numpy as np
from attrs import define, field

from userops.simulation.arrays import Array, Ints
from userops.simulation.asking import PreparedRule
from userops.simulation.blocks import PARTS, Block, Crowd, by_part
from userops.simulation.engine import Granted, value_of
from userops.simulation.lots import Lots
from userops.simulation.redeeming import Redeeming
from userops.simulation.spec import Spec
from userops.simulation.standings import tier_names
from userops.simulation.tiering import month_tiers


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


def flows(spec: Spec, block: Block, granted: Granted, *, is_logged: bool = False) -> Flows:
    """Run the lots of a block through the months, and sum everything up."""
    months, parts = spec.span.months, PARTS * len(spec.groups)
    shape = (block.replications, parts, months, len(spec.program.funds))
    month_of = spec.clock.month_of
    who = (block.replication * parts + block.part).astype(np.int64)
    first = who * months
    given, refused = Posted(spec, block), Posted(spec, block)
    for kind, one in granted.events.items():
        for place, rule in enumerate(spec.book.rules[kind]):
            for posted, points in ((given, one.given[place]), (refused, one.refused[place])):
                if not rule.is_points or not points.any():
                    continue
                # What is not given adds nothing: no need to leave it out.
                code = first[one.row] + month_of[one.day]
                posted.add(rule, np.bincount(code, points, minlength=int(np.prod(shape[:3]))))
    lots = Lots.of(spec.clock, len(block.rows), granted.grants)
    matured = _matured(block, lots, who, shape)
    redeeming = Redeeming(spec, block, lots, who, parts, is_logged=is_logged)
    for now in range(months):
        lots.open(now)
        redeeming.redeem(now)
        lots.close(now)
    redeeming.close()
    return Flows(
        given.by_fund,
        refused.by_fund,
        redeeming.redeemed,
        _expired(block, lots, who, shape),
        matured,
        given.by_rule,
        refused.by_rule,
        active(spec, block),
        _by_tier(spec, block, granted),
        redeeming.unserved,
        redeeming.log,
    )


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
        months, funds, rules = spec.span.months, len(spec.program.funds), len(spec.program.earn)
        self.parts = np.zeros((replications, PARTS * len(spec.groups), months, funds))
        self.groups = np.zeros((replications, len(spec.groups), months, rules))

    def add(self, rule: PreparedRule, points: Array) -> None:
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


def _matured(block: Block, lots: Lots, who: Ints, shape: tuple[int, ...]) -> Array:
    """Sum the points whose fate the horizon sees: those of lots that expire in it, before any is redeemed."""
    months, funds = shape[2], shape[3]
    due = np.flatnonzero(lots.bucket < 2 * months)
    code = who[lots.row[due]] * funds + lots.fund[due]
    total = np.bincount(code, lots.left[due], minlength=shape[0] * shape[1] * funds)
    return total.reshape(shape[0], shape[1], funds) * by_part(block.weights)[:, :, None]


def _expired(block: Block, lots: Lots, who: Ints, shape: tuple[int, ...]) -> Array:
    """Sum what was left in lots when they expired."""
    months, funds = shape[2], shape[3]
    left = lots.unspent()
    gone = np.flatnonzero((lots.bucket < 2 * months) & (left > 0))
    code = (who[lots.row[gone]] * months + lots.bucket[gone] // 2) * funds + lots.fund[gone]
    total = np.bincount(code, left[gone], minlength=int(np.prod(shape)))
    return total.reshape(shape) * by_part(block.weights)[:, :, None, None]


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


def _by_tier(spec: Spec, block: Block, granted: Granted) -> Array:
    """Count the active members by month and tier, as the ladder sees them at each month's end."""
    months, names = spec.span.months, tier_names(spec.program)
    if spec.program.ladder is None or not len(block.rows):
        return np.zeros((block.replications, months, 0 if spec.program.ladder is None else len(names)))
    found = granted.month_tiers or month_tiers(spec, block, value_of(spec, block, granted))
    code = (
        (block.replication[found.row].astype(np.int64) * months + found.month) * len(names) + found.tier + 1
    )
    total = np.bincount(code, block.weight[found.row], minlength=block.replications * months * len(names))
    return total.reshape(block.replications, months, len(names))
