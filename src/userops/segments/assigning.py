"""Assigning: labels for millions of members, as small codes that a table decodes to label and reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from userops.core.conditions import Condition, F
from userops.core.masks import BLOCK, Masks
from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.segments.labelling import Explanation, column_of
from userops.segments.segment import Segment


@frozen
class Outcome:
    """What a code stands for: the label, the clauses that held, and one unit of score for each segment."""

    label: Any
    reasons: tuple[str, ...]
    names: tuple[str, ...]

    @classmethod
    def of(cls, held: Sequence[tuple[Segment, Condition]], *, several: bool = False) -> Outcome:
        """Describe the segments that hold, each with the first of its clauses that does."""
        if not held and not several:
            return cls.none()
        labels = tuple(segment.label for segment, _ in held)
        reasons = tuple(f"{segment.name}: {clause.describe()}" for segment, clause in held)
        names = tuple(segment.name for segment, _ in held)
        return cls(labels if several else labels[0], reasons or (_NOTHING,), names)

    @classmethod
    def none(cls) -> Outcome:
        """Describe that no segment holds."""
        return cls(None, (_NOTHING,), ())

    def explanation(self, as_of: datetime | None, version: str, missing: tuple[str, ...]) -> Explanation:
        """Return it as the explanation of one member."""
        parts = dict.fromkeys(self.names, 1.0)
        return Explanation(self.label, float(len(parts)), parts, self.reasons, as_of, version, missing)


_NOTHING = "no segment holds"


class Assignment:
    """The labels of many members: one small code each, decoded when asked.

    `.labels`, `.reasons`, `.score`, `.contributions` and `.missing` are columns in the order of the rows;
    `[row]` explains one of them.
    """

    def __init__(
        self,
        codes: NDArray[Any],
        *,
        outcomes: Sequence[Outcome],
        names: tuple[str, ...],
        as_of: datetime | None,
        version: str,
        columns: Mapping[str, NDArray[Any]],
        fields: tuple[str, ...],
    ) -> None:
        """Keep the codes and what they stand for."""
        self.codes, self.outcomes, self.names = codes, tuple(outcomes), names
        self.as_of, self.version = as_of, version
        self._columns, self._fields = columns, fields

    def _decoded(self, values: Sequence[Any]) -> NDArray[Any]:
        table, found = column_of(values, len(values)), np.empty(len(self.codes), dtype=object)
        # In blocks: numpy turns codes into eight-byte places before it takes.
        for start in range(0, len(found), BLOCK):
            part = slice(start, start + BLOCK)
            np.take(table, self.codes[part], out=found[part], mode="clip")
        return found

    @property
    def labels(self) -> NDArray[Any]:
        """The label of every row: text, None where no segment holds, tuples of texts in mode "all"."""
        return self._decoded([outcome.label for outcome in self.outcomes])

    label = labels

    @property
    def reasons(self) -> NDArray[Any]:
        """The reasons of every row, as tuples of texts."""
        return self._decoded([outcome.reasons for outcome in self.outcomes])

    @property
    def score(self) -> NDArray[np.float64]:
        """How many segments hold for every row."""
        counts = np.array([len(outcome.names) for outcome in self.outcomes], dtype=np.float64)
        found: NDArray[np.float64] = counts[self.codes]
        return found

    @property
    def contributions(self) -> dict[str, NDArray[np.float64]]:
        """What every segment adds to the score of every row."""
        return {
            name: np.array([float(name in outcome.names) for outcome in self.outcomes])[self.codes]
            for name in self.names
        }

    @property
    def missing(self) -> dict[str, NDArray[np.bool_]]:
        """Where every field that the rules read has no value."""
        rows = len(self.codes)
        return {
            name: F(name).is_missing().mask({name: self._columns[name]})
            if name in self._columns
            else np.ones(rows, bool)
            for name in self._fields
        }

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, row: int) -> Explanation:
        if not -len(self.codes) <= row < len(self.codes):
            raise IndexError(f"row {row} of {len(self.codes)}")
        outcome = self.outcomes[int(self.codes[row])]
        missing = tuple(
            name
            for name in self._fields
            if name not in self._columns
            or bool(F(name).is_missing().mask({name: self._columns[name][row:][:1]})[0])
        )
        return outcome.explanation(self.as_of, self.version, missing)

    def __iter__(self) -> Iterator[Explanation]:
        return (self[row] for row in range(len(self.codes)))

    def counts(self) -> dict[str, int]:
        """Return how many members each segment has; in mode "all" a member may count in several."""
        found = np.bincount(self.codes, minlength=len(self.outcomes))
        sizes = {
            name: int(
                sum(
                    count
                    for count, outcome in zip(found, self.outcomes, strict=True)
                    if name in outcome.names
                )
            )
            for name in self.names
        }
        unclaimed = sum(
            count for count, outcome in zip(found, self.outcomes, strict=True) if not outcome.names
        )
        return sizes | {"unclaimed": int(unclaimed)}

    def table(self) -> Table:
        """Return the sizes of the segments."""
        counts = self.counts()
        total = max(len(self), 1)
        return Table(
            {
                "segment": list(counts),
                "members": list(counts.values()),
                "share": [count / total for count in counts.values()],
            },
            formats={"share": ".1%"},
            notes=(f"rules {self.version}" + (f", as of {self.as_of:%Y-%m-%d}" if self.as_of else ""),),
        )

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def codes_of_first(
    clauses: Sequence[Condition], columns: Mapping[str, NDArray[Any]], rows: int
) -> NDArray[Any]:
    """Return, per row, the number of clauses from the first that holds to the last, 0 where none holds.

    Codes fall with priority, so that the first clause that holds is the maximum of mask × code.
    """
    dtype = np.dtype(np.uint8 if len(clauses) < 2**8 else np.uint16)
    if len(clauses) >= 2**16:
        raise InvalidValue(f"{len(clauses)} clauses are more than 65,535")
    masks = Masks(columns)
    fills = [
        (masks.known_true(clause), dtype.type(len(clauses) - place)) for place, clause in enumerate(clauses)
    ]
    codes = np.zeros(rows, dtype)
    mask, scaled = np.empty(BLOCK, bool), np.empty(BLOCK, dtype)
    for start in range(0, rows, BLOCK):
        stop = min(start + BLOCK, rows)
        held, marked, out = mask[: stop - start], scaled[: stop - start], codes[start:stop]
        for fill, code in fills:
            fill(start, stop, held)
            np.multiply(held.view(np.uint8), code, out=marked)
            np.maximum(out, marked, out=out)
    return codes


def codes_of_all(
    segments: Sequence[Segment], columns: Mapping[str, NDArray[Any]], rows: int
) -> tuple[NDArray[np.int64], tuple[Outcome, ...]]:
    """Return, per row, which combination of segments holds, and the combinations that occur."""
    masks = Masks(columns)
    fills = [
        [(masks.known_true(clause), len(segment.clauses) - k) for k, clause in enumerate(segment.clauses)]
        for segment in segments
    ]
    known: dict[bytes, int] = {}
    codes = np.empty(rows, np.int64)
    held_rows = np.empty(BLOCK, bool)
    for start in range(0, rows, BLOCK):
        stop = min(start + BLOCK, rows)
        # One row per member, one number per segment: which of its clauses held, from the last.
        found = np.zeros((stop - start, len(segments)), np.int32)
        for place, clauses in enumerate(fills):
            for fill, code in clauses:
                fill(start, stop, held_rows[: stop - start])
                np.maximum(found[:, place], held_rows[: stop - start] * np.int32(code), out=found[:, place])
        packed = found.view(np.dtype((np.void, found.itemsize * found.shape[1]))).reshape(-1)
        distinct, inverse = np.unique(packed, return_inverse=True)
        table = [known.setdefault(key.tobytes(), len(known)) for key in distinct]
        codes[start:stop] = np.array(table, np.int64)[inverse]
    return codes, tuple(_outcome_of(key, segments) for key in known)


def _outcome_of(key: bytes, segments: Sequence[Segment]) -> Outcome:
    found = np.frombuffer(key, np.int32)
    held = [
        (segment, segment.clauses[len(segment.clauses) - int(code)])
        for segment, code in zip(segments, found, strict=True)
        if code
    ]
    return Outcome.of(held, several=True)
