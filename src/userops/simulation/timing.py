"""When members act: how many events of a kind each has, and in which months; a place in the month only when asked.

Both passes draw from here, so that they see the same events. The month pass asks for no place in the month.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import define

from userops.simulation.arrays import Array, Floats, Ints
from userops.simulation.population import Rows, World


@define(eq=False)
class Timed:
    """The events of one kind: how many of each row, and row by row, in no order, the month of each."""

    counts: Ints
    month: Ints
    #: How far into its month each lies, from 0 to below 1; None where nobody asked.
    part: Floats | None


def timed(world: World, rows: Rows, *, kind: str, where: tuple[int, int], is_placed: bool) -> Timed:
    """Draw one kind's events over the whole horizon: a count per member, then a time for each."""
    rng = world.stream("events", kind, *where)
    seasons = [_seasons(world, one.name) for one in world.groups]
    stop = np.minimum(rows.lapse, world.months)
    turn = np.minimum(rows.becomes, stop)
    expected, scale = _expected(world, rows, kind, rng=rng, seasons=seasons, turn=turn, stop=stop)
    whole = expected.sum(axis=0)
    is_alike = bool(len(whole) and (whole == whole[0]).all())
    # The same draws either way: numpy asks less for a rate that all share.
    counts: Ints = rng.poisson(whole[0], len(whole)) if is_alike else rng.poisson(whole)
    total = int(counts.sum())
    if not total:
        return Timed(counts, np.zeros(0, dtype=np.int32), np.zeros(0))
    is_flat = all(bool((np.diff(one) == 1.0).all()) for one in seasons)
    first = int(rows.arrival[0])
    if is_flat and turn.min() == world.months and (rows.arrival == first).all():
        # All are there all the time, and no month is like another: whole numbers say it exactly.
        month: Ints = rng.integers(first, world.months, total, dtype=np.uint16)
        return Timed(counts, month, world.stream("days", kind, *where).random(total) if is_placed else None)
    position = rng.random(total)
    position *= np.repeat(whole, counts)
    # Most members do it in one group only: the others' events after the change are put right alone.
    later = np.zeros(0, dtype=np.int64)
    by: Ints = np.zeros(0, dtype=np.int64)
    if expected[1].any():
        later = np.flatnonzero(position >= np.repeat(expected[0], counts))
        by = np.repeat(np.arange(len(rows), dtype=np.int32), counts)[later]
    beyond = position[later] - expected[0][by]
    with np.errstate(divide="ignore", invalid="ignore"):
        position *= np.repeat(1 / scale[0], counts)
    position[later] = beyond / scale[1][by]
    start = np.repeat(rows.arrival, counts)
    start[later] = turn[by]
    if is_flat:
        position += start
        return _split(counts, position, world.months, is_placed=is_placed)
    group = np.repeat(rows.group, counts)
    group[later] = rows.target[by]
    return Timed(counts, *_months_at(seasons, group, start, position, world.months))


def _expected(
    world: World,
    rows: Rows,
    kind: str,
    *,
    rng: np.random.Generator,
    seasons: Sequence[Floats],
    turn: Ints,
    stop: Ints,
) -> tuple[Floats, Floats]:
    """Return the events expected of each row before and after its change of group, and its rates per month."""
    expected, factor = np.zeros((2, len(rows))), np.ones(len(rows))
    bases = np.zeros(len(world.groups))
    for k, one in enumerate(world.groups):
        found = world.behaviours[one.name].events.get(kind)
        if found is None:
            continue
        bases[k] = world.of(one.name, f"events_per_month.{kind}")
        before, after = rows.group == k, rows.target == k
        if found.dispersion:
            mine = np.flatnonzero(before)
            factor[mine] = rng.gamma(1 / found.dispersion, found.dispersion, len(mine))
        total = seasons[k]
        expected[0] += before * bases[k] * (total[turn] - total[np.minimum(rows.arrival, turn)])
        expected[1] += after * bases[k] * (total[stop] - total[turn])
    expected *= factor
    return expected, np.stack([bases[rows.group], bases[rows.target]]) * factor


def _seasons(world: World, name: str) -> Floats:
    """Return the seasonal factors of the months, cumulated from 0."""
    season = np.asarray(world.behaviours[name].season)[list(world.calendar_months)]
    return np.concatenate([[0.0], np.cumsum(season)])


def _split(counts: Ints, position: Floats, months: int, *, is_placed: bool) -> Timed:
    """Return the month and the fraction of it, of places on the line of months; `position` is used up."""
    np.minimum(position, np.nextafter(months, 0.0), out=position)
    month = position.astype(np.int32)
    if is_placed:
        position -= month
    return Timed(counts, month, position if is_placed else None)


def _months_at(
    seasons: Sequence[Floats],
    group: Ints,
    start: Ints,
    position: Floats,
    months: int,
) -> tuple[Ints, Floats]:
    """Return (month, fraction of it) at a distance from a start on the cumulated seasons of a group."""
    month, part = np.zeros(len(position), dtype=np.int64), np.zeros(len(position))
    for k, total in enumerate(seasons):
        mine: Any = np.flatnonzero(group == k) if len(seasons) > 1 else slice(None)
        x = total[start[mine]] + position[mine]
        is_flat = bool((np.diff(total) == 1.0).all())
        found: Array = x.astype(np.int64) if is_flat else np.searchsorted(total, x, side="right") - 1
        found = np.clip(found, 0, months - 1)
        width = total[found + 1] - total[found]
        month[mine] = found
        part[mine] = np.clip(
            (x - total[found]) / np.where(width > 0, width, 1.0), 0.0, np.nextafter(1.0, 0.0)
        )
    return month, part
