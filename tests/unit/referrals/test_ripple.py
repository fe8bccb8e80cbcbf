"""Ripple metrics against definitions taken literally, and offspring against scipy's optimum."""

import math
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from userops.errors import InvalidValue
from userops.referrals import (
    Invitation,
    ReferralGraph,
    growth,
    k_factor,
    offspring,
    reach_limit,
)
from userops.referrals.ripple import _exact_sum, distances_of

T = datetime(2027, 1, 1, tzinfo=UTC)


def day(n):
    return T + timedelta(days=n)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_virality_is_the_mean_distance_over_pairs(draws, rng):
    links = [-1 if draw % 7 == 0 else draw % (k + 1) - 1 for k, draw in enumerate(draws)]
    order = list(range(len(links)))
    rng.shuffle(order)
    shuffled = [0] * len(links)
    for k, above in enumerate(links):
        shuffled[order[k]] = -1 if above < 0 else order[above]
    ripple = ReferralGraph.from_parents(shuffled).ripple()
    peer = nx.Graph()
    peer.add_nodes_from(range(len(links)))
    peer.add_edges_from((above, k) for k, above in enumerate(shuffled) if above >= 0)
    total, pairs = 0.0, 0
    assert set(ripple.trees) == {k for k, above in enumerate(shuffled) if above < 0}
    for nodes in nx.connected_components(peer):
        tree = peer.subgraph(nodes)
        n = len(nodes)
        distances = nx.wiener_index(tree) if n > 1 else 0
        total, pairs = total + distances, pairs + n * (n - 1) / 2
        root = next(k for k in nodes if shuffled[k] < 0)
        own = ripple.trees[root]
        assert own.size == n
        assert own.depth == max(nx.single_source_shortest_path_length(tree, root).values())
        assert sum(own.widths) == n
        below = ReferralGraph.from_parents(shuffled).ripple(root)
        assert below == own
        if n > 1:
            assert own.structural_virality == pytest.approx(distances / (n * (n - 1) / 2), rel=1e-12)
        else:
            with pytest.raises(InvalidValue):
                _ = own.structural_virality
    assert sum(ripple.widths) == ripple.size == len(links)
    if pairs:
        assert ripple.structural_virality == pytest.approx(total / pairs, rel=1e-12)


def test_long_paths_are_exact_where_sums_leave_64_bits():
    n = 200_000
    assert ReferralGraph.from_parents(np.arange(-1, n - 1)).ripple().structural_virality == (n + 1) / 3
    sizes = np.arange(2**31 - 1, 0, -(2**17), dtype=np.int32)
    n = 2**31 - 1
    expected = sum(int(s) * (n - int(s)) for s in sizes)
    assert distances_of(sizes, np.zeros(len(sizes), dtype=np.int32)) == expected > 2**63
    spans = np.array([2**62, 2**62, -(2**40), 2**62], dtype=np.int64)
    assert _exact_sum(spans) == 3 * 2**62 - 2**40


def test_intervals_run_from_binding_to_binding_and_from_a_roots_joining():
    touches = [Invitation("a", "b", day(0)), Invitation("b", "c", day(2)), Invitation("c", "d", day(6))]
    assert ReferralGraph.from_invitations(touches).ripple().generation_interval == 3.0
    joined = {"a": day(-6), "b": day(1), "c": None, "d": None}
    with_root = ReferralGraph.from_invitations(touches, members=joined).ripple()
    assert with_root.generation_interval == 4.0
    assert with_root.trees["a"].generation_interval == 4.0
    with pytest.raises(InvalidValue, match="no referral"):
        _ = ReferralGraph.from_parents([-1, 0]).ripple().generation_interval


def test_a_ripple_prints_its_rings():
    text = str(ReferralGraph.from_parents([-1, 0, 0, 1]).ripple())
    assert "structural virality 1.67" in text
    assert "no referral has both" in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(("r", "k", "n"), [(0.9, 0.2, 4_000), (2.5, 1.0, 500), (0.3, 5.0, 3_000)])
def test_offspring_is_the_maximum_of_the_likelihood(r, k, n):
    counts = np.random.default_rng(3).negative_binomial(k, k / (k + r), n)
    found = offspring(counts)
    assert found.R == counts.mean()

    def loss(x):
        size = math.exp(x)
        return -stats.nbinom.logpmf(counts, size, size / (size + counts.mean())).sum()

    best = optimize.minimize_scalar(loss, bounds=(-8, 12), method="bounded", options={"xatol": 1e-10})
    assert found.k == pytest.approx(math.exp(best.x), rel=1e-4)
    assert loss(math.log(found.k)) <= best.fun + 1e-9


def test_counts_without_dispersion_have_infinite_k_and_nonsense_is_refused():
    assert offspring([2, 2, 2]).k == math.inf
    assert offspring([0, 1] * 50).k == math.inf
    for bad in ([], [0, 0], [-1, 1], [0.5], [True], "12", [[1]], [10**9, 1]):
        with pytest.raises(InvalidValue):
            offspring(bad)


def test_word_of_mouth_arithmetic():
    assert k_factor(4, Fraction(1, 5)) == Fraction(4, 5)
    assert reach_limit(0) == 1
    assert reach_limit(0.5) == 2.0
    assert growth(100, 0.5, 3) == (50.0, 25.0, 12.5)
    assert growth(10, 2, 3) == (20, 40, 80)
    assert growth(10, 2, 0) == ()
    # All cycles together approach what the limit promises.
    assert 100 + sum(growth(100, Fraction(3, 4), 200)) == pytest.approx(100 * reach_limit(Fraction(3, 4)))
    for bad in (1, 1.0, 1.5, -0.1, float("nan"), float("inf"), True, "0.5", None):
        with pytest.raises(InvalidValue):
            reach_limit(bad)
    for bad in ((-1, 0.5), (5, 1.5), (5, -0.5), (float("nan"), 0.5)):
        with pytest.raises(InvalidValue):
            k_factor(*bad)
    with pytest.raises(InvalidValue):
        growth(1, 0.5, -1)
    with pytest.raises(InvalidValue):
        growth(1e300, 1e300, 3)
