"""Closures: the tests of one record that conditions are made into, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from userops.core.comparing import Test, compare_among, compare_with, kind_of, named, plain
from userops.errors import IncomparableError, InvalidValue

Run = Callable[[Mapping[str, Any]], bool | None]

#: The exact types that need no conversion; `bool` and numpy's scalars are others.
_PLAIN_TYPES: Final = {"number": frozenset({int, float}), "text": frozenset({str})}
# One closure per operator, the common case in a single call; NaN differs from itself and goes the long way.
_FIELD_TESTS: Final[dict[str, Callable[[str, Any, Any, Test], Run]]] = {
    "==": lambda n, c, kinds, slow: lambda r: g == c if type(g := r.get(n)) in kinds and g == g else slow(g),
    "!=": lambda n, c, kinds, slow: lambda r: g != c if type(g := r.get(n)) in kinds and g == g else slow(g),
    "<": lambda n, c, kinds, slow: lambda r: g < c if type(g := r.get(n)) in kinds and g == g else slow(g),
    "<=": lambda n, c, kinds, slow: lambda r: g <= c if type(g := r.get(n)) in kinds and g == g else slow(g),
    ">": lambda n, c, kinds, slow: lambda r: g > c if type(g := r.get(n)) in kinds and g == g else slow(g),
    ">=": lambda n, c, kinds, slow: lambda r: g >= c if type(g := r.get(n)) in kinds and g == g else slow(g),
    "one_of": lambda n, c, kinds, slow: (
        lambda r: g in c if type(g := r.get(n)) in kinds and g == g else slow(g)
    ),
}


def field_test(name: str, op: str, value: Any) -> Run:
    """Return the test of one comparison on a record, with constants as returned by `constant`.

    >>> field_test("amount", "one_of", (1, 2))({"amount": 2.0})
    True
    """
    if op == "missing":
        return lambda record: plain(record.get(name)) is None
    among = op == "one_of"
    test = compare_among(value) if among else compare_with(op, value)

    def slow(given: Any) -> bool | None:
        try:
            return test(given)
        except (InvalidValue, IncomparableError) as fault:
            raise named(fault, name) from None

    kinds = _PLAIN_TYPES.get(kind_of(value[0] if among else value), frozenset())
    return _FIELD_TESTS[op](name, frozenset(value) if among else value, kinds, slow)


def combined(runs: tuple[Run, ...], decisive: bool) -> Run:  # noqa: FBT001 — a truth value, not a switch
    """Return the test of parts combined: `decisive` is the truth that one part can give the whole.

    Every part is run, whatever the others say, so that an error in one never depends on another's value.

    >>> combined((lambda r: None, lambda r: False), False)({})
    False
    """
    if len(runs) == 2:
        first, second = runs

        def run_both(record: Mapping[str, Any]) -> bool | None:
            one, other = first(record), second(record)
            if one is decisive or other is decisive:
                return decisive
            return None if one is None or other is None else not decisive

        return run_both

    def run(record: Mapping[str, Any]) -> bool | None:
        result: bool | None = not decisive
        for part in runs:
            value = part(record)
            if value is decisive:
                result = decisive
            elif value is None and result is not decisive:
                result = None
        return result

    return run
