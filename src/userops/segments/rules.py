"""Rules: sets of segments that know their gaps and overlaps, for one member and for millions."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from userops.core import comparing
from userops.core.calendar import instant
from userops.core.columns import columns as taken_columns
from userops.core.conditions import Condition
from userops.core.deciding import Decider
from userops.core.ids import text
from userops.core.quantities import choice, listed, of_kind
from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.segments.assigning import Assignment, Outcome, codes_of_all, codes_of_first
from userops.segments.gaps import Code, Product
from userops.segments.labelling import Explanation
from userops.segments.segment import Segment

MODES: Final = ("first", "all")


def _version_text(value: Any) -> str:
    return text(value, "version")


def _segments(segments: Any) -> tuple[Segment, ...]:
    found = tuple(listed(segments, "segments"))
    if not found or not all(isinstance(segment, Segment) for segment in found):
        raise InvalidValue("a segment set takes a list of at least one Segment")
    names = [segment.name for segment in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidValue(f"two segments are named {twice[0]!r}")
    return found


@frozen(eq=False)
class SegmentSet:
    """Segments that divide the members between them, checked for gaps and overlaps when built.

    In mode "first" a member belongs to the first segment that holds; in mode "all" to every one. The check
    runs over the product of `domain`, or of the values that the comparisons tell apart, missing being one of
    them for every field that `domain` does not list. What it finds is `.unclaimed` and `.overlaps`; with
    `strict=True` a finding is an error.

    >>> from userops.core.conditions import F
    >>> ages = SegmentSet([Segment("young", F("age") < 30), Segment("old", F("age") >= 40)])
    >>> [code["age"] for code in ages.unclaimed]
    [30, None]
    >>> ages.explain({"age": 50}).label
    'old'
    """

    segments: tuple[Segment, ...] = field(converter=_segments)
    mode: str = "first"
    domain: Mapping[str, Sequence[Any]] | None = None
    strict: bool = False
    #: Named in every result; by default a hash of the rules.
    version: str = field(default="", converter=_version_text)
    #: Pairs of names of segments that some combination of values belongs to both of.
    overlaps: tuple[tuple[str, str], ...] = field(init=False)
    _product: Product = field(init=False, repr=False)
    _gaps: NDArray[np.int64] = field(init=False, repr=False)
    _clauses: tuple[tuple[int, Condition], ...] = field(init=False, repr=False)
    _outcomes: tuple[Outcome, ...] = field(init=False, repr=False)
    _explained: tuple[Explanation, ...] = field(init=False, repr=False)
    _decider: Decider = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        """Check the set."""
        choice(self.mode, MODES, "mode")
        if self.domain is not None and not isinstance(self.domain, Mapping):
            raise InvalidValue("domain maps fields to the values that occur: {'r': [1, 2, 3]}")
        put = object.__setattr__
        put(self, "_product", Product([segment.condition for segment in self.segments], self.domain))
        held = [np.packbits(self._product.held(segment.condition)) for segment in self.segments]
        claimed = np.unpackbits(np.bitwise_or.reduce(held), count=self._product.size)
        put(self, "_gaps", np.flatnonzero(claimed == 0))
        put(
            self,
            "overlaps",
            tuple(
                (self.segments[a].name, self.segments[b].name)
                for a, b in itertools.combinations(range(len(held)), 2)
                if (held[a] & held[b]).any()
            ),
        )
        clauses = tuple((k, clause) for k, segment in enumerate(self.segments) for clause in segment.clauses)
        put(self, "_clauses", clauses)
        put(self, "version", self.version or _version(self))
        put(self, "_outcomes", tuple(Outcome.of([(self.segments[k], part)]) for k, part in clauses))
        put(
            self,
            "_explained",
            tuple(
                outcome.explanation(None, self.version, ()) for outcome in (*self._outcomes, Outcome.none())
            ),
        )
        put(self, "_decider", Decider([clause for _, clause in clauses]))
        of_kind(self.strict, bool, "strict")
        if self.strict and (len(self._gaps) or self.overlaps):
            raise InvalidValue(self._complaint())

    def __reduce__(self) -> tuple[Any, ...]:
        # Compiled tests do not travel: the set is built anew.
        return (SegmentSet, (self.segments, self.mode, self.domain, self.strict, self.version))

    @property
    def unclaimed(self) -> tuple[Code, ...]:
        """The combinations of values that no segment claims."""
        return tuple(self._product.codes_at(self._gaps))

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that the conditions read."""
        return self._decider.fields

    def explain(self, record: Mapping[str, Any], *, as_of: datetime | None = None) -> Explanation:
        """Return the label of one member, with the reason.

        >>> from userops.core.conditions import F
        >>> SegmentSet([Segment("owner", F("kind") == "owner")]).explain({}).missing
        ('kind',)
        """
        if self.mode == "first" and as_of is None:
            place = self._decider.quick(record)
            if place is not None:
                return self._explained[place]
        return self._explain_plainly(record, None if as_of is None else instant(as_of, "as_of"))

    def _explain_plainly(self, record: Mapping[str, Any], as_of: datetime | None) -> Explanation:
        if not isinstance(record, Mapping):
            raise InvalidValue(f"a record maps fields to values, not a {type(record).__name__}")
        held = [(k, clause) for k, clause in self._clauses if clause.run(record) is True]
        first = list({k: (self.segments[k], clause) for k, clause in reversed(held)}.values())[::-1]
        outcome = Outcome.of(first[:1] if self.mode == "first" else first, several=self.mode == "all")
        missing = tuple(name for name in self.fields if comparing.plain(record.get(name)) is None)
        return outcome.explanation(as_of, self.version, missing)

    def assign(self, columns: Any, *, as_of: datetime | None = None) -> Assignment:
        """Return the labels of many members, from a table of columns (arrays, lists or any data frame).

        >>> from userops.core.conditions import F
        >>> owners = SegmentSet([Segment("owner", F("kind") == "owner")])
        >>> owners.assign({"kind": ["owner", "fan"]}).labels.tolist()
        ['owner', None]
        """
        taken = taken_columns(columns)
        found = {name: taken[name] for name in self.fields if name in taken}
        rows = len(next(iter(taken.values()))) if taken else 0
        if self.mode == "first":
            codes = codes_of_first([clause for _, clause in self._clauses], found, rows)
            outcomes: tuple[Outcome, ...] = (*self._outcomes[::-1],)
            outcomes = (Outcome.none(), *outcomes)
        else:
            codes, outcomes = codes_of_all(self.segments, found, rows)
        return Assignment(
            codes,
            outcomes=outcomes,
            names=tuple(segment.name for segment in self.segments),
            as_of=None if as_of is None else instant(as_of, "as_of"),
            version=self.version,
            columns=found,
            fields=self.fields,
        )

    def table(self) -> Table:
        """Return the segments with their conditions in words, and the findings as notes."""
        notes = [f"{a} and {b} overlap" for a, b in self.overlaps[:10]]
        if len(self._gaps):
            notes.append(f"{len(self._gaps):,} of {self._product.size:,} combinations are unclaimed")
        return Table(
            {
                "segment": [segment.name for segment in self.segments],
                "condition": [segment.condition.describe() for segment in self.segments],
            },
            notes=tuple(notes),
        )

    def __str__(self) -> str:
        return str(self.table())

    def _complaint(self) -> str:
        words = [f"{a!r} and {b!r} overlap" for a, b in self.overlaps[:3]]
        if len(self._gaps):
            first = [code.as_record() for code in self._product.codes_at(self._gaps[:3])]
            words.append(f"{len(self._gaps):,} combinations are unclaimed, such as {first}")
        return f"the segments are not a partition: {'; '.join(words)}"


def _version(rules: SegmentSet) -> str:
    """Return a short hash of what decides: the mode, the names and the conditions."""
    said = [rules.mode, *([segment.name, segment.condition.to_toml()] for segment in rules.segments)]
    said_text = json.dumps(said, default=repr, sort_keys=True)
    return hashlib.sha256(said_text.encode()).hexdigest()[:12]
