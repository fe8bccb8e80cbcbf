"""Deciding: many conditions on one record, short-circuited where nothing can be missing or fail.

Conditions evaluate every part, so that an error never depends on another part's value. A record whose values
all have plain types that fit the constants can neither fail nor, but for NaN, be unknown: there the parts may
stop early, and the answer is the same. Tests are closures made once per combination of types.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from userops.core import comparing
from userops.core.logic import All, Atom, Condition, Either, Not

#: A test on the values of the fields, in the order of `fields`.
Test = Callable[[tuple[Any, ...]], bool]
#: The tests of some types with the places of their conditions, and the places of the floats among the types.
_Entry = tuple[tuple[tuple[Test, int], ...], tuple[int, ...]]
_UNSEEN: Final[Any] = object()
_KINDS: Final = {int: "number", float: "number", str: "text", bool: "truth"}
_MOST_SIGNATURES: Final = 64
_OPPOSITE: Final = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", "<=": ">", ">": "<="}


class Decider:
    """The first of several conditions that holds on a record.

    >>> from userops.core.conditions import F
    >>> Decider((F("n") >= 2, F("n") >= 1)).first({"n": 1})
    1
    """

    __slots__ = ("_conditions", "_fields", "_known", "_last", "_values")

    def __init__(self, conditions: Sequence[Condition]) -> None:
        """Take the conditions in order of priority."""
        self._conditions = tuple(conditions)
        self._fields = tuple(dict.fromkeys(name for part in self._conditions for name in part.fields()))
        self._known: dict[tuple[type, ...], _Entry | None] = {}
        # Records come in runs of the same types: comparing with the last ones is cheaper than looking up.
        self._last: tuple[tuple[type, ...] | None, Any] = (None, None)
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
        if type(record) is not dict:
            # Other mappings may answer for absent fields, as a defaultdict does: `get` is what counts.
            return None
        try:
            values = self._values(record)
        except KeyError:
            return None
        types = tuple(map(type, values))
        last, entry = self._last
        if types != last:
            entry = self._known.get(types, _UNSEEN)
            if entry is _UNSEEN:
                entry = self._learn(types)
            self._last = (types, entry)
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
            tests = tuple((part.test, place) for place, part in enumerate(made) if part is not None)
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


@frozen
class _Made:
    """A compiled condition: its test, and, of a single comparison, what fuses it with the test after it."""

    test: Test
    op: str = ""
    place: int = 0
    constant: Any = None


_NEVER: Final = _Made(lambda _values: False)
_ALWAYS: Final = _Made(lambda _values: True)


def _compiled(
    condition: Condition, places: Mapping[str, int], types: Sequence[type], *, want: bool
) -> _Made | None:
    """Return the test that a condition is known to be `want` on values of these types, none of them missing."""
    if isinstance(condition, Not):
        return _compiled(condition.part, places, types, want=not want)
    if isinstance(condition, All | Either):
        parts = [_compiled(part, places, types, want=want) for part in condition.parts]
        made = [part for part in parts if part is not None]
        if len(made) < len(parts):
            return None
        if not made:
            return _ALWAYS if want else _NEVER
        conjunction = isinstance(condition, All) == want
        whole = made[-1]
        for part in reversed(made[:-1]):
            whole = _Made(_joined(part, whole.test, conjunction=conjunction))
        return whole
    return _comparison(condition, places, types, want=want) if isinstance(condition, Atom) else None


def _comparison(atom: Atom, places: Mapping[str, int], types: Sequence[type], *, want: bool) -> _Made | None:
    place = places[atom.field]
    if atom.op == "missing":
        return _NEVER if want else _ALWAYS
    values = atom.value if atom.op == "one_of" else (atom.value,)
    if comparing.kind_of(values[0]) != _KINDS[types[place]]:
        return None
    if atom.op == "one_of":
        op, constant = ("in" if want else "not in"), frozenset(values)
    else:
        op, constant = (atom.op if want else _OPPOSITE[atom.op]), atom.value
    return _Made(_ALONE[op](place, constant), op, place, constant)


def _joined(part: _Made, rest: Test, *, conjunction: bool) -> Test:
    if part.op:
        return (_WITH if conjunction else _OR)[part.op](part.place, part.constant, rest)
    first = part.test
    return (lambda v: first(v) and rest(v)) if conjunction else (lambda v: first(v) or rest(v))


# One closure per operator, and a comparison fused with the test after it: each call saved is a tenth of a
# decision, and `operator.ge` inside a closure would be a call too.
_ALONE: Final[dict[str, Callable[[int, Any], Test]]] = {
    "==": lambda k, c: lambda v: v[k] == c,
    "!=": lambda k, c: lambda v: v[k] != c,
    "<": lambda k, c: lambda v: v[k] < c,
    "<=": lambda k, c: lambda v: v[k] <= c,
    ">": lambda k, c: lambda v: v[k] > c,
    ">=": lambda k, c: lambda v: v[k] >= c,
    "in": lambda k, c: lambda v: v[k] in c,
    "not in": lambda k, c: lambda v: v[k] not in c,
}
_WITH: Final[dict[str, Callable[[int, Any, Test], Test]]] = {
    "==": lambda k, c, rest: lambda v: v[k] == c and rest(v),
    "!=": lambda k, c, rest: lambda v: v[k] != c and rest(v),
    "<": lambda k, c, rest: lambda v: v[k] < c and rest(v),
    "<=": lambda k, c, rest: lambda v: v[k] <= c and rest(v),
    ">": lambda k, c, rest: lambda v: v[k] > c and rest(v),
    ">=": lambda k, c, rest: lambda v: v[k] >= c and rest(v),
    "in": lambda k, c, rest: lambda v: v[k] in c and rest(v),
    "not in": lambda k, c, rest: lambda v: v[k] not in c and rest(v),
}
_OR: Final[dict[str, Callable[[int, Any, Test], Test]]] = {
    "==": lambda k, c, rest: lambda v: v[k] == c or rest(v),
    "!=": lambda k, c, rest: lambda v: v[k] != c or rest(v),
    "<": lambda k, c, rest: lambda v: v[k] < c or rest(v),
    "<=": lambda k, c, rest: lambda v: v[k] <= c or rest(v),
    ">": lambda k, c, rest: lambda v: v[k] > c or rest(v),
    ">=": lambda k, c, rest: lambda v: v[k] >= c or rest(v),
    "in": lambda k, c, rest: lambda v: v[k] in c or rest(v),
    "not in": lambda k, c, rest: lambda v: v[k] not in c or rest(v),
}
