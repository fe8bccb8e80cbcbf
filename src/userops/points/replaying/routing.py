"""Which members go which way: the closed form, lanes, or plain Python."""

from __future__ import annotations

import enum
import itertools

import numpy as np
from attrs import define, field

from userops.points.replaying.closed import closed_form
from userops.points.replaying.events import FAST_TOTAL, EventColumns, Ints, Kind
from userops.points.replaying.found import Found
from userops.points.replaying.grouping import Block, blocks
from userops.points.replaying.inverted import inverted_form
from userops.points.replaying.lanes import replay_lanes
from userops.points.replaying.laying import LANE_ACTIONS
from userops.points.replaying.plain import replay_member
from userops.points.replaying.rows import rows_of

#: Rows that lanes take at a time, and from how many rows on a member waits for the others as heavy as that.
LANE_ROWS, HEAVY_ROWS = 1 << 18, 512
#: What a member costs a plain loop beside its rows, and what a step of all lanes costs beside theirs: as many
#: rows as in plain Python take that much longer than in lanes.
MEMBER_ROWS, STEP_ROWS = 1_200, 600


class Path(enum.Enum):
    """The ways to replay a member; AUTO takes the fastest that is right, the others are for tests."""

    AUTO = "auto"
    #: The closed form where it is right, and plain Python elsewhere.
    CLOSED = "closed"
    LANES = "lanes"
    PLAIN = "plain"


@define(eq=False)
class _Waiting:
    """Blocks that wait for others, so that lanes are many."""

    blocks: list[Block] = field(factory=list)
    rows: int = 0

    def add(self, block: Block) -> None:
        self.blocks.append(block)
        self.rows += len(block)

    def take(self) -> list[Block]:
        taken, self.blocks, self.rows = self.blocks, [], 0
        return taken


def replayed(events: EventColumns, path: Path) -> Found:
    """Replay checked columns."""
    found = Found.of(len(events), int(np.count_nonzero(events.kind == Kind.EARN)))
    if path is Path.AUTO and len(events) and int(events.points.max()) > FAST_TOTAL // len(events):
        # Their sum may be beyond what the fast paths can add up.
        path = Path.PLAIN
    light, heavy = _Waiting(), _Waiting()
    # With more rows than this no lane is worth its steps, whoever the others are.
    most = max(HEAVY_ROWS, len(events) // STEP_ROWS)
    for block in blocks(events):
        rest = block if path in (Path.LANES, Path.PLAIN) else closed_form(block, found)
        if rest is None:
            continue
        if path in (Path.AUTO, Path.CLOSED):
            rest = inverted_form(events, rest, found)
        if rest is None:
            continue
        if path in (Path.PLAIN, Path.CLOSED):
            _plainly(events, rest, found, are_huge=path is Path.PLAIN)
            continue
        if path is Path.AUTO:
            rest, heaviest = _by_weight(rest, most)
            if heaviest is not None:
                _plainly(events, heaviest, found)
        for some, waiting in zip(_by_weight(rest, HEAVY_ROWS), (light, heavy), strict=True):
            if some is not None:
                waiting.add(some)
        if light.rows >= LANE_ROWS:
            _in_lanes(events, light.take(), path, found)
    for waiting in (light, heavy):
        if waiting.rows:
            _in_lanes(events, waiting.take(), path, found)
    return found


def _by_weight(block: Block | None, most: int) -> tuple[Block | None, Block | None]:
    """Return the members with at most so many rows and those with more."""
    if block is None:
        return None, None
    rank = block.ranks()
    is_heavy = np.bincount(rank) > most
    if not is_heavy.any():
        return block, None
    if is_heavy.all():
        return None, block
    rows = is_heavy.take(rank)
    return block.chosen(~rows), block.chosen(rows)


def _plainly(events: EventColumns, block: Block, found: Found, *, are_huge: bool = False) -> None:
    """Replay a block member by member; huge amounts do not fit into the values of a block."""
    member = block.member
    heads = [0, *(np.flatnonzero(member[1:] != member[:-1]) + 1).tolist(), len(block)]
    for start, end in itertools.pairwise(heads):
        rows = rows_of(events, [block.between(start, end)], found)
        if len(rows.row):
            if are_huge:
                rows.points = events.points.take(rows.row)
            replay_member(events, rows, found)


def _without_heaviest(events: EventColumns, waiting: list[Block], found: Found) -> list[Block]:
    """Replay the heaviest members in plain Python, and return the others."""
    sizes = [np.bincount(block.ranks()) for block in waiting]
    bound = _most_rows(np.concatenate(sizes))
    kept = []
    for block, size in zip(waiting, sizes, strict=True):
        heavy = size > bound
        if not heavy.any():
            kept.append(block)
            continue
        rows = heavy.take(block.ranks())
        _plainly(events, block.chosen(rows), found)
        if not heavy.all():
            kept.append(block.chosen(~rows))
    return kept


def _most_rows(sizes: Ints) -> int:
    """Return up to how many rows members had best go in lanes, so that all of them together take least time."""
    heaviest = np.sort(sizes)[::-1]
    plainly = np.append(0, np.cumsum(heaviest + MEMBER_ROWS))
    # The heaviest member left decides how many steps lanes take.
    in_lanes = np.append(np.maximum(heaviest, LANE_ACTIONS) * STEP_ROWS, 0)
    best = int(np.argmin(plainly + in_lanes))
    return int(heaviest[best]) if best < len(heaviest) else 0


def _in_lanes(events: EventColumns, waiting: list[Block], path: Path, found: Found) -> None:
    if path is not Path.LANES:
        waiting = _without_heaviest(events, waiting, found)
    if waiting:
        for undone in replay_lanes(events, waiting, found):
            replay_member(events, undone, found)
