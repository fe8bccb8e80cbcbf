"""Random ladders and histories for the tests of tiers, with the same rules for the independent model."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

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
    YearlyDeduction,
)

sys.path.insert(0, str(Path(__file__).parent))

import tier_model as model

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
    several = rng.choice(["", "", "", "", "", "", "all_of", "any_of"])
    levels = sorted(rng.sample(range(1, rng.choice([6, 13])), count))
    if rng.random() < 0.6:
        levels[0] = 0
    if several == "any_of" and not levels[0]:
        levels[0] = 1
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
            tiers.append(Tier(name, **{several: {"value": need, "referrals": level}}, **more))
            both = {"value": need, "referrals": level}
            ways = [both] if several == "all_of" else [{metric: n} for metric, n in both.items()]
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
