"""Studies of a plan: variants side by side, and the largest grant that keeps a promise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import field, frozen

from userops.core.commands import Clawback
from userops.core.files import did_you_mean
from userops.core.quantities import shown
from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.program.rules import CANCELLED, REDEEMED
from userops.simulation.arrays import Array
from userops.simulation.asking import needs_tier
from userops.simulation.figures import STOCKS, short
from userops.simulation.forecast import Forecast
from userops.simulation.making import make_forecast


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


@frozen(eq=False)
class Solution:
    """The largest whole number of points at a knob that keeps a fund within its budget often enough."""

    path: str
    points: int
    fund: str
    #: The chance to be over budget with that many points, and its standard error.
    probability: float
    error: float
    over_budget_at_most: float
    #: The chance with one point more.
    probability_above: float
    replications: int

    def __int__(self) -> int:
        return self.points

    def __index__(self) -> int:
        return self.points

    def __str__(self) -> str:
        return (
            f"{self.path} = {self.points:,}: fund {self.fund} is over its budget in {self.probability:.1%} of "
            f"{self.replications:,} replications (±{self.error:.1%}, one standard error; at most "
            f"{self.over_budget_at_most:.1%} was asked for); with one point more in {self.probability_above:.1%}"
        )


#: A grant beyond this many points is taken for a promise that no grant breaks.
MOST = 2**40


def solve_for(
    plan: Any, path: str, *, fund: str, at_most: float, seed: int, replications: int, sample: int | None
) -> Solution:
    """Search the largest grant at which the chance to be over budget is at most `at_most`."""
    lean = only_fund(plan, fund)
    found: dict[int, Forecast] = {}

    def chance(points: int) -> float:
        if points not in found:
            turned = lean.with_(**{path: points})
            found[points] = make_forecast(turned, seed, replications, sample, is_free=True)
        return found[points].probability_over_budget(fund).overall

    if chance(1) > at_most:
        raise InvalidValue(
            f"fund {fund!r} is over its budget in {chance(1):.1%} of the replications even with 1 point at "
            f"{path}; ask for more than that, or give the fund a larger budget"
        )
    low, high = 1, max(2, _start(plan, path))
    while chance(high) <= at_most:
        low, high = high, high * 2
        if high > MOST:
            raise InvalidValue(
                f"no grant at {path} takes fund {fund!r} over its budget: does it pay for that rule?"
            )
    while high - low > 1:
        middle = _between(low, high, found, fund, at_most)
        if chance(middle) <= at_most:
            low = middle
        else:
            high = middle
    p = chance(low)
    spread = max(p * (1 - p), at_most * (1 - at_most), 1 / replications)
    return Solution(
        path=path,
        points=low,
        fund=fund,
        probability=p,
        error=float(np.sqrt(spread / replications)),
        over_budget_at_most=at_most,
        probability_above=chance(low + 1),
        replications=replications,
    )


def _start(plan: Any, path: str) -> int:
    name = path.removeprefix("earn.").removesuffix(".points")
    for rule in plan.program_table.get("earn", ()):
        if rule.get("name") == name and isinstance(rule.get("points"), int):
            return int(rule["points"])
    return 1_000


def _between(low: int, high: int, found: Mapping[int, Forecast], fund: str, at_most: float) -> int:
    """Return where to look next: what is asked mostly grows in proportion to the grant, so interpolate.

    At each of the two ends the replications have a largest ratio of asked to budget; the grant looked for is
    where its quantile is 1.
    """
    ratios = [found[end].strain(fund) if end in found else None for end in (low, high)]
    if ratios[0] is None or ratios[1] is None:
        return (low + high) // 2
    # Replications rank alike at both ends, so the line is drawn through one quantile.
    a, b = (float(np.quantile(one, 1 - at_most, method="higher")) for one in ratios if one is not None)
    if not a < 1 < b:
        return (low + high) // 2
    guess = low + int((1 - a) / (b - a) * (high - low))
    return min(max(guess, low + 1), high - 1)


def only_fund(plan: Any, fund: str) -> Any:
    """Return a plan without the events that have nothing to do with a fund; the others' draws stay the same."""
    spec = plan.spec
    if not isinstance(fund, str) or fund not in spec.program.funds:
        raise InvalidValue(f"no fund {shown(fund)}{did_you_mean(fund, spec.program.funds)}")
    if spec.program.funds[fund].budget is None:
        raise InvalidValue(f"fund {fund!r} has no budget to keep")
    scheme = spec.program.scheme
    paying = {*(scheme.milestones if scheme is not None and scheme.fund == fund else ())}
    if not paying and not any(rule.fund == fund for rule in spec.program.earn):
        raise InvalidValue(f"no rule uses fund {fund!r}")
    if _hangs_on_balances(plan, fund):
        return plan
    kinds = {rule.on for rule in spec.program.earn if rule.fund == fund} | paying
    names = {limit.name for rule in spec.program.earn if rule.on in kinds for limit in rule.limits}
    value = {r.on for r in spec.program.earn if r.currency == spec.program.value_currency}
    if scheme is not None and scheme.currency == spec.program.value_currency:
        value |= {*scheme.milestones}
    while True:
        more = {r.on for r in spec.program.earn if {x.name for x in r.limits} & names or r.on in kinds}
        if any(needs_tier(r) for r in spec.program.earn if r.on in more):
            more |= value
        more_names = {x.name for r in spec.program.earn if r.on in more for x in r.limits}
        if more <= kinds and more_names <= names:
            break
        kinds |= more
        names |= more_names
    fields = {f for r in spec.program.earn if r.on in kinds for f in r.when.fields()}
    kinds |= {
        counter.on.removesuffix(CANCELLED) for counter in spec.program.counters if counter.name in fields
    }
    return plan.without_events(kinds)


def _hangs_on_balances(plan: Any, fund: str) -> bool:
    """Say whether what a fund is asked for depends on what members redeem, and so on all they earn.

    A cancellation that books no debt gives back to the budget what it finds unspent.
    """
    program, behaviours = plan.spec.program, plan.spec.behaviours.values()
    policies = [rule.clawback for rule in program.earn if rule.fund == fund]
    policies += [program.scheme.clawback] if program.scheme is not None else []
    is_taken = any(one.cancelled for one in behaviours) and any(one is not Clawback.DEBT for one in policies)
    return is_taken or any(counter.on == REDEEMED for counter in program.counters)
