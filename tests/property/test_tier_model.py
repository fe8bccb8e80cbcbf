"""Standing and timeline against an independent simulation, tick by tick, on random ladders and histories."""

import os
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from userops.tiers import ValueEvent

sys.path.insert(0, str(Path(__file__).parent))

import tier_model as model
from tier_cases import PLACES, draw_history, draw_ladder


def check_case(seed):
    """Compare one random case; return the number of changes, for the search's own sake."""
    rng = random.Random(seed)
    zone, start, hours, days = rng.choice(PLACES)
    tick = timedelta(hours=hours)
    ladder, rules, several = draw_ladder(rng, days > 100)
    ladder = attrs.evolve(ladder, timezone=zone)
    rules.zone = zone
    events = draw_history(rng, start, tick, days, several)
    record = {}
    if rng.random() < 0.2:
        rules.joined = start + tick * rng.randrange(10)
        record["joined_at"] = rules.joined
    if rng.random() < 0.15:
        low = start + tick * rng.randrange(int(days * 86_400 / tick.total_seconds()))
        high = None if rng.random() < 0.2 else low + tick * rng.randrange(1, 200)
        rules.pauses = [(low, high)]
        record["paused"] = [(low, high)]
    end = start + tick * int(days * 86_400 / tick.total_seconds() * (1 - rng.random() ** 3))
    simulated = model.Model(rules, [e for e in events if e[0] <= end], tick, end)
    expected = simulated.run()
    history = [ValueEvent(at, value, metric) for at, metric, value in events]
    micro = timedelta(microseconds=1)
    found = ladder.timeline(history, datetime(2000, 1, 1, tzinfo=UTC), end + micro, record=record)
    got = [
        (c.at, -1 if c.was is None else int(c.was[1:]), -1 if c.to is None else int(c.to[1:]), str(c.why))
        for c in found
    ]
    assert got == expected, (seed, ladder, sorted(events), record)
    check_standing(ladder.standing(history, end, record=record), simulated, end, seed)
    return len(expected)


def check_standing(standing, simulated, end, seed):
    rules, mind, log = simulated.rules, simulated.mind, simulated.log
    assert standing.tier == (None if mind.tier < 0 else f"t{mind.tier}"), seed
    totals = simulated.totals(mind, simulated.counted, end)
    assert standing.value == totals["value"], seed
    moves = [at for at, was, to, _ in log if was != to]
    since = moves[-1] if moves else simulated.start if mind.tier >= 0 else None
    assert standing.since == (since if since is None or since <= end else None), seed
    judged = mind.grace
    if judged is None and rules.keep and mind.tier >= 0 and mind.anchor and simulated.can_fall(mind.tier):
        judged = None if mind.life else simulated.review(mind, mind.reviews)
    assert standing.review_at == (None if judged is None or judged >= model.NEVER else judged), seed
    above = mind.tier + 1
    if above < len(rules.tiers):
        assert standing.next_tier == f"t{above}"
        assert standing.missing == short(rules.tiers[above]["ways"], totals), seed
    else:
        assert (standing.next_tier, standing.missing) == (None, 0)
    if standing.review_at is not None and rules.decay is None:
        later = simulated.totals(mind, simulated.counted, judged, at_review=rules.keep is not None)
        assert standing.to_keep == short(rules.tiers[mind.tier]["ways"], later), seed


def short(ways, totals):
    """What is missing: a number of value alone, else by metric; nothing at all where one way is complete."""
    if ways[0].keys() == {"value"} and len(ways) == 1:
        return max(0, ways[0]["value"] - totals["value"])
    is_met = any(all(totals[m] >= n for m, n in way.items()) for way in ways)
    return {m: 0 if is_met else max(0, n - totals[m]) for way in ways for m, n in way.items()}


@given(st.integers(0, 2**40))
def test_timeline_is_the_simulated_one(seed):
    check_case(seed)


@pytest.mark.nightly
def test_ten_thousand_ladders_and_histories():
    """The long hunt: 10,000 random ladders × histories without a difference."""
    first = int(os.environ.get("TIER_MODEL_FIRST", "0"))
    count = int(os.environ.get("TIER_MODEL_COUNT", "10000"))
    changes = sum(check_case(seed) for seed in range(first, first + count))
    assert changes > count  # the cases are not empty ones
