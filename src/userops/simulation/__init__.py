"""A points budget as a distribution: a program's own rules run into the future of a population."""

from userops.simulation.calibration import Backtest, backtest, calibrate
from userops.simulation.forecast import Forecast, OverBudget, Tornado
from userops.simulation.plan import Plan
from userops.simulation.replications import SimulationFailed, Trace
from userops.simulation.studies import BreakingPoint, Comparison, Difference, PointsRun, Solution

__all__ = [
    "Backtest",
    "BreakingPoint",
    "Comparison",
    "Difference",
    "Forecast",
    "OverBudget",
    "Plan",
    "PointsRun",
    "SimulationFailed",
    "Solution",
    "Tornado",
    "Trace",
    "backtest",
    "calibrate",
]
