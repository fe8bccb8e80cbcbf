"""The ways of a replay agree on histories too long to post: closed forms, lanes, plain Python, and what AUTO takes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from userops.points.replaying import NEVER, inverted
from userops.points.replaying.acting import Acts
from userops.points.replaying.replay import replay_by
from userops.points.replaying.routing import Path


def history(seed):
    """Columns of 30 to 1,000 rows: members from one to many, ties, any order of rows and expiry, reversals."""
    rng = np.random.default_rng(seed)
    rows, members = int(rng.choice([30, 200, 1_000])), int(rng.choice([1, 3, 30, 300]))
    member = rng.integers(0, members, rows)
    if rng.random() < 0.4:
        member = np.where(rng.random(rows) < 0.6, 0, member)
    member = member * int(rng.choice([1, 5, 10**12]))
    span = int(rng.choice([20, 1_000, 10**6, 10**9]))
    at = rng.integers(0, span, rows)
    if rng.random() < 0.7:
        at.sort()
    shares = [(0.5, 0.5, 0), (0.5, 0.4, 0.1), (0.4, 0.4, 0.2), (0.55, 0.44, 0.01)]
    kind = rng.choice(3, rows, p=shares[rng.integers(4)])
    points = rng.integers(1, int(rng.choice([5, 200, 10**12])), rows)
    if rng.random() < 0.5:
        points = np.where(kind == 1, points // 3 + 1, points)
    life = max(2, int(span * rng.choice([0.05, 0.3, 2])))
    is_odd = rng.random(rows) < rng.choice([0, 0.05, 0.2, 1])
    expires = np.where(is_odd, at + rng.integers(0, 2 * life, rows), at + life)
    columns = {
        "member": member,
        "kind": kind,
        "points": np.where((kind == 2) & (rng.random(rows) < 0.6), 0, points),
        "at": at,
        "expires_at": np.where(rng.random(rows) < rng.choice([0, 0, 0.3]), NEVER, expires),
        "undoes": _undone(rng, member, at, kind),
    }
    if rng.random() < 0.3:
        columns["available_at"] = at + np.where(rng.random(rows) < 0.3, rng.integers(0, life, rows), 0)
    return columns


def _undone(rng, member, at, kind):
    """Mostly the event of the member before, else any of theirs."""
    order = np.lexsort((np.arange(len(at)), at, member))
    before = np.full(len(at), -1)
    is_same = member[order[1:]] == member[order[:-1]]
    before[order[1:]] = np.where(is_same, order[:-1], -1)
    nearest = rng.choice([0, 0.85])
    return [
        -1
        if what != 2
        else before[row]
        if before[row] >= 0 and rng.random() < nearest
        else rng.choice(np.flatnonzero(member == member[row]))
        for row, what in enumerate(kind)
    ]


def found(columns, path):
    done = replay_by(columns, path)
    order = np.argsort(done.event, kind="stable")
    parts = (done.event[order], done.lot[order], done.points[order])
    return (done.outcome.tolist(), *(part.tolist() for part in parts), done.left().tolist())


@given(seed=st.integers(0, 2**32), trial=st.sampled_from([4, inverted.TRIAL_ROWS]))
def test_all_ways_find_the_same(seed, trial):
    columns = history(seed)
    usual, inverted.TRIAL_ROWS = inverted.TRIAL_ROWS, trial
    try:
        first, *others = (found(columns, path) for path in Path)
    finally:
        inverted.TRIAL_ROWS = usual
    for other in others:
        assert other == first


def test_a_closed_form_that_does_not_look_for_lots_behind_its_point_is_noticed(monkeypatch):
    """Negative control: a lot that is earned behind C is not where the axis has it."""
    columns = {
        "member": [1] * 5,
        "kind": [0, 1, 0, 1, 0],
        "points": [10, 6, 5, 3, 4],
        "at": [0, 1, 2, 3, 4],
        "expires_at": [100, NEVER, 50, NEVER, 90],
    }
    assert found(columns, Path.CLOSED) == found(columns, Path.PLAIN)
    monkeypatch.setattr(Acts, "before", lambda self, places: np.zeros(len(places), np.int64))
    assert found(columns, Path.CLOSED) != found(columns, Path.PLAIN)
