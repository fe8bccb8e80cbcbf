"""A run on points, and how large one the cash can bear."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from attrs import frozen

from userops.core.amounts import whole
from userops.core.fields import checked
from userops.errors import InvalidValue
from userops.simulation.forecast import Forecast, make_forecast, short
from userops.simulation.inputs import Run, number


def _share(value: Any, name: str) -> float:
    found = number(value, name)
    if not 0 <= found <= 1:
        raise InvalidValue(f"{name} must be between 0 and 1")
    return found


@frozen(
    field_transformer=checked(
        {
            "month": partial(whole, at_least=1),
            "share": _share,
            "notice_days": partial(whole, at_least=0, at_most=3_650),
        }
    )
)
class PointsRun:
    """A wave of redemptions (挤兑): a share of the members who are active redeem all they have.

    It begins in `month`, counted from 1, and is spread evenly over the months that the notice takes: whoever
    hears that points will lose their worth in `notice_days` redeems before that.

    >>> PointsRun(month=12, share=0.4, notice_days=60).shares()
    ((11, 0.2), (12, 0.2))
    """

    month: int
    share: float
    notice_days: int = 30

    def shares(self) -> tuple[tuple[int, float], ...]:
        """Return (month from 0, share) of each month of the wave."""
        count = max(1, -(-self.notice_days // 30))
        return tuple((self.month - 1 + k, self.share / count) for k in range(count))


@frozen(eq=False)
class BreakingPoint:
    """The smallest share of members whose run takes the cash below its floor, too often."""

    #: None where even everybody redeeming leaves the cash above the floor.
    share: float | None
    month: int
    cash_floor: float
    #: The share of replications in which the floor is broken at that share.
    at_most: float
    #: The cash at the end of the run, in the mean: without a run, and with everybody in it.
    cash_before: float
    cash_after_all: float

    def __str__(self) -> str:
        if self.share is None:
            return (
                f"a run in month {self.month} does not take the cash below {short(self.cash_floor)}, even when "
                f"everybody redeems ({short(self.cash_after_all)} are left in the mean)"
            )
        return (
            f"a run in month {self.month} takes the cash below {short(self.cash_floor)} (in more than "
            f"{self.at_most:.0%} of the replications) once {self.share:.1%} of the active members redeem; "
            f"without a run it is {short(self.cash_before)}, with everybody in it {short(self.cash_after_all)}"
        )


def stressed(plan: Any, run: PointsRun, *, seed: int, replications: int, sample: int | None) -> Forecast:
    """Return the forecast of a plan under a points run."""
    if not isinstance(run, PointsRun):
        raise InvalidValue(f"a PointsRun was expected, not {type(run).__name__}")
    if run.month > plan.spec.span.months:
        raise InvalidValue(f"month {run.month} lies beyond the horizon of {plan.spec.span.months} months")
    return make_forecast(plan, seed, replications, sample, run=Run(shares=run.shares()))


def find_breaking_point(
    plan: Any,
    *,
    cash_floor: float,
    month: int | None,
    notice_days: int,
    at_most: float,
    seed: int,
    replications: int,
    sample: int | None,
) -> BreakingPoint:
    """Search the share of a run at which the cash falls below its floor in more than `at_most` of the cases.

    Whoever runs takes all points: the cost of a run grows in proportion to its share, so two forecasts under
    the same chance, nobody and everybody in it, tell all between.
    """
    calm = make_forecast(plan, seed, replications, sample)
    at = int(np.argmax(calm.mean("liability"))) + 1 if month is None else month
    everybody = PointsRun(month=at, share=1.0, notice_days=notice_days)
    run = stressed(plan, everybody, seed=seed, replications=replications, sample=sample)
    end = min(plan.spec.span.months, everybody.shares()[-1][0] + 1) - 1
    before, after = calm.values("cash")[:, end], run.values("cash")[:, end]
    cost = np.maximum(before - after, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        breaks = np.where(before < cash_floor, 0.0, np.where(cost > 0, (before - cash_floor) / cost, np.inf))
    share = float(np.quantile(breaks, at_most, method="lower"))
    return BreakingPoint(
        share=share if share <= 1 else None,
        month=at,
        cash_floor=cash_floor,
        at_most=at_most,
        cash_before=float(before.mean()),
        cash_after_all=float(after.mean()),
    )
