"""When members act: how many events of a kind each has, and in which months; a place in the month only when asked.

Both passes draw from here, so that they see the same events. The month pass asks for no place in the month.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from attrs import define

from userops.core.chance import words
from userops.simulation.columns import Array, Floats, Ints
from userops.simulation.inputs import World
from userops.simulation.members.rows import Rows

#: Below this rate per month it is quicker to draw a member's events of the whole horizon at once.
_OFTEN = 0.2
#: Above this rate a count may not fit into 8 bits.
_SELDOM = 64.0
_BITS = 16
_UNSURE = np.uint8(255)
#: So many counts are looked up together.
_IN_CACHE = 2**17


@define(eq=False)
class Timed:
    """The events of one kind: how many of each row, and row by row the month of each."""

    counts: Ints
    month: Ints
    #: How far into its month each lies, from 0 to below 1; None where nobody asked.
    part: Floats | None


def timed(world: World, rows: Rows, *, kind: str, where: tuple[int, int], is_placed: bool) -> Timed | Array:
    """Draw one kind's events over the whole horizon; not `is_placed`: perhaps as counts by (month, row)."""
    rng = world.stream("events", kind, *where)
    seasons = [_seasons(world, one.name) for one in world.groups]
    stop = np.minimum(rows.lapse, world.months)
    turn = np.minimum(rows.becomes, stop)
    expected, scale = _expected(world, rows, kind, rng=rng, seasons=seasons, turn=turn, stop=stop)
    rates = _common_rates(rows, scale, seasons)
    if rates is not None and rates.mean() >= _OFTEN and rates.max() <= _SELDOM:
        cells = _cells(world, rows, rng, rates)
        if not is_placed:
            return cells
        months = np.tile(np.arange(world.months, dtype=np.int32), len(rows))
        month = np.repeat(months, cells.T.ravel())
        return Timed(
            cells.sum(axis=0, dtype=np.int64), month, world.stream("days", kind, *where).random(len(month))
        )
    return _one_by_one(rows, rng, expected, scale, seasons=seasons, turn=turn, is_placed=is_placed)


def _common_rates(rows: Rows, scale: Floats, seasons: Sequence[Floats]) -> Floats | None:
    """Return the rate of each month where all members have the same while they are active, None elsewhere."""
    if not len(rows) or not (scale == scale[0, 0]).all():
        return None
    found = np.diff(seasons[rows.group[0]])
    groups = np.unique(np.concatenate([rows.group, rows.target]))
    return found * scale[0, 0] if all((np.diff(seasons[k]) == found).all() for k in groups) else None


def _cells(world: World, rows: Rows, rng: np.random.Generator, rates: Floats) -> Array:
    """Draw counts by (month, row), all members having one rate: nearly all are known from 16 bits.

    Each 16 bits stand for a stretch of the uniform line; where the count changes within it, 53 bits more say on
    which side a member lies. So counts are Poisson's as far as doubles go.
    """
    months, size = world.months, len(rows)
    bits = words(rng, -(-months * size // 2)).view(np.uint16)[: months * size].reshape(months, size)
    found = np.empty((months, size), dtype=np.uint8)
    together = max(1, _IN_CACHE // size)
    for rate in np.unique(rates):
        alike = np.flatnonzero(rates == rate)
        for low in range(0, len(alike), together):
            some = alike[low : low + together]
            where = slice(some[0], some[-1] + 1) if some[-1] - some[0] == len(some) - 1 else some
            found[where] = _poisson(float(rate))[1].take(bits[where], mode="clip")
    unsure = np.flatnonzero(found == _UNSURE)
    exact = (bits.ravel()[unsure] + rng.random(len(unsure))) / 2**_BITS
    for rate in np.unique(rates):
        mine = np.flatnonzero(rates[unsure // size] == rate)
        found.ravel()[unsure[mine]] = np.searchsorted(_poisson(float(rate))[0], exact[mine], side="right")
    if rows.arrival.max() > 0 or rows.lapse.min() < months:
        for month in range(months):
            found[month] *= (rows.arrival <= month) & (rows.lapse > month)
    return found


@lru_cache(maxsize=256)
def _poisson(rate: float) -> tuple[Floats, Array]:
    """Return the chances of at most 0, 1, 2, … events, and the count of each 16 bits: `_UNSURE` where they leave it open."""
    chance, total = math.exp(-rate), 0.0
    below: Floats = np.empty(int(_UNSURE) - 1)
    for count in range(len(below)):
        total += chance
        below[count] = total
        chance *= rate / (count + 1)
    edges = np.arange(2**_BITS + 1) / 2**_BITS
    first = np.searchsorted(below, edges[:-1], side="right")
    # The upper edge of a stretch is not in it.
    last = np.searchsorted(below, np.nextafter(edges[1:], 0.0), side="right")
    return below, np.where(first == last, first, _UNSURE).astype(np.uint8)


def _one_by_one(
    rows: Rows,
    rng: np.random.Generator,
    expected: Floats,
    scale: Floats,
    *,
    seasons: Sequence[Floats],
    turn: Ints,
    is_placed: bool,
) -> Timed:
    """Draw a count per member, then a time for each event."""
    months, whole = len(seasons[0]) - 1, expected.sum(axis=0)
    counts: Ints = rng.poisson(whole)
    position = rng.random(int(counts.sum()))
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
    if all(bool((np.diff(one) == 1.0).all()) for one in seasons):
        position += start
        return _split(counts, position, months, is_placed=is_placed)
    group = np.repeat(rows.group, counts)
    group[later] = rows.target[by]
    return Timed(counts, *_months_at(seasons, group, start, position, months))


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
