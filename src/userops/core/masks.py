"""Masks: where conditions hold over columns, block by block, one comparison of numpy per atom.

`Condition.mask` is the plain form; this one keeps its meaning and works in caller's buffers. "Known to be
true" and "known to be false" are two masks, so that three-valued logic needs no third value: a missing value
is in neither, and "not" swaps them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from userops.core import comparing
from userops.core.logic import All, Atom, Condition, Either, Not
from userops.errors import InvalidValue

Mask = NDArray[np.bool_]
#: Fills a buffer with the mask of the rows from `start` to `stop`.
Fill = Callable[[int, int, Mask], None]
#: Rows per block: a mask of them, its scratch and a slice of each column stay in the cache together.
BLOCK = 2**15
_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", "<=": ">", ">": "<="}
_UFUNCS: dict[str, Any] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


class Masks:
    """The masks of conditions over one set of columns, made ready once and filled block by block.

    >>> from userops.core.conditions import F
    >>> masks = Masks({"x": np.array([1.0, np.nan, 3.0])})
    >>> out = np.empty(3, bool)
    >>> masks.known_true(~(F("x") >= 2))(0, 3, out)
    >>> out.tolist()
    [True, False, False]
    """

    def __init__(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Take columns of equal length."""
        self._columns = {name: np.asanyarray(column) for name, column in columns.items()}
        lengths = {len(column) for column in self._columns.values()}
        if len(lengths) > 1:
            raise InvalidValue(f"columns differ in length: {sorted(lengths)}")
        self.rows = lengths.pop() if lengths else 0
        self._scratch: list[Mask] = []

    def known_true(self, condition: Condition) -> Fill:
        """Return what fills a buffer with where the condition holds."""
        return self._fill(condition, want=True, depth=0)

    def _buffer(self, depth: int) -> Mask:
        while len(self._scratch) <= depth:
            self._scratch.append(np.empty(BLOCK, bool))
        return self._scratch[depth]

    def _fill(self, condition: Condition, *, want: bool, depth: int) -> Fill:
        if isinstance(condition, Not):
            return self._fill(condition.part, want=not want, depth=depth)
        if isinstance(condition, All | Either):
            if not condition.parts:
                return _always(value=want)
            # All are known true: every one; all are known false: one of them. Either, the other way round.
            join = np.logical_and if isinstance(condition, All) == want else np.logical_or
            parts = [self._fill(part, want=want, depth=depth + 1) for part in condition.parts]
            return _joined(join, parts, self._buffer(depth))
        if isinstance(condition, Atom):
            column = self._columns.get(condition.field)
            return (
                _always(value=want and condition.op == "missing")
                if column is None
                else (
                    _direct(condition, column, want=want, scratch=self._buffer(depth))
                    or _general(condition, column, want=want)
                )
            )
        raise InvalidValue(f"no mask of {type(condition).__name__}")


def _always(*, value: bool) -> Fill:
    def fill(_start: int, _stop: int, out: Mask) -> None:
        out[:] = value

    return fill


def _joined(join: Any, parts: Sequence[Fill], buffer: Mask) -> Fill:
    first, rest = parts[0], parts[1:]

    def fill(start: int, stop: int, out: Mask) -> None:
        first(start, stop, out)
        other = buffer[: stop - start]
        for part in rest:
            part(start, stop, other)
            join(out, other, out=out)

    return fill


def _general(atom: Atom, column: NDArray[Any], *, want: bool) -> Fill:
    """Return the mask by `comparing`'s codes: texts, times, objects and masked columns."""
    wanted = comparing.TRUE if want else comparing.FALSE

    def fill(start: int, stop: int, out: Mask) -> None:
        codes = atom.codes({atom.field: column[start:stop]}, stop - start)
        np.equal(codes, wanted, out=out)

    return fill


def _direct(atom: Atom, column: NDArray[Any], *, want: bool, scratch: Mask) -> Fill | None:
    """Return the mask by comparisons of numpy alone, or None where the column or the constant needs more."""
    kind = column.dtype.kind
    if np.ma.isMaskedArray(column) or column.dtype == np.longdouble or kind not in "iufb":
        return None
    data, floats = np.ma.getdata(column), kind == "f"
    if atom.op == "missing":
        return (
            _compared(np.not_equal if want else np.equal, data, data) if floats else _always(value=not want)
        )
    values = atom.value if atom.op == "one_of" else (atom.value,)
    if comparing.kind_of(values[0]) != ("truth" if kind == "b" else "number"):
        # Let the plain form say what is wrong.
        return None
    if atom.op != "one_of":
        op = atom.op if want else _OPPOSITE[atom.op]
        return _comparison(op, atom.value, data, scratch)
    op, join = ("==", np.logical_or) if want else ("!=", np.logical_and)
    each = [_comparison(op, value, data, scratch) for value in values]
    return each[0] if len(each) == 1 else _joined(join, each, np.empty(BLOCK, bool))


def _comparison(op: str, value: Any, data: NDArray[Any], scratch: Mask) -> Fill:
    """Return where `data op value` is known to be true, the constant made exact in the column's own type."""
    if data.dtype.kind == "b":
        return _compared(_UFUNCS[op], data, np.bool_(value))
    if data.dtype.kind == "f":
        return _comparison_of_floats(op, Fraction(value), data, scratch)
    exact, limits = Fraction(value), np.iinfo(data.dtype)
    if op in ("==", "!="):
        if exact.denominator != 1 or not limits.min <= exact <= limits.max:
            return _always(value=op == "!=")
        return _compared(_UFUNCS[op], data, data.dtype.type(int(exact)))
    turn = exact.__ceil__() if op in (">=", "<") else exact.__floor__() + 1
    above = op in (">=", ">")
    if not limits.min < turn <= limits.max:
        return _always(value=above == (turn <= limits.min))
    return _compared(np.greater_equal if above else np.less, data, data.dtype.type(turn))


def _comparison_of_floats(op: str, exact: Fraction, data: NDArray[Any], scratch: Mask) -> Fill:
    turn = _least_float(exact, data.dtype)
    same = bool(np.isfinite(turn)) and Fraction(float(turn)) == exact
    if op == "==":
        return _compared(np.equal, data, turn) if same else _always(value=False)
    if op == "!=":
        known = _compared(np.equal, data, data)
        if not same:
            return known
        return _joined(
            np.logical_or, [_compared(np.less, data, turn), _compared(np.greater, data, turn)], scratch
        )
    if op in (">=", ">"):
        return _compared(np.greater if op == ">" and same else np.greater_equal, data, turn)
    return _compared(np.less_equal if op == "<=" and same else np.less, data, turn)


def _least_float(exact: Fraction, dtype: np.dtype[Any]) -> Any:
    """Return the least float of a type that is not below an exact number."""
    up, down = dtype.type(np.inf), dtype.type(-np.inf)
    with np.errstate(over="ignore"):
        turn = dtype.type(float(exact))
        if turn == down or (np.isfinite(turn) and Fraction(float(turn)) < exact):
            turn = np.nextafter(turn, up)
        # Rounding twice (to a double, then to this type) may have gone one too far.
        before = np.nextafter(turn, down)
    return before if np.isfinite(before) and Fraction(float(before)) >= exact else turn


def _compared(ufunc: Any, data: NDArray[Any], other: Any) -> Fill:
    if other is data:

        def fill_self(start: int, stop: int, out: Mask) -> None:
            part = data[start:stop]
            ufunc(part, part, out=out)

        return fill_self

    def fill(start: int, stop: int, out: Mask) -> None:
        ufunc(data[start:stop], other, out=out)

    return fill
