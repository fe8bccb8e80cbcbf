"""A small population in full: its events, and what the columnar engine made of them, to the point."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

import numpy as np
from attrs import evolve, field, frozen

from userops.core.commands import Command, Expire
from userops.core.events import Event
from userops.core.tables import Table
from userops.errors import Rejected
from userops.points import Ledger
from userops.program import Decision, Program
from userops.referrals import Invitation, ReferralGraph
from userops.simulation.columns import Array
from userops.simulation.inputs import Spec, value_only_funds
from userops.simulation.members import (
    Block,
    chunk_sizes,
    gather,
    graph_of,
    happened,
    invitations_of,
    members_of,
    redemption,
)
from userops.simulation.passes import FLOWS, Flows, Passed, outstanding, passed_by_the_clock, passed_freely


@frozen(eq=False)
class Trace:
    """The events of a simulated population, in order of time, and their figures by month and fund.

    Running `.events` through the program into a ledger gives the same figures. Where the program has a
    `[referral]` table each of the `.credits` is posted right after the event of its instant, as `post` does it.
    """

    events: tuple[Event, ...] = field(repr=False)
    #: What is known of each member beside the events.
    members: Mapping[str, Mapping[str, Any]] = field(repr=False)
    columns: Mapping[str, Array] = field(repr=False)
    #: Whether a limit shared by members bound, so that the clock's order decided.
    is_bound: bool
    #: The first instant after the last month.
    ends_at: datetime
    #: Who was invited by whom, and the graph that the program's binding makes of it.
    invitations: tuple[Invitation, ...] = field(repr=False)
    graph: ReferralGraph = field(repr=False)
    #: What the program's referral scheme credits, in order of time: each is posted after the event of its instant.
    credits: tuple[Command, ...] = field(repr=False)

    def to_columns(self) -> dict[str, Array]:
        """Return month (from 1), fund, issued, redeemed, expired, clawed_back, outstanding, refused."""
        return dict(self.columns)

    def post(self, program: Program, ledger: Ledger) -> list[Decision]:
        """Run the events through a program into a ledger, the referral credits right after what earned them.

        The expiries are written as the last month ends. A credit that a budget does not bear is left out.
        """
        program.register(ledger)
        decisions, place = [], 0
        for event in self.events:
            decisions.append(program.handle(event, ledger, self.members))
            while place < len(self.credits) and self.credits[place].at <= event.at:
                with suppress(Rejected):
                    ledger.post(self.credits[place])
                place += 1
        ledger.post(Expire(at=self.ends_at))
        return decisions

    def table(self) -> Table:
        """Return the figures as a table."""
        return Table({name: values.tolist() for name, values in self.columns.items()}, title="Trace")

    def __str__(self) -> str:
        return str(self.table())


def trace_of(spec: Spec, *, members: int, seed: int) -> Trace:
    """Simulate a population of so many members at the start, shared among the groups as in the plan."""
    small = _scaled(spec, members)
    world = small.world(seed, 0, None)
    chunks = [(0, place, chunk) for place, chunk, _ in chunk_sizes(world)]
    block = gather(small, [world], chunks, is_full=True)
    found = passed_freely(small, block, is_logged=True)
    bound = found.usage.limits(small)
    is_bound = bool(bound.funds or bound.caps)
    if is_bound:
        found = passed_by_the_clock(small, block, bound, is_logged=True)
    events = _events(small, block, found)
    graph, program = graph_of(small, block), small.program
    paid = () if program.scheme is None else program.referral_credits(graph, events).commands()
    return Trace(
        events=events,
        members=members_of(small, block),
        columns=_columns(small, found.flows),
        is_bound=is_bound,
        ends_at=small.clock.month_bounds()[-1],
        invitations=invitations_of(small, block),
        graph=graph,
        credits=paid,
    )


def _scaled(spec: Spec, members: int) -> Spec:
    total = sum(group.members for group in spec.groups)
    shares = [group.members / total if total else 1 / len(spec.groups) for group in spec.groups]
    exact = [members * share for share in shares]
    counts = [int(x) for x in exact]
    for place in sorted(range(len(exact)), key=lambda k: (counts[k] - exact[k], k))[: members - sum(counts)]:
        counts[place] += 1
    factor = members / total if total else 1.0
    groups = tuple(
        evolve(
            group,
            members=count,
            joins=evolve(
                group.joins,
                form="number",
                values=(group.joins.mean() * factor if total else group.joins.mean(),),
            ),
        )
        for group, count in zip(spec.groups, counts, strict=True)
    )
    return Spec(spec.program, spec.span, groups, spec.behaviours, spec.cash, spec.stock, spec.run)


def _events(spec: Spec, block: Block, found: Passed) -> tuple[Event, ...]:
    """Return the events that members did, and their redemptions, in order of time."""
    lived = np.zeros(len(block.rows), dtype=bool) if found.lived is None else found.lived
    places = np.flatnonzero(~lived[block.found.row])
    listed = [*found.events, *(event for _, event in happened(spec, block, places))]
    for month, who, points in found.log:
        for row, amount in zip(who.tolist(), points.tolist(), strict=True):
            listed.append(redemption(spec, block, month, row, amount))
    return tuple(sorted(listed, key=lambda event: event.at))


def _columns(spec: Spec, found: Flows) -> dict[str, Array]:
    """Return the figures by month and fund."""
    value_only = value_only_funds(spec)
    chosen = [k for k, name in enumerate(spec.program.funds) if name not in value_only]
    months = spec.span.months
    names = np.array(list(spec.program.funds), dtype=str)[chosen] if chosen else np.zeros(0, dtype=str)
    columns: dict[str, Array] = {
        "month": np.repeat(np.arange(1, months + 1), len(chosen)),
        "fund": np.tile(names, months),
    }
    sums = {
        name: np.rint(getattr(found, name).sum(axis=(0, 1))[:, chosen]).astype(np.int64) for name in FLOWS
    }
    columns |= {name: sums[name].ravel() for name in ("issued", "redeemed", "expired", "clawed_back")}
    columns["outstanding"] = np.cumsum(outstanding(sums), axis=0).ravel()
    columns["refused"] = sums["refused"].ravel()
    return columns
