"""Quantities: numbers within bounds, choices, lists and mappings, taken in with errors that say what is meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from numbers import Real
from typing import Any, TypeVar

import numpy as np

from userops.core.comparing import plain
from userops.errors import InvalidValue

T = TypeVar("T")
#: The most characters of a value that a message repeats.
_MOST_SHOWN = 80


def shown(value: Any) -> str:
    """Return a value for a message: short, whatever was given, and also where it cannot be printed.

    >>> shown("x" * 100)[-3:], shown(10**5_000)
    ('...', 'a huge number')
    """
    if isinstance(value, int) and abs(value) >= 10**40:
        return "a huge number"
    try:
        words = repr(value)
    except (ValueError, RecursionError):
        # Python refuses to write out an integer of thousands of digits, also inside another value.
        return f"a {type(value).__name__}"
    return words if len(words) <= _MOST_SHOWN else words[: _MOST_SHOWN - 3] + "..."


def of_kind(value: Any, kind: type[T], name: str) -> T:
    """Return a value of a kind, refusing any other.

    >>> of_kind("a", str, "name")
    'a'
    """
    if not isinstance(value, kind):
        raise InvalidValue(f"{name} must be a {kind.__name__}, not a {type(value).__name__}")
    return value


def checked_number(value: Any, name: str, low: float, high: float) -> float:
    """Return a finite number within bounds.

    >>> checked_number(0.5, "rho", 0, 1)
    0.5
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real | Decimal):
        raise InvalidValue(f"{name} must be a number, not {type(value).__name__}")
    try:
        number = float(value)
    except (OverflowError, ValueError):
        number = float("nan")
    if not low <= number <= high:
        raise InvalidValue(f"{name} must lie between {low:g} and {high:g}")
    return number


def choice(value: Any, options: Iterable[str], name: str) -> str:
    """Return a text that is one of some options.

    >>> choice("window", ("history", "window"), "new")
    'window'
    """
    allowed = tuple(options)
    if isinstance(value, str) and value in allowed:
        return str(value)
    given = repr(value[:40]) if isinstance(value, str) else f"a {type(value).__name__}"
    raise InvalidValue(f"{name} is one of {', '.join(allowed)}; got {given}")


def listed(values: Any, name: str) -> list[Any]:
    """Return the items of a list, refusing what has none: a text, a mapping, a single value, a class.

    >>> listed(("a", "b"), "steps")
    ['a', 'b']
    """
    if (
        isinstance(values, str | bytes | Mapping)
        or not isinstance(values, Iterable)
        or isinstance(values, type)
        or (isinstance(values, np.ndarray) and values.ndim == 0)
    ):
        raise InvalidValue(f"{name} must be a list, not a {type(values).__name__}")
    return list(values)


def mapped(values: Any, name: str) -> dict[Any, Any]:
    """Return a copy of a mapping, an empty one for None.

    >>> mapped(None, "answers")
    {}
    """
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise InvalidValue(f"{name} must be a mapping, not a {type(values).__name__}")
    return dict(values)


def hashable(value: Any, name: str) -> Any:
    """Return a value that can stand for itself in a set: an id, a label, a group.

    >>> hashable("ann", "member")
    'ann'
    """
    try:
        hash(value)
    except TypeError:
        raise InvalidValue(f"{name} must be an id, not a {type(value).__name__}") from None
    if _is_unequal_to_itself(value):
        raise InvalidValue(f"{name} must be an id: {shown(value)} is not even equal to itself")
    return value


def _is_unequal_to_itself(value: Any) -> bool:
    try:
        return bool(value != value)
    except (TypeError, ValueError):  # What a data frame calls missing has no truth value.
        return True


def is_table(values: Any) -> bool:
    """Say whether values are columns (a mapping, a structured array, a data frame), and not a list of rows.

    >>> is_table({"a": [1]}), is_table([1])
    (True, False)
    """
    if isinstance(values, np.ndarray):
        return values.dtype.names is not None
    return isinstance(values, Mapping) or hasattr(values, "columns") or not isinstance(values, Iterable)


def tuples(values: Any, names: tuple[str, ...], what: str) -> list[tuple[Any, ...]]:
    """Return rows of as many values as there are names.

    >>> tuples([("a", 1)], ("account", "identifier"), "links")
    [('a', 1)]
    """
    rows = listed(values, what)
    for row in rows:
        if not isinstance(row, tuple | list) or len(row) != len(names):
            raise InvalidValue(
                f"{what} are rows of ({', '.join(names)}), or columns of these names; got a {type(row).__name__}"
            )
    return [tuple(row) for row in rows]


def is_known(value: Any) -> bool:
    """Say whether a value of a column of objects is there: not None, NaN, NaT or masked.

    >>> is_known(0), is_known(float("nan"))
    (True, False)
    """
    return plain(value) is not None
