"""What a ledger's entries came to, by replication, part of the sample, month and fund."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
from attrs import define, field, frozen

from userops.core.calendar import from_micros, local_day, micros
from userops.core.commands import Earn, Extend, Reverse
from userops.points import Entry
from userops.points.history import extended_lots
from userops.points.values import EXPIRED, LotState
from userops.program.rules import EarnRule
from userops.simulation.columns import Array
from userops.simulation.inputs import rule_names
from userops.simulation.members import group_at, row_of
from userops.simulation.passes.flows import Flows, by_tier
from userops.simulation.passes.ledger_pass import Life
from userops.simulation.passes.usage import Asked, Usage, no_usage
from userops.simulation.rules import MonthTiers, tier_names


@define(eq=False)
class LedgerFlows:
    """Flows and usage of lives, summed entry by entry: every entry's points stand with its lots' funds."""

    life: Life
    flows: dict[str, Array] = field(init=False)
    by_rule: dict[str, Array] = field(init=False)
    usage: Usage = field(init=False)
    #: What was asked of budgets, less what cancellations gave back to them.
    net: Usage = field(init=False)
    matured: Array = field(init=False)
    #: Of the currency that tiers count: (row, microseconds, value).
    value: list[tuple[int, int, int]] = field(factory=list)
    _lots: dict[str, LotState] = field(factory=dict)
    _grants: dict[str, Entry] = field(factory=dict)
    _ends: list[int] = field(init=False)
    _places: dict[str, int] = field(init=False)
    _names: tuple[str, ...] = field(init=False)
    #: Of each fund with a budget, and each program-wide cap, the place of every day's period.
    _budgets: dict[int, Array] = field(init=False)
    _caps: dict[int, Array] = field(init=False)
    _shared: list[tuple[EarnRule, list[int]]] = field(init=False)
    #: Points taken back, and the lots of each wallet.
    _taken: dict[str, int] = field(factory=dict)
    _lots_of: dict[str, list[str]] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        """Start with nothing, then read all entries."""
        life = self.life
        spec, block = life.spec, life.block
        months, funds = spec.span.months, list(spec.program.funds)
        shape = (block.replications, life.parts, months, len(funds))
        names = ("issued", "refused", "redeemed", "expired", "clawed_back", "returned")
        self.flows = {name: np.zeros(shape) for name in names}
        self.matured = np.zeros((shape[0], shape[1], shape[3]))
        self._names = rule_names(spec)
        rules = (block.replications, months, len(self._names))
        self.by_rule = {name: np.zeros(rules) for name in ("issued", "refused")}
        self.usage, self.net = (no_usage(spec, block) for _ in range(2))
        self._ends = [micros(bound) for bound in spec.clock.month_bounds()[1:]]
        self._places = {name: k for k, name in enumerate(funds)}
        periods = Asked(spec, block).periods
        self._budgets, self._caps = (
            {k: one for (what, k), one in periods.items() if what == name} for name in ("fund", "cap")
        )
        self._shared = [(one.rule, one.shared_counts) for rules in spec.book.rules.values() for one in rules]
        for entry in life.books.ledger.entries():
            self._add(entry)
        for one in life.refused:
            self._ask(one.row, self._day(one.at), one.fund, one.rule, one.points, name="refused")
        self._mature()

    def _add(self, entry: Entry) -> None:
        row = self._row(entry)
        if entry.currency == "points":
            self._move(entry, row)
        command = entry.command
        if isinstance(command, Earn):
            self._grants[entry.id] = entry
            if entry.currency == "points":
                day = self._day(micros(entry.at))
                self._ask(row, day, command.fund, command.rule, command.points, name="issued")
        elif isinstance(command, Reverse) and command.entry in self._grants:
            self._give_back(entry, row)
        if entry.currency == self.life.spec.program.value_currency:
            points = command.points if isinstance(command, Earn) else -entry.recovered - entry.indebted
            if points:
                self.value.append((row, micros(entry.at), points))

    def _row(self, entry: Entry) -> int:
        """Return the row that an entry belongs to: of a dealer's or agent's wallet, the buyer's."""
        if entry.member in self.life.books.weights:
            return row_of(entry.member)
        return self.life.homes[entry.member]

    def _day(self, at: int) -> int:
        clock = self.life.spec.clock
        return local_day(from_micros(at), clock.tz).toordinal() - clock.days[0].toordinal()

    def _cell(self, row: int, month: int, fund: str) -> tuple[int, int, int, int]:
        replication, part = divmod(int(self.life.who[row]), self.life.parts)
        return replication, part, month, self._places[fund]

    def _move(self, entry: Entry, row: int) -> None:
        """Sum what an entry took out of lots, or put back: redeemed, expired, or taken back."""
        for lot in entry.created:
            self._lots[lot.id] = lot
            self._lots_of.setdefault(entry.member, []).append(lot.id)
        if isinstance(entry.command, Extend):
            mine = [self._lots[lot] for lot in self._lots_of.get(entry.member, ())]
            self._lots.update((lot.id, lot) for lot in extended_lots(mine, entry.command))
        column = "redeemed" if any(leg.account.startswith("sink:") for leg in entry.legs) else "clawed_back"
        moved: dict[str, int] = {lot.id: -lot.original for lot in entry.created if lot.is_issue}
        month, weight = self.month(micros(entry.at)), float(self.life.block.weight[row])
        for leg in entry.legs:
            if leg.lot not in self._lots:
                continue
            moved[leg.lot] = moved.get(leg.lot, 0) + leg.points
            if leg.account == EXPIRED:
                fund = self._lots[leg.lot].fund
                self.flows["expired"][self._cell(row, month, fund)] += leg.points * weight
        if entry.kind in ("expire", "extend"):
            return
        for id_, points in moved.items():
            self.flows[column][self._cell(row, month, self._lots[id_].fund)] -= points * weight
            if column == "clawed_back":
                self._taken[id_] = self._taken.get(id_, 0) - points

    def _ask(self, row: int, day: int, fund: str, rule: str, points: int, *, name: str) -> None:
        """Count points asked of a fund: issued, or refused."""
        life = self.life
        replication, worth = int(life.block.replication[row]), points * float(life.block.weight[row])
        month, place = int(life.spec.clock.month_of[day]), self._places[fund]
        self.flows[name][self._cell(row, month, fund)] += worth
        self.by_rule[name][replication, month, self._rule(rule, fund)] += worth
        if place in self._budgets:
            period = int(self._budgets[place][day])
            self.usage.funds[place][replication, period] += worth
            self.net.funds[place][replication, period] += worth
        date = life.spec.clock.days[day]
        for one, slots in self._shared:
            if one.name == rule and one.is_in_force(date):
                for slot in slots:
                    times, total = self.usage.caps[slot]
                    times[replication, self._caps[slot][day]] += float(life.block.weight[row])
                    total[replication, self._caps[slot][day]] += worth

    def _rule(self, name: str, fund: str) -> int:
        """Return the place of a rule's version, or of the referral scheme."""
        rules = self.life.spec.program.earn
        found = [k for k, rule in enumerate(rules) if rule.name == name]
        same = [k for k in found if rules[k].fund == fund]
        return (same or found or [len(self._names) - 1])[0]

    def _give_back(self, entry: Entry, row: int) -> None:
        """Count what a taking-back gave to the budget of the period of its grant."""
        command = entry.command
        assert isinstance(command, Reverse)  # noqa: S101 — asked of reversals only
        grant = self._grants[command.entry]
        place = self._places[getattr(grant.command, "fund", "")]
        back = entry.recovered + entry.indebted
        if entry.currency != "points" or place not in self._budgets or not back:
            return
        day, then = self._day(micros(entry.at)), self._day(micros(grant.at))
        codes = self._budgets[place]
        month = int(self.life.spec.clock.month_of[day])
        if codes[day] != codes[then]:
            # The period is over: the months after it know nothing of it any more.
            month = int(self.life.spec.clock.month_of[np.flatnonzero(codes == codes[then])[-1]])
        worth = back * float(self.life.block.weight[row])
        self.flows["returned"][self._cell(row, month, list(self._places)[place])] += worth
        self.net.funds[place][int(self.life.block.replication[row]), int(codes[then])] -= worth

    def _mature(self) -> None:
        """Sum the points whose fate the horizon sees, those taken back left out."""
        for lot in self._lots.values():
            if lot.is_issue and lot.expires_at is not None and lot.expires_at <= self._ends[-1]:
                row = self.life.homes[lot.member] if lot.member in self.life.homes else row_of(lot.member)
                replication, part, _, place = self._cell(row, 0, lot.fund)
                points = lot.original - self._taken.get(lot.id, 0)
                self.matured[replication, part, place] += points * float(self.life.block.weight[row])

    def month(self, at: int) -> int:
        """Return the month of an instant; what expires as one ends belongs to it."""
        return bisect_left(self._ends, at)


@frozen(eq=False)
class Reckoned:
    """What lives came to: flows, what was asked of shared limits, and that less what was given back."""

    flows: Flows
    usage: Usage
    net: Usage
    month_tiers: MonthTiers | None


def _month_tiers(found: LedgerFlows) -> MonthTiers | None:
    """Return the tiers of active members at the end of each month, from the value they got and gave back."""
    spec, block = found.life.spec, found.life.block
    ladder = spec.program.ladder
    if ladder is None or not len(block.rows):
        return None
    listed = sorted(found.value, key=lambda one: one[:2])
    row, at, points = (np.array([one[k] for one in listed], dtype=np.int64) for k in range(3))
    everybody, bounds = np.arange(len(block.rows)), spec.clock.month_bounds()
    groups = np.array([group.name for group in spec.groups])
    places = {name: k for k, name in enumerate(tier_names(spec.program)[1:])}
    rows, months, tiers = [], [], []
    for month, end in enumerate(bounds[1:]):
        inside = at < micros(end)
        columns = {"member": row[inside], "at": at[inside].astype("datetime64[us]"), "value": points[inside]}
        kind = groups[group_at(block.rows, everybody, month)]
        standing = ladder.standings(columns, end, records={"member": everybody, "kind": kind})
        mine = np.asarray(standing["member"]).astype(np.int64)
        is_active = (block.rows.arrival[mine] <= month) & (month < block.rows.lapse[mine])
        is_active &= found.life.chosen[mine]
        names = np.ma.filled(np.ma.asarray(standing["tier"]).astype(object), None)
        code = np.array([places.get(name, -1) for name in names], dtype=np.int64)
        rows.append(mine[is_active])
        months.append(np.full(int(is_active.sum()), month))
        tiers.append(code[is_active])
    return MonthTiers(np.concatenate(rows), np.concatenate(months), np.concatenate(tiers))


def reckoned(life: Life) -> Reckoned:
    """Return what lives came to; how many members are active is not counted here."""
    found = LedgerFlows(life)
    spec, block = life.spec, life.block
    late = {name: found.flows.pop(name) for name in ("clawed_back", "returned")}
    sums = Flows(
        **found.flows,
        matured=found.matured,
        rule_issued=found.by_rule["issued"],
        rule_refused=found.by_rule["refused"],
        active=np.zeros((block.replications, spec.span.months, len(spec.groups))),
        tiers=by_tier(spec, block, None),
        unserved=life.unserved,
        log=[],
    )
    sums.clawed_back, sums.returned = late["clawed_back"], late["returned"]
    return Reckoned(sums, found.usage, found.net, _month_tiers(found))
