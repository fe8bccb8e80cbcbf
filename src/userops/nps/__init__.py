"""NPS: from raw answers to a defensible comparison."""

from userops.nps.asking import nps
from userops.nps.calibration import post_stratify, rake
from userops.nps.comparison import Difference, difference
from userops.nps.groups import Groups
from userops.nps.scales import Scale
from userops.nps.scores import NPS
from userops.nps.weighting import WeightedNPS

__all__ = [
    "NPS",
    "Difference",
    "Groups",
    "Scale",
    "WeightedNPS",
    "difference",
    "nps",
    "post_stratify",
    "rake",
]
