"""A history as columns: from events, from columns or a data frame, or from a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from userops.core.calendar import from_micros, micros
from userops.core.columns import column, columns, instants
from userops.core.events import Event
from userops.core.ids import MAX_EVENT_ID_BYTES, MAX_ID_BYTES, identifier, text
from userops.errors import InvalidValue
from userops.points.replaying.reading import read_frame
from userops.program.replay.event_file import read_events

Ints = NDArray[np.int64]
#: An id of so many ASCII characters is not too long.
_SURE = 128
_NAMES = ("id", "kind", "member", "at", "reference", "amount")


@define(eq=False)
class History:
    """Events by column; `data` is by field, None where an event does not have it."""

    id: list[str]
    kind: list[str]
    member: list[str]
    at: Ints
    reference: list[str]
    amount: list[Any]
    data: dict[str, list[Any]]
    #: The events themselves, when they were given as such.
    events: list[Event] | None = None
    _codes: dict[str, tuple[Ints, list[Any]]] = field(factory=dict)

    def __len__(self) -> int:
        return len(self.id)

    def event(self, place: int) -> Event:
        """Return one event as a value, checked as such."""
        if self.events is not None:
            return self.events[place]
        return Event(
            self.id[place],
            self.kind[place],
            self.member[place],
            from_micros(int(self.at[place])),
            self.reference[place],
            self.amount[place],
            {name: values[place] for name, values in self.data.items() if values[place] is not None},
        )

    def field(self, name: str) -> list[Any]:
        """Return a field of the events' data."""
        if self.events is not None:
            return [event.data.get(name) for event in self.events]
        return self.data.get(name) or [None] * len(self)

    def values(self, name: str, rows: Sequence[int]) -> tuple[list[Any], Sequence[bool]]:
        """Return (a field of some events' data, None where it is missing; whether the event has it, as None too)."""
        if self.events is not None:
            datas = [self.events[row].data for row in rows]
            return [data.get(name) for data in datas], [name in data for data in datas]
        column = self.data.get(name)
        values = [None] * len(rows) if column is None else [column[row] for row in rows]
        return values, [False] * len(rows)

    def codes(self, name: str) -> tuple[Ints, list[Any]]:
        """Return (the code of each event's value in one of the columns, what each code stands for)."""
        if name not in self._codes:
            self._codes[name] = codes_of(getattr(self, name))
        return self._codes[name]


def codes_of(values: list[Any]) -> tuple[Ints, list[Any]]:
    """Return (a code per value, the distinct values); 1, 1.0 and True are three values.

    >>> codes_of(["b", 1, True, "b"])
    (array([0, 1, 2, 0]), ['b', 1, True])
    """
    if len(set(map(type, values)) - {type(None)}) < 2:
        # None equals nothing else: what is equal is the same value.
        try:
            places = {value: place for place, value in enumerate(dict.fromkeys(values))}
        except TypeError:
            pass
        else:
            return np.fromiter(map(places.__getitem__, values), np.int64, len(values)), list(places)
    known: dict[Any, int] = {}
    distinct: list[Any] = []
    codes = np.empty(len(values), np.int64)
    for place, value in enumerate(values):
        try:
            key = (type(value), value)
            code = known.get(key, -1)
        except TypeError:
            key, code = (object, place), -1
        if code < 0:
            code = known[key] = len(distinct)
            distinct.append(value)
        codes[place] = code
    return codes, distinct


def history_of(events: Any, timezone: tzinfo = UTC) -> History:
    """Take events, columns (`id`, `kind`, `member`, `at`, `reference`, `amount`, others are data), or a path."""
    if isinstance(events, History):
        return events
    if isinstance(events, str | PathLike):
        if Path(events).suffix.lower() != ".parquet":
            return _of_events(read_events(Path(events), timezone=timezone))
        events = read_frame(events)
    if isinstance(events, Mapping | np.ndarray) or hasattr(events, "columns") or hasattr(events, "collect"):
        return _of_columns(events)
    return _of_events(events)


def _of_events(events: Iterable[Event]) -> History:
    if not isinstance(events, Iterable):
        raise InvalidValue(f"events must be a list of Events, not {type(events).__name__}")
    listed = list(events)
    for event in listed:
        if not isinstance(event, Event):
            raise InvalidValue(f"an Event was expected, not {type(event).__name__}")
    return History(
        id=[event.id for event in listed],
        kind=[event.kind for event in listed],
        member=[event.member for event in listed],
        at=np.fromiter((micros(event.at) for event in listed), np.int64, len(listed)),
        reference=[event.reference for event in listed],
        amount=[event.amount for event in listed],
        data={},
        events=listed,
    )


def _of_columns(data: Any) -> History:
    taken = columns(data)
    absent = [name for name in _NAMES[:4] if name not in taken]
    if absent:
        raise InvalidValue(f"no column {absent[0]!r}; events have {', '.join(_NAMES)}, and others are data")
    rows = len(taken["id"])
    lists = {name: _plain(taken[name], name) for name in taken if name != "at"}
    history = History(
        id=lists.pop("id"),
        kind=lists.pop("kind"),
        member=lists.pop("member"),
        at=instants(taken["at"], "at"),
        reference=[value or "" for value in lists.pop("reference", [""] * rows)],
        amount=lists.pop("amount", [None] * rows),
        data=lists,
    )
    _check(history)
    return history


def _plain(values: Any, name: str) -> list[Any]:
    """Return a column's values as Python's own, None where one is missing."""
    taken = column(values, name)
    listed = np.ma.getdata(taken).tolist()
    if isinstance(taken, np.ma.MaskedArray):
        gone = np.ma.getmaskarray(taken).tolist()
        listed = [None if missing else value for value, missing in zip(listed, gone, strict=True)]
    return [None if value != value else value for value in listed]


def _check(history: History) -> None:
    """Check what an `Event` checks, each distinct value once."""
    at = datetime(2000, 1, 1, tzinfo=UTC)
    for value in set(map(type, history.id)) - {str}:
        raise InvalidValue(f"id must be text, not {value.__name__}")
    for value in history.codes("kind")[1]:
        identifier(value, "kind", most=MAX_EVENT_ID_BYTES)
    for value in history.codes("member")[1]:
        identifier(value, "member")
    for value in history.codes("reference")[1]:
        text(value, "reference", most=MAX_ID_BYTES)
    for amount in codes_of(history.amount)[1]:
        Event("e", "k", "m", at, amount=amount)
    if (
        not all(history.id)
        or not all(map(str.isascii, history.id))
        or max(map(len, history.id), default=0) > _SURE
        or "\0" in "".join(history.id)
    ):
        for id_ in history.id:
            Event(id_, "k", "m", at)
    if (
        len(history)
        and not -62_135_596_800_000_000
        <= int(history.at.min())
        <= int(history.at.max())
        <= 253_402_300_799_999_999
    ):
        raise InvalidValue("at lies outside the years 1 to 9999")
