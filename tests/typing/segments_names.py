"""Not run: read by mypy --strict, to hold the types that users of segments see."""

from datetime import UTC, datetime
from typing import assert_type

import numpy as np
from numpy.typing import NDArray

from userops.segments import (
    Assignment,
    Case,
    ClosedLoop,
    Code,
    Complaints,
    Explanation,
    F,
    Retention,
    Segment,
    SegmentSet,
    Share,
    complaining_users,
    gower,
    medoids,
    retention,
    sbg,
)

t = datetime(2027, 1, 1, tzinfo=UTC)
rules = SegmentSet([Segment("old", F("age") > 60)])
assert_type(rules.unclaimed, tuple[Code, ...])
assert_type(rules.overlaps, tuple[tuple[str, str], ...])
assert_type(rules.explain({"age": 61}), Explanation)
assert_type(rules.assign({"age": [61]}), Assignment)
assert_type(gower({"a": [1, 2]}), NDArray[np.float64])
assert_type(medoids(gower({"a": [1, 2]}), 1), tuple[int, ...])
case = Case("c", "ann", 3, t, closed_at=t)
assert_type(ClosedLoop([case], as_of=t).share_closed, Share)
assert_type(ClosedLoop([case], as_of=t).time_to_close.median, float | None)
assert_type(complaining_users([case], t, 5), Complaints)
assert_type(retention([("ann", t)], "month"), Retention)
assert_type(sbg([1000, 800, 700]).alpha, float)
