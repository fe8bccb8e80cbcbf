"""What members share: caps of the whole program and budgets, and whether any of them bound in a history."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import numpy as np
from attrs import define, field, frozen

from userops.core.commands import Earn
from userops.program.decision import Decision
from userops.program.replay.asked import Asked
from userops.program.replay.facts import Facts, periods_of
from userops.program.replay.history import Ints
from userops.program.replay.sheets import Slot, slot_of

_EPOCH = date(1970, 1, 1)


@frozen(eq=False)
class Shared:
    """A budget, or a cap of the whole program: what it counts, by which period, and the most there may be."""

    #: A fund's budget, or the slot of a cap.
    key: str | Slot
    #: The rules that it counts, by place in the program.
    rules: tuple[int, ...]
    per: str
    is_times: bool
    most: int


@define(eq=False)
class Elsewhere:
    """What was granted to members whose events were posted one by one."""

    #: Of each grant, the place of its event in the history, and of its rule in the program.
    rows: list[int] = field(factory=list)
    rules: list[int] = field(factory=list)
    points: list[int] = field(factory=list)

    def note(self, row: int, decision: Decision, places: dict[str, list[int]], facts: Facts) -> None:
        """Note what came of an event."""
        for outcome in decision.outcomes:
            for command in outcome.commands if outcome.receipts and not decision.replayed else ():
                if isinstance(command, Earn):
                    day = int(facts.days[row])
                    self.rows.append(row)
                    self.rules.append(_version(facts, places[command.rule], day))
                    self.points.append(command.points)


def _version(facts: Facts, places: list[int], day: int) -> int:
    """Return which of a rule's versions was in force on a local day."""
    on = _EPOCH + timedelta(days=day)
    return next(place for place in places if facts.program.earn[place].is_in_force(on))


def shared_of(facts: Facts) -> list[Shared]:
    """Return the budgets, and the caps of the whole program, that rules are under."""
    program, found = facts.program, []
    for name, fund in program.funds.items():
        rules = tuple(k for k, rule in enumerate(program.earn) if rule.fund == name)
        if fund.budget is not None and rules:
            found.append(Shared(name, rules, fund.budget.per, is_times=False, most=fund.budget.points))
    under: dict[tuple[Slot, bool, int], list[int]] = {}
    counting: dict[Slot, list[int]] = {}
    for place, rule in enumerate(program.earn):
        for k, limit in enumerate(rule.limits):
            if limit.cap.scope == "program":
                is_times = limit.cap.times is not None
                most = limit.cap.times if limit.cap.times is not None else limit.cap.points or 0
                under.setdefault((slot_of(rule, k), is_times, most), []).append(place)
                counting.setdefault(slot_of(rule, k), []).append(place)
    for slot, is_times, most in under:
        rules = tuple(dict.fromkeys(counting[slot]))
        found.append(Shared(slot, rules, slot[1], is_times=is_times, most=most))
    return found


def binds(
    shared: Shared, asked: Mapping[int, Asked], given: Mapping[int, Ints], facts: Facts, elsewhere: Elsewhere
) -> bool:
    """Say whether members in columns were given more than there may be, what others were given counted too.

    Where it does not, nobody in columns was bound; and whoever was elsewhere would have been all the same.
    """
    periods, sizes = [], []
    for place in sorted(asked.keys() & set(shared.rules)):
        paid = np.flatnonzero(given[place])
        periods.append(asked[place].events.periods(shared.per).take(paid))
        sizes.append(np.ones(len(paid), np.int64) if shared.is_times else given[place].take(paid))
    if not periods:
        return False
    found, where = np.unique(np.concatenate(periods), return_inverse=True)
    totals = np.zeros(len(found), np.int64)
    np.add.at(totals, where.reshape(-1), np.concatenate(sizes))
    rows, points = granted_elsewhere(shared, elsewhere)
    at = (
        np.zeros(len(rows), np.int64)
        if shared.per == "lifetime"
        else facts.references(rows)
        if shared.per == "reference"
        else periods_of(facts.days.take(rows), shared.per)
    )
    places = np.searchsorted(found, at)
    known = np.flatnonzero(places < len(found))
    known = known[found[places[known]] == at[known]]
    np.add.at(totals, places[known], np.ones(len(known), np.int64) if shared.is_times else points[known])
    return bool((totals > shared.most).any())


def granted_elsewhere(shared: Shared, elsewhere: Elsewhere) -> tuple[Ints, Ints]:
    """Return (places in the history, points) of what others were given that counts too."""
    rules = np.array(elsewhere.rules, np.int64)
    mine = np.flatnonzero(np.isin(rules, shared.rules))
    return np.array(elsewhere.rows, np.int64)[mine], np.array(elsewhere.points, np.int64)[mine]
