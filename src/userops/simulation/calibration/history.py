"""History: who did what when, from events or a ledger, as a calibration needs it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import numpy as np
from attrs import define

from userops.core.calendar import micros
from userops.core.events import Event
from userops.errors import InvalidValue
from userops.points import Ledger
from userops.program.rules import CANCELLED, REDEEMED
from userops.simulation.columns import Array, Floats, Ints

#: A month of a history: a twelfth of a Gregorian year, in microseconds.
MONTH = 365.2425 / 12 * 86_400_000_000


@define(eq=False)
class History:
    """Events as columns: the member's number, the kind and the instant; spends stand by themselves."""

    members: tuple[str, ...]
    member: Ints
    kind: Array
    at: Floats
    #: Of each redemption with a known balance before it: the share of the balance that it took.
    shares: Floats

    @classmethod
    def of(cls, source: Any) -> History:
        """Read events, or the entries of a ledger."""
        if isinstance(source, Ledger):
            rows, shares = _rows_of_ledger(source)
        else:
            rows, shares = _rows_of_events(source), []
        if not rows:
            raise InvalidValue("the history is empty: nothing can be learnt from it")
        rows.sort(key=lambda row: (row[2], row[0], row[1]))
        names = tuple(dict.fromkeys(row[0] for row in rows))
        numbers = {name: k for k, name in enumerate(names)}
        return cls(
            names,
            np.array([numbers[row[0]] for row in rows], dtype=np.int64),
            np.array([row[1] for row in rows], dtype=object),
            np.array([row[2] for row in rows], dtype=float),
            np.array(shares, dtype=float),
        )

    def before(self, cut: datetime) -> History:
        """Return what happened before an instant."""
        return self._kept(self.at < micros(cut, "cut"))

    def _kept(self, kept: Array) -> History:
        return History(self.members, self.member[kept], self.kind[kept], self.at[kept], self.shares)

    @property
    def kinds(self) -> list[str]:
        """The kinds of events, redemptions aside."""
        return sorted({kind for kind in self.kind.tolist() if kind != REDEEMED})

    @property
    def is_done(self) -> Array:
        """Say of each event whether the member did something; redeeming and taking back are told apart."""
        late = [kind == REDEEMED or kind.endswith(CANCELLED) for kind in self.kind.tolist()]
        return ~np.array(late, dtype=bool)

    @property
    def is_first(self) -> Array:
        """Say of each event whether it is the first thing that its member did."""
        found = np.zeros(len(self.member), dtype=bool)
        done = np.flatnonzero(self.is_done)
        found[done[np.unique(self.member[done], return_index=True)[1]]] = True
        return found

    def lives(self, end: float) -> tuple[Ints, Array, Array, Array]:
        """Return of each member seen: its number, events after the first, months to the last, months observed.

        Months count from the member's first event.
        """
        done = self.is_done
        member, at = self.member[done], self.at[done]
        seen, start, place = np.unique(member, return_index=True, return_inverse=True)
        first = at[start]
        last = np.zeros(len(seen))
        np.maximum.at(last, place, at)
        repeats = np.bincount(place, minlength=len(seen)) - 1.0
        return seen, repeats, (last - first) / MONTH, (end - first) / MONTH


def _rows_of_events(source: Iterable[Any]) -> list[tuple[str, str, int]]:
    rows = []
    for event in source:
        if not isinstance(event, Event):
            raise InvalidValue(f"a history holds events, or is a Ledger; not {type(event).__name__}")
        rows.append((event.member, event.kind, micros(event.at)))
    return rows


def _rows_of_ledger(ledger: Ledger) -> tuple[list[tuple[str, str, int]], list[float]]:
    """Return an event once, whatever it led to, and the share of the balance that each spend took."""
    rows: dict[tuple[str, str, int], None] = {}
    shares: list[float] = []
    balance: dict[str, int] = {}
    for entry in ledger.entries():
        member = entry.members[0]
        moved = sum(
            leg.points for leg in entry.legs if leg.account == f"wallet:{member}" and leg.currency == "points"
        )
        if entry.kind == "spend" and balance.get(member, 0) > 0 and moved < 0:
            shares.append(min(1.0, -moved / balance[member]))
        balance[member] = balance.get(member, 0) + moved
        kind = (
            REDEEMED if entry.kind == "spend" else entry.command.reason or getattr(entry.command, "kind", "")
        )
        if entry.kind in ("earn", "spend", "note") and kind:
            rows[member, kind, micros(entry.at)] = None
    return list(rows), shares
