"""What rules ask for: each distinct case of the fields that a rule reads is decided once, by the rule itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from userops.core.calendar import day_start, micros
from userops.core.expiry import Expiry
from userops.errors import IncomparableError, InvalidValue
from userops.points.replaying.events import NEVER
from userops.program.live import most_of_bill
from userops.program.replay.facts import Facts, Occasions
from userops.program.replay.history import Ints
from userops.program.rules import (
    REDEEMED,
    EarnRule,
    Fixed,
    RedeemRule,
    Sink,
    Streak,
    fields_read,
)

_EPOCH = date(1970, 1, 1)
#: Beyond this a grant is decided event by event, where Python's integers have no end.
_LARGE = 2**60
#: Beside a field of that name, which events may have: the tier by the program's own ladder.
_OWN_TIER = "\0tier"
#: No instant: what a rule of such a life gives is refused.
_GONE = -(2**62)


class TooLarge(Exception):
    """Grants that int64 columns may not hold."""


@frozen(eq=False)
class Asked:
    """What one rule asks for at every event of its kind, before caps; 0 where it gives nothing."""

    rule: EarnRule
    #: Its place among the program's earn rules.
    place: int
    events: Occasions
    #: Of a streak the most that it may ask for, by the length in a row that gives most.
    points: Ints
    #: Of a streak, the case of each event, and of each case the points by days in a row.
    case: Ints
    by_length: Ints | None
    #: By the place of a limit that binds by a condition: where it does.
    binds: Mapping[int, NDArray[np.bool_]]
    expires_at: Ints
    available_at: Ints


def asked_by(rule: EarnRule, place: int, facts: Facts) -> Asked:
    """Return what a rule asks for."""
    events = facts.of_kind(rule.on)
    limits = [k for k, limit in enumerate(rule.limits) if limit.is_conditional]
    lengths = len(rule.points.steps) if isinstance(rule.points, Streak) else 1
    case, table = _cases(rule, events, lambda record: _asked(rule, record), width=lengths + len(limits))
    expires_at, available_at = _life(rule, facts, events)
    is_given = _in_force(rule, events.day) & (expires_at > available_at)
    most = table[:, :lengths].max(axis=1, initial=0)
    points = np.where(is_given, most.take(case), 0)
    if float(points.sum(dtype=np.float64)) >= _LARGE:
        raise TooLarge
    return Asked(
        rule=rule,
        place=place,
        events=events,
        points=points,
        case=case,
        by_length=table[:, :lengths] if isinstance(rule.points, Streak) else None,
        binds={k: table[:, lengths + n].astype(np.bool_).take(case) for n, k in enumerate(limits)},
        expires_at=expires_at,
        available_at=available_at,
    )


def spent_by(rule: RedeemRule, sink: Sink | None, events: Occasions) -> Ints:
    """Return the points that a rule would spend at every event of its kind; 0 where it spends nothing."""
    case, table = _cases(rule, events, lambda record: [_spent(rule, sink, record)], width=1, more=_bill(sink))
    return table[:, 0].take(case)


def _bill(sink: Sink | None) -> tuple[str, ...]:
    return ("bill",) if sink is not None and sink.share_at_most is not None else ()


def _cases(
    rule: EarnRule | RedeemRule,
    events: Occasions,
    decide: Callable[[Mapping[str, Any]], Sequence[int]],
    *,
    width: int,
    more: tuple[str, ...] = (),
) -> tuple[Ints, Ints]:
    """Return (the case of each event, a row of `width` numbers for each case); a fault gives zeros."""
    names = sorted({*fields_read(rule), *more})
    case, columns = np.zeros(len(events), np.int64), []
    own = events.own_tier() if "tier" in names else None
    if own is not None:
        names.append(_OWN_TIER)
    for name in names:
        codes, values = own if own is not None and name == _OWN_TIER else events.field(name)
        columns.append((codes, values))
        case, _ = _dense(case * len(values) + codes)
    case, first = _dense(case)
    table = np.zeros((len(first), width), np.int64)
    for which, row in enumerate(first.tolist()):
        record = {name: values[int(codes[row])] for name, (codes, values) in zip(names, columns, strict=True)}
        try:
            found = decide(record)
        except (InvalidValue, IncomparableError):
            continue
        if max(found) >= _LARGE:
            raise TooLarge
        table[which] = found
    return case, table


def _dense(codes: Ints) -> tuple[Ints, Ints]:
    """Return (codes without gaps, where each is found first)."""
    if not len(codes):
        return codes, codes
    size = int(codes.max()) + 1
    if size > 4 * len(codes) + 1_024:
        _, first, place = np.unique(codes, return_index=True, return_inverse=True)
        return place.reshape(-1), first
    # Codes that are near need no sort; the last of equal codes stays, so they are written from the back.
    first = np.full(size, -1, np.int64)
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    present = first >= 0
    return (np.cumsum(present) - 1).take(codes), first.compress(present)


def _asked(rule: EarnRule, record: Mapping[str, Any]) -> list[int]:
    """Return the points that a rule asks for (of a streak, by days in a row), then which limits bind."""
    points: Any = rule.points
    lengths = len(points.steps) if isinstance(points, Streak) else 1
    conditional = [limit.when for limit in rule.limits if limit.is_conditional]
    if not rule.when.holds(record):
        return [0] * (lengths + len(conditional))
    exact: list[Fraction | None]
    if isinstance(points, Streak):
        exact = [points.on_day(length) for length in range(1, lengths + 1)]
    else:
        exact = [Fraction(points.points) if isinstance(points, Fixed) else points.of_record(record)]
    # The ladder's tier multiplies; without a ladder, what the event says.
    tier = record.get(_OWN_TIER) if _OWN_TIER in record else record.get("tier")
    named = tier if isinstance(tier, str) else None
    asked = [0 if one is None else max(0, rule.rounded(one, named)) for one in exact]
    return asked + [int(when.holds(record)) if any(asked) else 0 for when in conditional]


def _spent(rule: RedeemRule, sink: Sink | None, record: Mapping[str, Any]) -> int:
    if not rule.when.holds(record):
        return 0
    points = rule.points
    if isinstance(points, Fixed):
        asked = points.points
    else:
        exact = points.of_record(record)
        if exact is None or (exact.denominator != 1 and rule.on == REDEEMED):
            return 0
        asked = points.rounding.apply(exact)
    if (
        sink is not None
        and sink.share_at_most is not None
        and asked > most_of_bill(record, sink.share_at_most)
    ):
        return 0
    return max(0, asked)


def _in_force(rule: EarnRule, day: Ints) -> NDArray[np.bool_]:
    """Say on which local days a rule is in force."""
    found = np.ones(len(day), np.bool_)
    if rule.start is not None:
        found &= day >= (rule.start - _EPOCH).days
    if rule.until is not None:
        found &= day < (rule.until - _EPOCH).days
    return found


def _life(rule: EarnRule, facts: Facts, events: Occasions) -> tuple[Ints, Ints]:
    """Return (when lots expire, from when they can be spent)."""
    expires = np.full(len(events), NEVER) if rule.expires is None else _ends(rule.expires, facts, events.day)
    if not rule.activates_days:
        return expires, events.at
    return expires, facts.shifted(events.at, days=rule.activates_days, absent=NEVER)


def _ends(expiry: Expiry, facts: Facts, days: Ints) -> Ints:
    """Return when lots of some local days expire, each distinct day asked of the policy itself."""
    if not len(days):
        return days
    low, tz = int(days.min()), facts.program.tz
    ends = facts.ends.setdefault(expiry, {})
    present = np.zeros(int(days.max()) - low + 1, np.bool_)
    present[days - low] = True
    table = np.full(len(present), _GONE)
    for place in np.flatnonzero(present).tolist():
        number = low + place
        if number not in ends:
            try:
                start = day_start(_EPOCH + timedelta(days=number), tz)
                ends[number] = micros(expiry.ends_at(start, tz))
            except InvalidValue:
                ends[number] = _GONE
        table[place] = ends[number]
    return table.take(days - low)
