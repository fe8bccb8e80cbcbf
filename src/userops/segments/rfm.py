"""RFM: recency, frequency and value of every member's orders, scored by quantiles that are returned."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from userops.core.amounts import bounded_decimal, exact, whole
from userops.core.calendar import MICROS_PER_DAY, micros, zone
from userops.core.columns import codes, column, instants
from userops.core.columns import columns as taken_columns
from userops.core.conditions import F
from userops.core.quantities import is_table, tuples
from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.segments.assigning import Assignment
from userops.segments.occurrences import wall_clock
from userops.segments.rules import SegmentSet
from userops.segments.segment import Segment

Ints = NDArray[np.int64]
_NAMES: Final = ("member", "at", "amount")


@frozen(eq=False)
class RFM:
    """One row per member who ordered: columns `member`, `frequency`, `recency_days`, `value`, `r`, `f`, `m`."""

    member: NDArray[Any]
    #: Days with an order, less the first: how often they came back.
    frequency: Ints
    #: Local calendar days since the day of the last order.
    recency_days: Ints
    #: The total of all amounts, refunds deducted.
    value: NDArray[Any]
    r: Ints
    f: Ints
    m: Ints
    #: Per score name, the values that scores 2, 3, … begin just above (for r: just below, in days).
    thresholds: Mapping[str, tuple[Any, ...]]
    scores: int
    #: Members with refunds only: nothing can be said of them.
    set_aside: tuple[Any, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.member)

    @property
    def columns(self) -> dict[str, NDArray[Any]]:
        """The columns by name."""
        names = ("member", "frequency", "recency_days", "value", "r", "f", "m")
        return {name: getattr(self, name) for name in names}

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return a column by name."""
        return self.columns[name]

    def segments(self, rules: SegmentSet) -> Assignment:
        """Label the members by a segment map over r, f and m."""
        return rules.assign({"r": self.r, "f": self.f, "m": self.m})

    def table(self) -> Table:
        """Return the rows, and the thresholds as notes."""
        notes = [
            f"{name}: {', '.join(str(value) for value in cuts)}" for name, cuts in self.thresholds.items()
        ]
        return Table(
            {name: values.tolist() for name, values in self.columns.items()},
            notes=("thresholds", *notes),
        )

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def rfm(orders: Any, as_of: datetime, timezone: str = "UTC", *, scores: int = 5) -> RFM:
    """Return recency, frequency and value of every member's orders up to and including `as_of`.

    Orders are (member, at, amount) or columns of those names; later ones are ignored. Orders of one local day
    are one; a negative amount is a refund, which reduces the value and is no order. Scores run from 1 to
    `scores`, the best highest; members with equal values share a score, whatever that does to the sizes: a
    score counts the thresholds exceeded, and thresholds are values that occur (quantiles of type 1). Amounts
    that are `int` or `Decimal` are summed exactly; floats and missing amounts must be finite and given.

    >>> from datetime import UTC
    >>> jan = lambda day: datetime(2027, 1, day, tzinfo=UTC)
    >>> found = rfm([("ann", jan(1), 30), ("ann", jan(1), 20), ("ann", jan(5), -20), ("bo", jan(9), 10)], jan(11))
    >>> found.frequency.tolist(), found.recency_days.tolist(), found.value.tolist()
    ([0, 0], [10, 2], [30, 10])
    """
    tz, until = zone(timezone), micros(as_of, "as_of")
    best = whole(scores, "scores", at_least=2, at_most=100)
    members, at, amounts = _orders(orders)
    kept = at <= until
    members, at, amounts = members[kept], at[kept], amounts[kept]
    if not len(at):
        raise InvalidValue("there are no orders up to as_of")
    distinct, member = codes(members, "member")
    days = wall_clock(at, tz) // MICROS_PER_DAY
    today = int(wall_clock(np.array([until]), tz)[0] // MICROS_PER_DAY)
    is_order = _signs(amounts) >= 0
    pairs = np.unique(np.stack([member[is_order], days[is_order]]), axis=1)
    bought = np.bincount(pairs[0], minlength=len(distinct))
    last = np.full(len(distinct), np.iinfo(np.int64).min)
    np.maximum.at(last, pairs[0], pairs[1])
    values = _totals(amounts, member, len(distinct))
    known = bought > 0
    if not known.any():
        raise InvalidValue("there are only refunds up to as_of, no orders")
    frequency, recency, value = bought[known] - 1, today - last[known], values[known]
    (r, r_cuts), (f, f_cuts), (m, m_cuts) = (
        _scored(-recency, best),
        _scored(frequency, best),
        _scored(value, best),
    )
    return RFM(
        distinct[known],
        frequency,
        recency,
        value,
        r,
        f,
        m,
        {"r": tuple(-cut for cut in r_cuts), "f": f_cuts, "m": m_cuts},
        best,
        tuple(distinct[~known].tolist()),
    )


def _orders(orders: Any) -> tuple[NDArray[Any], Ints, NDArray[Any]]:
    if is_table(orders):
        found = taken_columns(orders, names=_NAMES)
    else:
        rows = tuples(orders, _NAMES, "orders")
        found = {name: column([row[k] for row in rows], name) for k, name in enumerate(_NAMES)}
    if not len(found["at"]):
        raise InvalidValue("there are no orders")
    return found["member"], instants(found["at"]), _amounts(found["amount"])


def _amounts(given: NDArray[Any]) -> NDArray[Any]:
    if np.ma.getmaskarray(given).any():
        raise InvalidValue("amount has missing values")
    data = np.ma.getdata(given)
    if data.dtype.kind in "iu":
        return data
    if data.dtype.kind == "f":
        if not np.isfinite(data).all():
            raise InvalidValue("amounts must be finite")
        return data.astype(np.float64)
    if data.dtype != object:
        raise InvalidValue(f"amounts must be numbers, not {data.dtype}")
    return np.array([_amount(value) for value in data] + [None], dtype=object)[:-1]


def _amount(value: Any) -> Any:
    if isinstance(value, Decimal | Fraction):
        return bounded_decimal(value, "amount") if isinstance(value, Decimal) else exact(value, "amount")
    if isinstance(value, float | np.floating):
        if not math.isfinite(value):
            raise InvalidValue("amounts must be finite")
        # An exact total of mixed kinds: a float is the binary fraction it is.
        return Fraction(float(value))
    return whole(value, "amount")


def _signs(amounts: NDArray[Any]) -> Ints:
    if amounts.dtype == object:
        return np.array([-1 if value < 0 else 1 for value in amounts], dtype=np.int64)
    return np.where(amounts < 0, -1, 1)


def _totals(amounts: NDArray[Any], member: Ints, count: int) -> NDArray[Any]:
    if amounts.dtype != object and amounts.dtype.kind in "iu" and _fits(amounts):
        totals = np.zeros(count, np.int64)
        np.add.at(totals, member, amounts.astype(np.int64))
        return totals
    order = np.argsort(member, kind="stable")
    bounds = np.searchsorted(member[order], np.arange(count + 1))
    listed = amounts[order].tolist()
    add = math.fsum if amounts.dtype.kind == "f" else _sum
    found = [add(listed[low:high]) for low, high in itertools.pairwise(bounds)]
    if amounts.dtype.kind == "f":
        return np.array(found)
    made = np.empty(count, dtype=object)
    made[:] = found
    return made


def _fits(amounts: NDArray[Any]) -> bool:
    size = max(abs(int(amounts.max())), abs(int(amounts.min())), 1)
    return size * len(amounts) < 2**63


def _sum(values: list[Any]) -> Any:
    """Add exactly: decimals beside fractions become fractions, and fractions that are whole become integers."""
    if any(isinstance(value, Fraction) for value in values):
        total = sum((Fraction(value) for value in values), Fraction(0))
        return int(total) if total.denominator == 1 else float(total)
    return sum(values)


def _scored(values: NDArray[Any], scores: int) -> tuple[Ints, tuple[Any, ...]]:
    """Return one plus the number of thresholds that each value exceeds, and the thresholds."""
    ordered = sorted(values.tolist()) if values.dtype == object else np.sort(values)
    # Quantile of type 1: the least value that at least k/scores of the members do not exceed; the next
    # score begins above it.
    places = [max(-(-len(ordered) * k // scores) - 1, 0) for k in range(1, scores)]
    if not isinstance(ordered, list):
        found = 1 + np.searchsorted(ordered[places], values, "left")
        return found, tuple(ordered[places].tolist())
    cuts = tuple(ordered[place] for place in places)
    found = np.fromiter(
        (1 + sum(value > cut for cut in cuts) for value in values.tolist()), np.int64, len(values)
    )
    return found, cuts


def segment_map(segments: Iterable[Segment], *, scores: int = 5) -> SegmentSet:
    """Return a segment map over r, f and m; one that leaves a code unassigned or assigns one twice is an error.

    >>> segment_map([Segment("all", F("r") >= 2)])
    Traceback (most recent call last):
    userops.errors.InvalidValue: the segments are not a partition: 25 combinations are unclaimed, such as [{'r': 1, 'f': 1, 'm': 1}, {'r': 1, 'f': 1, 'm': 2}, {'r': 1, 'f': 1, 'm': 3}]
    """
    listed = list(range(1, whole(scores, "scores", at_least=2, at_most=100) + 1))
    return SegmentSet(segments, domain={"r": listed, "f": listed, "m": listed}, strict=True)


def standard_map() -> SegmentSet:
    """Return a map of the 125 codes into seven segments, complete and without overlap.

    >>> standard_map().explain({"r": 5, "f": 5, "m": 5}).label
    'champion'
    """
    r, f, m = F("r"), F("f"), F("m")
    often, recent = f >= 4, r >= 4
    return segment_map(
        [
            Segment("champion", recent & often & (m >= 4), names={"zh": "重要价值用户"}),
            Segment("loyal", recent & often & (m < 4), names={"zh": "忠诚用户"}),
            Segment("promising", recent & (f < 4), names={"zh": "潜力用户"}),
            Segment("needs attention", (r == 3), names={"zh": "需关注用户"}),
            Segment("cannot lose", (r <= 2) & often & (m >= 4), names={"zh": "重要挽留用户"}),
            Segment(
                "at risk", (r <= 2) & (often & (m < 4) | (f < 4) & (m >= 3)), names={"zh": "流失风险用户"}
            ),
            Segment("hibernating", (r <= 2) & (f < 4) & (m < 3), names={"zh": "沉睡用户"}),
        ]
    )
