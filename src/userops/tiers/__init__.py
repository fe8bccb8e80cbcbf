"""Tiers: ladders, standing, timelines, benefits, and what if."""

from __future__ import annotations

from userops.tiers.benefits import Benefit
from userops.tiers.entitlements import Entitlements
from userops.tiers.history import Grant, ValueEvent
from userops.tiers.ladder import Ladder
from userops.tiers.policies import Crossing, Downgrade, Exponential, Grace, Keep, YearlyDeduction
from userops.tiers.reading import read_ladder
from userops.tiers.standing import Change, Standing, Timeline
from userops.tiers.standings import Standings
from userops.tiers.tier import Tier
from userops.tiers.truth import Restatement
from userops.tiers.what_if import Comparison, Distribution, Migration, compare, thresholds_for
from userops.tiers.windows import Anniversary, CalendarYear, Lifetime, Rolling
from userops.tiers.words import Reason, Why, describe

__all__ = [
    "Anniversary",
    "Benefit",
    "CalendarYear",
    "Change",
    "Comparison",
    "Crossing",
    "Distribution",
    "Downgrade",
    "Entitlements",
    "Exponential",
    "Grace",
    "Grant",
    "Keep",
    "Ladder",
    "Lifetime",
    "Migration",
    "Reason",
    "Restatement",
    "Rolling",
    "Standing",
    "Standings",
    "Tier",
    "Timeline",
    "ValueEvent",
    "Why",
    "YearlyDeduction",
    "compare",
    "describe",
    "read_ladder",
    "thresholds_for",
]
