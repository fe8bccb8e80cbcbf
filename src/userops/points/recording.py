"""How an entry is written down: one text, exact and without names, which stores keep and chains cover.

Members stand in it by their place in the entry's list of members, so that a member's id can be erased
without touching what was recorded.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from json.encoder import encode_basestring as _quote
from operator import attrgetter, call
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
from userops.points.values import NEVER, Allocations, Entry, LotState

_MEMBERS = ("member", "to")
_ACCOUNTS = ("wallet:", "debt:")


def _list(texts: Iterable[str]) -> str:
    return f"[{','.join(texts)}]"


def _pairs_text(pairs: Allocations) -> str:
    return _list([f"[{_quote(lot)},{points}]" for lot, points in pairs]) if pairs else "[]"


def _or_null(text: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda value: "null" if value is None else text(value)


#: Of fields that are no texts: how they are written, and how JSON's value is read back to the same value.
_FORMS: dict[str, tuple[Callable[[Any], str], Callable[[Any], Any]]] = {
    **dict.fromkeys(("at", "available_at", "expires_at"), (lambda at: str(micros(at)), from_micros)),
    "rate": (lambda rate: f'"{rate.numerator}/{rate.denominator}"', Fraction),
    "amount": (
        lambda amount: f'"{amount}"' if isinstance(amount, Decimal) else str(amount),
        lambda value: Decimal(value) if isinstance(value, str) else value,
    ),
    "funds": (lambda funds: _list(map(_quote, funds)), tuple),
    "restore": (lambda restore: str(restore.days or 0), lambda days: Restore(days or None)),
    "clawback": (lambda clawback: f'"{clawback.value}"', Clawback),
}


@attrs.frozen
class _Form:
    """How one kind of command is written: fields as they are, fields in another form, members by place."""

    kind: type[Command]
    plain: tuple[str, ...]
    formed: tuple[str, ...]
    members: tuple[str, ...]
    get: Callable[[Any], tuple[Any, ...]]
    #: How each field but the members is written.
    texts: tuple[Callable[[Any], str], ...]

    @classmethod
    def of(cls, kind: type[Command]) -> _Form:
        names = [field.name for field in attrs.fields(kind) if field.name != "id"]
        plain = tuple(name for name in names if name not in _FORMS and name not in _MEMBERS)
        formed = tuple(name for name in names if name in _FORMS)
        members = tuple(name for name in names if name in _MEMBERS)
        texts = {name: str if name == "points" else _quote for name in plain}
        texts |= {name: _FORMS[name][0] for name in formed}
        for field in attrs.fields(kind):
            if field.default is None and field.name in texts:
                texts[field.name] = _or_null(texts[field.name])
        return cls(kind, plain, formed, members, attrgetter(*texts), tuple(texts.values()))

    def write(self, command: Command, member: Callable[[str], str]) -> str:
        """Return a command's values as a list, its id left out."""
        written = [*map(call, self.texts, self.get(command))]
        for name in self.members:
            value = getattr(command, name)
            written.append("null" if value is None else member(value))
        return _list(written)

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


def write(entry: Entry) -> str:
    """Return an entry as text: all of it but its id, its sequence and the names of its members.

    It is JSON without spaces, put together here, for that takes a third of the time of encoding nested lists.
    """
    places, accounts = {}, {}
    for place, member in enumerate(entry.members):
        places[member] = accounts[_ACCOUNTS[0] + member] = str(place)
        accounts[_ACCOUNTS[1] + member] = str(-1 - place)
    legs = [
        f"[{accounts.get(account) or _quote(account)},{_quote(currency)},{points},{_quote(lot)}]"
        for account, currency, points, lot in entry.bare_legs
    ]
    created, debts = "[]", "[]"
    if entry.created:
        created = _list([_lot_text(lot, places[lot.member]) for lot in entry.created])
    if entry.debts:
        debts = _list([f"[{_quote(origin)},{_quote(fund)},{points}]" for origin, fund, points in entry.debts])
    command = _BY_TYPE[type(entry.command)].write(entry.command, places.__getitem__)
    return (
        f'["{entry.kind}",{command},{_quote(entry.currency)},{_list(legs)},{_pairs_text(entry.allocations)},'
        f"{_pairs_text(entry.expired)},{created},{entry.recovered},{entry.indebted},{debts}]"
    )


def _lot_text(lot: LotState, member: str) -> str:
    (
        currency, ends, available_at, place, id_, _, fund, cost, earned_at, rule, origin, original, is_issue, left,
        written,
    ) = lot  # fmt: skip
    return (
        f'[{_quote(id_)},{member},{_quote(currency)},{_quote(fund)},"{cost}",{earned_at},{available_at},'
        f"{'null' if ends == NEVER else ends},{_quote(rule)},{_quote(origin)},{original},[{place[0]},{place[1]}],"
        f"{'true' if is_issue else 'false'},{left},{written}]"
    )


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
        own_legs=tuple((account(name), unit, points, lot) for name, unit, points, lot in legs),
        allocations=_pairs(allocations),
        expired=_pairs(expired),
        created=tuple(_lot(lot, members) for lot in created),
        recovered=recovered,
        indebted=indebted,
        debts=tuple((origin, fund, points) for origin, fund, points in debts),
    ).as_kept()


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
        currency, NEVER if expires_at is None else expires_at, available_at, (place[0], place[1]), id_,
        members[member], fund, Decimal(cost), earned_at, rule, origin, original, is_issue, left, written,
    )  # fmt: skip


def write_command(command: Command) -> str:
    """Return a command as text, its id left out and its members by name."""
    return f'["{type(command).__name__.lower()}",{_BY_TYPE[type(command)].write(command, _quote)}]'


def read_command(id_: str, text: str) -> Command:
    """Return the command that was written.

    >>> from datetime import UTC, datetime
    >>> spend = Spend(id="s", member="u1", points=3, sink="shop", at=datetime(2027, 1, 1, tzinfo=UTC))
    >>> read_command("s", write_command(spend)) == spend
    True
    """
    kind, values = json.loads(text)
    return _BY_NAME[kind].read(id_, values, str)
