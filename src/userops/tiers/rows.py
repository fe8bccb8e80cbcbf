"""Value events of many members as columns: read, ordered by member and instant, one row per instant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from userops.core import columns as core_columns
from userops.core.amounts import whole
from userops.errors import InvalidValue
from userops.tiers.rules import Rules

Ints = NDArray[np.int64]
_MAX_SUM = 2.0**62


@frozen
class Rows:
    """Events by member (a code) and instant, and which rows are whose."""

    #: The members, in order; a member's code is its place.
    members: NDArray[Any]
    member: Ints
    at: Ints
    #: Net value of each metric of the ladder.
    values: Mapping[str, Ints]
    #: Rows of member m: starts[m] to starts[m + 1].
    starts: Ints


def whole_column(values: Any, name: str) -> Ints:
    """Return a column of whole numbers as int64; floats, truth values and missing ones are refused.

    >>> whole_column([1, 2], "value").tolist()
    [1, 2]
    """
    taken = core_columns.column(values, name)
    if np.ma.getmaskarray(taken).any():
        raise InvalidValue(f"{name} has missing values")
    data = np.ma.getdata(taken)
    if not len(data):
        return np.zeros(0, dtype=np.int64)
    if data.dtype == object:
        return np.fromiter((whole(value, name) for value in data), np.int64, len(data))
    if data.dtype.kind not in "iu":
        raise InvalidValue(f"{name} must be whole numbers, not {data.dtype}")
    if data.dtype.kind == "u" and int(data.max()) >= 2**63:
        raise InvalidValue(f"{name} must be within 64 bits")
    found: Ints = data.astype(np.int64, copy=False)
    return found


def magnitude(value: Ints) -> float:
    """Return a number that the absolute values do not sum to more than.

    >>> magnitude(np.array([3, -4]))
    8.0
    """
    if not len(value):
        return 0.0
    largest = max(abs(int(value.min())), abs(int(value.max())))
    bound = float(largest) * len(value)
    return bound if bound < 2.0**50 else float(np.abs(value.astype(np.float64)).sum())


def order_of(member: Ints, at: Ints) -> Ints:
    """Return the order by member and instant, equal rows in their own order.

    One sort of packed numbers — member, the high bits of the instant, the row's place — does nearly all of it,
    many times faster than a stable argsort; what the high bits leave equal is put right afterwards.

    >>> order_of(np.array([1, 0, 0]), np.array([5, 7, 6])).tolist()
    [2, 1, 0]
    """
    rows = len(member)
    if rows < 2:
        return np.arange(rows, dtype=np.int64)
    place_bits = (rows - 1).bit_length()
    since = at - at.min()
    bits = int(since.max()).bit_length()
    room = 63 - place_bits - int(member.max()).bit_length()
    if room < 1 or bits > 62:
        return np.lexsort((at, member))
    cut = max(0, bits - room)
    packed = (((member << (bits - cut)) | (since >> cut)) << place_bits) | np.arange(rows)
    packed.sort()
    order: Ints = packed & ((1 << place_bits) - 1)
    if cut:
        packed >>= place_bits
        is_tie = packed[1:] == packed[:-1]
        if is_tie.any():
            in_tie = np.zeros(rows, dtype=bool)
            in_tie[1:] |= is_tie
            in_tie[:-1] |= is_tie
            places = np.flatnonzero(in_tie)
            tied = order[places]
            order[places] = tied[np.lexsort((at[tied], packed[places]))]
    return order


def _codes(values: Any, name: str) -> tuple[NDArray[Any], Ints]:
    taken = core_columns.column(values, name)
    if isinstance(taken, np.ma.MaskedArray) or taken.dtype.kind not in "iu" or not len(taken):
        return core_columns.codes(taken, name)
    low, high = int(taken.min()), int(taken.max())
    if high - low > 4 * len(taken) + 1_000 or high >= 2**62 or low <= -(2**62):
        return core_columns.codes(taken, name)
    # Dense numbers need no sorting: mark those present, and count.
    place = taken.astype(np.int64) - low
    present = np.zeros(high - low + 1, dtype=bool)
    present[place] = True
    distinct = np.flatnonzero(present)
    code = np.cumsum(present) - 1
    return (distinct + low).astype(taken.dtype), code[place]


def read_rows(rules: Rules, data: Any, *, as_of: int, known_at: int | None, more_members: Any = None) -> Rows:
    """Read columns `member`, `at`, `value`, and `metric` and `recorded_at` where they are given."""
    table = core_columns.columns(data)
    for name in ("member", "at", "value"):
        if name not in table:
            raise InvalidValue(f"no column {name!r}; standings need member, at and value")
    at, value = core_columns.instants(table["at"]), whole_column(table["value"], "value")
    if magnitude(value) >= _MAX_SUM:
        raise InvalidValue("the values sum to more than 64 bits hold")
    members, member = _codes(table["member"], "member")
    if more_members is not None:
        named = core_columns.codes(more_members, "member of records")[0]
        joined = np.union1d(members, named) if len(members) else named
        member = np.searchsorted(joined, members)[member] if len(members) else member
        members = joined
    keep = at <= as_of
    if "recorded_at" in table and known_at is not None:
        keep &= np.maximum(core_columns.instants(table["recorded_at"], "recorded_at"), at) <= known_at
    elif known_at is not None:
        keep &= at <= known_at
    metric = _metric_codes(rules, table.get("metric"), len(at))
    if not keep.all():
        member, at, value = member[keep], at[keep], value[keep]
        metric = None if metric is None else metric[keep]
    if not _is_ordered(member, at):
        order = order_of(member, at)
        member, at, value = member[order], at[order], value[order]
        metric = None if metric is None else metric[order]
    return _summed(rules, members, member, at, value=value, metric=metric)


def _metric_codes(rules: Rules, column: Any, rows: int) -> Ints | None:
    """Return each row's metric as its place in the ladder's, −1 for others; None: all are the ladder's own."""
    if column is None:
        return None
    names, codes = core_columns.codes(column, "metric")
    places = [rules.metrics.index(name) if name in rules.metrics else -1 for name in names.tolist()]
    return np.array(places, dtype=np.int64)[codes] if rows else codes


def _is_ordered(member: Ints, at: Ints) -> bool:
    later = (member[1:] > member[:-1]) | ((member[1:] == member[:-1]) & (at[1:] >= at[:-1]))
    return bool(later.all())


def _summed(
    rules: Rules, members: NDArray[Any], member: Ints, at: Ints, *, value: Ints, metric: Ints | None
) -> Rows:
    """Sum what shares a member and an instant into one row."""
    is_first = np.ones(len(at), dtype=bool)
    is_first[1:] = (member[1:] != member[:-1]) | (at[1:] != at[:-1])
    firsts = np.flatnonzero(is_first)
    values = {}
    for place, name in enumerate(rules.metrics):
        own = value if metric is None else np.where(metric == place, value, 0)
        if metric is None and place:
            own = np.zeros(len(at), dtype=np.int64)
        values[name] = own if len(firsts) == len(at) else np.add.reduceat(own, firsts)
    if len(firsts) < len(at):
        member, at = member[firsts], at[firsts]
    starts = np.searchsorted(member, np.arange(len(members) + 1))
    return Rows(members, member, at, values, starts)


def within(at: Ints, bound: Ints, low: Ints, high: Ints) -> Ints:
    """Return for each query how far the rows low..high, in order, lie at or before its bound.

    >>> within(np.array([1, 3, 5]), np.array([3]), np.array([0]), np.array([3])).tolist()
    [2]
    """
    low, high = low.copy(), high.copy()
    if not len(low):
        return low
    for _ in range(int((high - low).max()).bit_length()):
        middle = (low + high) >> 1
        is_open = low < high
        is_before = is_open & (at[np.minimum(middle, len(at) - 1)] <= bound)
        low = np.where(is_before, middle + 1, low)
        high = np.where(is_open & ~is_before, middle, high)
    return low
