"""Segments: typical, complaining and seed users, lifecycle and value, each label with its reasons."""

from __future__ import annotations

from userops.core.conditions import F
from userops.segments.activity import ActiveStates, Funnel, Stickiness, active_states, funnel, stickiness
from userops.segments.assigning import Assignment
from userops.segments.cases import Case, CaseState
from userops.segments.changes import Changes, changes
from userops.segments.community import Activities, activities
from userops.segments.complaints import Complaints, Load, complaining_users, complaint_load
from userops.segments.distances import gower
from userops.segments.fairness import Audit, compensation_audit, service_audit
from userops.segments.gaps import Code
from userops.segments.identity import Identities, Merge, resolve
from userops.segments.labelling import Explanation, Label, label
from userops.segments.lifecycle import Flows, Lifecycle, Span, lifecycle
from userops.segments.loop import BrandRate, ClosedLoop, Loops
from userops.segments.medoids import medoids
from userops.segments.playbook import PRECEDENCE, Action, Playbook, outreach
from userops.segments.reaching import choose_seeds, coverage, verified_reach
from userops.segments.retaining import Retention, retention
from userops.segments.rfm import RFM, rfm, segment_map, standard_map
from userops.segments.rules import SegmentSet
from userops.segments.sbg import SBG, sbg
from userops.segments.seeds import SeedUsers, seed_users
from userops.segments.segment import Segment
from userops.segments.stages import Happening, LifecycleRules, Stage
from userops.segments.ties import Reach, Tie, Ties, circle_reach, tie_strength
from userops.segments.typical import Stratum, TypicalUsers, typical_users
from userops.segments.waiting import Share, Survival

__all__ = [
    "PRECEDENCE",
    "RFM",
    "SBG",
    "Action",
    "ActiveStates",
    "Activities",
    "Assignment",
    "Audit",
    "BrandRate",
    "Case",
    "CaseState",
    "Changes",
    "ClosedLoop",
    "Code",
    "Complaints",
    "Explanation",
    "F",
    "Flows",
    "Funnel",
    "Happening",
    "Identities",
    "Label",
    "Lifecycle",
    "LifecycleRules",
    "Load",
    "Loops",
    "Merge",
    "Playbook",
    "Reach",
    "Retention",
    "SeedUsers",
    "Segment",
    "SegmentSet",
    "Share",
    "Span",
    "Stage",
    "Stickiness",
    "Stratum",
    "Survival",
    "Tie",
    "Ties",
    "TypicalUsers",
    "active_states",
    "activities",
    "changes",
    "choose_seeds",
    "circle_reach",
    "compensation_audit",
    "complaining_users",
    "complaint_load",
    "coverage",
    "funnel",
    "gower",
    "label",
    "lifecycle",
    "medoids",
    "outreach",
    "resolve",
    "retention",
    "rfm",
    "sbg",
    "seed_users",
    "segment_map",
    "service_audit",
    "standard_map",
    "stickiness",
    "tie_strength",
    "typical_users",
    "verified_reach",
]
