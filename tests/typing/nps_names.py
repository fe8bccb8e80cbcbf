"""Not run: read by mypy --strict, to hold the types of NPS that users see."""

from typing import assert_type

from userops.nps import (
    NPS,
    Difference,
    Groups,
    Scale,
    Trend,
    WeightedNPS,
    difference,
    nps,
    post_stratify,
    trend,
)

assert_type(nps([9, 10]), NPS)
assert_type(nps([9, 10], invalid="exclude", scale=Scale.ONE_TO_TEN), NPS)
assert_type(nps([9, 10], by=["a", "b"]), Groups[NPS])
assert_type(nps([9, 10], weights=[1, 2], trim=3.0), WeightedNPS)
assert_type(nps([9, 10], by=["a", "b"], weights=[1, 2]), Groups[WeightedNPS])
assert_type(nps([9, 10], by=["a", "b"])["a"], NPS)
assert_type(nps([9]).interval(), tuple[float, float])
assert_type(NPS.empty().update(9) + NPS.empty(), NPS)
assert_type(difference(nps([9]), post_stratify([9, 9], ["a", "a"], {"a": 1})), Difference)
assert_type(trend({1: nps([9]), 2: {"a": nps([9])}}), Trend)
NPS(detractors="1", passives=0, promoters=0)  # type: ignore[arg-type]
