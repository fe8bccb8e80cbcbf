"""Figures of a forecast: its series, what it was made from, and the answers it gives."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
from attrs import field, frozen

from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.points import Fund
from userops.simulation.columns import Array
from userops.simulation.passes import FLOWS

#: Series of a forecast: points, and money for the last three.
SERIES = (*FLOWS, "asked", "outstanding", "liability", "cost", "cash")
MONEY = ("liability", "cost", "cash")
#: What is told of each rule: points, and money for the last.
RULE_SERIES = ("issued", "refused", "cost")
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
    timezone: str
    months: int
    funds: tuple[str, ...]
    rules: tuple[str, ...]
    #: Of each rule the place of its fund; -1 for rules that give no points.
    rule_funds: tuple[int, ...]
    groups: tuple[str, ...]
    #: The tiers by name, None for members below the lowest.
    tiers: tuple[str | None, ...]
    unit_costs: tuple[float, ...]
    #: The funds as the ledger declares them: unit cost, and kind of accounts.
    accounts: tuple[Fund, ...]
    #: Of each fund, the share of points redeemed in the end, where the plan states it.
    redemption_rates: tuple[float | None, ...]
    #: Of each fund, (budget points, per) or None.
    budgets: tuple[tuple[int, str] | None, ...]
    seed: int
    sample: int | None
    asked_replications: int
    uncertain: tuple[str, ...]
    money: str = ""
    #: Kinds of events that members do and nobody listens to, and rules whose events nobody does.
    unheard: tuple[str, ...] = ()
    unasked: tuple[str, ...] = ()
    #: Money for redemptions: (at the start, added per month); None: set aside as points are issued.
    cash: tuple[float, float] | None = None
    is_whole: bool = True
    #: Of each fund with a budget, the number of the budget period that each month lies in.
    periods: Mapping[int, tuple[int, ...]] = field(factory=dict, hash=False)


def short(value: float) -> str:
    """Return a figure in four digits at most: 12.3M.

    >>> short(12_345_678), short(999), short(0)
    ('12.3M', '999', '0')
    """
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * 0.9995:
            return f"{value / size:.3g}{unit}" if abs(value) < size * 999.5 else f"{value / size:.0f}{unit}"
    return f"{value:.0f}"


def level_of(q: object) -> float:
    """Return a quantile's level, refusing what is not between 0 and 1."""
    if isinstance(q, bool) or not isinstance(q, int | float | np.floating) or not 0 <= q <= 1:
        raise InvalidValue("a quantile is a number between 0 and 1")
    return float(q)


def rank_correlation(a: Array, b: Array) -> float:
    """Return the correlation of two columns' ranks; 0 where one of them does not vary."""
    ranks = [np.argsort(np.argsort(x, kind="stable"), kind="stable").astype(float) for x in (a, b)]
    if ranks[0].std() == 0 or np.ptp(b) == 0:
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def distinct(drawn: Mapping[str, Array]) -> dict[str, Array]:
    """Return what was drawn by path; what groups share is one, under the path of all: `behaviour.lapse_per_month`."""
    found: dict[str, Array] = {}
    shared = {values.tobytes(): 0 for values in drawn.values()}
    for values in drawn.values():
        shared[values.tobytes()] += 1
    for path, values in drawn.items():
        room, _, rest = path.partition(".")
        is_shared = room == "behaviour" and shared[values.tobytes()] > 1 and "." in rest
        found[f"{room}.{rest.partition('.')[2]}" if is_shared else path] = values
    return found
