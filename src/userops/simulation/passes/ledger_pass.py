"""The ledger pass: members' events go through the program one by one into a ledger, as they would live.

Columns know the common rules; a ledger knows all of them: takings-back, spending rules, sinks that take some
points only, expiry by inactivity, counters of redemptions, and what a referral scheme credits. A credit is
posted right after the event that earned it, a redemption is drawn on the balance there is.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import define, field

from userops.core.calendar import micros
from userops.core.commands import Command, Earn, Expire, Reverse
from userops.core.events import Event
from userops.errors import BudgetExceeded, UnknownEntry
from userops.points import Posting
from userops.program import live
from userops.program.decision import Decision
from userops.simulation.balances import AHEAD, Redemptions, Taken
from userops.simulation.columns import Floats, Ints, Mask
from userops.simulation.inputs import Spec, unit_costs
from userops.simulation.members import (
    Block,
    cancelled,
    evening,
    group_at,
    happened,
    members_of,
    name_of,
    redemption,
    redemption_cancelled,
    row_of,
)
from userops.simulation.passes.weighed_ledger import Allocations, OutOfStock, WeighedLedger
from userops.simulation.rules import Credit


@define(eq=False)
class Refusal:
    """A grant that a budget did not bear."""

    row: int
    at: int
    fund: str
    rule: str
    points: int


@define(eq=False)
class Life:
    """The members of some rows of a block, living through the months."""

    spec: Spec
    block: Block
    #: Which rows live here.
    chosen: Mask
    #: By row and part of the sample, as flows are summed.
    who: Ints
    parts: int
    is_watched: bool
    #: What a referral scheme credits to these rows, and to wallets of no member.
    credits: Sequence[Credit] = ()
    books: WeighedLedger = field(init=False)
    events: list[Event] = field(factory=list)
    refused: list[Refusal] = field(factory=list)
    unserved: Floats = field(init=False)
    #: Of each lot, the place of its fund.
    fund_of: dict[str, int] = field(factory=dict)
    #: The rows that were ever granted points.
    owners: set[int] = field(factory=set)
    #: Of each wallet that is no member's, the row of the member whose milestone opened it.
    homes: dict[str, int] = field(factory=dict)
    _members: dict[str, dict[str, Any]] = field(init=False)
    _redemptions: Redemptions = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Open empty books."""
        block = self.block
        self._members = members_of(self.spec, block)
        self.books = WeighedLedger(
            self.spec.program,
            {name: float(block.weight[k]) for k, name in enumerate(self._members)},
            {name: int(block.replication[k]) for k, name in enumerate(self._members)},
            self.is_watched,
        )

    def run(self) -> Life:
        """Go through all months."""
        spec, block = self.spec, self.block
        by_place = dict(happened(spec, block, np.flatnonzero(self.chosen[block.found.row])))
        came = [*by_place.values(), *cancelled(spec, block, by_place)]
        came.sort(key=lambda event: event.at)
        number = itertools.count()
        queue: list[tuple[int, int, int, Any]] = [(micros(one.at), 0, next(number), one) for one in came]
        # A credit comes after the event of its instant.
        queue += [(micros(one.command.at), 1, next(number), one) for one in self.credits]
        heapq.heapify(queue)
        lots = LedgerLots(self, tuple(self._funds_of(group.name) for group in spec.groups))
        self._redemptions = Redemptions(spec, block, lots, self.who, self.parts)
        scarce = self._scarce_kinds()
        for month in range(spec.span.months):
            end = micros(evening(spec, month, 0))
            self._redemptions.handed_out[:] = 0.0
            while queue and queue[0][0] < end:
                _, is_credit, _, one = heapq.heappop(queue)
                if is_credit:
                    self._credit(one)
                elif one.kind in scarce:
                    self._handle_if_served(month, one)
                else:
                    self._handle(one)
            lots.open(month)
            self._redemptions.redeem(month)
            for event in lots.returns:
                heapq.heappush(queue, (micros(event.at), 0, next(number), event))
            lots.returns.clear()
        self.books.ledger.post(Expire(at=spec.clock.month_bounds()[-1]))
        self.unserved = self._redemptions.unserved
        return self

    def _funds_of(self, group: str) -> tuple[str, ...] | None:
        sink = self.spec.program.sinks.get(self.spec.behaviours[group].sink)
        return None if sink is None else sink.funds

    def handle(self, event: Event) -> Decision:
        """Handle an event, and note what budgets refused."""
        decision = live.handle(self.spec.program, event, self.books, self._members)  # type: ignore[arg-type]
        self.events.append(event)
        for outcome in decision.outcomes:
            for command in outcome.commands:
                if isinstance(command, Earn):
                    self._note_lot(command)
            if isinstance(outcome.error, BudgetExceeded):
                self._note_refusal(event.member, micros(event.at), outcome.rule, outcome.error)
        return decision

    def _scarce_kinds(self) -> set[str]:
        """Return the kinds of events that do not happen where stock or cash do not bear what they spend.

        A milestone of the referral scheme happens all the same: what it is credited was reckoned beforehand.
        """
        if not self.spec.limits_redemption:
            return set()
        program = self.spec.program
        milestones = () if program.scheme is None else program.scheme.milestones
        return {rule.on for rule in program.redeem if rule.currency == "points"} - {*milestones}

    def _handle_if_served(self, month: int, event: Event) -> None:
        """Handle an event that spends; where the shops are empty nothing is ordered, and nothing happens."""
        row, books = row_of(event.member), self.books
        k, weight = int(self.block.replication[row]), float(self.block.weight[row])
        used, counts = dict(books.used), dict(books.counts)
        books.bears = lambda allocations: self._redemptions.bears(k, weight, self._costs(allocations))
        try:
            self._handle(event)
        except OutOfStock as short:
            books.used, books.counts = used, counts
            self._redemptions.unserved[k, month] += short.points * weight
        finally:
            books.bears = None
            books.earned.clear()

    def _costs(self, allocations: Allocations) -> list[tuple[int, float]]:
        """Return (points, the cost of one) of what a spend took."""
        costs, funds, earned = unit_costs(self.spec), list(self.spec.program.funds), self.books.earned
        places = [
            self.fund_of[lot] if lot in self.fund_of else funds.index(earned[lot]) for lot, _ in allocations
        ]
        return [(points, float(costs[place])) for place, (_, points) in zip(places, allocations, strict=True)]

    def _handle(self, event: Event) -> None:
        decision = self.handle(event)
        row = row_of(event.member)
        for outcome in decision.outcomes:
            for command, receipt in zip(outcome.commands, outcome.receipts, strict=False):
                if command.currency == "points" and not isinstance(command, Earn):
                    self._pay(row, command, receipt.allocations)

    def _pay(self, row: int, command: Command, allocations: Any) -> None:
        """Let what rules spend count against stock and cash; what is given back returns to the cash."""
        is_back = isinstance(command, Reverse)
        if isinstance(command, Reverse) and command.entry in self.fund_of:
            # It takes back a grant, which cost nothing yet.
            return
        costs, weight = unit_costs(self.spec), float(self.block.weight[row])
        k, sign = int(self.block.replication[row]), -1.0 if is_back else 1.0
        for lot, points in allocations:
            if not is_back:
                self._redemptions.handed_out[k] += points * weight
            if self.spec.cash is not None:
                self._redemptions.cash[k] -= sign * points * weight * float(costs[self.fund_of[lot]])

    def _credit(self, credit: Credit) -> None:
        """Post a credit, or what undoes one, as far as the budget bears it."""
        command, row = credit.command, credit.owner if credit.owner >= 0 else credit.buyer
        if credit.owner < 0 and isinstance(command, Earn):
            self.homes.setdefault(command.member, row)
        try:
            self.books.post(command, name_of(row))
        except BudgetExceeded as refusal:
            scheme = self.spec.program.scheme
            assert scheme is not None  # noqa: S101 — it credited
            self._note_refusal(name_of(row), micros(command.at), scheme.name, refusal)
        except UnknownEntry:
            # What it undoes was refused for want of budget.
            return
        else:
            if isinstance(command, Earn):
                self._note_lot(command)

    def _note_lot(self, command: Earn) -> None:
        if command.member in self._members:
            self.owners.add(row_of(command.member))
        self.fund_of[command.id] = list(self.spec.program.funds).index(command.fund)

    def _note_refusal(self, member: str, at: int, rule: str, error: BudgetExceeded) -> None:
        self.refused.append(Refusal(row_of(member), at, error.fund, rule, error.asked))


@define(eq=False)
class LedgerLots:
    """The lots of living members, read off their wallets at the end of each month as `Lots` are."""

    life: Life
    #: Of each group, the funds whose points its sink takes; None: all.
    funds: tuple[tuple[str, ...] | None, ...]
    balance: Ints = field(init=False)
    #: What takes back redemptions, to come.
    returns: list[Event] = field(factory=list)
    _soon: Ints = field(init=False)

    def open(self, month: int) -> None:
        """Read what members can redeem late on the last day of the month, and what of it expires soon."""
        life, spec = self.life, self.life.spec
        rows, bounds = life.block.rows, spec.clock.month_bounds()
        self.balance, self._soon = (np.zeros(len(rows), dtype=np.int64) for _ in range(2))
        at, soon = evening(spec, month, len(rows)), bounds[min(spec.span.months, month + AHEAD + 1)]
        group = group_at(rows, np.arange(len(rows)), month)

        def read(posting: Posting) -> None:
            for row in sorted(life.owners):
                if not rows.arrival[row] <= month < rows.lapse[row]:
                    continue
                funds = self.funds[group[row]]
                for lot in posting.lots(name_of(row), at):
                    if funds is None or lot.fund in funds:
                        if lot.available_at > at:
                            continue
                        self.balance[row] += lot.points
                        is_soon = lot.expires_at is not None and lot.expires_at <= soon
                        self._soon[row] += lot.points if is_soon else 0

        life.books.ledger.transact([], read)

    def expiring(self, month: int) -> Ints:  # noqa: ARG002 — as Lots has it
        """Return what of the balance expires within the months after this one."""
        return self._soon

    def spend(self, month: int, row: Ints, points: Ints, taken: Taken) -> None:
        """Let members redeem: each by an event of its own."""
        life, spec = self.life, self.life.spec
        for who, amount in zip(row.tolist(), points.tolist(), strict=True):
            event = redemption(spec, life.block, month, who, amount)
            (receipt,) = (r for outcome in life.handle(event).outcomes for r in outcome.receipts)
            for lot, part in receipt.allocations:
                taken(np.array([who]), np.array([life.fund_of[lot]]), np.array([part]))
            back = redemption_cancelled(spec, life.block, month, who, event)
            if back is not None:
                self.returns.append(back)

    def bill(self, month: int, row: int, points: int, costs: Floats) -> float:
        """Return what one member's redemption would cost its funds; nothing is taken."""
        life, spec = self.life, self.life.spec
        at = evening(spec, month, row)
        group = int(group_at(life.block.rows, np.array([row]), month)[0])
        total, need = 0.0, points
        for lot in life.books.ledger.lots(name_of(row), at):
            funds = self.funds[group]
            if lot.available_at <= at and (funds is None or lot.fund in funds):
                part = min(lot.points, need)
                total += part * float(costs[life.fund_of[lot.id]])
                need -= part
        return total
