"""Events: what the members of a block do, drawn kind by kind, with their data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from attrs import define, field

from userops.simulation.columns import MISSING, Floats, Ints
from userops.simulation.inputs import MOST_KINDS, Clock, World
from userops.simulation.members.rows import Rows, group_at
from userops.simulation.members.timing import Timed, timed

#: Bits of a packed event: (row, day, place, kind), in order of time within a row.
DAY_BITS, PLACE_BITS, KIND_BITS = 13, 8, (MOST_KINDS - 1).bit_length()
MOST_DAYS = 2**DAY_BITS


@define
class DrawnEvents:
    """Events in order of (row, day, place): a member's order of time."""

    row: Ints
    day: Ints
    kind: Ints
    #: The place among a member's events of the day, from 0.
    rank: Ints
    #: (kind, field) → a value per event of the kind, in this order.
    data: dict[tuple[int, str], Ints] = field(factory=dict)

    _places: dict[int, Ints] = field(factory=dict, init=False)

    def of_kind(self, kind: int) -> Ints:
        """Return the places of the events of a kind; found once."""
        if kind not in self._places:
            self._places[kind] = np.flatnonzero(self.kind == kind)
        return self._places[kind]


def draw_events(
    world: World,
    rows: Rows,
    *,
    clock: Clock,
    kinds: Sequence[str],
    words: Mapping[tuple[str, str], tuple[Any, ...] | None],
    where: tuple[int, int],
) -> DrawnEvents:
    """Draw the events of one chunk of members."""
    packed: list[Ints] = [
        _repeated(world, rows, clock=clock, kind=kind, place=place, where=where)
        for place, kind in enumerate(kinds)
    ]
    packed.append(_of_changes(world, rows, clock, kinds, where))
    keys = np.concatenate(packed)
    # Each kind lies in order: a stable sort only merges them.
    keys.sort(kind="stable")
    kind = (keys & (MOST_KINDS - 1)).astype(np.int8)
    keys >>= KIND_BITS + PLACE_BITS
    day = (keys & (MOST_DAYS - 1)).astype(np.int32)
    row = (keys >> DAY_BITS).astype(np.int32)
    found = DrawnEvents(row, day, kind, rank_within(keys))
    for place, name in enumerate(kinds):
        draw_data(world, rows, found, clock=clock, words=words, kind=(place, name), where=where)
    return found


def rank_within(keys: Ints) -> Ints:
    """Return each element's place among equal neighbours of a sorted array.

    >>> rank_within(np.array([3, 3, 5, 5, 5])).tolist()
    [0, 1, 0, 1, 2]
    """
    places = np.arange(len(keys), dtype=np.int32)
    if not len(keys):
        return places
    starts = np.where(np.concatenate([[True], keys[1:] != keys[:-1]]), places, 0)
    np.maximum.accumulate(starts, out=starts)
    ranks: Ints = places - starts.astype(np.int32)
    return ranks


def _pack(row: Ints, day: Ints, place: Ints, kind: int) -> Ints:
    key = (row << DAY_BITS) | day
    key <<= PLACE_BITS
    key |= place
    key <<= KIND_BITS
    key |= kind
    return key


def _in_month(clock: Clock, month: Ints, part: Floats) -> Ints:
    """Return the day at a fraction of a month."""
    first = clock.first_days.astype(np.int64)
    length = np.diff(first)
    found: Ints = first[month] + (part * length[month]).astype(np.int64)
    return np.minimum(found, first[month + 1] - 1)


def _repeated(
    world: World, rows: Rows, *, clock: Clock, kind: str, place: int, where: tuple[int, int]
) -> Ints:
    """Draw one kind's events, packed and in order."""
    found = timed(world, rows, kind=kind, where=where, is_placed=True)
    assert isinstance(found, Timed) and found.part is not None  # noqa: S101, PT018 — asked for
    if not len(found.month):
        return np.zeros(0, dtype=np.int64)
    keys = _packed(clock, kind=place, month=found.month, part=found.part, counts=found.counts)
    # Members lie in order already: a stable sort has only each one's events to look at.
    keys.sort(kind="stable")
    return keys


def _packed(clock: Clock, *, kind: int, month: Ints, part: Floats, counts: Ints) -> Ints:
    """Pack events at fractions of months, so many of each row; `part` is used up."""
    first = clock.first_days.astype(np.int64) << PLACE_BITS
    part *= np.diff(first)[month]
    # A place in the day is the day's next bits: one number for both. It is less than a month, for `part` < 1.
    keys = part.astype(np.int64)
    keys += first[month]
    keys <<= KIND_BITS
    rows = np.arange(len(counts), dtype=np.int64) << (DAY_BITS + PLACE_BITS + KIND_BITS)
    keys += np.repeat(rows | kind, counts)
    return keys


def _of_changes(world: World, rows: Rows, clock: Clock, kinds: Sequence[str], where: tuple[int, int]) -> Ints:
    """Return the events that come once: of becoming something else, and of an invitee's joining."""
    rng = world.stream("changes", *where)
    keys: list[Ints] = [np.zeros(0, dtype=np.int64)]
    for k, one in enumerate(world.groups):
        if one.becomes_event:
            found = np.flatnonzero((rows.group == k) & (rows.becomes < world.months))
            keys.append(_once(rng, clock, found, rows.becomes[found], kinds.index(one.becomes_event)))
    invitees = np.flatnonzero(rows.referrer >= 0)
    if len(invitees):
        by = rows.referrer[invitees].astype(np.int64)
        month = rows.arrival[invitees]
        is_changed = month > rows.becomes[by]
        group = np.where(is_changed, rows.target[by], rows.group[by])
        for k, one in enumerate(world.groups):
            mine = group == k
            event = world.behaviours[one.name].referral_event
            keys.append(
                _once(rng, clock, by[mine], month[mine], kinds.index(event) if event in kinds else -1)
            )
    return np.concatenate(keys)


def _once(rng: np.random.Generator, clock: Clock, rows: Ints, month: Ints, kind: int) -> Ints:
    part, place = rng.random(len(rows)), rng.integers(0, 1 << PLACE_BITS, len(rows))
    if kind < 0:
        return np.zeros(0, dtype=np.int64)
    return _pack(rows, _in_month(clock, month.astype(np.int64), part), place, kind)


def draw_data(
    world: World,
    rows: Rows,
    found: DrawnEvents,
    *,
    clock: Clock,
    words: Mapping[tuple[str, str], tuple[Any, ...] | None],
    kind: tuple[int, str],
    where: tuple[int, int],
) -> None:
    """Draw the data of a kind's events; groups may differ in how."""
    place, name = kind
    draws = [world.behaviours[one.name].data.get(name, {}) for one in world.groups]
    fields = sorted({key for one in draws for key in one})
    if not fields:
        return
    mine = found.of_kind(place)
    group = group_at(rows, found.row[mine], clock.month_of[found.day[mine]])
    for key in fields:
        rng = world.stream("data", name, key, *where)
        known = words[name, key]
        values = np.full(len(mine), MISSING if known is None else -1, dtype=np.int64)
        for k, one in enumerate(draws):
            if key not in one:
                continue
            chosen = np.flatnonzero(group == k)
            drawn = one[key].draw(rng, len(chosen))
            if known is not None:
                drawn = np.array([known.index(value) for value in one[key].values], dtype=np.int64)[drawn]
            values[chosen] = drawn
        found.data[place, key] = values
