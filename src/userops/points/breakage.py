"""Breakage: how many of the points of an issue month will ever be redeemed, with its error."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from userops.core.calendar import from_micros, instant, local_day, zone
from userops.core.ids import text
from userops.core.quantities import of_kind
from userops.core.statistics import check_level, normal_quantile
from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.points.accounting import Books
from userops.points.values import Entry

Floats = NDArray[np.float64]


@frozen(eq=False)
class Triangle:
    """Points redeemed to date, by issue month (rows) and months since (columns); NaN is not known yet.

    `issued` are the points of each issue month.
    """

    months: tuple[str, ...]
    redeemed: Floats
    issued: NDArray[np.int64]


def redemption_triangle(
    books: Books,
    as_of: datetime,
    *,
    fund: str | None = None,
    currency: str = "points",
    timezone: str = "UTC",
    since: str | None = None,
    known_at: int | None = None,
) -> Triangle:
    """Return the redemption triangle of a ledger's lots, by local month, to the last whole month before `as_of`.

    A transferred point stays with the month it was first issued in; a reversed spend is redeemed less. Issue
    months before `since` (such as `"2027-04"`) are left out.
    """
    if not hasattr(books, "entries"):
        raise InvalidValue(f"books must be a ledger or a replay, not a {type(books).__name__}")
    text(currency, "currency")
    if fund is not None:
        text(fund, "fund")
    tz, at = zone(timezone), instant(as_of, "as_of")
    issued: dict[int, int] = defaultdict(int)
    moved: dict[tuple[int, int], int] = defaultdict(int)
    month_of_lot: dict[str, int] = {}
    for entry in books.entries(as_of=at, known_at=known_at):
        for lot in entry.created:
            if lot.currency != currency or (fund is not None and lot.fund != fund):
                continue
            month_of_lot[lot.id] = _month(from_micros(lot.earned_at), tz)
            issued[month_of_lot[lot.id]] += lot.original if lot.is_issue else 0
        now = _month(entry.at, tz)
        for lot_id, points in _redeemed(entry):
            if lot_id in month_of_lot:
                moved[(month_of_lot[lot_id], now)] += points
    last = _month(at, tz) - 1
    first = min(issued, default=last + 1)
    months = list(range(first if since is None else max(first, _month_named(since)), last + 1))
    if len(months) < 2:
        raise InvalidValue("a triangle needs at least two whole months since the first issue")
    size = len(months)
    table = np.full((size, size), np.nan)
    for row, month in enumerate(months):
        total = 0
        for age in range(size - row):
            total += moved.get((month, month + age), 0)
            table[row, age] = total
    names = tuple(f"{month // 12:04d}-{month % 12 + 1:02d}" for month in months)
    return Triangle(names, table, np.array([issued[month] for month in months], dtype=np.int64))


def _month(at: datetime, tz: Any) -> int:
    day = local_day(at, tz)
    return day.year * 12 + day.month - 1


def _month_named(name: str) -> int:
    match = re.fullmatch(r"([0-9]{4})-(0[1-9]|1[0-2])", name) if isinstance(name, str) else None
    if match is None:
        raise InvalidValue("since is a month such as '2027-04'")
    return int(match[1]) * 12 + int(match[2]) - 1


def _redeemed(entry: Entry) -> Iterable[tuple[str, int]]:
    """Yield (lot, points) that an entry redeemed, or gave back by undoing a redemption."""
    accounts = {leg.account.partition(":")[0] for leg in entry.legs}
    if not accounts & {"sink", "exchange"}:
        return
    new = {lot.id for lot in entry.created if lot.is_issue}
    for leg in entry.legs:
        if leg.lot and leg.lot not in new:
            yield leg.lot, -leg.points


@frozen(eq=False)
class ChainLadder:
    """What a triangle develops into: factors, ultimates, and Mack's standard errors, by row and in all."""

    factors: Floats
    ultimate: Floats
    #: Ultimate less the latest known.
    reserve: Floats
    standard_error: Floats
    total_reserve: float
    total_standard_error: float
    sigma_squared: Floats = field(repr=False)


def chain_ladder(triangle: Any) -> ChainLadder:
    """Return the chain-ladder ultimates of a cumulative run-off triangle, with standard errors (Mack 1993).

    `triangle` is square, cumulative, with NaN below the latest diagonal. The last variance, which one pair
    cannot give, is the least of what the two before it suggest, as Mack does. An age at which nothing is
    known of any month but the latest is an error: there is nothing to develop from.

    >>> found = chain_ladder([[100, 150, 165], [110, 165, np.nan], [120, np.nan, np.nan]])
    >>> [round(float(x), 1) for x in found.ultimate]
    [165.0, 181.5, 198.0]
    """
    table = _checked(triangle)
    size = len(table)
    factors, sigma = np.ones(size - 1), np.zeros(size - 1)
    for k in range(size - 1):
        rows = size - 1 - k
        now, following = table[:rows, k], table[:rows, k + 1]
        if now.sum() <= 0:
            # A factor of 0/0 says nothing, and taking it for 1 would promise that nothing will ever come.
            raise InvalidValue(f"nothing is known at age {k} to develop from; begin the triangle later")
        factors[k] = following.sum() / now.sum()
        if rows > 1:
            used = now > 0
            spread = now[used] * (following[used] / now[used] - factors[k]) ** 2
            sigma[k] = spread.sum() / (rows - 1)
    if size > 3 and sigma[size - 4] > 0:
        sigma[size - 2] = min(sigma[size - 3] ** 2 / sigma[size - 4], sigma[size - 4], sigma[size - 3])
    elif size > 2:
        sigma[size - 2] = sigma[size - 3]
    full = table.copy()
    for k in range(size - 1):
        full[size - 1 - k :, k + 1] = full[size - 1 - k :, k] * factors[k]
    return _errors(table, full, factors, sigma)


def _errors(table: Floats, full: Floats, factors: Floats, sigma: Floats) -> ChainLadder:
    size = len(table)
    ultimate = full[:, -1]
    sums = np.array([table[: size - 1 - k, k].sum() for k in range(size - 1)])
    ratio = np.divide(sigma, factors**2, out=np.zeros(size - 1), where=factors > 0)
    squares = np.zeros(size)
    shared = np.zeros(size)
    for row in range(1, size):
        for k in range(size - 1 - row, size - 1):
            if full[row, k] > 0 and sums[k] > 0:
                squares[row] += ratio[k] * (1 / full[row, k] + 1 / sums[k])
                shared[row] += ratio[k] / sums[k]
        squares[row] *= ultimate[row] ** 2
    total = 0.0
    for row in range(1, size):
        total += squares[row] + ultimate[row] * ultimate[row + 1 :].sum() * 2 * shared[row]
    latest = np.array([table[row, size - 1 - row] for row in range(size)])
    reserve = ultimate - latest
    return ChainLadder(
        factors=factors,
        ultimate=ultimate,
        reserve=reserve,
        standard_error=np.sqrt(squares),
        total_reserve=float(reserve.sum()),
        total_standard_error=math.sqrt(total),
        sigma_squared=sigma,
    )


def _checked(triangle: Any) -> Floats:
    try:
        table = np.array(triangle, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InvalidValue("a triangle is a square table of numbers, NaN where not known yet") from None
    if table.ndim != 2 or table.shape[0] != table.shape[1] or len(table) < 2:
        raise InvalidValue("a triangle is a square table of at least 2 by 2")
    known = np.add.outer(np.arange(len(table)), np.arange(len(table))) < len(table)
    if not np.array_equal(np.isfinite(table), known):
        raise InvalidValue("a triangle is known up to its latest diagonal and NaN below it")
    if (table[known] < 0).any():
        raise InvalidValue("a triangle holds no negative numbers")
    return table


@frozen(kw_only=True)
class RedemptionRate:
    """The share of issued points that will ever be redeemed, with its interval; breakage is the rest."""

    rate: float
    interval: tuple[float, float]
    level: float
    standard_error: float
    issued: int
    redeemed: int
    ultimate: float
    by_month: Table

    @property
    def breakage(self) -> float:
        """The share of issued points that will never be redeemed."""
        return 1 - self.rate

    def __str__(self) -> str:
        low, high = self.interval
        head = f"Ultimate redemption rate {self.rate:.1%} ({self.level:.0%} interval {low:.1%} to {high:.1%})"
        return f"{head}\n{self.by_month}"


def redemption_rate(triangle: Triangle, *, level: float = 0.95) -> RedemptionRate:
    """Return the ultimate redemption rate of a triangle's issues.

    The interval takes the reserve as lognormal with Mack's standard error, as Mack suggests, and never
    passes what was issued.
    """
    level = check_level(level)
    of_kind(triangle, Triangle, "triangle")
    issued = int(triangle.issued.sum())
    if issued <= 0:
        raise InvalidValue("nothing was issued")
    found = chain_ladder(triangle.redeemed)
    size = len(triangle.issued)
    latest = np.array([triangle.redeemed[row, size - 1 - row] for row in range(size)])
    # More than a month issued cannot be redeemed of it.
    ultimate = np.minimum(found.ultimate, np.maximum(triangle.issued, latest))
    done, reserve = float(latest.sum()), float((ultimate - latest).sum())
    error = found.total_standard_error
    low = high = reserve
    if reserve > 0 and error > 0:
        spread = math.sqrt(math.log1p((error / reserve) ** 2))
        z = normal_quantile(0.5 + level / 2)
        middle = math.log(reserve) - spread**2 / 2
        low, high = math.exp(middle - z * spread), math.exp(middle + z * spread)
    by_month = Table(
        {
            "month": triangle.months,
            "issued": triangle.issued.tolist(),
            "redeemed": [int(x) for x in latest],
            "ultimate": [round(float(x)) for x in ultimate],
            "s.e.": [round(float(x)) for x in found.standard_error],
        }
    )
    return RedemptionRate(
        rate=(done + reserve) / issued,
        interval=(min(1.0, (done + low) / issued), min(1.0, (done + high) / issued)),
        level=level,
        standard_error=error / issued,
        issued=issued,
        redeemed=int(done),
        ultimate=done + reserve,
        by_month=by_month,
    )
