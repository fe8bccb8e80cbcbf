"""Deciding: many conditions on one record, short-circuited where nothing can be missing or fail.

Conditions evaluate every part, so that an error never depends on another part's value. A record whose values
all have plain types that fit the constants can neither fail nor, but for NaN, be unknown: there the parts may
stop early, and the answer is the same. Tests are closures made once per combination of types.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from userops.core import comparing
from userops.core.logic import All, Atom, Condition, Either, Not

#: A test on the values of the fields, in the order of `fields`.
Test = Callable[[tuple[Any, ...]], bool]
#: The tests of some types with the places of their conditions, and the places of the floats among the types.
_Entry = tuple[tuple[tuple[Test, int], ...], tuple[int, ...]]
_UNSEEN: Final[Any] = object()
_KINDS: Final = {int: "number", float: "number", str: "text", bool: "truth"}
_MOST_SIGNATURES: Final = 64
_NEVER: Final[Test] = lambda _values: False  # noqa: E731 — two constants as tests
_ALWAYS: Final[Test] = lambda _values: True  # noqa: E731
_OPPOSITE: Final = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", "<=": ">", ">": "<="}


class Decider:
    """The first of several conditions that holds on a record.

    >>> from userops.core.conditions import F
    >>> Decider((F("n") >= 2, F("n") >= 1)).first({"n": 1})
    1
    """

    __slots__ = ("_conditions", "_fields", "_known", "_values")

    def __init__(self, conditions: Sequence[Condition]) -> None:
        """Take the conditions in order of priority."""
        self._conditions = tuple(conditions)
        self._fields = tuple(dict.fromkeys(name for part in self._conditions for name in part.fields()))
        self._known: dict[tuple[type, ...], _Entry | None] = {}
        self._values = _getter(self._fields)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that the conditions read."""
        return self._fields

    def first(self, record: Mapping[str, Any]) -> int:
        """Return the place of the first condition that holds, or −1 for none."""
        place = self.quick(record)
        if place is not None:
            return place
        held = [condition.run(record) is True for condition in self._conditions]
        return held.index(True) if True in held else -1

    def quick(self, record: Mapping[str, Any]) -> int | None:
        """Return what `first` does where no field is missing and none can fail; None where that is not so."""
        try:
            values = self._values(record)
        except (KeyError, TypeError):
            # A field is absent, or this is no record: the plain form says so.
            return None
        types = tuple(map(type, values))
        entry: Any = self._known.get(types, _UNSEEN)
        if entry is _UNSEEN:
            entry = self._learn(types)
        if entry is None:
            return None
        tests, floats = entry
        for place in floats:
            if values[place] != values[place]:
                return None
        held: int = -1
        for test, place in tests:
            if test(values):
                held = place
                break
        return held

    def _learn(self, types: tuple[type, ...]) -> _Entry | None:
        entry: _Entry | None = None
        if all(kind in _KINDS for kind in types):
            places = {name: place for place, name in enumerate(self._fields)}
            made = [_compiled(part, places, types, want=True) for part in self._conditions]
            tests = tuple((test, place) for place, test in enumerate(made) if test is not None)
            if len(tests) == len(made):
                entry = (tests, tuple(k for k, kind in enumerate(types) if kind is float))
        if len(self._known) < _MOST_SIGNATURES:
            self._known[types] = entry
        return entry


def _getter(fields: tuple[str, ...]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    if len(fields) > 1:
        return operator.itemgetter(*fields)
    if not fields:
        return lambda _record: ()
    only = fields[0]
    return lambda record: (record[only],)


def _compiled(
    condition: Condition, places: Mapping[str, int], types: Sequence[type], *, want: bool
) -> Test | None:
    """Return the test that a condition is known to be `want` on values of these types, none of them missing."""
    if isinstance(condition, Not):
        return _compiled(condition.part, places, types, want=not want)
    if isinstance(condition, All | Either):
        parts = [_compiled(part, places, types, want=want) for part in condition.parts]
        tests = [part for part in parts if part is not None]
        if len(tests) < len(parts):
            return None
        if not tests:
            return _ALWAYS if want else _NEVER
        conjunction = isinstance(condition, All) == want
        test = tests[-1]
        for part in reversed(tests[:-1]):
            test = _both(part, test) if conjunction else _one(part, test)
        return test
    return _comparison(condition, places, types, want=want) if isinstance(condition, Atom) else None


def _comparison(atom: Atom, places: Mapping[str, int], types: Sequence[type], *, want: bool) -> Test | None:
    place = places[atom.field]
    if atom.op == "missing":
        return _NEVER if want else _ALWAYS
    values = atom.value if atom.op == "one_of" else (atom.value,)
    if comparing.kind_of(values[0]) != _KINDS[types[place]]:
        return None
    if atom.op == "one_of":
        among = frozenset(values)
        return (lambda v: v[place] in among) if want else (lambda v: v[place] not in among)
    op = atom.op if want else _OPPOSITE[atom.op]
    return _OPERATIONS[op](place, atom.value)


def _both(first: Test, second: Test) -> Test:
    return lambda v: first(v) and second(v)


def _one(first: Test, second: Test) -> Test:
    return lambda v: first(v) or second(v)


# One closure per operator: a call of `operator.ge` inside a closure would cost as much again.
_OPERATIONS: Final[dict[str, Callable[[int, Any], Test]]] = {
    "==": lambda place, c: lambda v: v[place] == c,
    "!=": lambda place, c: lambda v: v[place] != c,
    "<": lambda place, c: lambda v: v[place] < c,
    "<=": lambda place, c: lambda v: v[place] <= c,
    ">": lambda place, c: lambda v: v[place] > c,
    ">=": lambda place, c: lambda v: v[place] >= c,
}
