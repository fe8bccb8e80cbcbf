"""Where the points of every fund were at several instants: what `funding` says of each, from one reading."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence

from attrs import define, field

from userops.points.history import Standing, is_lots_account
from userops.points.reports import Rows, add_flows, as_it_was, no_rows
from userops.points.values import NEVER, Entry, FundingRow


def fundings(
    entries: Iterable[Entry], instants: Sequence[int], known_at: int | None = None
) -> list[tuple[FundingRow, ...]]:
    """Return the rows at each of ascending instants.

    Each change counts from the first of the instants that it is not after; lots are alive at those before they
    end as all entries up to the last instant tell (`History.changes` says why that is enough).
    """
    found = _Changes(instants)
    for entry, at in as_it_was(entries, instants[-1], known_at):
        found.add(entry, at)
    found.add_lots()
    found.add_holds()
    return found.rows()


@define
class _Changes:
    """What changes in the rows from each of the instants on."""

    instants: Sequence[int]
    changes: dict[int, Rows] = field(factory=lambda: defaultdict(no_rows))
    standing: Standing = field(factory=Standing)
    #: Of each lot, (place of the instant, change of what is left).
    moves: dict[str, list[tuple[int, int]]] = field(factory=lambda: defaultdict(list))
    #: Of each lot, the place of the first instant at which it has ended.
    ends: dict[str, int] = field(factory=dict)

    def add(self, entry: Entry, at: int) -> None:
        self.standing.add(entry, at)
        place = self.place(at)
        rows, granted = self.changes[place], self.standing.granted
        add_flows(rows, granted, entry)
        for account, _, points, lot in entry.bare_legs:
            if lot in granted and is_lots_account(account):
                self.moves[lot].append((place, points))
        for _, fund, points in entry.debts:
            rows[fund, entry.currency]["debt"] += points

    def place(self, at: int) -> int:
        return bisect_left(self.instants, at)

    def add_lots(self) -> None:
        standing, ends = self.standing, self.standing.moved()
        for id_, lot in standing.granted.items():
            key, end = (lot.fund, lot.currency), self.place(ends.get(id_, NEVER))
            self.ends[id_], alive = end, 0
            self.changes[self.place(standing.starts[id_])][key]["issued"] += (
                lot.original if lot.is_issue else 0
            )
            for place, points in self.moves[id_]:
                if place < end:
                    alive += points
                self.changes[place][key]["outstanding" if place < end else "expired"] += points
            self._expire(key, end, alive)

    def add_holds(self) -> None:
        for hold in self.standing.holds.values():
            resolved = NEVER if hold.resolved_at is None else hold.resolved_at
            start, until = self.place(hold.at), self.place(min(hold.expires_at or NEVER, resolved))
            for id_, points in hold.allocations:
                if id_ in self.ends:
                    lot, first = self.standing.granted[id_], max(start, self.ends[id_])
                    if first < until:
                        self._expire((lot.fund, lot.currency), first, -points)
                        self._expire((lot.fund, lot.currency), until, points)

    def _expire(self, key: tuple[str, str], place: int, points: int) -> None:
        """Let points be expired from an instant on, or outstanding again when they are negative."""
        if points and place < len(self.instants):
            row = self.changes[place][key]
            row["outstanding"] -= points
            row["expired"] += points

    def rows(self) -> list[tuple[FundingRow, ...]]:
        totals, found = no_rows(), []
        for place in range(len(self.instants)):
            for key, changes in self.changes[place].items():
                for column, points in changes.items():
                    totals[key][column] += points
            found.append(
                tuple(
                    FundingRow(fund=fund, currency=currency, **row)
                    for (fund, currency), row in sorted(totals.items())
                )
            )
        return found
