"""Who the members of a replication are and what they do, drawn by chance."""

from __future__ import annotations

from userops.simulation.members.blocks import (
    PARTS,
    Block,
    Chunk,
    Crowd,
    by_part,
    crowd_of,
    gather,
    redeem_chances,
)
from userops.simulation.members.events import DrawnEvents, draw_data, rank_within
from userops.simulation.members.facts import (
    cancelled,
    evening,
    graph_of,
    happened,
    invitations_of,
    members_of,
    name_of,
    redemption,
    redemption_cancelled,
    row_of,
)
from userops.simulation.members.fields import columns_of
from userops.simulation.members.rows import Rows, chunk_sizes, group_at, make_rows, no_rows, sampled
from userops.simulation.members.timing import Timed, timed

__all__ = [
    "PARTS",
    "Block",
    "Chunk",
    "Crowd",
    "DrawnEvents",
    "Rows",
    "Timed",
    "by_part",
    "cancelled",
    "chunk_sizes",
    "columns_of",
    "crowd_of",
    "draw_data",
    "evening",
    "gather",
    "graph_of",
    "group_at",
    "happened",
    "invitations_of",
    "make_rows",
    "members_of",
    "name_of",
    "no_rows",
    "rank_within",
    "redeem_chances",
    "redemption",
    "redemption_cancelled",
    "row_of",
    "sampled",
    "timed",
]
