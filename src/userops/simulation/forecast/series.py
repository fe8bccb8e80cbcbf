"""Series: what the replications came to, month by month, as means, quantiles and chances."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from attrs import define

from userops.core.files import did_you_mean
from userops.core.quantities import shown
from userops.errors import InvalidValue
from userops.points.accounting import RollForward
from userops.simulation.columns import Array
from userops.simulation.forecast.figures import (
    MONEY,
    RULE_SERIES,
    SERIES,
    STOCKS,
    OverBudget,
    Setting,
    Tornado,
    distinct,
    level_of,
    rank_correlation,
)
from userops.simulation.forecast.liability import mean_roll_forward, rates_to_come, ultimate_rates
from userops.simulation.forecast.noise import chance_of, settled
from userops.simulation.passes import FLOWS, RETURNED, outstanding


@define(eq=False, slots=False)
class Series:
    """What replications of a plan came to: points and money by month, as means, quantiles and chances.

    Arrays run over the months; every series may be asked for one `fund` only.
    """

    setting: Setting
    #: (replication, group and part of the sample, month, fund), scaled to the real population.
    data: Mapping[str, Array]
    #: Points whose expiry lies within the horizon, by (replication, group and part of the sample, fund).
    matured: Array
    weights: Array
    rule_issued: Array
    rule_refused: Array
    active: Array
    tiers: Array
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
        if not isinstance(fund, str) or fund not in self.setting.funds:
            raise InvalidValue(
                f"{shown(fund)} is not a fund of the program{did_you_mean(fund, self.setting.funds)}"
            )
        return self.setting.funds.index(fund)

    def parts(self, name: str, fund: str | None) -> Array:
        """Return a series by (replication, part, month)."""
        if not isinstance(name, str) or name not in SERIES:
            raise InvalidValue(f"{shown(name)} is not a series{did_you_mean(name, SERIES)}")
        chosen = slice(None) if fund is None else slice(self.fund_place(fund), self.fund_place(fund) + 1)
        costs = np.array(self.setting.unit_costs)[chosen]
        data = {key: one[..., chosen] for key, one in self.data.items()}
        if name == "asked":
            found = data["issued"] + data["refused"] - data[RETURNED]
        elif name in ("outstanding", "liability"):
            found = np.cumsum(outstanding(data), axis=2)
            if name == "liability":
                found = found * self.rates_to_come[:, None, :, chosen]
        elif name == "cost":
            found = data["redeemed"]
        elif name == "cash":
            return self._cash(data, costs)
        else:
            found = data[name]
        series: Array = (found * costs).sum(axis=-1) if name in MONEY else found.sum(axis=-1)
        return series

    @cached_property
    def redemption_rates(self) -> Array:
        """By (replication, fund): the share of the points issued that is redeemed in the end."""
        expired = self.data["expired"].sum(axis=2)
        return ultimate_rates(expired, self.matured, self.setting.redemption_rates)

    @cached_property
    def rates_to_come(self) -> Array:
        """By (replication, month, fund): the share of the outstanding points that will still be redeemed."""
        to_date = {name: np.cumsum(self.data[name].sum(axis=1), axis=1) for name in FLOWS}
        kept = to_date["issued"] - to_date["clawed_back"]
        return rates_to_come(kept, to_date["redeemed"], outstanding(to_date), self.redemption_rates)

    def roll_forward(self) -> RollForward:
        """Return every fund's months in the means, points and liability, as `points.accounting` rolls a ledger."""
        costs = np.array(self.setting.unit_costs)
        mean = {name: self.data[name].sum(axis=1).mean(axis=0) for name in FLOWS}
        left = np.cumsum(outstanding(mean), axis=0) * costs
        owed = np.stack([self.mean("liability", fund) for fund in self.setting.funds], axis=1)
        rates = np.clip(np.divide(owed, left, out=np.ones_like(owed), where=left > 0), 0.0, 1.0)
        setting = self.setting
        return mean_roll_forward(setting.accounts, setting.start, setting.timezone, flows=mean, rates=rates)

    def _cash(self, data: Mapping[str, Array], costs: Array) -> Array:
        """Return the money for redemptions that is there at each month's end, by (replication, part, month).

        Without a `[cash]` table every point's cost is set aside when it is issued.
        """
        paid = np.cumsum((data["redeemed"] * costs).sum(axis=-1), axis=2)
        cash = self.setting.cash
        if cash is None:
            kept = data["issued"] - data["clawed_back"]
            found: Array = np.cumsum((kept * costs).sum(axis=-1), axis=2) - paid
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
        most: Array = self.asked_so_far(place, budget[1]).max(axis=1)
        strain: Array = most / max(1, budget[0])
        return strain

    def values(self, name: str, fund: str | None = None) -> Array:
        """Return a series by (replication, month), the sampling noise taken out of its spread."""
        return self.settled(self.parts(name, fund))

    def settled(self, parts: Array) -> Array:
        """Return (replication, month) totals of (replication, part, month), with the real population's spread."""
        return settled(parts, self.weights, is_uncertain=bool(self.setting.uncertain))

    def mean(self, name: str, fund: str | None = None) -> Array:
        """Return the mean of a series, month by month."""
        found: Array = self.values(name, fund).mean(axis=0)
        return found

    def quantile(self, name: str, q: float, fund: str | None = None) -> Array:
        """Return a quantile of a series, month by month."""
        found: Array = np.quantile(self.values(name, fund), level_of(q), axis=0)
        return found

    def expected_shortfall(self, name: str, q: float, fund: str | None = None) -> Array:
        """Return the mean of the values at or above the `q` quantile, month by month."""
        values = self.values(name, fund)
        edge = np.quantile(values, level_of(q), axis=0)
        above = values >= edge
        found: Array = (values * above).sum(axis=0) / above.sum(axis=0)
        return found

    def total(self, name: str, fund: str | None = None) -> Array:
        """Return the sum over the horizon by replication, or the last month's value of a stock."""
        parts = self.parts(name, fund)
        summed = parts[:, :, -1:] if name in STOCKS else parts.sum(axis=2, keepdims=True)
        return self.settled(summed)[:, 0]

    def by_rule(self, name: str = "issued") -> dict[str, Array]:
        """Return the means of each rule, month by month: `issued`, `refused` (points) or `cost` (money).

        A rule's cost is what the points it issues in a month will have cost in the end: points · unit cost of
        its fund · the share redeemed in the end. Over a fund's rules that is the fund's cost paid and its
        liability together. Rules that give growth value are left out: it costs nothing.
        """
        if name not in RULE_SERIES:
            raise InvalidValue(f"by rule there are {', '.join(RULE_SERIES)}, not {str(name)[:60]!r}")
        data = self.rule_refused if name == "refused" else self.rule_issued
        found: dict[str, Array] = {}
        for place, rule in enumerate(self.setting.rules):
            fund = self.setting.rule_funds[place]
            if fund < 0:
                continue
            values = data[:, :, place]
            if name == "cost":
                values = values * self.redemption_rates[:, fund : fund + 1] * self.setting.unit_costs[fund]
            found[rule] = found.get(rule, 0) + values.mean(axis=0)
        return found

    def members(self) -> dict[str, Array]:
        """Return the mean number of active members of each group, month by month."""
        return {name: self.active[:, :, k].mean(axis=0) for k, name in enumerate(self.setting.groups)}

    def members_by_tier(self) -> dict[str | None, Array]:
        """Return the mean number of active members of each tier, month by month; None: below the lowest."""
        if not self.setting.tiers:
            raise InvalidValue("the program has no [tiers]")
        return {name: self.tiers[:, :, k].mean(axis=0) for k, name in enumerate(self.setting.tiers)}

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
        found: Array = self.asked_so_far(place, per) > limit
        return found

    def over_in_the_sample(self, fund: str) -> float:
        """Return in which share of the replications a fund's budget bound in the sample itself.

        Where that is more than `probability_over_budget`, chance among the sample's members bound it, and the
        real population, which evens out, would be refused less.
        """
        budget = self.setting.budgets[self.fund_place(fund)]
        if budget is None:
            raise InvalidValue(f"fund {fund!r} has no budget")
        asked = self.asked_so_far(self.fund_place(fund), budget[1], is_settled=False)
        return float((asked > budget[0]).any(axis=1).mean())

    def asked_so_far(self, place: int, per: str, *, is_settled: bool = True) -> Array:
        """Return by (replication, month) what was asked in the budget period by the end of the month."""
        if per in ("day", "week"):
            return self.peaks[place]
        parts = self.parts("asked", self.setting.funds[place])
        periods = np.array(self.setting.periods[place])
        so_far = np.zeros_like(parts)
        for month in range(self.months):
            is_new = month == 0 or periods[month] != periods[month - 1]
            so_far[:, :, month] = parts[:, :, month] + (0 if is_new else so_far[:, :, month - 1])
        return self.settled(so_far) if is_settled else so_far.sum(axis=1)

    def tornado(self, name: str = "liability", fund: str | None = None) -> Tornado:
        """Return which unknown parameter moves a figure most, over the horizon."""
        values, rows = self.total(name, fund), []
        for path, drawn in distinct(self.drawn).items():
            if len(np.unique(drawn)) > 1:
                low, high = np.quantile(drawn, [0.25, 0.75])
                rows.append(
                    (
                        path,
                        rank_correlation(drawn, values),
                        float(values[drawn <= low].mean()),
                        float(values[drawn >= high].mean()),
                    )
                )
        rows.sort(key=lambda row: (-abs(row[1]), row[0]))
        return Tornado(name, tuple(rows))

    @cached_property
    def noise(self) -> tuple[float, float]:
        """Two relative errors of all points issued: of the mean, and of one replication's sample."""
        parts = self.parts("issued", None).sum(axis=2, keepdims=True)
        total = parts.sum(axis=1)[:, 0]
        mean = float(total.mean())
        if mean <= 0 or self.replications < 2:
            return 0.0, 0.0
        of_mean = float(total.std(ddof=1)) / np.sqrt(self.replications) / mean
        return float(of_mean), float(np.sqrt(chance_of(parts, self.weights)[0][0]) / mean)
