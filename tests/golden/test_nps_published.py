"""Figures that are published: the design page's worked cases, and textbook sample sizes."""

import pytest

from userops.nps import NPS, advocacy, difference, post_stratify, required_n, required_n_to_detect

CASE = NPS(detractors=10, passives=30, promoters=60)


@pytest.mark.parametrize(
    ("method", "low", "high"),
    [
        ("wald", 0.36852, 0.63148),
        ("adjusted_wald", 0.35467, 0.61621),
        ("score", 0.35569, 0.61876),
    ],
)
def test_intervals_of_10_30_60(method, low, high):
    assert [round(x, 5) for x in CASE.interval(0.95, method)] == [low, high]


def test_score_and_points():
    assert (CASE.score, CASE.points, CASE.n) == (0.5, 50.0, 100)


def test_two_samples():
    found = difference(CASE, NPS(detractors=20, passives=30, promoters=50))
    assert round(found.z, 5) == 1.93375
    assert round(found.p_value, 5) == 0.05314
    assert found.difference == 0.2
    assert found.interval[0] < 0 < found.interval[1]


def test_sample_sizes():
    # Cochran (1977), n = z²V / d² with V = 1, and his finite-population form.
    assert required_n(0.05, 0.95) == 1537
    assert required_n(0.05, 0.95, population=1000) == 607
    assert required_n(0.05, 0.95, like=CASE) == 692
    # 2 V (z_.975 + z_.8)² / δ², with 7.8489 the textbook's square.
    assert required_n_to_detect(0.1, 0.8) == 1570


def test_a_cell_at_its_share():
    found = post_stratify([10, 10, 0, 0, 10, 0], list("aaaabb"), targets={"a": 0.5, "b": 0.5})
    assert found.score == 0.0


def test_advocacy_of_the_owner_club():
    # field.md: half of new sales came from owners' referral.
    found = advocacy(CASE, referred=10_000, buyers=20_000)
    assert found.share == 0.5
    assert found.score == 0.5
