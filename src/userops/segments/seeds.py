"""Seed users (种子用户): who may be asked to co-create, and how they rank, in the open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from userops.core.amounts import whole
from userops.core.calendar import instant
from userops.core.columns import columns as taken_columns
from userops.core.quantities import checked_number, is_known, mapped, shown
from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.segments.labelling import Explanation, Label, column_of, summable

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
PARTS: Final = ("activity", "fit", "content", "spread", "conversion")
GATES: Final = ("kind", "active", "nps", "open_severe", "flagged")
KINDS: Final = ("owner", "verified fan", "verified_fan")
VERSION: Final = "seed"
_CLASSES: Final = ("promoter", "passive", "detractor")


@frozen(eq=False)
class SeedUsers:
    """Who passes the gates, and how they score: columns in the order of the rows."""

    eligible: Bools
    #: Σ weight × quantile rank; 0 for who does not pass the gates.
    score: Floats
    #: What each part adds, by name.
    contributions: Mapping[str, Floats]
    gates: Mapping[str, Bools]
    as_of: datetime
    members: tuple[Any, ...] | None
    _missing: Mapping[str, Bools]

    @property
    def label(self) -> NDArray[Any]:
        """The label "seed" where the gates are passed, else None; how many to ask is `top`'s to say."""
        seed = Label("seed")
        return column_of((seed if passed else None for passed in self.eligible), len(self))

    @property
    def reasons(self) -> NDArray[Any]:
        """The reasons of every row."""
        return column_of((self[row].reasons for row in range(len(self))), len(self))

    @property
    def missing(self) -> Mapping[str, Bools]:
        """Where an input has no value: such a part adds nothing, such a gate is judged as described."""
        return self._missing

    def top(self, k: int) -> tuple[int, ...]:
        """Return the rows of the k best who pass the gates, ties to the smallest row."""
        count = whole(k, "k", at_least=0)
        order = np.lexsort((np.arange(len(self)), -self.score))
        return tuple(int(row) for row in order if self.eligible[row])[:count]

    def __len__(self) -> int:
        return len(self.score)

    def __getitem__(self, row: int) -> Explanation:
        """Explain one row."""
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        parts = {name: float(values[row]) for name, values in self.contributions.items()}
        failed = [name for name, passed in self.gates.items() if not passed[row]]
        if failed:
            reasons = tuple(f"stopped at the gate {name!r}" for name in failed)
        else:
            ordered = sorted(parts, key=lambda name: (-parts[name], PARTS.index(name)))
            reasons = tuple(f"{name} adds {parts[name]:.3f}" for name in ordered if parts[name] > 0)
        return Explanation(
            Label("seed") if self.eligible[row] else None,
            float(self.score[row]),
            parts,
            reasons or ("nothing adds to the score",),
            self.as_of,
            VERSION,
            tuple(name for name, gone in self._missing.items() if gone[row]),
            None if self.members is None else self.members[row],
        )

    def __iter__(self) -> Iterator[Explanation]:
        return (self[row] for row in range(len(self)))

    def table(self, k: int = 20) -> Table:
        """Return the k best with what each part adds."""
        rows = list(self.top(k))
        names = rows if self.members is None else [self.members[row] for row in rows]
        return Table(
            {
                "row" if self.members is None else "member": names,
                "score": self.score[rows].tolist(),
                **{name: values[rows].tolist() for name, values in self.contributions.items()},
            },
            title=f"Seed users at {self.as_of:%Y-%m-%d}",
            formats=dict.fromkeys(("score", *PARTS), ".3f"),
            notes=(f"{int(self.eligible.sum()):,} of {len(self):,} pass the gates",),
        )

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def seed_users(columns: Any, as_of: datetime, *, weights: Mapping[str, Any] | None = None) -> SeedUsers:
    """Return who may be a seed user, and a score that its parts explain.

    Columns: `kind` (owner or verified fan pass), `active`, `nps` (promoter, passive, detractor: never),
    `open_severe` (a number or truth), `flagged`; and the parts `activity`, `fit`, `content`, `spread`,
    `conversion`, numbers that are better when higher. A missing `kind`, `active`, `open_severe` or `flagged`
    stops at its gate: nobody passes on what is not known. A missing `nps` passes, for it is no detractor.
    Each part adds its weight (equal ones by default, scaled to sum to 1) times the share of all members with
    a known value who are strictly below: a member who gets more of anything never scores less. A missing
    part adds nothing. The optional column `member` names the rows.

    >>> from datetime import UTC
    >>> more = dict.fromkeys(["activity", "fit", "content", "spread", "conversion"], [1, 2])
    >>> gates = dict(kind=["owner", "owner"], active=[True, True], open_severe=[0, 0], flagged=[False, False])
    >>> found = seed_users({**gates, "nps": ["promoter", "detractor"], **more}, datetime(2027, 1, 1, tzinfo=UTC))
    >>> found.eligible.tolist(), found.score.tolist()
    ([True, False], [0.0, 0.0])
    """
    when = instant(as_of, "as_of")
    taken = taken_columns(columns)
    absent = [name for name in (*GATES, *PARTS) if name not in taken]
    if absent:
        raise InvalidValue(
            f"seed users need the column {absent[0]!r}; the columns are {', '.join((*GATES, *PARTS))}"
        )
    share = _weights(weights)
    missing = {name: _gone(taken[name]) for name in (*GATES, *PARTS)}
    gates = _gates(taken, missing)
    eligible: Bools = np.logical_and.reduce(list(gates.values()))
    parts = {name: share[name] * _ranks(name, taken[name], missing[name]) * eligible for name in PARTS}
    exact = summable(parts)
    score = np.zeros(len(eligible)) + sum(exact.values())
    members = tuple(taken["member"].tolist()) if "member" in taken else None
    return SeedUsers(eligible, score, exact, gates, when, members, missing)


def _weights(weights: Mapping[str, Any] | None) -> dict[str, float]:
    given = dict.fromkeys(PARTS, 1.0) if weights is None else mapped(weights, "weights")
    unknown = sorted(map(shown, set(given) - set(PARTS)))
    if unknown:
        raise InvalidValue(f"weights are of {', '.join(PARTS)}; got {unknown[0]}")
    found = {name: checked_number(given.get(name, 0), f"the weight of {name}", 0, 1e6) for name in PARTS}
    total = sum(found.values())
    if not total:
        raise InvalidValue("at least one weight must be above 0")
    return {name: weight / total for name, weight in found.items()}


def _gone(values: NDArray[Any]) -> Bools:
    data, gone = np.ma.getdata(values), np.ma.getmaskarray(values)
    away = np.zeros(len(data), bool)
    if data.dtype == object:
        away = np.fromiter((not is_known(v) for v in data), bool, len(data))
    elif data.dtype.kind == "f":
        away = np.isnan(data)
    found: Bools = gone | away
    return found


def _gates(taken: Mapping[str, NDArray[Any]], missing: Mapping[str, Bools]) -> dict[str, Bools]:
    nps = _texts("nps", taken["nps"], missing["nps"])
    wrong = sorted({value for value in nps if value is not None} - set(_CLASSES))
    if wrong:
        raise InvalidValue(f"nps is {', '.join(_CLASSES)}; got {wrong[0][:40]!r}")
    kinds = _texts("kind", taken["kind"], missing["kind"])
    return {
        "kind": np.array([value in KINDS for value in kinds], dtype=bool),
        "active": _truths("active", taken["active"], missing["active"]) & ~missing["active"],
        "nps": np.array([value != "detractor" for value in nps], dtype=bool),
        "open_severe": ~(
            _truths("open_severe", taken["open_severe"], missing["open_severe"]) | missing["open_severe"]
        ),
        "flagged": ~(_truths("flagged", taken["flagged"], missing["flagged"]) | missing["flagged"]),
    }


def _texts(name: str, values: NDArray[Any], gone: Bools) -> list[str | None]:
    found = [
        None if away else value for value, away in zip(np.ma.getdata(values).tolist(), gone, strict=True)
    ]
    if not all(value is None or isinstance(value, str) for value in found):
        raise InvalidValue(f"{name} must be a column of texts")
    return found


def _truths(name: str, values: NDArray[Any], gone: Bools) -> Bools:
    data = np.ma.getdata(values)
    if data.dtype == object:
        listed = [False if away else value for value, away in zip(data, gone, strict=True)]
        if not all(isinstance(value, bool | np.bool_ | int | float | np.number) for value in listed):
            raise InvalidValue(f"{name} must be a column of truths or numbers")
        return np.array([bool(value) for value in listed], dtype=bool)
    if data.dtype.kind not in "biuf":
        raise InvalidValue(f"{name} must be a column of truths or numbers, not {data.dtype}")
    return np.where(gone, False, data != 0)


def _ranks(name: str, values: NDArray[Any], gone: Bools) -> Floats:
    """Return the share of the known values strictly below each; 0 where it is missing."""
    data = np.ma.getdata(values)
    if data.dtype == object:
        data = np.array(
            [
                0.0 if away else checked_number(value, name, -1e300, 1e300)
                for value, away in zip(data, gone, strict=True)
            ]
        )
    if data.dtype.kind not in "iuf":
        raise InvalidValue(f"{name} must be a column of numbers, not {data.dtype}")
    known = np.sort(data[~gone])
    below = np.searchsorted(known, data, "left") / max(len(known), 1)
    ranks: Floats = np.where(gone, 0.0, below)
    return ranks
