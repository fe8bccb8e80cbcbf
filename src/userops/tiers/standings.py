"""Standings of many members at once, on columns: equal to `standing`, member by member."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from attrs import define, frozen
from numpy.typing import NDArray

from userops.core import columns as core_columns
from userops.core.calendar import MICROS_PER_DAY, micros
from userops.core.localtime import LocalTime
from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.tiers.counting import Counting, leaves_column
from userops.tiers.courses import Courses, courses_of
from userops.tiers.history import Grant, History, Person, read_grants
from userops.tiers.overlay import tier_grants
from userops.tiers.rounds import Rounds
from userops.tiers.rows import Ints, Rows, magnitude, read_rows
from userops.tiers.rules import Rules
from userops.tiers.standing import Standing, next_place, shortfall, standing_of
from userops.tiers.walk import Walk
from userops.tiers.windows import FOREVER, MAX_DAYS, Rolling

#: A member with more reversals than this is walked alone: every reversal is a course of its own.
_MOST_COURSES = 64
_NAT = np.iinfo(np.int64).min


@frozen(repr=False, eq=False)
class Standings(Mapping[str, NDArray[Any]]):
    """The standing of every member, as columns.

    `member, tier, since, review_at, next_tier, missing, to_keep, value`: tiers are names, None where there is
    none; instants are datetime64 in UTC, NaT where there is none.
    """

    columns: Mapping[str, NDArray[Any]]
    tiers: tuple[str, ...]

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def to_columns(self) -> dict[str, NDArray[Any]]:
        """Return the columns as a dictionary."""
        return dict(self.columns)

    def table(self) -> Table:
        """Return how many members are at each tier, the highest first."""
        held = self.columns["tier"]
        names = [*reversed(self.tiers), None]
        counts = [int(np.count_nonzero(held == name)) for name in names]
        shares = [count / max(1, len(held)) for count in counts]
        shown = [name or "no tier" for name in names]
        return Table({"tier": shown, "members": counts, "share": shares}, formats={"share": ".1%"})

    def __str__(self) -> str:
        return str(self.table())

    def __repr__(self) -> str:
        return f"<Standings of {len(self.columns['member']):,} members>"

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


@define
class _Answer:
    """The columns while they are filled; tiers as places, instants as microseconds, FOREVER for none."""

    tier: Ints
    above: Ints
    since: Ints
    review: Ints
    value: Ints
    missing: NDArray[Any]
    to_keep: NDArray[Any]

    @classmethod
    def empty(cls, members: int, rules: Rules) -> _Answer:
        is_plain = all(tier.at_least is not None or tier.invite_only for tier in rules.tiers)
        kind = np.int64 if is_plain else object
        tier, above, since, review, value = (np.zeros(members, dtype=np.int64) for _ in range(5))
        missing, to_keep = np.zeros(members, dtype=kind), np.zeros(members, dtype=kind)
        return cls(tier, above, since, review, value, missing, to_keep)


def standings_of(
    rules: Rules,
    data: Any,
    *,
    as_of: int,
    records: Any = None,
    grants: Mapping[Any, Sequence[Grant]] | None = None,
    known_at: int | None = None,
) -> Standings:
    """Return the standings of all members of the columns, and of the records where they are given."""
    fields = {} if records is None else core_columns.columns(records)
    if records is not None and "member" not in fields:
        raise InvalidValue("records need a column 'member'")
    rows = read_rows(rules, data, as_of=as_of, known_at=known_at, more_members=fields.get("member"))
    fields, known = _by_member(fields, rows)
    # Badges change no column: only who is granted a tier is looked at.
    given = {key: found for key, found in (grants or {}).items() if tier_grants(rules, read_grants(found))}
    people = People.of(rules, rows, fields, known)
    answer = _Answer.empty(len(rows.members), rules)
    if len(rows.members):
        batch = Batch(rules, rows, people, clock_over(rules, rows, people, as_of), as_of)
        alone = walked_alone(batch, given)
        together = np.flatnonzero(~alone)
        if len(together):
            _step_together(batch, together, answer)
        names = rows.members.tolist()
        for member in np.flatnonzero(alone).tolist():
            _walk_alone(batch, member, given.get(names[member], ()), answer)
    return _finished(rules, rows, answer)


# --- who the members are -----------------------------------------------------------------------------------------


def _by_member(
    fields: dict[str, NDArray[Any]], rows: Rows
) -> tuple[dict[str, NDArray[Any]], NDArray[np.bool_]]:
    """Bring records into the order of the members; those without a record have missing fields."""
    size = len(rows.members)
    if not fields:
        return {}, np.zeros(size, dtype=bool)
    names = np.ma.getdata(fields["member"])
    place = np.searchsorted(rows.members, names)
    if len(np.unique(place)) < len(place):
        raise InvalidValue("records have a member twice")
    known = np.zeros(size, dtype=bool)
    known[place] = True
    found = {}
    for name, column in fields.items():
        if name == "member":
            continue
        data: Any = np.ma.array(np.zeros(size, dtype=column.dtype), mask=True)
        data[place] = column
        found[name] = data if np.ma.getmaskarray(data).any() else np.ma.getdata(data)
    return found, known


@frozen
class People:
    """What the rules read of every member beside the value."""

    fields: Mapping[str, NDArray[Any]]
    is_open: NDArray[np.bool_]
    #: From when each member's own years run, FOREVER where there is nothing to run from.
    start: Ints
    joined: Ints
    is_paused: NDArray[np.bool_]

    @classmethod
    def of(
        cls, rules: Rules, rows: Rows, fields: Mapping[str, NDArray[Any]], known: NDArray[np.bool_]
    ) -> People:
        size = len(rows.members)
        is_open = np.ones((size, len(rules.tiers)), dtype=bool)
        for place, tier in enumerate(rules.tiers):
            if tier.requires is not None:
                columns = dict(fields) or {"": np.zeros(size)}
                is_open[:, place] = tier.requires.mask(columns)
        is_open[:, [tier.invite_only for tier in rules.tiers]] = False
        joined = _instants(fields.get("joined_at"), size, known)
        start = np.full(size, FOREVER, dtype=np.int64)
        has_rows = rows.starts[:-1] < rows.starts[1:]
        start[has_rows] = rows.at[rows.starts[:-1][has_rows]]
        start = np.where(joined != FOREVER, joined, start)
        paused = fields.get("paused")
        is_paused = np.zeros(size, dtype=bool)
        if paused is not None:
            is_paused = np.array([bool(one) for one in np.ma.filled(paused.astype(object), None)], dtype=bool)
        return cls(fields, is_open, start, joined, is_paused)

    def person(self, member: int) -> Person:
        """Return one member's record as the plain engine reads it."""
        record: dict[str, Any] = {}
        for name, column in self.fields.items():
            if name in ("joined_at", "paused"):
                continue
            value = column[member]
            record[name] = None if value is np.ma.masked else value
        joined = None if self.joined[member] == FOREVER else int(self.joined[member])
        pauses = Person.of({"paused": self.fields["paused"][member]}).pauses if self.is_paused[member] else ()
        return Person(record, joined, pauses)


def _instants(column: NDArray[Any] | None, size: int, known: NDArray[np.bool_]) -> Ints:
    found = np.full(size, FOREVER, dtype=np.int64)
    if column is None:
        return found
    data = np.ma.getdata(column)
    there = known & ~np.ma.getmaskarray(column)
    if data.dtype.kind == "M":
        there &= ~np.isnat(data)
        found[there] = core_columns.instants(data[there], "joined_at")
    else:
        for member in np.flatnonzero(there).tolist():
            if data[member] is not None:
                found[member] = micros(data[member], "joined_at")
    return found


@frozen
class Batch:
    """Everything that the ways through share."""

    rules: Rules
    rows: Rows
    people: People
    clock: LocalTime
    as_of: int


# --- who goes which way ------------------------------------------------------------------------------------------


def clock_over(rules: Rules, rows: Rows, people: People, as_of: int) -> LocalTime:
    """Return the ladder's clock over every instant that a rule can lead to."""
    window, keep = rules.window, rules.keep
    back = 400
    if isinstance(window, Rolling):
        back += 31 * (window.months or 0) + (window.days or 0)
    ahead = 400 + (0 if rules.grace is None else rules.grace.days) + back
    if keep is not None:
        ahead += 32 * (keep.months or 0) + (keep.days or 0)
    first = min([as_of, *(int(found.min()) for found in (rows.at, people.joined) if len(found))])
    ahead = min(ahead, 2 * MAX_DAYS)
    return LocalTime(rules.tz, first - back * MICROS_PER_DAY, as_of + ahead * MICROS_PER_DAY)


def walked_alone(batch: Batch, grants: Mapping[Any, Sequence[Grant]]) -> NDArray[np.bool_]:
    """Say who is walked alone: those whose counted value depends on their tier, and rare tangles."""
    rules, rows, people, clock = batch.rules, batch.rows, batch.people, batch.clock
    size = len(rows.members)
    is_tangled = rules.decay is not None or isinstance(rules.daily_cap, Mapping)
    if is_tangled or (rules.keep is None and rules.grace is not None):
        return np.ones(size, dtype=bool)
    alone = people.is_paused.copy()
    if grants:
        alone |= np.isin(rows.members, np.array(list(grants), dtype=rows.members.dtype))
    total = sum(magnitude(value) for value in rows.values.values())
    for value in rows.values.values():
        taken = np.bincount(rows.member[value < 0], minlength=size)
        is_many = len(rules.metrics) > 1 or total > 2.0**52
        alone |= taken > (0 if is_many else _MOST_COURSES)
    if rules.keep is None and any(rules.falls) and isinstance(rules.window, Rolling):
        _, clear = leaves_column(rules.window, clock, rows.at, people.start[rows.member])
        alone[rows.member[~clear]] = True
    return alone


def _walk_alone(batch: Batch, member: int, grants: Sequence[Grant], answer: _Answer) -> None:
    rules, rows = batch.rules, batch.rows
    low, high = int(rows.starts[member]), int(rows.starts[member + 1])
    events = tuple(
        (int(rows.at[row]), name, int(rows.values[name][row]))
        for row in range(low, high)
        for name in sorted(rows.values)
        if rows.values[name][row]
    )
    history = History(events, int(rows.at[low]) if high > low else None)
    walk = Walk(rules, batch.people.person(member), history.first)
    base = walk.state.tier
    walk.along(history, batch.as_of)
    _put(rules, answer, member, standing_of(rules, walk, base, grants, batch.as_of))


def _put(rules: Rules, answer: _Answer, member: int, standing: Standing) -> None:
    answer.tier[member] = -1 if standing.tier is None else rules.index(standing.tier)
    answer.above[member] = -1 if standing.next_tier is None else rules.index(standing.next_tier)
    answer.since[member] = FOREVER if standing.since is None else micros(standing.since)
    answer.review[member] = FOREVER if standing.review_at is None else micros(standing.review_at)
    answer.value[member] = standing.value
    answer.missing[member], answer.to_keep[member] = standing.missing, standing.to_keep


# --- the many together ---------------------------------------------------------------------------------------------


def _step_together(batch: Batch, chosen: Ints, answer: _Answer) -> None:
    rules, rows, people, as_of = batch.rules, batch.rows, batch.people, batch.as_of
    courses = courses_of(rows, chosen, rules.metric, as_of)
    counting = Counting(
        rules, courses, batch.clock, people.is_open[courses.member], people.start[courses.member]
    )
    rounds = Rounds(counting)
    rounds.run()
    final = np.flatnonzero(courses.is_final)
    member, tier = courses.member[final], rounds.tier[final].astype(np.int64)
    answer.tier[member] = tier
    answer.since[member] = _since(rounds, courses, people.start, as_of)
    review = np.minimum(rounds.review[final], rounds.grace[final])
    in_grace = rounds.grace[final] != FOREVER
    review = np.where(in_grace, rounds.grace[final], review)
    review = np.where(rounds.is_for_life[final] | (review >= FOREVER - 1), FOREVER, review)
    answer.review[member] = review
    nexts = [next_place(rules, place) for place in range(-1, len(rules.tiers))]
    above = np.array([-1 if place is None else place for place in nexts], dtype=np.int64)[tier + 1]
    answer.above[member] = above
    totals = counting.counted(np.full(len(final), as_of, dtype=np.int64), final)
    answer.value[member] = totals[rules.metric]
    answer.missing[member] = _shortfalls(rules, above, totals, answer.missing.dtype)
    judged = np.flatnonzero(review != FOREVER)
    if len(judged):
        later = counting.counted(review[judged], final[judged], at_review=rules.keep is not None)
        answer.to_keep[member[judged]] = _shortfalls(rules, tier[judged], later, answer.to_keep.dtype)


def _shortfalls(rules: Rules, places: Ints, totals: Mapping[str, Ints], kind: Any) -> NDArray[Any]:
    """Return what is missing to the tier of each row; 0 where there is none."""
    found = np.zeros(len(places), dtype=kind)
    for place, tier in enumerate(rules.tiers):
        chosen = np.flatnonzero(places == place)
        if tier.at_least is not None:
            found[chosen] = np.maximum(0, tier.at_least - totals[rules.metric][chosen])
        else:
            for row in chosen.tolist():
                own = {name: int(column[row]) for name, column in totals.items()}
                found[row] = shortfall(tier, own, rules.metric)
    return found


def _since(rounds: Rounds, courses: Courses, start: Ints, as_of: int) -> Ints:
    """Return since when each member is at its tier: its last move, or the reversal that led to a new course."""
    size = len(courses.member)
    is_first = np.ones(size, dtype=bool)
    is_first[1:] = courses.member[1:] != courses.member[:-1]
    firsts = np.flatnonzero(is_first)
    number = np.arange(size) - np.repeat(firsts, np.diff(firsts, append=size))
    base = np.where(rounds.base >= 0, start[courses.member], FOREVER)
    since = np.where(rounds.moved > -FOREVER, rounds.moved, np.where(base <= as_of, base, FOREVER))
    for place in range(1, int(number.max()) + 1 if size else 0):
        course = np.flatnonzero(number == place)
        begun = courses.until[course - 1] + 1
        came_by_reversal = rounds.tier[course] != rounds.tier[course - 1]
        earlier = np.where(came_by_reversal, begun, since[course - 1])
        since[course] = np.where(rounds.moved[course] >= begun, rounds.moved[course], earlier)
    found: Ints = since[courses.is_final]
    return found


def _finished(rules: Rules, rows: Rows, answer: _Answer) -> Standings:
    names = np.array([*rules.names, None], dtype=object)
    instants = {
        name: np.where(found == FOREVER, _NAT, found).view("datetime64[us]")
        for name, found in (("since", answer.since), ("review_at", answer.review))
    }
    return Standings(
        {
            "member": rows.members,
            "tier": names[answer.tier],
            **instants,
            "next_tier": names[answer.above],
            "missing": answer.missing,
            "to_keep": answer.to_keep,
            "value": answer.value,
        },
        rules.names,
    )
