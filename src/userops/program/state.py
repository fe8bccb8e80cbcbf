"""What the rules need to know of a member's past, read from entries alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from fractions import Fraction
from typing import Any

from attrs import Factory, define, evolve, field, frozen

from userops.core.calendar import local_day, shift
from userops.core.caps import Cap
from userops.core.ids import split_id
from userops.program.rules import CANCELLED, Counter, Limit

#: (whose grants count, the period's kind, the period or reference): what a cap counts together.
Bucket = tuple[str, str, str]


@frozen
class Given:
    """What one rule gave, or spent, for one event, and what is left of it after takings-back."""

    entry: str
    rule: str
    kind: str
    currency: str
    points: int
    #: What still counts against caps: points less what was recovered or booked as debt.
    left: int
    at: datetime
    reference: str
    is_spend: bool = False


@frozen
class Noted:
    """A recorded event: counters and partial returns read it."""

    kind: str
    at: datetime
    amount: int | Decimal | None
    reference: str


@frozen
class State:
    """A member's past as the rules see it; a member without history has the empty one."""

    given: tuple[Given, ...] = ()
    noted: tuple[Noted, ...] = ()
    #: (at, value) of the tiers' currency: earned, and negative where an earn was undone.
    value: tuple[tuple[datetime, int], ...] = ()
    #: What is known about the person beside the events: `kind`, `joined_at`, …
    record: Mapping[str, Any] = field(factory=dict, hash=False)
    #: Counts of the whole program, for caps of that scope.
    program: Mapping[Bucket, tuple[int, int]] = field(factory=dict, hash=False)

    def with_record(self, record: Mapping[str, Any] | None) -> State:
        """Return this state of a member about whom more is known."""
        return self if record is None else evolve(self, record=dict(record))


@define
class Tally:
    """How often, and with how many points, rules have paid: from a state, and what a decision adds."""

    state: State
    tz: tzinfo
    #: Of each rule, the names under which caps count it (its own, and shared caps).
    names: Mapping[str, tuple[str, ...]]
    added: dict[Bucket, tuple[int, int]] = Factory(dict)

    def used(self, limit: Limit, at: datetime, reference: str) -> tuple[int, int]:
        """Return (times, points) that count against a limit in the period of `at`."""
        bucket = bucket_of(limit.name, limit.cap, at, reference, self.tz)
        more = self.added.get(bucket, (0, 0))
        if limit.cap.scope == "program":
            past = self.state.program.get(bucket, (0, 0))
        else:
            past = self._of_member(limit, bucket)
        return past[0] + more[0], past[1] + more[1]

    def _of_member(self, limit: Limit, bucket: Bucket) -> tuple[int, int]:
        times = points = 0
        for one in self.state.given:
            if (
                one.left > 0
                and not one.is_spend
                and limit.name in self.names.get(one.rule, ())
                and bucket_of(limit.name, limit.cap, one.at, one.reference, self.tz) == bucket
            ):
                times += 1
                points += one.left
        return times, points

    def add(self, limits: Iterable[Limit], at: datetime, reference: str, points: int) -> None:
        """Count a grant of this decision under its limits: once in each bucket, however many limits read it."""
        for bucket in {bucket_of(limit.name, limit.cap, at, reference, self.tz) for limit in limits}:
            times, so_far = self.added.get(bucket, (0, 0))
            self.added[bucket] = (times + 1, so_far + points)


def bucket_of(name: str, cap: Cap, at: datetime, reference: str, tz: tzinfo) -> Bucket:
    """Return what is counted together with a grant of `at` under a cap."""
    return (name, cap.per, cap.period(at, reference, tz))


def streak_length(state: State, rule: str, day: date, tz: tzinfo) -> int:
    """Return which day in a row `day` is, for a rule that paid on the days before it."""
    paid = {local_day(one.at, tz) for one in state.given if one.rule == rule and one.left > 0}
    length, before = 1, day
    while (before := before - timedelta(days=1)) in paid:
        length += 1
    return length


def last_paid(state: State, rule: str) -> datetime | None:
    """Return when a rule last paid, by the time of the event."""
    return max((one.at for one in state.given if one.rule == rule), default=None)


def counted(state: State, counter: Counter, at: datetime, tz: tzinfo) -> int | Fraction:
    """Return a counter's value before `at`: recorded events in `(at - window, at]`, or their amounts."""
    start = (
        shift(at, tz, months=-counter.months, days=-counter.days) if counter.months or counter.days else None
    )
    found = [
        n for n in state.noted if n.kind == counter.on and n.at <= at and (start is None or start < n.at)
    ]
    if counter.is_sum:
        total = sum((Fraction(n.amount) for n in found if n.amount is not None), Fraction(0))
        return int(total) if total.denominator == 1 else total
    return len(found)


def read_state(entries: Iterable[Any], prefix: str, value_currency: str | None) -> State:
    """Fold a member's entries, in order of recording, into what the program with this id prefix gave."""
    given: dict[str, Given] = {}
    noted: list[Noted] = []
    value: list[tuple[datetime, int]] = []
    for entry in entries:
        if entry.kind == "reverse":
            _take_back(entry, given, value, value_currency)
        elif not entry.id.startswith(prefix):
            if entry.kind == "earn" and entry.currency == value_currency:
                value.append((entry.at, entry.command.points))
        elif entry.kind in ("earn", "spend"):
            command = entry.command
            given[entry.id] = Given(
                entry=entry.id,
                rule=split_id(entry.id)[2],
                kind=command.reason,
                currency=command.currency,
                points=command.points,
                left=command.points,
                at=command.at,
                reference=command.reference,
                is_spend=entry.kind == "spend",
            )
            if entry.kind == "earn" and command.currency == value_currency:
                value.append((command.at, command.points))
        elif entry.kind == "note":
            command = entry.command
            noted.append(Noted(command.kind, command.at, command.amount, command.reference))
    return State(tuple(given.values()), tuple(noted), tuple(value))


def _take_back(
    entry: Any, given: dict[str, Given], value: list[tuple[datetime, int]], value_currency: str | None
) -> None:
    one = given.get(entry.command.entry)
    taken = entry.recovered + entry.indebted
    if one is not None:
        back = sum(points for _, points in entry.allocations) if one.is_spend else taken
        given[one.entry] = evolve(one, left=one.left - back)
    if entry.currency == value_currency and taken:
        value.append((entry.at, -taken))


def returns_of(noted: Sequence[Noted], kind: str, reference: str) -> tuple[Fraction | None, Fraction]:
    """Return (the amount then, the amount returned so far) of a reference; None without an amount."""
    amounts = [
        n.amount for n in noted if n.kind == kind and n.reference == reference and n.amount is not None
    ]
    back = [n for n in noted if n.kind == kind + CANCELLED and n.reference == reference]
    then = sum((Fraction(a) for a in amounts), Fraction(0)) if amounts else None
    if any(n.amount is None for n in back):
        return then, then if then is not None else Fraction(1)
    return then, sum((Fraction(n.amount or 0) for n in back), Fraction(0))
