"""The tree that a condition is: comparisons combined by Kleene's three-valued logic, and its TOML form.

A condition holds when it is known to be true: a missing field makes a comparison unknown. Every part is
evaluated, so that an error in one part never depends on another's value.
"""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from userops.core import closures, comparing
from userops.core.closures import Run
from userops.core.columns import columns as taken
from userops.core.comparing import Codes
from userops.core.ids import identifier
from userops.errors import IncomparableError, InvalidValue

#: Words of the TOML form that therefore cannot be field names.
RESERVED = ("all", "any", "not")
_MAX_DEPTH = 32
_WORDS = {
    "==": "is",
    "!=": "is not",
    "<": "is below",
    "<=": "is at most",
    ">": "is above",
    ">=": "is at least",
}


@frozen
class Finding:
    """What one comparison of a condition found: its words, the field's value, and whether it held."""

    atom: str
    field: str
    value: Any
    #: True, False, or None where the field is missing.
    held: bool | None


class Condition(ABC):
    """A condition on the fields of a record; made with `F`, combined with `&`, `|` and `~`.

    >>> from userops.core.conditions import F
    >>> owners = (F("kind") == "owner") & ~F("city").one_of("Hefei")
    >>> owners.holds({"kind": "owner", "city": "Shanghai"}), owners.holds({"kind": "owner"})
    (True, False)
    """

    __slots__ = ()

    def holds(self, record: Mapping[str, Any]) -> bool:
        """Say whether the condition is known to be true of a record."""
        if not hasattr(record, "get"):
            raise InvalidValue(f"a record maps fields to values; a {type(record).__name__} was given")
        return self.run(record) is True

    def mask(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
        """Return where the condition holds, for columns of equal length; an absent column is all missing.

        >>> from userops.core.conditions import F
        >>> (F("amount") >= 100).mask({"amount": np.array([99, 100])}).tolist()
        [False, True]
        """
        given = taken(columns)
        rows = len(next(iter(given.values()))) if given else 0
        mask: NDArray[np.bool_] = self.codes(given, rows) == comparing.TRUE
        return mask

    def explain(self, record: Mapping[str, Any]) -> tuple[Finding, ...]:
        """Return what each comparison found, in reading order.

        >>> from userops.core.conditions import F
        >>> (F("amount") >= 100).explain({"amount": 99})
        (Finding(atom='amount is at least 100', field='amount', value=99, held=False),)
        """
        if not hasattr(record, "get"):
            raise InvalidValue(f"a record maps fields to values; a {type(record).__name__} was given")
        return tuple(
            Finding(atom.describe(), atom.field, record.get(atom.field), atom.run(record))
            for atom in self.atoms()
        )

    def fields(self) -> tuple[str, ...]:
        """Return the names of the fields it reads, each once."""
        return tuple(dict.fromkeys(atom.field for atom in self.atoms()))

    @property
    @abstractmethod
    def run(self) -> Run:
        """The test on a record: True, False, or None for unknown."""

    @abstractmethod
    def codes(self, columns: Mapping[str, NDArray[Any]], rows: int) -> Codes:
        """Return `comparing` codes (0 false, 1 unknown, 2 true) for the rows of columns."""

    @abstractmethod
    def atoms(self) -> Iterator[Atom]:
        """Yield the comparisons in reading order."""

    @abstractmethod
    def describe(self) -> str:
        """Say the condition in words."""

    @abstractmethod
    def to_toml(self) -> dict[str, Any]:
        """Return the table that `from_toml` reads back as this condition."""

    @staticmethod
    def from_toml(table: Mapping[str, Any]) -> Condition:
        """Read a condition from its TOML form; the keys of a table all have to hold.

        >>> Condition.from_toml({"amount": {">=": 100}, "city": ["Hefei"]}).describe()
        'amount is at least 100 and city is one of Hefei'
        """
        return _from_table(table, 0)

    def __and__(self, other: Condition) -> Condition:
        return _combined(All, self, other)

    def __or__(self, other: Condition) -> Condition:
        return _combined(Either, self, other)

    def __invert__(self) -> Condition:
        return Not(self)

    def __bool__(self) -> bool:
        raise InvalidValue("a condition has no truth by itself: use holds(record), and & | ~ to combine")


def _depth(*parts: Condition) -> int:
    depth = 1 + max((getattr(part, "depth", 0) for part in parts), default=0)
    if depth > _MAX_DEPTH:
        raise InvalidValue(f"a condition nests at most {_MAX_DEPTH} deep")
    return depth


@frozen
class Atom(Condition):
    """One comparison: a field, an operator (`one_of` and `missing` included) and a constant."""

    field: str
    op: str
    value: Any
    run: Run = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "run", closures.field_test(self.field, self.op, self.value))

    def __reduce__(self) -> tuple[Any, ...]:
        # A compiled test does not travel.
        return (Atom, (self.field, self.op, self.value))

    def codes(self, columns: Mapping[str, NDArray[Any]], rows: int) -> Codes:
        column = columns.get(self.field)
        if column is None:
            return np.full(rows, comparing.TRUE if self.op == "missing" else comparing.UNKNOWN)
        column = np.asanyarray(column)
        if self.op == "missing":
            return comparing.codes_missing(column)
        try:
            if self.op == "one_of":
                return comparing.codes_among(self.value, column)
            return comparing.codes_against(self.op, self.value, column)
        except (InvalidValue, IncomparableError) as fault:
            raise comparing.named(fault, self.field) from None

    def atoms(self) -> Iterator[Atom]:
        yield self

    def describe(self) -> str:
        if self.op == "missing":
            return f"{self.field} is missing"
        if self.op == "one_of":
            return f"{self.field} is one of {', '.join(str(value) for value in self.value)}"
        return f"{self.field} {_WORDS[self.op]} {self.value}"

    def to_toml(self) -> dict[str, Any]:
        if self.op == "one_of":
            return {self.field: list(self.value)}
        return {self.field: self.value if self.op == "==" else {self.op: self.value}}


@frozen
class Not(Condition):
    """The part is known to be false."""

    part: Condition
    depth: int = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "depth", _depth(self.part))

    @property
    def run(self) -> Run:
        inner = self.part.run

        def run(record: Mapping[str, Any]) -> bool | None:
            value = inner(record)
            return None if value is None else not value

        return run

    def codes(self, columns: Mapping[str, NDArray[Any]], rows: int) -> Codes:
        codes: Codes = comparing.TRUE - self.part.codes(columns, rows)
        return codes

    def atoms(self) -> Iterator[Atom]:
        return self.part.atoms()

    def describe(self) -> str:
        return f"not ({self.part.describe()})"

    def to_toml(self) -> dict[str, Any]:
        return {"not": self.part.to_toml()}

    def __invert__(self) -> Condition:
        return self.part


@frozen
class _Several(Condition):
    """Parts combined: `decisive` is the truth value that one part alone can give the whole."""

    parts: tuple[Condition, ...]
    run: Run = attrs.field(init=False, eq=False, repr=False)
    depth: int = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "depth", _depth(*self.parts))
        object.__setattr__(
            self, "run", closures.combined(tuple(part.run for part in self.parts), self._decisive())
        )

    @classmethod
    @abstractmethod
    def _decisive(cls) -> bool: ...

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.parts,))

    def codes(self, columns: Mapping[str, NDArray[Any]], rows: int) -> Codes:
        decisive = self._decisive()
        codes: Codes = np.full(rows, comparing.FALSE if decisive else comparing.TRUE)
        for part in self.parts:
            (np.maximum if decisive else np.minimum)(codes, part.codes(columns, rows), out=codes)
        return codes

    def atoms(self) -> Iterator[Atom]:
        for part in self.parts:
            yield from part.atoms()

    def _words(self, word: str) -> str:
        return word.join(
            f"({part.describe()})" if isinstance(part, _Several) else part.describe() for part in self.parts
        )


@frozen
class All(_Several):
    """Every part holds; of no parts, always true."""

    @classmethod
    def _decisive(cls) -> bool:
        return False

    def describe(self) -> str:
        return self._words(" and ") or "always"

    def to_toml(self) -> dict[str, Any]:
        tables = [part.to_toml() for part in self.parts]
        merged = {key: value for table in tables for key, value in table.items()}
        if len(merged) == sum(map(len, tables)):
            return merged
        return {"all": tables}


@frozen
class Either(_Several):
    """At least one part holds."""

    @classmethod
    def _decisive(cls) -> bool:
        return True

    def describe(self) -> str:
        return self._words(" or ")

    def to_toml(self) -> dict[str, Any]:
        return {"any": [part.to_toml() for part in self.parts]}


def _combined(cls: type[All | Either], *conditions: Condition) -> Condition:
    parts: list[Condition] = []
    for condition in conditions:
        if not isinstance(condition, Condition):
            raise InvalidValue(f"conditions combine with conditions, not with {type(condition).__name__}")
        parts.extend(condition.parts if isinstance(condition, cls) else (condition,))
    return parts[0] if len(parts) == 1 else cls(tuple(parts))


#: The condition that always holds.
ALWAYS: Condition = All(())


def compared(name: str, op: str, value: Any) -> Condition:
    """Return the comparison of a field with a constant, refusing what has no meaning."""
    constant = comparing.constant(value)
    if isinstance(constant, bool) and op not in ("==", "!="):
        raise InvalidValue(f"{name}: true and false have no order")
    return Atom(name, op, constant)


def among(name: str, values: Sequence[Any]) -> Condition:
    """Return the condition that a field is one of these values, all of one kind."""
    constants = tuple(comparing.constant(value) for value in values)
    kinds = sorted({comparing.kind_of(value) for value in constants})
    if len(kinds) != 1:
        raise InvalidValue(f"{name}: one_of takes values of one kind, got {', '.join(kinds) or 'none'}")
    return Atom(name, "one_of", constants)


def field_name(name: object) -> str:
    """Return the name of a field, refusing the words of the language."""
    exact = identifier(name, "a field name")
    if exact in RESERVED:
        raise InvalidValue(f"{exact!r} is a word of the condition language, not a field name")
    return exact


def _from_table(table: Any, depth: int) -> Condition:
    if not isinstance(table, Mapping):
        raise InvalidValue(f"a condition is a table, not {type(table).__name__}")
    if depth > _MAX_DEPTH:
        raise InvalidValue(f"a condition nests at most {_MAX_DEPTH} deep")
    return _combined(All, ALWAYS, *(_from_item(key, value, depth) for key, value in table.items()))


def _from_item(key: str, value: Any, depth: int) -> Condition:
    if key == "not":
        return ~_from_table(value, depth + 1)
    if key in ("all", "any"):
        if not isinstance(value, list | tuple) or not value:
            raise InvalidValue(f"{key} takes a list of tables")
        return _combined(All if key == "all" else Either, *(_from_table(part, depth + 1) for part in value))
    name = field_name(key)
    if isinstance(value, list | tuple):
        return among(name, value)
    if not isinstance(value, Mapping):
        return compared(name, "==", value)
    if not value:
        raise InvalidValue(f"{key}: give an operator, one of {', '.join(comparing.OPERATORS)}, missing")
    return _combined(All, ALWAYS, *(_from_operator(name, op, constant) for op, constant in value.items()))


def _from_operator(name: str, op: str, constant: Any) -> Condition:
    if not isinstance(op, str):
        raise InvalidValue(f"{name}: an operator is text, not {type(op).__name__}")
    if op == "missing" and isinstance(constant, bool):
        missing = Atom(name, "missing", value=True)
        return missing if constant else ~missing
    if op in comparing.OPERATORS:
        return compared(name, op, constant)
    near = difflib.get_close_matches(op, [*comparing.OPERATORS, "missing"], 1, 0.4)
    hint = (
        f"; did you mean {near[0]!r}?"
        if near
        else f"; the operators are {', '.join(comparing.OPERATORS)}, missing"
    )
    raise InvalidValue(f"{name}: unknown operator {op!r}{hint}")
