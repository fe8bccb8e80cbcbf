"""What the replications came to: series and chances, money owed, tables and charts."""

from __future__ import annotations

from userops.simulation.forecast.figures import STOCKS, OverBudget, Tornado, short
from userops.simulation.forecast.forecast import Forecast
from userops.simulation.forecast.simulate import make_forecast

__all__ = ["STOCKS", "Forecast", "OverBudget", "Tornado", "make_forecast", "short"]
