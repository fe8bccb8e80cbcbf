"""Laying out lanes: the lots in spending order with a bit each, and the actions that lanes go through.

A lot is *preset* when it sorts behind every lot that its member earned before. Its bit is set from the
start: until it is earned, every living lot of the member sorts before it, so it is never met too early.
The others (earned out of order of expiry, or pending) are entered by an action of their own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from userops.points.replaying.events import Bools, EventColumns, Ints, Kind, Outcome
from userops.points.replaying.grouping import stable_order
from userops.points.replaying.rows import Rows

#: Kinds of actions. A `REVERSE_SPEND` that is sound becomes a `GIVE_BACK`, which goes lot by lot.
SPEND, ENTER, REVERSE_EARN, REVERSE_SPEND, GIVE_BACK = range(5)
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
    is_entered: Bools = field(init=False)
    #: Of each action, the place of its row, and whether it enters a lot.
    place: Ints = field(init=False)
    entered: Bools = field(init=False)
    #: Of each row that is an earn, the slot of its lot.
    slot: Ints = field(init=False)
    lane_first: Ints = field(init=False)
    lots_of_lane: Ints = field(init=False)
    slot_end: Ints = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Tell preset lots from others, and the actions in order."""
        rows = self.rows
        self.is_entered = np.zeros(len(rows.row), np.bool_)
        self.slot = np.zeros(len(rows.row), np.int64)
        self.slot[rows.lots] = np.arange(len(rows.lots))
        earns = np.flatnonzero(rows.kind == Kind.EARN)
        if len(earns):
            order = self.slot.take(earns)
            self.is_entered[earns] = order < np.maximum.accumulate(order)
        self.is_entered[rows.pending] = True
        self.place, self.entered = _action_places(rows, self.is_entered)

    def cut(self) -> None:
        """Cut the actions into lanes, and give every lot its slot."""
        rows, member = self.rows, self.rows.rank.take(self.place)
        self.lane_first = _cut(member)
        lane = np.searchsorted(member.take(self.lane_first), rows.rank.take(rows.lots), side="right") - 1
        np.maximum(lane, 0, out=lane)
        self.lots_of_lane = np.bincount(lane, minlength=len(self.lane_first))
        # A lane's lots begin with a word of their own, and two empty words end them.
        room = (self.lots_of_lane // 64 + 2) * 64
        self.slot_end = np.cumsum(room)
        free = room - self.lots_of_lane
        self.slot[rows.lots] = np.arange(len(rows.lots)) + (np.cumsum(free) - free).take(lane)


def lay_out(events: EventColumns, rows: Rows) -> Lanes | None:
    """Return the lanes of these rows; None when nobody does anything but earn."""
    plan = _Plan(rows)
    if not len(plan.place):
        return None
    plan.cut()
    return _filled(events, plan)


def _action_places(rows: Rows, is_entered: Bools) -> tuple[Ints, Bools]:
    """Return the actions in order, by the place of their row, and which of them enter a lot."""
    acts = rows.kind != Kind.EARN
    if not len(rows.pending):
        places = np.flatnonzero(acts | is_entered)
        return places, is_entered.take(places)
    at_once = is_entered.copy()
    at_once[rows.pending] = False
    places = np.flatnonzero(acts | at_once)
    both = np.concatenate([rows.pending, places])
    # A pending lot appears before whatever happens at the instant from which it is available.
    order = stable_order(np.concatenate([rows.appears, places]), max(1, len(rows.row).bit_length()))
    entered = np.concatenate([np.ones(len(rows.pending), np.bool_), at_once.take(places)])
    return both.take(order), entered.take(order)


def _cut(member: Ints) -> Ints:
    """Return the first action of each lane: cuts between members, as equal as they allow."""
    heads = np.append(0, np.flatnonzero(member[1:] != member[:-1]) + 1)
    lanes = max(1, min(len(member) // LANE_ACTIONS, MOST_LANES), min(len(heads), 64))
    wanted = np.arange(lanes) * len(member) // lanes
    return np.unique(heads.take(np.searchsorted(heads, wanted, side="right") - 1))


def _filled(events: EventColumns, plan: _Plan) -> Lanes:
    rows, place, entered = plan.rows, plan.place, plan.entered
    lanes, slots = len(plan.lane_first), int(plan.slot_end[-1])
    lane = np.zeros(len(place), np.int64)
    lane[plan.lane_first[1:]] = 1
    np.cumsum(lane, out=lane)
    # Each lane ends with an action that does nothing: what it asks for nobody has.
    at = np.arange(len(place)) + lane
    member = rows.rank.take(place)
    preset = np.where((rows.kind == Kind.EARN) & ~plan.is_entered, rows.points, 0)
    earned = np.cumsum(preset)
    heads = np.append(0, np.flatnonzero(rows.rank[1:] != rows.rank[:-1]) + 1)
    lot_slot = plan.slot.take(rows.lots)
    first_lot = np.searchsorted(rows.rank.take(rows.lots), np.arange(len(heads)))
    last = np.append(plan.lane_first[1:], len(place)) + np.arange(lanes)
    first = plan.lane_first + np.arange(lanes)
    kind, target, outcome = _aims(events, plan, at)
    # Reversals need more parts than actions and lots; a lane that runs out of them is replayed plainly.
    parts = (last - first) + plan.lots_of_lane + 3 * np.bincount(lane[kind > ENTER], minlength=lanes) + 8
    part_limit = np.cumsum(parts)
    opens = np.append(True, member[1:] != member[:-1])
    actions = np.zeros((len(place) + lanes, 4), np.int64)
    actions[:, ASKED] = _TOO_MUCH
    actions[at, ASKED] = np.where(entered, 0, rows.points.take(place))
    actions[at, AT] = np.where(entered, 0, rows.time.take(place))
    actions[at, EARNED] = earned.take(place)
    actions[at, FLAGS] = kind + OPENS * opens
    lots = np.zeros((slots, 2), np.int64)
    lots[lot_slot, LEFT] = rows.points.take(rows.lots)
    lots[lot_slot, EXPIRES] = rows.time.take(rows.lots)
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
    bits[plan.slot.take(lots.compress(~plan.is_entered.take(lots)))] = 1
    return np.packbits(bits, bitorder="little").view("<u8").astype(np.uint64)


def _aims(events: EventColumns, plan: _Plan, at: Ints) -> tuple[NDArray[np.int8], Ints, NDArray[np.int8]]:
    """Return each action's kind, what it is aimed at, and what became of it already.

    A reversal of nothing known is refused here.
    """
    rows, place = plan.rows, plan.place
    kind = np.where(plan.entered, ENTER, SPEND).astype(np.int8)
    target = np.where(plan.entered, plan.slot.take(place), 0)
    outcome = np.zeros(len(place), np.int8)
    reversals = np.flatnonzero(~plan.entered & (rows.kind.take(place) == Kind.REVERSE))
    if events.undoes is None or not len(reversals):
        return kind, target, outcome
    undone = events.undoes[rows.row.take(place.take(reversals))]
    # By row, the place here; what was never written is checked against the row that is there.
    place_of = np.empty(len(events), np.int32 if len(rows.row) < 2**31 else np.int64)
    place_of[rows.row] = np.arange(len(rows.row))
    goal = np.clip(place_of.take(undone), 0, len(rows.row) - 1)
    goal_kind = rows.kind.take(goal)
    known = (rows.row.take(goal) == undone) & (goal < place.take(reversals)) & (goal_kind != Kind.REVERSE)
    action_of = np.zeros(len(rows.row), np.int64)
    own = np.flatnonzero(~plan.entered)
    action_of[place.take(own)] = at.take(own)
    is_earn = goal_kind == Kind.EARN
    kind[reversals] = np.where(is_earn, REVERSE_EARN, REVERSE_SPEND)
    target[reversals] = np.where(is_earn, plan.slot.take(goal), action_of.take(goal))
    outcome[reversals[~known]] = Outcome.UNKNOWN
    return kind, target, outcome
