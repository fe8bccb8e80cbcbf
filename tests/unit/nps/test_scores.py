"""Counts, scales, exclusions, extremes and printing."""

import math
import pickle
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import multinomial, norm

from userops.core.statistics import wilson
from userops.errors import InvalidValue, UseropsError
from userops.nps import NPS, Scale, difference, nps
from userops.nps.resampling import balance_law

BIG = 10**9
EXTREMES = [
    (0, 0, 1),
    (0, 1, 0),
    (1, 0, 0),
    (0, 0, 10),
    (0, 10, 0),
    (10, 0, 0),
    (5, 0, 5),
    (0, 5, 5),
    (5, 5, 0),
    (0, 0, BIG),
    (0, BIG, 0),
    (BIG, 0, 0),
    (1, BIG, 0),
    (1, 0, BIG),
    (BIG, BIG, BIG),
]


def make(counts, **more):
    d, q, p = counts
    return NPS(detractors=d, passives=q, promoters=p, **more)


@pytest.mark.parametrize("counts", EXTREMES)
@pytest.mark.parametrize("method", ["score", "dirichlet"])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999999])
def test_intervals_stay_inside_and_are_no_points(counts, method, level):
    low, high = make(counts).interval(level, method)
    assert -1 <= low < high <= 1
    if method == "score":
        assert low <= make(counts).score <= high


@pytest.mark.parametrize("counts", EXTREMES)
@pytest.mark.parametrize("method", ["wald", "adjusted_wald", "bootstrap"])
def test_the_other_methods_are_numbers_too(counts, method):
    more = {"resamples": 500} if method == "bootstrap" else {}
    low, high = make(counts).interval(method=method, **more)
    assert low <= high
    assert np.isfinite([low, high]).all()


def score_statistic(counts, delta):
    """The statistic as the design page writes it, in exact fractions up to the square root."""
    d, q, p = counts
    n = d + q + p
    delta = Fraction(delta)
    b = -d - p + (2 * n - p + d) * delta
    c = -d * delta * (1 - delta)
    inside = b * b - 8 * n * c
    root = Fraction(math.isqrt(int(inside * 10**120)), 10**60)
    x = (root - b) / (4 * n)
    variance = n * (2 * x + delta * (1 - delta))
    return float(p - d - n * delta) / math.sqrt(variance)


@pytest.mark.parametrize(
    "counts", [(10, 30, 60), (0, 3, 7), (3, 7, 0), (1, 2, 3), (5, 0, 5), (BIG, BIG, BIG + 1), (3, BIG, 2)]
)
@pytest.mark.parametrize("level", [0.5, 0.95, 0.9999])
def test_the_score_interval_inverts_the_published_statistic(counts, level):
    z = norm.isf((1 - level) / 2)
    low, high = make(counts).interval(level)
    # At 10⁹ answers one rounding of the bound moves the statistic by some 1e-11.
    assert score_statistic(counts, low) == pytest.approx(z, rel=1e-9, abs=1e-8)
    assert score_statistic(counts, high) == pytest.approx(-z, rel=1e-9, abs=1e-8)


def test_one_sided_samples_agree_with_wilson():
    low, high = make((0, 0, 10)).interval()
    assert high == 1
    assert low == pytest.approx(2 * wilson(10, 10)[0] - 1, abs=1e-12)
    # Without passives the score is 2p - 1 and its interval Wilson's.
    assert make((3, 0, 9)).interval() == pytest.approx([2 * x - 1 for x in wilson(9, 12)], abs=1e-12)
    # Without detractors an upper bound still leaves no room for any.
    assert make((0, 4, 6)).interval()[1] <= 1


def test_the_dirichlet_interval_against_a_closed_form_and_draws():
    rng = np.random.default_rng(5)
    for counts in [(10, 30, 60), (0, 0, 10), (3, 0, 4), (0, 10, 0)]:
        drawn = rng.dirichlet(np.array(counts) + 1.0, size=200_000)
        found = make(counts).interval(method="dirichlet")
        wanted = np.quantile(drawn[:, 2] - drawn[:, 0], [0.025, 0.975])
        assert found == pytest.approx(wanted, abs=0.005)
    # With a billion promoters the score is 1 - q - 2d with q, d exponential of mean 1/n: a convolution.
    n = 10**9
    low, high = make((0, 0, n)).interval(method="dirichlet")
    for bound, tail in ((low, 0.025), (high, 0.975)):
        x = (1 - bound) * n
        # P(E1 + 2 E2 > x) = 2 e^(-x/2) - e^(-x)
        assert 2 * np.exp(-x / 2) - np.exp(-x) == pytest.approx(tail, abs=1e-5)


def test_the_bootstrap_is_seeded_and_binomial():
    result = make((10, 30, 60))
    assert result.interval(method="bootstrap", seed=3) == result.interval(method="bootstrap", seed=3)
    assert (result.resample(seed=3) != result.resample(seed=4)).any()
    drawn = result.resample(seed=1, resamples=200_000)
    assert drawn.mean() == pytest.approx(0.5, abs=4 * 0.067 / 447)
    assert drawn.var() == pytest.approx(0.0045, rel=0.02)
    assert make((3, 0, 1)).resample(seed=1, resamples=100_000).var() == pytest.approx(0.75 / 4, rel=0.02)


def test_counts_reconcile():
    result = nps([0, 6, 7, 8, 9, 10, None, 11, 6.5], invalid="exclude")
    assert (result.detractors, result.passives, result.promoters, result.n) == (2, 2, 2, 6)
    assert result.excluded == {"missing": 1, "not whole": 1, "off the scale": 1}
    assert result.n + sum(result.excluded.values()) == 9


CATALOGUE = [
    (6.5, "not whole"),
    (-1, "off the scale"),
    (11, "off the scale"),
    (float("nan"), "missing"),
    (np.float32("nan"), "missing"),
    (None, "missing"),
    (np.ma.masked, "missing"),
    (np.datetime64("NaT"), "missing"),
    ("9", "text"),
    ("", "text"),
    ("１２", "text"),
    ("1_000", "text"),
    (b"9", "other type"),
    (True, "boolean"),
    (np.True_, "boolean"),
    (float("inf"), "off the scale"),
    (-float("inf"), "off the scale"),
    (1e300, "off the scale"),
    (2**53 + 1, "off the scale"),
    (2**63 - 1, "off the scale"),
    (-(2**63), "off the scale"),
    (10**5000, "off the scale"),
    (0.1, "not whole"),
    (Decimal("NaN"), "other type"),
    (Decimal("sNaN"), "other type"),
    (Decimal("1e400000"), "other type"),
    (Decimal(9), "other type"),
    (Fraction(9), "other type"),
    (np.array(9), "other type"),
    ([9], "other type"),
    (object(), "other type"),
    (9 + 0j, "other type"),
]


@pytest.mark.parametrize(("value", "reason"), CATALOGUE, ids=range(len(CATALOGUE)))
def test_the_catalogue_is_refused_or_counted(value, reason):
    with pytest.raises(InvalidValue, match=r"scores\[1\]"):
        nps([9, value])
    with pytest.raises(InvalidValue):
        NPS.empty().update(value)
    result = nps([9, value], invalid="exclude")
    assert (result.n, result.excluded) == (1, {reason: 1})
    assert NPS.empty().update(value, invalid="exclude").excluded == {reason: 1}


@pytest.mark.parametrize("value", [9.0, np.float64(9), np.float32(9), -0.0])
def test_whole_floats_only_under_exclude(value):
    with pytest.raises(InvalidValue, match="float"):
        nps(np.array([value]))
    with pytest.raises(InvalidValue, match="float"):
        nps([8, value])
    assert nps([value], invalid="exclude").n == 1
    assert nps(np.array([value, np.nan, 6.5, 11, -np.inf]), invalid="exclude").excluded == {
        "missing": 1,
        "not whole": 1,
        "off the scale": 2,
    }


@pytest.mark.parametrize(
    "kind", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]
)
def test_every_integer_type(kind):
    assert nps(np.arange(11).astype(kind)).score == pytest.approx(-5 / 11)
    most = np.iinfo(kind).max
    with pytest.raises(InvalidValue, match="off the scale"):
        nps(np.array([most], dtype=kind))
    assert nps(np.array([most, 10], dtype=kind), invalid="exclude").excluded == {"off the scale": 1}
    assert nps(np.array([1, 4, 5], dtype=kind), scale=Scale.FIVE_POINT).score == 0


def test_masked_and_boolean_and_text_columns():
    masked = np.ma.array([9, 10, 0], mask=[False, False, True])
    with pytest.raises(InvalidValue, match=r"scores\[2\] is missing"):
        nps(masked)
    assert nps(masked, invalid="exclude").excluded == {"missing": 1}
    assert nps(np.array([True, False]), invalid="exclude").excluded == {"boolean": 2}
    assert nps(np.array(["9", "x"]), invalid="exclude").excluded == {"text": 2}
    with pytest.raises(InvalidValue):
        nps(np.array([True, False]))


def test_columns_have_one_dimension_and_rows():
    for bad in (np.zeros((2, 2), int), np.array(9), 9, "910", {9, 10}, {"a": 9}, None):
        with pytest.raises(UseropsError):
            nps(bad)
    with pytest.raises(InvalidValue, match="empty"):
        nps([])
    with pytest.raises(InvalidValue, match="invalid must be"):
        nps([9], invalid="drop")


def test_data_frame_columns():
    polars = pytest.importorskip("polars")
    pandas = pytest.importorskip("pandas")
    assert nps(polars.Series([9, None, 3]), invalid="exclude").excluded == {"missing": 1}
    assert nps(pandas.Series([9, None, 3], dtype="Int64"), invalid="exclude").excluded == {"missing": 1}
    assert nps(pandas.Series([9, 3])).score == 0
    frame = polars.DataFrame({"score": [9, 3, 10], "city": ["a", "b", "a"]})
    assert nps(frame["score"], by=frame["city"])["a"].score == 1


def test_undefined_statistics_raise():
    empty = NPS.empty()
    for ask in (
        lambda: empty.score,
        lambda: empty.points,
        lambda: empty.shares,
        lambda: empty.interval(),
        lambda: difference(empty, empty),
        lambda: empty.resample(),
    ):
        with pytest.raises(InvalidValue, match="no answers"):
            ask()
    assert "no answers" in str(empty)


@pytest.mark.parametrize("bad", [-1, 1.0, True, None, "3", 2**63, float("nan"), Decimal(3), np.float64(3)])
def test_counts_are_whole_and_not_negative(bad):
    with pytest.raises(InvalidValue):
        NPS(detractors=bad, passives=0, promoters=0)
    with pytest.raises(InvalidValue):
        NPS(detractors=0, passives=0, promoters=0, excluded={"missing": bad})


@pytest.mark.parametrize("level", [0, 1, -0.5, 95, float("nan"), True, "0.95", None])
def test_levels_are_probabilities(level):
    with pytest.raises(InvalidValue):
        make((1, 1, 1)).interval(level)
    with pytest.raises(InvalidValue):
        difference(make((1, 1, 1)), make((1, 1, 1)), level=level)


def test_methods_are_named():
    for bad in ("Score", "", None, "exact"):
        with pytest.raises(InvalidValue, match="method"):
            make((1, 1, 1)).interval(method=bad)
        with pytest.raises(InvalidValue, match="method"):
            difference(make((1, 1, 1)), make((1, 1, 1)), method=bad)


def test_scales_are_explicit_and_never_mix():
    ten, five = nps([9, 10, 1]), nps([5, 5, 1], scale=Scale.FIVE_POINT)
    with pytest.raises(InvalidValue, match="cannot be added or compared"):
        ten + five
    with pytest.raises(InvalidValue, match="cannot be added or compared"):
        difference(ten, five)
    assert nps([1, 3, 4, 5], scale=Scale.FIVE_POINT).shares == (0.5, 0.25, 0.25)
    assert nps([1, 4, 5, 6], scale=Scale.SIX_POINT).shares == (0.5, 0.25, 0.25)
    assert nps([1, 6, 8, 9], scale=Scale.ONE_TO_TEN).shares == (0.5, 0.25, 0.25)
    with pytest.raises(InvalidValue, match="off the scale"):
        nps([0], scale=Scale.ONE_TO_TEN)
    with pytest.raises(InvalidValue, match="scale must be"):
        nps([1], scale="0-10")


def test_verbal_scales():
    words = {"一定会": "promoter", "可能": "passive", "不会": "detractor"}
    scale = Scale.verbal(words)
    result = nps(["一定会", "可能", "不会", "一定会"], scale=scale)
    assert result.score == 0.25
    assert nps(np.array(["一定会", "?"]), scale=scale, invalid="exclude").excluded == {"off the scale": 1}
    assert scale == Scale.verbal(dict(reversed(words.items())))
    assert nps([9], scale=Scale.verbal({9: "promoter", 2: "detractor"})).score == 1
    for bad in (
        {},
        {"a": "fan"},
        {1.5: "promoter"},
        {"": "promoter"},
        [("a", "promoter")],
        {None: "passive"},
    ):
        with pytest.raises(InvalidValue):
            Scale.verbal(bad)


def test_values_are_frozen_hashable_and_pickle():
    result = nps([9, None, 3], invalid="exclude")
    assert result == pickle.loads(pickle.dumps(result))
    assert len({result, nps([3, 9, None], invalid="exclude")}) == 1
    result.excluded["missing"] = 5
    assert result.excluded == {"missing": 1}
    with pytest.raises(AttributeError):
        result.detractors = 3
    with pytest.raises(TypeError):
        result + 1
    assert sum([result, result]).n == 4


def test_the_representation_makes_the_same_value():
    for result in (make((1, 2, 3)), nps([9, None], invalid="exclude")):
        assert eval(repr(result)) == result
    assert repr(make((1, 2, 3))) == "NPS(detractors=1, passives=2, promoters=3)"
    assert "1 to 5" in repr(NPS.empty(scale=Scale.FIVE_POINT))


def test_printing():
    text = str(nps([10, 9, 8, 3, None], invalid="exclude"))
    assert "+25.0" in text
    assert "set aside: 1 missing" in text
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "<table>" in make((1, 2, 3))._repr_html_()


def test_plotting_returns_axes_with_the_interval():
    pytest.importorskip("matplotlib")
    ax = make((10, 30, 60)).plot()
    low, high = make((10, 30, 60)).interval()
    (segment,) = ax.containers[0].lines[2][0].get_segments()
    assert segment[:, 0] == pytest.approx([low, high])
    assert make((1, 1, 1)).plot(ax) is ax
    assert difference(make((1, 2, 3)), make((3, 2, 1))).plot() is not None


@pytest.mark.parametrize(
    "counts", [(1, 0, 1), (2, 3, 4), (0, 5, 0), (5, 0, 0), (3, 0, 7), (10, 30, 60), (50, 0, 50)]
)
def test_the_law_of_the_balance_by_enumeration(counts):
    d, q, p = counts
    n = d + q + p
    expected = np.zeros(2 * n + 1)
    for up in range(n + 1):
        for down in range(n + 1 - up):
            expected[up - down + n] += multinomial.pmf([down, n - up - down, up], n, [d / n, q / n, p / n])
    values, law = balance_law(*counts)
    found = np.zeros(2 * n + 1)
    found[values + n] = law
    assert found == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize("counts", [(0, 1, BIG), (3, 10**6, 0), (500, 500, 1000), (BIG, BIG, BIG)])
def test_the_law_of_the_balance_of_many_answers(counts):
    d, q, p = counts
    values, law = balance_law(*counts)
    mean = float(((values - (p - d)) * law).sum())
    assert mean == pytest.approx(0, abs=1e-5)
    assert float(((values - (p - d) - mean) ** 2 * law).sum()) == pytest.approx(
        (d + q + p) * make(counts).variance, rel=1e-3
    )
    drawn = make(counts).resample(seed=1, resamples=20_000)
    assert drawn.var() == pytest.approx(make(counts).variance / (d + q + p), rel=0.05)
