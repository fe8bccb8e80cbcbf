"""A points budget as a distribution: a program's own rules run into the future of a population."""

# In reading order; each imports only what stands before it:
#   columns       what a simulation counts in
#   inputs        the plan file and its program: distributions, behaviour, population, clock, rulebook
#   members       who they are and what they do, drawn
#   rules         what the program gives for that
#   balances      lots, redeemed and expired
#   passes        a block of members through the months: by days, by months, or event by event into a ledger
#   replications  many of these, in any executor; and a small one traced
#   forecast      what they came to: series, liability, tables, charts
#   studies       compare, solve, stress
#   plan          what a user calls
#   calibration   a plan's numbers from history, and a backtest

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
