"""Grants, late truth and restatements against asking `standing` at every instant that matters."""

import itertools
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
from hypothesis import given
from hypothesis import strategies as st

from userops.tiers import Grant, ValueEvent

sys.path.insert(0, str(Path(__file__).parent))

from tier_cases import PLACES, draw_history, draw_ladder

MICRO = timedelta(microseconds=1)


def draw(seed):
    rng = random.Random(seed)
    zone, start, hours, days = rng.choice(PLACES)
    tick = timedelta(hours=hours)
    ladder, _, several = draw_ladder(rng, days > 100)
    ladder = attrs.evolve(ladder, timezone=zone)
    steps = int(days * 86_400 / tick.total_seconds())
    history = [
        ValueEvent(
            at, value, metric, recorded_at=at + tick * rng.randrange(steps) if rng.random() < 0.3 else None
        )
        for at, metric, value in draw_history(rng, start, tick, days, several)
    ]
    grants = []
    for _ in range(rng.randint(0, 3)):
        low = start + tick * rng.randrange(steps)
        high = None if rng.random() < 0.3 else low + tick * rng.randrange(1, steps)
        grants.append(Grant(rng.choice([*ladder.names, "honour"]), low, high))
    return rng, ladder, history, grants, start, start + tick * steps, tick


@given(st.integers(0, 2**40))
def test_a_grant_gives_the_higher_tier_and_the_timeline_says_the_same(seed):
    rng, ladder, history, grants, start, end, tick = draw(seed)
    timeline = ladder.timeline(history, start - tick, end, grants=grants)
    instants = {change.at for change in timeline} | {grant.start for grant in grants}
    instants |= {grant.end for grant in grants if grant.end} | {
        start + tick * rng.randrange(50) for _ in range(3)
    }
    for at in sorted(instants):
        for then in (at - MICRO, at):
            if not start <= then < end:
                continue
            standing = ladder.standing(history, then, grants=grants)
            earned = ladder.standing(history, then)
            active = [g for g in grants if g.start <= then and (g.end is None or then < g.end)]
            places = [-1 if name is None else ladder.index(name) for name in [earned.tier]]
            places += [ladder.index(g.tier_or_badge) for g in active if g.tier_or_badge != "honour"]
            assert standing.tier == ladder.name(max(places))
            assert standing.earned == earned.tier
            assert standing.badges == (
                ("honour",) if any(g.tier_or_badge == "honour" for g in active) else ()
            )
            moved = [change for change in timeline if change.at <= then and change.was != change.to]
            base = ladder.standing([], start - tick).tier
            assert standing.tier == (moved[-1].to if moved else base)
            if moved:
                assert standing.since == moved[-1].at
    for earlier, later in itertools.pairwise(timeline):
        assert earlier.to == later.was
        assert earlier.at <= later.at


@given(st.integers(0, 2**40))
def test_what_was_known_then_is_a_history_without_the_rest(seed):
    rng, ladder, history, grants, start, end, tick = draw(seed)
    known = start + tick * rng.randrange(1, int((end - start) / tick))
    part = [event for event in history if (event.recorded_at or event.at) <= known]
    assert ladder.standing(history, end, known_at=known, grants=grants) == ladder.standing(
        part, end, grants=grants
    )
    told = ladder.timeline(history, start, end, known_at=known, grants=grants)
    assert told == ladder.timeline(part, start, end, grants=grants)


@given(st.integers(0, 2**40))
def test_restatements_are_where_belief_and_truth_differ(seed):
    rng, ladder, history, grants, start, end, tick = draw(seed)
    found = ladder.restate(history, grants=grants)
    late = max((e.recorded_at for e in history if e.recorded_at and e.recorded_at > e.at), default=None)
    # A difference lies between an event and the last late record: ask on ticks all the way.
    assert all(one.believed != one.true and one.start < one.end <= late for one in found)
    assert all(a.end <= b.start for a, b in itertools.pairwise(found))
    if late is None:
        return
    for _ in range(25):
        at = (
            rng.choice([e.recorded_at or e.at for e in history])
            if rng.random() < 0.4
            else start + tick * rng.randrange(int((end - start) / tick))
        )
        at -= rng.choice([0, 1]) * MICRO
        # The truth is what is known by the last late record.
        then = [e for e in history if e.at <= late]
        if at >= late or at < min(e.at for e in history):
            continue
        true = ladder.standing(then, at, grants=grants).tier
        believed = ladder.standing(history, at, known_at=at, grants=grants).tier
        inside = [one for one in found if one.start <= at < one.end]
        assert bool(inside) == (true != believed)
        if inside:
            assert (inside[0].believed, inside[0].true) == (believed, true)


def test_the_search_finds_differences():
    """The property above is not vacuous: many drawn cases have something to restate."""
    assert sum(bool(ladder.restate(history)) for _, ladder, history, *_ in map(draw, range(60))) >= 10


def test_a_lately_known_first_event_moves_the_anniversary():
    from userops.tiers import Anniversary, Ladder, Tier

    ladder = Ladder((Tier("a", at_least=0), Tier("b", at_least=10)), window=Anniversary())
    early = ValueEvent(datetime(2027, 1, 1, tzinfo=UTC), 0, recorded_at=datetime(2027, 9, 1, tzinfo=UTC))
    history = [early, (datetime(2027, 6, 1, tzinfo=UTC), 10)]
    at = datetime(2028, 2, 1, tzinfo=UTC)
    assert ladder.standing(history, at).tier == "a"
    assert ladder.standing(history, at, known_at=datetime(2027, 8, 1, tzinfo=UTC)).tier == "b"
