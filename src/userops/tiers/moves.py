"""Moves: every change of tier of many members at once, to be asked for the tier at any instant.

`standings` says where members are at one instant. Whoever gives points needs the tier at every event of every
member: the same walk, with what it passes through kept.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from userops.errors import InvalidValue
from userops.tiers.counting import Counting, Places
from userops.tiers.courses import courses_of
from userops.tiers.history import History
from userops.tiers.rounds import Rounds
from userops.tiers.rows import Ints, Rows, read_rows, within
from userops.tiers.rules import Rules
from userops.tiers.standings import Batch, People, clock_over, walked_alone
from userops.tiers.walk import Walk
from userops.tiers.words import Why


class Side(enum.IntEnum):
    """Which side of an instant is meant: at one instant a member's value comes first, then what falls due."""

    BEFORE = -1
    #: With the value of that very instant, and before the reviews that fall due then.
    WITH_VALUE = 0
    AFTER = 1


@frozen(eq=False)
class Moves:
    """The changes of tier of members 0, 1, …, in order; tiers are places, -1 for none."""

    base: Places
    starts: Ints
    #: Instants doubled, one more for what fell due then: sorted within a member.
    key: Ints
    tier: Places

    def at(self, member: Ints, at: Ints, *, side: Side = Side.AFTER) -> Places:
        """Return the tier of each member at each instant, in microseconds."""
        low = self.starts[member]
        place = within(self.key, 2 * at + int(side), low, self.starts[member + 1])
        found = self.base[member]
        moved = place > low
        found[moved] = self.tier[place[moved] - 1]
        return found


def moves_of(rules: Rules, data: Any, *, until: int, records: Mapping[str, NDArray[Any]]) -> Moves:
    """Return the moves up to an instant of the members of `records`, who are numbered 0, 1, …

    `data` are columns `member`, `at` and `value` of theirs, without reversals; `records` holds `member` in order
    and what `requires` and `joined_at` read.
    """
    size = len(records["member"])
    rows = read_rows(rules, data, as_of=until, known_at=None, more_members=records["member"])
    if rows.members.tolist() != list(range(size)):
        raise InvalidValue("members of moves are numbered 0, 1, …, each with a record")
    if any(bool((value < 0).any()) for value in rows.values.values()):
        raise InvalidValue("moves of members with reversals are not kept; walk them one by one")
    fields = {name: column for name, column in records.items() if name != "member"}
    people = People.of(rules, rows, fields, np.ones(size, dtype=bool))
    log: list[tuple[Ints, Ints, Places, bool]] = []
    base = np.full(size, -1, dtype=np.int8)
    if size:
        batch = Batch(rules, rows, people, clock_over(rules, rows, people, until), until)
        alone = walked_alone(batch, {})
        together = np.flatnonzero(~alone)
        if len(together):
            courses = courses_of(rows, together, rules.metric, until)
            own = (people.is_open[courses.member], people.start[courses.member])
            rounds = Rounds(Counting(rules, courses, batch.clock, *own))
            rounds.moves = []
            rounds.run()
            base[together] = rounds.base
            log += [(together[who], at, tier, is_rise) for who, at, tier, is_rise in rounds.moves]
        for member in np.flatnonzero(alone).tolist():
            base[member] = _walk(batch, rows, member, log)
    return _sorted(base, log)


def _walk(batch: Batch, rows: Rows, member: int, log: list[tuple[Ints, Ints, Places, bool]]) -> int:
    """Walk one member alone, note its moves, and return the tier it begins at."""
    low, high = int(rows.starts[member]), int(rows.starts[member + 1])
    events = tuple(
        (int(rows.at[row]), name, int(rows.values[name][row]))
        for row in range(low, high)
        for name in sorted(rows.values)
        if rows.values[name][row]
    )
    history = History(events, int(rows.at[low]) if high > low else None)
    walk = Walk(batch.rules, batch.people.person(member), history.first)
    base = walk.state.tier
    walk.along(history, batch.as_of)
    for step in walk.steps:
        if step.was != step.to:
            who, at, tier = (np.array([x]) for x in (member, step.at, step.to))
            log.append((who, at, tier.astype(np.int8), step.why is Why.REACHED))
    return base


def _sorted(base: Places, log: list[tuple[Ints, Ints, Places, bool]]) -> Moves:
    """Lay the moves member by member, in order of time; of equal instants as they were made."""
    none = np.zeros(0, dtype=np.int64)
    who = np.concatenate([none, *(one for one, *_ in log)])
    key = np.concatenate([none, *(2 * at + (not is_rise) for _, at, _, is_rise in log)])
    tier = np.concatenate([none.astype(np.int8), *(one for _, _, one, _ in log)])
    order = np.lexsort((key, who))
    starts = np.searchsorted(who[order], np.arange(len(base) + 1))
    return Moves(base, starts, key[order], tier[order])
