"""Quantiles, tails and intervals against scipy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from userops.core import statistics as ours
from userops.errors import InvalidValue

PROBABILITIES = st.floats(1e-300, 1 - 1e-12, exclude_min=True)


@given(PROBABILITIES)
def test_normal_quantile(p):
    assert ours.normal_quantile(p) == pytest.approx(stats.norm.ppf(p), rel=1e-12, abs=1e-15)


@given(st.floats(-30, 30))
def test_normal_tail(z):
    assert ours.normal_tail(z) == pytest.approx(stats.norm.sf(z), rel=1e-12)


@given(st.floats(1e-6, 1 - 1e-9), st.sampled_from([1, 2, 3, 5, 10, 19, 21, 100, 1_000, 99_999, 10_000_000]))
def test_chi_square_quantile(p, df):
    assert ours.chi_square_quantile(p, df) == pytest.approx(stats.chi2.ppf(p, df), rel=1e-12)


@given(st.floats(1e-3, 5e3), st.sampled_from([1, 2, 3, 5, 10, 50, 500, 2_000]))
def test_chi_square_tail(x, df):
    expected = stats.chi2.sf(x, df)
    # Where the tail is 1 - a series, only its distance from 1 carries digits.
    assert ours.chi_square_tail(x, df) == pytest.approx(expected, rel=1e-11, abs=1e-13)


@given(st.integers(0, 100_000), st.floats(0.5, 0.999))
def test_poisson_interval(k, level):
    low, high = ours.poisson_interval(k, level=level)
    tail = (1 - level) / 2
    assert low == pytest.approx(stats.chi2.ppf(tail, 2 * k) / 2 if k else 0.0, rel=1e-11)
    assert high == pytest.approx(stats.chi2.ppf(1 - tail, 2 * k + 2) / 2, rel=1e-11)


@given(st.integers(0, 300), st.floats(1e-3, 200))
def test_poisson_tail(k, mean):
    assert ours.poisson_tail(k, mean) == pytest.approx(stats.poisson.sf(k - 1, mean), rel=1e-10, abs=1e-300)


@given(st.data(), st.integers(1, 10**9), st.floats(0.5, 0.999))
def test_wilson(data, n, level):
    k = data.draw(st.integers(0, n))
    low, high = ours.wilson(k, n, level=level)
    expected = stats.binomtest(k, n).proportion_ci(level, method="wilson")
    assert low == pytest.approx(expected.low, rel=1e-9, abs=1e-12)
    assert high == pytest.approx(expected.high, rel=1e-9, abs=1e-12)


def test_holm_against_a_plain_reading():
    rng = np.random.default_rng(1)
    for _ in range(50):
        p = rng.random(6)
        ranked = sorted(p)
        expected = {v: max(min(1.0, (6 - k) * w) for k, w in enumerate(ranked) if w <= v) for v in ranked}
        assert ours.holm(p) == pytest.approx([expected[v] for v in p])


@given(st.floats(-5, 5), st.floats(0.1, 3))
def test_root_against_brentq(shift, scale):
    def f(x):
        return math.tanh(scale * (x - shift)) + 0.01 * (x - shift)

    assert ours.root(f, -10, 10) == pytest.approx(optimize.brentq(f, -10, 10, xtol=1e-15), abs=1e-13)


def test_a_bracket_without_a_root_is_an_error():
    with pytest.raises(InvalidValue):
        ours.root(lambda x: x * x + 1, -1, 1)


@pytest.mark.parametrize("level", [0, 1, -0.1, 1.5, float("nan"), True, "0.9", None])
def test_levels_outside_are_refused(level):
    with pytest.raises(InvalidValue):
        ours.check_level(level)
