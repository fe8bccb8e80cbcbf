"""Tiers in columns: at which tier of the program's ladder each event finds its member."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

import numpy as np
from attrs import define, field, frozen

from userops.core.calendar import from_micros
from userops.errors import IncomparableError, InvalidValue
from userops.program.replay.facts import Coded, Facts, Occasions
from userops.program.replay.history import Ints
from userops.tiers import Ladder
from userops.tiers.history import History, Person
from userops.tiers.walk import Walk

#: What a ladder reads of a record beside what its tiers require.
_READ = ("joined_at", "paused")


@frozen(eq=False)
class Growth:
    """The growth value that members were given, by member, and in each member's order of time."""

    member: Ints
    rank: Ints
    at: Ints
    points: Ints

    @classmethod
    def of(cls, given: Sequence[tuple[Occasions, Ints]]) -> Growth:
        """Gather what value rules gave at the events of their kinds."""
        places = [np.flatnonzero(points) for _, points in given]
        columns = [
            [events.member.take(k), events.rank.take(k), events.at.take(k), points.take(k)]
            for (events, points), k in zip(given, places, strict=True)
        ] or [[np.zeros(0, np.int64)] * 4]
        member, rank, at, points = (np.concatenate(some) for some in zip(*columns, strict=True))
        order = np.lexsort((rank, member))
        return cls(*(column.take(order) for column in (member, rank, at, points)))

    def of_member(self, member: int) -> slice:
        """Return where a member's value stands."""
        low, high = np.searchsorted(self.member, [member, member + 1]).tolist()
        return slice(low, high)


class Untold(Exception):
    """Members whose tier cannot be told at some event: a field of theirs is not what the ladder reads."""

    def __init__(self, members: Collection[int]) -> None:
        super().__init__("the ladder cannot read some members' fields")
        self.members = sorted(members)


@define(eq=False)
class Climbing:
    """The ladder over a history: members with value are walked once each, and their events looked up.

    An event in the same instant as value before it, or of a member who was granted a tier, is asked of the
    ladder by itself.
    """

    ladder: Ladder
    facts: Facts
    growth: Growth
    #: The kinds of events whose own value counts for their other rules.
    at_once: frozenset[str]
    _found: dict[str, Coded] = field(factory=dict)

    def tiers(self, events: Occasions) -> Coded:
        """Return (a code for each event, the tiers that codes stand for); None is below all of them."""
        if events.kind not in self._found:
            self._found[events.kind] = self._tiers(events)
        return self._found[events.kind]

    def _tiers(self, events: Occasions) -> Coded:
        names: list[str | None] = [None, *(tier.name for tier in self.ladder.tiers)]
        case, people, bases = self._people(events)
        found = np.array([1 + base for base in bases], np.int64).take(case)
        self._look_up(events, case, people, found)
        untold: set[int] = set()
        for place in self._apart(events).tolist():
            try:
                found[place] = names.index(self._asked(events, place))
            except (InvalidValue, IncomparableError):
                untold.add(int(events.member[place]))
        if untold:
            raise Untold(untold)
        return found, names

    def _people(self, events: Occasions) -> tuple[Ints, list[Person], list[int]]:
        """Return (the case of each event, the person of each case, their tiers without value)."""
        required = [tier.requires for tier in self.ladder.tiers if tier.requires is not None]
        names = dict.fromkeys([*_READ, *(name for one in required for name in one.fields())])
        case, columns = np.zeros(len(events), np.int64), []
        for name in names:
            codes, values = events.told(name)
            columns.append((name, codes, values))
            case = np.unique(case * len(values) + codes, return_inverse=True)[1].reshape(-1)
        _, first, case = np.unique(case, return_index=True, return_inverse=True)
        people, bases, untold = list[Person](), list[int](), list[int]()
        for which, row in enumerate(first.tolist()):
            try:
                person = Person.of({name: values[int(codes[row])] for name, codes, values in columns})
                bases.append(_base(self.ladder, person))
            except (InvalidValue, IncomparableError):
                untold.append(which)
            else:
                people.append(person)
        case = case.reshape(-1)
        if untold:
            raise Untold(set(events.member.compress(np.isin(case, untold)).tolist()))
        return case, people, bases

    def _look_up(self, events: Occasions, case: Ints, people: Sequence[Person], found: Ints) -> None:
        """Find the events of members with value among the steps of their ways."""
        growth = self.growth
        has_value = np.isin(events.member, growth.member)
        rows = np.flatnonzero(has_value)
        if not len(rows):
            return
        unit = events.member.take(rows) * len(people) + case.take(rows)
        units, place = np.unique(unit, return_inverse=True)
        place = place.reshape(-1)
        last = np.full(len(units), -(2**62))
        np.maximum.at(last, place, events.at.take(rows))
        steps: list[tuple[int, int, int]] = []
        member, kind = np.divmod(units, len(people))
        low, high = np.searchsorted(growth.member, [member, member + 1])
        columns = (kind, low, high, last)
        for number, (k, start, end, until) in enumerate(zip(*(c.tolist() for c in columns), strict=True)):
            value = zip(growth.at[start:end].tolist(), growth.points[start:end].tolist(), strict=True)
            steps += [(number, at, to) for at, to in _way(self.ladder, people[k], value, until)]
        if not steps:
            return
        numbers, ats, to = np.array(steps, np.int64).T
        instants, when = np.unique(ats, return_inverse=True)
        keys = numbers * (len(instants) + 1) + when.reshape(-1)
        asked = np.searchsorted(instants, events.at.take(rows))
        # What happens at the very instant of an event is still to come.
        before = np.searchsorted(keys, place * (len(instants) + 1) + asked) - 1
        is_step = (before >= 0) & (numbers[before] == place)
        found[rows.compress(is_step)] = 1 + to[before.compress(is_step)]

    def _apart(self, events: Occasions) -> Ints:
        """Return the events that are asked of the ladder by themselves."""
        facts, growth = self.facts, self.growth
        granted = facts.known("grants")
        apart = np.zeros(len(events), np.bool_)
        if granted is not None:
            apart |= np.array([bool(grants) for grants in granted], np.bool_)[events.member]
        if len(growth.rank):
            size = len(facts.history) + 1
            key, asking = growth.member * size + growth.rank, events.member * size + events.rank
            place = np.searchsorted(key, asking + (events.kind in self.at_once)) - 1
            before = np.maximum(place, 0)
            same = (growth.member[before] == events.member) & (growth.at[before] == events.at)
            apart |= (place >= 0) & same
        return np.flatnonzero(apart)

    def _asked(self, events: Occasions, place: int) -> str | None:
        """Return the tier at one event, by all that is known of it."""
        growth, member = self.growth, int(events.member[place])
        mine = growth.of_member(member)
        until = int(events.rank[place]) + (events.kind in self.at_once)
        end = mine.start + int(np.searchsorted(growth.rank[mine], until))
        history = [
            (from_micros(at), points)
            for at, points in zip(
                growth.at[mine.start : end].tolist(), growth.points[mine.start : end].tolist(), strict=True
            )
        ]
        record = dict(self.facts.record(member))
        grants = record.get("grants", ())
        record |= self.facts.history.event(int(events.rows[place])).data
        at: datetime = from_micros(int(events.at[place]))
        return self.ladder.standing_before(history, at, record=record, grants=grants).tier


def _base(ladder: Ladder, person: Person) -> int:
    """Return the tier of a person without value, -1 for none."""
    return Walk(ladder, person, None).state.tier


def _way(
    ladder: Ladder, person: Person, value: Iterable[tuple[int, int]], until: int
) -> list[tuple[int, int]]:
    """Return (instant, tier from then on) of each change up to an instant, for value in order of time."""
    sums: dict[int, int] = {}
    for at, points in value:
        if at <= until:
            sums[at] = sums.get(at, 0) + points
    events = tuple((at, ladder.metric, points) for at, points in sums.items())
    if not events:
        return []
    walk = Walk(ladder, person, events[0][0]).along(History(events, events[0][0]), until)
    return [(step.at, step.to) for step in walk.steps if step.was != step.to]
