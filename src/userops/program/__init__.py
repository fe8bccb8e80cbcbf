"""The program: the rules as data, loaded from one file, decided, run live."""

from __future__ import annotations

from userops.program.comparison import Change, WhatIf
from userops.program.decision import Decision, Outcome, Status
from userops.program.history import read_events
from userops.program.offers import CostDistribution, Pair, Parity, benefit_cost
from userops.program.program import Program
from userops.program.replaying import Replay
from userops.program.state import State

__all__ = [
    "Change",
    "CostDistribution",
    "Decision",
    "Outcome",
    "Pair",
    "Parity",
    "Program",
    "Replay",
    "State",
    "Status",
    "WhatIf",
    "benefit_cost",
    "read_events",
]
