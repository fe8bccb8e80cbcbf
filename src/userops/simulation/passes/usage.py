"""Usage: what was asked of the limits that all members share, to see whether one binds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from attrs import define, field

from userops.simulation.columns import Array, Ints
from userops.simulation.inputs import PreparedRule, Spec
from userops.simulation.members import Crowd
from userops.simulation.rules import Bound, CreditColumns


@define(eq=False)
class Usage:
    """What was asked of shared limits, by replication and period."""

    #: Of each fund with a budget: (replication, period) points.
    funds: dict[int, Array]
    #: Of each program-wide cap: (replication, period) times and points.
    caps: dict[int, tuple[Array, Array]]
    replications: int

    def plus(self, other: Usage) -> Usage:
        """Add what other members asked."""
        return Usage(
            {k: one + other.funds[k] for k, one in self.funds.items()},
            {k: (a + other.caps[k][0], b + other.caps[k][1]) for k, (a, b) in self.caps.items()},
            self.replications,
        )

    def bound(self, spec: Spec) -> Array:
        """Say of each replication whether a shared limit binds."""
        found = np.zeros(self.replications, dtype=bool)
        for _, _, over in self._exceeded(spec):
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
            budget = budgets[k]
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


@define(eq=False)
class Asked:
    """Whole sums of what members ask of shared limits, by (replication and group, period)."""

    spec: Spec
    crowd: Crowd
    #: Of each fund with a budget, and of each program-wide cap: the period of each day.
    periods: dict[tuple[str, int], Array] = field(init=False)
    sums: dict[tuple[str, int, str], Array] = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Start with nothing asked."""
        budgets = [fund.budget for fund in self.spec.program.funds.values()]
        pers = {("fund", k): budget.per for k, budget in enumerate(budgets) if budget is not None}
        pers |= {("cap", k): per for k, (_, per) in enumerate(self.spec.book.shared)}
        self.periods = {key: period_codes(self.spec, per)[0] for key, per in pers.items()}
        rows = self.crowd.replications * len(self.spec.groups)
        self.sums = {
            (*key, what): np.zeros((rows, places.max() + 1))
            for key, places in self.periods.items()
            for what in ("times", "points")
        }

    def is_watched(self, rule: PreparedRule | CreditColumns) -> bool:
        """Say whether a shared limit counts what a rule gives."""
        return ("fund", rule.fund) in self.periods or bool(rule.shared_counts)

    def add(
        self, rule: PreparedRule | CreditColumns, row: Ints, day: Ints, *, times: Array | None, points: Array
    ) -> None:
        """Add what a rule asks for by (replication and group), on days; `times` None: once each."""
        for key in [("fund", rule.fund), *(("cap", slot) for slot in rule.shared_counts)]:
            if key in self.periods:
                total = self.sums[*key, "points"]
                code = row * total.shape[1] + self.periods[key][day]
                total += np.bincount(code, points, minlength=total.size).reshape(total.shape)
                if key[0] == "cap":
                    count = np.bincount(code, times, minlength=total.size)
                    self.sums[*key, "times"] += count.reshape(total.shape)

    def usage(self) -> Usage:
        """Return it for the real population."""
        spec, crowd = self.spec, self.crowd
        shape = (crowd.replications, len(spec.groups), -1)
        real = {
            key: (one.reshape(shape) * crowd.weights[:, :, None]).sum(axis=1)
            for key, one in self.sums.items()
        }
        caps = range(len(spec.book.shared))
        return Usage(
            {k: one for (kind, k, what), one in real.items() if (kind, what) == ("fund", "points")},
            {k: (real["cap", k, "times"], real["cap", k, "points"]) for k in caps},
            crowd.replications,
        )


def no_usage(spec: Spec, crowd: Crowd) -> Usage:
    """Return that nothing was asked yet."""
    return Asked(spec, crowd).usage()
