"""Posting: a command becomes one entry, or is refused for the first reason in the order of precedence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from userops.core.commands import (
    Capture,
    Command,
    Earn,
    Exchange,
    Expire,
    Extend,
    Hold,
    Note,
    Release,
    Reverse,
    Spend,
    Transfer,
    WriteOff,
)
from userops.errors import IdConflict, InvalidCommand
from userops.points.books import Books, Store, members_of, unknown_currency
from userops.points.chain import ERASED
from userops.points.draft import Draft
from userops.points.expiring import post_expire, post_extend
from userops.points.issuing import post_earn, post_exchange
from userops.points.spending import post_capture, post_hold, post_release, post_spend, post_transfer
from userops.points.undoing import post_reverse, post_write_off
from userops.points.values import Receipt


def _post_note(books: Books, command: Note) -> Receipt:
    return Draft(books, command, command.member, command.currency).commit()


_HANDLERS: dict[type[Command], Callable[[Books, Any], Receipt]] = {
    Earn: post_earn,
    Spend: post_spend,
    Hold: post_hold,
    Capture: post_capture,
    Release: post_release,
    Reverse: post_reverse,
    Transfer: post_transfer,
    Exchange: post_exchange,
    Extend: post_extend,
    WriteOff: post_write_off,
    Note: _post_note,
    Expire: post_expire,
}


#: Gives the names under which a member's erased wallets stand in a store.
Generations = Callable[[Store, str], list[str]]


def post(books: Books, command: object, generations: Generations) -> Receipt:
    """Post one command into the books.

    Order of precedence: malformed, id conflict, unknown names, not spendable, resolved or over-reversed,
    budget, balance.
    """
    handler = _HANDLERS.get(type(command))  # type: ignore[arg-type]
    if handler is None or not isinstance(command, Command):
        raise InvalidCommand(f"a command was expected, not {type(command).__name__}", field="command")
    for member in members_of(command):
        if member.startswith(ERASED):
            raise InvalidCommand(f"member ids do not begin with {ERASED!r}", field="member")
    if books.knows(command.id):
        return _replay(books, command, generations)
    # Reverse, Capture, Release and Expire work in the currency of what they refer to; a typo is one still.
    if command.currency not in books.currencies:
        raise unknown_currency(books, command.currency)
    return handler(books, command)


def _replay(books: Books, command: Command, generations: Generations) -> Receipt:
    """Return the original receipt of a command posted before, or refuse different content under its id."""
    sweep = books.sweep(command.id)
    entry = None if sweep is not None else books.entry(command.id)
    before: Command = sweep[0] if sweep is not None else entry.command  # type: ignore[union-attr]
    if type(before) is not type(command):
        _conflict(command, "kind", type(before).__name__, type(command).__name__)
    for attribute in attrs.fields(type(command)):
        was, given = getattr(before, attribute.name), getattr(command, attribute.name)
        if was != given and not (isinstance(given, str) and was in generations(books.store, given)):
            _conflict(command, attribute.name, was, given)
    if sweep is not None:
        return attrs.evolve(sweep[1], replayed=True)
    assert entry is not None  # noqa: S101 — one of the two was found
    return Receipt(entry.id, entry.sequence, entry.allocations, entry.expired, replayed=True)


def _conflict(command: Command, field: str, was: object, given: object) -> None:
    raise IdConflict(
        f"{command.id!r} was posted before with another {field}: {was!r}, now {given!r}",
        id=command.id,
        field=field,
        was=was,
        given=given,
    )
