"""A plan's numbers from what members did, and a test of that on the past."""

from __future__ import annotations

from userops.simulation.calibration.backtest import Backtest, backtest
from userops.simulation.calibration.calibrate import calibrate

__all__ = ["Backtest", "backtest", "calibrate"]
