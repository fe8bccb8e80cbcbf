"""The moves of many members on columns give the tier that one member's walk gives, at any instant and side of it."""

import random
import sys
from datetime import timedelta
from pathlib import Path

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from userops.core.calendar import micros
from userops.errors import InvalidValue
from userops.tiers import Ladder, Tier, ValueEvent
from userops.tiers.moves import Side, moves_of

sys.path.insert(0, str(Path(__file__).parent))

from tier_cases import PLACES, draw_history, draw_ladder


def check_moves(seed):
    rng = random.Random(seed)
    zone, start, hours, days = rng.choice(PLACES)
    tick = timedelta(hours=hours)
    ladder, _, several = draw_ladder(rng, days > 100)
    ladder = attrs.evolve(ladder, timezone=zone)
    count = rng.randint(1, 5)
    histories = [
        [e for e in draw_history(rng, start, tick, days, several) if e[2] >= 0] for _ in range(count)
    ]
    kinds = [rng.choice(["owner", "fan"]) for _ in range(count)]
    joined = [start + tick * rng.randrange(40) for _ in range(count)]
    rows = [(m, *event) for m, history in enumerate(histories) for event in history]
    end = start + tick * int(days * 24 / hours)
    moves = moves_of(
        ladder,
        {
            "member": np.array([row[0] for row in rows], dtype=np.int64),
            "at": np.array([row[1].replace(tzinfo=None) for row in rows], dtype="datetime64[us]"),
            "metric": [row[2] for row in rows],
            "value": np.array([row[3] for row in rows], dtype=np.int64),
        },
        until=micros(end),
        records={
            "member": np.arange(count),
            "kind": np.array(kinds),
            "joined_at": np.array([at.replace(tzinfo=None) for at in joined], dtype="datetime64[us]"),
        },
    )
    for member, history in enumerate(histories):
        record = {"kind": kinds[member], "joined_at": joined[member]}
        instants = [start + tick * rng.randrange(int(days * 24 / hours)) for _ in range(4)]
        instants += [at for at, _, _ in rng.sample(history, min(4, len(history)))]
        # Where something falls due the sides differ: ask at the moves themselves.
        own = moves.key[moves.starts[member] : moves.starts[member + 1]] // 2
        epoch = np.datetime64(0, "us")
        instants += [
            (epoch + np.timedelta64(int(at), "us")).item().replace(tzinfo=start.tzinfo)
            for at in rng.sample(own.tolist(), min(4, len(own)))
        ]
        for at in instants:
            past = [value_event(e) for e in history if e[0] < at]
            here = [value_event(e) for e in history if e[0] <= at]
            expected = {
                Side.BEFORE: ladder.standing_before(past, at, record=record).tier,
                Side.WITH_VALUE: ladder.standing_before(here, at, record=record).tier,
                Side.AFTER: ladder.standing(here, at, record=record).tier,
            }
            for side, tier in expected.items():
                place = int(moves.at(np.array([member]), np.array([micros(at)]), side=side)[0])
                assert ladder.name(place) == tier, (side, at)


def value_event(event):

    return ValueEvent(event[0], event[2], metric=event[1])


@given(seed=st.integers(0, 2**63))
def test_moves_are_what_a_walk_passes_through(seed):
    check_moves(seed)


def test_members_are_numbered_and_take_nothing_back():

    ladder = Ladder(tiers=(Tier("a", at_least=1),))
    at = np.array([0], dtype="datetime64[us]")
    with pytest.raises(InvalidValue, match="numbered"):
        moves_of(
            ladder,
            {"member": np.array([3]), "at": at, "value": [1]},
            until=5,
            records={"member": np.array([3])},
        )
    with pytest.raises(InvalidValue, match="reversals"):
        moves_of(
            ladder,
            {"member": np.array([0]), "at": at, "value": [-1]},
            until=5,
            records={"member": np.array([0])},
        )
    nobody = moves_of(
        ladder,
        {"member": np.zeros(0, int), "at": at[:0], "value": np.zeros(0, int)},
        until=5,
        records={"member": np.zeros(0, int)},
    )
    assert len(nobody.at(np.zeros(0, dtype=int), np.zeros(0, dtype=int))) == 0
