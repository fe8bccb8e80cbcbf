"""What the rules need to know of a member's past, read from entries alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from fractions import Fraction
from typing import Any, Protocol

from attrs import Factory, define, evolve, field, frozen

from userops.core.calendar import local_day, shift
from userops.core.caps import Cap
from userops.core.ids import split_id
from userops.errors import InvalidValue
from userops.program.rules import CANCELLED, REFUSED, Counter, Limit

#: (whose grants count, the period's kind, the period or reference): what a cap counts together.
Bucket = tuple[str, str, str]

_MICROSECOND = timedelta(microseconds=1)
_LAST_INSTANT = datetime.max.replace(tzinfo=UTC)
_FIRST_DAY, _LAST_DAY = date.min.toordinal(), date.max.toordinal()


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
    #: The entry's place in the order of recording.
    sequence: int = 0


@frozen
class Noted:
    """A recorded event: counters and partial returns read it."""

    kind: str
    at: datetime
    amount: int | Decimal | None
    reference: str
    #: The entry's place in the order of recording.
    sequence: int = 0
    #: A cancellation that took nothing back, recorded because a counter counts it.
    is_refused: bool = False


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

    def granted(
        self, rules: Collection[str], start: datetime | None = None, end: datetime | None = None
    ) -> list[Given]:
        """Return what rules gave in `[start, end)`, spends left out."""
        return [
            one
            for one in self.given
            if one.rule in rules and not one.is_spend and _lies_within(one.at, start, end)
        ]

    def last_paid(self, rule: str) -> datetime | None:
        """Return when a rule last paid, by the time of the event."""
        return max((one.at for one in self.given if one.rule == rule), default=None)

    def about(self, reference: str) -> State:
        """Return what was given and recorded about a reference."""
        return State(
            tuple(one for one in self.given if one.reference == reference),
            tuple(one for one in self.noted if one.reference == reference),
        )

    def recorded(self, kind: str, start: datetime | None, end: datetime | None) -> list[Noted]:
        """Return the recorded events of a kind in `[start, end)`."""
        return [one for one in self.noted if one.kind == kind and _lies_within(one.at, start, end)]

    def counted_in_program(self, bucket: Bucket) -> tuple[int, int]:
        """Return (times, points) that the whole program has given in a bucket."""
        return self.program.get(bucket, (0, 0))


class Past(Protocol):
    """What decisions ask of a member's past: a `State` knows it, a ledger is asked for just that."""

    @property
    def record(self) -> Mapping[str, Any]:
        """What is known about the person beside the events."""

    @property
    def value(self) -> Sequence[tuple[datetime, int]]:
        """The history of the tiers' currency."""

    def granted(
        self, rules: Collection[str], start: datetime | None = None, end: datetime | None = None
    ) -> Sequence[Given]:
        """Return what rules gave in `[start, end)`, spends left out."""

    def last_paid(self, rule: str) -> datetime | None:
        """Return when a rule last paid, by the time of the event."""

    def about(self, reference: str) -> State:
        """Return what was given and recorded about a reference."""

    def recorded(self, kind: str, start: datetime | None, end: datetime | None) -> Sequence[Noted]:
        """Return the recorded events of a kind in `[start, end)`."""

    def counted_in_program(self, bucket: Bucket) -> tuple[int, int]:
        """Return (times, points) that the whole program has given in a bucket."""


def _lies_within(at: datetime, start: datetime | None, end: datetime | None) -> bool:
    return (start is None or start <= at) and (end is None or at < end)


@define
class Tally:
    """How often, and with how many points, rules have paid: from the past, and what a decision adds."""

    past: Past
    tz: tzinfo
    #: Under each name that caps count by, the rules whose grants count.
    rules: Mapping[str, tuple[str, ...]]
    added: dict[Bucket, tuple[int, int]] = Factory(dict)

    def used(self, limit: Limit, at: datetime, reference: str) -> tuple[int, int]:
        """Return (times, points) that count against a limit in the period of `at`."""
        bucket = bucket_of(limit.name, limit.cap, at, reference, self.tz)
        more = self.added.get(bucket, (0, 0))
        if limit.cap.scope == "program":
            before = self.past.counted_in_program(bucket)
        else:
            before = self._of_member(limit, bucket, at, reference)
        return before[0] + more[0], before[1] + more[1]

    def _of_member(self, limit: Limit, bucket: Bucket, at: datetime, reference: str) -> tuple[int, int]:
        rules = self.rules.get(limit.name, ())
        found: Sequence[Given]
        if limit.cap.per == "reference":
            found = self.past.about(reference).granted(rules)
        else:
            found = self.past.granted(rules, *around(at, limit.cap.per, self.tz))
        counted = [
            one.left
            for one in found
            if one.left > 0 and bucket_of(limit.name, limit.cap, one.at, one.reference, self.tz) == bucket
        ]
        return len(counted), sum(counted)

    def add(self, limits: Iterable[Limit], at: datetime, reference: str, points: int) -> None:
        """Count a grant of this decision under its limits: once in each bucket, however many limits read it."""
        for bucket in {bucket_of(limit.name, limit.cap, at, reference, self.tz) for limit in limits}:
            times, so_far = self.added.get(bucket, (0, 0))
            self.added[bucket] = (times + 1, so_far + points)


def bucket_of(name: str, cap: Cap, at: datetime, reference: str, tz: tzinfo) -> Bucket:
    """Return what is counted together with a grant of `at` under a cap."""
    return (name, cap.per, cap.period(at, reference, tz))


def around(at: datetime, per: str, tz: tzinfo) -> tuple[datetime | None, datetime | None]:
    """Return a span that holds the period of `at`, with days to spare: what lies in it is compared exactly.

    >>> from userops.core.calendar import zone
    >>> [str(t.date()) for t in around(datetime(2027, 1, 5, tzinfo=UTC), "month", zone("UTC"))]
    ['2026-12-05', '2027-02-06']
    """
    if per == "lifetime":
        return None, None
    day = local_day(at, tz)
    number, whole_days = day.toordinal(), {"day": 0, "week": 6, "month": 30, "year": 365}[per]
    return days_around(number - whole_days, number + whole_days)


def days_around(first: int, last: int) -> tuple[datetime | None, datetime | None]:
    """Return a span that holds local days, by ordinal, of any zone: none is a whole day away from UTC."""
    start, end = (
        datetime.combine(date.fromordinal(number), time(), UTC) if _FIRST_DAY <= number <= _LAST_DAY else None
        for number in (first - 1, last + 2)
    )
    return start, end


def streak_length(past: Past, rule: str, day: date, tz: tzinfo, *, most: int) -> int:
    """Return which day in a row `day` is, for a rule that paid on the days before it; `most` at most."""
    number = day.toordinal()
    found = past.granted((rule,), *days_around(number - most, number))
    paid = {local_day(one.at, tz).toordinal() for one in found if one.left > 0}
    length = 1
    while length < most and number - length in paid:
        length += 1
    return length


def counted(past: Past, counter: Counter, at: datetime, tz: tzinfo) -> int | Fraction:
    """Return a counter's value before `at`: recorded events in `(at - window, at]`, or their amounts."""
    start = None
    if counter.months or counter.days:
        # A window that reaches before the first year there is has no start.
        with suppress(InvalidValue):
            start = shift(at, tz, months=-counter.months, days=-counter.days)
    end = at + _MICROSECOND if at < _LAST_INSTANT else None
    found = [one for one in past.recorded(counter.on, start, end) if start is None or start < one.at]
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
                rule=getattr(command, "rule", "") or split_id(entry.id)[2],
                kind=command.reason,
                currency=command.currency,
                points=command.points,
                left=command.points,
                at=command.at,
                reference=command.reference,
                is_spend=entry.kind == "spend",
                sequence=entry.sequence,
            )
            if entry.kind == "earn" and command.currency == value_currency:
                value.append((command.at, command.points))
        elif entry.kind == "note":
            command = entry.command
            noted.append(
                Noted(
                    command.kind,
                    command.at,
                    command.amount,
                    command.reference,
                    entry.sequence,
                    is_refused=command.reason == REFUSED,
                )
            )
    return State(tuple(given.values()), tuple(noted), tuple(value))


def value_of(entries: Iterable[Any], value_currency: str | None) -> tuple[tuple[datetime, int], ...]:
    """Return the history of the tiers' currency alone, as `read_state` does."""
    value = []
    for entry in entries:
        if entry.currency == value_currency:
            if entry.kind == "earn":
                value.append((entry.at, entry.command.points))
            elif entry.kind == "reverse" and entry.recovered + entry.indebted:
                value.append((entry.at, -(entry.recovered + entry.indebted)))
    return tuple(value)


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


def returns_of(state: State, kind: str) -> tuple[list[Given], Fraction | None, Fraction]:
    """Return (what events of a kind gave, the amount then, the amount returned so far) of one reference.

    A whole return closes what was before it: what the reference gave afterwards is another story. The
    amount is None where no event had one.
    """
    back = [one for one in state.noted if one.kind == kind + CANCELLED and not one.is_refused]
    closed = max((one.sequence for one in back if one.amount is None), default=-1)
    given = [one for one in state.given if one.kind == kind and one.sequence > closed]
    amounts = [
        one.amount
        for one in state.noted
        if one.kind == kind and one.sequence > closed and one.amount is not None
    ]
    then = sum((Fraction(amount) for amount in amounts), Fraction(0)) if amounts else None
    returned = (Fraction(one.amount or 0) for one in back if one.sequence > closed)
    return given, then, sum(returned, Fraction(0))
