"""Laying out lanes: the lots in spending order with a bit each, and the actions that lanes go through.

The bits of preset lots are set from the start; those of the others when their action enters them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from userops.points.replaying.acting import ENTER, Acts, aims
from userops.points.replaying.events import EventColumns, Ints
from userops.points.replaying.rows import Rows

#: Beside its kind, an action says whether it is the first of its member.
KIND, OPENS = 7, 8
#: Columns of an action: when, what was earned by then, what it asks for, and its kind.
AT, EARNED, ASKED, FLAGS = range(4)
#: Columns of a lot.
LEFT, EXPIRES = range(2)
#: The longest row of actions a lane is meant to get, and the most lanes.
LANE_ACTIONS, MOST_LANES = 32, 8_192
#: More than anybody has.
_TOO_MUCH = 2**62


@define(eq=False)
class Lanes:
    """Everything that lanes read and write; slots number the lots, actions and parts are laid lane by lane."""

    #: By slot, in rows of (LEFT, EXPIRES), so that one fetch brings both.
    lots: Ints
    slot_row: Ints
    words: NDArray[np.uint64]
    #: In rows of (AT, EARNED, ASKED, FLAGS); each lane ends with one that does nothing.
    actions: Ints
    #: What is undone or entered: a slot, or an action.
    target: Ints
    member: Ints
    outcome: NDArray[np.int8]
    action_row: Ints
    #: By member: what was earned before them, and their first slot.
    member_earned: Ints
    member_slot: Ints
    #: By lot, in spending order.
    lot_slot: Ints
    #: By lane: its first and last action, where its parts begin and must end, and the first of the two
    #: empty words that end it.
    first: Ints
    last: Ints
    part_first: Ints
    part_limit: Ints
    spare_word: Ints
    has_reversals: bool


@define(eq=False)
class _Plan:
    """Where everything comes to stand."""

    rows: Rows
    acts: Acts
    lane_first: Ints = field(init=False)
    lots_of_lane: Ints = field(init=False)
    slot_end: Ints = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Cut the actions into lanes, and give every lot its slot."""
        rows, member = self.rows, self.rows.rank.take(self.acts.place)
        self.lane_first = _cut(member)
        lane = np.searchsorted(member.take(self.lane_first), rows.rank.take(rows.lots), side="right") - 1
        np.maximum(lane, 0, out=lane)
        self.lots_of_lane = np.bincount(lane, minlength=len(self.lane_first))
        # A lane's lots begin with a word of their own, and two empty words end them.
        room = (self.lots_of_lane // 64 + 2) * 64
        self.slot_end = np.cumsum(room)
        free = room - self.lots_of_lane
        self.acts.slot[rows.lots] = np.arange(len(rows.lots)) + (np.cumsum(free) - free).take(lane)


def lay_out(events: EventColumns, rows: Rows) -> Lanes | None:
    """Return the lanes of these rows; None when nobody does anything but earn."""
    acts = Acts.of(rows)
    return _filled(events, _Plan(rows, acts)) if len(acts.place) else None


def _cut(member: Ints) -> Ints:
    """Return the first action of each lane: cuts between members, as equal as they allow."""
    heads = np.append(0, np.flatnonzero(member[1:] != member[:-1]) + 1)
    lanes = max(1, min(len(member) // LANE_ACTIONS, MOST_LANES), min(len(heads), 64))
    wanted = np.arange(lanes) * len(member) // lanes
    return np.unique(heads.take(np.searchsorted(heads, wanted, side="right") - 1))


def _filled(events: EventColumns, plan: _Plan) -> Lanes:
    rows, acts = plan.rows, plan.acts
    place, entered = acts.place, acts.entered
    lanes, slots = len(plan.lane_first), int(plan.slot_end[-1])
    lane = np.zeros(len(place), np.int64)
    lane[plan.lane_first[1:]] = 1
    np.cumsum(lane, out=lane)
    # Each lane ends with an action that does nothing: what it asks for nobody has.
    at = np.arange(len(place)) + lane
    member = rows.rank.take(place)
    preset = acts.preset()
    earned = np.cumsum(preset)
    heads = np.append(0, np.flatnonzero(rows.rank[1:] != rows.rank[:-1]) + 1)
    lot_slot = plan.acts.slot.take(rows.lots)
    first_lot = np.searchsorted(rows.rank.take(rows.lots), np.arange(len(heads)))
    last = np.append(plan.lane_first[1:], len(place)) + np.arange(lanes)
    first = plan.lane_first + np.arange(lanes)
    kind, target, outcome = aims(events, acts, at)
    # Reversals need more parts than actions and lots; a lane that runs out of them is replayed plainly.
    parts = (last - first) + plan.lots_of_lane + 3 * np.bincount(lane[kind > ENTER], minlength=lanes) + 8
    part_limit = np.cumsum(parts)
    opens = np.append(True, member[1:] != member[:-1])
    actions = np.zeros((len(place) + lanes, 4), np.int64)
    actions[:, ASKED] = _TOO_MUCH
    actions[at, ASKED] = np.where(entered, 0, rows.points.take(place))
    actions[at, AT] = np.where(entered, 0, rows.times(place))
    actions[at, EARNED] = earned.take(place)
    actions[at, FLAGS] = kind + OPENS * opens
    lots = np.zeros((slots, 2), np.int64)
    lots[lot_slot, LEFT] = rows.points.take(rows.lots)
    lots[lot_slot, EXPIRES] = rows.times(rows.lots)
    return Lanes(
        lots=lots,
        slot_row=_spread(rows.row.take(rows.lots), lot_slot, slots),
        words=_words(plan, slots),
        actions=actions,
        target=_spread(target, at, len(actions)),
        member=_spread(member, at, len(actions)),
        outcome=_spread(outcome, at, len(actions)),
        action_row=_spread(np.where(entered, -1, rows.row.take(place)), at, len(actions), -1),
        member_earned=earned.take(heads) - preset.take(heads),
        member_slot=np.append(lot_slot, slots - 1).take(first_lot),
        lot_slot=lot_slot,
        first=first,
        last=last,
        part_first=part_limit - parts,
        part_limit=part_limit,
        spare_word=(plan.slot_end >> 6) - 2,
        has_reversals=bool((kind > ENTER).any()),
    )


def _spread(values: NDArray[Any], at: Ints, size: int, fill: int = 0) -> NDArray[Any]:
    made = np.full(size, fill, values.dtype)
    made[at] = values
    return made


def _words(plan: _Plan, slots: int) -> NDArray[np.uint64]:
    """Return the bits of the preset lots."""
    bits, lots = np.zeros(slots, np.uint8), plan.rows.lots
    bits[plan.acts.slot.take(lots.compress(~plan.acts.is_entered.take(lots)))] = 1
    return np.packbits(bits, bitorder="little").view("<u8").astype(np.uint64)
