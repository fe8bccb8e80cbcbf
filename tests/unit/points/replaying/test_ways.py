"""Which way a member goes, and the turns that each way takes."""

from __future__ import annotations

import numpy as np
import pytest

from userops.points.replaying import NEVER, Outcome, inverted, replay, routing
from userops.points.replaying.replay import replay_by
from userops.points.replaying.routing import Path

EARN, SPEND, REVERSE = range(3)


def history(*events):
    """Columns of one member, an event a time unit: (kind, points, expiry) or (REVERSE, points, row undone)."""
    kind, points, last = (list(column) for column in zip(*events, strict=True))
    return {
        "member": [7] * len(kind),
        "kind": kind,
        "points": points,
        "at": list(range(len(kind))),
        "expires_at": [NEVER if what else last[row] for row, what in enumerate(kind)],
        "undoes": [last[row] if what == REVERSE else -1 for row, what in enumerate(kind)],
    }


def allocations(done):
    return {
        row: done.allocations_of(row)
        for row in range(len(done))
        if done.columns.kind[row] and done.accepted[row]
    }


@pytest.fixture
def only_closed(monkeypatch):
    """Nobody may go through lanes or a plain loop."""

    def refuse(*_):
        raise AssertionError("not by the closed form")

    monkeypatch.setattr(routing, "replay_lanes", refuse)
    monkeypatch.setattr(routing, "replay_member", refuse)


@pytest.mark.usefixtures("only_closed")
def test_lots_out_of_order_and_simple_reversals_take_a_closed_form():
    done = replay(
        history(
            (EARN, 10, 90),
            (EARN, 10, 50),
            (SPEND, 12, 0),
            (REVERSE, 5, 2),
            (EARN, 7, 95),
            (REVERSE, 0, 4),
            (EARN, 3, 99),
            (SPEND, 14, 0),
        )
    )
    assert done.outcome.tolist() == [0] * 8
    assert allocations(done) == {
        2: ((1, 10), (0, 2)),
        3: ((0, 2), (1, 3)),
        5: ((4, 7),),
        7: ((1, 3), (0, 10), (6, 1)),
    }
    assert done.left().tolist() == [0, 0, 0, 0, 0, 0, 2, 0]


@pytest.mark.usefixtures("only_closed")
def test_heavy_members_are_tried_with_their_first_rows():
    cycles = 2 * inverted.TRIAL_ROWS
    done = replay(
        history(
            *(
                event
                for row in range(0, 3 * cycles, 3)
                for event in ((EARN, 2, 10**6 + row), (SPEND, 1, 0), (REVERSE, 0, row + 1))
            )
        )
    )
    assert int(done.accepted.sum()) == 3 * cycles


@pytest.mark.parametrize("path", [Path.AUTO, Path.CLOSED, Path.LANES, Path.PLAIN])
@pytest.mark.parametrize(
    ("events", "outcome", "taken"),
    [
        # What has expired meanwhile is given back and gone.
        ([(EARN, 5, 3), (EARN, 5, 9), (SPEND, 4, 0), (REVERSE, 0, 2), (SPEND, 5, 0), (SPEND, 1, 0)],
         [0, 0, 0, 0, 0, 1], {2: ((0, 4),), 3: ((0, 4),), 4: ((1, 5),)}),
        # A spend undone in two parts, then once more.
        ([(EARN, 9, 99), (EARN, 1, 50), (SPEND, 8, 0), (REVERSE, 3, 2), (REVERSE, 5, 2), (REVERSE, 0, 2)],
         [0, 0, 0, 0, 0, Outcome.OVER_REVERSED], {2: ((1, 1), (0, 7)), 3: ((0, 3),), 4: ((0, 4), (1, 1))}),
        # A spend undone after another.
        ([(EARN, 9, 99), (EARN, 4, 50), (SPEND, 6, 0), (SPEND, 5, 0), (REVERSE, 0, 2), (SPEND, 8, 0)],
         [0] * 6, {2: ((1, 4), (0, 2)), 3: ((0, 5),), 4: ((0, 2), (1, 4)), 5: ((1, 4), (0, 4))}),
        # An earn undone of which some is spent, and one that a spend has passed over.
        ([(EARN, 4, 50), (SPEND, 3, 0), (REVERSE, 0, 0), (EARN, 6, 60), (EARN, 2, 40), (SPEND, 1, 0), (REVERSE, 2, 4)],
         [0] * 7, {1: ((0, 3),), 2: ((0, 1),), 5: ((4, 1),), 6: ((4, 1),)}),
        # Nothing is taken from a lot that is not earned yet, though it stands first.
        ([(EARN, 3, 50), (SPEND, 3, 0), (SPEND, 1, 0), (EARN, 9, 60), (SPEND, 2, 0), (REVERSE, 0, 3)],
         [0, 0, 1, 0, 0, 0], {1: ((0, 3),), 4: ((3, 2),), 5: ((3, 7),)}),
        # A reversal of a refused spend, of a reversal, and of what comes later.
        ([(SPEND, 3, 0), (EARN, 3, 50), (REVERSE, 0, 0), (REVERSE, 0, 2), (REVERSE, 0, 5), (SPEND, 3, 0)],
         [1, 0, 3, 3, 3, 0], {5: ((1, 3),)}),
        # A lot undone as a whole lies between two that a spend takes.
        ([(EARN, 3, 50), (EARN, 8, 60), (REVERSE, 0, 1), (EARN, 3, 70), (SPEND, 5, 0), (SPEND, 2, 0)],
         [0, 0, 0, 0, 0, 1], {2: ((1, 8),), 4: ((0, 3), (3, 2))}),
    ],
)  # fmt: skip
def test_the_turns_that_are_rare(path, events, outcome, taken):
    done = replay_by(history(*events), path)
    assert done.outcome.tolist() == outcome
    assert allocations(done) == taken


def test_huge_amounts_are_exact_out_of_order_too():
    most = 2**61 + 5
    done = replay(
        history((EARN, most, 90), (EARN, most, 50), (SPEND, most + 1, 0), (REVERSE, 0, 2), (SPEND, 2**60, 0))
    )
    assert done.outcome.tolist() == [0] * 5
    assert allocations(done) == {2: ((1, most), (0, 1)), 3: ((0, 1), (1, most)), 4: ((1, 2**60),)}
    assert done.left().tolist() == [most, most - 2**60, 0, 0, 0]


def test_members_of_all_weights_are_shared_out_between_lanes_and_the_plain_loop(monkeypatch):
    rng = np.random.default_rng(3)
    rows = 60_000
    member = np.minimum(rng.zipf(1.3, rows), 2_000)
    columns = {
        "member": member,
        "kind": rng.integers(0, 2, rows),
        "points": rng.integers(1, 100, rows),
        "at": np.sort(rng.integers(0, 10**6, rows)),
        "expires_at": 10**6 + rng.integers(0, 10**6, rows),
    }
    went = {"lanes": 0, "plainly": 0}
    lanes, plainly = routing.replay_lanes, routing.replay_member

    def in_lanes(events, blocks, found):
        went["lanes"] += sum(map(len, blocks))
        return lanes(events, blocks, found)

    def one(events, of, found):
        went["plainly"] += len(of.row)
        plainly(events, of, found)

    monkeypatch.setattr(routing, "replay_lanes", in_lanes)
    monkeypatch.setattr(routing, "replay_member", one)
    done = replay(columns)
    assert min(went.values()) > 1_000
    other = replay_by(columns, Path.PLAIN)
    assert (done.outcome == other.outcome).all()
    assert (done.left() == other.left()).all()
    assert (
        np.bincount(done.event, done.points, rows).tolist()
        == np.bincount(other.event, other.points, rows).tolist()
    )
