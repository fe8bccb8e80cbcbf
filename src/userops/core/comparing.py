"""Comparing a value, or a column of values, with a constant: exact, typed, and three-valued.

A comparison is True, False, or unknown where the value is missing (None, NaN, NaT, masked). The plain and
the columnar forms agree on every value: numbers compare as the exact numbers they are.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from userops.core.amounts import bounded_decimal, whole
from userops.core.calendar import instant, micros
from userops.core.ids import text
from userops.errors import IncomparableError, InvalidValue

Test = Callable[[Any], bool | None]
Codes = NDArray[np.uint8]

#: The three truth values as codes: "and" is their minimum, "or" their maximum, "not" two minus them.
FALSE, UNKNOWN, TRUE = np.uint8(0), np.uint8(1), np.uint8(2)

OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_UNIT_MICROS: Final = {
    "h": Fraction(3_600_000_000),
    "m": Fraction(60_000_000),
    "s": Fraction(1_000_000),
    "ms": Fraction(1_000),
    "us": Fraction(1),
    "ns": Fraction(1, 1_000),
    "ps": Fraction(1, 10**6),
    "fs": Fraction(1, 10**9),
    "as": Fraction(1, 10**12),
}


def constant(value: Any) -> Any:
    """Return a rule's constant as a plain value: text, truth, exact number, instant or day.

    >>> constant(np.int64(3))
    3
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return text(value, "a constant")
    if isinstance(value, bool):
        return value
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise InvalidValue("a constant must be finite; missing values are asked for with is_missing()")
        return float(value)
    if isinstance(value, Decimal):
        exact = bounded_decimal(value, "a constant")
        return int(exact) if exact == exact.to_integral_value() else exact
    if isinstance(value, datetime):
        return instant(value, "a constant")
    if isinstance(value, date):
        return date(value.year, value.month, value.day)
    if value is None:
        raise InvalidValue("nothing compares with None; use is_missing()")
    return whole(value, "a constant")


def kind_of(value: Any) -> str:
    """Return the kind of a plain value: text, truth, number, instant or day.

    >>> kind_of(True), kind_of(1)
    ('truth', 'number')
    """
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int | float | Decimal | Fraction):
        return "number"
    if isinstance(value, datetime):
        return "instant"
    return "day" if isinstance(value, date) else type(value).__name__


def plain(value: Any) -> Any:
    """Return a record's value as a plain one, and None where it is missing.

    >>> plain(float("nan")) is None
    True
    """
    if value is None or value is np.ma.masked:
        return None
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, np.datetime64):
        return _plain_datetime64(value)
    if isinstance(value, np.generic) and not isinstance(value, np.longdouble):
        value = value.item()
    if isinstance(value, float):
        return value if value == value else None
    if isinstance(value, Decimal):
        return None if value.is_nan() else value
    if isinstance(value, datetime):
        # pandas' NaT is a datetime without fields.
        return None if value != value else instant(value, "an instant")
    return value


def _plain_datetime64(value: np.datetime64) -> Any:
    if np.isnat(value):
        return None
    unit, count = np.datetime_data(value)
    if unit in _UNIT_MICROS:
        # Finer than datetime can hold: kept as exact microseconds.
        return _Ticks(Fraction(int(value.astype(np.int64))) * count * _UNIT_MICROS[unit])
    return date.fromordinal(int(value.astype("datetime64[D]").astype(np.int64)) + _EPOCH_DAY)


class _Ticks:
    """An instant of a datetime64, as exact microseconds since 1970."""

    __slots__ = ("micros",)

    def __init__(self, exact: Fraction) -> None:
        self.micros = exact


def compare_with(op: str, value: Any) -> Test:
    """Return the plain test of one comparison, with `value` as returned by `constant`.

    >>> compare_with(">=", 100)(Decimal("100.00"))
    True
    """
    compare, kind = OPERATORS[op], kind_of(value)
    number = kind == "number"

    def test(given: Any) -> bool | None:
        cls = type(given)
        if number:
            if cls is int:
                return compare(given, value)
            if cls is float:
                return compare(given, value) if given == given else None
        elif cls is str and kind == "text":
            return compare(given, value)
        return _slow_test(given)

    def _slow_test(given: Any) -> bool | None:
        known = plain(given)
        if known is None:
            return None
        if isinstance(known, _Ticks):
            if kind != "instant":
                raise _incomparable("instant", kind)
            return compare(known.micros, micros(value))
        found = kind_of(known)
        if found != kind or (kind == "truth" and op not in ("==", "!=")):
            raise _incomparable(found, kind)
        if isinstance(known, Fraction) and isinstance(value, Decimal | float):
            return compare(known, Fraction(value))
        return compare(known, value)

    return test


def compare_among(values: Sequence[Any]) -> Test:
    """Return the plain test of "is one of".

    >>> compare_among(("Hefei", "Shanghai"))("Hefei")
    True
    """
    tests = [compare_with("==", value) for value in values]
    texts = frozenset(values) if kind_of(values[0]) == "text" else frozenset()

    def test(given: Any) -> bool | None:
        if type(given) is str and texts:
            return given in texts
        found = [one(given) for one in tests]
        return None if found[0] is None else any(found)

    return test


def _incomparable(found: str, kind: str) -> IncomparableError:
    return IncomparableError(f"a {found} cannot be compared with a {kind}")


def named(fault: InvalidValue | IncomparableError, field: str) -> InvalidValue | IncomparableError:
    """Return the same fault with the field that it was found in.

    >>> str(named(IncomparableError("a text cannot be compared with a number"), "age"))
    "field 'age': a text cannot be compared with a number"
    """
    return type(fault)(f"field {field!r}: {fault}")


def codes_against(op: str, value: Any, column: NDArray[Any]) -> Codes:
    """Return the codes of one comparison on a column (1-D, masked or not).

    >>> codes_against(">=", 100, np.array([99.5, 100.0, float("nan")])).tolist()
    [0, 2, 1]
    """
    data, missing = np.ma.getdata(column), np.ma.getmaskarray(column)
    if data.dtype == object:
        return _codes_of_objects(compare_with(op, value), data, missing)
    found, missing = _kind_of_column(data, missing)
    kind = kind_of(value)
    if found != kind or (kind == "truth" and op not in ("==", "!=")):
        if missing.all():
            return np.full(len(data), UNKNOWN)
        raise _incomparable(found, kind)
    if kind == "number":
        held = (
            _compare_integers(op, value, data)
            if data.dtype.kind in "iu"
            else _compare_floats(op, value, data)
        )
    elif kind == "instant":
        unit, count = np.datetime_data(data.dtype)
        ticks = Fraction(micros(value)) / (count * _UNIT_MICROS[unit])
        held = _compare_integers(op, ticks, data.view(np.int64))
    elif kind == "day":
        days = data.astype("datetime64[D]").view(np.int64)
        held = _compare_integers(op, value.toordinal() - _EPOCH_DAY, days)
    else:
        held = np.asarray(OPERATORS[op](data, value), dtype=bool)
    codes: Codes = held.astype(np.uint8)
    codes *= TRUE
    codes[missing] = UNKNOWN
    return codes


def codes_among(values: Sequence[Any], column: NDArray[Any]) -> Codes:
    """Return the codes of "is one of" on a column.

    >>> codes_among(("a", "b"), np.array(["a", "c"])).tolist()
    [2, 0]
    """
    data = np.ma.getdata(column)
    if data.dtype == object:
        return _codes_of_objects(compare_among(values), data, np.ma.getmaskarray(column))
    codes = codes_against("==", values[0], column)
    for value in values[1:]:
        np.maximum(codes, codes_against("==", value, column), out=codes)
    return codes


def codes_missing(column: NDArray[Any]) -> Codes:
    """Return TRUE where a column has no value, else FALSE.

    >>> codes_missing(np.array([1.0, float("nan")])).tolist()
    [0, 2]
    """
    data, missing = np.ma.getdata(column), np.ma.getmaskarray(column)
    if data.dtype == object:
        missing = missing | np.fromiter((plain(value) is None for value in data), bool, len(data))
    elif data.dtype.kind in "fM":
        missing = missing | (np.isnan(data) if data.dtype.kind == "f" else np.isnat(data))
    return missing.astype(np.uint8) * TRUE


def _codes_of_objects(test: Test, data: NDArray[Any], missing: NDArray[np.bool_]) -> Codes:
    decode = {None: UNKNOWN, False: FALSE, True: TRUE}
    values = (None if gone else value for value, gone in zip(data, missing, strict=True))
    return np.fromiter((decode[test(value)] for value in values), np.uint8, len(data))


def _kind_of_column(data: NDArray[Any], missing: NDArray[np.bool_]) -> tuple[str, NDArray[np.bool_]]:
    code = data.dtype.kind
    if code == "f":
        return "number", missing | np.isnan(data)
    if code == "M":
        kind = "instant" if np.datetime_data(data.dtype)[0] in _UNIT_MICROS else "day"
        return kind, missing | np.isnat(data)
    kinds = {"i": "number", "u": "number", "U": "text", "T": "text", "b": "truth"}
    return kinds.get(code, str(data.dtype)), missing


def _compare_integers(op: str, value: Any, data: NDArray[Any]) -> NDArray[np.bool_]:
    exact, limits = Fraction(value), np.iinfo(data.dtype)
    if op in ("==", "!="):
        fits = exact.denominator == 1 and limits.min <= exact <= limits.max
        equal = data == data.dtype.type(int(exact)) if fits else np.zeros(len(data), bool)
        return equal if op == "==" else ~equal
    # x >= c and x < c turn at the least integer not below c; x > c and x <= c at the least one above it.
    turn = exact.__ceil__() if op in (">=", "<") else exact.__floor__() + 1
    if turn <= limits.min:
        reached = np.ones(len(data), bool)
    elif turn > limits.max:
        reached = np.zeros(len(data), bool)
    else:
        reached = data >= data.dtype.type(turn)
    return reached if op in (">=", ">") else ~reached


def _compare_floats(op: str, value: Any, data: NDArray[Any]) -> NDArray[np.bool_]:
    exact = Fraction(value)
    if data.dtype.itemsize < 8:
        data = data.astype(np.float64)
    turn = float(exact)
    if Fraction(turn) < exact:
        turn = float(np.nextafter(turn, np.inf))
    same = Fraction(turn) == exact
    if op in ("==", "!="):
        equal = data == turn if same else np.zeros(len(data), bool)
        return equal if op == "==" else ~equal
    above = op in (">", "<=") and same
    reached = data > turn if above else data >= turn
    return reached if op in (">=", ">") else ~reached
