"""Liability: what simulated points owe and cost, as `points.accounting` values a ledger's, in columns.

A point owes what its redemption is expected to cost. Of the points issued to date a share will have been
redeemed in the end, the ultimate redemption rate; what of that is still to come is owed for those outstanding:
`unit_cost · (rate · issued - redeemed)`. For a fund of revenue that is the contract liability of the cumulative
catch-up (`revenue_schedule`, IFRS 15.B39) on points allocated at their stand-alone selling price, the chance of
redemption counted (B42); for an expense it is `accrued_cost` at the rate of what is outstanding. The plan knows
no prices of goods, so nothing is taken off by sharing a price between goods and points (`allocate_price`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction

import numpy as np
from attrs import field, frozen

from userops.core.calendar import month_starts, zone
from userops.errors import InvalidValue
from userops.points import Entry, Fund
from userops.points.accounting import RollForward, roll_forward
from userops.points.values import FundingRow
from userops.simulation.columns import Array


def ultimate_rates(expired: Array, matured: Array, stated: Sequence[float | None]) -> Array:
    """Return by (replication, fund) the share of points that are redeemed in the end.

    `matured` and `expired`, by (replication, part, fund), are the points whose expiry lies within the horizon,
    and what of them expired: their fate is known, and needs no chain ladder. Where nothing matures every point
    is expected back, as `accrued_cost` does without an estimate. What the plan states goes before.

    A replication's own rate is drawn towards that of all replications as far as chance among its members
    explains the difference (Bühlmann's credibility; the chance is read off the parts of the sample).
    """
    due, gone = matured.sum(axis=1), expired.sum(axis=1)
    found = np.ones(due.shape)
    for fund, rate in enumerate(stated):
        total = due[:, fund].sum()
        if rate is not None:
            found[:, fund] = rate
        elif total > 0:
            common = 1 - gone[:, fund].sum() / total
            found[:, fund] = _credible(common, expired[..., fund], matured[..., fund])
    return found


def _credible(common: float, expired: Array, matured: Array) -> Array:
    """Return each replication's rate, as far as it can be believed, and the common one beyond that."""
    due = matured.sum(axis=1)
    known = due > 0
    own = np.where(known, 1 - expired.sum(axis=1) / np.where(known, due, 1.0), common)
    if known.sum() < 2:
        return np.where(known, own, common)
    parts = matured.shape[1]
    residual = expired - (1 - own)[:, None] * matured
    noise = (residual**2).sum(axis=1)[known] * parts / max(1, parts - 1) / due[known] ** 2
    spread = float(own[known].var(ddof=1))
    credibility = max(0.0, spread - float(noise.mean())) / spread if spread > 0 else 0.0
    found: Array = np.where(known, common + credibility * (own - common), common)
    return found.clip(0.0, 1.0)


def rates_to_come(issued: Array, redeemed: Array, outstanding: Array, ultimate: Array) -> Array:
    """Return by (replication, month, fund) the share of the outstanding points that will still be redeemed.

    Arrays are totals of replications, issued and redeemed to date; never below none nor above all of them.
    """
    to_come = ultimate[:, None, :] * issued - redeemed
    shares = np.divide(to_come, outstanding, out=np.zeros_like(to_come), where=outstanding > 0)
    found: Array = shares.clip(0.0, 1.0)
    return found


@frozen
class MeanBooks:
    """The means of a forecast, read like a ledger's books at the end of each month; whole points."""

    funds: Mapping[str, Fund]
    ends: tuple[datetime, ...]
    #: Of each fund, by month: points issued, redeemed, expired and taken back to date.
    to_date: Mapping[str, Sequence[tuple[int, int, int, int]]] = field(hash=False)

    def funding(self, as_of: datetime, *, known_at: int | None = None) -> Iterable[FundingRow]:
        """Return each fund's points at the end of the last month that is over by then."""
        if known_at is not None:
            raise InvalidValue("a forecast is not recorded: there is no known_at")
        month = sum(end <= as_of for end in self.ends) - 1
        for fund, months in self.to_date.items():
            issued, redeemed, expired, taken = (0, 0, 0, 0) if month < 0 else months[month]
            left = issued - redeemed - expired - taken
            yield FundingRow(
                fund=fund,
                currency="points",
                issued=issued,
                redeemed=redeemed,
                expired=expired,
                clawed_back=taken,
                outstanding=left,
                debt=0,
                written_off=0,
            )

    def entries(
        self,
        *,
        as_of: datetime | None = None,  # noqa: ARG002 — as books have it
        known_at: int | None = None,  # noqa: ARG002 — as books have it
    ) -> Iterable[Entry]:
        """Refuse: a forecast has sums, and no entries."""
        raise InvalidValue("a forecast has no entries")


def mean_roll_forward(
    funds: Sequence[Fund],
    start: date,
    timezone: str,
    *,
    flows: Mapping[str, Array],
    rates: Array,
) -> RollForward:
    """Return the roll-forward of mean flows by (month, fund), at rates by (month, fund)."""
    months = len(rates)
    bounds = month_starts(start, months, zone(timezone))
    last = tuple(end - timedelta(microseconds=1) for end in bounds[1:])
    sums = {name: np.rint(np.cumsum(flows[name], axis=0)).astype(np.int64) for name in flows}
    listed = {
        fund.name: list(
            zip(
                *(sums[name][:, k].tolist() for name in ("issued", "redeemed", "expired", "clawed_back")),
                strict=True,
            )
        )
        for k, fund in enumerate(funds)
    }
    books = MeanBooks({fund.name: fund for fund in funds}, last, listed)
    by_month = [dict(zip(listed, map(Fraction, row.tolist()), strict=True)) for row in rates]
    return roll_forward(books, start, months, timezone=timezone, redemption_rates=[by_month[0], *by_month])
