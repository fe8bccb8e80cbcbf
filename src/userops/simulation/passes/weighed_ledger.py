"""A weighed ledger: every member stands for many, under budgets and caps of the real population.

Wallets hold one member's points each; what all members share is counted here, in real points. Where nothing is
watched, no budget and no program-wide cap binds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from attrs import define, evolve, field

from userops.core.calendar import period, zone
from userops.core.commands import Command, Earn, Reverse, Spend
from userops.core.ids import split_id
from userops.errors import BudgetExceeded
from userops.points import Entry, Ledger, Posting, Receipt
from userops.program import Program

T = TypeVar("T")
Allocations = tuple[tuple[str, int], ...]
#: (replication, fund, period) of a budget.
Key = tuple[int, str, str]


class OutOfStock(Exception):
    """What a rule would spend, the shops or the cash do not bear."""

    def __init__(self, points: int) -> None:
        super().__init__(points)
        self.points = points


@define(eq=False)
class WeighedLedger:
    """What `program.handle` takes for a ledger: one in memory, with shared limits counted in real points."""

    program: Program
    #: Of each member, how many it stands for, and which replication it lives in.
    weights: Mapping[str, float]
    replications: Mapping[str, int]
    is_watched: bool = True
    ledger: Ledger = field(factory=Ledger.in_memory)
    used: dict[Key, float] = field(factory=dict)
    counts: dict[tuple[int, str], float] = field(factory=dict)
    #: Of each grant under a budget, whose it is.
    budgeted: dict[str, Key] = field(factory=dict)
    #: Whether stock and cash bear what a spend would take from lots; None: nobody asks.
    bears: Callable[[Allocations], bool] | None = None
    #: The funds of lots that the event in hand earns, which it may spend at once.
    earned: dict[str, str] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        """Declare what the program does, without budgets: those are watched here."""
        for currency in self.program.currencies.values():
            self.ledger.add_currency(currency)
        for fund in self.program.funds.values():
            self.ledger.add_fund(evolve(fund, budget=None))

    def transact(self, members: Collection[str], work: Callable[[Any], T]) -> T:
        """Run `work` in one transaction of a member."""
        (member,) = members
        weight, replication = self.weights[member], self.replications[member]
        return self.ledger.transact(
            members, lambda posting: work(Weighed(self, posting, weight, replication))
        )

    def post(self, command: Command, member: str) -> Receipt:
        """Post a command that one member's doing led to, perhaps into the wallet of another of its kind."""
        receipt: Receipt = self.transact([member], lambda posting: posting.post(command))
        return receipt

    def most(self, name: str, per: str, what: str) -> int:
        """Return the tightest cap, in times or points, that counts under a name."""
        bounds = [
            getattr(limit.cap, what)
            for limit in self.program.limits_of_all
            if (limit.name, limit.cap.per) == (name, per)
        ]
        return min((bound for bound in bounds if bound is not None), default=0)


@define(eq=False)
class Weighed:
    """A posting in which one member stands for `weight` of them."""

    _of: WeighedLedger
    _posting: Posting
    _weight: float
    _replication: int

    def post(self, command: Command) -> Receipt:
        """Post a command, unless the fund's budget does not bear it times the weight."""
        key = self._key(command) if isinstance(command, Earn) else None
        if key is not None and isinstance(command, Earn):
            self._check(key, command)
        before = self._posting.undone([command.entry]) if isinstance(command, Reverse) else {}
        receipt = self._posting.post(command)
        bears = self._of.bears
        if bears is not None and isinstance(command, Earn):
            self._of.earned[command.id] = command.fund
        is_spent = isinstance(command, Spend) and command.currency == "points"
        if bears is not None and is_spent and not bears(receipt.allocations):
            raise OutOfStock(sum(points for _, points in receipt.allocations))
        if key is not None and isinstance(command, Earn):
            self._of.used[key] = self._of.used.get(key, 0.0) + command.points * self._weight
            self._of.budgeted[command.id] = key
        if isinstance(command, Reverse) and command.entry in self._of.budgeted:
            undone = self._posting.undone([command.entry]).get(command.entry, 0) - before.get(
                command.entry, 0
            )
            self._of.used[self._of.budgeted[command.entry]] -= undone * self._weight
        return receipt

    def _key(self, command: Earn) -> Key | None:
        fund = self._of.program.funds[command.fund]
        if fund.budget is None:
            return None
        return self._replication, fund.name, period(command.at, fund.budget.per, zone(fund.timezone))

    def _check(self, key: Key, command: Earn) -> None:
        budget = self._of.program.funds[command.fund].budget
        assert budget is not None  # noqa: S101 — a key is given with a budget only
        used = self._of.used.get(key, 0.0)
        if self._of.is_watched and used + command.points * self._weight > budget.points:
            raise BudgetExceeded(
                f"{command.points:,} points asked of fund {command.fund!r}, times {self._weight:g} members",
                fund=command.fund,
                period=key[2],
                limit=budget.points,
                left=max(0, math.floor(budget.points - used)),
                asked=command.points,
            )

    def entries(self, member: str | None = None, **chosen: Any) -> tuple[Entry, ...]:
        """Return entries, as `Posting.entries` does."""
        return self._posting.entries(member, **chosen)

    def undone(self, entries: Iterable[str]) -> dict[str, int]:
        """Return how many points of entries have been undone."""
        return self._posting.undone(entries)

    def latest(self, member: str) -> datetime | None:
        """Return the latest instant at which an entry of a member took effect."""
        return self._posting.latest(member)

    def counter(self, name: str) -> int:
        """Return a program-wide counter as this member meets it: what is left is `weight` times less for it."""
        if not self._of.is_watched:
            return 0
        used = self._of.counts.get((self._replication, name), 0.0)
        _, limit, per, _, what = split_id(name)
        bound = self._of.most(limit, per, what)
        return bound - math.floor((bound - used) / self._weight)

    def count(self, name: str, delta: int, at_most: int | None = None) -> None:
        """Add to a program-wide counter, times the weight; decisions have looked at the bound already."""
        del at_most
        key = (self._replication, name)
        self._of.counts[key] = self._of.counts.get(key, 0.0) + delta * self._weight
