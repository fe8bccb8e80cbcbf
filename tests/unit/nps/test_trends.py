"""Trends, changes, shifts, planning and advocacy."""

import math
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from scipy.stats import norm

from userops.core.statistics import wilson
from userops.errors import InvalidValue
from userops.nps import NPS, Groups, Scale, advocacy, nps, required_n, required_n_to_detect, trend


def make(d, q, p, **more):
    return NPS(detractors=d, passives=q, promoters=p, **more)


WAVES = {
    "I": {"MEX": make(30, 20, 50), "ROU": make(10, 5, 5)},
    "II": {"MEX": make(25, 20, 35), "ROU": make(30, 20, 10)},
    "III": {"MEX": make(20, 10, 40), "ROU": make(5, 5, 30), "BRA": make(1, 1, 8)},
}


def test_changes_add_up_exactly():
    found = trend(WAVES, permutations=99)
    totals = {w: sum(s.values(), NPS.empty()) for w, s in WAVES.items()}
    for row in found.changes:
        a, b = totals[row.before], totals[row.after]
        exact = Fraction(b.promoters - b.detractors, b.n) - Fraction(a.promoters - a.detractors, a.n)
        assert row.total == exact
        assert row.total == row.within + row.mix
        assert sum(part.within for part in row.segments) == row.within
        assert sum(part.mix for part in row.segments) == row.mix


def test_a_pure_mix_and_a_pure_move():
    low, high = make(8, 1, 1), make(1, 1, 8)
    mix = trend({1: {"a": low, "b": high}, 2: {"a": low, "b": high + high}}, permutations=9).changes[0]
    assert mix.within == 0
    assert mix.total == mix.mix > 0
    moved = trend({1: {"a": low, "b": high}, 2: {"a": high, "b": high}}, permutations=9).changes[0]
    assert moved.mix == 0
    assert moved.total == moved.within == Fraction(7, 10)


def test_the_split_is_the_mean_of_both_orders():
    # Moving opinion first and mix second, or the reverse: the split is their average (Shapley).
    change = trend(WAVES, permutations=9).changes[0]
    n = {w: sum(r.n for r in s.values()) for w, s in WAVES.items()}
    share = {w: {k: Fraction(r.n, n[w]) for k, r in s.items()} for w, s in WAVES.items()}
    score = {
        w: {k: Fraction(r.promoters - r.detractors, r.n) for k, r in s.items()} for w, s in WAVES.items()
    }
    first = sum(share["I"][k] * (score["II"][k] - score["I"][k]) for k in ("MEX", "ROU"))
    last = sum(share["II"][k] * (score["II"][k] - score["I"][k]) for k in ("MEX", "ROU"))
    assert change.within == (first + last) / 2


def test_ewma_with_varying_n():
    found = trend(WAVES, permutations=9, smoothing=0.3, limits=2.5)
    totals = [sum(s.values(), NPS.empty()) for s in WAVES.values()]
    whole = sum(totals)
    # The EWMA written out as weights on all waves, and the variance of that sum.
    for t in range(3):
        weights = [0.3 * 0.7 ** (t - k) for k in range(t + 1)]
        ewma = sum(w * r.score for w, r in zip(weights, totals, strict=False)) + 0.7 ** (t + 1) * whole.score
        spread = math.sqrt(sum(w**2 * whole.variance / r.n for w, r in zip(weights, totals, strict=False)))
        row = found.rows[t]
        assert row.ewma == pytest.approx(ewma, abs=1e-14)
        assert row.ewma_high == pytest.approx(whole.score + 2.5 * spread, abs=1e-14)
        assert row.ewma_low == pytest.approx(whole.score - 2.5 * spread, abs=1e-14)


def test_cusum_with_varying_n():
    found = trend(WAVES, permutations=9, allowance=0.25)
    totals = [sum(s.values(), NPS.empty()) for s in WAVES.values()]
    whole = sum(totals)
    up = down = 0.0
    for row, result in zip(found.rows, totals, strict=True):
        z = (result.score - whole.score) * math.sqrt(result.n / whole.variance)
        up, down = max(0, up + z - 0.25), max(0, down - z - 0.25)
        assert (row.cusum_up, row.cusum_down) == pytest.approx((up, down), abs=1e-12)
        assert row.interval == result.interval()


def test_signals():
    steady, better = make(300, 300, 400), make(200, 300, 500)
    found = trend(dict(enumerate([steady] * 3 + [better] * 4)), baseline=steady)
    assert [row.has_signal for row in found.rows[:3]] == [False] * 3
    assert found.rows[-1].has_signal
    assert found.shift.at == 3
    assert found.shift.last_before == 2
    assert found.shift.difference == pytest.approx(0.2)


def test_the_shift_p_value_against_all_arrangements():
    # Six answers in three waves of two: every arrangement is counted.
    answers = [-1, -1, 0, 1, 1, 1]
    waves = {k: nps([{-1: 0, 0: 8, 1: 10}[x] for x in answers[2 * k : 2 * k + 2]]) for k in range(3)}

    def statistic(x):
        cuts = ((2, 4), (4, 2))
        return max(abs(sum(x[a:]) / b - sum(x[:a]) / a) / math.sqrt(1 / a + 1 / b) for a, b in cuts)

    observed = statistic(answers)
    every = [statistic(x) >= observed - 1e-12 for x in permutations(answers)]
    found = trend(waves, permutations=20_000, seed=4).shift
    assert found.p_value == pytest.approx(np.mean(every), abs=4 * math.sqrt(0.25 / 20_000))


def test_the_shift_p_value_is_fair_without_a_shift():
    rng = np.random.default_rng(8)
    found = []
    for _ in range(200):
        waves = {k: nps(rng.integers(0, 11, rng.integers(5, 40))) for k in range(6)}
        found.append(trend(waves, permutations=99).shift.p_value)
    assert np.mean(np.array(found) <= 0.1) <= 0.1 + 4 * math.sqrt(0.09 / 200)
    assert np.mean(found) == pytest.approx(0.5, abs=0.1)


def test_the_seed_decides():
    assert trend(WAVES, seed=1, permutations=199) == trend(WAVES, seed=1, permutations=199)
    waves = {1: make(5, 5, 5), 2: make(4, 5, 6), 3: make(6, 4, 5)}
    found = {trend(waves, seed=k, permutations=199).shift.p_value for k in range(8)}
    assert len(found) > 1


@pytest.mark.parametrize("one", [make(0, 0, 5), make(0, 5, 0), make(5, 0, 0)])
def test_waves_without_variance_have_no_shift(one):
    found = trend({1: one, 2: one + one, 3: one}, permutations=19)
    assert found.shift.p_value == 1
    assert not any(row.has_signal for row in found.rows)
    # Against a baseline of one class any other answer is a signal.
    assert trend({1: make(1, 1, 1)}, baseline=make(0, 0, 5)).rows[0].has_signal


def test_billions_of_answers():
    big = 10**9
    found = trend({1: make(big, big, big), 2: make(big, big, big + 10**6)}, permutations=199)
    assert found.shift.p_value == pytest.approx(1 / 200)
    same = trend({1: make(big, big, big), 2: make(big, big, big)}, permutations=199)
    assert same.shift.p_value == 1
    assert found.changes[0].total == found.changes[0].within


def test_inputs_of_trend():
    assert trend({1: make(1, 1, 1), 2: make(1, 0, 1)}, permutations=9).changes[0].segments[0].segment == "all"
    grouped = nps([10, 3, 8], by=list("aba"))
    assert isinstance(grouped, Groups)
    assert trend({1: grouped}).rows[0].n == 3
    with pytest.raises(InvalidValue, match="single wave"):
        _ = trend({1: make(1, 1, 1)}).shift
    with pytest.raises(InvalidValue, match="wave 'x' has no answers"):
        trend({"x": {"a": NPS.empty()}})
    with pytest.raises(InvalidValue, match="cannot be added or compared"):
        trend({1: make(1, 1, 1), 2: make(1, 1, 1, scale=Scale.FIVE_POINT)})
    for bad in ({}, [], None, {1: 5}, {1: {}}, {1: {"a": 0.5}}):
        with pytest.raises(InvalidValue):
            trend(bad)
    waves = {1: make(1, 1, 1), 2: make(1, 1, 1)}
    for name in ("smoothing", "limits", "allowance", "decision"):
        for bad in (0, -1, math.nan, math.inf, True, "1", None):
            with pytest.raises(InvalidValue):
                trend(waves, **{name: bad})
    for more in (
        {"smoothing": 1.5},
        {"seed": -1},
        {"seed": 1.0},
        {"permutations": 0},
        {"level": 2},
        {"baseline": 0.5},
        {"baseline": NPS.empty()},
    ):
        with pytest.raises(InvalidValue):
            trend(waves, **more)


def test_trend_prints_and_plots():
    found = trend(WAVES, permutations=99)
    text = str(found)
    assert "most likely shift" in text
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "within" in str(found.change_table())
    assert "<table>" in found._repr_html_()
    pytest.importorskip("matplotlib")
    ax = found.plot()
    assert ax.get_ylabel() == "NPS"
    assert len(ax.containers) == 1


def test_required_n_is_the_smallest():
    for margin, level in ((0.05, 0.95), (0.031, 0.9), (0.5, 0.99), (2, 0.95)):
        n = required_n(margin, level)
        z = norm.isf((1 - level) / 2)
        assert z / math.sqrt(n) <= margin
        assert n == 1 or z / math.sqrt(n - 1) > margin
    n = required_n(0.05, population=2_000)
    spread = [math.sqrt((2000 - k) / 1999 / k) * norm.isf(0.025) for k in (n, n - 1)]
    assert spread[0] <= 0.05 < spread[1]
    assert required_n(1e-9, population=50) == 50
    assert required_n(2.0, population=1) == 1


def test_required_n_to_detect_reaches_its_power():
    like = make(20, 30, 50)
    n = required_n_to_detect(0.1, 0.8, like=like)
    spread = math.sqrt(2 * like.variance / n)
    assert norm.sf(norm.isf(0.025) - 0.1 / spread) == pytest.approx(0.8, abs=1e-3)
    assert required_n_to_detect(0.1, 0.8, population=500) < required_n_to_detect(0.1, 0.8)
    assert required_n_to_detect(0.1, 0.9, level=0.99) > required_n_to_detect(0.1, 0.8)


@pytest.mark.parametrize("bad", [0, -0.1, 5, math.nan, math.inf, True, "0.05", None, 1e400])
def test_margins_are_in_units_of_score(bad):
    with pytest.raises(InvalidValue):
        required_n(bad, 0.95)
    with pytest.raises(InvalidValue):
        required_n_to_detect(bad, 0.8)


def test_plans_that_cannot_be_made():
    for more in (
        {"like": make(0, 0, 9)},
        {"like": NPS.empty()},
        {"like": 0.5},
        {"population": 0},
        {"population": 1.5},
    ):
        with pytest.raises(InvalidValue):
            required_n(0.05, 0.95, **more)
        with pytest.raises(InvalidValue):
            required_n_to_detect(0.05, 0.8, **more)
    for tiny in (5e-324, 1e-200):
        with pytest.raises(InvalidValue, match="no sample"):
            required_n(tiny, 0.95)
        assert required_n(tiny, population=9) == 9
    for power in (0, 1, 0.01, math.nan):
        with pytest.raises(InvalidValue):
            required_n_to_detect(0.1, power)


def test_advocacy_side_by_side():
    found = advocacy(make(10, 30, 60), referred=30, buyers=100, unknown=20)
    assert found.score == 0.5
    assert found.score_interval == make(10, 30, 60).interval()
    assert found.share == 30 / 80
    assert found.share_interval == wilson(30, 80)
    assert found.share_bounds == (0.3, 0.5)
    text = str(found)
    assert "intention" in text
    assert "20 of 100" in text
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "<table>" in found._repr_html_()
    pytest.importorskip("matplotlib")
    assert len(found.plot().containers) == 2


@pytest.mark.parametrize(
    "more",
    [
        {"referred": 5, "buyers": 4},
        {"referred": 3, "buyers": 5, "unknown": 3},
        {"referred": 0, "buyers": 5, "unknown": 5},
        {"referred": -1, "buyers": 5},
        {"referred": True, "buyers": 5},
        {"referred": 1.0, "buyers": 5},
        {"referred": 0, "buyers": 0},
        {"referred": 0, "buyers": 5, "unknown": None},
        {"referred": 0, "buyers": 5, "level": 95},
    ],
)
def test_advocacy_refuses_what_does_not_add_up(more):
    with pytest.raises(InvalidValue):
        advocacy(make(1, 1, 1), **more)
    for bad in (NPS.empty(), 0.5, None):
        with pytest.raises(InvalidValue):
            advocacy(bad, referred=1, buyers=2)
