"""Facts: what happened to the members of a block, as the events that a live program would be sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from fractions import Fraction
from typing import Any

import numpy as np

from userops.core.events import Event
from userops.program.rules import CANCELLED, REDEEMED
from userops.referrals import Binding, Invitation, ReferralGraph
from userops.simulation.columns import MISSING, Ints
from userops.simulation.inputs import BILL, Spec
from userops.simulation.members.blocks import Block
from userops.simulation.members.rows import group_at

_HOUR = 3_600 * 1_000_000
#: After noon come the day's events, then what is taken back, then the month's redemptions: so much later.
_LATE, _LATER, _EVENING = 10 * _HOUR, 10 * _HOUR + _HOUR // 2, 11 * _HOUR


def name_of(row: int) -> str:
    """Return the id of a member.

    >>> name_of(0)
    'm000001'
    """
    return f"m{row + 1:06d}"


def row_of(member: str) -> int:
    """Return the row of a member's id.

    >>> row_of("m000001")
    0
    """
    return int(member.removeprefix("m")) - 1


def members_of(spec: Spec, block: Block) -> dict[str, dict[str, Any]]:
    """Return what is known of each member beside the events."""
    bounds = spec.clock.month_bounds()
    return {name_of(k): {"joined_at": bounds[int(block.rows.arrival[k])]} for k in range(len(block.rows))}


def happened(spec: Spec, block: Block, chosen: Ints | None = None) -> Iterator[tuple[int, Event]]:
    """Yield (place in the block, event) of what members did: all, or at some places."""
    found, kinds, number = block.found, spec.kinds, len(block.rows)
    bounds = spec.clock.month_bounds() if spec.program.ladder is not None else None
    places = np.zeros(len(found.row), dtype=np.int64)
    for kind in range(len(kinds)):
        mine = found.of_kind(kind)
        places[mine] = np.arange(len(mine))
    for k in (np.arange(len(found.row)) if chosen is None else chosen).tolist():
        kind, row, day = int(found.kind[k]), int(found.row[k]), int(found.day[k])
        joined = None if bounds is None else bounds[int(block.rows.arrival[row])]
        data, amount = _data(block, kind, int(places[k]), joined)
        tick = (int(found.rank[k]) * len(kinds) + kind) * number + row
        at = spec.clock.instant(day, tick)
        yield k, Event(f"e{k + 1}", kinds[kind], name_of(row), at, amount=amount, data=data)


def _data(block: Block, kind: int, place: int, joined: datetime | None) -> tuple[dict[str, Any], int | None]:
    data: dict[str, Any] = {} if joined is None else {"joined_at": joined}
    for name, column in block.columns[kind].items():
        value = int(column.values[place])
        if column.words is not None:
            if value >= 0:
                data[name] = column.words[value]
        elif value != MISSING:
            data[name] = value
    for name in block.counter_names:
        data.pop(name, None)
    amount = data.pop("amount", None)
    return data, amount


def cancelled(spec: Spec, block: Block, events: Mapping[int, Event]) -> Iterator[Event]:
    """Yield the cancellations of events, which are given by their places in the block."""
    found = block.cancelled
    if found is None:
        return
    for k, (place, day, part) in enumerate(
        zip(found.event.tolist(), found.day.tolist(), found.part.tolist(), strict=True)
    ):
        event = events.get(place)
        if event is not None:
            at = spec.clock.instant(day, _LATE + k)
            yield _cancellation(event, f"c{place + 1}", at, part)


def redemption(spec: Spec, block: Block, month: int, row: int, points: int) -> Event:
    """Return a member's redemption at the end of a month."""
    behaviour = spec.behaviours[group_name(spec, block, month, row)]
    data: dict[str, Any] = {"sink": behaviour.sink}
    name = group_name(spec, block, month, row)
    if name:
        data["kind"] = name
    if block.bills is not None and BILL in behaviour.data.get(REDEEMED, {}):
        data[BILL] = int(block.bills[month, row])
    day = int(spec.clock.first_days[month + 1]) - 1
    at = spec.clock.instant(day, _EVENING + row)
    return Event(f"r{month + 1}.{row + 1}", REDEEMED, name_of(row), at, amount=points, data=data)


def redemption_cancelled(spec: Spec, block: Block, month: int, row: int, event: Event) -> Event | None:
    """Return the cancellation of a redemption, where it comes to one within the horizon."""
    found = None if block.cancelled is None else block.cancelled.redeemed
    if found is None or not found[0][month, row]:
        return None
    # At least a day later: of its own day nothing comes after a redemption.
    day = int(spec.clock.first_days[month + 1]) - 1 + max(1, int(found[1][month, row]))
    if day >= len(spec.clock.month_of):
        return None
    at = spec.clock.instant(day, _LATER + row)
    return _cancellation(event, f"x{month + 1}.{row + 1}", at, float(found[2][month, row]))


def evening(spec: Spec, month: int, rows: int) -> datetime:
    """Return an instant after all redemptions of a month, and before the month ends."""
    return spec.clock.instant(int(spec.clock.first_days[month + 1]) - 1, _EVENING + rows)


def group_name(spec: Spec, block: Block, month: int, row: int) -> str:
    """Return the name of the group that a member is in, in a month."""
    return spec.groups[int(group_at(block.rows, np.array([row]), month)[0])].name


def _cancellation(event: Event, id_: str, at: datetime, part: float) -> Event:
    """Return what takes an event back: whole, or the part of its amount, at least 1."""
    amount: int | None = None
    if part < 1 and isinstance(event.amount, int) and event.amount > 1:
        amount = max(1, round(Fraction(part) * event.amount))
        amount = None if amount >= event.amount else amount
    return Event(id_, f"{event.kind}{CANCELLED}", event.member, at, reference=event.id, amount=amount)


def invitations_of(spec: Spec, block: Block) -> tuple[Invitation, ...]:
    """Return who was invited by whom: each touch reaches its invitee as that one joins."""
    bounds, rows = spec.clock.month_bounds(), block.rows
    return tuple(
        Invitation(name_of(by), name_of(row), bounds[int(rows.arrival[row])])
        for row, by in enumerate(rows.referrer.tolist())
        if by >= 0
    )


def graph_of(spec: Spec, block: Block, rows: Ints | None = None) -> ReferralGraph:
    """Return the referral graph that the program's binding makes of the invitations: of all, or of whole trees.

    Of a referrer a scheme's `eligible` may read `kind`, the group that the member is in at the end, and
    `joined_at`.
    """
    chosen = np.arange(len(block.rows)) if rows is None else rows
    bounds, arrival = spec.clock.month_bounds(), block.rows.arrival[chosen]
    groups = group_at(block.rows, chosen, spec.span.months - 1)
    members = {name_of(k): bounds[month] for k, month in zip(chosen.tolist(), arrival.tolist(), strict=True)}
    attributes = {}
    for (name, joined), group in zip(members.items(), groups.tolist(), strict=True):
        kind = spec.groups[group].name
        attributes[name] = {"joined_at": joined, **({"kind": kind} if kind else {})}
    return ReferralGraph.from_invitations(
        invitations_of(spec, block),
        binding=spec.program.binding or Binding(),
        members=members,
        attributes=attributes,
    )
