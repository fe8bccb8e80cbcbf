"""`standings` on columns equals `standing`, member by member, and `assign` equals one event of each value."""

import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from userops.core.conditions import F
from userops.tiers import Grant, Ladder, Tier, ValueEvent

sys.path.insert(0, str(Path(__file__).parent))

from tier_cases import PLACES, draw_history, draw_ladder

FIELDS = ("tier", "since", "review_at", "next_tier", "missing", "to_keep", "value")


def draw_members(rng):
    zone, start, hours, days = rng.choice(PLACES)
    tick = timedelta(hours=hours)
    ladder, _, several = draw_ladder(rng, days > 100)
    ladder = attrs.evolve(ladder, timezone=zone)
    histories = {
        member: draw_history(rng, start, tick, days, several)
        for member in rng.sample(["ann", "bo", "cy", "di", "ed", "flo"], rng.randint(0, 6))
    }
    end = start + tick * int(days * 86_400 / tick.total_seconds() * (1 - rng.random() ** 3))
    return ladder, histories, end, start, tick


def cell(column, place):
    value = column[place]
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else value.item().replace(tzinfo=UTC)
    return value.item() if isinstance(value, np.generic) else value


def check_members(seed):
    rng = random.Random(seed)
    ladder, histories, end, start, tick = draw_members(rng)
    late = rng.random() < 0.3
    rows = [
        (
            member,
            at,
            value,
            metric,
            at + (tick * rng.randrange(60) if late and rng.random() < 0.3 else 0 * tick),
        )
        for member, history in histories.items()
        for at, metric, value in history
    ]
    rng.shuffle(rows)
    columns = {
        "member": [row[0] for row in rows],
        "at": np.array([row[1].replace(tzinfo=None) for row in rows], dtype="datetime64[us]"),
        "value": np.array([row[2] for row in rows], dtype=np.int64),
        "metric": [row[3] for row in rows],
        "recorded_at": np.array([row[4].replace(tzinfo=None) for row in rows], dtype="datetime64[us]"),
    }
    people = [*histories, "gus"] if rng.random() < 0.5 else None
    records, extra = {}, {}
    if people:
        kinds = [rng.choice(["owner", "fan"]) for _ in people]
        joined = [start + tick * rng.randrange(40) for _ in people]
        extra["records"] = {
            "member": people,
            "kind": np.array(kinds),
            "joined_at": np.array([at.replace(tzinfo=None) for at in joined], dtype="datetime64[us]"),
        }
        records = {m: {"kind": k, "joined_at": j} for m, k, j in zip(people, kinds, joined, strict=True)}
    grants = {}
    if histories and rng.random() < 0.3:
        grants = {rng.choice([*histories]): (Grant("t0", start + tick * 3, start + tick * 50),)}
        extra["grants"] = grants
    known = end if late else None
    found = ladder.standings(columns, end, known_at=known, **extra)
    assert found["member"].tolist() == sorted({*(row[0] for row in rows), *(people or ())})
    for place, member in enumerate(found["member"].tolist()):
        own = [ValueEvent(at, v, m, recorded_at=r) for who, at, v, m, r in rows if who == member]
        one = ladder.standing(
            own, end, record=records.get(member), grants=grants.get(member, ()), known_at=known
        )
        got = {name: cell(found[name], place) for name in FIELDS}
        expected = {name: getattr(one, name) for name in FIELDS}
        assert got == expected, (
            seed,
            member,
            ladder,
            sorted(own, key=lambda e: e.at),
            end,
            records.get(member),
        )


@given(st.integers(0, 2**40))
def test_standings_are_the_members_own(seed):
    check_members(seed)


@given(
    st.lists(st.integers(-(2**40), 2**40), max_size=50),
    st.lists(st.integers(0, 2**40), min_size=1, max_size=5, unique=True),
)
def test_assign_is_the_standing_of_one_event(values, levels):
    ladder = Ladder(tiers=tuple(Tier(f"t{n}", at_least=n) for n in sorted(levels)))
    at = datetime(2027, 1, 1, tzinfo=UTC)
    places = ladder.assign(values).tolist()
    for value, place in zip([*values, *levels], [*places, *ladder.assign(levels).tolist()], strict=True):
        # A lone negative value has nothing to take back: the member stands where one without value does.
        expected = ladder.standing([(at, max(0, value))], at).tier
        if value >= 0:
            assert ladder.name(place) == expected
        else:
            assert place == -1


def test_an_absent_record_reaches_nothing_that_requires_one():
    ladder = Ladder(tiers=(Tier("a", at_least=0), Tier("b", at_least=1, requires=F("kind") == "owner")))
    columns = {"member": [1, 2], "at": np.array(["2027-01-01"] * 2, "datetime64[us]"), "value": [5, 5]}
    found = ladder.standings(
        columns, datetime(2028, 1, 1, tzinfo=UTC), records={"member": [2], "kind": ["owner"]}
    )
    assert found["tier"].tolist() == ["a", "b"]
