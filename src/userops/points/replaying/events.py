"""Events as columns: what a columnar replay takes in, checked as a whole before anything is computed."""

from __future__ import annotations

import enum
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from userops.core.calendar import micros
from userops.core.columns import column, columns
from userops.errors import InvalidValue

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: The sentinel of `expires_at` that means never: the greatest int64.
NEVER = 2**63 - 1
#: What the fast paths can add up without overflow; beyond it everything is computed in Python's integers.
FAST_TOTAL = 2**61 - 1
_NO_TIME = -(2**63)
_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999
COLUMNS = ("member", "kind", "points", "at", "expires_at", "available_at", "fund", "undoes")


class Kind(enum.IntEnum):
    """What an event of a replay does."""

    EARN = 0
    SPEND = 1
    #: Undoes the event in the row that `undoes` names, or part of it: 0 points mean all that is left.
    REVERSE = 2


class Outcome(enum.IntEnum):
    """What became of an event: accepted, or for which reason a ledger would have refused it."""

    ACCEPTED = 0
    #: `InsufficientPoints`.
    INSUFFICIENT = 1
    #: `OverReversed`: nothing left to undo, or less than asked.
    OVER_REVERSED = 2
    #: `UnknownEntry`: what it undoes was refused, comes later, or is itself a reversal.
    UNKNOWN = 3
    #: `InvalidCommand`: a lot that could never be spent.
    INVALID = 4


@frozen(eq=False)
class EventColumns:
    """Checked columns of equal length; a row's place is its event's name."""

    member: Ints
    kind: NDArray[np.int8]
    points: Ints
    at: Ints
    #: `NEVER` where a lot does not expire, and where the row is not an earn.
    expires_at: Ints
    #: None when every lot is available from its earning.
    available_at: Ints | None
    #: Code of the fund of each earn; None when there is one fund only.
    fund: Ints | None
    #: The row that a reversal undoes; None without reversals.
    undoes: Ints | None
    #: The members and the funds as they were given, by code; None where codes were given.
    members: NDArray[Any] | None
    funds: NDArray[Any] | None

    def __len__(self) -> int:
        return len(self.kind)

    def member_code(self, member: Any) -> int:
        """Return a member's code, -1 for one without events."""
        if self.members is None:
            return int(_whole_scalar(member))
        found = int(np.searchsorted(self.members, member)) if isinstance(member, str) else len(self.members)
        return found if found < len(self.members) and self.members[found] == member else -1


def event_columns(data: Any) -> EventColumns:
    """Check a mapping of arrays, a structured array or a data frame, and return its columns.

    >>> event_columns({"member": [1], "kind": ["earn"], "points": [5], "at": [0]}).kind.tolist()
    [0]
    """
    if isinstance(data, EventColumns):
        return data
    given = columns(data)
    unknown = sorted(set(given) - set(COLUMNS))
    if unknown:
        raise InvalidValue(f"unknown column {unknown[0]!r}; the columns are {', '.join(COLUMNS)}")
    for name in COLUMNS[:4]:
        if name not in given:
            raise InvalidValue(f"no column {name!r}; needed are {', '.join(COLUMNS[:4])}")
    kind = _kinds(given["kind"])
    is_earn = kind == Kind.EARN
    member, members = _codes(given["member"], "member")
    fund, funds = _codes(given["fund"], "fund", of=is_earn) if "fund" in given else (None, None)
    at = _times(given["at"], "at")
    events = EventColumns(
        member=member,
        kind=kind,
        points=_points(given["points"], kind),
        at=at,
        expires_at=_optional_times(given.get("expires_at"), "expires_at", is_earn, np.int64(NEVER), len(at)),
        available_at=_available(given.get("available_at"), is_earn, at),
        fund=fund,
        undoes=_undone(given.get("undoes"), kind),
        members=members,
        funds=funds,
    )
    _check_same_member(events)
    return events


def whole_column(values: Any, name: str) -> Ints:
    """Return a column of whole numbers as int64; floats, booleans and missing values are refused.

    >>> whole_column([1.5], "points")
    Traceback (most recent call last):
    userops.errors.InvalidValue: points must be whole numbers, not float64
    """
    taken = column(values, name)
    if np.ma.getmaskarray(taken).any() if isinstance(taken, np.ma.MaskedArray) else False:
        raise InvalidValue(f"{name} has missing values")
    data = np.ma.getdata(taken)
    if data.size == 0:
        return np.zeros(0, np.int64)
    if data.dtype == object and all(type(value) is int or isinstance(value, np.integer) for value in data):
        if any(not -(2**63) <= int(value) < 2**63 for value in data):
            raise InvalidValue(f"{name} must be within 64 bits")
        data = data.astype(np.int64)
    if data.dtype.kind not in "iu":
        raise InvalidValue(f"{name} must be whole numbers, not {data.dtype}")
    if data.dtype.kind == "u" and data.dtype.itemsize == 8 and data.max() > np.uint64(2**63 - 1):
        raise InvalidValue(f"{name} must be within 64 bits")
    return np.ascontiguousarray(data, dtype=np.int64)


def _whole_scalar(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise InvalidValue(f"member must be a whole number, as in the columns, not {type(value).__name__}")
    return int(value)


def _first_row(bad: Bools, message: str) -> None:
    if bad.any():
        raise InvalidValue(f"row {int(np.argmax(bad))}: {message}")


def _kinds(values: Any) -> NDArray[np.int8]:
    taken = column(values, "kind")
    data = np.ma.getdata(taken)
    if data.size and (data.dtype.kind in "UT" or (data.dtype == object and isinstance(data[0], str))):
        if np.ma.getmaskarray(taken).any():
            raise InvalidValue("kind has missing values")
        kinds = np.full(len(data), -1, np.int8)
        for kind in Kind:
            kinds[data == kind.name.lower()] = kind
        _first_row(kinds < 0, f"kind must be one of {', '.join(k.name.lower() for k in Kind)}")
        return kinds
    if data.dtype == np.int8 and not isinstance(taken, np.ma.MaskedArray):
        numbers: NDArray[Any] = np.ascontiguousarray(data)
    else:
        numbers = whole_column(taken, "kind")
    if numbers.size and (int(numbers.min()) < 0 or int(numbers.max()) > max(Kind)):
        bad = (numbers < 0) | (numbers > max(Kind))
        _first_row(bad, "kind must be 0 (earn), 1 (spend) or 2 (reverse)")
    return numbers.astype(np.int8, copy=False)


def _codes(values: Any, name: str, of: Bools | None = None) -> tuple[Ints, NDArray[Any] | None]:
    """Return (codes, what each code stands for); whole numbers are codes themselves."""
    taken = column(values, name)
    data = np.ma.getdata(taken)
    missing = np.ma.getmaskarray(taken) if isinstance(taken, np.ma.MaskedArray) else None
    if data.dtype == object:
        missing = np.array([value is None for value in data], dtype=bool) | (
            False if missing is None else missing
        )
    if missing is not None and missing.any():
        _first_row(missing if of is None else missing & of, f"{name} is missing")
        data = np.where(missing, data[~missing][0] if not missing.all() else 0, data)
    if data.dtype.kind not in "UTO" or data.size == 0:
        return whole_column(data, name), None
    if data.dtype == object and not all(isinstance(value, str) for value in data):
        return whole_column(data, name), None
    distinct, inverse = np.unique(data.astype(str), return_inverse=True)
    return inverse.astype(np.int64).reshape(-1), distinct


def _points(values: Any, kind: NDArray[np.int8]) -> Ints:
    points = whole_column(values, "points")
    if not points.size:
        return points
    least = int(points.min())
    if least < 1:
        _first_row(points < 0, "points must not be negative")
        _first_row((points == 0) & (kind != Kind.REVERSE), "points must be at least 1")
    if int(points.max()) > NEVER // len(points):
        # The sum may not fit: add the halves of the numbers apart.
        total = (int((points >> 32).sum()) << 32) + int((points & 0xFFFF_FFFF).sum())
        if total > NEVER:
            raise InvalidValue(f"the points add up to {total:,}; at most 2^63 - 1 can be replayed together")
    return points


def _as_micros(values: Any, name: str) -> tuple[Ints, Bools | None]:
    """Return (microseconds, which are missing or None)."""
    taken = column(values, name)
    data = np.ma.getdata(taken)
    missing = np.ma.getmaskarray(taken) if isinstance(taken, np.ma.MaskedArray) else None
    if data.dtype.kind == "M":
        numbers = np.ascontiguousarray(data.astype("datetime64[us]")).view(np.int64)
    elif data.dtype == object:
        none = np.array([value is None for value in data], dtype=bool)
        missing = none if missing is None else missing | none
        numbers = whole_column([_instant(value, name) for value in data], name)
    else:
        numbers = whole_column(data, name)
    gone = numbers == _NO_TIME
    if gone.any():
        missing = gone if missing is None else missing | gone
    return numbers, missing if missing is not None and missing.any() else None


def _instant(value: Any, name: str) -> int:
    """Return an aware time as microseconds; whole numbers are microseconds, None is no time."""
    if value is None:
        return _NO_TIME
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return int(value) if is_whole else micros(value, name)


def _check_years(times: Ints, name: str) -> None:
    if times.size and (int(times.min()) < _FIRST or int(times.max()) > _LAST):
        _first_row((times < _FIRST) | (times > _LAST), f"{name} lies outside the years 1 to 9999")


def _times(values: Any, name: str) -> Ints:
    times, missing = _as_micros(values, name)
    if missing is not None:
        _first_row(missing, f"{name} is missing")
    _check_years(times, name)
    return times


def _optional_times(values: Any, name: str, is_earn: Bools, absent: Ints | np.int64, length: int) -> Ints:
    """Return times where an earn has one, `absent` elsewhere."""
    if values is None:
        return np.broadcast_to(np.asarray(absent, np.int64), (length,))
    times, missing = _as_micros(values, name)
    never = times == NEVER
    has_none = bool(never.any()) or missing is not None
    if missing is not None:
        never |= missing
    if not has_none and not (times.size and (int(times.min()) < _FIRST or int(times.max()) > _LAST)):
        return times
    bad = is_earn & ~never & ((times < _FIRST) | (times > _LAST))
    _first_row(bad, f"{name} lies outside the years 1 to 9999")
    return np.where(is_earn & ~never, times, absent)


def _available(values: Any, is_earn: Bools, at: Ints) -> Ints | None:
    """Return when lots can be spent; None when that is always from their earning."""
    if values is None:
        return None
    times = np.maximum(_optional_times(values, "available_at", is_earn, at, len(at)), at)
    return times if bool((is_earn & (times > at)).any()) else None


def _undone(values: Any, kind: NDArray[np.int8]) -> Ints | None:
    is_reversal = kind == Kind.REVERSE
    if not is_reversal.any():
        return None
    if values is None:
        raise InvalidValue("reversals need a column 'undoes': the row that each undoes")
    taken = column(values, "undoes")
    if isinstance(taken, np.ma.MaskedArray):
        taken = taken.filled(-1)
    if taken.dtype == object:
        taken = np.array([-1 if value is None else value for value in taken], dtype=object)
    # Where the row is no reversal, it does not matter what stands there.
    rows = whole_column(taken, "undoes")
    _first_row(is_reversal & ((rows < 0) | (rows >= len(kind))), "undoes must name a row of these columns")
    return rows


def _check_same_member(events: EventColumns) -> None:
    if events.undoes is None:
        return
    rows = np.flatnonzero(events.kind == Kind.REVERSE)
    other = events.member[events.undoes[rows]] != events.member[rows]
    if other.any():
        row = int(rows[np.argmax(other)])
        raise InvalidValue(f"row {row}: undoes row {int(events.undoes[row])}, which is of another member")
