"""Columns in: what is refused, what is missing, what is many; and the sorting and netting they rest on."""

import random
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from userops import F
from userops.errors import InvalidValue, NaiveTimeError
from userops.tiers import Anniversary, Grant, Keep, Ladder, Rolling, Tier
from userops.tiers.courses import netted
from userops.tiers.rows import order_of, within

END = datetime(2028, 1, 1, tzinfo=UTC)
LADDER = Ladder(
    tiers=(
        Tier("member", at_least=0),
        Tier("gold", at_least=100),
        Tier("ep", at_least=200, requires=F("kind") == "owner"),
    ),
    window=Rolling(months=12),
    keep=Keep(months=6),
)
AT = np.array(["2027-03-01", "2027-04-01"], dtype="datetime64[us]")


def columns(**changes):
    return {"member": ["b", "a"], "at": AT, "value": [150, 250], **changes}


@pytest.mark.parametrize(
    "data",
    [
        {"member": ["a"], "at": AT[:1]},
        columns(value=[1]),
        columns(value=[1.0, 2.0]),
        columns(value=[True, False]),
        columns(value=[1, None]),
        columns(value=["1", "2"]),
        columns(value=[1, 10**400]),
        columns(value=np.array([2**62, 2**62])),
        columns(value=np.array([1, 2**63], dtype=np.uint64)),
        columns(value=np.ma.array([1, 2], mask=[False, True])),
        columns(member=np.ma.array(["a", "b"], mask=[False, True])),
        columns(member=["a", 1]),
        columns(at=np.array(["2027-01-01", "NaT"], dtype="datetime64[us]")),
        columns(at=["2027-01-01", "2027-01-02"]),
        columns(at=np.zeros((2, 1))),
        5,
        "abc",
    ],
)
def test_bad_columns_are_refused(data):
    with pytest.raises(InvalidValue):
        LADDER.standings(data, END)


def test_naive_times_are_refused():
    with pytest.raises(NaiveTimeError):
        LADDER.standings(columns(at=[datetime(2027, 1, 1)] * 2), END)
    with pytest.raises(NaiveTimeError):
        LADDER.standings(columns(), datetime(2027, 1, 1))


@pytest.mark.parametrize(
    "records",
    [{"kind": ["owner"]}, {"member": ["a", "a"], "kind": ["x", "y"]}, {"member": ["a"], "kind": ["x", "y"]}],
)
def test_bad_records_are_refused(records):
    with pytest.raises(InvalidValue):
        LADDER.standings(columns(), END, records=records)


def test_no_rows_and_members_known_by_record_only():
    none = {"member": np.array([], dtype=np.int64), "at": AT[:0], "value": np.array([], dtype=np.int64)}
    assert len(LADDER.standings(none, END)["member"]) == 0
    found = LADDER.standings(columns(), END, records={"member": ["a", "c"], "kind": ["owner", "fan"]})
    assert found["member"].tolist() == ["a", "b", "c"]
    assert found["tier"].tolist() == ["ep", "gold", "member"]
    assert found["next_tier"].tolist() == [None, "ep", "gold"]
    assert np.isnat(found["since"][2])


def test_aware_datetimes_are_taken():
    at = [datetime(2027, 3, 1, tzinfo=UTC), datetime(2027, 4, 1, tzinfo=UTC)]
    assert LADDER.standings(columns(at=at), END)["tier"].tolist() == ["gold", "gold"]


def test_a_grant_by_member():
    found = LADDER.standings(columns(), END, grants={"b": [Grant("ep", datetime(2027, 5, 1, tzinfo=UTC))]})
    assert found["tier"].tolist() == ["gold", "ep"]


def test_pauses_and_many_reversals_go_the_plain_way():
    rng = random.Random(7)
    values = [rng.choice([60, -50]) for _ in range(300)]
    at = AT[0] + np.arange(300) * np.timedelta64(1, "D")
    found = LADDER.standings({"member": [1] * 300, "at": at, "value": values}, END)
    history = [(t.item().replace(tzinfo=UTC), v) for t, v in zip(at, values, strict=True)]
    one = LADDER.standing(history, END)
    assert (found["tier"][0], found["value"][0]) == (one.tier, one.value)
    paused = np.empty(1, dtype=object)
    paused[0] = [(datetime(2027, 1, 1, tzinfo=UTC), None)]
    held = LADDER.standings(
        {"member": [1], "at": AT[:1], "value": [150]},
        datetime(2030, 1, 1, tzinfo=UTC),
        records={"member": [1], "paused": paused},
    )
    assert held["tier"].tolist() == ["gold"]


def test_it_prints_how_many_there_are():
    found = LADDER.standings(columns(), END)
    assert str(found).split()[:3] == ["tier", "members", "share"]
    assert repr(found) == "<Standings of 2 members>"
    assert "<table>" in found._repr_html_()
    assert set(found.to_columns()) == set(found)
    assert len(found) == 8


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-(2**61), 2**61) | st.integers(0, 3)), max_size=60))
def test_the_order_is_by_member_and_instant(rows):
    member = np.array([row[0] for row in rows], dtype=np.int64)
    at = np.array([row[1] for row in rows], dtype=np.int64)
    assert order_of(member, at).tolist() == sorted(range(len(rows)), key=lambda k: (rows[k], k))


@given(st.lists(st.lists(st.integers(-9, 9), max_size=12), min_size=1, max_size=5))
def test_netting_takes_the_latest_value_first(pieces):
    expected = []
    for piece in pieces:
        left = []
        for value in piece:
            left.append(max(0, value))
            for place in reversed(range(len(left))):
                if value < 0:
                    taken = min(left[place], -value)
                    left[place] -= taken
                    value += taken
        expected += left
    starts = np.cumsum([0, *map(len, pieces)])
    flat = np.array([value for piece in pieces for value in piece], dtype=np.int64)
    assert netted(flat, starts).tolist() == expected


@given(st.lists(st.integers(0, 20), max_size=30), st.integers(-1, 21))
def test_search_within_rows(values, bound):
    at = np.array(sorted(values), dtype=np.int64)
    found = within(at, np.array([bound]), np.array([0]), np.array([len(at)]))
    assert found.tolist() == [sum(value <= bound for value in values)]


def test_instants_that_the_first_sort_cannot_tell_apart_are_put_right():
    rng = np.random.default_rng(3)
    member = np.append(rng.integers(0, 3, 5_000), 2**20)
    # Clusters of microseconds over fifty bits: beside member and place, thirty bits are left.
    at = np.append((rng.integers(0, 20, 5_000) << 45) + rng.integers(0, 40, 5_000), 0)
    assert order_of(member, at).tolist() == np.lexsort((at, member)).tolist()


def test_joining_dates_may_be_aware_datetimes_and_may_be_missing():
    ladder = Ladder((Tier("a", at_least=0), Tier("b", at_least=100)), window=Anniversary())
    joined = [datetime(2027, 3, 15, tzinfo=UTC), None]
    found = ladder.standings(
        columns(), datetime(2027, 4, 1, tzinfo=UTC), records={"member": ["a", "b"], "joined_at": joined}
    )
    assert found["since"].tolist() == [datetime(2027, 4, 1), datetime(2027, 3, 1)]
    with pytest.raises(NaiveTimeError):
        ladder.standings(columns(), END, records={"member": ["a"], "joined_at": [datetime(2027, 1, 1)]})


def test_own_years_that_begin_later_in_the_year():
    ladder = Ladder((Tier("a", at_least=0), Tier("b", at_least=100)), window=Anniversary())
    data = {
        "member": [1, 1],
        "at": np.array(["2027-06-01", "2028-03-01"], "datetime64[us]"),
        "value": [60, 60],
    }
    found = ladder.standings(data, datetime(2028, 4, 1, tzinfo=UTC))
    assert (found["tier"].tolist(), found["value"].tolist()) == (["b"], [120])
    assert ladder.standings(data, datetime(2028, 6, 1, tzinfo=UTC))["value"].tolist() == [0]
