"""The largest grant that keeps a promise about a fund's budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import frozen

from userops.core.commands import Clawback
from userops.core.files import did_you_mean
from userops.core.quantities import shown
from userops.errors import InvalidValue
from userops.program.rules import CANCELLED, REDEEMED
from userops.simulation.forecast import Forecast, make_forecast
from userops.simulation.inputs import needs_tier


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
