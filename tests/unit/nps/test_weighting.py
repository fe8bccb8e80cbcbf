"""Weights against formulas computed directly: ratios, replicates and calibration written another way."""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from userops.errors import InvalidValue
from userops.nps import NPS, WeightedNPS, difference, nps, post_stratify, rake

RNG = np.random.default_rng(11)
SCORES = RNG.integers(0, 11, 400)
X = np.where(SCORES >= 9, 1, np.where(SCORES <= 6, -1, 0))
WEIGHTS = RNG.gamma(2, 1, 400)
CITY = RNG.choice(["Hefei", "Anqing", "Wuhu"], 400, p=[0.6, 0.25, 0.15])
SEX = RNG.choice(["f", "m"], 400, p=[0.35, 0.65])
CITIES = {"Hefei": 0.4, "Anqing": 0.35, "Wuhu": 0.25}
SEXES = {"f": 0.5, "m": 0.5}


def svymean(x, w):
    """The ratio mean and its standard error as a survey package has it: one stage, unequal weights."""
    n, mean = len(x), np.average(x, weights=w)
    influence = w * (x - mean) / w.sum()
    return mean, math.sqrt(n / (n - 1) * ((influence - influence.mean()) ** 2).sum())


def test_the_linearised_error():
    found = nps(SCORES, weights=WEIGHTS)
    mean, error = svymean(X, WEIGHTS)
    assert found.score == pytest.approx(mean, abs=1e-14)
    assert found.points == pytest.approx(100 * mean, abs=1e-12)
    assert found.standard_error == pytest.approx(error, rel=1e-12)


def test_the_linearised_error_is_near_the_jackknife():
    # Deleting one answer at a time is a replicate formula that knows nothing of derivatives.
    n = len(X)
    total, top = WEIGHTS.sum(), (WEIGHTS * X).sum()
    replicates = (top - WEIGHTS * X) / (total - WEIGHTS)
    jackknife = math.sqrt((n - 1) / n * ((replicates - replicates.mean()) ** 2).sum())
    assert nps(SCORES, weights=WEIGHTS).standard_error == pytest.approx(jackknife, rel=0.01)


def test_the_delta_method_by_numeric_derivatives():
    def score(w):
        return (w * X).sum() / w.sum()

    step = 1e-6
    slopes = np.array(
        [(score(WEIGHTS + step * e) - score(WEIGHTS - step * e)) / (2 * step) for e in np.eye(len(X))]
    )
    n = len(X)
    # Each answer's influence is its weight times the derivative by the weight.
    error = math.sqrt(n / (n - 1) * ((WEIGHTS * slopes) ** 2).sum())
    assert nps(SCORES, weights=WEIGHTS).standard_error == pytest.approx(error, rel=1e-6)


def test_equal_weights_are_no_weights():
    plain, found = nps(SCORES), nps(SCORES, weights=np.full(400, 7))
    assert found.score == pytest.approx(plain.score)
    assert found.effective_n == 400
    assert found.design_effect == 1
    assert found.standard_error == pytest.approx(math.sqrt(plain.variance / 399))
    assert found.interval() == pytest.approx(plain.interval(), abs=1e-12)


def test_kish():
    found = nps(SCORES, weights=WEIGHTS)
    assert found.effective_n == pytest.approx(WEIGHTS.sum() ** 2 / (WEIGHTS**2).sum())
    assert found.design_effect == pytest.approx(1 + WEIGHTS.var() / WEIGHTS.mean() ** 2)
    n = found.effective_n
    d, q, p = (WEIGHTS[value == X].sum() / WEIGHTS.sum() * n for value in (-1, 0, 1))
    assert found.counts == pytest.approx((d, q, p))
    assert found.shares == pytest.approx((d / n, q / n, p / n))


@pytest.mark.parametrize("factor", [1e-320, 1e-300, 3, 2.0**40, 1e300])
def test_the_scale_of_weights_is_irrelevant(factor):
    base, found = nps(SCORES[:50], weights=WEIGHTS[:50].round(3)), None
    with np.errstate(under="ignore"):
        scaled = WEIGHTS[:50].round(3) * factor
    found = nps(SCORES[:50], weights=scaled)
    loose = 1e-2 if factor < 1e-310 else 1e-12
    assert found.score == pytest.approx(base.score, rel=loose)
    assert found.standard_error == pytest.approx(base.standard_error, rel=loose)
    assert found.interval() == pytest.approx(base.interval(), rel=loose)


def test_kinds_of_weights():
    for weights in (
        [1, 2, 3],
        [1.0, 2.0, 3.0],
        [Decimal(1), Fraction(2), np.int64(3)],
        np.array([1, 2, 3], np.uint8),
    ):
        assert nps([10, 8, 1], weights=weights).score == pytest.approx(-1 / 3)
    assert nps([10, 8, 1], weights=[1, 1, 0]).score == 0.5


@pytest.mark.parametrize(
    "bad",
    [
        [1, -1],
        [1, math.nan],
        [1, math.inf],
        [0, 0],
        [1],
        [1, 2, 3],
        [],
        [True, False],
        ["1", "2"],
        [1, None],
        [1, "2"],
        [1, True],
        [1, 10**400],
        [1, Decimal("sNaN")],
        [1, Decimal("Infinity")],
        [1, 1j],
        np.ones((2, 1)),
        np.ma.array([1.0, 2.0], mask=[False, True]),
        5,
        np.array(["2020-01-01", "2020-01-02"], dtype="datetime64[D]"),
    ],
    ids=range(20),
)
def test_misfitting_weights_are_refused(bad):
    with pytest.raises(InvalidValue):
        nps([9, 10], weights=bad)
    with pytest.raises(InvalidValue):
        nps([9, 10], weights=bad, by=["a", "a"])


def test_excluded_answers_take_their_weight_along():
    found = nps([10, None, 3], weights=[1, 100, 1], invalid="exclude")
    assert (found.n, found.score, found.excluded) == (2, 0.0, {"missing": 1})
    with pytest.raises(InvalidValue, match="all weights are zero"):
        nps([10, None], weights=[0, 1], invalid="exclude")
    with pytest.raises(InvalidValue, match="no answers"):
        nps([None, None], weights=[1, 1], invalid="exclude")


def test_one_answer_has_a_score_but_no_error():
    found = nps([10], weights=[2])
    assert found.score == 1
    assert found.interval()[1] == 1
    with pytest.raises(InvalidValue, match="no standard error"):
        _ = found.standard_error


def test_trimming():
    weights = np.array([1.0] * 9 + [11.0])
    found = nps([10] * 5 + [0] * 5, weights=weights, trim=3)
    by_hand = nps([10] * 5 + [0] * 5, weights=np.minimum(weights, 3 * weights.mean()))
    assert found.trimmed == 1
    assert found.score == by_hand.score
    assert found.standard_error == by_hand.standard_error
    assert found.effective_n > nps([10] * 5 + [0] * 5, weights=weights).effective_n
    for bad in (0.5, 0, -1, math.nan, math.inf, True, "3"):
        with pytest.raises(InvalidValue):
            nps([1, 2], weights=[1, 2], trim=bad)
    with pytest.raises(InvalidValue, match="trim limits weights"):
        nps([1, 2], trim=3)


def test_post_stratification():
    found = post_stratify(SCORES, CITY, targets=CITIES)
    means = {city: X[city == CITY].mean() for city in CITIES}
    assert found.score == pytest.approx(sum(CITIES[city] * means[city] for city in CITIES), abs=1e-14)
    # A survey package's error: influences less their cell means, one stage.
    n = len(X)
    w = np.array([CITIES[city] / (city == CITY).sum() for city in CITY])
    z = w * (X - np.array([means[city] for city in CITY]))
    assert found.standard_error == pytest.approx(math.sqrt(n / (n - 1) * (z**2).sum()), rel=1e-12)
    assert found.effective_n == pytest.approx(w.sum() ** 2 / (w**2).sum())
    # The same weights given from outside have the same score and a larger error: cells explain something.
    outside = nps(SCORES, weights=w)
    assert outside.score == pytest.approx(found.score)
    assert outside.standard_error >= found.standard_error - 1e-12


def raked_by_rows(targets):
    """Raking written row by row."""
    w = np.ones(len(X))
    for _ in range(2_000):
        for column, shares in targets:
            for level, share in shares.items():
                rows = column == level
                w[rows] *= share * w.sum() / w[rows].sum()
    return w


def test_raking():
    found = rake(SCORES, {"city": CITY, "sex": SEX}, {"city": CITIES, "sex": SEXES})
    w = raked_by_rows([(CITY, CITIES), (SEX, SEXES)])
    for column, shares in ((CITY, CITIES), (SEX, SEXES)):
        for level, share in shares.items():
            assert w[column == level].sum() / w.sum() == pytest.approx(share, abs=1e-9)
    assert found.score == pytest.approx((w * X).sum() / w.sum(), abs=1e-10)
    # Residuals by sweeping the margins' means in turn, as survey packages do.
    e = X.astype(float)
    for _ in range(500):
        for column, shares in ((CITY, CITIES), (SEX, SEXES)):
            for level in shares:
                e[column == level] -= e[column == level].mean()
    n, z = len(X), w * e / w.sum()
    error = math.sqrt(n / (n - 1) * ((z - z.mean()) ** 2).sum())
    assert found.standard_error == pytest.approx(error, rel=1e-9)


def test_raking_one_margin_is_post_stratification():
    a = rake(SCORES, {"city": CITY}, {"city": CITIES})
    b = post_stratify(SCORES, CITY, targets=CITIES)
    assert a.score == pytest.approx(b.score)
    assert a.standard_error == pytest.approx(b.standard_error)


def test_the_calibrated_errors_are_honest():
    # Simulated samples from a population whose city shares are known: the spread of the estimates is the truth.
    rng = np.random.default_rng(2)
    mean_of = {"Hefei": 0.5, "Anqing": -0.2, "Wuhu": 0.1}
    cities = np.array(list(CITIES))
    scores, errors = [], []
    for _ in range(300):
        city = rng.choice(cities, 300, p=list(CITIES.values()))
        up = rng.random(300) < np.array([(1 + mean_of[c]) / 2 for c in city])
        found = post_stratify(np.where(up, 10, 0), city, targets=CITIES)
        scores.append(found.score)
        errors.append(found.standard_error)
    assert np.std(scores) == pytest.approx(np.mean(errors), rel=0.15)


@pytest.mark.parametrize(
    ("cell", "targets", "message"),
    [
        (["a", "a", "b"], {"a": 0.5, "b": 0.5}, "'b' has one answer"),
        (["a", "a", "a"], {"a": 0.5, "b": 0.5}, "'b' has a target but no answers"),
        (["a", "a", "b"], {"a": 1.0}, "'b' has answers but no target"),
        (["a", "a", None], {"a": 1.0}, r"cell\[2\] is missing"),
        (["a", "a"], {"a": 1.0}, "2 rows where scores have 3"),
        (["a", "a", "a"], {"a": 0.5}, "sum to 0.5"),
        (["a", "a", "a"], {"a": math.nan}, "'a' must be a share"),
        (["a", "a", "a"], {"a": -1}, "'a' must be a share"),
        (["a", "a", "a"], {"a": 0}, "'a' must be a share"),
        (["a", "a", "a"], {"a": True}, "'a' must be a number"),
        (["a", "a", "a"], {"a": "1"}, "'a' must be a number"),
        (["a", "a", "a"], {}, "must be a mapping"),
        (["a", "a", "a"], 1, "must be a mapping"),
    ],
)
def test_cells_that_cannot_be_weighed(cell, targets, message):
    with pytest.raises(InvalidValue, match=message):
        post_stratify([9, 3, 8], cell, targets=targets)
    with pytest.raises(InvalidValue, match=message.replace("cell", "city")):
        rake([9, 3, 8], {"city": cell}, {"city": targets})


def test_exclusions_happen_before_cells_are_judged():
    with pytest.raises(InvalidValue, match="'b' has one answer"):
        post_stratify([9, 3, 8, None], list("aabb"), targets={"a": 0.5, "b": 0.5}, invalid="exclude")
    found = post_stratify([9, 3, 8, None], ["a", "a", "a", None], targets={"a": 1}, invalid="exclude")
    assert found.excluded == {"missing": 1}
    # Whole-number cells, of which some between the extremes have no answers.
    assert post_stratify([9, 3, 8, 8], [1, 1, 5, 5], targets={1: 0.5, 5: 0.5}).score == 0


def test_margins_that_cannot_meet_are_an_error():
    with pytest.raises(InvalidValue, match="did not settle"):
        rake(
            [9] * 8,
            {"a": list("xxxxyyyy"), "b": list("uuuuvvvv")},
            {"a": {"x": 0.5, "y": 0.5}, "b": {"u": 0.9, "v": 0.1}},
        )
    for columns, targets in (({"a": [1]}, {"b": {1: 1}}), ({}, {}), ([1], {"a": {}}), ({"a": [1]}, None)):
        with pytest.raises(InvalidValue):
            rake([9], columns, targets)


def test_trimmed_calibration_says_so():
    city = ["a"] * 38 + ["b"] * 2
    found = post_stratify([10] * 38 + [0] * 2, city, targets={"a": 0.5, "b": 0.5}, trim=2)
    assert found.trimmed == 2
    assert found.score > 0
    assert found.standard_error > 0
    assert "2 weights trimmed" in str(found)


def test_weighted_results_compare_and_print():
    a = nps(SCORES[:200], weights=WEIGHTS[:200])
    b = nps(SCORES[200:], weights=WEIGHTS[200:])
    found = difference(a, b)
    assert found.difference == pytest.approx(a.score - b.score)
    assert found.interval[0] < found.difference < found.interval[1]
    assert isinstance(a, WeightedNPS)
    assert "effective n" in str(a)
    assert "<table>" in a._repr_html_() or "<table" in a._repr_html_()
    with pytest.raises(InvalidValue, match="bootstrap"):
        a.interval(method="bootstrap")
    with pytest.raises(TypeError):
        a + b
    with pytest.raises(InvalidValue, match="must be a result"):
        difference(a, 0.5)
    mixed = difference(a, NPS(detractors=1, passives=1, promoters=1))
    assert mixed.p_value <= 1
