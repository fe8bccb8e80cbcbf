"""The limits that all members of a replication share: budgets and program-wide caps, by the clock."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import define, field

from userops.simulation.columns import Floats, Ints, Mask
from userops.simulation.inputs import PreparedRule, Rulebook


@define(eq=False)
class Bound:
    """Shared limits that bind: the places of funds, and of program-wide caps."""

    funds: set[int]
    caps: set[int]


@define(eq=False)
class Shared:
    """Limits that all members of a replication share: budgets and program-wide caps, used so far."""

    #: Of each fund, the budget's points (or -1), by replication; periods by day.
    budgets: Floats
    fund_periods: list[Ints | None]
    weight: Floats
    replication: Ints
    used: Floats = field(init=False)
    used_period: Ints = field(init=False)
    times: Floats = field(init=False)
    points: Floats = field(init=False)
    period: Ints = field(init=False)
    caps: int = 0
    replications: int = 1

    def __attrs_post_init__(self) -> None:
        """Start with nothing used."""
        size = (len(self.fund_periods), self.replications)
        self.used, self.used_period = np.zeros(size), np.full(size, -1)
        self.times, self.points = (
            np.zeros((self.caps, self.replications)),
            np.zeros((self.caps, self.replications)),
        )
        self.period = np.full((self.caps, self.replications), -1)

    def fits(
        self, book: Rulebook, rules: Sequence[PreparedRule], outcomes: list[Ints], row: Ints, day: Ints
    ) -> bool:
        """Say whether no shared limit tells these events apart: each fits all of them, or none."""
        replication = self.replication[row]
        for fund in {one.fund for one in rules}:
            now = self.fund_periods[fund]
            if now is None:
                continue
            mine = [outcomes[k] for k, one in enumerate(rules) if one.fund == fund]
            asks = np.stack(mine) * self.weight[row]
            used = np.where(
                self.used_period[fund][replication] == now[day], self.used[fund][replication], 0.0
            )
            limit = self.budgets[fund][replication]
            total = np.bincount(replication, asks.sum(axis=0), minlength=self.replications)[replication]
            fits_all = used + total <= limit
            fits_none = (np.where(asks > 0, asks, np.inf).min(axis=0) + used) > limit
            none_of_all = np.bincount(replication, ~fits_none, minlength=self.replications)[replication] == 0
            if not (fits_all | none_of_all).all():
                return False
        return self._caps_fit(book, rules, outcomes, row, day)

    def _caps_fit(
        self, book: Rulebook, rules: Sequence[PreparedRule], outcomes: list[Ints], row: Ints, day: Ints
    ) -> bool:
        """Say whether program-wide caps are either far away, or used up, for all of these events."""
        replication = self.replication[row]
        for slot, (_, per) in enumerate(book.shared):
            users = [k for k, one in enumerate(rules) if slot in one.shared_counts]
            if not users:
                continue
            now = book.clock.periods[per][day]
            is_now = self.period[slot][replication] == now
            posted = np.stack([outcomes[k] for k in users])
            times = np.bincount(
                replication, (posted > 0).sum(axis=0) * self.weight[row], minlength=self.replications
            )
            points = np.bincount(
                replication, posted.sum(axis=0) * self.weight[row], minlength=self.replications
            )
            for k in users:
                for x in rules[k].limits:
                    if not x.is_shared or x.slot != slot:
                        continue
                    cap = x.limit.cap
                    count, limit = (times, cap.times) if cap.times is not None else (points, cap.points)
                    store = self.times if cap.times is not None else self.points
                    used = store[slot][replication] * is_now
                    assert limit is not None  # noqa: S101 — a cap has one of the two
                    if not ((used + count[replication] <= limit) | (count[replication] == 0)).all():
                        return False
        return True

    def post(self, book: Rulebook, one: PreparedRule, asked: Ints, row: Ints, day: Ints) -> Mask:
        """Let the fund's budget take grants or refuse them, and count what it took against shared caps."""
        replication, weighed = self.replication[row], asked * self.weight[row]
        fits: Mask = np.ones(len(row), dtype=bool)
        periods = self.fund_periods[one.fund]
        if periods is not None:
            now = periods[day].astype(np.int64)
            self._turn(self.used_period[one.fund], now, replication, [self.used[one.fund]])
            fits = self.used[one.fund][replication] + weighed <= self.budgets[one.fund][replication]
            self.used[one.fund] += np.bincount(replication, weighed * fits, minlength=self.replications)
        for slot in one.shared_counts:
            now = book.clock.periods[book.shared[slot][1]][day].astype(np.int64)
            self._turn(self.period[slot], now, replication, [self.times[slot], self.points[slot]])
            paid = fits & (asked > 0)
            self.times[slot] += np.bincount(replication, paid * self.weight[row], minlength=self.replications)
            self.points[slot] += np.bincount(replication, paid * weighed, minlength=self.replications)
        return fits

    @staticmethod
    def _turn(period: Ints, now: Ints, replication: Ints, used: list[Floats]) -> None:
        """Start a new period: a step of shared limits lies in one day, so all its events agree on it."""
        turned = replication[period[replication] != now]
        period[replication] = now
        for counts in used:
            counts[turned] = 0.0
