"""Courses: each member's value with reversals taken out, once for every state of the world.

A reversal makes a new world: the member's past without the value it took back. A member with k reversals has
k + 1 courses, each true until the next reversal; the last is the one that holds at the end.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np
from numpy.typing import NDArray

from userops.tiers.rows import Ints, Rows


@attrs.frozen
class Courses:
    """Event rows by course, all values positive, and until when each course holds."""

    #: The member of each course; a member's courses lie one after another, the last being final.
    member: Ints
    starts: Ints
    until: Ints
    is_final: NDArray[np.bool_]
    course: Ints
    at: Ints
    values: Mapping[str, Ints]


def spread(starts: Ints, lengths: Ints) -> Ints:
    """Return the rows start, start + 1, … of every piece, one piece after another.

    >>> spread(np.array([5, 0]), np.array([2, 1])).tolist()
    [5, 6, 0]
    """
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    steps = np.arange(total, dtype=np.int64)
    rows: Ints = steps + np.repeat(starts - (ends - lengths), lengths)
    return rows


def courses_of(rows: Rows, chosen: Ints, metric: str, as_of: int) -> Courses:
    """Return the courses of the chosen members; only `metric` may have reversals."""
    starts, ends = rows.starts[chosen], rows.starts[chosen + 1]
    value = rows.values[metric]
    negative = np.flatnonzero(value < 0)
    if not len(negative):
        return _plain(rows, chosen, as_of)
    member_of = rows.member[negative]
    place = np.full(len(rows.members), -1, dtype=np.int64)
    place[chosen] = np.arange(len(chosen))
    is_chosen = place[member_of] >= 0
    negative, owner = negative[is_chosen], place[member_of[is_chosen]]
    counts = np.bincount(owner, minlength=len(chosen))
    # A course ends before the next reversal; the last has every row.
    owners = np.repeat(np.arange(len(chosen)), counts + 1)
    is_final = np.zeros(len(owners), dtype=bool)
    is_final[np.cumsum(counts + 1) - 1] = True
    stops, until = np.empty(len(owners), dtype=np.int64), np.full(len(owners), as_of, dtype=np.int64)
    stops[is_final] = ends
    stops[~is_final] = negative
    until[~is_final] = rows.at[negative] - 1
    lengths = stops - starts[owners]
    source = spread(starts[owners], lengths)
    course = np.repeat(np.arange(len(owners)), lengths)
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    values = {name: found[source] for name, found in rows.values.items()}
    # Most members never return anything: only the others' courses are netted.
    is_reversed = (counts > 0)[owners]
    part = np.flatnonzero(np.repeat(is_reversed, lengths))
    inner = np.concatenate([[0], np.cumsum(lengths[is_reversed])])
    values[metric][part] = netted(values[metric][part], inner)
    return Courses(chosen[owners], bounds, until, is_final, course, rows.at[source], values)


def _plain(rows: Rows, chosen: Ints, as_of: int) -> Courses:
    """Return one course per member, without copying where every member is chosen."""
    lengths = rows.starts[chosen + 1] - rows.starts[chosen]
    until, is_final = np.full(len(chosen), as_of, dtype=np.int64), np.ones(len(chosen), dtype=bool)
    if len(chosen) == len(rows.members):
        return Courses(chosen, rows.starts, until, is_final, rows.member, rows.at, rows.values)
    source = spread(rows.starts[chosen], lengths)
    course = np.repeat(np.arange(len(chosen)), lengths)
    values = {name: found[source] for name, found in rows.values.items()}
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    return Courses(chosen, bounds, until, is_final, course, rows.at[source], values)


def netted(value: Ints, starts: Ints) -> Ints:
    """Return what reversals, each taking the latest value before it, leave of each row.

    With S the running sum that never falls below zero, what is left up to a row is the least S from there on.

    >>> netted(np.array([5, 3, -4, 2]), np.array([0, 4])).tolist()
    [4, 0, 0, 2]
    """
    if not len(value) or value.min() >= 0:
        return value
    lengths = np.diff(starts)
    size = np.add.reduceat(np.abs(value), np.minimum(starts[:-1], len(value) - 1)) * (lengths > 0)
    lift = np.repeat(np.cumsum(size) - size, lengths)
    total = np.cumsum(value)
    before = np.concatenate([[0], total])[starts[:-1]]
    own = total - np.repeat(before, lengths)
    # Laid end to end with steps down, or up, that no piece can cross, the pieces need no loop.
    drop = np.repeat(2 * np.cumsum(size) - size, lengths)
    least = np.minimum.accumulate(own - drop) + drop
    floored = own - np.minimum(least, 0)
    rising = floored + lift
    kept = np.minimum.accumulate(rising[::-1])[::-1] - lift
    left: Ints = np.diff(kept, prepend=0)
    heads = starts[:-1][lengths > 0]
    left[heads] = kept[heads]
    return left
