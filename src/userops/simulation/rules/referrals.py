"""Referrals: what a program's referral scheme credits for a block's events, as the live path pays it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from attrs import define, evolve, frozen

from userops.core.calendar import local_day, micros
from userops.core.caps import Cap
from userops.core.commands import Command, Earn, Reverse
from userops.program.milestones import conversions_of
from userops.referrals import Scheme
from userops.simulation.columns import Ints, Mask
from userops.simulation.inputs import NEVER, Spec, rule_names
from userops.simulation.members import Block, cancelled, graph_of, happened, name_of, row_of


@frozen(eq=False)
class Credit:
    """A grant to a referrer, or what undoes one."""

    command: Command
    #: The row of the wallet it goes into, -1 for a dealer or agent who is no member.
    owner: int
    #: The row of the invitee whose milestone it pays for.
    buyer: int


@define(eq=False)
class CreditColumns:
    """Credits as columns: to whom, when, and points as `Grants` have them."""

    row: Ints
    day: Ints
    #: Microseconds after noon.
    tick: Ints
    fund: int
    expiry: Ints
    activates: Ints
    points: Ints
    #: The scheme's place among the rules that pay.
    index: int
    #: Nothing shared but the fund's budget counts them.
    shared_counts: tuple[int, ...] = ()


def credits_of(spec: Spec, block: Block) -> list[Credit]:
    """Return what the scheme credits to whom, in order of time within each replication."""
    scheme = spec.program.scheme
    referrer = block.rows.referrer
    if scheme is None or not (referrer >= 0).any():
        return []
    here = np.array([kind in scheme.milestones for kind in spec.kinds], dtype=bool)
    found = block.found
    places = np.flatnonzero(here[found.kind] & (referrer[found.row] >= 0))
    events = dict(happened(spec, block, places))
    came = [*events.values(), *cancelled(spec, block, events)]
    came.sort(key=lambda event: event.at)
    in_trees = np.flatnonzero(referrer >= 0)
    graph = graph_of(spec, block, np.union1d(in_trees, referrer[in_trees]))
    listed: list[Credit] = []
    for k in range(block.replications):
        mine = [event for event in came if block.replication[row_of(event.member)] == k]
        rows = np.flatnonzero(block.replication == k)
        weight = float(block.weight[rows].max(initial=1.0))
        commands = _sampled(scheme, weight).credit(graph, conversions_of(scheme, mine)).commands()
        listed += _credits(commands, {event.id: row_of(event.member) for event in mine}, len(block.rows))
    return listed


def _sampled(scheme: Scheme, weight: float) -> Scheme:
    """Return the scheme with its caps of the whole program as small as the sample, where every row stands for many."""
    if weight == 1.0 or not any(cap.scope == "program" for cap in scheme.caps):
        return scheme
    caps = tuple(cap if cap.scope == "member" else _smaller(cap, weight) for cap in scheme.caps)
    return evolve(scheme, caps=caps)


def _smaller(cap: Cap, weight: float) -> Cap:
    return Cap(
        times=None if cap.times is None else int(cap.times / weight),
        points=None if cap.points is None else int(cap.points / weight),
        per=cap.per,
        scope=cap.scope,
    )


def _credits(commands: Sequence[Command], buyers: dict[str, int], rows: int) -> Iterator[Credit]:
    owners: dict[str, int] = {}
    for command in commands:
        if isinstance(command, Earn):
            owners[command.id] = _owner(command.member, rows)
            yield Credit(command, owners[command.id], buyers[command.event])
        elif isinstance(command, Reverse):
            yield Credit(command, owners[command.entry], buyers[command.event])


def _owner(member: str, rows: int) -> int:
    """Return the row of a wallet: a dealer that an event names may be anybody."""
    row = row_of(member) if member[:1] == "m" and member[1:].isdecimal() else -1
    return row if 0 <= row < rows and name_of(row) == member else -1


def in_columns(spec: Spec, credits_: Sequence[Credit], left_out: Mask) -> CreditColumns | None:
    """Return the credits of points to members, but those left out."""
    scheme = spec.program.scheme
    if scheme is None or scheme.currency != "points":
        return None
    clock = spec.clock
    first, tz = clock.days[0].toordinal(), clock.tz
    earns = [
        (one.owner, one.command)
        for one in credits_
        if isinstance(one.command, Earn) and one.owner >= 0 and not left_out[one.owner]
    ]
    days = [local_day(earn.at, tz).toordinal() - first for _, earn in earns]
    ends = [
        NEVER if one.expires_at is None else local_day(one.expires_at, tz).toordinal() - first
        for _, one in earns
    ]
    waits = [
        0 if one.available_at is None else local_day(one.available_at, tz).toordinal() - first - day
        for (_, one), day in zip(earns, days, strict=True)
    ]
    ticks = [
        micros(one.at) - micros(clock.instant(day, 0)) for (_, one), day in zip(earns, days, strict=True)
    ]
    return CreditColumns(
        row=np.array([row for row, _ in earns], dtype=np.int32),
        day=np.array(days, dtype=np.int32),
        tick=np.array(ticks, dtype=np.int64),
        fund=list(spec.program.funds).index(scheme.fund),
        expiry=np.minimum(np.array(ends, dtype=np.int64), NEVER).astype(np.int32),
        activates=np.array(waits, dtype=np.int32),
        points=np.array([one.points for _, one in earns], dtype=np.int64),
        index=len(rule_names(spec)) - 1,
    )
