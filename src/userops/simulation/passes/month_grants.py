"""Month grants: what the rules give to each member in each month, where that is all that matters."""

from __future__ import annotations

import numpy as np
from attrs import define

from userops.core.conditions import ALWAYS
from userops.program.rules import Fixed
from userops.simulation.columns import Array, Ints
from userops.simulation.inputs import PreparedRule, Spec, World
from userops.simulation.members import DrawnEvents, Rows, Timed, columns_of, draw_data, timed
from userops.simulation.rules import asked_points, prepare

#: Members whose events are counted together: their cells stay in the processor's cache.
_TOGETHER = 2**13
_MONTH_BITS = 8


@define(eq=False)
class Cells:
    """What one rule gives, by (month, row): so many times the same."""

    units: Array
    each: int
    #: How many events it gives for; None where nobody asks.
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
            counts = _counts(drawn, world.months) if isinstance(drawn, Timed) else drawn
            if len(changes[0]):
                # Of one member at most one in a month.
                counts = counts.astype(np.int32)
                counts[changes[1], changes[0]] += 1
            for place, one in enumerate(rules):
                found[kind, place] = _fixed(spec, one, counts)
            continue
        key = _keys(drawn)
        key = np.concatenate([key, (changes[0] << _MONTH_BITS) | changes[1]])
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


def _keys(drawn: Timed | Array) -> Ints:
    """Return the row and the month of each event, packed."""
    if isinstance(drawn, Timed):
        row = np.arange(len(drawn.counts)) << _MONTH_BITS
        keys: Ints = np.repeat(row, drawn.counts) + drawn.month
        return keys
    months, rows = drawn.shape
    every = (np.arange(rows)[:, None] << _MONTH_BITS) | np.arange(months)
    return np.repeat(every.ravel(), drawn.T.ravel())


def _counts(drawn: Timed, months: int) -> Array:
    """Count events by (month, row); they lie row by row, so many of each."""
    counts, month = drawn.counts, drawn.month
    rows = len(counts)
    found = np.empty((months, rows), dtype=np.int32)
    ends = np.concatenate([[0], np.cumsum(counts)])
    for low in range(0, rows, _TOGETHER):
        high = min(rows, low + _TOGETHER)
        # Months a power of two apart would all fall into one line of the cache: nine times as long.
        apart = (high - low) // 64 * 64 + 72
        code = np.multiply(month[ends[low] : ends[high]], apart, dtype=np.int64)
        code += np.repeat(np.arange(high - low), counts[low:high])
        counted = np.bincount(code, minlength=months * apart).reshape(months, apart)
        found[:, low:high] = counted[:, : high - low]
    return found


def _fixed(spec: Spec, one: PreparedRule, counts: Array) -> Cells:
    """Return the cells of a rule that gives the same each time."""
    points = int(asked_points(one.rule, {}, 1, None)[0])
    for x in one.limits:
        if (x.slot < 0 or x.is_shared) and x.limit.cap.points is not None:
            points = min(points, x.limit.cap.points)
    is_open = one.is_open[spec.clock.first_days[:-1]] & (points > 0)
    if not is_open.all():
        counts = counts * is_open[:, None].astype(counts.dtype)
    return _capped(spec, one, Cells(counts, points, counts))


def _by_event(
    spec: Spec, world: World, rows: Rows, listed: Listed, *, kind: int, where: tuple[int, int]
) -> list[Cells]:
    """Return the cells of a kind's rules that look at each event."""
    row, month = listed
    clock, rules, name = spec.clock, spec.book.rules[kind], spec.kinds[kind]
    day = clock.first_days[month]
    found = DrawnEvents(row.astype(np.int32), day, np.full(len(row), kind, dtype=np.int8), np.zeros_like(day))
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
        listed_cells.append(_capped(spec, one, Cells(points, 1, times), each))
    return listed_cells


def _capped(spec: Spec, one: PreparedRule, cells: Cells, each: int | None = None) -> Cells:
    """Put a rule's cells under its caps by month, year and lifetime; `each` is what it gives each time, if the same.

    A cap in points cuts the grant that crosses it, so a month's grants come to what is left at most. A cap in
    times lets so many pass; where it is met every grant is `each`, but the last that a cap in points cuts.
    """
    own = [x for x in one.limits if x.slot >= 0 and not x.is_shared]
    if not own:
        return cells
    assert cells.times is not None  # noqa: S101 — counted before
    each = cells.each if each is None else each
    all_points, all_times = cells.units.astype(np.int64) * cells.each, cells.times.astype(np.int64)
    rows, first = all_points.shape[1], spec.clock.first_days[:-1]
    periods = {x.key[1]: spec.clock.periods[x.key[1]][first] for x in own}
    used: dict[str, Array] = {}
    for month, (points, times) in enumerate(zip(all_points, all_times, strict=True)):
        for per, period in periods.items():
            if not month or period[month] != period[month - 1]:
                used[per] = np.zeros((2, rows), dtype=np.int64)
        for x in own:
            if x.limit.cap.times is not None:
                np.minimum(times, x.limit.cap.times - used[x.key[1]][0], out=times)
                np.minimum(points, times * each, out=points)
        for x in own:
            if x.limit.cap.points is not None:
                np.minimum(points, np.maximum(0, x.limit.cap.points - used[x.key[1]][1]), out=points)
        if each:
            times[:] = -(-points // each)
        for per in used:
            used[per] += (times, points)
    return Cells(all_points, 1, all_times)
