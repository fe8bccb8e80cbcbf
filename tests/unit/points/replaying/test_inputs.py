"""What a columnar replay takes in, and what it refuses, naming the row."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from userops.errors import InvalidValue, NaiveTimeError
from userops.points import read_columns, replay
from userops.points.replaying import NEVER, Kind, Outcome, found, grouping, laying
from userops.points.replaying.replay import replay_by
from userops.points.replaying.routing import Path

GOOD = {"member": [1, 1], "kind": [0, 1], "points": [5, 3], "at": [10, 20]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"points": [5.0, 3.0]}, "points must be whole numbers, not float64"),
        ({"points": [5, float("nan")]}, "points must be whole numbers"),
        ({"points": [True, False]}, "points must be whole numbers, not bool"),
        ({"points": [5, -3]}, "row 1: points must not be negative"),
        ({"points": [0, 3]}, "row 0: points must be at least 1"),
        ({"points": [5, 2**63]}, "points must be"),
        ({"points": np.array([5, 2**63], np.uint64)}, "points must be within 64 bits"),
        ({"points": [2**62, 2**62]}, "the points add up to 9,223,372,036,854,775,808"),
        ({"points": np.ma.array([5, 3], mask=[False, True])}, "points has missing values"),
        ({"points": [5]}, "columns differ in length"),
        ({"points": np.ones((2, 1), np.int64)}, "points must have one dimension"),
        ({"kind": [0, 3]}, "row 1: kind must be 0"),
        ({"kind": [0, -1]}, "row 1: kind must be 0"),
        ({"kind": ["earn", "steal"]}, "row 1: kind must be one of earn, spend, reverse"),
        ({"kind": [0, 2]}, "reversals need a column 'undoes'"),
        ({"kind": [0, 2], "undoes": [-1, 5]}, "row 1: undoes must name a row"),
        ({"kind": [0, 2], "undoes": [-1, 0], "member": [1, 2]}, "row 1: undoes row 0, which is of another"),
        ({"at": [10, None]}, "row 1: at is missing"),
        ({"at": [10, 2**60]}, "row 1: at lies outside the years 1 to 9999"),
        ({"at": np.array(["2027-01-01", "NaT"], "datetime64[us]")}, "row 1: at is missing"),
        ({"expires_at": [2**60, NEVER]}, "row 0: expires_at lies outside"),
        ({"expires": [NEVER, NEVER]}, "unknown column 'expires'"),
        ({"fund": [None, "a"]}, "row 0: fund is missing"),
        ({"member": [1, None]}, "member is missing"),
        ({"member": [1.5, 2.5]}, "member must be whole numbers"),
    ],
)
def test_malformed_columns_are_refused(change, words):
    with pytest.raises(InvalidValue, match=words):
        replay({**GOOD, **change})


def test_a_column_that_is_needed_may_not_be_absent():
    with pytest.raises(InvalidValue, match="no column 'at'"):
        replay({name: column for name, column in GOOD.items() if name != "at"})


def test_naive_times_are_refused():
    with pytest.raises(NaiveTimeError):
        replay({**GOOD, "at": [datetime(2027, 1, 1), datetime(2027, 1, 2)]})
    with pytest.raises(NaiveTimeError):
        replay(GOOD).balance(1, datetime(2027, 1, 1))


def test_nothing_comes_of_nothing():
    done = replay({name: [] for name in GOOD})
    assert len(done) == len(done.event) == len(done.left()) == 0
    assert done.funding() == ()
    assert done.balances()["member"].tolist() == []


@pytest.mark.parametrize("path", list(Path))
def test_the_greatest_amount_is_replayed_exactly(path):
    most = 2**63 - 1
    done = replay_by({**GOOD, "points": [most - 7, 7]}, path if path is Path.PLAIN else Path.AUTO)
    assert done.balance(1).available == most - 14
    assert done.allocations_of(1) == ((0, 7),)


def test_spellings_of_one_history_are_one_history():
    t = [datetime(1970, 1, 1, 0, 0, 0, n, tzinfo=UTC) for n in (10, 20, 30)]
    plain = {
        "member": [4, 4, 4],
        "kind": [0, 0, 1],
        "points": [5, 6, 7],
        "at": [10, 20, 30],
        "expires_at": [NEVER, 40, 0],
        "fund": [1, 0, -1],
    }
    expected = [((1, 6), (0, 1))]
    for change in (
        {},
        {"kind": ["earn", "earn", "spend"], "member": ["x", "x", "x"]},
        {"kind": np.array([0, 0, 1], np.uint8), "points": np.array([5, 6, 7], np.int16)},
        {"at": t, "expires_at": [None, datetime(1970, 1, 1, 0, 0, 0, 40, tzinfo=UTC), None]},
        {
            "at": np.array([10, 20, 30], "datetime64[us]"),
            "expires_at": np.array(["NaT", 40, "NaT"], "datetime64[us]"),
        },
        {"expires_at": np.ma.array([0, 40, 0], mask=[True, False, True])},
        {"expires_at": [NEVER, 40, NEVER], "available_at": [10, 20, 0]},
        {"fund": ["sales", "club", None]},
    ):
        done = replay({**plain, **change})
        assert [done.allocations_of(2)] == expected, change
    assert {row.fund: row.redeemed for row in done.funding()} == {"club": 6, "sales": 1}
    assert repr(done) == "Replayed(3 events, 0 refused, 2 allocations)"


def test_data_frames_and_files(tmp_path):
    frame = pl.DataFrame(
        {
            "member": ["u1", "u1", "u2"],
            "kind": ["earn", "spend", "spend"],
            "points": [10, 4, 4],
            "at": [10, 20, 20],
            "expires_at": [50, None, None],
            "note": ["", "", ""],
        }
    )
    frame.write_csv(tmp_path / "events.csv")
    frame.write_parquet(tmp_path / "events.parquet")
    for source in (frame.drop("note"), tmp_path / "events.csv", str(tmp_path / "events.parquet")):
        done = replay(source)
        assert done.balance("u1").available == 6
        assert done.balance("nobody").available == 0
        assert done.outcome.tolist() == [0, 0, Outcome.INSUFFICIENT]
    named = frame.rename({"member": "customer"})
    named.write_parquet(tmp_path / "other.parquet")
    names = {"member": "customer", "kind": "kind", "points": "points", "at": "at"}
    assert replay(read_columns(tmp_path / "other.parquet", names=names)).balance("u1").available == 6
    with pytest.raises(InvalidValue, match="no column 'customers'"):
        read_columns(tmp_path / "other.parquet", names={"member": "customers"})
    with pytest.raises(InvalidValue, match=r"ends in \.csv or \.parquet"):
        replay(tmp_path / "events.xlsx")
    with pytest.raises(InvalidValue, match="could not be read"):
        replay(tmp_path / "absent.csv")


@pytest.mark.parametrize("path", [Path.LANES, Path.AUTO])
def test_lanes_that_run_out_of_room_are_replayed_plainly(path, monkeypatch):
    """Spending ten lots and undoing it, again and again, makes more parts than a lane has room for."""
    pairs = 60
    kind = [0] * 10 + [1, 2] * pairs
    columns = {
        "member": [3] * len(kind),
        "kind": kind,
        "points": [1] * 10 + [10, 0] * pairs,
        "at": list(range(len(kind))),
        "undoes": [-1] * 10 + [n for k in range(pairs) for n in (-1, 10 + 2 * k)],
    }
    others = {name: list(column) for name, column in columns.items()}
    both = {
        name: columns[name] + [n + len(kind) if name == "undoes" and n >= 0 else n for n in others[name]]
        for name in columns
    }
    both["member"] = [3] * len(kind) + [4] * len(kind)
    monkeypatch.setattr(laying, "LANE_ACTIONS", 1)
    done = replay_by(both, path)
    assert done.accepted.all()
    assert len(done.event) == 2 * 20 * pairs
    assert (done.balance(3).available, done.balance(4).available) == (10, 10)


def test_blocks_are_of_whole_members(monkeypatch):
    """Small blocks, members larger than a block, unsorted rows: nothing is lost or cut."""
    monkeypatch.setattr(grouping, "BLOCK_ROWS", 8)
    rng = np.random.default_rng(2)
    size = 4_000
    columns = {
        "member": rng.integers(0, 60, size) ** 3,
        "kind": rng.integers(0, 2, size),
        "points": rng.integers(1, 30, size),
        "at": rng.integers(0, 10**15, size),
        "expires_at": np.full(size, NEVER),
    }
    one, other = replay(columns), replay_by(columns, Path.PLAIN)
    assert (one.outcome == other.outcome).all()
    assert (one.left() == other.left()).all()
    assert (np.diff(columns["at"]) < 0).any()


def test_growing_columns_keep_what_they_have():
    growing = found.growing(2, 1)
    for n in range(5):
        growing.append(np.arange(n), np.arange(n) * 10)
    first, second = growing.close()
    assert first.tolist() == [0, 0, 1, 0, 1, 2, 0, 1, 2, 3]
    assert second.tolist() == [10 * n for n in first]


def test_kinds_have_names():
    assert [kind.name for kind in Kind] == ["EARN", "SPEND", "REVERSE"]
