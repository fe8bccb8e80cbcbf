"""The columnar replay is posting one by one into a ledger: outcomes, allocations, lots, balances, funding."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from userops.core.calendar import from_micros
from userops.errors import InsufficientPoints, InvalidCommand, OverReversed, Rejected, UnknownEntry
from userops.points import Earn, Fund, Ledger, Reverse, Spend
from userops.points.replaying import NEVER, Outcome, laying
from userops.points.replaying.replay import replay_by
from userops.points.replaying.routing import Path

START = 1_800_000_000_000_000
UNIT = 3_600_000_000
REASONS = {
    InsufficientPoints: Outcome.INSUFFICIENT,
    OverReversed: Outcome.OVER_REVERSED,
    UnknownEntry: Outcome.UNKNOWN,
    InvalidCommand: Outcome.INVALID,
}
FUNDS = ("community", "sales")


@st.composite
def histories(draw, *, most=60):
    """Columns: few instants (ties), few members (one of them heavy), any order of rows, any order of expiry."""
    size = draw(st.integers(1, most))
    members = draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    instants = draw(st.sampled_from([4, 15, 60]))
    heavy = draw(st.booleans())
    member = np.where(rng.random(size) < (0.8 if heavy else 0.0), 0, rng.integers(0, members, size)) * draw(
        st.sampled_from([1, 7, 10**15])
    )
    at = rng.integers(0, instants, size)
    kind = rng.choice(
        3, size, p=draw(st.sampled_from([(0.5, 0.5, 0), (0.4, 0.4, 0.2), (0.3, 0.4, 0.3), (1, 0, 0)]))
    )
    points = rng.integers(1, draw(st.sampled_from([4, 30])), size)
    life = draw(st.sampled_from([3, 10, 100]))
    expires = at + life
    odd = rng.random(size) < draw(st.sampled_from([0.0, 0.2, 1.0]))
    expires = np.where(odd, at + rng.integers(0, 2 * life, size), expires)
    never = rng.random(size) < draw(st.sampled_from([0.0, 0.3, 1.0]))
    undoes = np.full(size, -1)
    for row in np.flatnonzero(kind == 2):
        undoes[row] = rng.choice(np.flatnonzero(member == member[row]))
    points[(kind == 2) & (rng.random(size) < 0.5)] = 0
    columns = {
        "member": member,
        "kind": kind,
        "points": points,
        "at": START + at * UNIT,
        "expires_at": np.where(never, NEVER, START + expires * UNIT),
        "fund": rng.integers(0, 2, size),
        "undoes": undoes,
    }
    if draw(st.booleans()):
        wait = np.where(rng.random(size) < 0.4, rng.integers(0, 8, size), 0)
        columns["available_at"] = START + (at + wait) * UNIT
    return columns


def command(columns, row):
    """The command of a row; making it may already be refused."""
    at, points = from_micros(int(columns["at"][row])), int(columns["points"][row])
    member = str(columns["member"][row])
    if columns["kind"][row] == 1:
        return Spend(id=str(row), member=member, points=points, sink="shop", at=at)
    if columns["kind"][row] == 2:
        return Reverse(id=str(row), entry=str(columns["undoes"][row]), points=points or None, at=at)
    expires = int(columns["expires_at"][row])
    available = columns.get("available_at")
    return Earn(
        id=str(row),
        member=member,
        points=points,
        fund=FUNDS[columns["fund"][row]],
        at=at,
        available_at=None if available is None else from_micros(int(available[row])),
        expires_at=None if expires == NEVER else from_micros(expires),
    )


def posted(columns):
    """Post every row in order of (at, row); return the ledger, the outcomes and the allocations."""
    ledger = Ledger.in_memory()
    for fund in FUNDS:
        ledger.add_fund(Fund(fund))
    outcomes, allocations = [0] * len(columns["at"]), {}
    for row in np.lexsort((np.arange(len(columns["at"])), columns["at"])).tolist():
        try:
            receipt = ledger.post(command(columns, row))
        except Rejected as refused:
            outcomes[row] = REASONS[type(refused)]
        else:
            if columns["kind"][row] and receipt.allocations:
                allocations[row] = tuple((int(lot), n) for lot, n in receipt.allocations)
    return ledger, outcomes, allocations


def allocations_of(done):
    found = defaultdict(tuple)
    for event, lot, points in zip(done.event.tolist(), done.lot.tolist(), done.points.tolist(), strict=True):
        found[event] += ((lot, points),)
    return dict(found)


def compare(columns, path):
    ledger, outcomes, allocations = posted(columns)
    done = replay_by(columns, path)
    assert done.outcome.tolist() == outcomes
    assert allocations_of(done) == allocations
    last = int(columns["at"].max())
    for at in (last, last + 20 * UNIT, START + 3 * UNIT, START - 1):
        as_of = from_micros(at)
        balances = done.balances(at)
        for place, member in enumerate(balances["member"].tolist()):
            expected = ledger.balance(str(member), as_of)
            assert (balances["available"][place], balances["pending"][place]) == (
                expected.available,
                expected.pending,
            )
            assert done.balance(member, as_of) == expected
            lots = [(int(lot.id), lot.points) for lot in ledger.lots(str(member), as_of)]
            assert [(lot.row, lot.points) for lot in done.lots(member, as_of)] == lots
        expected_rows = {FUNDS.index(row.fund): row for row in ledger.funding(as_of)}
        rows = {int(row.fund): row for row in done.funding(at)}
        assert rows.keys() == expected_rows.keys()
        for fund, row in rows.items():
            for name in ("issued", "redeemed", "expired", "clawed_back", "outstanding"):
                assert getattr(row, name) == getattr(expected_rows[fund], name), name


@pytest.mark.parametrize("path", list(Path))
@given(columns=histories())
def test_a_replay_is_posting_one_by_one(path, columns):
    compare(columns, path)


@given(columns=histories())
def test_short_lanes_and_large_keys_change_nothing(columns):
    """Lanes of a few actions, and expiries in the year 9999, take the rarer turns."""
    far = columns["expires_at"] % 3 == 0
    columns["expires_at"] = np.where(
        far, 253_000_000_000_000_000 + columns["at"] % (7 * UNIT), columns["expires_at"]
    )
    usual, laying.LANE_ACTIONS = laying.LANE_ACTIONS, 2
    try:
        compare(columns, Path.LANES)
        compare(columns, Path.AUTO)
    finally:
        laying.LANE_ACTIONS = usual


@given(columns=histories(most=200), seed=st.integers(0, 2**32))
def test_the_order_of_rows_of_different_instants_does_not_matter(columns, seed):
    rng = np.random.default_rng(seed)
    columns = {name: column for name, column in columns.items() if name != "undoes"}
    columns["kind"] = np.minimum(columns["kind"], 1)
    columns["points"] = np.maximum(columns["points"], 1)
    columns["at"] = START + np.arange(len(columns["at"]))
    done = replay_by(columns, Path.AUTO)
    order = rng.permutation(len(columns["at"]))
    mixed = replay_by({name: column[order] for name, column in columns.items()}, Path.AUTO)
    assert (mixed.outcome == done.outcome[order]).all()
    named = {
        int(order[event]): tuple((int(order[lot]), n) for lot, n in parts)
        for event, parts in allocations_of(mixed).items()
    }
    assert named == allocations_of(done)


def test_a_ledger_that_is_off_by_one_at_expiry_is_noticed(monkeypatch):
    """Negative control: a path that spends points in the instant of their expiry differs from the ledger."""
    columns = {
        "member": np.zeros(2, np.int64),
        "kind": np.array([0, 1]),
        "points": np.array([5, 5]),
        "at": np.array([START, START + UNIT]),
        "expires_at": np.array([START + UNIT, NEVER]),
        "fund": np.zeros(2, np.int64),
    }
    compare(columns, Path.CLOSED)
    real = np.searchsorted
    monkeypatch.setattr(
        np, "searchsorted", lambda a, v, side="left": real(a, v, side="left" if side == "right" else side)
    )
    with pytest.raises(AssertionError):
        compare(columns, Path.CLOSED)


def test_many_members_without_points_and_one_with_all():
    """Members far apart by code, most of whom only ask; one with more rows than a block."""
    rng = np.random.default_rng(5)
    size = 3_000
    member = np.where(rng.random(size) < 0.5, 10**12, rng.integers(0, 2_000, size) * 10**9)
    columns = {
        "member": member,
        "kind": np.where(member == 10**12, rng.integers(0, 2, size), 1),
        "points": rng.integers(1, 50, size),
        "at": START + np.sort(rng.integers(0, 500, size)) * UNIT,
        "expires_at": START + rng.integers(500, 900, size) * UNIT,
    }
    results = [replay_by(columns, path) for path in Path]
    assert int(results[0].accepted.sum()) > 500
    for done in results[1:]:
        assert (done.outcome == results[0].outcome).all()
        assert allocations_of(done) == allocations_of(results[0])
        assert (done.left() == results[0].left()).all()
    one = results[0].balance(10**12, from_micros(START + 500 * UNIT) + timedelta(hours=1))
    assert one.available > 0
