"""Propensity: who wants to redeem how much, before anything limits it: by chance, balance, and near expiry."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import define, field

from userops.simulation.columns import Array, Floats, Ints, Mask
from userops.simulation.inputs import Spec

#: Chances are whole numbers below this.
WHOLE = 2.0**32


@define(eq=False)
class Propensity:
    """How members decide, by (replication, group): the one formula of both passes."""

    spec: Spec
    #: By (replication, group): the chance to redeem in a month, and the share redeemed.
    chance: Floats
    share: Floats
    #: The log of the chance not to redeem; by group, the balance of reference and the pull of expiry.
    log_stay: Floats = field(init=False)
    half: Floats = field(init=False)
    near: Floats = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Look up what the groups' behaviour says."""
        with np.errstate(divide="ignore"):
            self.log_stay = np.log1p(-self.chance).reshape(-1)
        self.share = self.share.reshape(-1)
        behaviours = [self.spec.behaviours[one.name] for one in self.spec.groups]
        replications = len(self.chance)
        self.half = np.tile([one.redeem_balance for one in behaviours], replications)
        self.near = np.tile([one.near_expiry for one in behaviours], replications)

    def decide(
        self,
        code: Ints,
        balance: Ints,
        chance: Array,
        *,
        expiring: Ints | None = None,
        runs: Mask | None = None,
    ) -> tuple[Mask, Ints]:
        """Return which members redeem, and how many points; balances are positive, `code` says whose ways."""
        push = 2 * balance / (balance + self.half[code])
        if expiring is not None:
            push = push * (1 + self.near[code] * np.minimum(1.0, expiring / balance))
        # A chance of 0 has the logarithm 0 of staying away, and is never met.
        asks: Any = chance < -np.expm1(self.log_stay[code] * push) * WHOLE
        points = np.floor(balance * self.share[code]).astype(np.int64)
        if runs is not None:
            asks |= runs
            points = np.where(runs, balance, points)
        asks &= points > 0
        return asks, points

    def likely(self, code: Ints, balance: Ints, chance: Array) -> Mask:
        """Return who may redeem: those who do are among them, and few others; see `steepest`."""
        slope, half = self.steepest()
        found: Mask = chance * (balance + half[code]) < slope[code] * (WHOLE * (1 + 1e-9)) * balance
        return found

    def steepest(self) -> tuple[Floats, Floats]:
        """Return by (replication, group) numbers c and h: nobody redeems whose chance is c · b / (b + h) or more.

        For 1 - (1 - r)^x is at most -log(1 - r) · x, and expiry pulls by at most 1 + `near`.
        """
        with np.errstate(over="ignore"):
            slope = np.minimum(-self.log_stay * 2 * (1 + self.near), 1e17)
        return slope, self.half

    def runs(self, month: int, wave: Array) -> Mask | None:
        """Return who takes part in a points run in this month, each member at most once; None where nobody can."""
        found: Mask | None = None
        for at, part in self.spec.run.shares:
            if at == month:
                before = sum(share for other, share in self.spec.run.shares if other < month)
                now = (before <= wave) & (wave < before + part)
                found = now if found is None else found | now
        return found
