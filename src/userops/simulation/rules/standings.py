"""Tiers in a simulation: each member's standing at an event, by the program's own ladder.

This is the plain ladder, member by member: exact for every window, review and grace, and slow beside the
columns. It is asked only where a rule's points or conditions depend on the tier.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
from attrs import define, field

from userops.core.calendar import from_micros
from userops.program import Program
from userops.simulation.columns import MISSING, Array, Columns, Ints
from userops.simulation.inputs import Clock

#: What the record of a member says about joining, beside the event's own data.
JOINED = "joined_at"


@define(eq=False)
class Standings:
    """The growth value of a block's members so far, and the tiers that it gives."""

    program: Program
    clock: Clock
    kinds: int
    rows: int
    #: Of each row, the month it joined in.
    arrival: Ints
    history: dict[int, list[tuple[datetime, int]]] = field(factory=dict)
    joined: list[datetime] = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Note when months begin."""
        self.joined = self.clock.month_bounds()

    @property
    def names(self) -> tuple[str | None, ...]:
        """The tiers by code: none, then the ladder's from the lowest."""
        return tier_names(self.program)

    def at(self, row: Ints, day: Ints, rank: Ints, kind: Ints | int) -> Ints:
        """Return the instants of events in microseconds, as a trace dates them."""
        return instants(self.clock, self.kinds, self.rows, row=row, day=day, rank=rank, kind=kind)

    def codes(self, row: Ints, at: Ints, columns: Columns, more: Array | None = None) -> Ints:
        """Return each member's tier at an event, as a code; `more` is value that this event gives."""
        ladder = self.program.ladder
        assert ladder is not None  # noqa: S101 — standings are kept where there is a ladder
        names, found = self.names, np.zeros(len(row), dtype=np.int64)
        spelt = {name: _plain(column) for name, column in columns.items()}
        for k, (member, instant) in enumerate(zip(row.tolist(), at.tolist(), strict=True)):
            record = {name: values[k] for name, values in spelt.items() if values[k] is not None}
            record[JOINED] = self.joined[int(self.arrival[member])]
            known = self.history.get(member, [])
            when = from_micros(instant)
            if more is not None and more[k]:
                known = [*known, (when, int(more[k]))]
            standing = ladder.standing_before(known, when, record=record)
            found[k] = names.index(standing.tier)
        return found

    def add(self, row: Ints, at: Ints, value: Ints) -> None:
        """Note the value that members got."""
        for member, instant, points in zip(row.tolist(), at.tolist(), value.tolist(), strict=True):
            if points:
                self.history.setdefault(member, []).append((from_micros(instant), points))


def instants(
    clock: Clock, kinds: int, rows: int, *, row: Ints, day: Ints, rank: Ints, kind: Ints | int
) -> Ints:
    """Return the instants of events of a kind in microseconds, as a trace dates them."""
    tick = (rank.astype(np.int64) * kinds + kind) * rows + row
    found: Ints = clock.noons[day] + tick
    return found


def tier_names(program: Program) -> tuple[str | None, ...]:
    """Return the names of a program's tiers from the lowest, after None for members below all of them."""
    return (None,) if program.ladder is None else (None, *(tier.name for tier in program.ladder.tiers))


def _plain(column: Any) -> list[Any]:
    if column.words is None:
        return [None if value == MISSING else value for value in column.values.tolist()]
    words = (*column.words, None)
    return [words[value] for value in column.values.tolist()]
