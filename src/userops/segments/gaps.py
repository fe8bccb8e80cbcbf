"""Gaps and overlaps: which combinations of values no segment claims, and which segments claim the same."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from userops.core import comparing
from userops.core.logic import All, Atom, Condition, Either, Not, field_name
from userops.core.quantities import hashable
from userops.core.quantities import listed as items
from userops.errors import InvalidValue

MOST_COMBINATIONS: Final = 2**20


class Code(tuple[Any, ...]):  # noqa: SLOT001 — tuples of any length cannot have them
    """One combination of values, in the order of the fields; it reads by field name too.

    >>> code = Code.of(("r", "f"), (5, None))
    >>> code["f"] is None, code == (5, None), code == {"r": 5, "f": None}
    (True, True, True)
    """

    fields: tuple[str, ...]

    @classmethod
    def of(cls, fields: tuple[str, ...], values: Sequence[Any]) -> Code:
        """Pair fields with values."""
        made = cls(values)
        made.fields = fields
        return made

    def as_record(self) -> dict[str, Any]:
        """Return the combination as a record."""
        return dict(zip(self.fields, self, strict=True))

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return self.as_record()[key]
        return tuple.__getitem__(self, key)

    def __eq__(self, other: object) -> bool:
        return self.as_record() == other if isinstance(other, Mapping) else tuple.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return tuple.__hash__(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Code.of, (self.fields, tuple(self)))


class Product:
    """The combinations to check: the values of every field, and the truth of a condition over all of them."""

    def __init__(self, conditions: Sequence[Condition], domain: Mapping[str, Sequence[Any]] | None) -> None:
        """Take each field's values from the domain, or from the comparisons made with it."""
        values = {field_name(name): _domain_values(name, listed) for name, listed in (domain or {}).items()}
        atoms: dict[str, list[Atom]] = {}
        for condition in conditions:
            for atom in condition.atoms():
                atoms.setdefault(atom.field, []).append(atom)
        for name, found in atoms.items():
            if name not in values:
                values[name] = _atom_values(name, found)
        self.fields = tuple(values)
        self._values = tuple(values.values())
        self.size = math.prod(len(listed) for listed in self._values)
        if self.size > MOST_COMBINATIONS:
            raise InvalidValue(
                f"checking for gaps and overlaps takes {self.size:,} combinations of {len(values)} fields, more "
                f"than 2^20; give domain={{field: values}} with the values that occur, for fewer combinations"
            )
        wide = [name for name in self.fields if len(values[name]) > 1]
        self._axes = {name: place for place, name in enumerate(wide)}
        self._shape = tuple(len(values[name]) for name in wide)

    def held(self, condition: Condition) -> NDArray[np.bool_]:
        """Return, for every combination, whether the condition holds."""
        codes = np.broadcast_to(self._codes(condition), self._shape)
        held: NDArray[np.bool_] = (codes == comparing.TRUE).reshape(-1)
        return held

    def codes_at(self, places: NDArray[np.int64]) -> Iterator[Code]:
        """Yield the combinations at some places."""
        index = np.unravel_index(places, self._shape) if self._shape else ()
        choices = [
            [listed[k] for k in index[self._axes[name]]]
            if name in self._axes
            else itertools.repeat(listed[0], len(places))
            for name, listed in zip(self.fields, self._values, strict=True)
        ]
        for combination in zip(*choices, strict=True) if choices else itertools.repeat((), len(places)):
            yield Code.of(self.fields, combination)

    def _codes(self, condition: Condition) -> NDArray[np.uint8]:
        """Return the three-valued truth, broadcast only over the fields it depends on."""
        if isinstance(condition, Not):
            negated: NDArray[np.uint8] = comparing.TRUE - self._codes(condition.part)
            return negated
        if isinstance(condition, All | Either):
            join, start = (
                (np.minimum, comparing.TRUE) if isinstance(condition, All) else (np.maximum, comparing.FALSE)
            )
            codes = np.asarray(start)
            for part in condition.parts:
                codes = join(codes, self._codes(part))
            return codes
        if not isinstance(condition, Atom):
            raise InvalidValue(f"cannot check a {type(condition).__name__}")
        listed = self._values[self.fields.index(condition.field)]
        codes = np.array([_code(condition, value) for value in listed], dtype=np.uint8)
        shape = [1] * len(self._shape)
        if condition.field in self._axes:
            shape[self._axes[condition.field]] = len(listed)
        return codes.reshape(shape)


def _code(atom: Atom, value: Any) -> int:
    found = atom.run({atom.field: value})
    return int(comparing.UNKNOWN if found is None else comparing.TRUE if found else comparing.FALSE)


def _domain_values(name: str, given: Any) -> list[Any]:
    values = [
        hashable(comparing.plain(value), f"a value of {name}") for value in items(given, f"domain: {name}")
    ]
    if not values:
        raise InvalidValue(f"domain: {name} has no values")
    keys = [(comparing.kind_of(value), value) for value in values]
    if len(set(keys)) < len(keys):
        raise InvalidValue(f"domain: {name} lists a value twice")
    return values


def _atom_values(name: str, atoms: Sequence[Atom]) -> list[Any]:
    """Return one value for every way the field's comparisons can come out, and missing."""
    constants: dict[Any, None] = {}
    ordered = False
    for atom in atoms:
        if atom.op == "missing":
            continue
        ordered = ordered or atom.op not in ("==", "!=", "one_of")
        constants.update(dict.fromkeys(atom.value if atom.op == "one_of" else (atom.value,)))
    kinds = {comparing.kind_of(value) for value in constants}
    if len(kinds) > 1:
        raise InvalidValue(
            f"{name} is compared with a {' and a '.join(sorted(kinds))}: one field has one kind"
        )
    kind = kinds.pop() if kinds else "text"
    found: dict[tuple[int, ...], Any] = {}
    for value in _candidates(kind, list(constants), ordered=ordered):
        found.setdefault(tuple(_code(atom, value) for atom in atoms), value)
    found.setdefault(tuple(_code(atom, None) for atom in atoms), None)
    return list(found.values())


def _candidates(kind: str, constants: list[Any], *, ordered: bool) -> Iterator[Any]:
    if kind == "truth":
        yield from (True, False)
    elif kind == "number":
        yield from _numbers(sorted({Fraction(value) for value in constants}))
    elif kind == "text":
        yield from sorted(constants) if ordered else constants
        yield from _other_texts(constants, ordered=ordered)
    else:
        step = timedelta(days=1) if kind == "day" else timedelta(microseconds=1)
        first, last = (
            (date.min, date.max)
            if kind == "day"
            else (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
        )
        for value in sorted(constants):
            if value > first:
                yield value - step
            yield value
            if value < last:
                yield value + step


def _numbers(constants: list[Fraction]) -> Iterator[Any]:
    places: list[Fraction] = [constants[0] - 1]
    for place, value in enumerate(constants):
        places.append(value)
        following = constants[place + 1] if place + 1 < len(constants) else value + 2
        whole = Fraction(value.__floor__() + 1)
        # A whole number between two constants reads better than their middle.
        places.append(whole if value < whole < following else (value + following) / 2)
    for value in places:
        exact = float(value)
        yield int(value) if value.denominator == 1 else exact if Fraction(exact) == value else value


def _other_texts(constants: list[Any], *, ordered: bool) -> Iterator[str]:
    if ordered:
        # The least text, and the one next to each constant, lie in every interval that has a text.
        yield ""
        yield from (f"{value}\x01" for value in constants)
    other = "(other)"
    while other in constants:
        other = f"({other})"
    yield other
