"""Usage: what was asked of the limits that members share, against what those bear."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from attrs import define

from userops.simulation.arrays import Array
from userops.simulation.blocks import Block
from userops.simulation.engine import Bound, Granted
from userops.simulation.spec import Spec


@define(eq=False)
class Usage:
    """What was asked of shared limits, by replication and period."""

    #: Of each fund with a budget: (replication, period) points.
    funds: dict[int, Array]
    #: Of each program-wide cap: (replication, period) times and points.
    caps: dict[int, tuple[Array, Array]]

    def plus(self, other: Usage) -> Usage:
        """Add what other members asked."""
        return Usage(
            {k: one + other.funds[k] for k, one in self.funds.items()},
            {k: (a + other.caps[k][0], b + other.caps[k][1]) for k, (a, b) in self.caps.items()},
        )

    def bound(self, spec: Spec) -> Array:
        """Say of each replication whether a shared limit binds."""
        exceeded = [over for _, _, over in self._exceeded(spec)]
        size = len(next(iter(self.funds.values()))) if self.funds else len(next(iter(self.caps.values()))[0])
        found = np.zeros(size, dtype=bool)
        for over in exceeded:
            found |= over
        return found

    def limits(self, spec: Spec) -> Bound:
        """Return the limits that bind in any replication."""
        over = [(kind, place) for kind, place, one in self._exceeded(spec) if one.any()]
        return Bound({k for kind, k in over if kind == "fund"}, {k for kind, k in over if kind == "cap"})

    def _exceeded(self, spec: Spec) -> Iterator[tuple[str, int, Array]]:
        """Yield each shared limit with whether more is asked than it bears, by replication."""
        budgets = [fund.budget for fund in spec.program.funds.values()]
        for k, one in self.funds.items():
            budget = budgets[k] if k >= 0 else None
            if budget is not None:
                yield "fund", k, np.asarray((one > budget.points).any(axis=1))
        for rules in spec.book.rules.values():
            for x in (x for rule in rules for x in rule.limits):
                if x.is_shared and x.slot >= 0:
                    times, points = self.caps[x.slot]
                    if x.limit.cap.times is not None:
                        yield "cap", x.slot, np.asarray((times > x.limit.cap.times).any(axis=1))
                    if x.limit.cap.points is not None:
                        yield "cap", x.slot, np.asarray((points > x.limit.cap.points).any(axis=1))


def period_codes(spec: Spec, per: str) -> tuple[Array, Array]:
    """Return of each day the place of its period, and of each period the month in which it ends."""
    places = np.unique(spec.clock.periods[per], return_inverse=True)[1]
    last = np.zeros(places.max() + 1, dtype=np.int64)
    np.maximum.at(last, places, spec.clock.month_of)
    return places, last


def fund_periods(spec: Spec) -> dict[int, Array]:
    """Return of each fund with a budget the place of each day's budget period."""
    return {
        k: period_codes(spec, fund.budget.per)[0]
        for k, fund in enumerate(spec.program.funds.values())
        if fund.budget is not None
    }


def cap_periods(spec: Spec) -> dict[int, Array]:
    """Return of each program-wide cap the place of each day's period."""
    return {k: period_codes(spec, per)[0] for k, (_, per) in enumerate(spec.book.shared)}


def no_usage(spec: Spec, replications: int) -> Usage:
    """Return that nothing was asked yet."""

    def zeros(places: Array) -> Array:
        return np.zeros((replications, int(places.max()) + 1))

    asked = {k: zeros(places) for k, places in fund_periods(spec).items()}
    counted = {k: (zeros(places), zeros(places)) for k, places in cap_periods(spec).items()}
    # A replication without members asks for nothing, and is counted all the same.
    if not asked and not counted:
        asked[-1] = np.zeros((replications, 1))
    return Usage(asked, counted)


def used_by(spec: Spec, block: Block, granted: Granted) -> Usage:
    """Sum what was asked of shared limits."""
    funds, caps = fund_periods(spec), cap_periods(spec)
    found = no_usage(spec, block.replications)
    asked, counted = found.funds, found.caps
    for kind, one in granted.events.items():
        for place, rule in enumerate(spec.book.rules[kind]):
            if rule.fund not in asked and not rule.shared_counts:
                continue
            points = one.given[place] + one.refused[place]
            hit = np.flatnonzero(points != 0)
            row, worth = one.row[hit], points[hit] * block.weight[one.row[hit]]
            replication = block.replication[row].astype(np.int64)
            if rule.fund in asked:
                add_up(asked[rule.fund], replication, funds[rule.fund][one.day[hit]], worth)
            for slot in rule.shared_counts:
                at = caps[slot][one.day[hit]]
                add_up(counted[slot][0], replication, at, block.weight[row])
                add_up(counted[slot][1], replication, at, worth)
    return found


def add_up(total: Array, replication: Array, period: Array, worth: Array) -> None:
    """Add what each row is worth to its replication and period."""
    code = replication * total.shape[1] + period
    total += np.bincount(code, worth, minlength=total.size).reshape(total.shape)
