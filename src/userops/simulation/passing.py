"""Passing: a block of members goes through the months, in columns or one event after the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import define, field

from userops.core.events import Event
from userops.simulation.blocks import PARTS, Block, gather
from userops.simulation.engine import Bound, Granted, grant
from userops.simulation.flows import Flows, flows
from userops.simulation.living import Life
from userops.simulation.month_pass import month_pass
from userops.simulation.population import World
from userops.simulation.reckoning import reckoned
from userops.simulation.sharing import Shared
from userops.simulation.spec import Spec
from userops.simulation.usage import Usage, used_by


@define(eq=False)
class Passed:
    """What a block came to."""

    flows: Flows
    #: What was asked of shared limits, and that less what cancellations gave back.
    usage: Usage
    net: Usage
    #: What was run; None where no events were drawn.
    block: Block | None
    #: The events of members who went one event after the other.
    events: list[Event] = field(factory=list)


def passed(spec: Spec, worlds: Sequence[World], chunks: Sequence[tuple[int, int, int]]) -> Passed:
    """Run some chunks (which world, group, number) of replications as if no limit shared between members bound."""
    if not spec.why_by_days:
        found, used, _ = month_pass(spec, worlds, chunks)
        return Passed(found, used, used, None)
    return passed_freely(spec, gather(spec, worlds, chunks))


def passed_freely(spec: Spec, block: Block, *, is_logged: bool = False) -> Passed:
    """Run a block through the days as if no limit shared between members bound."""
    if spec.is_one_by_one:
        return _lived(spec, block, is_watched=False)
    granted = grant(spec, block, None)
    used = used_by(spec, block, granted)
    return Passed(flows(spec, block, granted, is_logged=is_logged), used, used, block)


def passed_by_the_clock(spec: Spec, block: Block, bound: Bound, *, is_logged: bool = False) -> Passed:
    """Run whole replications in order of time, under the limits that their members share."""
    if spec.is_one_by_one:
        return _lived(spec, block, is_watched=True)
    granted = _grant_by_the_clock(spec, block, bound)
    used = used_by(spec, block, granted)
    return Passed(flows(spec, block, granted, is_logged=is_logged), used, used, block)


def _lived(spec: Spec, block: Block, *, is_watched: bool) -> Passed:
    parts = PARTS * len(spec.groups)
    who = (block.replication * parts + block.part).astype(np.int64)
    life = Life(spec, block, np.ones(len(block.rows), dtype=bool), who, parts, is_watched).run()
    found, usage, net = reckoned(life)
    return Passed(found, usage, net, block, life.events)


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
