"""What members hold: lots that are redeemed and expire, month by month."""

from __future__ import annotations

from userops.simulation.balances.lots import AHEAD, Lots, Taken
from userops.simulation.balances.propensity import WHOLE, Propensity
from userops.simulation.balances.redemptions import Redemptions

__all__ = ["AHEAD", "WHOLE", "Lots", "Propensity", "Redemptions", "Taken"]
