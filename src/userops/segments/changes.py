"""Changes: who moved from which segment to which, between two labellings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from userops.core.quantities import hashable, listed, shown
from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.segments.assigning import Assignment

UNCLAIMED = "unclaimed"
#: Where a member is in one of the two labellings only.
ABSENT = "absent"


@frozen(eq=False)
class Changes:
    """A migration matrix: rows are the labels before, columns the labels after."""

    labels: tuple[Any, ...]
    matrix: NDArray[np.int64]

    def __getitem__(self, pair: tuple[Any, Any]) -> int:
        before, after = (UNCLAIMED if name is None else name for name in pair)
        if before not in self.labels or after not in self.labels:
            return 0
        return int(self.matrix[self.labels.index(before), self.labels.index(after)])

    @property
    def moved(self) -> int:
        """How many members have another label than before."""
        return int(self.matrix.sum() - np.trace(self.matrix))

    def table(self) -> Table:
        """Return the matrix with its labels."""
        names = [_words(name) for name in self.labels]
        columns: dict[str, list[Any]] = {"from \\ to": names}
        columns |= {name: self.matrix[:, place].tolist() for place, name in enumerate(names)}
        return Table(columns, notes=(f"{self.moved:,} of {int(self.matrix.sum()):,} moved",))

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def changes(before: Any, after: Any) -> Changes:
    """Return the migration matrix of two labellings of the same members.

    Both are results of `assign`, sequences of labels in the same order of members, or mappings from members to
    labels; of mappings, a member in one only counts as "absent" in the other. A label None is "unclaimed".

    >>> moved = changes(["fan", "fan", None], ["fan", "owner", "owner"])
    >>> moved["fan", "owner"], moved["unclaimed", "owner"], moved.moved
    (1, 1, 2)
    """
    if isinstance(before, Assignment) and isinstance(after, Assignment):
        return _of_codes(before, after)
    if isinstance(before, Mapping) != isinstance(after, Mapping):
        raise InvalidValue("give both labellings in one form: two mappings, or two sequences")
    if isinstance(before, Mapping):
        members = list(dict.fromkeys([*before, *after]))
        first = [before.get(member, ABSENT) for member in members]
        second = [after.get(member, ABSENT) for member in members]
    else:
        first, second = _labels(before), _labels(after)
        if len(first) != len(second):
            raise InvalidValue(f"{len(first)} labels before and {len(second)} after: give the same members")
    pairs: dict[tuple[Any, Any], int] = {}
    for one, other in zip(first, second, strict=True):
        key = (_named(one), _named(other))
        pairs[key] = pairs.get(key, 0) + 1
    return _matrix(pairs)


def _of_codes(before: Assignment, after: Assignment) -> Changes:
    if len(before) != len(after):
        raise InvalidValue(f"{len(before)} rows before and {len(after)} after: give the same members")
    width = len(after.outcomes)
    found = np.zeros(len(before.outcomes) * width, np.int64)
    # In blocks, because the product of the codes needs eight bytes a row.
    for start in range(0, len(before), 2**18):
        keys = (
            before.codes[start : start + 2**18].astype(np.int64) * width + after.codes[start : start + 2**18]
        )
        found += np.bincount(keys, minlength=len(found))
    pairs: dict[tuple[Any, Any], int] = {}
    for place in np.flatnonzero(found).tolist():
        one, other = before.outcomes[place // width].label, after.outcomes[place % width].label
        key = (_named(one), _named(other))
        pairs[key] = pairs.get(key, 0) + int(found[place])
    return _matrix(pairs)


def _labels(labels: Any) -> list[Any]:
    if isinstance(labels, Assignment):
        return list(labels.labels.tolist())
    return listed(labels, "a labelling")


def _named(label: Any) -> Any:
    if label is None or (isinstance(label, tuple) and not label):
        return UNCLAIMED
    return hashable(label, "a label")


def _words(label: Any) -> str:
    return (
        " + ".join(map(str, label))
        if isinstance(label, tuple)
        else label
        if isinstance(label, str)
        else shown(label)
    )


def _matrix(pairs: Mapping[tuple[Any, Any], int]) -> Changes:
    labels = sorted({name for pair in pairs for name in pair}, key=_words)
    places = {name: place for place, name in enumerate(labels)}
    matrix = np.zeros((len(labels), len(labels)), np.int64)
    for (one, other), count in pairs.items():
        matrix[places[one], places[other]] = count
    return Changes(tuple(labels), matrix)
