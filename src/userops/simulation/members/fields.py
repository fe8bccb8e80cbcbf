"""Fields: what rules may read of simulated events: the member's kind, drawn data, and counters, as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from userops.program import Program
from userops.program.rules import Counter
from userops.simulation.columns import MISSING, Column, Ints
from userops.simulation.inputs import Clock, World, fields_read_on
from userops.simulation.members.events import DAY_BITS, DrawnEvents
from userops.simulation.members.rows import Rows, group_at

#: The field that says how a person came: by an invitation of a member.
INVITED_FIELD = "invited"
#: Room for (rank, kind) in the order of a day.
TICK_BITS = 20


def ticks(found: DrawnEvents, kinds: int) -> Ints:
    """Return (row, day, place in the day) as one number, in order of time within a row."""
    key = (found.row.astype(np.int64) << DAY_BITS) | found.day
    key <<= TICK_BITS
    return key + found.rank.astype(np.int64) * kinds + found.kind


def columns_of(
    world: World,
    rows: Rows,
    found: DrawnEvents,
    *,
    clock: Clock,
    program: Program,
    kinds: Sequence[str],
    words: Mapping[tuple[str, str], tuple[Any, ...] | None],
    kind: int,
    is_full: bool,
) -> dict[str, Column]:
    """Return the fields of one kind's events, in order of time within a row: all, or those its rules read."""
    needed = fields_read_on(program, kinds[kind])
    if program.ladder is not None:
        needed |= {
            name for t in program.ladder.tiers if t.requires is not None for name in t.requires.fields()
        }
    known = {name for place, name in found.data if place == kind}
    if not is_full and not needed & {"kind", INVITED_FIELD, *known, *(c.name for c in program.counters)}:
        return {}
    mine = found.of_kind(kind)
    columns: dict[str, Column] = {}
    row = found.row[mine]
    names = tuple(one.name for one in world.groups)
    if names != ("",) and (is_full or "kind" in needed):
        columns["kind"] = Column(group_at(rows, row, clock.month_of[found.day[mine]]).astype(np.int64), names)
    if (is_full or INVITED_FIELD in needed) and any(
        one.referrals is not None for one in world.behaviours.values()
    ):
        columns[INVITED_FIELD] = Column((rows.referrer[row] >= 0).astype(np.int64), (False, True))
    for (place, name), values in found.data.items():
        if place == kind:
            columns[name] = Column(values, words[kinds[kind], name])
    for counter in program.counters:
        if counter.name in needed:
            columns[counter.name] = Column(_counted(found, clock, counter, kinds, mine))
    return columns


def _counted(found: DrawnEvents, clock: Clock, counter: Counter, kinds: Sequence[str], mine: Ints) -> Ints:
    """Return a counter's value before each event: recorded events of its kind in the window up to it."""
    if counter.on not in kinds:
        return np.zeros(len(mine), dtype=np.int64)
    place = kinds.index(counter.on)
    counts = (found.kind == place).astype(np.int64)
    if counter.is_sum:
        amounts = found.data.get((place, "amount"))
        counts[found.of_kind(place)] = 0 if amounts is None else np.where(amounts == MISSING, 0, amounts)
    total = np.concatenate([[0], np.cumsum(counts)])
    row = found.row[mine].astype(np.int64)
    low = np.searchsorted(found.row, row, side="left")
    if counter.months or counter.days:
        time = ticks(found, len(kinds))
        start = clock.shifted(months=-counter.months, days=-counter.days)[found.day[mine]].astype(np.int64)
        at = (((row << DAY_BITS) | np.maximum(start, 0)) << TICK_BITS) | (time[mine] & ((1 << TICK_BITS) - 1))
        low = np.where(start < 0, low, np.searchsorted(time, at, side="right"))
    counted: Ints = total[mine] - total[low]
    return counted
