"""A replay: a whole history under a program at once, in columns, with the live path's figures."""

from __future__ import annotations

from userops.program.replay.event_file import read_events
from userops.program.replay.history import history_of
from userops.program.replay.replay import Replay, replay

__all__ = ["Replay", "history_of", "read_events", "replay"]
