"""The catalogue of bad values against every public argument: a typed error or a sound result, nothing else."""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from userops.errors import UseropsError
from userops.nps import (
    NPS,
    Groups,
    Scale,
    advocacy,
    difference,
    nps,
    nps_of_csv,
    post_stratify,
    rake,
    required_n,
    required_n_to_detect,
    trend,
)


class Whole(int):
    pass


class Text(str):
    __slots__ = ()


BAD = [
    True,
    0,
    -1,
    -0.0,
    1.0,
    0.1,
    math.nan,
    math.inf,
    -math.inf,
    1e308,
    2**53 + 1,
    2**63 - 1,
    -(2**63),
    10**5000,
    Decimal("NaN"),
    Decimal("sNaN"),
    Decimal("1e400000"),
    Fraction(1, 3),
    np.int64(3),
    np.uint64(2**64 - 1),
    np.float32(0.5),
    np.float64("nan"),
    np.True_,
    np.array(3),
    np.array([[1, 2]]),
    np.array([]),
    np.array(["x"], dtype=object),
    None,
    "",
    "１２",
    "1_000",
    "12abc",
    "a|b\0\n",
    b"9",
    Whole(9),
    Text("9"),
    [],
    [None],
    [[]],
    [[1], [2, 3]],
    [10**5000],
    {},
    {"a": 1},
    {1, 2},
    (1, 2),
    object(),
    len,
    NPS,
    NPS.empty(),
    Groups.empty(),
    range(3),
    iter([9]),
    np.datetime64("NaT"),
    np.ma.masked,
    1j,
]
SOME = NPS(detractors=2, passives=3, promoters=4)
CALLS = {
    "scores": lambda bad: nps(bad),
    "scores excluded": lambda bad: nps(bad, invalid="exclude"),
    "one score": lambda bad: nps([9, bad], invalid="exclude"),
    "scale": lambda bad: nps([9], scale=bad),
    "by": lambda bad: nps([9, 3], by=bad),
    "by excluded": lambda bad: nps([9, 3], by=bad, invalid="exclude"),
    "one label": lambda bad: nps([9, 3], by=["a", bad], invalid="exclude"),
    "weights": lambda bad: nps([9, 3], weights=bad),
    "one weight": lambda bad: nps([9, 3], weights=[1, bad]),
    "trim": lambda bad: nps([9, 3], weights=[1, 2], trim=bad),
    "invalid": lambda bad: nps([9], invalid=bad),
    "nps level": lambda bad: nps([9], by=["a"], level=bad),
    "detractors": lambda bad: NPS(detractors=bad, passives=1, promoters=1),
    "excluded": lambda bad: NPS(detractors=1, passives=1, promoters=1, excluded=bad),
    "NPS scale": lambda bad: NPS(detractors=1, passives=1, promoters=1, scale=bad),
    "level": lambda bad: SOME.interval(bad),
    "method": lambda bad: SOME.interval(method=bad),
    "weighted method": lambda bad: nps([9, 3], weights=[1, 2]).interval(method=bad),
    "difference method": lambda bad: difference(SOME, SOME, method=bad),
    "csv score": lambda bad: nps_of_csv(__file__, score=bad),
    "csv by": lambda bad: nps_of_csv(__file__, score="x", by=bad),
    "csv weight": lambda bad: nps_of_csv(__file__, score="x", weight=bad),
    "seed": lambda bad: SOME.resample(seed=bad, resamples=5),
    "resamples": lambda bad: SOME.interval(method="bootstrap", resamples=bad),
    "update": lambda bad: SOME.update(bad),
    "update excluded": lambda bad: SOME.update(bad, invalid="exclude"),
    "difference": lambda bad: difference(SOME, bad),
    "difference level": lambda bad: difference(SOME, SOME, level=bad),
    "groups": lambda bad: Groups(bad),
    "group": lambda bad: Groups.empty().update(bad, 9),
    "group lookup": lambda bad: Groups.empty()[bad],
    "verbal": lambda bad: Scale.verbal(bad),
    "verbal answer": lambda bad: Scale.verbal({"a": bad}),
    "cell": lambda bad: post_stratify([9, 3], bad, targets={"a": 1}),
    "targets": lambda bad: post_stratify([9, 3], ["a", "a"], targets=bad),
    "target": lambda bad: post_stratify([9, 3], ["a", "a"], targets={"a": bad}),
    "margins": lambda bad: rake([9, 3], bad, {"a": {1: 1}}),
    "margin targets": lambda bad: rake([9, 3], {"a": [1, 1]}, bad),
    "margin": lambda bad: rake([9, 3], {"a": bad}, {"a": {1: 1}}),
    "one margin": lambda bad: rake([9, 3], {"a": [1, 1]}, {"a": bad}),
    "waves": lambda bad: trend(bad, permutations=3),
    "wave": lambda bad: trend({1: bad, 2: SOME}, permutations=3),
    "segment": lambda bad: trend({1: {"a": bad}, 2: {"a": SOME}}, permutations=3),
    "baseline": lambda bad: trend({1: SOME}, baseline=bad),
    "smoothing": lambda bad: trend({1: SOME}, smoothing=bad),
    "decision": lambda bad: trend({1: SOME}, decision=bad),
    "permutations": lambda bad: trend({1: SOME, 2: SOME}, permutations=bad),
    "trend seed": lambda bad: trend({1: SOME, 2: SOME}, permutations=3, seed=bad),
    "margin of error": lambda bad: required_n(bad),
    "required level": lambda bad: required_n(0.05, bad),
    "like": lambda bad: required_n(0.05, like=bad),
    "population": lambda bad: required_n(0.05, population=bad),
    "delta": lambda bad: required_n_to_detect(bad),
    "power": lambda bad: required_n_to_detect(0.1, bad),
    "advocacy": lambda bad: advocacy(bad, referred=1, buyers=2),
    "referred": lambda bad: advocacy(SOME, referred=bad, buyers=2),
    "buyers": lambda bad: advocacy(SOME, referred=0, buyers=bad),
    "unknown": lambda bad: advocacy(SOME, referred=0, buyers=2, unknown=bad),
    "csv path": lambda bad: nps_of_csv(bad, score="x"),
}


def outcome(call, bad):
    """Return (message, None) of a typed refusal, or ("", result)."""
    try:
        return "", call(bad)
    except UseropsError as refused:
        return str(refused), None


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
def test_every_bad_value_is_a_typed_error_or_a_sound_result(call):
    for bad in BAD:
        message, found = outcome(call, bad)
        assert len(message) < 2_000
        for name in ("score", "z", "p_value"):
            value = getattr(found, name, 0.0) if getattr(found, "n", 1) else 0.0
            assert value is None or math.isfinite(value)
