"""Answers: a column of raw answers read as places on a scale, or set aside by reason.

A block of n answers becomes n small whole numbers: the place of the answer among the scale's answers, or
the number of answers plus the place of the reason in `REASONS`.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from userops.core.columns import Column, column
from userops.errors import InvalidValue
from userops.nps.scales import Scale
from userops.nps.values import brief

#: Why an answer is set aside; a dismissed question is missing, not a detractor.
REASONS: Final = ("missing", "off the scale", "not whole", "text", "boolean", "other type")
MISSING, OFF, FRACTION, TEXT, BOOLEAN, OTHER = range(len(REASONS))

Codes = NDArray[Any]


def check_invalid(invalid: object) -> bool:
    """Return whether unusable answers are set aside (`"exclude"`) or refused (`"raise"`).

    >>> check_invalid("exclude"), check_invalid("raise")
    (True, False)
    """
    if isinstance(invalid, str) and invalid in ("raise", "exclude"):
        return invalid == "exclude"
    raise InvalidValue(f'invalid must be "raise" or "exclude", not {brief(invalid)}')


@frozen(eq=False)
class Answers:
    """A column of answers on a scale, read block by block."""

    values: Column
    scale: Scale
    excluding: bool
    places: dict[Any, int]

    @classmethod
    def of(cls, values: Any, scale: Scale, *, invalid: str) -> Answers:
        """Take any column; under `invalid="raise"` only integer types may hold numbers.

        >>> Answers.of([9, None], Scale.ZERO_TO_TEN, invalid="exclude").codes(0, 2).tolist()
        [9, 11]
        """
        excluding = check_invalid(invalid)
        if isinstance(values, set | frozenset):
            raise InvalidValue("scores must be a column; a set loses equal answers")
        return cls(column(values, "scores"), scale, excluding, scale.codes)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def width(self) -> int:
        """Return how many codes there are: answers and reasons."""
        return len(self.places) + len(REASONS)

    def codes(self, start: int, stop: int) -> Codes:
        """Return the codes of a block of rows; the first refused row raises, named by its number."""
        block = self.values[start:stop]
        span = self.scale.span
        if span is not None and block.dtype.kind in "iu" and not np.ma.isMaskedArray(block):
            low, high = span
            # Two passes over a small block; the usual column has nothing to set aside.
            if not len(block) or _within(block, low, high):
                if block.dtype == np.uint64:
                    block = block.astype(np.int16)
                return block if low == 0 else block - low
        found = self._any_codes(block, span)
        if not self.excluding:
            bad = np.flatnonzero(found >= len(self.places))
            if len(bad):
                row = int(bad[0])
                raise InvalidValue(
                    f"scores[{start + row}] {self._why(block, row, int(found[row]))}; "
                    'invalid="exclude" sets such answers aside and counts them'
                )
            if block.dtype.kind == "f" and len(block):
                raise InvalidValue(
                    f"scores are floats ({block.dtype}), where whole numbers are expected; "
                    'cast them, or take the whole ones with invalid="exclude"'
                )
        return found

    def _any_codes(self, block: Column, span: tuple[int, int] | None) -> Codes:
        data, gone = np.ma.getdata(block), np.ma.getmaskarray(block)
        known = len(self.places)
        if data.dtype.kind in "iu" and span is not None:
            found = _numeric(data, span, known)
        elif data.dtype.kind == "f" and span is not None:
            with np.errstate(invalid="ignore"):
                fraction = np.isfinite(data) & (np.floor(data) != data)
                found = _numeric(np.where(np.isnan(data) | fraction, span[0], data), span, known)
            found[fraction] = known + FRACTION
            found[np.isnan(data)] = known + MISSING
        elif data.dtype.kind == "b":
            found = np.full(len(data), known + BOOLEAN, np.int16)
        else:
            found = np.fromiter(
                (self._code(value) for value in data.tolist())
                if data.dtype.kind != "O"
                else (self._code(value) for value in data),
                np.int16,
                len(data),
            )
        found[gone] = known + MISSING
        return found

    def _code(self, value: Any) -> int:
        """Return the code of one answer of any type."""
        known = len(self.places)
        if value is None or value is np.ma.masked:
            return known + MISSING
        if isinstance(value, bool | np.bool_):
            return known + BOOLEAN
        if isinstance(value, str):
            return self.places.get(str(value), known + (TEXT if self.scale.span else OFF))
        if isinstance(value, int | np.integer):
            return self.places.get(int(value), known + OFF)
        if isinstance(value, float | np.floating):
            number = float(value)
            if math.isnan(number):
                return known + MISSING
            if math.isfinite(number) and number != math.floor(number):
                return known + FRACTION
            if not self.excluding:
                return known + OTHER
            return self.places.get(int(number), known + OFF) if math.isfinite(number) else known + OFF
        # pandas' NA and NaT name their type so; importing pandas for this would be dear.
        if type(value).__name__ in ("NAType", "NaTType") or _is_not_a_time(value):
            return known + MISSING
        return known + OTHER

    def _why(self, block: Column, row: int, code: int) -> str:
        value = block[row]
        reason = REASONS[code - len(self.places)]
        if reason == "missing":
            return "is missing"
        expected = (
            f"the scale {self.scale.name!r} takes whole numbers"
            if self.scale.span
            else (f"the scale {self.scale.name!r} takes {', '.join(repr(a) for a in list(self.places)[:8])}")
        )
        kind = type(value).__name__
        if reason in ("text", "boolean", "other type"):
            return f"is of type {kind}; {expected}"
        shown = brief(value)
        return (
            f"is {shown}, {reason}; {expected}"
            if reason == "not whole"
            else (f"is {shown}, off the scale {self.scale.name!r}")
        )


def _is_not_a_time(value: Any) -> bool:
    return isinstance(value, np.datetime64 | np.timedelta64) and bool(np.isnat(value))


def _within(block: Column, low: int, high: int) -> bool:
    """Say whether a block of integers lies on the scale; one pass over bytes, as -1 is 255 among them."""
    if low == 0 and block.dtype == np.int8:
        return int(block.view(np.uint8).max()) <= high
    return int(block.min()) >= low and int(block.max()) <= high


def _numeric(data: Column, span: tuple[int, int], known: int) -> Codes:
    low, high = span
    off = (data < low) | (data > high)
    found = np.where(off, low, data).astype(np.int16)
    found -= low
    found[off] = known + OFF
    return found
