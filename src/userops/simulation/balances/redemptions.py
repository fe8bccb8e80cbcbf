"""Redemptions: who redeems how much, late on the last day of each month, as balances and expiries move them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import define, field

from userops.simulation.balances.lots import Queue
from userops.simulation.balances.propensity import Propensity
from userops.simulation.columns import Floats, Ints
from userops.simulation.inputs import Spec, unit_costs
from userops.simulation.members import by_part, group_at


@define(eq=False)
class Redemptions:
    """The redemptions of a block, month by month."""

    spec: Spec
    block: Any
    #: Lots in columns, or what reads them off a ledger.
    lots: Any
    who: Ints
    parts: int
    redeemed: Floats = field(init=False)
    unserved: Floats = field(init=False)
    cash: Floats = field(init=False)
    #: Points that rules handed out in the month before members redeem: they count against the stock.
    handed_out: Floats = field(init=False)
    propensity: Propensity = field(init=False)
    #: Of each redemption: month, row, points; kept when asked for.
    log: list[tuple[int, Ints, Ints]] = field(factory=list)
    is_logged: bool = False
    #: Of each month's redemptions, the rows, where the funds are found at the end.
    drawn: list[tuple[int, Ints]] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        """Start with nothing redeemed."""
        months, funds = self.spec.span.months, len(self.spec.program.funds)
        self.redeemed = np.zeros((self.block.replications, self.parts, months, funds))
        self.unserved = np.zeros((self.block.replications, months))
        opening = 0.0 if self.spec.cash is None else self.spec.cash.opening
        self.cash = np.full(self.block.replications, opening)
        self.handed_out = np.zeros(self.block.replications)
        self.propensity = Propensity(self.spec, *self.block.redeem_parameters)

    def redeem(self, month: int) -> None:
        """Let members redeem at the end of a month."""
        row, points = self._wanted(month)
        if self.spec.cash is not None:
            self.cash += self.spec.cash.per_month
        limited = self.spec.stock is not None or (
            self.spec.cash is not None and self.spec.cash.floor is not None
        )
        if limited:
            self._serve(month, row, points)
        else:
            self._spend(month, row, points)

    def _spend(self, month: int, row: Ints, points: Ints) -> None:
        if not len(row):
            return
        months, funds = self.redeemed.shape[2:]
        if self.is_logged:
            self.log.append((month, row, points))
        costs, total = unit_costs(self.spec), self.redeemed.reshape(-1)

        def taken(who: Ints, fund: Ints, part: Ints) -> None:
            np.add.at(total, (self.who[who] * months + month) * funds + fund, part)
            if self.spec.cash is not None:
                worth = part * self.block.weight[who]
                np.subtract.at(self.cash, self.block.replication[who], worth * costs[fund])

        if self.spec.cash is None and isinstance(self.lots, Queue):
            # Nothing asks before the end which fund a redemption took from.
            self.lots.draw(row, points)
            self.drawn.append((month, row))
            return
        self.lots.spend(month, row, points, taken)

    def bears(self, replication: int, weight: float, taken: Sequence[tuple[int, float]]) -> bool:
        """Say whether the month's stock and cash bear what a rule spends: (points, the cost of one) by lot."""
        points, bill = (sum(part) * weight for part in ([p for p, _ in taken], [p * c for p, c in taken]))
        if self.spec.stock is not None and self.handed_out[replication] + points > self.spec.stock:
            return False
        cash = self.spec.cash
        # The month's income is there for rules as for the redemptions that close the month.
        return (
            cash is None
            or cash.floor is None
            or bool(self.cash[replication] + cash.per_month - bill >= cash.floor)
        )

    def close(self) -> None:
        """Sum what was drawn without saying from which funds, and let every row stand for its real members."""
        if self.drawn and isinstance(self.lots, Queue):
            row = np.concatenate([rows for _, rows in self.drawn])
            month = np.repeat([month for month, _ in self.drawn], [len(rows) for _, rows in self.drawn])
            months, funds = self.redeemed.shape[2:]
            code = (self.who[row] * months + month) * funds
            for fund, part in enumerate(self.lots.by_fund()):
                found = np.bincount(code + fund, part, minlength=self.redeemed.size)
                self.redeemed += found.reshape(self.redeemed.shape)
        self.redeemed *= by_part(self.block.weights)[..., None, None]

    def _wanted(self, month: int) -> tuple[Ints, Ints]:
        """Return who redeems, and how many points, before stock and cash are looked at."""
        rows, lots, propensity = self.block.rows, self.lots, self.propensity
        is_active = (rows.arrival <= month) & (month < rows.lapse) & (lots.balance > 0)
        row = np.flatnonzero(is_active)
        code = self.block.replication[row] * len(self.spec.groups) + group_at(rows, row, month)
        runs = propensity.runs(month, self.block.wave)
        if runs is None:
            some = propensity.likely(code, lots.balance[row], self.block.chances[month, row])
            row, code = row[some], code[some]
        asks, points = propensity.decide(
            code,
            lots.balance[row],
            self.block.chances[month, row],
            expiring=lots.expiring(month)[row] if propensity.near.any() else None,
            runs=None if runs is None else runs[row],
        )
        if self.block.bills is not None:
            points = np.minimum(points, self._payable(month, row))
            asks &= points > 0
        return row[asks], points[asks]

    def _payable(self, month: int, row: Ints) -> Ints:
        """Return the most points that the members' sinks take for the bills of a month."""
        sinks = self.spec.program.sinks
        chosen = [sinks.get(self.spec.behaviours[one.name].sink) for one in self.spec.groups]
        shares = [None if sink is None else sink.share_at_most for sink in chosen]
        bills, group = self.block.bills[month, row].tolist(), group_at(self.block.rows, row, month)
        most = [
            2**62 if share is None else (bill * share).__floor__()
            for bill, share in zip(bills, (shares[k] for k in group.tolist()), strict=True)
        ]
        return np.array(most, dtype=np.int64)

    def _serve(self, month: int, row: Ints, points: Ints) -> None:
        """Serve redemptions in order of members while stock and cash last; each whole or not at all."""
        stock = np.full(self.block.replications, np.inf if self.spec.stock is None else self.spec.stock)
        stock -= self.handed_out
        cost = float(unit_costs(self.spec).max(initial=0.0))
        cash = self.spec.cash
        floor = -np.inf if cash is None or cash.floor is None else cash.floor
        worth = points * self.block.weight[row]
        replication = self.block.replication[row]
        served = np.zeros(len(row), dtype=bool)
        for k in np.unique(replication):
            mine = np.flatnonzero(replication == k)
            total = worth[mine].sum()
            if total <= stock[k] and self.cash[k] - total * cost >= floor:
                served[mine] = True
                continue
            # Close to the limit each redemption is looked at by itself; its cost is known once it is spent.
            self._serve_one_by_one(
                month, row, points, mine=mine, stock=float(stock[k]), floor=floor, replication=int(k)
            )
        self._spend(month, row[served], points[served])

    def _serve_one_by_one(
        self, month: int, row: Ints, points: Ints, *, mine: Ints, stock: float, floor: float, replication: int
    ) -> None:
        costs = unit_costs(self.spec)
        for at in mine:
            weight = self.block.weight[row[at]]
            worth = points[at] * weight
            bill = self.lots.bill(month, int(row[at]), int(points[at]), costs) * weight
            is_short = self.spec.cash is not None and self.cash[replication] - bill < floor
            if worth > stock or is_short:
                self.unserved[replication, month] += worth
                continue
            stock -= worth
            self._spend(month, row[at : at + 1], points[at : at + 1])
