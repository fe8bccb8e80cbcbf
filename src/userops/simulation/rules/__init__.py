"""What a program's own rules give for members' events, for all members at once."""

from __future__ import annotations

from userops.simulation.rules.asked import asked_points, prepare
from userops.simulation.rules.engine import grant, leave_out, value_of
from userops.simulation.rules.grants import PLACE_BITS, PLACES, Granted, Grants
from userops.simulation.rules.referrals import Credit, CreditColumns, credits_of, in_columns
from userops.simulation.rules.shared_limits import Bound, Shared
from userops.simulation.rules.standings import tier_names
from userops.simulation.rules.tiers import MonthTiers, month_tiers

__all__ = [
    "PLACES",
    "PLACE_BITS",
    "Bound",
    "Credit",
    "CreditColumns",
    "Granted",
    "Grants",
    "MonthTiers",
    "Shared",
    "asked_points",
    "credits_of",
    "grant",
    "in_columns",
    "leave_out",
    "month_tiers",
    "prepare",
    "tier_names",
    "value_of",
]
