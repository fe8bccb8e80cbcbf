"""Groups: counting by label on every path, comparisons, merging and streams."""

import tracemalloc
from collections import Counter
from datetime import datetime

import numpy as np
import pytest

from userops.core.statistics import holm
from userops.errors import InvalidValue
from userops.nps import NPS, Groups, Scale, difference, nps

RNG = np.random.default_rng(3)
N = 300_001
SCORES = RNG.integers(0, 11, N).astype(np.int8)
CODES = RNG.integers(0, 7, N)


def by_dictionary(scores, labels):
    """The plain engine: one answer at a time."""
    counts = {}
    for score, label in zip(scores.tolist(), labels.tolist(), strict=True):
        kind = "d" if score <= 6 else "q" if score <= 8 else "p"
        counts.setdefault(label, Counter())[kind] += 1
    return {
        label: NPS(detractors=c["d"], passives=c["q"], promoters=c["p"])
        for label, c in sorted(counts.items())
    }


EXPECTED = by_dictionary(SCORES, CODES)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.int64, np.uint64])
@pytest.mark.parametrize("offset", [0, 3, 100])
@pytest.mark.parametrize("is_sorted", [False, True])
def test_integer_labels_of_every_type(kind, offset, is_sorted):
    labels = (CODES + offset).astype(kind)
    order = np.argsort(labels, kind="stable") if is_sorted else slice(None)
    found = nps(SCORES[order], by=labels[order])
    assert found.results == {label + offset: result for label, result in EXPECTED.items()}


@pytest.mark.parametrize(
    "labels",
    [
        CODES - 2**62,
        CODES * 10**6,
        CODES.astype(float),
        CODES.astype("U3"),
        CODES.astype("S3"),
        CODES.astype(object),
        np.ma.array(CODES, mask=False),
        CODES > 3,
        (CODES - 128).astype(np.int8),
        CODES.astype(np.uint64) + np.uint64(2**63),
        np.sort(CODES).astype(np.uint64) + np.uint64(2**63),
        np.sort(CODES * 30 - 128).astype(np.int8),
        np.array(["2027-01", "2027-02", "2027-10"], "datetime64[M]")[CODES % 3],
    ],
    ids=range(13),
)
def test_other_labels(labels):
    found = nps(SCORES, by=labels)
    expected = by_dictionary(SCORES, np.ma.getdata(labels))
    assert found.results == expected


@pytest.mark.parametrize("groups", [1, 1_000, 5_000])
def test_many_groups(groups):
    labels = RNG.integers(0, groups, 50_000).astype(np.int16)
    found = nps(SCORES[:50_000], by=labels)
    assert found.results == by_dictionary(SCORES[:50_000], labels)
    assert found.total == nps(SCORES[:50_000])


def test_sorted_and_unsorted_rows_with_exclusions():
    scores = SCORES.astype(np.int16)
    scores[::1000] = 11
    labels = np.sort(CODES)
    shuffled = RNG.permutation(N)
    a = nps(scores, by=labels, invalid="exclude")
    b = nps(scores[shuffled], by=labels[shuffled], invalid="exclude")
    assert a == b
    assert a.excluded == {"off the scale": 301}
    with pytest.raises(InvalidValue, match=r"scores\[0\] is 11, off the scale"):
        nps(scores, by=labels)


def test_verbal_scale_with_sorted_groups():
    # Classes that do not rise with the answers' order take the general path.
    scale = Scale.verbal({0: "promoter", 1: "detractor", 2: "passive"})
    scores = RNG.integers(0, 3, 1000).astype(np.int8)
    labels = np.sort(RNG.integers(0, 3, 1000))
    found = nps(scores, by=labels, scale=scale)
    for label, result in found.results.items():
        part = scores[labels == label]
        assert (result.promoters, result.detractors) == ((part == 0).sum(), (part == 1).sum())


def test_times_and_tuples_as_labels():
    times = np.array(["2027-10-01", "2027-09-01", "NaT"], dtype="datetime64[ns]")
    found = nps([9, 10, 3], by=times, invalid="exclude")
    assert [row.group for row in found] == [datetime(2027, 9, 1), datetime(2027, 10, 1)]
    assert found.excluded == {"no group": 1}
    pairs = nps([9, 10, 3], by=[(10, "b"), (2, "a"), (2, "b")])
    assert [row.group for row in pairs] == [(2, "a"), (2, "b"), (10, "b")]
    assert "10, b" in str(pairs)
    assert "2027" in str(nps([9], by=[2027]))


def test_missing_labels():
    for labels in (
        ["a", None, "b"],
        ["a", "", "b"],
        np.array([1.0, np.nan, 2.0]),
        np.ma.array([1, 2, 3], mask=[0, 1, 0]),
    ):
        with pytest.raises(InvalidValue, match=r"by\[1\] is missing"):
            nps([9, 9, 3], by=labels)
        found = nps([9, 9, 3], by=labels, invalid="exclude")
        assert found.excluded == {"no group": 1}
        assert len(found) == 2
        assert found.total.n == 2
    for bad in (["a"], [["a"], ["b"], ["c"]], 5, "abc"):
        with pytest.raises(InvalidValue):
            nps([9, 9, 3], by=bad)


def test_rows():
    found = nps([10, 9, 8, 3, 0, 7], by=list("babbab"))
    rows = list(found)
    assert [row.group for row in rows] == ["a", "b"]
    assert rows[1].n == 4
    assert rows[1].score == found["b"].score
    assert rows[1].interval == found["b"].interval()
    assert rows[1].shares == found["b"].shares
    with pytest.raises(InvalidValue, match="no group 'z'"):
        found["z"]
    assert nps([10, 9], by=[0, 0], level=0.5).rows[0].interval == nps([10, 9]).interval(0.5)


def test_a_group_without_answers_is_masked_and_not_compared():
    found = nps([10, None, 3], by=list("abc"), invalid="exclude")
    assert (found.rows[1].n, found.rows[1].score, found.rows[1].interval) == (0, None, None)
    assert [(row.a, row.b) for row in found.comparisons] == [("a", "c")]
    assert "–" in str(found)
    assert found.excluded == {"missing": 1}


def test_comparisons_are_all_pairs_adjusted_by_holm():
    found = nps(SCORES[:2000], by=CODES[:2000])
    rows = found.comparisons
    assert len(rows) == 21
    for row in rows:
        one = difference(found[row.a], found[row.b])
        assert row.difference == pytest.approx(one.difference, abs=1e-15)
        assert row.p_value == pytest.approx(one.p_value, rel=1e-12)
    assert [row.p_adjusted for row in rows] == holm([row.p_value for row in rows])
    assert all(row.p_value <= row.p_adjusted <= 1 for row in rows)
    assert "p adjusted" in str(found.comparison_table())
    assert nps([9, 9], by=[1, 1]).comparisons == ()


def test_streams_of_groups():
    stream = Groups.empty()
    for score, label in zip(SCORES[:200].tolist(), CODES[:200].tolist(), strict=True):
        stream = stream.update(label, score)
    assert stream == nps(SCORES[:200], by=CODES[:200])
    assert stream.update(99, "x", invalid="exclude").excluded == {"text": 1}
    with pytest.raises(InvalidValue):
        stream.update(None, 9)
    with pytest.raises(InvalidValue):
        stream.update(1, 11)


def test_merging_groups():
    parts = [nps(SCORES[k::3][:500], by=CODES[k::3][:500]) for k in range(3)]
    assert sum(parts) == parts[2] + (parts[0] + parts[1])
    with pytest.raises(InvalidValue, match="do not merge"):
        parts[0] + nps([9], by=["a"], level=0.9)
    with pytest.raises(InvalidValue, match="cannot be added"):
        parts[0] + nps([5], by=["a"], scale=Scale.FIVE_POINT)
    weighted = nps([9, 3], by=["a", "b"], weights=[1, 2])
    for bad in (lambda: parts[0] + weighted, lambda: weighted.total):
        with pytest.raises(InvalidValue, match="weighted groups"):
            bad()


def test_weighted_groups():
    weights = RNG.gamma(1, 1, 500)
    found = nps(SCORES[:500], by=CODES[:500], weights=weights)
    for label, result in found.results.items():
        rows = CODES[:500] == label
        alone = nps(SCORES[:500][rows], weights=weights[rows])
        assert result.score == pytest.approx(alone.score, abs=1e-14)
        assert result.standard_error == pytest.approx(alone.standard_error)
    assert len(found.comparisons) == 21
    assert "NPS by group" in str(found)


def test_groups_resample_independently():
    drawn = nps([10, 0] * 50, by=[0, 1] * 50).resample(seed=2, resamples=20)
    assert drawn.shape == (2, 20)
    assert (drawn[0] == 1).all()
    same = Groups({k: NPS(detractors=5, passives=5, promoters=5) for k in range(2)}).resample(resamples=50)
    assert (same[0] != same[1]).any()


def test_plot_and_html():
    pytest.importorskip("matplotlib")
    found = nps([10, 9, 0, 3], by=["合肥", "合肥", "安庆", "安庆"])
    ax = found.plot()
    assert [text.get_text() for text in ax.get_yticklabels()] == ["合肥", "安庆"]
    assert found._repr_html_().count("<tr>") == 3


def test_memory_of_counting_is_bounded():
    scores = RNG.integers(0, 11, 2_000_000).astype(np.int8)
    labels = RNG.integers(0, 1000, 2_000_000).astype(np.int16)
    nps(scores[:1000], by=labels[:1000])
    tracemalloc.start()
    try:
        nps(scores, by=labels)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # 2 MB of working memory, and a thousand results.
    assert peak < 2 * 2**20 + 1_000 * 1_500
