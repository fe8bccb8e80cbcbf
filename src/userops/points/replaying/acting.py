"""What the rows of members ask to be done, in order: spends, reversals, and lots that must be entered.

A lot is *preset* when it sorts behind every lot that its member earned before. Until it is earned, every
living lot of the member sorts before it, so it is never met too early, and its earning is no action. The
others (earned out of order of expiry, or pending) are entered by an action of their own.
"""

from __future__ import annotations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from userops.points.replaying.events import Bools, EventColumns, Ints, Kind, Outcome
from userops.points.replaying.grouping import is_ascending, stable_order
from userops.points.replaying.rows import Rows

#: Kinds of actions. A `REVERSE_SPEND` that is sound becomes a `GIVE_BACK`, which goes lot by lot.
SPEND, ENTER, REVERSE_EARN, REVERSE_SPEND, GIVE_BACK = range(5)


@frozen(eq=False)
class Acts:
    """The actions of some rows."""

    rows: Rows
    #: By row: whether it is a lot that must be entered.
    is_entered: Bools
    #: Of each action, the place of its row, and whether it enters a lot.
    place: Ints
    entered: Bools
    #: Of each row that is an earn, the slot of its lot: its rank in spending order, until lanes move it.
    slot: Ints

    @classmethod
    def of(cls, rows: Rows) -> Acts:
        """Tell preset lots from others, and return the actions in order."""
        slot, is_entered = _ranks(rows), np.zeros(len(rows.row), np.bool_)
        earns = np.flatnonzero(rows.kind == Kind.EARN)
        if len(earns):
            order = slot.take(earns)
            is_entered[earns] = order < np.maximum.accumulate(order)
        is_entered[rows.pending] = True
        return cls(rows, is_entered, *_action_places(rows, is_entered), slot)

    @classmethod
    def asking(cls, rows: Rows) -> Acts:
        """Return the spends and reversals only."""
        is_entered, place = np.zeros(len(rows.row), np.bool_), np.flatnonzero(rows.kind != Kind.EARN)
        return cls(rows, is_entered, place, is_entered.take(place), _ranks(rows))

    def before(self, places: Ints) -> Ints:
        """Return how many rows that ask for something come before these places."""
        asks: Ints = np.cumsum(self.rows.kind != Kind.EARN)
        return asks.take(places)

    def preset(self) -> Ints:
        """Return, of each row, the points that it earns without an action."""
        rows = self.rows
        return np.where((rows.kind == Kind.EARN) & ~self.is_entered, rows.points, 0)


def _ranks(rows: Rows) -> Ints:
    """Return, of each row that is an earn, the rank of its lot in spending order."""
    rank = np.zeros(len(rows.row), np.int64)
    rank[rows.lots] = np.arange(len(rows.lots))
    return rank


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


def aims(events: EventColumns, acts: Acts, at: Ints) -> tuple[NDArray[np.int8], Ints, NDArray[np.int8]]:
    """Return each action's kind, what it is aimed at, and what became of it already.

    The aim is a slot, or an action: `at` says where each stands. A reversal of nothing known is refused here.
    """
    rows, place = acts.rows, acts.place
    kind = np.where(acts.entered, ENTER, SPEND).astype(np.int8)
    target = np.where(acts.entered, acts.slot.take(place), 0)
    outcome = np.zeros(len(place), np.int8)
    reversals = np.flatnonzero(~acts.entered & (rows.kind.take(place) == Kind.REVERSE))
    if events.undoes is None or not len(reversals):
        return kind, target, outcome
    undone = events.undoes[rows.row.take(place.take(reversals))]
    goal = _places_of(rows, undone, rows.rank.take(place.take(reversals)))
    goal_kind = rows.kind.take(goal)
    known = (rows.row.take(goal) == undone) & (goal < place.take(reversals)) & (goal_kind != Kind.REVERSE)
    action_of = np.zeros(len(rows.row), np.int64)
    own = np.flatnonzero(~acts.entered)
    action_of[place.take(own)] = at.take(own)
    is_earn = goal_kind == Kind.EARN
    kind[reversals] = np.where(is_earn, REVERSE_EARN, REVERSE_SPEND)
    target[reversals] = np.where(is_earn, acts.slot.take(goal), action_of.take(goal))
    outcome[reversals[~known]] = Outcome.UNKNOWN
    return kind, target, outcome


def undone_earns(rows: Rows, acts: Acts, undoing: Ints, aim: Ints) -> tuple[tuple[Ints, Ints, Ints], Ints]:
    """Return (the acts that undo earns, the lots, the points that are taken), and the acts that are not simple."""
    lot = aim.take(undoing)
    earned, asked = rows.points.take(rows.lots.take(lot)), rows.points.take(acts.place.take(undoing))
    is_twice = np.bincount(lot, minlength=len(rows.lots)).take(lot) > 1
    bad = is_twice | (asked > earned)
    is_alive = rows.times(rows.lots.take(lot)) > rows.times(acts.place.take(undoing))
    points = np.where(asked > 0, asked, earned) * (is_alive & ~bad)
    return (undoing, lot, points), undoing.compress(bad)


def _places_of(rows: Rows, wanted: Ints, rank: Ints) -> Ints:
    """Return where rows of members (by rank) would stand here; whether they are there is not said."""
    most = int(rows.row.max()) + 1
    key = rows.rank * most + rows.row
    order = None
    if not is_ascending(key):
        # The events were not given in order of time.
        order = np.argsort(key)
        key = key.take(order)
    found = np.minimum(np.searchsorted(key, rank * most + np.minimum(wanted, most - 1)), len(key) - 1)
    return found if order is None else order.take(found)
