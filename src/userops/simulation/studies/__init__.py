"""Questions to a plan: variants side by side, the largest grant that keeps a promise, a run on points."""

from __future__ import annotations

from userops.simulation.studies.compare import Comparison, Difference
from userops.simulation.studies.solve import Solution, solve_for
from userops.simulation.studies.stress import BreakingPoint, PointsRun, find_breaking_point, stressed

__all__ = [
    "BreakingPoint",
    "Comparison",
    "Difference",
    "PointsRun",
    "Solution",
    "find_breaking_point",
    "solve_for",
    "stressed",
]
