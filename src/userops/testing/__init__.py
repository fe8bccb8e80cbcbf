"""Testing: law checks and Hypothesis strategies for a team's own rules."""

from __future__ import annotations

from userops.testing.books import Books, Story, Turn
from userops.testing.checking import Coverage, check_condition, check_program
from userops.testing.laws import LAWS
from userops.testing.strategies import events, members

__all__ = [
    "LAWS",
    "Books",
    "Coverage",
    "Story",
    "Turn",
    "check_condition",
    "check_program",
    "events",
    "members",
]
