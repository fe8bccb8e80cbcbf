"""What `Program.replay` takes in, and what it says of itself."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from userops import Event, PlanError
from userops.errors import InvalidValue, NaiveTimeError
from userops.program import Program
from userops.program.replay import engine

TEXT = """
schema = 1
name = "club"
[funds.shop]
[[earn]]
name = "paid"
on = "paid"
points = { per = 1, give = 1, of = "amount", round = "down" }
when = { city = "Hefei" }
fund = "shop"
cap = [{ points = 10, per = "day" }]
"""
NOON = datetime(2027, 1, 1, 12, tzinfo=UTC)
COLUMNS = {
    "id": ["a", "b", "c"],
    "kind": ["paid", "paid", "paid"],
    "member": ["u", "u", "v"],
    "at": np.array(["2027-01-01T12", "2027-01-01T11", "2027-01-02T00"], "datetime64[us]"),
    "amount": [7, 5, 3],
    "city": ["Hefei", "Hefei", None],
}


def test_columns_frames_and_files_are_the_same_history(tmp_path):
    program = Program.load(TEXT)
    frame = pl.DataFrame({name: pl.Series(name, column) for name, column in COLUMNS.items()})
    frame.write_parquet(tmp_path / "events.parquet")
    frame.with_columns(pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%SZ")).write_csv(tmp_path / "events.csv")
    for events in (COLUMNS, frame, tmp_path / "events.parquet", str(tmp_path / "events.csv")):
        done = program.replay(events)
        assert repr(done) == "Replay(3 events of 2 members, 0 of them one by one)"
        # By time: the 5 of eleven o'clock come first, and the cap leaves 5 of the 7.
        assert [(lot.id, lot.points) for lot in done.lots("u", NOON)] == [
            ("4:club1:b4:paid", 5),
            ("4:club1:a4:paid", 5),
        ]
        assert done.balance("v", NOON).available == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"amount": [7.5, 5.0, 3.0]}, "amount must be exact"),
        ({"id": ["a", "", "c"]}, "id must not be empty"),
        ({"id": [1, 2, 3]}, "id must be text"),
        ({"member": ["u", "u", None]}, "member must be text"),
        ({"kind": ["paid", "pa\0id", "paid"]}, "kind contains a NUL"),
        ({"at": [1, 2, 2**60]}, "years 1 to 9999"),
    ],
)
def test_malformed_columns_are_refused(change, words):
    with pytest.raises(InvalidValue, match=words):
        Program.load(TEXT).replay({**COLUMNS, **change})


def test_other_faults_are_named():
    program = Program.load(TEXT)
    with pytest.raises(InvalidValue, match="order is one of time, recorded"):
        program.replay([], order="sideways")
    with pytest.raises(InvalidValue, match="an Event was expected, not str"):
        program.replay(["paid"])
    with pytest.raises(InvalidValue, match="no column 'at'"):
        program.replay({"id": [], "kind": [], "member": []})
    with pytest.raises(PlanError):
        program.replay("absent.csv")
    with pytest.raises(NaiveTimeError):
        program.replay([]).balance("u", datetime(2027, 1, 1))


def test_nothing_comes_of_nothing():
    done = Program.load(TEXT).replay([])
    assert done.funding(NOON) == ()
    assert done.trial_balance(NOON) == {}
    assert done.entries() == done.entries("u") == ()
    assert done.lots("u", NOON) == ()
    assert done.balances(NOON) == {}


VALUE = """
[currencies.value]
spendable = false
[[earn]]
name = "growth"
on = "paid"
points = { of = "amount" }
currency = "value"
unbounded = "accepted"
"""
TIERS = """
[tiers]
currency = "value"
tier = [{ name = "base", at_least = 0 }, { name = "gold", at_least = 9 }]
"""


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("", ""),
        (VALUE + TIERS, ""),
        (
            VALUE + TIERS + "decay = { exponential = { half_life_months = 3 } }\n",
            "its value fades from day to day",
        ),
        (
            VALUE + 'when = { tier = "gold" }\n' + TIERS,
            "what gives value, or counts with it, reads the tier",
        ),
        (
            VALUE.replace("unbounded", 'group = "g"\nunbounded')
            + '[[earn]]\nname = "x"\non = "paid"\npoints = 5\nfund = "shop"\ngroup = "g"\ncap = [{ times = 9 }]\n'
            + TIERS
            + 'crossing = "new_rate"\n',
            "value counts with other points, and before them",
        ),
    ],
)
def test_a_program_says_why_it_is_not_replayed_in_columns(more, why):
    program = Program.load(TEXT + more)
    assert engine.why_not(program) == why
    event = Event("e", "paid", "u", NOON, amount=9, data={"city": "Hefei"})
    assert f"{1 if why else 0} of them one by one" in repr(program.replay([event]))


def test_an_id_that_comes_twice_is_one_event():
    program = Program.load(TEXT)
    event = Event("e", "paid", "u", NOON, amount=4, data={"city": "Hefei"})
    done = program.replay([event, event])
    assert done.balance("u", NOON).available == 4
    assert "1 of them one by one" in repr(done)


def test_amounts_beyond_64_bits_go_one_by_one():
    program = Program.load(TEXT.replace('cap = [{ points = 10, per = "day" }]', 'unbounded = "accepted"'))
    events = [
        Event("e", "paid", "u", NOON, amount=Decimal(10**19), data={"city": "Hefei"}),
        Event("f", "paid", "u", NOON, amount=2**62, data={"city": "Hefei"}),
    ]
    done = program.replay(events)
    assert done.balance("u", NOON).available == 2**62
    assert "1 of them one by one" in repr(done)


def test_a_reference_may_be_the_id_of_an_event_that_has_none():
    """An event without a reference is its own: what is about it counts together with it."""
    program = Program.load(
        'schema = 1\nname = "c"\n[funds.f]\n[[earn]]\nname = "r"\non = "k"\npoints = 3\nfund = "f"\n'
        'cap = [{ times = 1, per = "reference" }]\n'
    )
    events = [
        Event("e1", "k", "u", NOON),
        Event("e2", "k", "u", NOON, "e1"),
        Event("e3", "k", "u", NOON, "e4"),
    ]
    assert program.replay(events).balance("u", NOON).available == 6
    assert program.replay([*events, Event("e4", "k", "u", NOON)]).balance("u", NOON).available == 6
