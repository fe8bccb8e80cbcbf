"""A points budget as a distribution: a program's own rules run into the future of a population."""

from userops.simulation.calibrating import Backtest, backtest, calibrate
from userops.simulation.executing import SimulationFailed
from userops.simulation.figures import OverBudget, Tornado
from userops.simulation.forecast import Forecast
from userops.simulation.plan import Plan
from userops.simulation.stress import BreakingPoint, PointsRun
from userops.simulation.studies import Comparison, Difference, Solution
from userops.simulation.trace import Trace

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
