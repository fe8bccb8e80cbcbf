"""Published figures and closed forms of the referral room, each with its source."""

import networkx as nx
import pytest

from userops.referrals import Journeys, Levels, ReferralGraph, Scheme, recursive_halving


def test_the_red_balloon_split():
    """Pickard et al. 2011 (Time-Critical Social Mobilization): the finder 2,000, then halves up the path."""
    assert list(recursive_halving(4_000, ["Alice", "Bob", "Charlie", "Diane"]).values()) == [
        250,
        500,
        1000,
        2000,
    ]


@pytest.mark.parametrize(
    ("edges", "virality"),
    [
        ([(0, k) for k in range(1, 10)], 1.8),
        ([(k, k + 1) for k in range(9)], 11 / 3),
        ([(0, 1), (0, 2), (1, 3), (1, 4), (2, 5), (2, 6)], 16 / 7),
    ],
)
def test_structural_virality_of_known_shapes(edges, virality):
    """Star of n: 2(n − 1)/n; path of n: (n + 1)/3 (Goel et al. 2016); binary tree of height 2: 48/21."""
    ripple = ReferralGraph.from_networkx(nx.DiGraph(edges)).ripple()
    assert ripple.structural_virality == pytest.approx(virality, rel=1e-15)


def test_the_markov_example():
    """ABABBA, ABBAA and AA, one order each: without A nothing is left, without B half (design page)."""
    found = Journeys(["ABABBA", "ABBAA", "AA"], [1, 1, 1]).markov()
    assert found.removal_effects == pytest.approx({"A": 1, "B": 0.5}, abs=1e-12)
    assert found.credits == pytest.approx({"A": 2, "B": 1}, abs=1e-12)


def test_two_thirds_one_third():
    """The design page's geometric levels."""
    from fractions import Fraction

    assert Levels.geometric(ratio=Fraction(1, 2), depth=2).shares == (Fraction(2, 3), Fraction(1, 3))


def test_a_single_level_of_twelve_thousand():
    """Design page: 12,000 points to the referrer of a delivery: a fake identity must cost as much as that reward."""
    certificate = Scheme(milestones={"test_drive": 200, "delivery": 12_000}).certificate()
    assert (certificate.budget_per_conversion, certificate.identity_cost, certificate.gain(1)) == (
        12_000,
    ) * 3
