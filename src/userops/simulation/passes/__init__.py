"""Ways of a block of members through the months: by days, by months, or event by event into a ledger."""

from __future__ import annotations

from userops.simulation.passes.block_pass import Passed, passed, passed_by_the_clock, passed_freely
from userops.simulation.passes.flows import FLOWS, RETURNED, Flows, outstanding
from userops.simulation.passes.usage import Usage, period_codes

__all__ = [
    "FLOWS",
    "RETURNED",
    "Flows",
    "Passed",
    "Usage",
    "outstanding",
    "passed",
    "passed_by_the_clock",
    "passed_freely",
    "period_codes",
]
