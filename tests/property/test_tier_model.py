"""Standing and timeline against an independent simulation, tick by tick, on random ladders and histories."""

import os
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tests.property.tier_model as model
from userops.core.conditions import F
from userops.tiers import (
    Anniversary,
    CalendarYear,
    Downgrade,
    Exponential,
    Grace,
    Keep,
    Ladder,
    Lifetime,
    Rolling,
    Tier,
    ValueEvent,
    YearlyDeduction,
)

#: (zone, start, tick in hours): year turns, leap days, month ends and changes of clocks lie inside the spans.
PLACES = [
    ("UTC", datetime(2027, 12, 20, tzinfo=UTC), 6, 500),
    ("Asia/Shanghai", datetime(2028, 2, 20, 16, tzinfo=UTC), 8, 400),
    ("America/New_York", datetime(2024, 2, 20, 5, tzinfo=UTC), 1, 45),
    ("Australia/Lord_Howe", datetime(2024, 3, 25, 13, tzinfo=UTC), 0.5, 20),
    ("UTC", datetime(2027, 1, 29, tzinfo=UTC), 24, 1200),
]


def draw_ladder(rng, long):
    """Return (ladder, model rules, metrics) of one random set of rules."""
    count = rng.choice([1, 2, 3, 3, 4, 4])
    several = rng.random() < 0.2
    levels = sorted(rng.sample(range(1, rng.choice([6, 13])), count))
    if rng.random() < 0.6:
        levels[0] = 0
    tiers, plain = [], []
    for place, level in enumerate(levels):
        need = level * 10
        name = f"t{place}"
        is_open = rng.random() < 0.85 or place == 0
        years = 1 if rng.random() < 0.1 else None
        life = rng.random() < 0.08
        more = {"requires": None if is_open else F("kind") == "owner"}
        more |= {"lifetime": True} if life else {"lifetime_after_years": years}
        if several and level:
            ways, key = ({"value": need, "referrals": level}, "all_of") if rng.random() < 2 else ({}, "")
            tiers.append(Tier(name, **{key: ways}, **more))
            ways = [ways]
        else:
            tiers.append(Tier(name, at_least=need, **more))
            ways = [{"value": need}]
        plain.append(dict(name=name, ways=ways, open=is_open, lifetime=life, years=None if life else years))
    spans = [(1, 0), (2, 0), (0, 20), (12, 0)] if long else [(0, 3), (0, 7), (1, 0)]
    kind = rng.choice(["lifetime", "rolling", "rolling", "rolling", "calendar", "anniversary"])
    months, days = rng.choice(spans)
    window = {
        "lifetime": Lifetime(),
        "rolling": Rolling(months=months) if months else Rolling(days=days),
        "calendar": CalendarYear(),
        "anniversary": Anniversary(),
    }[kind]
    keep = None
    if rng.random() < 0.75:
        months_kept, days_kept = rng.choice(spans)
        keep = (months_kept, days_kept, "month_end" if rng.random() < 0.4 else None)
    grace = rng.choice([None, None, 2, 10, 40] if long else [None, 1, 3])
    downgrade = rng.choice(["never", "one_step", "one_step", "to_earned", "to_earned"])
    decay = None
    if rng.random() < 0.15:
        decay = ("yearly", {f"t{rng.randrange(count)}": rng.choice([5, 30])})
    elif rng.random() < 0.1 and keep is not None and not long:
        decay = ("half", rng.choice([1, 3]))
    cap = None
    if rng.random() < 0.2:
        cap = rng.choice([15, {"t0": 10}, {f"t{count - 1}": 0, "t0": 25}])
    ladder = Ladder(
        tiers=tuple(tiers),
        window=window,
        keep=keep and Keep(**({"months": keep[0]} if keep[0] else {"days": keep[1]}), until=keep[2]),
        grace=grace and Grace(days=grace),
        downgrade=Downgrade(downgrade),
        decay=None
        if decay is None
        else YearlyDeduction(decay[1])
        if decay[0] == "yearly"
        else Exponential(half_life_months=decay[1]),
        daily_cap=cap,
        timezone="UTC",
    )
    rules = model.Rules(
        tiers=plain,
        window=(kind, months, days) if kind == "rolling" else (kind,),
        keep=keep,
        downgrade=downgrade,
        grace=grace,
        decay=decay,
        cap=cap,
    )
    return ladder, rules, several


def draw_history(rng, start, tick, days, several):
    events = []
    steps = int(days / tick.total_seconds() * 86_400)
    for _ in range(rng.choice([0, 1, 3, 8, 15, 25])):
        at = start + tick * rng.randrange(steps)
        if events and rng.random() < 0.3:
            # Near what a length of a rule leads to: boundaries are where rules break.
            near = rng.choice(events)[0] + timedelta(
                days=rng.choice([0, 1, 3, 7, 20, 28, 29, 30, 31, 60, 365, 366])
            )
            near += tick * rng.choice([-1, 0, 0, 1])
            at = near if start <= near < start + tick * steps else at
        metric = "referrals" if several and rng.random() < 0.4 else "value"
        value = rng.choice([5, 10, 20, 30, 40, 60, 100, 130, 0])
        value = value // 10 + 1 if metric == "referrals" else value
        events.append((at, metric, value))
        if rng.random() < 0.25:
            later = at + tick * rng.randrange(0, max(1, steps - int((at - start) / tick)))
            events.append((later, metric, -rng.choice([value, value, value // 2, value + 7])))
        if rng.random() < 0.1:
            events.append((at, metric, value))
    rng.shuffle(events)
    return events


def check_case(seed):
    """Compare one random case; return the number of changes, for the search's own sake."""
    import attrs

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
        (way,) = rules.tiers[above]["ways"]
        short = {m: max(0, n - totals[m]) for m, n in way.items()}
        if all(totals[m] >= n for m, n in way.items()):
            short = dict.fromkeys(way, 0)
        assert standing.next_tier == f"t{above}"
        assert (standing.missing if len(way) > 1 else {"value": standing.missing}) == short, seed
    else:
        assert (standing.next_tier, standing.missing) == (None, 0)
    if standing.review_at is not None and rules.decay is None:
        (way,) = rules.tiers[mind.tier]["ways"]
        later = simulated.totals(mind, simulated.counted, judged, at_review=rules.keep is not None)
        short = {m: max(0, n - later[m]) for m, n in way.items()}
        assert (standing.to_keep if len(way) > 1 else {"value": standing.to_keep}) == short, seed


@given(st.integers(0, 2**40))
@settings(max_examples=None if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else 60)
def test_timeline_is_the_simulated_one(seed):
    check_case(seed)


@pytest.mark.nightly
def test_ten_thousand_ladders_and_histories():
    """The long hunt: 10,000 random ladders × histories without a difference."""
    first = int(os.environ.get("TIER_MODEL_FIRST", "0"))
    count = int(os.environ.get("TIER_MODEL_COUNT", "10000"))
    changes = sum(check_case(seed) for seed in range(first, first + count))
    assert changes > count  # the cases are not empty ones
