"""A forecast: what the replications came to, as means, quantiles and chances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from attrs import define, field, frozen

from userops.core.files import did_you_mean
from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.simulation.arrays import Array
from userops.simulation.engine import PARTS
from userops.simulation.picture import draw_fan, fan_chart, page

FLOWS = ("issued", "refused", "redeemed", "expired")
#: Series of a forecast: points, and money for the last three.
SERIES = (*FLOWS, "clawed_back", "asked", "outstanding", "liability", "cost", "cash")
MONEY = ("liability", "cost", "cash")
#: Series that stand at a month's end, where the others flow during a month.
STOCKS = ("outstanding", "liability", "cash")


@frozen
class OverBudget:
    """The chance that what is asked of a fund is more than its budget."""

    fund: str
    #: Over by the end of each month, in the budget period that the month lies in.
    by_month: Array
    #: Over in any budget period of the horizon.
    overall: float
    #: The standard error of `overall`, from the number of replications.
    error: float


@frozen
class Tornado:
    """Which unknown matters most for a figure: by correlation of ranks, the strongest first."""

    name: str
    rows: tuple[tuple[str, float, float, float], ...]

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def table(self) -> Table:
        """Return (parameter, rank correlation, mean where it is low, mean where it is high)."""
        names = ("parameter", "correlation", "when low", "when high")
        columns = (
            dict(zip(names, zip(*self.rows, strict=True), strict=True))
            if self.rows
            else dict.fromkeys(names, ())
        )
        notes: Any = () if self.rows else ("the plan has no unknown: every parameter is a number",)
        return Table(
            columns,
            title=f"What matters most for {self.name}",
            notes=notes,
            formats={"correlation": "+.2f", "when low": ",.0f", "when high": ",.0f"},
        )

    def __str__(self) -> str:
        return str(self.table())


@frozen
class Setting:
    """What a forecast was made from, for its tables."""

    name: str
    start: date
    months: int
    funds: tuple[str, ...]
    rules: tuple[str, ...]
    groups: tuple[str, ...]
    unit_costs: tuple[float, ...]
    #: Of each fund, (budget points, per) or None.
    budgets: tuple[tuple[int, str] | None, ...]
    seed: int
    sample: int | None
    asked_replications: int
    uncertain: tuple[str, ...]
    money: str = ""
    #: Money for redemptions: (at the start, added per month); None: set aside as points are issued.
    cash: tuple[float, float] | None = None
    is_whole: bool = True
    #: Of each fund with a budget, the number of the budget period that each month lies in.
    periods: Mapping[int, tuple[int, ...]] = field(factory=dict, hash=False)


@define(eq=False, slots=False)
class Forecast:
    """Distributions of points and money by month, from replications of a plan.

    Series: issued, refused, redeemed, expired, clawed_back, asked, outstanding (points); liability and cost
    (money). Arrays run over the months; every series may be asked for one `fund` only.
    """

    setting: Setting
    #: (replication, group and part of the sample, month, fund), scaled to the real population.
    data: Mapping[str, Array]
    weights: Array
    rule_issued: Array
    rule_refused: Array
    active: Array
    unserved: Array
    peaks: Mapping[int, Array]
    drawn: Mapping[str, Array]
    bound: Array

    @property
    def replications(self) -> int:
        """How many replications there are."""
        return len(self.active)

    @property
    def months(self) -> int:
        """How many months are forecast."""
        return self.setting.months

    @property
    def is_whole(self) -> bool:
        """Say whether all replications asked for were run."""
        return self.setting.is_whole

    def fund_place(self, fund: str) -> int:
        """Return the place of a fund, refusing unknown names."""
        if fund not in self.setting.funds:
            raise InvalidValue(
                f"{str(fund)[:60]!r} is not a fund of the program{did_you_mean(str(fund), self.setting.funds)}"
            )
        return self.setting.funds.index(fund)

    def parts(self, name: str, fund: str | None) -> Array:
        """Return a series by (replication, part, month)."""
        if name not in SERIES:
            raise InvalidValue(f"{str(name)[:60]!r} is not a series{did_you_mean(str(name), SERIES)}")
        chosen = slice(None) if fund is None else slice(self.fund_place(fund), self.fund_place(fund) + 1)
        costs = np.array(self.setting.unit_costs)[chosen]
        data = {key: one[..., chosen] for key, one in self.data.items()}
        if name == "clawed_back":
            return np.zeros(data["issued"].shape[:-1])
        if name == "asked":
            found = data["issued"] + data["refused"]
        elif name in ("outstanding", "liability"):
            found = np.cumsum(data["issued"] - data["redeemed"] - data["expired"], axis=2)
        elif name == "cost":
            found = data["redeemed"]
        elif name == "cash":
            return self._cash(data, costs)
        else:
            found = data[name]
        series: Array = (found * costs).sum(axis=-1) if name in MONEY else found.sum(axis=-1)
        return series

    def _cash(self, data: Mapping[str, Array], costs: Array) -> Array:
        """Return the money for redemptions that is there at each month's end, by (replication, part, month).

        Without a `[cash]` table every point's cost is set aside when it is issued.
        """
        paid = np.cumsum((data["redeemed"] * costs).sum(axis=-1), axis=2)
        cash = self.setting.cash
        if cash is None:
            found: Array = np.cumsum((data["issued"] * costs).sum(axis=-1), axis=2) - paid
            return found
        income = cash[0] + cash[1] * np.arange(1, self.months + 1)
        left: Array = income / paid.shape[1] - paid
        return left

    def strain(self, fund: str) -> Array:
        """Return by replication the most that was asked in a budget period, as a multiple of the budget."""
        place = self.fund_place(fund)
        budget = self.setting.budgets[place]
        if budget is None:
            raise InvalidValue(f"fund {fund!r} has no budget")
        most: Array = self._asked_so_far(place, budget[1]).max(axis=1)
        strain: Array = most / max(1, budget[0])
        return strain

    def values(self, name: str, fund: str | None = None) -> Array:
        """Return a series by (replication, month), the sampling noise taken out of its spread."""
        return self.settled(self.parts(name, fund))

    def settled(self, parts: Array) -> Array:
        """Return (replication, month) totals of (replication, part, month), with the real population's spread.

        A sample's total varies more than the real population's: by what the members of the sample happen to
        do. That part of the spread is estimated from the parts of the samples and replaced by its value at
        the real size; what replications differ in by their parameters stays.
        """
        total: Array = parts.sum(axis=1)
        noise, real = self._noise(parts)
        if len(total) < 2 or not (noise > real).any():
            return total
        spread = total.var(axis=0, ddof=1)
        between = np.maximum(0.0, spread - noise) if self.setting.uncertain else np.zeros_like(spread)
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.where(spread > 0, np.sqrt((between + real) / spread), 1.0)
        mean = total.mean(axis=0)
        found: Array = mean + (total - mean) * np.minimum(1.0, factor)
        return found

    def _noise(self, parts: Array) -> tuple[Array, Array]:
        """Return the variance that chance among members gives the sample's totals, and the real ones'."""
        groups = parts.shape[1] // PARTS
        shaped = parts.reshape(len(parts), groups, PARTS, parts.shape[-1])
        each = shaped.var(axis=2, ddof=1) * PARTS
        weights = np.maximum(1.0, self.weights)[:, :, None]
        sample: Array = each.sum(axis=1).mean(axis=0)
        real: Array = (each / weights).sum(axis=1).mean(axis=0)
        return sample, real

    def mean(self, name: str, fund: str | None = None) -> Array:
        """Return the mean of a series, month by month."""
        found: Array = self.values(name, fund).mean(axis=0)
        return found

    def quantile(self, name: str, q: float, fund: str | None = None) -> Array:
        """Return a quantile of a series, month by month."""
        found: Array = np.quantile(self.values(name, fund), _level(q), axis=0)
        return found

    def expected_shortfall(self, name: str, q: float, fund: str | None = None) -> Array:
        """Return the mean of the values at or above the `q` quantile, month by month."""
        values = self.values(name, fund)
        edge = np.quantile(values, _level(q), axis=0)
        above = values >= edge
        found: Array = (values * above).sum(axis=0) / above.sum(axis=0)
        return found

    def total(self, name: str, fund: str | None = None) -> Array:
        """Return the sum over the horizon by replication, or the last month's value of a stock."""
        parts = self.parts(name, fund)
        summed = parts[:, :, -1:] if name in STOCKS else parts.sum(axis=2, keepdims=True)
        return self.settled(summed)[:, 0]

    def by_rule(self, name: str = "issued") -> dict[str, Array]:
        """Return the mean points of each rule, month by month: `issued` or `refused`."""
        if name not in ("issued", "refused"):
            raise InvalidValue("by rule there are issued and refused")
        data = self.rule_issued if name == "issued" else self.rule_refused
        found: dict[str, Array] = {}
        for place, rule in enumerate(self.setting.rules):
            found[rule] = found.get(rule, 0) + data[:, :, place].mean(axis=0)
        return found

    def members(self) -> dict[str, Array]:
        """Return the mean number of active members of each group, month by month."""
        return {name: self.active[:, :, k].mean(axis=0) for k, name in enumerate(self.setting.groups)}

    def probability_over_budget(self, fund: str) -> OverBudget:
        """Return the chance that a fund is asked for more than its budget."""
        place = self.fund_place(fund)
        budget = self.setting.budgets[place]
        if budget is None:
            raise InvalidValue(f"fund {fund!r} has no budget")
        over = self._over(place, *budget)
        overall = float(over.any(axis=1).mean())
        error = float(np.sqrt(max(overall * (1 - overall), 0.0) / self.replications))
        return OverBudget(fund, over.mean(axis=0), overall, error)

    def _over(self, place: int, limit: int, per: str) -> Array:
        """Say by (replication, month) whether asked is over the budget in the period of the month so far."""
        found: Array = self._asked_so_far(place, per) > limit
        return found

    def _asked_so_far(self, place: int, per: str) -> Array:
        """Return by (replication, month) what was asked in the budget period by the end of the month."""
        if per in ("day", "week"):
            return self.peaks[place]
        parts = self.parts("asked", self.setting.funds[place])
        periods = np.array(self.setting.periods[place])
        so_far = np.zeros_like(parts)
        for month in range(self.months):
            is_new = month == 0 or periods[month] != periods[month - 1]
            so_far[:, :, month] = parts[:, :, month] + (0 if is_new else so_far[:, :, month - 1])
        return self.settled(so_far)

    def tornado(self, name: str = "liability", fund: str | None = None) -> Tornado:
        """Return which unknown parameter moves a figure most, over the horizon."""
        values, rows = self.total(name, fund), []
        for path, drawn in self.drawn.items():
            if len(np.unique(drawn)) > 1:
                low, high = np.quantile(drawn, [0.25, 0.75])
                rows.append(
                    (
                        path,
                        _rank_correlation(drawn, values),
                        float(values[drawn <= low].mean()),
                        float(values[drawn >= high].mean()),
                    )
                )
        rows.sort(key=lambda row: (-abs(row[1]), row[0]))
        return Tornado(name, tuple(rows))

    def to_columns(self) -> dict[str, Array]:
        """Return month, fund, series, mean and quantiles as columns, funds one by one and `all` together."""
        columns: dict[str, list[Any]] = {
            key: [] for key in ("month", "fund", "series", "mean", "p05", "p50", "p95")
        }
        for fund in (None, *self.setting.funds):
            for name in SERIES:
                values = self.values(name, fund)
                low, middle, high = np.quantile(values, [0.05, 0.5, 0.95], axis=0)
                columns["month"] += range(1, self.months + 1)
                columns["fund"] += [fund or "all"] * self.months
                columns["series"] += [name] * self.months
                for key, one in (("mean", values.mean(axis=0)), ("p05", low), ("p50", middle), ("p95", high)):
                    columns[key] += one.tolist()
        return {key: np.array(one) for key, one in columns.items()}

    @cached_property
    def noise(self) -> tuple[float, float]:
        """Two relative errors of all points issued: of the mean, and of one replication's sample."""
        parts = self.parts("issued", None).sum(axis=2, keepdims=True)
        total = parts.sum(axis=1)[:, 0]
        mean = float(total.mean())
        if mean <= 0 or self.replications < 2:
            return 0.0, 0.0
        of_mean = float(total.std(ddof=1)) / np.sqrt(self.replications) / mean
        return float(of_mean), float(np.sqrt(self._noise(parts)[0][0]) / mean)

    def table(self) -> Table:
        """Return means and 90% ranges by quarter, or by month within a year."""
        step = 1 if self.months <= 12 else 3
        ends = list(range(step - 1, self.months, step))
        if ends[-1] != self.months - 1:
            ends.append(self.months - 1)
        columns: dict[str, Sequence[Any]] = {"month": [f"{self._month_name(end)}" for end in ends]}
        for name in ("issued", "redeemed", "expired"):
            parts = self.parts(name, None)
            summed = np.add.reduceat(parts, [0, *[end + 1 for end in ends[:-1]]], axis=2)
            columns |= _ranged(name, self.settled(summed))
        columns |= _ranged(
            "outstanding", self.settled(self.parts("outstanding", None)[:, :, ends]), is_wide=True
        )
        liability = self.mean("liability")[ends]
        columns["liability"] = [short(x) for x in liability]
        return Table(columns, title=self._title(step), notes=self._notes())

    def _month_name(self, month: int) -> str:
        start = self.setting.start
        total = start.year * 12 + start.month - 1 + month
        return f"{total // 12}-{total % 12 + 1:02d}"

    def _title(self, step: int) -> str:
        unit = "per month" if step == 1 else "per quarter"
        return f"{self.setting.name}: {self.months} months, points {unit} (5% – 95%), outstanding at its end"

    def _notes(self) -> Any:
        of_mean, of_sample = self.noise
        sample = self.setting.sample
        drawn = "all members" if sample is None else f"{sample:,} members drawn per group"
        money = f" {self.setting.money}" if self.setting.money else ""
        notes = []
        if not self.is_whole:
            notes.append(
                f"PARTIAL: stopped after {self.replications:,} of {self.setting.asked_replications:,} replications."
            )
        notes.append(
            f"{self.replications:,} replications, seed {self.setting.seed}; {drawn} in each, scaled up. "
            f"Sampling noise: one sample's total issued varies by ±{of_sample:.1%} from chance among its members "
            f"(taken out of the ranges), its mean over replications is good to ±{of_mean:.2%}."
        )
        notes.append(f"Liability: outstanding points at their funds' unit cost, in money{money}.")
        return tuple(notes)

    def budget_table(self) -> Table:
        """Return the funds: asked, issued, budget, and the chance to be over it."""
        rows = []
        for place, fund in enumerate(self.setting.funds):
            budget = self.setting.budgets[place]
            over = None if budget is None else self.probability_over_budget(fund)
            rows.append(
                {
                    "fund": fund,
                    "asked": short(float(self.total("asked", fund).mean())),
                    "issued": short(float(self.total("issued", fund).mean())),
                    "refused": short(float(self.total("refused", fund).mean())),
                    "redeemed": short(float(self.total("redeemed", fund).mean())),
                    "cost": short(float(self.total("cost", fund).mean())),
                    "budget": None if budget is None else f"{short(budget[0])} per {budget[1]}",
                    "P(over)": None if over is None else f"{over.overall:.1%} ±{over.error:.1%}",
                }
            )
        names = ("fund", "asked", "issued", "refused", "redeemed", "cost", "budget", "P(over)")
        return Table.of_rows(
            rows, names, title=f"Funds over {self.months} months (means; ± one standard error)"
        )

    def __str__(self) -> str:
        return f"{self.table()}\n\n{self.budget_table()}"

    def fan(self, name: str = "outstanding", fund: str | None = None) -> str:
        """Return a fan chart of a series as SVG."""
        of = f" of {fund}" if fund else ""
        names = [self._month_name(month) for month in range(self.months)]
        return fan_chart(self.values(name, fund), title=f"{name}{of}", names=names)

    def _repr_html_(self) -> str:
        tables = self.table()._repr_html_() + self.budget_table()._repr_html_()
        return f"{tables}{self.fan()}"

    def plot(self, name: str = "outstanding", fund: str | None = None, *, ax: Any = None) -> Any:
        """Draw a series as a fan chart and return the matplotlib Axes (extra `plot`)."""
        names = [self._month_name(month) for month in range(self.months)]
        title = f"{self.setting.name}: {name}{f' of {fund}' if fund else ''}"
        return draw_fan(self.values(name, fund), title=title, names=names, ax=ax)

    def report(self, path: str | Path) -> Path:
        """Write one HTML file with tables and charts that opens without a network, and return its path."""
        sections = [
            ("Points", self.table()._repr_html_()),
            ("Funds", self.budget_table()._repr_html_()),
            (
                "Charts",
                "".join(self.fan(name) for name in ("issued", "redeemed", "outstanding", "liability")),
            ),
            ("Over budget", self._over_html()),
            ("Rules and members", self.rule_table()._repr_html_() + self.member_table()._repr_html_()),
            ("What matters most", self.tornado()._repr_html_()),
        ]
        found = Path(path)
        found.write_text(page(f"{self.setting.name}: points forecast", sections), encoding="utf-8")
        return found

    def _over_html(self) -> str:
        shown = []
        for place, fund in enumerate(self.setting.funds):
            budget = self.setting.budgets[place]
            if budget is not None:
                names = [self._month_name(month) for month in range(self.months)]
                title = (
                    f"{fund}: asked so far in the budget period; budget {short(budget[0])} per {budget[1]}"
                )
                asked = self._asked_so_far(place, budget[1])
                shown.append(fan_chart(asked, title=title, names=names, line=float(budget[0])))
        return "".join(shown) or "<p>No fund has a budget.</p>"

    def rule_table(self) -> Table:
        """Return what each rule issues, and is refused, over the horizon (means)."""
        issued, refused = self.by_rule("issued"), self.by_rule("refused")
        rows = [
            {"rule": name, "issued": short(float(one.sum())), "refused": short(float(refused[name].sum()))}
            for name, one in issued.items()
        ]
        return Table.of_rows(rows, ("rule", "issued", "refused"), title=f"Rules over {self.months} months")

    def member_table(self) -> Table:
        """Return the active members by group, at the end of every third month."""
        ends = [*range(2, self.months, 3)] or [self.months - 1]
        columns: dict[str, Sequence[Any]] = {"month": [self._month_name(end) for end in ends]}
        columns |= {name: [round(float(one[end])) for end in ends] for name, one in self.members().items()}
        return Table(columns, title="Active members (means)")


def _ranged(name: str, values: Array, *, is_wide: bool = False) -> dict[str, list[str]]:
    low, high = np.quantile(values, [0.05, 0.95], axis=0)
    mean = values.mean(axis=0)
    if not is_wide and name == "expired":
        return {name: [short(x) for x in mean]}
    return {
        name: [short(x) for x in mean],
        _RANGE[name]: [f"{short(a)}–{short(b)}" for a, b in zip(low, high, strict=True)],
    }


#: Heads of the columns of ranges, told apart by what the eye does not see.
_RANGE = {"issued": "5–95%", "redeemed": "5–95% ", "outstanding": " 5–95% "}


def short(value: float) -> str:
    """Return a figure in four digits at most: 12.3M.

    >>> short(12_345_678), short(999), short(0)
    ('12.3M', '999', '0')
    """
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * 0.9995:
            return f"{value / size:.3g}{unit}" if abs(value) < size * 999.5 else f"{value / size:.0f}{unit}"
    return f"{value:.0f}"


def _level(q: object) -> float:
    if isinstance(q, bool) or not isinstance(q, int | float | np.floating) or not 0 <= q <= 1:
        raise InvalidValue("a quantile is a number between 0 and 1")
    return float(q)


def _rank_correlation(a: Array, b: Array) -> float:
    ranks = [np.argsort(np.argsort(x, kind="stable"), kind="stable").astype(float) for x in (a, b)]
    if ranks[0].std() == 0 or np.ptp(b) == 0:
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])
