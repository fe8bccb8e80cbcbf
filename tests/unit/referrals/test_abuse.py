"""Signals with evidence: components, bursts under control, stars, kick-backs, dense blocks; soft states."""

import math
from datetime import UTC, datetime, timedelta
from itertools import combinations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from userops.errors import InvalidValue, NaiveTimeError
from userops.referrals import (
    Invitation,
    ReferralGraph,
    Review,
    Signal,
    State,
    bursts,
    dense_blocks,
    fresh_stars,
    kickbacks,
    open_reviews,
    shared_components,
)

T = datetime(2027, 1, 1, tzinfo=UTC)
DAY = 86_400_000_000


def day(n):
    return T + timedelta(days=n)


LINKS = st.lists(st.tuples(st.sampled_from("abcdefg"), st.sampled_from("uvwxyz")), max_size=16)


@given(LINKS)
def test_shared_things_make_components(links):
    peer = nx.Graph((f"m{member}", f"t{thing}") for member, thing in links)
    expected = {
        tuple(sorted(node[1] for node in group if node[0] == "m")) for group in nx.connected_components(peer)
    }
    assert {signal.members for signal in shared_components(links)} == {g for g in expected if len(g) > 1}


def test_a_shared_device_is_evidence_in_words():
    (signal,) = shared_components(
        [("a", "phone"), ("b", "phone"), ("b", "card"), ("c", "card"), ("d", "own")]
    )
    assert signal.kind == "shared_components"
    assert signal.members == ("a", "b", "c")
    assert "'phone' used by a, b" in signal.evidence


def test_bursts_raise_few_false_alarms_and_find_true_ones():
    """2,000 steady referrers for 90 days: at most 5% flagged, with room for chance; planted bursts are found."""
    rng = np.random.default_rng(11)
    counts = rng.integers(1, 60, 2_000)
    parent = np.concatenate([np.full(2_000, -1), np.repeat(np.arange(2_000), counts)])
    at = np.concatenate([np.zeros(2_000, np.int64), rng.integers(0, 90 * DAY, counts.sum())])
    graph = ReferralGraph.from_parents(parent, at=at)
    span = {"start": datetime(1970, 1, 1, tzinfo=UTC), "end": datetime(1970, 4, 1, tzinfo=UTC)}
    for alpha in (0.05, 0.5):
        alarms = len(bursts(graph, alpha=alpha, **span))
        assert alarms <= 2_000 * alpha + 4 * math.sqrt(2_000 * alpha)
    planted = at.copy()
    mine = np.flatnonzero(parent == 7)[:1]
    graph = ReferralGraph.from_parents(
        np.concatenate([parent, np.full(8, 7)]), at=np.concatenate([planted, np.full(8, at[mine[0]])])
    )
    found = bursts(graph, alpha=0.001, **span)
    assert found[0].members == (7,)
    assert "within 1 day" in found[0].evidence
    assert "probability at most" in found[0].evidence


def test_bursts_without_times_or_with_nonsense():
    assert bursts(ReferralGraph.from_parents([-1, 0]), alpha=0.05) == ()
    graph = ReferralGraph.from_invitations([Invitation("a", "b", T)])
    assert bursts(graph, alpha=0.05) == ()
    for bad in (0, 1, True, float("nan"), "0.05"):
        with pytest.raises(InvalidValue):
            bursts(graph, alpha=bad)
    with pytest.raises(InvalidValue):
        bursts(graph, alpha=0.05, start=day(1), end=day(1))
    with pytest.raises(NaiveTimeError):
        bursts(graph, alpha=0.05, start=datetime(2027, 1, 1))


def test_fresh_stars_are_invitees_who_do_nothing():
    graph = ReferralGraph.from_parents([-1, 0, 0, 0, 0, 0, 5, -1, 7, 7])
    assert fresh_stars(graph, active={1}) == ()
    (signal,) = fresh_stars(graph, active=set())
    assert signal.members == (0,)
    assert signal.evidence.startswith("4 of 5 direct invitees")
    assert [s.members for s in fresh_stars(graph, active=set(), least=2)] == [(7,), (0,)]
    for bad in ({"least": 0}, {"share": 0.5}, {"share": 2}):
        with pytest.raises(InvalidValue):
            fresh_stars(graph, active=set(), **bad)


def test_kickbacks_go_from_the_credited_referrer_to_the_invitee():
    graph = ReferralGraph.from_invitations(
        [Invitation("ann", "bo", day(0)), Invitation("cy", "dee", day(0))], same_person=[("bo", "bo-2")]
    )
    transfers = [
        ("ann", "bo", day(1)), ("ann", "bo-2", day(2)), ("bo", "ann", day(1)), ("ann", "bo", day(-1)),
        ("ann", "dee", day(1)),
    ]  # fmt: skip
    (signal,) = kickbacks(graph, transfers)
    assert signal.members == ("ann", "bo")
    assert signal.strength == 2
    assert "2 transfers" in signal.evidence
    assert "2027-01-02" in signal.evidence
    with pytest.raises(NaiveTimeError):
        kickbacks(graph, [("a", "b", datetime(2027, 1, 1))])


def density(links, members, things):
    degree = {thing: len({m for m, t in links if t == thing}) for _, thing in links}
    inside = {(m, t) for m, t in links if m in members and t in things}
    return sum(1 / math.log(degree[t] + 5) for _, t in inside) / (len(members) + len(things))


@given(st.sets(st.tuples(st.sampled_from("abcde"), st.sampled_from("uvwx")), min_size=1, max_size=14))
def test_the_densest_block_has_at_least_half_the_greatest_density(links):
    members, things = {m for m, _ in links}, {t for _, t in links}
    best = max(
        density(links, set(one), set(other))
        for i in range(1, len(members) + 1) for one in combinations(sorted(members), i)
        for j in range(1, len(things) + 1) for other in combinations(sorted(things), j)
    )  # fmt: skip
    (signal,) = dense_blocks(links)
    assert best / 2 - 1e-12 <= signal.strength <= best + 1e-12


def test_a_planted_block_is_found_among_ordinary_links():
    rng = np.random.default_rng(2)
    ordinary = [
        (f"m{a}", f"t{b}") for a, b in zip(rng.integers(0, 400, 600), rng.integers(0, 300, 600), strict=True)
    ]
    ring = [(f"x{a}", f"d{b}") for a in range(12) for b in range(6)]
    signal = dense_blocks([*ordinary, *ring])[0]
    assert {f"x{a}" for a in range(12)} <= set(signal.members)
    assert len(signal.members) <= 14
    second = dense_blocks([*ordinary, *ring], blocks=2)[1]
    assert not set(second.members) & {f"x{a}" for a in range(12)}
    assert dense_blocks([]) == ()


def test_links_are_pairs_of_text():
    for bad in (["ab"], [("a",)], [("a", 1)], [("", "x")]):
        for find in (shared_components, dense_blocks):
            with pytest.raises(InvalidValue):
                find(bad)


def test_states_are_soft_and_appealable():
    assert State.CLEAR < State.FLAGGED < State.HELD < State.REJECTED
    signal = Signal("bursts", ("ann", "bo"), 3.0, "9 invitees on one day")
    review = open_reviews([signal, Signal("kickbacks", ("ann",), 1.0, "1 transfer")], at=T)["ann"]
    assert review.state is State.FLAGGED
    assert len(review.steps) == 2
    held = review.raise_to(State.HELD, at=day(1), why="asked for papers")
    with pytest.raises(InvalidValue, match="appeal lowers it"):
        held.raise_to(State.CLEAR, at=day(2), why="x")
    with pytest.raises(InvalidValue, match="no appeal"):
        held.decide(State.CLEAR, at=day(2), why="x")
    appealed = held.appeal(at=day(2), why="papers sent")
    assert appealed.state is State.HELD
    with pytest.raises(InvalidValue, match="open already"):
        appealed.appeal(at=day(3), why="x")
    with pytest.raises(InvalidValue, match="HELD or below"):
        appealed.decide(State.REJECTED, at=day(3), why="x")
    clear = appealed.decide(State.CLEAR, at=day(3), why="papers in order")
    assert clear.state is State.CLEAR
    assert [step.what for step in clear.steps] == ["flagged", "flagged", "raised", "appealed", "decided"]
    with pytest.raises(InvalidValue, match="nothing is held"):
        Review("bo").appeal(at=T, why="x")
    with pytest.raises(InvalidValue, match="before"):
        held.raise_to(State.REJECTED, at=day(0), why="x")
    with pytest.raises(InvalidValue):
        held.raise_to(State.REJECTED, at=day(9), why="")
    with pytest.raises(NaiveTimeError):
        held.raise_to(State.REJECTED, at=datetime(2027, 2, 1), why="x")
