"""What a ladder remembers changes nothing: it answers as one that was never asked before."""

import pickle
import random
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from userops.errors import InvalidValue
from userops.tiers import Ladder, Tier
from userops.tiers.memory import _MOST_MEMBERS

sys.path.insert(0, str(Path(__file__).parent))

from tier_cases import PLACES, draw_ladder


def check_growing(seed):
    """Let two members' histories grow, mostly in order, and ask before and after every event; count the asking."""
    rng = random.Random(seed)
    zone, start, hours, days = rng.choice(PLACES)
    tick = timedelta(hours=hours)
    ladder, _, _ = draw_ladder(rng, days > 100)
    ladder = attrs.evolve(ladder, timezone=zone)
    histories, now, asked = {0: (), 1: ()}, start, 0
    record = {"paused": [(start + 9 * tick, start + 30 * tick)]} if rng.random() < 0.2 else None
    for _ in range(12):
        who = rng.randrange(2)
        now += tick * rng.choice([0, 1, 1, 5, 40])
        at = now - tick * rng.choice([0, 0, 0, 0, 3])
        event = (at, rng.choice([10, 20, 30, 60, -10, -30, 0]))
        before, after = histories[who], (*histories[who], event)
        for history, then in ((before, now), (after, now), (after, now - tick), (after, now + 7 * tick)):
            fresh = attrs.evolve(ladder)
            for ask in ("standing", "standing_before"):
                found, expected = (getattr(one, ask)(history, then, record=record) for one in (ladder, fresh))
                assert found == expected, seed
                asked += 1
            # Backwards, the events of the instant are not the last, and everything is walked at once.
            whole = fresh.standing_before(history[::-1], then, record=record)
            assert whole == expected, seed
        histories[who] = after if rng.random() < 0.9 else before
    return asked


@given(st.integers(0, 2**40))
def test_a_growing_history_is_walked_on_as_if_anew(seed):
    assert check_growing(seed) == 96


CLUB = Ladder((Tier("a", at_least=0), Tier("b", at_least=20)))
DAYS = [datetime(2027, 1, day, tzinfo=UTC) for day in range(1, 20)]


@given(st.integers(0, 2**40))
def test_the_standing_before_an_instant_has_its_events_but_not_its_reviews(seed):
    rng = random.Random(seed)
    zone, start, hours, days = rng.choice(PLACES)
    tick = timedelta(hours=hours)
    ladder, _, _ = draw_ladder(rng, days > 100)
    ladder = attrs.evolve(ladder, timezone=zone)
    history = [(start + tick * rng.randrange(300), rng.choice([10, 20, 30, 60, -10])) for _ in range(12)]
    due = {change.at for change in ladder.timeline(history, start, start + tick * 600)}
    for at in sorted({*due, start + tick * rng.randrange(300)}):
        # One more event of no value lets everything that is due before `at` pass, and nothing of `at` itself.
        before = ladder.standing_before(history, at)
        earlier = [event for event in history if event[0] < at]
        if not any(event[0] == at for event in history):
            passed = ladder.standing(earlier, at - timedelta(microseconds=1))
            assert (before.tier, before.since, before.review_at) == (
                passed.tier,
                passed.since,
                passed.review_at,
            )
        else:
            # The events of the instant come first: a review of the instant would see their value.
            assert before.value == ladder.standing(history, at).value or ladder.decay is not None


def test_equal_is_not_always_the_same():
    good = [(day, 1) for day in DAYS[:6]]
    assert CLUB.standing(good, DAYS[10]).value == 6
    for bad in (True, 1.0):
        with pytest.raises(InvalidValue):
            CLUB.standing([*good[:5], (DAYS[5], bad)], DAYS[10])
        with pytest.raises(InvalidValue):
            CLUB.standing([*good, (DAYS[6], bad)], DAYS[10])


def test_a_walk_is_remembered_and_bounded():
    ladder = attrs.evolve(CLUB)
    for who in range(_MOST_MEMBERS + 5):
        history = [(DAYS[0], who + 1), *[(day, 1) for day in DAYS[1:5]]]
        ladder.standing(history, DAYS[6])
    assert len(ladder._memory._ways) == _MOST_MEMBERS


def test_memory_stays_at_home():
    ladder = attrs.evolve(CLUB)
    ladder.standing([(day, 1) for day in DAYS[:6]], DAYS[10])
    assert pickle.loads(pickle.dumps(ladder)) == ladder
    assert hash(pickle.loads(pickle.dumps(ladder))) == hash(ladder)


def test_threads_share_it():
    ladder, wrong = attrs.evolve(CLUB), []

    def ask(seed):
        rng = random.Random(seed)
        for _ in range(200):
            size = rng.randrange(4, 15)
            if ladder.standing([(day, 1) for day in DAYS[:size]], DAYS[15]).value != size:
                wrong.append(size)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
