"""Ties: who becomes a strong tie by meeting, and how many people a circle reaches."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from userops.core.amounts import whole
from userops.core.calendar import MICROS_PER_DAY, from_micros, micros
from userops.core.columns import codes, instants
from userops.core.columns import columns as taken_columns
from userops.core.quantities import checked_number, hashable, is_table, listed, mapped, tuples
from userops.core.tables import Table
from userops.errors import InvalidValue

#: A tie worth so many meetings of today is strong.
STRONG: Final = 2.0


@frozen
class Tie:
    """Two members who meet at activities, how strong that is, and how much it grew in one half-life."""

    one: Any
    other: Any
    strength: float
    growth: float
    meetings: int

    @property
    def became_strong(self) -> bool:
        """Whether the tie is worth at least two meetings now and was not a half-life ago (weak → strong)."""
        return self.strength >= STRONG > self.strength - self.growth


@frozen(eq=False)
class Ties:
    """Ties between members, the strongest first."""

    ties: tuple[Tie, ...]
    set_aside: tuple[Any, ...]
    as_of: datetime

    def __iter__(self) -> Any:
        return iter(self.ties)

    def __len__(self) -> int:
        return len(self.ties)

    def __getitem__(self, pair: tuple[Any, Any]) -> Tie:
        one, other = pair
        for tie in self.ties:
            if {tie.one, tie.other} == {one, other}:
                return tie
        raise KeyError(pair)

    def table(self) -> Table:
        """Return one row per tie."""
        notes = (f"{len(self.set_aside)} large activities set aside",) if self.set_aside else ()
        return Table(
            {
                "member": [tie.one for tie in self.ties],
                "and": [tie.other for tie in self.ties],
                "strength": [tie.strength for tie in self.ties],
                "growth": [tie.growth for tie in self.ties],
                "meetings": [tie.meetings for tie in self.ties],
            },
            formats={"strength": ".2f", "growth": "+.2f"},
            notes=notes,
        )

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def tie_strength(
    attendance: Any, half_life_days: float, *, as_of: datetime | None = None, largest: int = 200
) -> Ties:
    """Return the ties between members who attended the same activities.

    `attendance` is (member, activity, at) or columns of these names. A meeting counts ½^(days since ÷
    half-life) at `as_of` (by default the last attendance); strength is their sum, growth is strength less what
    it was one half-life earlier. A meeting is dated by the later arrival of the two. Activities of more than
    `largest` people tie nobody: they are set aside and listed.

    >>> from datetime import UTC
    >>> jan = lambda day: datetime(2027, 1, day, tzinfo=UTC)
    >>> met = [("ann", "hike", jan(1)), ("bo", "hike", jan(1)), ("ann", "race", jan(11)), ("bo", "race", jan(11))]
    >>> tie = tie_strength(met, 10)["bo", "ann"]
    >>> tie.strength, tie.growth
    (1.5, 0.5)
    """
    half_life = checked_number(half_life_days, "half_life_days", 0, 1e6)
    if not half_life:
        raise InvalidValue("half_life_days must be above 0")
    most = whole(largest, "largest", at_least=2, at_most=5_000)
    members, activity, at = _attendance(attendance)
    now = int(at.max()) if as_of is None else micros(as_of, "as_of")
    came: dict[Any, dict[Any, int]] = {}
    for who, where, when in zip(members, activity, at.tolist(), strict=True):
        if when <= now:
            there = came.setdefault(where, {})
            there[who] = min(when, there.get(who, when))
    set_aside = tuple(sorted(where for where, there in came.items() if len(there) > most))
    met: dict[tuple[Any, Any], list[int]] = {}
    for there in came.values():
        if len(there) <= most:
            for one, other in itertools.combinations(sorted(there), 2):
                met.setdefault((one, other), []).append(max(there[one], there[other]))
    earlier = now - round(half_life * MICROS_PER_DAY)
    ties = []
    for (one, other), times in met.items():
        strength = _strength(times, now, half_life)
        growth = strength - _strength([when for when in times if when <= earlier], earlier, half_life)
        ties.append(Tie(one, other, strength, growth, len(times)))
    ties.sort(key=lambda tie: (-tie.strength, tie.one, tie.other))
    return Ties(tuple(ties), set_aside, from_micros(now))


def _attendance(attendance: Any) -> tuple[list[Any], list[Any], NDArray[np.int64]]:
    names = ("member", "activity", "at")
    if is_table(attendance):
        taken = taken_columns(attendance, names=names)
    else:
        rows = tuples(attendance, names, "attendance")
        taken = taken_columns({name: [row[k] for row in rows] for k, name in enumerate(names)})
    if not len(taken["at"]):
        raise InvalidValue("nobody attended anything: there are no ties")
    for name in ("member", "activity"):
        # Ids that have an order among them.
        codes(taken[name], name)
        for value in taken[name].tolist():
            hashable(value, name)
    return taken["member"].tolist(), taken["activity"].tolist(), instants(taken["at"])


def _strength(times: list[int], now: int, half_life: float) -> float:
    return math.fsum(0.5 ** ((now - when) / MICROS_PER_DAY / half_life) for when in sorted(times))


class Reach(int):
    """How many distinct people, beside how many names the lists hold."""

    followers: int


def circle_reach(members: Any, contacts: Mapping[Any, Iterable[Any]]) -> Any:
    """Return how many distinct people the members of a circle reach; for {circle: members}, of every circle.

    `contacts` maps a member to the people they reach. Who is reached by two members counts once, and nobody
    reaches themselves: `.followers` keeps the sum of the lists for comparison.

    >>> reach = circle_reach(["ann", "bo"], {"ann": ["x", "y"], "bo": ["y", "z", "bo"]})
    >>> reach, reach.followers
    (3, 4)
    """
    if isinstance(members, Mapping):
        return {circle: circle_reach(listed, contacts) for circle, listed in members.items()}
    reached: set[Any] = set()
    followers = 0
    known = mapped(contacts, "contacts")
    for member in dict.fromkeys(hashable(member, "a member") for member in listed(members, "members")):
        theirs = listed(known.get(member, ()), "the contacts of a member")
        mine = {hashable(contact, "a contact") for contact in theirs} - {member}
        followers += len(mine)
        reached |= mine
    made = Reach(len(reached))
    made.followers = followers
    return made
