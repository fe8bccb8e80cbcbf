"""Exact coverage and exact test size: every possible sample counted with its probability."""

from functools import cache

import numpy as np
import pytest
from scipy.special import gammaln
from scipy.stats import norm

from userops.nps import NPS
from userops.nps.comparison import p_of
from userops.nps.constrained import statistics_at_zero

GRID = [
    (d / 20, q / 20, (20 - d - q) / 20) for d in range(1, 19) for q in range(1, 20 - d) if 20 - d - q >= 1
]
EDGES = [(0.05, 0.0, 0.95), (0.02, 0.96, 0.02), (0.5, 0.0, 0.5), (0.0, 0.5, 0.5), (0.01, 0.04, 0.95)]


@cache
def samples(n):
    return np.array([(d, q, n - d - q) for d in range(n + 1) for q in range(n + 1 - d)])


def probabilities(n, shares):
    counts = samples(n)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = counts * np.log(np.asarray(shares))
    logs[counts == 0] = 0
    return np.exp(gammaln(n + 1) - gammaln(counts + 1).sum(axis=1) + logs.sum(axis=1))


@cache
def bounds(n, method):
    found = [
        NPS(detractors=d, passives=q, promoters=p).interval(0.95, method) for d, q, p in samples(n).tolist()
    ]
    return np.array(found)


def coverage(n, shares, method="score"):
    low, high = bounds(n, method).T
    score = shares[2] - shares[0]
    return float(probabilities(n, shares)[(low <= score) & (score <= high)].sum())


def test_the_grid_has_all_inner_trinomials():
    assert len(GRID) == 171
    assert probabilities(10, GRID[0]).sum() == pytest.approx(1)


@pytest.mark.parametrize(("n", "near"), [(10, 0.015), (20, 0.01), (50, 0.01)])
def test_coverage_of_the_score_interval(n, near):
    found = [coverage(n, shares) for shares in GRID]
    assert min(found) >= 0.93
    assert abs(np.mean(found) - 0.95) <= near


def test_coverage_falls_towards_the_edge_as_documented():
    assert round(coverage(10, (0.0, 0.0175, 0.9825)), 2) == 0.84


def test_the_bound_can_fail():
    # Wald's interval at the same grid is what the bound is there to catch.
    assert min(coverage(10, shares, "wald") for shares in GRID) < 0.8


@cache
def rejected(n_a, n_b):
    a, b = samples(n_a), samples(n_b)
    # One row of the table at a time stays in the processor's cache.
    rows = [statistics_at_zero(np.broadcast_to(one, b.shape), b) for one in a]
    return np.abs(np.array(rows)) > norm.isf(0.025)


def size(n_a, n_b, shares):
    return float(probabilities(n_a, shares) @ rejected(n_a, n_b) @ probabilities(n_b, shares))


@pytest.mark.parametrize(
    ("n_a", "n_b", "most"), [(12, 12, 0.07), (12, 25, 0.07), (30, 30, 0.06), (30, 12, 0.07)]
)
def test_size_of_the_two_sample_test(n_a, n_b, most):
    assert max(size(n_a, n_b, shares) for shares in GRID) <= most


def test_size_without_passives_is_coarser_as_documented():
    # Two coins have few distinct scores: at 13 a side the size jumps over the bound that holds inside.
    assert max(size(12, 12, shares) for shares in EDGES) <= 0.07
    assert round(size(13, 13, (0.5, 0.0, 0.5)), 3) == 0.076
    assert max(size(13, 13, shares) for shares in GRID) <= 0.07


@pytest.mark.nightly
@pytest.mark.parametrize(("n_a", "n_b"), [(12, 13), (14, 17), (20, 20), (12, 60), (25, 25), (30, 45)])
def test_size_at_more_sizes(n_a, n_b):
    assert max(size(n_a, n_b, shares) for shares in GRID) <= (0.06 if min(n_a, n_b) >= 30 else 0.07)


def test_size_when_both_groups_have_different_laws_of_one_score():
    # Equal scores, unequal shares: what "the wrong variance" gets wrong.
    pairs = [((0.3, 0.1, 0.6), (0.05, 0.6, 0.35)), ((0.5, 0.0, 0.5), (0.05, 0.9, 0.05))]
    for a, b in pairs:
        found = float(probabilities(30, a) @ rejected(30, 30) @ probabilities(30, b))
        assert found <= 0.07


def test_an_unrestricted_test_would_break_the_bound():
    counts = samples(12).astype(float)
    shares = counts / 12
    score = shares[:, 2] - shares[:, 0]
    variance = (shares[:, 0] + shares[:, 2] - score**2) / 12
    gap = np.abs(score[:, None] - score[None, :])
    wald = gap > norm.isf(0.025) * np.sqrt(variance[:, None] + variance[None, :])
    worst = max(float(probabilities(12, s) @ wald @ probabilities(12, s)) for s in GRID)
    assert worst > 0.07


def test_p_values_of_columns_are_those_of_the_normal_law():
    z = statistics_at_zero(samples(4)[:5], samples(4)[5:10])
    assert [p_of(value) for value in z] == pytest.approx(2 * norm.sf(np.abs(z)), abs=1e-12)
