"""When members act: the draws that both passes share."""

import numpy as np
import pytest
from plans import spec_of
from scipy import stats

from userops.simulation.members import Timed, make_rows, timed, timing


def drawn(spec, *, is_placed=False, seed=1):
    world = spec.world(seed, 0, None)
    rows = make_rows(world, 0, 0)
    return timed(world, rows, kind="act", where=(0, 0), is_placed=is_placed), rows


@pytest.mark.parametrize("rate", [0.3, 1.0, 5.5, 60.0])
def test_counts_of_members_with_one_rate_are_poisson(rate):
    spec = spec_of(behaviour={"events_per_month": {"act": rate}})
    cells, _ = drawn(spec)
    most = int(stats.poisson.ppf(1 - 1e-4, rate))
    seen = np.bincount(np.minimum(cells, most).ravel(), minlength=most + 1)
    expected = stats.poisson.pmf(np.arange(most + 1), rate)
    expected[-1] = stats.poisson.sf(most - 1, rate)
    some = expected * cells.size >= 5
    chances = stats.chisquare(
        np.append(seen[some], seen[~some].sum()),
        np.append(expected[some], expected[~some].sum()) * cells.size + 1e-300,
    ).pvalue
    assert chances > 1e-4


def test_sixteen_bits_leave_open_what_they_do_not_decide(monkeypatch):
    """A stretch of the line on which the count changes is never told by its 16 bits alone."""
    below, table = timing._poisson(1.0)
    edges = np.arange(2**16 + 1) / 2**16
    low, high = (
        np.searchsorted(below, edges[:-1], side="right"),
        np.searchsorted(below, edges[1:], side="left"),
    )
    sure = table != 255
    assert (table[sure] == low[sure]).all()
    assert (low[sure] == high[sure]).all()
    assert 5 < (~sure).sum() < 20
    # Told nothing by the table, counts are found by their 53 bits, and are no others where it knows.
    spec = spec_of(population={"members": 2_000})
    cells, _ = drawn(spec)
    monkeypatch.setattr(timing, "_poisson", lambda _: (below, np.full(2**16, 255, dtype=np.uint8)))
    again, _ = drawn(spec)
    assert (cells != again).mean() < 1e-3


@pytest.mark.parametrize("rate", [1.0, 0.05, {"mean": 1.0, "dispersion": 1.0}])
def test_both_passes_see_the_same_events(rate):
    spec = spec_of(
        behaviour={"events_per_month": {"act": rate}, "lapse_per_month": 0.02},
        population={"members": 500, "joins_per_month": 20},
    )
    placed, rows = drawn(spec, is_placed=True)
    assert isinstance(placed, Timed)
    by_month = np.zeros((36, len(rows)), dtype=int)
    np.add.at(by_month, (placed.month, np.repeat(np.arange(len(rows)), placed.counts)), 1)
    found, _ = drawn(spec)
    if isinstance(found, Timed):
        assert (found.counts == placed.counts).all()
        assert (found.month == placed.month).all()
    else:
        assert (found == by_month).all()
    months = np.arange(36)[:, None]
    assert not by_month[(months < rows.arrival) | (months >= rows.lapse)].any()
    assert ((placed.part >= 0) & (placed.part < 1)).all()


def test_events_one_by_one_fall_evenly_on_the_months_of_a_season():
    season = [1.0, 2.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 3.0]
    spec = spec_of(
        behaviour={"events_per_month": {"act": {"mean": 1.0, "dispersion": 0.5}}, "seasonality": season}
    )
    found, _ = drawn(spec)
    seen = np.bincount(found.month, minlength=36)
    weights = np.tile(season, 3)
    assert not seen[weights == 0].any()
    on = weights > 0
    assert stats.chisquare(seen[on], weights[on] / weights.sum() * seen.sum()).pvalue > 1e-4
