"""Redeeming: who redeems how much, late on the last day of each month, as balances and expiries move them."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import define, field

from userops.simulation.arrays import Floats, Ints, Mask
from userops.simulation.happenings import group_at
from userops.simulation.lots import Queue
from userops.simulation.spec import Spec, unit_costs

#: Points that expire within so many months after this one make members redeem more.
AHEAD = 2


@define(eq=False)
class Redeeming:
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
    #: By (replication, group): the log of the chance not to redeem, and the share redeemed; by group, the others.
    log_stay: Floats = field(init=False)
    share: Floats = field(init=False)
    half: Floats = field(init=False)
    near: Floats = field(init=False)
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
        chance, share = self.block.redeem_parameters
        with np.errstate(divide="ignore"):
            self.log_stay = np.log1p(-chance).reshape(-1)
        self.share = share.reshape(-1)
        behaviours = [self.spec.behaviours[one.name] for one in self.spec.groups]
        self.half = np.array([one.redeem_balance for one in behaviours])
        self.near = np.array([one.near_expiry for one in behaviours])

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
            worth = part * self.block.weight[who]
            np.add.at(total, (self.who[who] * months + month) * funds + fund, worth)
            if self.spec.cash is not None:
                np.subtract.at(self.cash, self.block.replication[who], worth * costs[fund])

        if self.spec.cash is None and isinstance(self.lots, Queue):
            # Nothing asks before the end which fund a redemption took from.
            self.lots.draw(row, points)
            self.drawn.append((month, row))
            return
        self.lots.spend(month, row, points, taken)

    def close(self) -> None:
        """Sum what was drawn without saying from which funds."""
        if not self.drawn or not isinstance(self.lots, Queue):
            return
        row = np.concatenate([rows for _, rows in self.drawn])
        month = np.repeat([month for month, _ in self.drawn], [len(rows) for _, rows in self.drawn])
        months, funds = self.redeemed.shape[2:]
        code, weight = (self.who[row] * months + month) * funds, self.block.weight[row]
        for fund, part in enumerate(self.lots.by_fund()):
            worth = np.bincount(code + fund, part * weight, minlength=self.redeemed.size)
            self.redeemed += worth.reshape(self.redeemed.shape)

    def _wanted(self, month: int) -> tuple[Ints, Ints]:
        """Return who redeems, and how many points, before stock and cash are looked at."""
        rows, lots = self.block.rows, self.lots
        is_active = (rows.arrival <= month) & (month < rows.lapse) & (lots.balance > 0)
        row = np.flatnonzero(is_active)
        balance = lots.balance[row]
        chance = self.block.chances[month, row]
        group = group_at(rows, row, month)
        log_stay, share, half, near = self._parameters(row, group)
        push = 2 * balance / (balance + half)
        if self.near.any():
            push = push * (1 + near * np.minimum(1.0, lots.expiring(month, AHEAD)[row] / balance))
        # A chance of 0 has the logarithm 0 of staying away, and is never met.
        asks = chance < -np.expm1(log_stay * push)
        points = np.floor(balance * share).astype(np.int64)
        for at, part in self.spec.run.shares:
            if at == month:
                runs = self._runs(month, part)[row]
                asks |= runs
                points = np.where(runs, balance, points)
        if self.block.bills is not None:
            points = np.minimum(points, self._payable(month, row, group))
        asks &= points > 0
        return row[asks], points[asks]

    def _payable(self, month: int, row: Ints, group: Ints) -> Ints:
        """Return the most points that the members' sinks take for the bills of a month."""
        sinks = self.spec.program.sinks
        chosen = [sinks.get(self.spec.behaviours[one.name].sink) for one in self.spec.groups]
        shares = [None if sink is None else sink.share_at_most for sink in chosen]
        bills = self.block.bills[month, row].tolist()
        most = [
            2**62 if shares[k] is None else (bill * shares[k]).__floor__()
            for bill, k in zip(bills, group.tolist(), strict=True)
        ]
        return np.array(most, dtype=np.int64)

    def _runs(self, month: int, part: float) -> Mask:
        """Return who takes part in a points run in this month: each member at most once."""
        before = sum(share for at, share in self.spec.run.shares if at < month)
        wave = self.block.wave
        found: Mask = (before <= wave) & (wave < before + part)
        return found

    def _parameters(self, row: Ints, group: Ints) -> tuple[Any, ...]:
        """Return the log of each member's chance to stay, the share, balance of reference and pull of expiry."""
        code = self.block.replication[row] * len(self.half) + group
        return self.log_stay[code], self.share[code], self.half[group], self.near[group]

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
