"""Replay: the columnar engine of the ledger, exact to the point, for tens of millions of events."""

from __future__ import annotations

from userops.points.replaying.events import NEVER, Kind, Outcome
from userops.points.replaying.reading import read_columns
from userops.points.replaying.replay import replay
from userops.points.replaying.replayed import LotLeft, Replayed

__all__ = ["NEVER", "Kind", "LotLeft", "Outcome", "Replayed", "read_columns", "replay"]
