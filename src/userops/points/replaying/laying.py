"""Laying out lanes: the lots in spending order with a bit each, and the actions that lanes go through.

A lot is *preset* when it sorts behind every lot that its member earned before. Its bit is set from the
start: until it is earned, every living lot of the member sorts before it, so it is never met too early.
The others (earned out of order of expiry, or pending) are entered by an action of their own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import define
from numpy.typing import NDArray

from userops.points.replaying.events import Bools, EventColumns, Ints, Kind, Outcome
from userops.points.replaying.found import Found
from userops.points.replaying.grouping import Block, stable_order

#: Kinds of actions. A `REVERSE_SPEND` that is sound becomes a `GIVE_BACK`, which goes lot by lot.
SPEND, ENTER, REVERSE_EARN, REVERSE_SPEND, GIVE_BACK = range(5)
#: The longest row of actions a lane is meant to get, and the most lanes.
LANE_ACTIONS, MOST_LANES = 192, 16_384
_PENDING = np.int64(2**62)


@define(eq=False)
class Rows:
    """The rows of some members, laid end to end, with what lanes need of each."""

    row: Ints
    #: The member, by rank.
    rank: Ints
    kind: NDArray[np.int8]
    points: Ints
    #: When a spend or a reversal happens, and when a lot expires, from the first event on.
    time: Ints
    #: Places of the lots, in spending order member by member.
    lots: Ints
    #: Lots that become available after their earning: (place of the lot, place before which they do).
    pending: Ints
    appears: Ints


@define(eq=False)
class Lanes:
    """Everything that lanes read and write; slots number the lots, actions and parts are laid lane by lane."""

    # By slot.
    left: Ints
    expires: Ints
    slot_row: Ints
    words: NDArray[np.uint64]
    # By action; each lane ends with one that does nothing.
    kind: NDArray[np.int8]
    asked: Ints
    at: Ints
    earned: Ints
    #: What is undone or entered: a slot, or an action.
    target: Ints
    member: Ints
    opens: Bools
    outcome: NDArray[np.int8]
    action_row: Ints
    # By member: what was earned before them, and their first slot.
    member_earned: Ints
    member_slot: Ints
    # By lot, in spending order.
    lot_slot: Ints
    # By lane; `spare_word` is the first of the two empty words that end it.
    first: Ints
    last: Ints
    part_first: Ints
    part_limit: Ints
    spare_word: Ints
    has_reversals: bool


def rows_of(events: EventColumns, blocks: Sequence[Block], found: Found) -> Rows:
    """Join blocks, noting earns that could never be spent, and dropping them."""
    parts = [_block_rows(events, block, found) for block in blocks]
    lengths = np.cumsum([0, *(len(part.row) for part in parts)])
    ranks = np.cumsum([0, *(int(part.rank[-1]) + 1 if len(part.rank) else 0 for part in parts)])
    for part, offset, rank in zip(parts, lengths.tolist(), ranks.tolist(), strict=False):
        part.lots += offset
        part.pending += offset
        part.appears += offset
        part.rank += rank
    names = ("row", "rank", "kind", "points", "time", "lots", "pending", "appears")
    return Rows(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _block_rows(events: EventColumns, block: Block, found: Found) -> Rows:
    code = (block.value & 3).astype(np.int8)
    special = np.flatnonzero(code > 1)
    key, kind = block.key, code
    none = np.zeros(0, np.int64)
    if not len(special):
        return _sorted(events, block, kind, key, none, none)
    layout, rows = block.layout, block.row.take(special)
    real = events.kind.take(rows)
    base, last = block.member.take(special) << layout.time_bits, (1 << layout.time_bits) - 1
    is_earn = real == Kind.EARN
    available = events.at if events.available_at is None else events.available_at
    available = available[rows]
    expires = events.expires_at[rows]
    invalid = is_earn & (expires <= available)
    times = layout.expiry(np.where(is_earn, layout.expires_at[rows], events.at.take(rows)))
    key, kind = key.copy(), code
    key[special], kind[special] = base | times, real
    pending = np.flatnonzero(is_earn & ~invalid & (available > events.at.take(rows)))
    begins = none
    if len(pending):
        begin = np.minimum(available.take(pending), layout.first_time + last) - layout.first_time
        when = (block.member << layout.time_bits) | (events.at.take(block.row) - layout.first_time)
        begins = np.searchsorted(when, base.take(pending) | begin)
    if invalid.any():
        found.outcome[rows[invalid]] = Outcome.INVALID
        keep = np.ones(len(block), np.bool_)
        keep[special[invalid]] = False
        before = np.cumsum(keep) - keep
        kept = block.chosen(keep)
        # A member may be gone with these rows; nobody asks for it then.
        begins = np.append(before, len(kept)).take(begins)
        return _sorted(events, kept, kind[keep], key[keep], before.take(special.take(pending)), begins)
    return _sorted(events, block, kind, key, special.take(pending), begins)


def _sorted(
    events: EventColumns, block: Block, kind: NDArray[np.int8], key: Ints, pending: Ints, appears: Ints
) -> Rows:
    """Return the rows with their lots in spending order: expiry, availability, the earlier event."""
    lots = np.flatnonzero(kind == Kind.EARN)
    if len(pending):
        order = np.lexsort((events.available_at[block.row.take(lots)], key.take(lots)))  # type: ignore[index]
    else:
        order = np.argsort(key.take(lots), kind="stable")
    layout = block.layout
    rank = Block(block.row, key, block.value, layout).ranks()
    time = key & ((1 << layout.time_bits) - 1)
    return Rows(block.row, rank, kind, block.value >> 2, time, lots.take(order), pending, appears)


def lay_out(events: EventColumns, rows: Rows) -> Lanes | None:
    """Return the lanes of these rows; None when nobody does anything but earn."""
    is_entered = np.zeros(len(rows.row), np.bool_)
    order = np.empty(len(rows.row), np.int64)
    order[rows.lots] = np.arange(len(rows.lots))
    earns = np.flatnonzero(rows.kind == Kind.EARN)
    slot_in_order = order.take(earns)
    is_entered[earns] = slot_in_order < np.maximum.accumulate(slot_in_order) if len(earns) else False
    is_entered[rows.pending] = True
    place, entered = _action_places(rows, is_entered)
    if not len(place):
        return None
    member = rows.rank.take(place)
    lane_first = _cut(member)
    lane_member = member.take(lane_first)
    # Slots: a lane's lots begin with a word of their own, and two empty words end them.
    lot_lane = np.searchsorted(lane_member, rows.rank.take(rows.lots), side="right") - 1
    np.maximum(lot_lane, 0, out=lot_lane)
    lots_of_lane = np.bincount(lot_lane, minlength=len(lane_first))
    room = (lots_of_lane // 64 + 2) * 64
    slot = np.arange(len(rows.lots)) + (np.cumsum(room - lots_of_lane) - (room - lots_of_lane)).take(lot_lane)
    order[rows.lots] = slot
    return _filled(events, rows, order, is_entered, place, entered, lane_first, lots_of_lane, np.cumsum(room))


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


def _filled(
    events: EventColumns,
    rows: Rows,
    slot_of: Ints,
    is_entered: Bools,
    place: Ints,
    entered: Bools,
    lane_first: Ints,
    lots_of_lane: Ints,
    slot_end: Ints,
) -> Lanes:
    actions, lanes, slots = len(place), len(lane_first), int(slot_end[-1])
    lane = np.zeros(actions, np.int64)
    lane[lane_first[1:]] = 1
    np.cumsum(lane, out=lane)
    # Each lane ends with an action that does nothing: it asks for more than anybody has.
    at = np.arange(actions) + lane
    size = actions + lanes

    def spread(values: Ints, fill: int, dtype: type = np.int64) -> NDArray[np.generic]:
        made = np.full(size, fill, dtype)
        made[at] = values
        return made

    preset = np.where((rows.kind == Kind.EARN) & ~is_entered, rows.points, 0)
    earned = np.cumsum(preset)
    heads = np.append(0, np.flatnonzero(rows.rank[1:] != rows.rank[:-1]) + 1)
    slot_points, slot_expires, slot_row = (np.zeros(slots, np.int64) for _ in range(3))
    lot_slot = slot_of.take(rows.lots)
    slot_points[lot_slot] = rows.points.take(rows.lots)
    slot_expires[lot_slot] = rows.time.take(rows.lots)
    slot_row[lot_slot] = rows.row.take(rows.lots)
    first_lot = np.searchsorted(rows.rank.take(rows.lots), np.arange(len(heads)))
    action_kind = np.where(entered, ENTER, SPEND).astype(np.int8)
    target = np.where(entered, slot_of.take(place), 0)
    has_reversals = bool((rows.kind == Kind.REVERSE).any())
    outcome = np.zeros(actions, np.int8)
    if has_reversals:
        _aim(events, rows, place, entered, slot_of, at, action_kind, target, outcome)
    member = rows.rank.take(place)
    first = lane_first + np.arange(lanes)
    last = np.append(lane_first[1:], actions) + np.arange(lanes)
    spare = 3 * np.bincount(lane[action_kind > ENTER], minlength=lanes) if has_reversals else 0
    parts = (last - first) + lots_of_lane + spare + 8
    part_limit = np.cumsum(parts)
    return Lanes(
        left=slot_points,
        expires=slot_expires,
        slot_row=slot_row,
        words=_words(slot_of, is_entered, rows, slots),
        kind=spread(action_kind, SPEND, np.int8),  # type: ignore[arg-type]
        asked=spread(np.where(entered, 0, rows.points.take(place)), int(_PENDING)),  # type: ignore[arg-type]
        at=spread(np.where(entered, 0, rows.time.take(place)), 0),  # type: ignore[arg-type]
        earned=spread(earned.take(place), 0),  # type: ignore[arg-type]
        target=spread(target, 0),  # type: ignore[arg-type]
        member=spread(member, 0),  # type: ignore[arg-type]
        opens=spread(np.append(True, member[1:] != member[:-1]), 0, np.bool_),  # type: ignore[arg-type]
        outcome=spread(outcome, 0, np.int8),  # type: ignore[arg-type]
        action_row=spread(np.where(entered, -1, rows.row.take(place)), -1),  # type: ignore[arg-type]
        member_earned=earned.take(heads) - preset.take(heads),
        member_slot=np.append(lot_slot, slots - 1).take(first_lot),
        lot_slot=lot_slot,
        first=first,
        last=last,
        part_first=part_limit - parts,
        part_limit=part_limit,
        spare_word=(slot_end >> 6) - 2,
        has_reversals=has_reversals,
    )


def _words(slot_of: Ints, is_entered: Bools, rows: Rows, slots: int) -> NDArray[np.uint64]:
    """Return the bits of the preset lots."""
    bits = np.zeros(slots, np.uint8)
    bits[slot_of.take(rows.lots.compress(~is_entered.take(rows.lots)))] = 1
    return np.packbits(bits, bitorder="little").view("<u8").astype(np.uint64)


def _aim(
    events: EventColumns,
    rows: Rows,
    place: Ints,
    entered: Bools,
    slot_of: Ints,
    at: Ints,
    kind: NDArray[np.int8],
    target: Ints,
    outcome: NDArray[np.int8],
) -> None:
    """Find what each reversal undoes; one that undoes nothing known is an action that is refused."""
    reversals = np.flatnonzero(~entered & (rows.kind.take(place) == Kind.REVERSE))
    undone = events.undoes[rows.row.take(place.take(reversals))]  # type: ignore[index]
    # By row, the place here; what was never written is checked against the row that is there.
    place_of = np.empty(len(events), np.int32 if len(rows.row) < 2**31 else np.int64)
    place_of[rows.row] = np.arange(len(rows.row))
    goal = np.clip(place_of.take(undone), 0, len(rows.row) - 1)
    known = rows.row.take(goal) == undone
    goal_kind = rows.kind.take(goal)
    known &= (goal < place.take(reversals)) & (goal_kind != Kind.REVERSE)
    action_of = np.zeros(len(rows.row), np.int64)
    events_only = np.flatnonzero(~entered)
    action_of[place.take(events_only)] = at.take(events_only)
    is_earn = goal_kind == Kind.EARN
    kind[reversals] = np.where(is_earn, REVERSE_EARN, REVERSE_SPEND)
    target[reversals] = np.where(is_earn, slot_of.take(goal), action_of.take(goal))
    unknown = reversals[~known]
    outcome[unknown] = Outcome.UNKNOWN
