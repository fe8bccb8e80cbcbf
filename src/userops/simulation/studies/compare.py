"""Variants of a plan side by side, under the same chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import field, frozen

from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.simulation.columns import Array
from userops.simulation.forecast import STOCKS, Forecast, short


@frozen(eq=False)
class Difference:
    """One variant less another, replication by replication under the same chance."""

    name: str
    mean: float
    #: The middle 90% of the differences.
    low: float
    high: float
    #: The standard error of the mean.
    error: float
    values: Array = field(repr=False)


@frozen(eq=False)
class Comparison:
    """Forecasts of variants of a plan, made with common random numbers."""

    forecasts: Mapping[str, Forecast]

    def difference(
        self, name: str, series: str = "issued", *, over: str | None = None, fund: str | None = None
    ) -> Difference:
        """Return variant `name` less variant `over` (the first one), over the horizon."""
        names = list(self.forecasts)
        base = names[0] if over is None else over
        for one in (name, base):
            if one not in self.forecasts:
                raise InvalidValue(f"no variant {one!r}; there are {', '.join(names)}")
        a, b = self.forecasts[name], self.forecasts[base]
        parts = [_summed(one, series, fund) for one in (a, b)]
        values = a.settled(parts[0] - parts[1])[:, 0]
        low, high = np.quantile(values, [0.05, 0.95])
        error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("inf")
        return Difference(f"{name} – {base}", float(values.mean()), float(low), float(high), error, values)

    def table(self) -> Table:
        """Return the variants: points and cost over the horizon, and what they differ from the first by."""
        rows: list[dict[str, Any]] = []
        for place, (name, forecast) in enumerate(self.forecasts.items()):
            row: dict[str, Any] = {"variant": name}
            for series in ("issued", "refused", "redeemed", "cost", "liability"):
                row[series] = float(forecast.total(series).mean())
            if place:
                found = self.difference(name, "cost")
                row["cost more than the first"] = (
                    f"{short(found.mean)} ({short(found.low)} – {short(found.high)})"
                )
            rows.append(row)
        names = ["variant", "issued", "refused", "redeemed", "cost", "liability", "cost more than the first"]
        first = next(iter(self.forecasts.values()))
        note = (
            f"{first.replications:,} replications of each, seed {first.setting.seed}, under the same chance: "
            "differences are taken replication by replication (mean, and the middle 90%)."
        )
        title = f"Variants over {first.months} months"
        formats = dict.fromkeys(names[1:-1], short)
        return Table.of_rows(rows, names, title=title, notes=[note], formats=formats)

    def over_budget(self) -> Table:
        """Return the chance to be over budget, by fund and variant."""
        first = next(iter(self.forecasts.values()))
        rows = []
        for place, fund in enumerate(first.setting.funds):
            if first.setting.budgets[place] is not None:
                row: dict[str, Any] = {"fund": fund}
                row |= {n: f.probability_over_budget(fund).overall for n, f in self.forecasts.items()}
                rows.append(row)
        formats = dict.fromkeys(self.forecasts, ".1%")
        return Table.of_rows(
            rows, ["fund", *self.forecasts], title="Chance to be over budget", formats=formats
        )

    def __str__(self) -> str:
        return f"{self.table()}\n\n{self.over_budget()}"

    def _repr_html_(self) -> str:
        return self.table()._repr_html_() + self.over_budget()._repr_html_()


def _summed(forecast: Forecast, series: str, fund: str | None) -> Array:
    parts = forecast.parts(series, fund)
    found: Array = parts[:, :, -1:] if series in STOCKS else parts.sum(axis=2, keepdims=True)
    return found
