"""Lanes: many members at a time, each lane one small action a step, the steps as operations on whole arrays.

What a lane's member has is `earned − gone`: earned is known beforehand, gone grows as points are spent or
found expired. The first lot to spend is the lowest set bit of the lane's current word. So a step looks at
one lot of each lane: it drops it when it has expired, or pays from it, or refuses the spend.
"""

from __future__ import annotations

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from userops.points.replaying.acting import ENTER, GIVE_BACK, REVERSE_EARN, REVERSE_SPEND, SPEND
from userops.points.replaying.events import Bools, EventColumns, Ints, Outcome
from userops.points.replaying.found import Found
from userops.points.replaying.grouping import Block
from userops.points.replaying.laying import (
    ASKED,
    AT,
    EARNED,
    EXPIRES,
    FLAGS,
    KIND,
    LEFT,
    OPENS,
    Lanes,
    lay_out,
)
from userops.points.replaying.rows import Rows, rows_of

#: Steps between two looks at which lanes are done.
_STEPS = 8
_ONE = np.uint64(1)
_ALL = np.uint64(2**64 - 1)


def replay_lanes(events: EventColumns, blocks: list[Block], found: Found) -> list[Rows]:
    """Replay the members of these blocks; return the rows of each member left undone for want of room."""
    rows = rows_of(events, blocks, found)
    lanes = lay_out(events, rows) if len(rows.row) else None
    if lanes is None:
        found.left.append(rows.row.take(rows.lots), rows.points.take(rows.lots))
        return []
    run = _Run(lanes)
    run.to_the_end()
    failed = run.collect(found)
    lot_rank = rows.rank.take(rows.lots)
    slot = lanes.lot_slot.compress(~np.isin(lot_rank, failed)) if len(failed) else lanes.lot_slot
    left = lanes.lots[slot, LEFT]
    found.left.append(lanes.slot_row.take(slot.compress(left > 0)), left.compress(left > 0))
    return [rows.of(rank) for rank in failed.tolist()]


@define(eq=False)
class _Run:
    """Lanes on their way."""

    lanes: Lanes
    #: By lane still under way: its number, action, word, points gone, and place of the next part.
    lane: Ints = field(init=False)
    place: Ints = field(init=False)
    word: Ints = field(init=False)
    gone: Ints = field(init=False)
    part: Ints = field(init=False)
    #: By part: the action, the slot, the points, and of these what no reversal has given back.
    part_action: Ints = field(init=False)
    part_slot: Ints = field(init=False)
    part_points: Ints = field(init=False)
    part_rest: Ints = field(init=False)
    #: By action: the part that a reversal would give back next; what was asked; what has been undone.
    head: Ints = field(init=False)
    asked: Ints = field(init=False)
    undone: Ints = field(init=False)
    #: By slot: what of the earn has been undone, and what it was.
    earn_undone: Ints = field(init=False)
    earn_points: Ints = field(init=False)
    #: Views of the lanes' tables: whole rows, and single columns.
    action_records: NDArray[np.void] = field(init=False)
    lot_records: NDArray[np.void] = field(init=False)
    asking: Ints = field(init=False)
    left: Ints = field(init=False)
    #: By lane: where its parts end, and whether it ran out of room for them.
    end: Ints = field(init=False)
    failed: Bools = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Put every lane before its first action."""
        lanes = self.lanes
        count, parts = len(lanes.first), int(lanes.part_limit[-1])
        self.lane, self.place = np.arange(count), lanes.first.copy()
        self.word, self.gone = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self.part, self.end = lanes.part_first.copy(), lanes.part_first.copy()
        self.part_action, self.part_slot, self.part_points = (np.empty(parts, np.int64) for _ in range(3))
        self.failed = np.zeros(count, np.bool_)
        self.action_records = lanes.actions.view("V32").reshape(-1)
        self.lot_records = lanes.lots.view("V16").reshape(-1)
        self.asking, self.left = lanes.actions[:, ASKED], lanes.lots[:, LEFT]
        if lanes.has_reversals:
            self.part_rest = np.empty(parts, np.int64)
            self.head, self.undone = (np.zeros(len(lanes.actions), np.int64) for _ in range(2))
            self.asked, self.earn_points = self.asking.copy(), self.left.copy()
            self.earn_undone = np.zeros(len(self.left), np.int64)

    def to_the_end(self) -> None:
        """Step until every lane is done."""
        last, limit = self.lanes.last, self.lanes.part_limit
        while len(self.lane):
            for _ in range(_STEPS):
                self._step(last)
            full = self.part + _STEPS > limit if self.lanes.has_reversals else None
            under_way = self.place < last
            if full is not None:
                self.failed[self.lane[full & under_way]] = True
                under_way &= ~full
            if not under_way.all():
                self.end[self.lane] = self.part
                keep = np.flatnonzero(under_way)
                last, limit = last.take(keep), limit.take(keep)
                for name in ("lane", "place", "word", "gone", "part"):
                    setattr(self, name, getattr(self, name).take(keep))

    def _step(self, last: Ints) -> None:
        lanes, place = self.lanes, self.place
        action = self.action_records.take(place).view(np.int64).reshape(-1, 4)
        special = np.flatnonzero(action[:, FLAGS])
        done = self._specials(special, action) if len(special) else None
        is_spend = (action[:, FLAGS] & KIND) == SPEND
        wanted = action[:, ASKED]
        word = lanes.words.take(self.word)
        lowest = word & (~word + _ONE)
        slot = (self.word << 6) + np.bitwise_count(lowest - _ONE)
        lot = self.lot_records.take(slot).view(np.int64).reshape(-1, 2)
        points = lot[:, LEFT]
        enough = action[:, EARNED] - self.gone >= wanted
        enough &= is_spend
        is_set = word != 0
        meets = enough & is_set
        expired = lot[:, EXPIRES] <= action[:, AT]
        pays = meets & ~expired
        part = np.minimum(points, wanted)
        part *= pays
        self.gone += part
        expired &= meets
        self.gone += points * expired
        self.left[slot] = points - part
        self.asking[place] = wanted - part
        drops = expired | (pays & (part == points))
        lanes.words[self.word] = word ^ (lowest * drops)
        self.part_action[self.part], self.part_slot[self.part] = place, slot
        self.part_points[self.part] = part
        if lanes.has_reversals:
            self.part_rest[self.part] = part
            self.head[place] = self.part
        self.part += pays
        self.word += enough & ~is_set
        refused = is_spend & ~enough
        lanes.outcome[place.compress(refused)] = Outcome.INSUFFICIENT
        moves = refused | (pays & (part == wanted))
        if done is not None:
            moves[done] = True
        self.place += moves
        np.minimum(self.place, last, out=self.place)

    def _open(self, opening: Ints) -> None:
        """Begin with another member: nothing of theirs is gone, and earlier members' bits are cleared."""
        lanes, place = self.lanes, self.place.take(opening)
        lanes.actions[place, FLAGS] &= KIND
        member = lanes.member.take(place)
        self.gone[opening] = lanes.member_earned.take(member)
        slot = lanes.member_slot.take(member)
        # One without lots gets an empty word of the lane's own.
        word = np.minimum(slot >> 6, lanes.spare_word.take(self.lane.take(opening)))
        self.word[opening] = word
        lanes.words[word] &= _ALL << (slot & 63).astype(np.uint64)

    def _specials(self, special: Ints, action: Ints) -> Ints:
        """Open members and take steps other than spends; return the lanes that are done with their action."""
        lanes, flags, done = self.lanes, action[special, FLAGS], []
        opening = special.compress(flags >= OPENS)
        if len(opening):
            self._open(opening)
        kind = flags & KIND
        special, kind = special.compress(kind > 0), kind.compress(kind > 0)
        entering = special.compress(kind == ENTER)
        if len(entering):
            slot = lanes.target.take(self.place.take(entering))
            points = self.left[slot]
            self.gone[entering] -= points
            self._set_bits(entering, slot, points > 0)
            done.append(entering)
        if lanes.has_reversals:
            known = lanes.outcome.take(self.place.take(special)) == 0
            done.append(special.compress(~known))
            special, kind = special.compress(known), kind.compress(known)
            done.append(self._undo_earns(special.compress(kind == REVERSE_EARN)))
            # First those under way, so that one which begins now gives back from the next step on.
            done.append(self._give_back(special.compress(kind == GIVE_BACK), action))
            done.append(self._undo_spends(special.compress(kind == REVERSE_SPEND), action))
        return np.concatenate(done) if done else special

    def _set_bits(self, lanes: Ints, slot: Ints, chosen: Bools) -> None:
        word = slot >> 6
        self.lanes.words[word] |= chosen.astype(np.uint64) << (slot & 63).astype(np.uint64)
        self.word[lanes] = np.where(chosen, np.minimum(self.word.take(lanes), word), self.word.take(lanes))

    def _is_alive(self, slot: Ints, place: Ints) -> Bools:
        alive: Bools = self.lanes.lots[slot, EXPIRES] > self.lanes.actions[place, AT]
        return alive

    def _is_set(self, slot: Ints) -> Bools:
        bit = self.lanes.words.take(slot >> 6) >> (slot & 63).astype(np.uint64)
        return (bit & _ONE).astype(np.bool_)

    def _note(self, lanes: Ints, slot: Ints, points: Ints) -> None:
        part = self.part.take(lanes)
        self.part_action[part], self.part_slot[part] = self.place.take(lanes), slot
        self.part_points[part] = points
        self.part[lanes] = part + (points > 0)

    def _undo_earns(self, lanes_on: Ints) -> Ints:
        lanes, place = self.lanes, self.place.take(lanes_on)
        slot, asked = lanes.target.take(place), self.asking[place]
        rest = self.earn_points.take(slot) - self.earn_undone.take(slot)
        wanted = np.where(asked > 0, asked, rest)
        over = (rest < 1) | (wanted > rest)
        lanes.outcome[place[over]] = Outcome.OVER_REVERSED
        points = self.left[slot]
        is_alive = self._is_alive(slot, place)
        taken = np.minimum(wanted, points) * (is_alive & ~over)
        self.earn_undone[slot] += taken
        self.left[slot] = points - taken
        is_set = self._is_set(slot)
        self.gone[lanes_on] += taken * is_set
        clears = is_set & (taken > 0) & (taken == points)
        lanes.words[slot >> 6] ^= clears.astype(np.uint64) << (slot & 63).astype(np.uint64)
        self._note(lanes_on, slot, taken)
        return lanes_on

    def _undo_spends(self, lanes_on: Ints, action: Ints) -> Ints:
        """Check reversals of spends; the sound ones give back from now on. Return the lanes that are done."""
        lanes, place = self.lanes, self.place.take(lanes_on)
        target, asked = lanes.target.take(place), self.asking[place]
        known = lanes.outcome.take(target) == Outcome.ACCEPTED
        rest = self.asked.take(target) - self.undone.take(target)
        wanted = np.where(asked > 0, asked, rest)
        over = known & ((rest < 1) | (wanted > rest))
        sound = known & ~over
        lanes.outcome[place[~known]] = Outcome.UNKNOWN
        lanes.outcome[place[over]] = Outcome.OVER_REVERSED
        self.undone[target] += wanted * sound
        going = lanes_on.compress(sound)
        self.asking[place.compress(sound)] = action[going, ASKED] = wanted.compress(sound)
        lanes.actions[place.compress(sound), FLAGS] = GIVE_BACK
        return lanes_on.compress(~sound)

    def _give_back(self, lanes_on: Ints, action: Ints) -> Ints:
        lanes, place = self.lanes, self.place.take(lanes_on)
        target, wanted = lanes.target.take(place), self.asking[place]
        head = self.head.take(target)
        there, slot = self.part_rest.take(head), self.part_slot.take(head)
        points = np.minimum(there, wanted)
        self.part_rest[head] = there - points
        self.head[target] = head - (points == there)
        self.left[slot] += points
        self.asking[place] = action[lanes_on, ASKED] = wanted - points
        is_alive = self._is_alive(slot, place)
        # A lot that has expired but was not yet met still counts as had; it is dropped with all it has then.
        self.gone[lanes_on] -= points * (is_alive | self._is_set(slot))
        self._set_bits(lanes_on, slot, is_alive)
        self._note(lanes_on, slot, points)
        return lanes_on.compress(points == wanted)

    def collect(self, found: Found) -> Ints:
        """Give outcomes and allocations; return the members of lanes that failed, of whom nothing is given."""
        lanes = self.lanes
        action_lane = np.searchsorted(lanes.first, np.arange(len(lanes.actions)), side="right") - 1
        keep = ~self.failed.take(action_lane) & (lanes.action_row >= 0)
        found.outcome[lanes.action_row[keep]] = lanes.outcome[keep]
        length = np.where(self.failed, 0, self.end - lanes.part_first)
        offset = np.cumsum(length) - length
        used = np.arange(int(length.sum())) + np.repeat(lanes.part_first - offset, length)
        found.allocations.append(
            lanes.action_row.take(self.part_action.take(used)),
            lanes.slot_row.take(self.part_slot.take(used)),
            self.part_points.take(used),
        )
        return np.unique(lanes.member[self.failed.take(action_lane)])
