"""Typical users (典型用户): the members who stand for their stratum, to package and publicise."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from userops.core.amounts import whole
from userops.core.calendar import instant
from userops.core.chance import check_seed, stream
from userops.core.columns import column
from userops.core.columns import columns as taken_columns
from userops.core.quantities import checked_number, hashable
from userops.core.statistics import check_level
from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.segments.distances import Feature, between, features, mean_distances
from userops.segments.labelling import Explanation, Label
from userops.segments.medoids import medoids

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
#: Strata of more rows than this have their panels searched on samples.
WHOLE: Final = 1_000
_ROUNDS: Final = 5
#: Means of equal rows differ by their last bits only; within this they are ties, and the smallest row wins.
_TIE: Final = 1e-12


@frozen(eq=False)
class Stratum:
    """The panel of one stratum: its rows, its medoids, and how well they stand for the rest."""

    name: Any
    rows: Ints
    medoids: tuple[int, ...]
    representativeness: Floats
    #: The distance of every row of the stratum from its nearest medoid.
    distances: Floats
    #: How far the panel's mean distance may lie from what the search saw; 0 where it saw everybody.
    bound: float


@frozen(eq=False)
class TypicalUsers:
    """Panels of typical users: `.medoids` are row numbers, stratum by stratum."""

    strata: tuple[Stratum, ...]
    features: tuple[Feature, ...]
    numbers: Mapping[str, Floats]
    as_of: datetime | None
    seed: int

    @property
    def medoids(self) -> tuple[int, ...]:
        """The row numbers of the panel, stratum by stratum, ascending in each."""
        return tuple(row for stratum in self.strata for row in stratum.medoids)

    @property
    def representativeness(self) -> Floats:
        """For every row, 1 − its mean distance in its stratum ÷ the greatest such mean; 1 where all are alike."""
        found = np.empty(sum(len(stratum.rows) for stratum in self.strata))
        for stratum in self.strata:
            found[stratum.rows] = stratum.representativeness
        return found

    score = representativeness

    @property
    def mean_distance(self) -> float:
        """The mean distance of everybody from the nearest member of the panel of their stratum."""
        return float(np.concatenate([stratum.distances for stratum in self.strata]).mean())

    @property
    def bound(self) -> float:
        """The greatest bound of a stratum: see `Stratum.bound`."""
        return max(stratum.bound for stratum in self.strata)

    def coverage(self, epsilon: float) -> float:
        """Return the share of everybody within `epsilon` of the panel of their stratum."""
        near = checked_number(epsilon, "epsilon", 0, 1e100)
        return float((np.concatenate([stratum.distances for stratum in self.strata]) <= near).mean())

    @property
    def differences(self) -> dict[str, float]:
        """Standardised mean difference, (panel − population) ÷ population's deviation, per column and category.

        What does not vary differs by 0. A panel is balanced where every difference is small, say within 0.25.
        """
        panel = list(self.medoids)
        found = {}
        for name, values in self.numbers.items():
            known = values[~np.isnan(values)]
            chosen = values[panel][~np.isnan(values[panel])]
            if known.size and chosen.size:
                spread = float(known.std())
                found[name] = float(chosen.mean() - known.mean()) / spread if spread > 0 else 0.0
        return found

    def __getitem__(self, row: int) -> Explanation:
        """Explain one row: typical or not, with its representativeness."""
        for stratum in self.strata:
            place = np.flatnonzero(stratum.rows == row)
            if place.size:
                value = float(stratum.representativeness[place[0]])
                is_medoid = row in stratum.medoids
                why = (
                    "nearest to everybody of its stratum"
                    if len(stratum.medoids) == 1
                    else "one of its stratum's panel"
                )
                return Explanation(
                    Label("typical") if is_medoid else None,
                    value,
                    {"representativeness": value},
                    (f"{why if is_medoid else 'not of the panel'}; representativeness {value:.3f}",),
                    self.as_of,
                    "gower",
                    tuple(feature.name for feature in self.features if not feature.known[row]),
                    row,
                )
        raise IndexError(f"row {row}")

    def __len__(self) -> int:
        return sum(len(stratum.rows) for stratum in self.strata)

    def __iter__(self) -> Iterator[Explanation]:
        return (self[row] for row in range(len(self)))

    def table(self) -> Table:
        """Return the panel, one row per medoid."""
        listed = [(stratum, row) for stratum in self.strata for row in stratum.medoids]
        notes = [f"mean distance to the panel {self.mean_distance:.4f}"]
        if self.bound:
            notes.append(
                f"searched on samples: sampling error at most {self.bound:.3f} (95%), seed {self.seed}"
            )
        return Table(
            {
                "stratum": [
                    " × ".join(map(str, stratum.name))
                    if isinstance(stratum.name, tuple)
                    else stratum.name or "all"
                    for stratum, _ in listed
                ],
                "members": [len(stratum.rows) for stratum, _ in listed],
                "row": [row for _, row in listed],
                "representativeness": [
                    float(stratum.representativeness[np.searchsorted(stratum.rows, row)])
                    for stratum, row in listed
                ],
            },
            title="Typical users",
            formats={"representativeness": ".3f"},
            notes=tuple(notes),
        )

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def typical_users(
    columns: Any,
    strata: Any = None,
    k: int = 1,
    *,
    weights: Mapping[str, Any] | None = None,
    seed: int = 0,
    as_of: datetime | None = None,
) -> TypicalUsers:
    """Return the typical users of every stratum: the k medoids under weighted Gower distance.

    `strata` names columns (text or a list of texts), whose combinations are the strata, or is itself a
    column of strata; each stratum is treated by itself, so that nobody elsewhere changes who is typical
    here. One medoid is exact at any size. A panel of k > 1 in a stratum of more than 1,000 rows is searched
    on samples with the seed; `.bound` is the sampling error of its mean distance.

    >>> columns = {"age": [30, 31, 32, 70], "city": ["Hefei", "Hefei", "Hefei", "Hefei"]}
    >>> typical_users(columns).medoids  # the outlier moves nobody far
    (1,)
    """
    taken = taken_columns(columns)
    size = whole(k, "k", at_least=1)
    names, kept = _strata(taken, strata)
    check_seed(seed)
    made = []
    whole_features = features(kept, weights)
    for name, rows in names.items():
        found = features({key: values[rows] for key, values in kept.items()}, weights)
        if size > len(rows):
            raise InvalidValue(f"stratum {name!r} has {len(rows)} members, fewer than the {size} asked for")
        made.append(_panel(name, rows, found, size, seed))
    return TypicalUsers(
        tuple(made), whole_features, _numbers(kept), None if as_of is None else instant(as_of, "as_of"), seed
    )


def _strata(taken: dict[str, NDArray[Any]], strata: Any) -> tuple[dict[Any, Ints], dict[str, NDArray[Any]]]:
    """Return the rows of every stratum, and the columns to compare."""
    rows = len(next(iter(taken.values()), ()))
    if not rows:
        raise InvalidValue("typical users need at least one member")
    if strata is None:
        return {"": np.arange(rows)}, taken
    by = [strata] if isinstance(strata, str) else strata
    if isinstance(by, Sequence) and by and all(isinstance(name, str) and name in taken for name in by):
        keys = list(zip(*(taken[name].tolist() for name in by), strict=True))
        taken = {name: values for name, values in taken.items() if name not in by}
        if not taken:
            raise InvalidValue("no column is left to compare members by")
        keys = [key[0] if len(key) == 1 else key for key in keys]
    else:
        if isinstance(by, Sequence) and len(by) != rows:
            raise InvalidValue(f"strata names columns, or gives one stratum for each of the {rows} rows")
        given = column(by, "strata")
        if len(given) != rows:
            raise InvalidValue(f"strata has {len(given)} rows, the columns have {rows}")
        keys = given.tolist()
    places: dict[Any, list[int]] = {}
    for row, key in enumerate(keys):
        places.setdefault(hashable(key, "a stratum"), []).append(row)
    ordered = sorted(
        places, key=lambda key: (str(type(key)), key) if not isinstance(key, tuple) else ("", key)
    )
    return {key: np.array(places[key]) for key in ordered}, taken


def _panel(name: Any, rows: Ints, found: tuple[Feature, ...], k: int, seed: int) -> Stratum:
    everybody = np.arange(len(rows))
    means = mean_distances(found, everybody)
    worst = float(means.max())
    score = 1 - means / worst if worst > 0 else np.ones(len(rows))
    bound = 0.0
    if k == 1:
        chosen: tuple[int, ...] = (int(np.flatnonzero(means <= means.min() + _TIE)[0]),)
    elif len(rows) <= WHOLE:
        chosen = medoids(between(found, everybody, everybody), k)
    else:
        chosen, bound = _sampled(found, len(rows), k, seed, str(name))
    nearest = between(found, everybody, np.array(chosen)).min(axis=1)
    return Stratum(name, rows, tuple(int(rows[place]) for place in chosen), score, nearest, bound)


def _sampled(
    found: tuple[Feature, ...], rows: int, k: int, seed: int, name: str
) -> tuple[tuple[int, ...], float]:
    """Return the best of several samples' panels, judged on everybody (CLARA), and the sampling bound.

    A sample's mean distance differs from everybody's by at most √((k·ln n + ln(2r/δ)) / 2s) for all C(n, k)
    panels and r samples at once, with probability 1 − δ (Hoeffding's inequality and the union bound, for
    distances within [0, 1]).
    """
    best: tuple[float, tuple[int, ...]] | None = None
    everybody = np.arange(rows)
    for turn in range(_ROUNDS):
        sample = np.sort(stream(seed, "typical", name, turn).choice(rows, WHOLE, replace=False))
        panel = tuple(int(sample[place]) for place in medoids(between(found, sample, sample), k))
        cost = float(between(found, everybody, np.array(panel)).min(axis=1).mean())
        if best is None or cost < best[0]:
            best = (cost, panel)
    delta = 1 - check_level(0.95)
    bound = math.sqrt((k * math.log(rows) + math.log(2 * _ROUNDS / delta)) / (2 * WHOLE))
    return (best[1] if best else ()), bound


def _numbers(columns: Mapping[str, NDArray[Any]]) -> dict[str, Floats]:
    """Return every column as numbers: itself, or one 0/1 column per category."""
    found: dict[str, Floats] = {}
    for feature in features(columns):
        data = np.ma.getdata(columns[feature.name])
        if feature.is_number:
            values = data.astype("datetime64[us]").view(np.int64) if data.dtype.kind == "M" else data
            numbers = [float(v) if ok else math.nan for v, ok in zip(values, feature.known, strict=True)]
            found[feature.name] = np.array(numbers)
            continue
        for code in np.unique(feature.values[feature.known]):
            first = int(np.flatnonzero(feature.values == code)[0])
            held = np.where(feature.known, feature.values == code, np.nan)
            found[f"{feature.name} = {data[first]}"] = held.astype(np.float64)
    return found
