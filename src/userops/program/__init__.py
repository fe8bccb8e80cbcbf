"""The program: the rules as data, loaded from one file, decided, run live."""

from __future__ import annotations

from userops.program.decision import Decision, Outcome, Status
from userops.program.history import read_events
from userops.program.program import Program
from userops.program.state import State

__all__ = ["Decision", "Outcome", "Program", "State", "Status", "read_events"]
