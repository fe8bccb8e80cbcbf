"""Replay a history of points: tens of millions of events, each member's lots spent first-expiring first."""

from __future__ import annotations

from os import PathLike
from typing import Any

from userops.points.replaying.events import event_columns
from userops.points.replaying.reading import read_columns
from userops.points.replaying.replayed import Replayed
from userops.points.replaying.routing import Path, replayed


def replay(columns: Any) -> Replayed:
    """Return what posting these events one by one into a ledger, in order of (at, row), would lead to.

    `columns` is a mapping of arrays, a structured array, a data frame (extra `frames`), or the path of a
    CSV or Parquet file (extra `frames`), with a row per event:

    - `member`: whole numbers, or names; `kind`: 0 or "earn", 1 or "spend", 2 or "reverse";
    - `points`: whole numbers of at least 1; a reversal may say 0 for all that is left of what it undoes;
    - `at`: int64 microseconds since 1970, datetime64 (taken as UTC), or aware datetimes;
    - `expires_at`, when lots expire: likewise; missing, or `NEVER` (2^63 − 1), when they do not;
    - `available_at`, when lots can be spent, if later than `at`; `fund`: numbers or names;
    - `undoes`: the row that a reversal undoes, an earn (its unspent points) or a spend (the same lots, the
      last one first; what has expired meanwhile expires at once).

    Nothing is refused as a whole but malformed columns (`InvalidValue`, naming the row): an event that a
    ledger would refuse has its reason in `outcome`.

    >>> from userops.points.replaying import NEVER
    >>> done = replay({
    ...     "member": ["u1", "u1", "u1"], "kind": ["earn", "earn", "spend"], "points": [10, 10, 15],
    ...     "at": [0, 1, 5], "expires_at": [9, 7, NEVER]})
    >>> done.allocations_of(2), done.balance("u1").available
    (((1, 10), (0, 5)), 5)
    """
    return replay_by(columns, Path.AUTO)


def replay_by(columns: Any, path: Path) -> Replayed:
    """Replay by one way only; the ways are equal, and tests hold them so."""
    if isinstance(columns, str | PathLike):
        columns = read_columns(columns)
    events = event_columns(columns)
    found = replayed(events, path)
    event, lot, points = found.allocations.close()
    left_lot, left_points = found.left.close()
    return Replayed(events, found.outcome, event, lot, points, left_lot, left_points)
