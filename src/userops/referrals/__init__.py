"""Referrals: one forest for money, ripple and abuse, with schemes whose cost is proven."""

from __future__ import annotations

from userops.core.commands import Clawback
from userops.referrals.abuse import bursts, dense_blocks, fresh_stars, kickbacks, shared_components
from userops.referrals.certificate import Certificate
from userops.referrals.credits import Credits, Line, Refused, Status
from userops.referrals.graph import ReferralGraph
from userops.referrals.invitations import Binding, Invitation, Refusal, Reject, Touch
from userops.referrals.journeys import Attribution, Journeys
from userops.referrals.mechanisms import geometric_tree, own_spend_reward, recursive_halving
from userops.referrals.reading import read_referral
from userops.referrals.review import Review, Signal, State, open_reviews
from userops.referrals.ripple import Ripple
from userops.referrals.scheme import Scheme, credit_all
from userops.referrals.share import IncrementalCost, ReferralShare, cost_per_incremental, referral_share
from userops.referrals.spread import Offspring, growth, k_factor, offspring, reach_limit
from userops.referrals.terms import Conversion, Levels, Split, Vest

__all__ = [
    "Attribution",
    "Binding",
    "Certificate",
    "Clawback",
    "Conversion",
    "Credits",
    "IncrementalCost",
    "Invitation",
    "Journeys",
    "Levels",
    "Line",
    "Offspring",
    "ReferralGraph",
    "ReferralShare",
    "Refusal",
    "Refused",
    "Reject",
    "Review",
    "Ripple",
    "Scheme",
    "Signal",
    "Split",
    "State",
    "Status",
    "Touch",
    "Vest",
    "bursts",
    "cost_per_incremental",
    "credit_all",
    "dense_blocks",
    "fresh_stars",
    "geometric_tree",
    "growth",
    "k_factor",
    "kickbacks",
    "offspring",
    "open_reviews",
    "own_spend_reward",
    "reach_limit",
    "read_referral",
    "recursive_halving",
    "referral_share",
    "shared_components",
]
