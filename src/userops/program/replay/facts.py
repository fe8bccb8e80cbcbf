"""Facts in columns: a history's events by kind, with what rules read of them, each distinct value kept once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import numpy as np
from attrs import define, field

from userops.core.calendar import MICROS_PER_DAY, from_micros, local_day, micros, shift
from userops.core.expiry import Expiry
from userops.core.localtime import LocalTime
from userops.errors import InvalidValue
from userops.program.replay.counters import Counted
from userops.program.replay.history import History, Ints, codes_of
from userops.program.rulebook import Rulebook
from userops.program.rules import Counter

#: Within these instants no shift by a rule or a counter leaves the years that there are.
_EARLY, _LATE = -53_000_000_000_000_000, 244_000_000_000_000_000
_EPOCH = date(1970, 1, 1).toordinal()
#: 1970 began on a Thursday, three days after its week.
_INTO_WEEK = 3
_NO_START = -(2**62)
Members = Mapping[str, Mapping[str, Any]]
#: The codes of a field's values at some events, and what they stand for.
Coded = tuple[Ints, list[Any]]


@define(eq=False)
class Occasions:
    """The events of one kind, in the order in which they take effect."""

    facts: Facts
    kind: str
    #: Place in the history of each.
    rows: Ints
    #: Place among all events in the order in which they take effect.
    rank: Ints
    member: Ints = field(init=False)
    at: Ints = field(init=False)
    #: Local days since 1970.
    day: Ints = field(init=False)
    _fields: dict[str, Coded] = field(factory=dict)
    _told: dict[str, Coded] = field(factory=dict)
    _periods: dict[str, Ints] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        """Take what every rule needs."""
        history = self.facts.history
        self.member = history.codes("member")[0].take(self.rows)
        self.at = history.at.take(self.rows)
        self.day = self.facts.days.take(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def field(self, name: str) -> Coded:
        """Return a field: the event's own, else what is known of the member; a counter goes before both."""
        if name not in self._fields:
            counted = self.facts.counted(name, self)
            found = self.told(name) if counted is None else counted
            if name == "amount" and counted is None:
                found = codes_of(self._amounts(found))
            if name == "tier" and self.facts.tiers_of is not None:
                found = codes_of(_either(self.facts.tiers_of(self), found))
            self._fields[name] = found
        return self._fields[name]

    def own_tier(self) -> Coded | None:
        """Return the tier by the program's own ladder; None where it has none."""
        return None if self.facts.tiers_of is None else self.facts.tiers_of(self)

    def told(self, name: str) -> Coded:
        """Return a field of the event's data, else what is known of the member."""
        if name not in self._told:
            self._told[name] = codes_of(self._values(name))
        return self._told[name]

    def _amounts(self, told: Coded) -> list[Any]:
        """Return the events' amounts; where there is none, a field of that name."""
        amounts, (codes, values) = self.facts.history.amount, told
        return [
            values[code] if amounts[row] is None else amounts[row]
            for row, code in zip(self.rows.tolist(), codes.tolist(), strict=True)
        ]

    def _values(self, name: str) -> list[Any]:
        facts, rows = self.facts, self.rows.tolist()
        values, has = facts.history.values(name, rows)
        known = facts.known(name)
        if known is not None:
            values = [
                known[member] if value is None and not has[k] else value
                for k, (member, value) in enumerate(zip(self.member.tolist(), values, strict=True))
            ]
        return values

    def periods(self, per: str) -> Ints:
        """Return the period of each event as a number; those of later days are never lower."""
        if per not in self._periods:
            if per == "reference":
                found = self.facts.references(self.rows)
            elif per == "lifetime":
                found = np.zeros(len(self), np.int64)
            else:
                found = periods_of(self.day, per)
            self._periods[per] = found
        return self._periods[per]


def _either(first: Coded, second: Coded) -> list[Any]:
    """Return the values of a field, or of another where it has none."""
    (codes, values), (others, more) = first, second
    return [
        more[other] if values[code] is None else values[code]
        for code, other in zip(codes.tolist(), others.tolist(), strict=True)
    ]


def periods_of(day: Ints, per: str) -> Ints:
    """Return the local period of each local day as a number.

    >>> periods_of(np.array([3, 4, 31]), "week").tolist(), periods_of(np.array([30, 31]), "month").tolist()
    ([0, 1, 4], [0, 1])
    """
    if per == "day":
        return day
    if per == "week":
        return (day + _INTO_WEEK) // 7
    unit = {"month": "M", "year": "Y"}[per]
    return day.astype("datetime64[D]").astype(f"datetime64[{unit}]").astype(np.int64)


@define(eq=False)
class Facts:
    """A history under a program: local days, references and counters, worked out when they are asked for."""

    program: Rulebook
    history: History
    #: The events in the order in which they take effect.
    places: Ints
    members: Members
    #: Local days since 1970, by place in the history.
    days: Ints = field(kw_only=True)
    #: Of each expiry and local day, when what is earned then is gone.
    ends: dict[Expiry, dict[int, int]] = field(factory=dict)
    #: The tiers at the events of a kind by the program's own ladder, once the value that decides them is known.
    tiers_of: Callable[[Occasions], Coded] | None = None
    _kinds: dict[str, Occasions] = field(factory=dict)
    _known: dict[str, list[Any] | None] = field(factory=dict)
    _records: list[Mapping[str, Any]] | None = None
    #: The codes of references, and of the ids of events that are their own.
    _named: dict[str, int] = field(factory=dict)

    @days.default
    def _local_days(self) -> Ints:
        """Work out the local days."""
        at, tz = self.history.at, self.program.tz
        if not len(at):
            return at
        low, high = int(at.min()), int(at.max())
        if low > _EARLY and high < _LATE:
            return LocalTime(tz, low, high).day(at)
        distinct, place = np.unique(at, return_inverse=True)
        days = [local_day(from_micros(instant), tz).toordinal() - _EPOCH for instant in distinct.tolist()]
        return np.array(days, np.int64).take(place.reshape(-1))

    def among(self, places: Ints) -> Facts:
        """Return the same facts, of fewer events."""
        if len(places) == len(self.places):
            return self
        return Facts(self.program, self.history, places, self.members, days=self.days, ends=self.ends)

    def of_kind(self, kind: str) -> Occasions:
        """Return the events of a kind."""
        if kind not in self._kinds:
            codes, kinds = self.history.codes("kind")
            wanted = np.array([one == kind for one in kinds], np.bool_)
            rank = np.flatnonzero(wanted[codes.take(self.places)]) if kinds else self.places[:0]
            self._kinds[kind] = Occasions(self, kind, self.places.take(rank), rank)
        return self._kinds[kind]

    def known(self, name: str) -> list[Any] | None:
        """Return a field of what is known of each member, by code; None where nobody has one."""
        if name not in self._known:
            values = [self.record(code).get(name) for code in range(len(self.history.codes("member")[1]))]
            self._known[name] = values if any(value is not None for value in values) else None
        return self._known[name]

    def record(self, member: int) -> Mapping[str, Any]:
        """Return what is known of a member, by code."""
        if self._records is None:
            names = self.history.codes("member")[1]
            self._records = [self.members.get(name, {}) for name in names]
            for record in self._records:
                if not isinstance(record, Mapping):
                    raise InvalidValue(
                        f"the record of a member is a mapping of fields, not {type(record).__name__}"
                    )
        return self._records[member]

    def references(self, rows: Ints) -> Ints:
        """Return what events are about, as codes; an event without a reference is its own."""
        codes, names = self.history.codes("reference")
        if not self._named:
            self._named.update((name, code) for code, name in enumerate(names))
        found = codes.take(rows)
        if "" in self._named:
            ids, known = self.history.id, self._named
            own = np.flatnonzero(found == known[""])
            found[own] = [known.setdefault(ids[row], len(known)) for row in rows.take(own).tolist()]
        return found

    def counted(self, name: str, asking: Occasions) -> Coded | None:
        """Return a counter's value before each of some events; None where no counter has the name."""
        counter = next((one for one in self.program.counters if one.name == name), None)
        if counter is None:
            return None
        start = None
        if counter.months or counter.days:
            # A window that reaches before the first year there is has no start.
            start = self.shifted(asking.at, months=-counter.months, days=-counter.days, absent=_NO_START)
        return self._counted(counter).before(asking.member, asking.rank, start)

    def _counted(self, counter: Counter) -> Counted:
        found = self.of_kind(counter.on)
        amounts = [self.history.amount[row] for row in found.rows.tolist()] if counter.is_sum else None
        return Counted.of(found.member, found.rank, found.at, amounts)

    def shifted(self, at: Ints, *, months: int = 0, days: int = 0, absent: int) -> Ints:
        """Return the same local clock times later, or earlier; `absent` where the calendar does not reach."""
        span = (abs(months) * 31 + abs(days) + 2) * MICROS_PER_DAY
        if not len(at):
            return at
        low, high = int(at.min()) - span, int(at.max()) + span
        if low > _EARLY and high < _LATE:
            return LocalTime(self.program.tz, low, high).shift(at, months=months, days=days)
        distinct, place = np.unique(at, return_inverse=True)
        found = np.full(len(distinct), absent, np.int64)
        for which, instant in enumerate(distinct.tolist()):
            try:
                found[which] = micros(shift(from_micros(instant), self.program.tz, months=months, days=days))
            except InvalidValue:
                continue
        return found.take(place.reshape(-1))
