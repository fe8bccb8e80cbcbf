"""Walks remembered, so that a history that only grew is walked on from where it ended.

Standing stays a function of its arguments: what is remembered is found by the whole history up to there, and a
history that differs anywhere, or whose next event is not later than the last, is walked anew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime
from threading import Lock
from typing import Any

from attrs import frozen

from userops.core.amounts import whole
from userops.core.calendar import micros
from userops.tiers.history import History, Person
from userops.tiers.rules import Rules
from userops.tiers.walk import Walk

#: Members remembered, ways of each (with and without the event that is being decided), and the least worth it.
_MOST_MEMBERS, _WAYS, _LEAST_EVENTS = 4_096, 2, 4
Pair = tuple[datetime, int]


@frozen
class _Way:
    items: tuple[Pair, ...]
    #: The last event's instant, and how far the walk went; every event lies before its end.
    last: int
    until: int
    walk: Walk
    base: int


class Memory:
    """The latest walks of the members asked about last; safe to share between threads."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._ways: OrderedDict[Any, tuple[_Way, ...]] = OrderedDict()
        self._lock = Lock()

    def walk(self, rules: Rules, person: Person, items: tuple[Any, ...], until: int) -> tuple[Walk, int]:
        """Return (the walk through a history to an instant, the tier it started at); the walk is not to be changed."""
        if len(items) < _LEAST_EVENTS or not is_plain(items):
            return _walked(rules, person, items, until)
        key = (items[0], person.joined, person.pauses, rules.open_to(person.record))
        with self._lock:
            ways = self._ways.get(key, ())
        best = max(
            (way for way in ways if way.until <= until and items[: len(way.items)] == way.items),
            key=lambda way: len(way.items),
            default=None,
        )
        found = None if best is None else _walked_on(best, items, until)
        if found is None:
            walk, base = _walked(rules, person, items, until)
            found = _Way(items, max(micros(at) for at, _ in items), until, walk, base)
        if found.last <= until:
            self._keep(key, found)
        return found.walk, found.base

    def _keep(self, key: Any, way: _Way) -> None:
        with self._lock:
            self._ways[key] = (way, *self._ways.get(key, ()))[:_WAYS]
            self._ways.move_to_end(key)
            if len(self._ways) > _MOST_MEMBERS:
                self._ways.popitem(last=False)


def _walked(rules: Rules, person: Person, items: Iterable[Any], until: int) -> tuple[Walk, int]:
    read = History.of(items, as_of=until, metric=rules.metric)
    walk = Walk(rules, person, read.first)
    base = walk.state.tier
    return walk.along(read, until), base


def _walked_on(way: _Way, items: tuple[Pair, ...], until: int) -> _Way | None:
    """Walk on from a remembered way, or return None where what is new does not simply come after it."""
    new = [(micros(at), value) for at, value in items[len(way.items) :]]
    # An event at the end of the way is in time only while nothing fell due, or happened, just then.
    is_busy = max(way.walk.last_due, way.last) >= way.until
    earliest = way.until + is_busy
    if any(not earliest <= at <= until for at, _ in new):
        return None
    walk = way.walk.copy()
    sums: dict[int, int] = {}
    for at, value in new:
        sums[at] = sums.get(at, 0) + whole(value, "value")
    for at in sorted(sums):
        walk.take(at, [(walk.rules.metric, sums[at])])
    walk.advance(until)
    return _Way(items, max([way.last, *sums]), until, walk, way.base)


def is_plain(items: tuple[Any, ...]) -> bool:
    """Say whether a history has exact (datetime, int) pairs only: equal ones then mean the same.

    >>> is_plain(((datetime(2027, 1, 1), 5),)), is_plain(((datetime(2027, 1, 1), True),))
    (True, False)
    """
    return all(
        type(item) is tuple and len(item) == 2 and type(item[0]) is datetime and type(item[1]) is int
        for item in items
    )
