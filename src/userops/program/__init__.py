"""The program: the rules as data, loaded from one file, decided, run live."""

# In reading order; each imports only what stands before it:
#   rules, rulebook  what a program file says, as values; decision: what comes of one event
#   reading, bounds  the file read, and refused where it could issue without end
#   milestones       what a referral scheme pays for; offers: what an order is promised
#   live             one event decided on a member's past, and posted
#   replay           a whole history at once, in columns
#   comparison       two programs over one history
#   program          what a user calls

from __future__ import annotations

from userops.program.comparison import Change, WhatIf
from userops.program.decision import Decision, Outcome, Status
from userops.program.live import State
from userops.program.offers import CostDistribution, Pair, Parity, benefit_cost
from userops.program.program import Program
from userops.program.replay import Replay, read_events

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
