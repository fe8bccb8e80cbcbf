"""Cells: what the rules give to each member in each month, where that is all that matters."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import define

from userops.core.conditions import ALWAYS
from userops.program.rules import Fixed
from userops.simulation.arrays import Array, Ints
from userops.simulation.asking import PreparedRule, asked_points
from userops.simulation.facts import columns_of
from userops.simulation.happenings import Happenings, draw_data
from userops.simulation.population import Rows, World
from userops.simulation.prepared import prepare
from userops.simulation.spec import Spec
from userops.simulation.timing import timed

#: Members whose events are counted together: their cells stay in the processor's cache.
_TOGETHER = 2**13
_MONTH_BITS = 8
#: Sums that stay below this are kept in 32 bits.
_SMALL = 2**31


@define(eq=False)
class Cells:
    """What one rule gives, by (month, row)."""

    points: Array
    #: How many events it gives for; None where no cap of all members counts them.
    times: Array | None


#: The events of a kind in order of (row, month): the row and the month of each.
Listed = tuple[Ints, Ints]


def cells_of(spec: Spec, world: World, rows: Rows, where: tuple[int, int]) -> dict[tuple[int, int], Cells]:
    """Return what the rules give to the members of one chunk, by (kind, place among its rules)."""
    found: dict[tuple[int, int], Cells] = {}
    for kind, name in enumerate(spec.kinds):
        rules = spec.book.rules[kind]
        if not rules:
            continue
        drawn = timed(world, rows, kind=name, where=where, is_placed=False)
        changes = _changes(world, rows, name)
        if all(_is_plain(one) for one in rules):
            counts = _counts(drawn.counts, drawn.month, world.months)
            np.add.at(counts, (changes[1], changes[0]), 1)
            for place, one in enumerate(rules):
                found[kind, place] = _fixed(spec, one, counts)
            continue
        row = np.concatenate([np.repeat(np.arange(len(rows)), drawn.counts), changes[0]])
        key = (row << _MONTH_BITS) | np.concatenate([drawn.month, changes[1]]).astype(np.int64)
        key.sort(kind="stable")
        listed = (key >> _MONTH_BITS, key & ((1 << _MONTH_BITS) - 1))
        for place, cells in enumerate(_by_event(spec, world, rows, listed, kind=kind, where=where)):
            found[kind, place] = cells
    return found


def _is_plain(one: PreparedRule) -> bool:
    """Say whether a rule gives the same at every event of its kind."""
    return (
        isinstance(one.rule.points, Fixed)
        and one.rule.when == ALWAYS
        and not any(x.limit.is_conditional for x in one.limits)
    )


def _changes(world: World, rows: Rows, kind: str) -> Listed:
    """Return the events of a kind with which members become something else."""
    row: list[Ints] = [np.zeros(0, dtype=np.int64)]
    for k, one in enumerate(world.groups):
        if one.becomes_event == kind:
            row.append(np.flatnonzero((rows.group == k) & (rows.becomes < world.months)))
    rows_of = np.concatenate(row)
    return rows_of, rows.becomes[rows_of].astype(np.int64)


def _counts(counts: Ints, month: Ints, months: int) -> Array:
    """Count events by (month, row); they lie row by row, so many of each."""
    rows = len(counts)
    found = np.empty((months, rows), dtype=np.int32)
    ends = np.concatenate([[0], np.cumsum(counts)])
    for low in range(0, rows, _TOGETHER):
        high = min(rows, low + _TOGETHER)
        code = np.multiply(month[ends[low] : ends[high]], high - low, dtype=np.int64)
        code += np.repeat(np.arange(high - low), counts[low:high])
        size = months * (high - low)
        found[:, low:high] = np.bincount(code, minlength=size).reshape(months, high - low)
    return found


def _fixed(spec: Spec, one: PreparedRule, counts: Array) -> Cells:
    """Return the cells of a rule that gives the same each time."""
    points = int(asked_points(one.rule, {}, 1, None)[0])
    for x in one.limits:
        if (x.slot < 0 or x.is_shared) and x.limit.cap.points is not None:
            points = min(points, x.limit.cap.points)
    is_open = one.is_open[spec.clock.first_days[:-1]]
    if not is_open.all():
        counts = counts * is_open[:, None].astype(np.int32)
    total = points * int(counts.max(initial=0)) * len(counts)
    found = np.multiply(counts, points, dtype=np.int32 if total < _SMALL else np.int64)
    # Rules of one kind share the counts; caps write into them.
    times = counts.copy() if points and one.limits else counts * (points > 0)
    return _capped(spec, one, Cells(found, times), points)


def _by_event(
    spec: Spec, world: World, rows: Rows, listed: Listed, *, kind: int, where: tuple[int, int]
) -> list[Cells]:
    """Return the cells of a kind's rules that look at each event."""
    row, month = listed
    clock, rules, name = spec.clock, spec.book.rules[kind], spec.kinds[kind]
    day = clock.first_days[month]
    found = Happenings(row.astype(np.int32), day, np.full(len(row), kind, dtype=np.int8), np.zeros_like(day))
    draw_data(world, rows, found, clock=clock, words=spec.words, kind=(kind, name), where=where)
    columns = columns_of(
        world,
        rows,
        found,
        clock=clock,
        program=spec.program,
        kinds=spec.kinds,
        words=spec.words,
        kind=kind,
        is_full=False,
    )
    events = prepare(
        rules, [columns], [None], row=found.row, day=day, step=np.zeros(len(row), dtype=np.int64)
    )
    code, shape = month * len(rows) + row, (world.months, len(rows))
    listed_cells: list[Cells] = []
    for place, one in enumerate(rules):
        given = events.asked[place][0]
        for k, x in enumerate(one.limits):
            cap, mask = x.limit.cap, events.binds[place][0][k]
            if (x.slot < 0 or x.is_shared) and cap.points is not None:
                under = np.minimum(given, cap.points)
                given = under if mask is None else np.where(mask, under, given)
        points = np.bincount(code, given, minlength=shape[0] * shape[1]).reshape(shape).astype(np.int64)
        times = np.bincount(code[given > 0], minlength=shape[0] * shape[1]).reshape(shape)
        each = int(given.max(initial=0)) if isinstance(one.rule.points, Fixed) else 0
        listed_cells.append(_capped(spec, one, Cells(points, times), each))
    return listed_cells


def _capped(spec: Spec, one: PreparedRule, cells: Cells, each: int) -> Cells:
    """Put a rule's cells under its caps by month, year and lifetime; `each` is what it gives each time.

    A cap in points cuts the grant that crosses it, so a month's grants come to what is left at most. A cap in
    times lets so many pass; where it is met every grant is `each`, but the last that a cap in points cuts.
    """
    own = [x for x in one.limits if x.slot >= 0 and not x.is_shared]
    if not own:
        return cells
    assert cells.times is not None  # noqa: S101 — counted above
    rows, first = cells.points.shape[1], spec.clock.first_days[:-1]
    periods = {x.key[1]: spec.clock.periods[x.key[1]][first] for x in own}
    used: dict[Any, Array] = {}
    for month in range(len(cells.points)):
        times, points = cells.times[month], cells.points[month]
        for x in own:
            per = x.key[1]
            if not month or periods[per][month] != periods[per][month - 1]:
                used[per] = np.zeros((2, rows), dtype=np.int64)
            if x.limit.cap.times is not None:
                np.minimum(times, x.limit.cap.times - used[per][0], out=times, casting="unsafe")
                np.minimum(points, times * each, out=points, casting="unsafe")
        for x in own:
            if x.limit.cap.points is not None:
                left = np.maximum(0, x.limit.cap.points - used[x.key[1]][1])
                np.minimum(points, left, out=points, casting="unsafe")
        if each:
            times[:] = -(-points // each)
        for per in used:
            used[per] += np.stack([times, points])
    return cells
