"""Rules over columns: what a simple program makes of a whole history, each distinct case decided once.

A program is *simple* when no rule reads what the member did before, but for caps: then its commands follow
from the events alone, and a columnar replay of the ledger tells what became of them. A case (the values of
the fields that a rule reads) is decided by the rule itself, the very code that decides one event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import numpy as np
from attrs import define, field, frozen
from numpy.typing import NDArray

from userops.core.calendar import day_start, from_micros, local_day, micros, period, shift
from userops.core.conditions import ALWAYS
from userops.errors import IncomparableError, InvalidValue
from userops.points.replaying.events import NEVER
from userops.program.capping import Asked, capped
from userops.program.rulebook import Rulebook
from userops.program.rules import (
    CANCELLED,
    REDEEMED,
    Choice,
    EarnRule,
    Fixed,
    Proportional,
    RedeemRule,
    Streak,
    Table,
    redemption_into,
)
from userops.program.taking import History, Ints, codes_of

_HOUR = 3_600_000_000
_EPOCH = date(1970, 1, 1)
#: Beyond this a grant is decided event by event, where Python's integers have no end.
_LARGE = 2**60
Members = Mapping[str, Mapping[str, Any]] | None


@frozen(eq=False)
class Commands:
    """Earns and spends in columns, in the order in which they are posted."""

    event: Ints
    #: Place in `rules`.
    rule: Ints
    rules: tuple[EarnRule | RedeemRule, ...]
    points: Ints
    expires_at: Ints
    available_at: Ints


def why_not(program: Rulebook) -> str:
    """Say what keeps a program from being replayed in columns; empty when nothing does."""
    rules: list[EarnRule | RedeemRule] = [*program.earn, *program.redeem]
    read = {name for rule in rules for name in _fields(rule)}
    funds = {rule.fund for rule in program.earn}
    limits = [limit for rule in program.earn for limit in rule.limits]
    for found, why in (
        (program.ladder is not None, "it has tiers of its own"),
        (any(counter.name in read for counter in program.counters), "a rule reads a counter"),
        (any(isinstance(rule.points, Streak) for rule in program.earn), "a rule pays by streak"),
        (any(r.expires and r.expires.inactive_months for r in program.earn), "an expiry moves with activity"),
        (any(limit.cap.scope == "program" for limit in limits), "a cap counts the whole program"),
        (any(limit.when != ALWAYS for limit in limits), "a cap binds by a condition"),
        (any(x is not Choice.ALL for x in program.groups.values()), "rules exclude each other"),
        (any(program.funds[fund].budget is not None for fund in funds), "a fund has a budget"),
        (any(x.funds or x.share_at_most is not None for x in program.sinks.values()), "a sink is restricted"),
    ):
        if found:
            return why
    return ""


def _fields(rule: EarnRule | RedeemRule) -> tuple[str, ...]:
    """Return the fields that a rule reads."""
    points, found = rule.points, list(rule.when.fields())
    if isinstance(points, Proportional):
        found.append(points.of)
    elif isinstance(points, Table):
        found.append(points.by)
    if isinstance(rule, EarnRule) and rule.multiply_by_tier:
        found.append("tier")
    return tuple(dict.fromkeys(found))


def alone(history: History) -> NDArray[np.bool_]:
    """Return whose events (by member's code) cannot be replayed in columns: they take back, or come twice."""
    member, members = history.codes("member")
    kind, kinds = history.codes("kind")
    takes_back = np.array([k.endswith(CANCELLED) and k != CANCELLED for k in kinds], np.bool_)
    apart = np.zeros(len(members), np.bool_)
    if len(history):
        apart[member[takes_back[kind]]] = True
    if len(set(history.id)) < len(history.id):
        # One id used twice is answered from its entries, whoever's they are.
        apart[:] = True
    return apart


def commands_of(program: Rulebook, history: History, places: Ints, members: Members) -> Commands:
    """Return the commands of the events at `places`, which are in order."""
    making = _Making(program, history, places, members or {})
    rules: list[EarnRule | RedeemRule] = [*program.earn, *program.redeem, *_redeemed(history)]
    parts: list[tuple[int, Ints, Ints, Ints, Ints]] = []
    for together in _components(program):
        asked = [making.asked(program.earn[place], place) for place in together]
        for place, one, given in zip(together, asked, capped(asked, dict(program.cap_names)), strict=True):
            kept = np.flatnonzero(given)
            ranks = one.event.take(kept)
            expires, available = making.times(program.earn[place], places.take(ranks))
            parts.append((place, ranks, given.take(kept), expires, available))
    for place, rule in enumerate(rules):
        if isinstance(rule, RedeemRule):
            events, points = making.spends(rule)
            never = np.full(len(events), NEVER)
            parts.append((place, making.rank.take(events), points, never, making.at.take(events)))
    event = np.concatenate([part[1] for part in parts]) if parts else np.zeros(0, np.int64)
    which = np.concatenate([np.full(len(part[1]), part[0]) for part in parts]) if parts else event
    order = np.lexsort((which, event))
    columns = [np.concatenate([part[k] for part in parts]).take(order) if parts else event for k in (2, 3, 4)]
    return Commands(places.take(event.take(order)), which.take(order), tuple(rules), *columns)


def _redeemed(history: History) -> list[RedeemRule]:
    """Return the rules of the program's own redemption events, one for each sink that they name."""
    if REDEEMED not in history.codes("kind")[1]:
        return []
    kinds = np.array(history.kind, dtype=object)
    sinks = history.field("sink")
    named = {_sink(sinks[place]) for place in np.flatnonzero(kinds == REDEEMED).tolist()}
    return [redemption_into(sink) for sink in sorted(named - {""})]


def _sink(value: Any) -> str:
    """Return the sink that an event names, or an empty text where it names none that can be."""
    try:
        return redemption_into(value).sink
    except InvalidValue:
        return ""


def _components(program: Rulebook) -> list[list[int]]:
    """Return the rules by place, together where they count under the same caps."""
    groups: list[tuple[set[str], list[int]]] = []
    for place, rule in enumerate(program.earn):
        names, places = set(program.cap_names[rule.name]), [place]
        kept = []
        for other_names, other_places in groups:
            if other_names & names:
                names |= other_names
                places = other_places + places
            else:
                kept.append((other_names, other_places))
        groups = [*kept, (names, places)]
    return [sorted(places) for _, places in groups]


@define(eq=False)
class _Making:
    """The events in columns, and what has been worked out of them."""

    program: Rulebook
    history: History
    places: Ints
    members: Mapping[str, Mapping[str, Any]]
    at: Ints = field(init=False)
    day: Ints = field(init=False)
    #: The distinct local days, in order.
    days: Ints = field(init=False)
    reference: Ints = field(init=False)
    #: Of each event, its place in the order of time.
    rank: Ints = field(init=False)
    #: Of each field that rules read, its codes and what they stand for.
    fields: dict[str, tuple[Ints, list[Any]]] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        """Work out the local days, and what each event is about."""
        self.at = self.history.at
        self.rank = np.zeros(len(self.history), np.int64)
        self.rank[self.places] = np.arange(len(self.places))
        self.day = local_days(self.at, self.program)
        self.days = np.unique(self.day.take(self.places))
        self.reference = codes_of(
            [reference or id_ for reference, id_ in zip(self.history.reference, self.history.id, strict=True)]
        )[0]

    def _of_kind(self, kind: str) -> Ints:
        codes, kinds = self.history.codes("kind")
        wanted = np.array([one == kind for one in kinds], np.bool_)
        return self.places.compress(wanted[codes.take(self.places)]) if kinds else self.places[:0]

    def _by_day(self, made: Callable[[date], int], events: Ints) -> Ints:
        """Return what is made of the local day of each event; -1 where nothing can be."""
        place = np.searchsorted(self.days, self.day.take(events))
        values = np.full(len(self.days), -1, np.int64)
        for which in np.unique(place).tolist():
            try:
                values[which] = made(_EPOCH + timedelta(days=int(self.days[which])))
            except InvalidValue:
                values[which] = NEVER - 1
        return values.take(place)

    def asked(self, rule: EarnRule, place: int) -> Asked:
        """Return what a rule asks for, before caps; events that it gives nothing are left out."""
        events = self._of_kind(rule.on)
        in_force = self._by_day(lambda day: int(rule.is_in_force(day)), events)
        events = events.compress(in_force == 1)
        points = self._cases(rule, events, _asked)
        expires, available = self.times(rule, events)
        kept = np.flatnonzero((points > 0) & (expires > available))
        events = events.take(kept)
        pers = {limit.cap.per for other in self.program.earn for limit in other.limits}
        return Asked(
            rule=rule,
            turn=rule.priority * len(self.program.earn) + place,
            event=self.rank.take(events),
            member=self.history.codes("member")[0].take(events),
            points=points.take(kept),
            periods={per: self._periods(per, events) for per in pers},
        )

    def spends(self, rule: RedeemRule) -> tuple[Ints, Ints]:
        """Return (events, points) that a rule would spend."""
        events = self._of_kind(rule.on)
        if rule.on == REDEEMED and rule.name == REDEEMED:
            sinks = self.history.field("sink")
            mine = [_sink(sinks[place]) == rule.sink for place in events.tolist()]
            events = events.compress(np.array(mine, np.bool_))
        currency = self.program.currencies.get(rule.currency)
        if currency is not None and not currency.spendable:
            return events[:0], events[:0]
        points = self._cases(rule, events, _spent)
        kept = np.flatnonzero(points > 0)
        return events.take(kept), points.take(kept)

    def _cases(self, rule: Any, events: Ints, decide: Callable[[Any, Mapping[str, Any]], int]) -> Ints:
        """Decide each distinct case of the fields that a rule reads; 0 where it gives nothing."""
        names = _fields(rule)
        case = np.zeros(len(events), np.int64)
        columns = []
        for name in names:
            codes, values = self._field(name)
            mine, place = np.unique(codes.take(events), return_inverse=True)
            columns.append((mine, place.reshape(-1), values))
            case = case * (len(mine) + 1) + place.reshape(-1)
            _, case = np.unique(case, return_inverse=True)
            case = case.reshape(-1)
        _, first, inverse = np.unique(case, return_index=True, return_inverse=True)
        points = np.zeros(len(first), np.int64)
        for which, row in enumerate(first.tolist()):
            record = {
                name: values[int(mine[place[row]])]
                for name, (mine, place, values) in zip(names, columns, strict=True)
            }
            try:
                found = decide(rule, record)
            except (InvalidValue, IncomparableError):
                found = 0
            if found >= _LARGE:
                raise TooLarge
            points[which] = found
        return points.take(inverse.reshape(-1))

    def _field(self, name: str) -> tuple[Ints, list[Any]]:
        """Return the codes of a field: the event's own data, else what is known of the member."""
        history = self.history
        if name not in self.fields:
            values = history.field(name)
            if self.members:
                known = {member: record.get(name) for member, record in self.members.items()}
                values = [
                    known.get(member) if value is None and not self._has(place, name) else value
                    for place, (member, value) in enumerate(zip(history.member, values, strict=True))
                ]
            if name == "amount":
                values = [
                    value if amount is None else amount
                    for value, amount in zip(values, history.amount, strict=True)
                ]
            self.fields[name] = codes_of(values)
        return self.fields[name]

    def _has(self, place: int, name: str) -> bool:
        events = self.history.events
        return events is not None and name in events[place].data

    def times(self, rule: EarnRule, events: Ints) -> tuple[Ints, Ints]:
        """Return (when lots expire, from when they can be spent)."""
        at, tz = self.at.take(events), self.program.tz
        expires = np.full(len(events), NEVER)
        if rule.expires is not None:
            ends = rule.expires.ends_at
            expires = self._by_day(lambda day: micros(ends(day_start(day, tz), tz)), events)
            expires[expires == NEVER - 1] = -(2**62)
        if not rule.activates_days:
            return expires, at
        distinct, place = np.unique(at, return_inverse=True)
        later = np.empty(len(distinct), np.int64)
        for which, instant in enumerate(distinct.tolist()):
            try:
                later[which] = micros(shift(from_micros(instant), tz, days=rule.activates_days))
            except InvalidValue:
                later[which] = NEVER
        return expires, later.take(place.reshape(-1))

    def _periods(self, per: str, events: Ints) -> Ints:
        if per == "reference":
            return self.reference.take(events)
        if per == "lifetime":
            return np.zeros(len(events), np.int64)
        names: dict[str, int] = {}
        tz = self.program.tz
        return self._by_day(
            lambda day: names.setdefault(period(day_start(day, tz), per, tz), len(names)), events
        )


class TooLarge(Exception):
    """A grant that int64 columns may not hold."""


def _asked(rule: EarnRule, record: Mapping[str, Any]) -> int:
    if not rule.when.holds(record):
        return 0
    points: Any = rule.points
    exact = Fraction(points.points) if isinstance(points, Fixed) else points.of_record(record)
    tier = record.get("tier")
    return 0 if exact is None else rule.rounded(exact, tier if isinstance(tier, str) else None)


def _spent(rule: RedeemRule, record: Mapping[str, Any]) -> int:
    if not rule.when.holds(record):
        return 0
    points = rule.points
    if isinstance(points, Fixed):
        return points.points
    exact = points.of_record(record)
    if exact is None or (exact.denominator != 1 and rule.on == REDEEMED):
        return 0
    return points.rounding.apply(exact)


def local_days(at: Ints, program: Rulebook) -> Ints:
    """Return the local day of every instant, in days since 1970."""
    tz = program.tz
    hours, place = np.unique(at // _HOUR, return_inverse=True)
    place = place.reshape(-1)
    offsets = np.empty(len(hours), np.int64)
    changing = np.zeros(len(hours), np.bool_)
    for which, hour in enumerate(hours.tolist()):
        offsets[which] = _offset(hour * _HOUR, tz)
        # The clocks may change within the hour; then each instant is asked by itself.
        changing[which] = offsets[which] != _offset(hour * _HOUR + _HOUR - 1, tz)
    days = (at + offsets.take(place)) // (24 * _HOUR)
    for row in np.flatnonzero(changing.take(place)).tolist():
        days[row] = (local_day(from_micros(int(at[row])), tz) - _EPOCH).days
    return days


def _offset(instant: int, tz: Any) -> int:
    found = from_micros(instant).astimezone(tz).utcoffset()
    return 0 if found is None else found // timedelta(microseconds=1)
