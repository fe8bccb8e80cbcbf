"""Events from a CSV file: every row checked before anything is done with any of them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from datetime import tzinfo
from decimal import Decimal
from pathlib import Path

from userops.core.calendar import parse_instant
from userops.core.events import Event
from userops.core.files import did_you_mean
from userops.core.quantities import shown
from userops.errors import InvalidValue, PlanError, PlanFault, UseropsError
from userops.program.rules import REDEEMED

REQUIRED = ("id", "kind", "member", "at")
OPTIONAL = ("reference", "amount")
_MAX_FAULTS = 20
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,18})\.[0-9]{1,18}")


def read_events(path: str | Path, *, timezone: tzinfo | None = None) -> list[Event]:
    """Return the events of a CSV file with a header: id, kind, member, at and, when wanted, reference and amount.

    Any other column goes into the events' data: whole numbers, decimals, `true` and `false` as such, an empty
    cell as absent. Times carry an offset, unless `timezone` says where clocks without one stand. One
    `PlanError` lists what is wrong, by line.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True)
            header = next(rows, [])
            faults = _header_faults(header)
            if faults:
                raise PlanError(f"{path} cannot be used as events", faults)
            return _events_of(path, header, rows, timezone)
    except (OSError, ValueError, csv.Error) as fault:
        if isinstance(fault, UseropsError):
            raise
        reason = getattr(fault, "strerror", None) or "is not CSV in UTF-8"
        raise PlanError(
            f"{shown(str(path))} cannot be used as events", [PlanFault("", f"{shown(str(path))}: {reason}")]
        ) from None


def _header_faults(header: list[str]) -> list[PlanFault]:
    if not header:
        return [PlanFault("line 1", f"no header; the columns {', '.join(REQUIRED)} are needed")]
    faults = [
        PlanFault("line 1", f"no column {name!r}{did_you_mean(name, header)}")
        for name in REQUIRED
        if name not in header
    ]
    twice = sorted({name for name in header if header.count(name) > 1})
    return faults + [PlanFault("line 1", f"column {name!r} is there twice") for name in twice]


def _events_of(
    path: str | Path, header: list[str], rows: Iterator[list[str]], timezone: tzinfo | None
) -> list[Event]:
    events: list[Event] = []
    faults: list[PlanFault] = []
    first_seen: dict[str, int] = {}
    # A quoted cell may hold line breaks: the reader knows the line, a count of rows does not.
    reader = rows
    for row in reader:
        line = getattr(reader, "line_num", 0)
        if not row:
            continue
        try:
            if len(row) != len(header):
                raise InvalidValue(f"{len(row)} cells, the header has {len(header)}")
            event = _event_of(dict(zip(header, row, strict=True)), timezone)
            if event.id in first_seen:
                raise InvalidValue(f"id {event.id!r} is on line {first_seen[event.id]} already")
        except InvalidValue as fault:
            faults.append(PlanFault(f"line {line}", str(fault)))
            if len(faults) == _MAX_FAULTS:
                faults.append(PlanFault("", "reading stopped here"))
                break
            continue
        first_seen[event.id] = line
        events.append(event)
    if faults:
        raise PlanError(f"{path} cannot be used as events", faults)
    return events


def _event_of(cells: dict[str, str], timezone: tzinfo | None) -> Event:
    amount = cells.get("amount", "")
    if amount and not (_WHOLE.fullmatch(amount) or _DECIMAL.fullmatch(amount)):
        raise InvalidValue(f"amount: {amount[:40]!r} is not a number")
    if cells["kind"] == REDEEMED and not _WHOLE.fullmatch(amount):
        raise InvalidValue(f"amount: {amount[:40]!r} is not a whole number of points")
    return Event(
        id=cells["id"],
        kind=cells["kind"],
        member=cells["member"],
        at=parse_instant(cells["at"], zone=timezone),
        reference=cells.get("reference", ""),
        amount=_number(amount) if amount else None,
        data={
            name: _value(cell) for name, cell in cells.items() if name not in (*REQUIRED, *OPTIONAL) and cell
        },
    )


def _number(text: str) -> int | Decimal:
    return int(text) if _WHOLE.fullmatch(text) else Decimal(text)


def _value(cell: str) -> int | Decimal | bool | str:
    if _WHOLE.fullmatch(cell) or _DECIMAL.fullmatch(cell):
        return _number(cell)
    return {"true": True, "false": False}.get(cell, cell)
