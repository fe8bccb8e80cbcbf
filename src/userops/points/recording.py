"""How an entry is written down: one text, exact and without names, which stores keep and chains cover.

Members stand in it by their place in the entry's list of members, so that a member's id can be erased
without touching what was recorded.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from operator import attrgetter
from typing import Any

import attrs

from userops.core.calendar import from_micros, micros
from userops.core.commands import (
    Capture,
    Clawback,
    Command,
    Earn,
    Exchange,
    Expire,
    Extend,
    Hold,
    Note,
    Release,
    Restore,
    Reverse,
    Spend,
    Transfer,
    WriteOff,
)
from userops.points.values import Entry, Leg, LotState

_MEMBERS = ("member", "to")
_ACCOUNTS = ("wallet:", "debt:")


def _pair_of_rate(rate: Fraction) -> str:
    return f"{rate.numerator}/{rate.denominator}"


def _number(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value


#: Of fields that JSON has no form for: how they are written, and read back to the same value.
_FORMS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    **dict.fromkeys(("at", "available_at", "expires_at"), (micros, from_micros)),
    "rate": (_pair_of_rate, Fraction),
    "amount": (_number, lambda value: Decimal(value) if isinstance(value, str) else value),
    "funds": (list, tuple),
    "restore": (lambda restore: restore.days or 0, lambda days: Restore(days or None)),
    "clawback": (lambda clawback: clawback.value, Clawback),
}


@attrs.frozen
class _Form:
    """How one kind of command is written: fields as they are, fields in another form, members by place."""

    kind: type[Command]
    plain: tuple[str, ...]
    formed: tuple[str, ...]
    members: tuple[str, ...]
    get: Callable[[Any], tuple[Any, ...]]

    @classmethod
    def of(cls, kind: type[Command]) -> _Form:
        names = [field.name for field in attrs.fields(kind) if field.name != "id"]
        plain = tuple(name for name in names if name not in _FORMS and name not in _MEMBERS)
        formed = tuple(name for name in names if name in _FORMS)
        members = tuple(name for name in names if name in _MEMBERS)
        return cls(kind, plain, formed, members, attrgetter(*plain))

    def write(self, command: Command, member: Callable[[str], Any]) -> list[Any]:
        """Return a command's values, its id left out."""
        values = list(self.get(command))
        for name in self.formed:
            value = getattr(command, name)
            values.append(None if value is None else _FORMS[name][0](value))
        for name in self.members:
            value = getattr(command, name)
            values.append(None if value is None else member(value))
        return values

    def read(self, id_: str, values: Sequence[Any], member: Callable[[Any], str]) -> Command:
        """Return the command that was written."""
        found: dict[str, Any] = dict(zip(self.plain, values, strict=False))
        formed = values[len(self.plain) : len(self.plain) + len(self.formed)]
        for name, value in zip(self.formed, formed, strict=True):
            found[name] = None if value is None else _FORMS[name][1](value)
        for name, value in zip(self.members, values[len(self.plain) + len(self.formed) :], strict=True):
            found[name] = None if value is None else member(value)
        return self.kind(id=id_, **found)


_KINDS = (
    Earn, Spend, Hold, Capture, Release, Reverse, Transfer, Exchange, Extend, WriteOff, Note, Expire,
)  # fmt: skip
_BY_TYPE: dict[type[Command], _Form] = {kind: _Form.of(kind) for kind in _KINDS}
_BY_NAME = {kind.__name__.lower(): form for kind, form in _BY_TYPE.items()}
_encode: Callable[[Any], str] = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), check_circular=False
).encode


def write(entry: Entry) -> str:
    """Return an entry as text: all of it but its id, its sequence and the names of its members."""
    places = {member: place for place, member in enumerate(entry.members)}

    def account(leg: Leg) -> Any:
        prefix, colon, member = leg.account.partition(":")
        if prefix == "wallet" and colon:
            return places[member]
        return -1 - places[member] if prefix == "debt" and colon else leg.account

    form = _BY_TYPE[type(entry.command)]
    return _encode(
        [
            entry.kind,
            form.write(entry.command, places.__getitem__),
            entry.currency,
            [(account(leg), leg.currency, leg.points, leg.lot) for leg in entry.legs],
            entry.allocations,
            entry.expired,
            [_lot_values(lot, places[lot.member]) for lot in entry.created],
            entry.recovered,
            entry.indebted,
            entry.debts,
        ]
    )


def _lot_values(lot: LotState, member: int) -> tuple[Any, ...]:
    return (
        lot.id, member, lot.currency, lot.fund, str(lot.unit_cost), lot.earned_at, lot.available_at,
        lot.expires_at, lot.rule, lot.origin, lot.original, lot.place, lot.is_issue, lot.left, lot.written,
    )  # fmt: skip


def read(id_: str, sequence: int, members: tuple[str, ...], text: str) -> Entry:
    """Return the entry that was written down."""
    kind, values, currency, legs, allocations, expired, created, recovered, indebted, debts = json.loads(text)
    command = _BY_NAME[kind].read(id_, values, members.__getitem__)

    def account(value: Any) -> str:
        if isinstance(value, str):
            return value
        place: int = value
        return _ACCOUNTS[0] + members[place] if place >= 0 else _ACCOUNTS[1] + members[-1 - place]

    return Entry(
        id=id_,
        sequence=sequence,
        kind=kind,
        members=members,
        at=command.at,
        currency=currency,
        command=command,
        legs=tuple(Leg(account(name), unit, points, lot) for name, unit, points, lot in legs),
        allocations=_pairs(allocations),
        expired=_pairs(expired),
        created=tuple(_lot(lot, members) for lot in created),
        recovered=recovered,
        indebted=indebted,
        debts=tuple((origin, fund, points) for origin, fund, points in debts),
    )


def instant_of(text: str) -> int:
    """Return when an entry that was written down took effect, in microseconds since 1970."""
    kind, values = json.loads(text)[:2]
    form = _BY_NAME[kind]
    at: int = values[len(form.plain) + form.formed.index("at")]
    return at


def _pairs(values: Sequence[Sequence[Any]]) -> tuple[tuple[str, int], ...]:
    return tuple((lot, points) for lot, points in values)


def _lot(values: Sequence[Any], members: tuple[str, ...]) -> LotState:
    id_, member, currency, fund, cost, *rest = values
    earned_at, available_at, expires_at, rule, origin, original, place, is_issue, left, written = rest
    return LotState(
        id=id_,
        member=members[member],
        currency=currency,
        fund=fund,
        unit_cost=Decimal(cost),
        earned_at=earned_at,
        available_at=available_at,
        expires_at=expires_at,
        rule=rule,
        origin=origin,
        original=original,
        place=(place[0], place[1]),
        is_issue=is_issue,
        left=left,
        written=written,
    )


def write_command(command: Command) -> str:
    """Return a command as text, its id left out and its members by name."""
    return _encode([type(command).__name__.lower(), _BY_TYPE[type(command)].write(command, str)])


def read_command(id_: str, text: str) -> Command:
    """Return the command that was written.

    >>> from datetime import UTC, datetime
    >>> spend = Spend(id="s", member="u1", points=3, sink="shop", at=datetime(2027, 1, 1, tzinfo=UTC))
    >>> read_command("s", write_command(spend)) == spend
    True
    """
    kind, values = json.loads(text)
    return _BY_NAME[kind].read(id_, values, str)
