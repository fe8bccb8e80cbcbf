"""The day pass: a block's grants go through the months as lots, and what came of them is summed up."""

from __future__ import annotations

import numpy as np

from userops.simulation.balances import Lots, Redemptions
from userops.simulation.columns import Array, Ints
from userops.simulation.inputs import Spec
from userops.simulation.members import PARTS, Block, by_part
from userops.simulation.passes.flows import Flows, Posted, active, by_tier
from userops.simulation.passes.usage import Asked, Usage
from userops.simulation.rules import Granted, MonthTiers, month_tiers, value_of


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
    credited = granted.credits
    if credited is not None:
        code = first[credited.row] + month_of[credited.day]
        given.add(credited, np.bincount(code, credited.points, minlength=int(np.prod(shape[:3]))))
    lots = Lots.of(spec.clock, len(block.rows), granted.grants)
    matured = _matured(block, lots, who, shape)
    redemptions = Redemptions(spec, block, lots, who, parts, is_logged=is_logged)
    for now in range(months):
        lots.open(now)
        redemptions.redeem(now)
        lots.close(now)
    redemptions.close()
    return Flows(
        given.by_fund,
        refused.by_fund,
        redemptions.redeemed,
        _expired(block, lots, who, shape),
        matured,
        given.by_rule,
        refused.by_rule,
        active(spec, block),
        by_tier(spec, block, tiers_of(spec, block, granted)),
        redemptions.unserved,
        redemptions.log,
    )


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


def tiers_of(spec: Spec, block: Block, granted: Granted) -> MonthTiers | None:
    """Return the tiers that members hold at the ends of months."""
    if spec.program.ladder is None or not len(block.rows):
        return None
    return granted.month_tiers or month_tiers(spec, block, value_of(spec, block, granted))


def used_by(spec: Spec, block: Block, granted: Granted) -> Usage:
    """Sum what was asked of shared limits."""
    asked = Asked(spec, block)
    group = block.replication.astype(np.int64) * len(spec.groups) + block.part // PARTS
    for kind, one in granted.events.items():
        for place, rule in enumerate(spec.book.rules[kind]):
            if asked.is_watched(rule):
                points = one.given[place] + one.refused[place]
                hit = np.flatnonzero(points != 0)
                asked.add(rule, group[one.row[hit]], one.day[hit], times=None, points=points[hit])
    credited = granted.credits
    if credited is not None and asked.is_watched(credited):
        asked.add(credited, group[credited.row], credited.day, times=None, points=credited.points)
    return asked.usage()
