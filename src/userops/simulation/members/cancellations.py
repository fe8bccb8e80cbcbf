"""Cancellations: the events of a chunk of members that are taken back, drawn with the events themselves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import define

from userops.program.rules import REDEEMED
from userops.simulation.columns import Array, Floats, Ints
from userops.simulation.inputs import BILL, Clock, World
from userops.simulation.members.events import DrawnEvents
from userops.simulation.members.rows import Rows, group_at


@define(eq=False)
class Cancellations:
    """What is taken back: of each, the place of its event, the day, and the part of the amount (1: all)."""

    event: Ints
    day: Ints
    part: Floats
    #: By (month, row): whether a redemption at its end is taken back, days after, and the part; None: never.
    redeemed: tuple[Array, Ints, Floats] | None = None

    def shifted(self, by: int) -> Cancellations:
        """Return them with their events so many places later."""
        return Cancellations(self.event + by, self.day, self.part, self.redeemed)


def cancel(
    world: World,
    rows: Rows,
    found: DrawnEvents,
    *,
    clock: Clock,
    kinds: Sequence[str],
    where: tuple[int, int],
) -> Cancellations:
    """Draw which events are cancelled, when, and how much of them; the events before stay as they are."""
    events: list[Ints] = [np.zeros(0, dtype=np.int64)]
    days: list[Ints] = [np.zeros(0, dtype=np.int64)]
    parts: list[Floats] = [np.zeros(0)]
    for place, kind in enumerate(kinds):
        if not any(kind in world.behaviours[one.name].cancelled for one in world.groups):
            continue
        mine = found.of_kind(place)
        group = group_at(rows, found.row[mine], clock.month_of[found.day[mine]])
        is_cancelled, after, part = _drawn(world, kind, group, where)
        hit = np.flatnonzero(is_cancelled)
        day = found.day[mine[hit]] + after[hit]
        inside = day < len(clock.month_of)
        events.append(mine[hit][inside])
        days.append(day[inside])
        parts.append(part[hit][inside])
    event = np.concatenate(events)
    order = np.argsort(event, kind="stable")
    return Cancellations(
        event[order],
        np.concatenate(days)[order],
        np.concatenate(parts)[order],
        _of_redemptions(world, rows, where),
    )


def joined(parts: Sequence[Cancellations]) -> Cancellations:
    """Lay the cancellations of chunks end to end; their events lie so already."""
    redeemed = [part.redeemed for part in parts if part.redeemed is not None]
    columns = [np.concatenate(one, axis=1) for one in zip(*redeemed, strict=True)]
    return Cancellations(
        np.concatenate([part.event for part in parts]),
        np.concatenate([part.day for part in parts]),
        np.concatenate([part.part for part in parts]),
        (columns[0], columns[1], columns[2]) if columns else None,
    )


def bills_of(world: World, rows: Rows, where: tuple[int, int]) -> Ints | None:
    """Draw the bills that redemptions pay, by (month, row); None where the plan states none."""
    draws = [world.behaviours[one.name].data.get(REDEEMED, {}).get(BILL) for one in world.groups]
    if not any(draws):
        return None
    rng = world.stream("data", REDEEMED, BILL, *where)
    found = np.zeros((world.months, len(rows)), dtype=np.int64)
    for month in range(world.months):
        group = np.asarray(group_at(rows, np.arange(len(rows)), month))
        for k, draw in enumerate(draws):
            mine = np.flatnonzero(group == k)
            if draw is not None:
                found[month, mine] = draw.draw(rng, len(mine))
    return found


def _drawn(world: World, kind: str, group: Ints, where: tuple[int, ...]) -> tuple[Array, Ints, Floats]:
    """Draw of each event of a kind whether it is cancelled, how many days later, and which part of it."""
    rng = world.stream("cancelled", kind, *where)
    chance = rng.random(len(group))
    is_cancelled = np.zeros(len(group), dtype=bool)
    after, part = np.zeros(len(group), dtype=np.int64), np.ones(len(group))
    for k, one in enumerate(world.groups):
        how = world.behaviours[one.name].cancelled.get(kind)
        if how is None:
            continue
        mine = np.flatnonzero(group == k)
        is_cancelled[mine] = chance[mine] < world.of(one.name, f"cancelled.{kind}")
        after[mine] = np.rint(how.after_days.draw(rng, len(mine))).astype(np.int64)
        part[mine] = how.part.draw(rng, len(mine))
    return is_cancelled, after, part


def _of_redemptions(world: World, rows: Rows, where: tuple[int, int]) -> tuple[Array, Ints, Floats] | None:
    if not any(REDEEMED in world.behaviours[one.name].cancelled for one in world.groups):
        return None
    found = [
        _drawn(world, REDEEMED, np.asarray(group_at(rows, np.arange(len(rows)), month)), (*where, month))
        for month in range(world.months)
    ]
    return (
        np.stack([one[0] for one in found]),
        np.stack([one[1] for one in found]),
        np.stack([one[2] for one in found]),
    )
