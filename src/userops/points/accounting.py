"""Accounting: what points owe, cost and earn, from a ledger or a replay, tied to it to the point."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Protocol, runtime_checkable

from attrs import evolve, frozen

from userops.core.amounts import bounded_decimal, exact, whole
from userops.core.calendar import instant, month_starts, zone
from userops.core.quantities import choice, listed
from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.points.values import Entry, Fund, FundingRow

#: Exact money is a fraction; rounded money a decimal.
Money = Fraction | Decimal
Rates = Mapping[str, Any] | int | Decimal | Fraction


class Books(Protocol):
    """What accounting reads: a ledger, or anything that is read like one."""

    @property
    def funds(self) -> Mapping[str, Fund]: ...
    def funding(self, as_of: datetime, *, known_at: int | None = None) -> Iterable[FundingRow]: ...
    def entries(self, *, as_of: datetime | None = None, known_at: int | None = None) -> Iterable[Entry]: ...


@runtime_checkable
class ReadOnce(Protocol):
    """Books that tell the funding at several rising instants from one reading."""

    def fundings(
        self, instants: Iterable[datetime], *, known_at: int | None = None
    ) -> Iterable[Iterable[FundingRow]]: ...


def _amount(value: object, name: str) -> Fraction:
    number = exact(value, name)
    if number < 0:
        raise InvalidValue(f"{name} must not be negative")
    return number


def _quantum(rounding: object) -> Decimal | None:
    if rounding is None:
        return None
    quantum = bounded_decimal(rounding, "rounding")
    if quantum <= 0:
        raise InvalidValue("rounding is a quantum, such as Decimal(1) or Decimal('0.01')")
    return quantum


def _rounded(value: Fraction, quantum: Decimal | None) -> Money:
    """Return money rounded half up to a quantum, or exact without one."""
    if quantum is None:
        return value
    return (value / Fraction(quantum) + Fraction(1, 2)).__floor__() * quantum


def allocate_price(
    price: object, goods_ssp: object, points_ssp: object, rounding: object = None
) -> tuple[Money, Money]:
    """Return (goods, points): a price shared in proportion to stand-alone selling prices (IFRS 15.76).

    Exact fractions, or decimals in steps of `rounding`; the parts sum to the price either way.

    >>> allocate_price(100_000, 100_000, 9_500, rounding=Decimal(1))
    (Decimal('91324'), Decimal('8676'))
    """
    whole = _amount(price, "price")
    goods, points = _amount(goods_ssp, "goods_ssp"), _amount(points_ssp, "points_ssp")
    if goods + points == 0:
        raise InvalidValue("goods_ssp and points_ssp are both 0: nothing to share the price by")
    quantum = _quantum(rounding)
    to_points = _rounded(whole * points / (goods + points), quantum)
    rest = whole - Fraction(to_points)
    if quantum is None:
        return rest, to_points
    return Decimal(rest.numerator) / Decimal(rest.denominator), to_points


@frozen
class RevenueRow:
    """One period of a revenue schedule, in money; `redeemed` and `expected` are points, to date and in all."""

    redeemed: int | Fraction
    expected: int | Fraction
    revenue: Money
    cumulative: Money
    liability: Money


def revenue_schedule(
    allocated: object, periods: Iterable[tuple[object, object]], rounding: object = None
) -> tuple[RevenueRow, ...]:
    """Return what each period earns of the price allocated to points: a cumulative catch-up (IFRS 15.B39).

    `periods` are (points redeemed to date, points expected to be redeemed in all), as believed then. Revenue
    to date is allocated · redeemed / expected; a period's revenue is what that adds.

    >>> [row.revenue for row in revenue_schedule(8_676, [(4_500, 9_500), (8_500, 9_700)], rounding=Decimal(1))]
    [Decimal('4110'), Decimal('3493')]
    """
    total, quantum = _amount(allocated, "allocated"), _quantum(rounding)
    rows: list[RevenueRow] = []
    before: Money = Fraction(0) if quantum is None else Decimal(0)
    for place, pair in enumerate(listed(periods, "periods")):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise InvalidValue(f"periods[{place}] is not (redeemed to date, expected in all)")
        redeemed, expected = pair
        done, in_all = _amount(redeemed, f"redeemed[{place}]"), _amount(expected, f"expected[{place}]")
        if in_all == 0:
            raise InvalidValue(f"expected[{place}] is 0: nothing would ever be earned")
        if done > in_all:
            raise InvalidValue(f"period {place}: {done} redeemed is more than the {in_all} expected in all")
        cumulative = _rounded(total * done / in_all, quantum)
        liability = _rounded(total - Fraction(cumulative), quantum)
        revenue: Money = cumulative - before  # type: ignore[operator]
        rows.append(RevenueRow(_plain(done), _plain(in_all), revenue, cumulative, liability))
        before = cumulative
    return tuple(rows)


def _books(books: Books) -> None:
    if not hasattr(books, "funding") or not hasattr(books, "entries"):
        raise InvalidValue(f"books must be a ledger or a replay, not a {type(books).__name__}")


def _plain(value: Fraction) -> int | Fraction:
    return int(value) if value.denominator == 1 else value


def _rate_of(rates: Rates, fund: str) -> Fraction:
    given = rates.get(fund, 1) if isinstance(rates, Mapping) else rates
    rate = _amount(given, f"the redemption rate of {fund}")
    if rate > 1:
        raise InvalidValue(f"the redemption rate of {fund} must be at most 1")
    return rate


@frozen(kw_only=True)
class AccruedRow:
    """What the outstanding points of a fund will cost, in money."""

    fund: str
    currency: str
    kind: str
    outstanding: int
    unit_cost: Decimal
    redemption_rate: Fraction
    cost: Money


def accrued_cost(
    books: Books,
    as_of: datetime,
    *,
    redemption_rate: Rates = 1,
    kind: str | None = "expense",
    rounding: object = None,
    known_at: int | None = None,
) -> tuple[AccruedRow, ...]:
    """Return the cost to accrue for points given without a sale: outstanding · unit cost · redemption rate.

    Only funds of `kind` count (`"expense"`; `"revenue"` for what contract liabilities will cost; None for all).
    `redemption_rate` is one rate, or one per fund; without an estimate every point is expected back.
    """
    if kind is not None:
        choice(kind, ("expense", "revenue"), "kind")
    _books(books)
    quantum, funds = _quantum(rounding), books.funds
    rows = []
    for row in books.funding(as_of, known_at=known_at):
        fund = funds[row.fund]
        if kind is not None and fund.kind != kind:
            continue
        rate = _rate_of(redemption_rate, row.fund)
        cost = _rounded(row.outstanding * Fraction(fund.unit_cost) * rate, quantum)
        rows.append(
            AccruedRow(
                fund=row.fund,
                currency=row.currency,
                kind=fund.kind,
                outstanding=row.outstanding,
                unit_cost=fund.unit_cost,
                redemption_rate=rate,
                cost=cost,
            )
        )
    return tuple(rows)


@frozen(kw_only=True)
class RollForwardRow:
    """A fund's month in points: opening + issued - redeemed - expired - clawed_back = closing.

    `liability` is closing · unit cost · the month's redemption rate, in money; `reestimate` what of its change
    came from believing in another rate than the month before: opening · unit cost · (rate - rate before).
    """

    month: date
    fund: str
    currency: str
    opening: int
    issued: int
    redeemed: int
    expired: int
    clawed_back: int
    closing: int
    reestimate: Fraction
    liability: Fraction


@frozen
class RollForward:
    """The months of every fund; prints as a table."""

    rows: tuple[RollForwardRow, ...]

    def table(self) -> Table:
        """Return the rows as a table."""
        names = ["month", "fund", "opening", "issued", "redeemed", "expired", "clawed_back", "closing"]
        listed = [
            {**{name: getattr(row, name) for name in names}, "month": f"{row.month:%Y-%m}"}
            for row in self.rows
        ]
        return Table.of_rows(listed, names, title="Roll-forward in points")

    def __str__(self) -> str:
        return str(self.table())


def roll_forward(
    books: Books,
    start: date,
    months: int,
    *,
    timezone: str = "UTC",
    redemption_rates: Sequence[Rates] | None = None,
    known_at: int | None = None,
) -> RollForward:
    """Return each fund's local months from the month of `start`, tied to the books to the point.

    `redemption_rates`, one at the opening and one per month, value the liability and its re-estimates.
    """
    _books(books)
    bounds = month_starts(start, months, zone(timezone))
    if redemption_rates is not None and len(listed(redemption_rates, "redemption_rates")) != months + 1:
        raise InvalidValue(f"{months} months need {months + 1} redemption rates, the opening one first")
    if bounds[0] == datetime.min.replace(tzinfo=UTC):
        raise InvalidValue(
            "start must lie after the first instant of year 1: the month before it must have ended"
        )
    # What happens at the first instant of a month belongs to it: the month before ends just ahead of it.
    states = _by_fund(books, [at - timedelta(microseconds=1) for at in bounds], known_at)
    rows = []
    for place in range(months):
        day = bounds[place].astimezone(zone(timezone)).date()
        before, after = states[place], states[place + 1]
        for key in sorted(after):
            was, is_ = before.get(key) or _nothing(after[key]), after[key]
            cost = Fraction(books.funds[is_.fund].unit_cost)
            rate_before, rate = (
                (Fraction(1), Fraction(1))
                if redemption_rates is None
                else (
                    _rate_of(redemption_rates[place], is_.fund),
                    _rate_of(redemption_rates[place + 1], is_.fund),
                )
            )
            rows.append(
                RollForwardRow(
                    month=day,
                    fund=is_.fund,
                    currency=is_.currency,
                    opening=was.outstanding,
                    issued=is_.issued - was.issued,
                    redeemed=is_.redeemed - was.redeemed,
                    expired=is_.expired - was.expired,
                    clawed_back=is_.clawed_back - was.clawed_back,
                    closing=is_.outstanding,
                    reestimate=was.outstanding * cost * (rate - rate_before),
                    liability=is_.outstanding * cost * rate,
                )
            )
    return RollForward(tuple(rows))


def _by_fund(
    books: Books, instants: list[datetime], known_at: int | None
) -> list[dict[tuple[str, str], FundingRow]]:
    """Return the rows at each instant; a ledger reads its entries once for all of them."""
    if isinstance(books, ReadOnce):
        found: Iterable[Iterable[FundingRow]] = books.fundings(instants, known_at=known_at)
    else:
        found = [books.funding(at, known_at=known_at) for at in instants]
    return [{(row.fund, row.currency): row for row in rows} for rows in found]


def _nothing(row: FundingRow) -> FundingRow:
    return evolve(row, issued=0, redeemed=0, expired=0, clawed_back=0, outstanding=0, debt=0, written_off=0)


@frozen(kw_only=True)
class DebtRow:
    """What members owe a fund, by how many days ago the debt was made: `[from_days, until_days)`."""

    fund: str
    currency: str
    from_days: int
    until_days: int | None
    members: int
    points: int


def debts_by_age(
    books: Books, as_of: datetime, *, days: Sequence[int] = (30, 90, 365), known_at: int | None = None
) -> tuple[DebtRow, ...]:
    """Return the open debts of undone earns by fund and age; ages turn at `days`."""
    at = instant(as_of, "as_of")
    _books(books)
    steps = [0, *(whole(day, "a day of days", at_least=1) for day in listed(days, "days"))]
    if steps != sorted(set(steps)):
        raise InvalidValue("days must rise, and begin above 0")
    made: dict[str, tuple[Entry, str]] = {}
    left: dict[str, int] = defaultdict(int)
    for entry in books.entries(as_of=at, known_at=known_at):
        for origin, fund, points in entry.debts:
            made.setdefault(origin, (entry, fund))
            left[origin] += points
    cells: dict[tuple[str, str, int], list[tuple[str, int]]] = defaultdict(list)
    for origin, points in left.items():
        if points:
            entry, fund = made[origin]
            age = (at - entry.at).days
            step = sum(age >= day for day in days)
            cells[(fund, entry.currency, step)].append((entry.member, points))
    return tuple(
        DebtRow(
            fund=fund,
            currency=currency,
            from_days=steps[step],
            until_days=steps[step + 1] if step < len(days) else None,
            members=len({member for member, _ in found}),
            points=sum(points for _, points in found),
        )
        for (fund, currency, step), found in sorted(cells.items())
    )
