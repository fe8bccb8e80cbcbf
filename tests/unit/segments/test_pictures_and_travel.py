"""Plots return Axes, say which extra they need, and rules travel to worker processes."""

import pickle
import sys
from datetime import UTC, datetime, timedelta

import pytest

from userops import F
from userops.errors import MissingExtraError
from userops.segments import Segment, SegmentSet, Survival, active_states, retention, sbg

T0 = datetime(2027, 1, 1, tzinfo=UTC)
VISITS = [("ann", T0), ("ann", T0 + timedelta(days=40)), ("bo", T0 + timedelta(days=3))]
PLOTS = [
    lambda: Survival((1.0, 2.0), (True, False)).plot(label="all"),
    lambda: active_states(VISITS, "month", new="history").plot(),
    lambda: retention(VISITS, "month", clock="calendar").plot(),
    lambda: sbg([1000, 869, 743, 653]).plot([1000, 869, 743, 653]),
]


@pytest.mark.parametrize("plot", PLOTS)
def test_plots_return_axes(plot):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    ax = plot()
    assert ax.get_xlabel() or ax.get_ylabel()
    ax.figure.canvas.draw()
    import matplotlib.pyplot as plt

    plt.close(ax.figure)


@pytest.mark.parametrize("plot", PLOTS)
def test_plots_name_their_extra(plot, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(MissingExtraError, match="plot"):
        plot()


def test_rules_travel():
    rules = SegmentSet(
        [Segment("old", F("age") > 60, names={"zh": "年长"})], mode="all", domain={"age": [1, 99]}
    )
    again = pickle.loads(pickle.dumps(rules))
    assert again.version == rules.version
    assert again.unclaimed == rules.unclaimed
    assert pickle.loads(pickle.dumps(again.explain({"age": 61}))) == rules.explain({"age": 61})
