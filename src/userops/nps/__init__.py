"""NPS: from raw answers to a defensible comparison."""

from userops.nps.advocacy import Advocacy, advocacy
from userops.nps.asking import nps
from userops.nps.calibration import post_stratify, rake
from userops.nps.changes import Change
from userops.nps.comparison import Difference, difference
from userops.nps.groups import Groups
from userops.nps.planning import required_n, required_n_to_detect
from userops.nps.reports import nps_of_csv
from userops.nps.scales import Scale
from userops.nps.scores import NPS
from userops.nps.shifts import Shift
from userops.nps.trends import Trend, trend
from userops.nps.weighting import WeightedNPS

__all__ = [
    "NPS",
    "Advocacy",
    "Change",
    "Difference",
    "Groups",
    "Scale",
    "Shift",
    "Trend",
    "WeightedNPS",
    "advocacy",
    "difference",
    "nps",
    "nps_of_csv",
    "post_stratify",
    "rake",
    "required_n",
    "required_n_to_detect",
    "trend",
]
