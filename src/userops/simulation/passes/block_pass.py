"""A block's pass: its members go through the months in columns, or one event after the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import define, field

from userops.core.events import Event
from userops.simulation.columns import Ints, Mask
from userops.simulation.inputs import Spec, World
from userops.simulation.members import PARTS, Block, gather
from userops.simulation.passes.day_pass import flows, tiers_of, used_by
from userops.simulation.passes.flows import Flows, by_tier
from userops.simulation.passes.ledger_flows import reckoned
from userops.simulation.passes.ledger_pass import Life
from userops.simulation.passes.month_pass import month_pass
from userops.simulation.passes.one_by_one import rows_alone, rows_under
from userops.simulation.passes.usage import Usage
from userops.simulation.rules import Bound, Credit, Granted, Shared, credits_of, grant, in_columns, leave_out


@define(eq=False)
class Passed:
    """What a block came to."""

    flows: Flows
    #: What was asked of shared limits, and that less what cancellations gave back.
    usage: Usage
    net: Usage
    #: What was run; None where no events were drawn.
    block: Block | None
    #: The rows that went one event after the other, and their events.
    lived: Mask | None = None
    events: list[Event] = field(factory=list)
    #: Of each redemption of the others (month, rows, points), when it was asked for.
    log: list[tuple[int, Ints, Ints]] = field(factory=list)


def passed(spec: Spec, worlds: Sequence[World], chunks: Sequence[tuple[int, int, int]]) -> Passed:
    """Run some chunks (which world, group, number) of replications as if no limit shared between members bound."""
    if not spec.why_by_days:
        found, used, _ = month_pass(spec, worlds, chunks)
        return Passed(found, used, used, None)
    return passed_freely(spec, gather(spec, worlds, chunks))


def passed_freely(spec: Spec, block: Block, *, is_logged: bool = False) -> Passed:
    """Run a block through the days as if no limit shared between members bound."""
    if spec.is_one_by_one:
        credited = credits_of(spec, block)
        alone = rows_alone(spec, block, credited)
        return _mixed(spec, block, alone, credited, is_watched=False, is_logged=is_logged)
    granted = grant(spec, block, None)
    return _in_columns(spec, block, granted, is_logged=is_logged)


def passed_by_the_clock(spec: Spec, block: Block, bound: Bound, *, is_logged: bool = False) -> Passed:
    """Run whole replications in order of time, under the limits that their members share."""
    if not spec.is_one_by_one:
        return _in_columns(spec, block, _grant_by_the_clock(spec, block, bound), is_logged=is_logged)
    credited = credits_of(spec, block)
    alone = rows_alone(spec, block, credited)
    while True:
        # Whoever draws on a limit that binds lives by the clock, beside those who live so anyway.
        lived = alone | rows_under(spec, block, bound, credited)
        found = _mixed(spec, block, lived, credited, is_watched=True, is_logged=is_logged)
        more = found.usage.limits(spec)
        if more.funds <= bound.funds and more.caps <= bound.caps:
            return found
        bound = Bound(bound.funds | more.funds, bound.caps | more.caps)


def _in_columns(spec: Spec, block: Block, granted: Granted, *, is_logged: bool) -> Passed:
    found, used = flows(spec, block, granted, is_logged=is_logged), used_by(spec, block, granted)
    return Passed(found, used, used, block, log=found.log)


def _mixed(
    spec: Spec, block: Block, lived: Mask, credited: Sequence[Credit], *, is_watched: bool, is_logged: bool
) -> Passed:
    """Run some rows one event after the other, and the others in columns."""
    granted = grant(spec, block, None)
    leave_out(spec, block, granted, lived, in_columns(spec, credited, lived))
    found = _in_columns(spec, block, granted, is_logged=is_logged)
    theirs = [one for one in credited if one.owner < 0 or lived[one.owner]]
    if not lived.any() and not theirs:
        return found
    parts = PARTS * len(spec.groups)
    who = (block.replication * parts + block.part).astype(np.int64)
    life = Life(spec, block, lived, who, parts, is_watched, theirs).run()
    more = reckoned(life)
    found.flows = found.flows.plus(more.flows)
    found.usage, found.net = found.usage.plus(more.usage), found.net.plus(more.net)
    found.lived, found.events = lived, life.events
    tiers = tiers_of(spec, block, granted)
    if tiers is not None and more.month_tiers is not None:
        found.flows.tiers = by_tier(spec, block, tiers.without(lived).plus(more.month_tiers))
    return found


def _shared_of(spec: Spec, block: Block, bound: Bound) -> Shared:
    """Return the limits that a block's replications share, unused; budgets that do not bind are left out."""
    funds = list(spec.program.funds.values())
    budgets = np.array([np.inf if fund.budget is None else float(fund.budget.points) for fund in funds])
    return Shared(
        budgets=np.repeat(budgets[:, None], block.replications, axis=1),
        fund_periods=[
            None if fund.budget is None or k not in bound.funds else spec.clock.periods[fund.budget.per]
            for k, fund in enumerate(funds)
        ],
        weight=block.weight,
        replication=block.replication,
        caps=len(spec.book.shared),
        replications=block.replications,
    )


def _grant_by_the_clock(spec: Spec, block: Block, bound: Bound) -> Granted:
    """Run the rules with the limits that bind watched; a limit that comes to bind by that is watched too."""
    while True:
        granted = grant(spec, block, _shared_of(spec, block, bound), bound)
        more = used_by(spec, block, granted).limits(spec)
        if more.funds <= bound.funds and more.caps <= bound.caps:
            return granted
        bound = Bound(bound.funds | more.funds, bound.caps | more.caps)
