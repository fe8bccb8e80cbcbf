"""Laws of NPS: merging, intervals, tests and their duality, over arbitrary counts."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from userops.nps import NPS, Groups, difference, nps, trend
from userops.nps.constrained import refitted_variance, statistic, statistics_at_zero
from userops.nps.intervals import score_variance

small = st.integers(0, 60)
large = st.one_of(small, st.integers(0, 10**9))
counts = st.tuples(large, large, large).filter(any)
few = st.tuples(small, small, small).filter(any)
levels = st.floats(0.01, 0.9999)
answers = st.one_of(st.integers(-3, 14), st.sampled_from([None, True, "9", 6.5, 9.0, float("nan"), 2**70]))
rows = st.lists(st.tuples(answers, st.sampled_from("abc")), min_size=1, max_size=40)


def make(found):
    d, q, p = found
    return NPS(detractors=d, passives=q, promoters=p)


@given(rows, st.data())
def test_any_order_and_any_split_merge_to_the_same(found, data):
    shuffled = data.draw(st.permutations(found))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(found)), max_size=4)))
    parts = [shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, len(found)], strict=True)]
    whole = nps([s for s, _ in found], invalid="exclude")
    merged = sum((nps([s for s, _ in part], invalid="exclude") for part in parts if part), NPS.empty())
    assert merged == whole
    grouped = nps([s for s, _ in found], by=[g for _, g in found], invalid="exclude")
    pieces = [nps([s for s, _ in p], by=[g for _, g in p], invalid="exclude") for p in parts if p]
    assert sum(pieces, Groups.empty()) == sum(reversed(pieces), Groups.empty()) == grouped
    stream = NPS.empty()
    for answer, _ in shuffled:
        stream = stream.update(answer, invalid="exclude")
    assert stream == whole
    assert grouped.total == whole


@given(counts, counts, counts)
def test_adding_is_commutative_and_associative(a, b, c):
    a, b, c = make(a), make(b), make(c)
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert a + NPS.empty() == a


@given(counts, levels)
def test_the_score_interval_holds_the_score_and_stays_inside(found, level):
    low, high = make(found).interval(level)
    assert -1 <= low <= make(found).score <= high <= 1
    assert low < high


@given(counts, levels)
def test_swapping_promoters_and_detractors_mirrors(found, level):
    d, q, p = found
    low, high = make(found).interval(level)
    mirrored = make((p, q, d)).interval(level)
    assert mirrored == pytest.approx((-high, -low), abs=1e-12)


@given(counts, levels, levels)
def test_intervals_nest_by_level(found, a, b):
    assume(abs(a - b) > 1e-6)
    inner, outer = (make(found).interval(level) for level in sorted((a, b)))
    assert outer[0] <= inner[0] + 1e-12
    assert inner[1] <= outer[1] + 1e-12


@given(few, st.floats(-0.999, 0.999))
def test_the_refit_is_the_likeliest(found, score):
    # A grid search over the shares with p - d = score knows no quadratic.
    d, q, p = found
    low, high = max(0.0, -score), (1 - score) / 2
    grid = np.linspace(low, high, 20_001)
    with np.errstate(divide="ignore", invalid="ignore"):
        likelihood = sum(
            np.where(n, n * np.log(np.maximum(share, 0)), 0.0)
            for n, share in ((d, grid), (q, 1 - score - 2 * grid), (p, grid + score))
        )
    best = grid[np.nanargmax(likelihood)]
    wanted = 2 * best + score - score**2
    assert refitted_variance(found, score) == pytest.approx(wanted, abs=4 * (high - low) / 20_000 + 1e-12)


@given(counts, counts, levels)
def test_zero_lies_outside_just_when_the_test_rejects(a, b, level):
    found = difference(make(a), make(b), level=level)
    low, high = found.interval
    assert (not low <= 0 <= high) == (found.p_value < 1 - level)
    assert low <= found.difference <= high
    assert -2 <= low <= high <= 2


@given(few, few)
def test_consistency_at_the_p_value_itself(a, b):
    p = difference(make(a), make(b)).p_value
    for level in (1 - p, np.nextafter(1 - p, 0), np.nextafter(1 - p, 1)):
        if 0 < level < 1:
            found = difference(make(a), make(b), level=float(level))
            low, high = found.interval
            assert (not low <= 0 <= high) == (found.p_value < 1 - level)


@given(counts, counts, levels)
def test_the_difference_is_antisymmetric(a, b, level):
    one, other = difference(make(a), make(b), level=level), difference(make(b), make(a), level=level)
    assert one.difference == -other.difference
    assert one.z == -other.z
    assert one.p_value == other.p_value
    assert one.interval == (-other.interval[1], -other.interval[0])


@given(few, few, levels)
def test_the_interval_inverts_the_statistic(a, b, level):
    found = difference(make(a), make(b), level=level)
    # An end that is clipped to what a difference can be is not where the statistic turns: the other one is.
    reach = max(abs(statistic(a, b, found.difference, end)) for end in found.interval)
    inside = np.linspace(*found.interval, 9)[1:-1]
    assert all(abs(statistic(a, b, found.difference, float(x))) <= reach + 1e-7 for x in inside)


@given(few, few)
def test_the_statistic_falls_in_the_hypothesis(a, b):
    gap = make(a).score - make(b).score
    found = [statistic(a, b, gap, float(x)) for x in np.linspace(-1.99, 1.99, 60)]
    assert all(x >= y - 1e-7 * max(1, abs(x)) for x, y in pairwise(found))


@given(st.lists(st.tuples(counts, counts), min_size=1, max_size=5))
def test_both_engines_agree(pairs):
    a, b = (np.array(side) for side in zip(*pairs, strict=True))
    found = statistics_at_zero(a, b)
    for (one, other), z in zip(pairs, found.tolist(), strict=True):
        assert z == pytest.approx(difference(make(one), make(other)).z, rel=1e-7, abs=1e-9)


@given(few, few)
def test_the_common_score_is_the_likeliest(a, b):
    # The profile likelihood over a grid of common scores has its top where the test stands.
    def profile(sample, theta):
        d, q, p = sample
        x = (refitted_variance(sample, theta) - theta * (1 - theta)) / 2 if theta >= 0 else None
        if theta < 0:
            y = (refitted_variance(sample, theta) + theta * (1 + theta)) / 2
            shares = (y - theta, 1 + theta - 2 * y, y)
        else:
            shares = (x, 1 - theta - 2 * x, x + theta)
        return sum(n * np.log(max(share, 1e-300)) for n, share in zip((d, q, p), shares, strict=True) if n)

    z = difference(make(a), make(b)).z
    gap = make(a).score - make(b).score
    low, high = sorted((make(a).score, make(b).score))
    assume(high - low > 1e-6)
    grid = np.linspace(low, high, 400)[1:-1]
    best = max(grid, key=lambda theta: profile(a, theta) + profile(b, theta))
    spread = sum(refitted_variance(s, best) / sum(s) for s in (a, b))
    near = sum(
        abs(refitted_variance(s, best + step) - refitted_variance(s, best)) / sum(s)
        for s in (a, b)
        for step in (-(high - low) / 200, (high - low) / 200)
        if -1 <= best + step <= 1
    )
    assert abs((gap / z) ** 2 - spread) <= near + 1e-9


@given(counts)
def test_the_variance_of_one_answer(found):
    d, q, p = found
    n = d + q + p
    assert score_variance(*found) == pytest.approx((p + d) / n - ((p - d) / n) ** 2, abs=1e-12)


segments = st.dictionaries(st.sampled_from("abcd"), few, min_size=1)


@given(st.lists(segments, min_size=2, max_size=4))
def test_changes_add_up(waves):
    found = trend({k: {s: make(c) for s, c in w.items()} for k, w in enumerate(waves)}, permutations=5)
    for row in found.changes:
        assert row.total == row.within + row.mix
        gap = found.rows[row.after].score - found.rows[row.before].score
        assert float(row.total) == pytest.approx(gap, abs=1e-12)


@given(st.lists(st.integers(0, 10), min_size=2, max_size=30), st.integers(1, 1000))
def test_equal_weights_change_nothing(scores, weight):
    plain, weighted = nps(scores), nps(scores, weights=[weight] * len(scores))
    assert weighted.score == pytest.approx(plain.score, abs=1e-12)
    assert weighted.interval() == pytest.approx(plain.interval(), abs=1e-9)
