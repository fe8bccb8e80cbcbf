"""Mechanisms from the literature against their formulas."""

from decimal import Decimal
from fractions import Fraction

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from userops.errors import InvalidValue
from userops.referrals import ReferralGraph, geometric_tree, own_spend_reward, recursive_halving


@given(st.integers(0, 10**12), st.integers(0, 60))
def test_halving_never_pays_more_than_the_pot(pot, length):
    found = recursive_halving(pot, range(length))
    assert sum(found.values()) <= pot
    assert list(found.values()) == [pot // 2 ** (length - k) for k in range(length)]


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 100)), min_size=1, max_size=30))
def test_the_geometric_tree_is_its_sum(rows):
    links = [-1 if draw % 5 == 0 else draw % (k + 1) - 1 for k, (draw, _) in enumerate(rows)]
    given_by = [amount for _, amount in rows]
    graph = ReferralGraph.from_parents(links)
    found = geometric_tree(graph, given_by, ratio=Fraction(1, 3), share=Fraction(2, 3))
    peer = nx.DiGraph()
    peer.add_nodes_from(range(len(links)))
    peer.add_edges_from((above, k) for k, above in enumerate(links) if above >= 0)
    for k in range(len(links)):
        distances = nx.single_source_shortest_path_length(peer, k)
        expected = sum(Fraction(2, 3) * Fraction(1, 3) ** d * given_by[j] for j, d in distances.items())
        assert found[k] == pytest.approx(float(expected), rel=1e-12)
    assert found.sum() <= sum(given_by) * (1 + 1e-12)


def test_own_spend_is_paid_at_the_friends_rate():
    assert own_spend_reward(Decimal("99.5"), 0, lambda total: Fraction(1, 10)) == Fraction(199, 20)
    for bad in (
        (-1, 0, lambda t: 0),
        (1, -1, lambda t: 0),
        (1, 1, lambda t: 0.1),
        (1, 1, lambda t: -1),
        (0.5, 1, int),
    ):
        with pytest.raises(InvalidValue):
            own_spend_reward(*bad)


def test_nonsense_is_refused():
    for bad in ((-1, ["a"]), (1.0, ["a"]), (1, "ab"), (1, ["a", "a"])):
        with pytest.raises(InvalidValue):
            recursive_halving(*bad)
    graph = ReferralGraph.from_parents([-1, 0])
    half = Fraction(1, 2)
    for amounts, ratio, share in (([1], half, half), ([1, -1], half, half), ([1, np.nan], half, half),
                                  ([1, 1], "0.5", half), ([1, 1], 1, half), ([1, 1], half, Fraction(2, 3)),
                                  (["1", "2"], half, half)):  # fmt: skip
        with pytest.raises(InvalidValue):
            geometric_tree(graph, amounts, ratio=ratio, share=share)


def test_a_ratio_that_is_a_float_means_what_is_written():
    graph = ReferralGraph.from_parents([-1, 0])
    exact = geometric_tree(graph, [0, 100], ratio=Fraction(9, 10), share=Fraction(1, 10))
    assert geometric_tree(graph, [0, 100], ratio=0.9, share=0.1).tolist() == exact.tolist()
    for wrong in (float("nan"), float("inf"), True, 1.0, -0.1):
        with pytest.raises(InvalidValue):
            geometric_tree(graph, [0, 100], ratio=wrong, share=0)
