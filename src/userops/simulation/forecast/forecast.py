"""A forecast: the series of a plan's replications, as tables, charts and a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from attrs import define

from userops.core.tables import Table
from userops.simulation.columns import Array
from userops.simulation.forecast import tables
from userops.simulation.forecast.charts import draw_fan, fan_chart, page
from userops.simulation.forecast.figures import SERIES
from userops.simulation.forecast.series import Series


@define(eq=False, slots=False)
class Forecast(Series):
    """Distributions of points and money by month, from replications of a plan.

    Series: issued, refused, redeemed, expired, clawed_back, asked, outstanding (points); liability and cost
    (money). Arrays run over the months; every series may be asked for one `fund` only.
    """

    def to_columns(self, *, by: str = "fund") -> dict[str, Array]:
        """Return month, fund, series, mean and quantiles as columns, funds one by one and `all` together.

        `by="rule"`: month, rule, series, mean; `by="group"` and `by="tier"`: month, group or tier, and the mean
        number of active members.
        """
        if by != "fund":
            return tables.columns_by(self, by)
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

    def table(self) -> Table:
        """Return means and 90% ranges by quarter, or by month within a year."""
        return tables.table(self)

    def budget_table(self) -> Table:
        """Return the funds: asked, issued, budget, and the chance to be over it."""
        return tables.budget_table(self)

    def accounting_table(self) -> Table:
        """Return what each fund's points cost and owe at the horizon's end, and at which redemption rate."""
        return tables.accounting_table(self)

    def rule_table(self) -> Table:
        """Return what each rule issues, is refused and costs over the horizon (means)."""
        return tables.rule_table(self)

    def tier_table(self) -> Table:
        """Return the active members by tier, at the end of every third month."""
        return tables.tier_table(self)

    def member_table(self) -> Table:
        """Return the active members by group, at the end of every third month."""
        return tables.member_table(self)

    @property
    def month_names(self) -> list[str]:
        """The months by name: 2027-01, 2027-02, …"""
        return [tables.month_name(self, month) for month in range(self.months)]

    def __str__(self) -> str:
        return f"{self.table()}\n\n{self.budget_table()}"

    def fan(self, name: str = "outstanding", fund: str | None = None) -> str:
        """Return a fan chart of a series as SVG."""
        of = f" of {fund}" if fund else ""
        names = self.month_names
        return fan_chart(self.values(name, fund), title=f"{name}{of}", names=names)

    def _repr_html_(self) -> str:
        tables = self.table()._repr_html_() + self.budget_table()._repr_html_()
        return f"{tables}{self.fan()}"

    def plot(self, name: str = "outstanding", fund: str | None = None, *, ax: Any = None) -> Any:
        """Draw a series as a fan chart and return the matplotlib Axes (extra `plot`)."""
        names = self.month_names
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
            ("Over budget", tables.over_html(self)),
            ("What it costs and owes", self.accounting_table()._repr_html_()),
            ("Rules and members", tables.rules_and_members(self)),
            ("What matters most", self.tornado()._repr_html_()),
        ]
        found = Path(path)
        found.write_text(page(f"{self.setting.name}: points forecast", sections), encoding="utf-8")
        return found
