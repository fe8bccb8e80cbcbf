"""Labels: the column that says which group, cell or level each answer belongs to."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from userops.core.columns import Column, column
from userops.core.quantities import shown
from userops.errors import InvalidValue

#: Whole-number labels within a span of this many need no dictionary.
_DENSE = 1 << 16
_BLOCK = 1 << 17


@frozen(eq=False)
class Labels:
    """The distinct labels in order, and each row's place among them; -1 where the label is missing."""

    values: tuple[Any, ...]
    places: Column
    offset: int
    has_missing: bool
    #: Whether the rows come group by group.
    is_sorted: bool

    @classmethod
    def of(cls, given: Any, name: str, *, rows: int) -> Labels:
        """Take a column of labels as long as the scores.

        >>> labels = Labels.of(["b", None, "a"], "by", rows=3)
        >>> labels.values, labels.block(0, 3).tolist()
        (('a', 'b'), [1, -1, 0])
        """
        taken = column(given, name)
        if len(taken) != rows:
            raise InvalidValue(f"{name} has {len(taken)} rows where scores have {rows}")
        if taken.dtype.kind in "iu" and not np.ma.isMaskedArray(taken) and rows:
            low, high, is_sorted = _survey(taken)
            if high - low < _DENSE:
                dense = tuple(range(low, high + 1))
                return cls(dense, taken, low, has_missing=False, is_sorted=is_sorted)
        return _coded(taken, name)

    def __len__(self) -> int:
        return len(self.values)

    def block(self, start: int, stop: int) -> Column:
        """Return the places of a block of rows."""
        found = self.places[start:stop]
        if not self.offset:
            return found
        if found.dtype.itemsize < 4:
            found = found.astype(np.int32)  # a difference of small integers may leave their type
        return found - self.offset

    def bounds(self) -> NDArray[np.int64]:
        """Return where each group's rows begin, and the end, of sorted rows."""
        kind = self.places.dtype
        # Within the column's own type: sums may wrap around, and come out right.
        wanted = np.arange(len(self)).astype(kind) + np.array([self.offset], kind)
        starts = np.searchsorted(self.places, wanted)
        return np.append(starts, len(self.places)).astype(np.int64)


def _survey(taken: Column) -> tuple[int, int, bool]:
    """Return the least and the greatest label, and whether they are sorted, reading memory once."""
    low = high = int(taken[0])
    is_sorted = True
    for start in range(0, len(taken), _BLOCK):
        # A block ends with the first row of the next one, so that no step between rows is missed.
        part = taken[start : start + _BLOCK + 1]
        is_sorted = is_sorted and bool((part[1:] >= part[:-1]).all())
        if not is_sorted:
            low, high = min(low, int(part.min())), max(high, int(part.max()))
    return (low, int(taken[-1]), True) if is_sorted else (low, high, False)


def _coded(taken: Column, name: str) -> Labels:
    data, gone = np.ma.getdata(taken), np.ma.getmaskarray(taken)
    if data.dtype.kind == "M" and np.datetime_data(data.dtype)[0] in ("ns", "ps", "fs", "as"):
        # Finer times would come out as bare numbers.
        data = data.astype("datetime64[us]")
    seen: defaultdict[Any, int] = defaultdict(lambda: len(seen))
    codes = np.empty(len(data), np.int32)
    for start in range(0, len(data), _BLOCK):
        part = data[start : start + _BLOCK]
        try:
            codes[start : start + len(part)] = np.fromiter(
                map(seen.__getitem__, part.tolist()), np.int32, len(part)
            )
        except TypeError:
            raise InvalidValue(f"{name} holds values that cannot be labels, such as lists") from None
    codes[gone] = -1
    found = list(seen)
    used = np.zeros(len(found), bool)
    used[codes[codes >= 0]] = True
    keep = [k for k, label in enumerate(found) if used[k] and not is_missing(label)]
    keep.sort(key=lambda k: label_order(found[k]))
    place = np.full(len(found) + 1, -1, np.int32)
    for new, old in enumerate(keep):
        place[old] = new
    codes = place[codes]
    return Labels(
        tuple(found[k] for k in keep), codes, 0, has_missing=bool((codes < 0).any()), is_sorted=False
    )


def is_missing(label: object) -> bool:
    """Say whether a label means "unknown": None, NaN, NaT, pandas' NA or an empty text.

    >>> is_missing(float("nan")), is_missing(0)
    (True, False)
    """
    if label is None or type(label).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(label, float):
        return label != label
    if isinstance(label, np.datetime64):
        return bool(np.isnat(label))
    return isinstance(label, str) and not label


def label_text(label: Any) -> str:
    """Return a label as tables show it; a year is no amount and has no comma.

    >>> label_text(2027), label_text((1, "MEX"))
    ('2027', '1, MEX')
    """
    return ", ".join(map(label_text, label)) if isinstance(label, tuple) else " ".join(str(label).split())


def label_order(label: Any) -> tuple[str, Any]:
    """Return the key that puts labels in one order however they arrived: by kind, then by value.

    >>> sorted([10, "b", 9], key=label_order)
    [9, 10, 'b']
    """
    if isinstance(label, bool | int | float):
        return ("", label)
    if isinstance(label, str):
        return ("str", label)
    if isinstance(label, date):
        return ("date", label.isoformat())
    if isinstance(label, tuple):
        return ("tuple", tuple(label_order(part) for part in label))
    return (type(label).__name__, shown(label))
