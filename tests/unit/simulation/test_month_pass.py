"""Which pass a plan takes and why, and the draws that both passes share."""

import copy
from datetime import date

import numpy as np
import pytest
from scipy import stats

from userops.simulation import Plan, timing
from userops.simulation.population import make_rows
from userops.simulation.timing import Timed, timed

PROGRAM = {
    "schema": 1,
    "name": "club",
    "timezone": "UTC",
    "funds": {"club": {}, "shop": {}},
    "earn": [
        {
            "name": "act",
            "on": "act",
            "points": 10,
            "fund": "club",
            "unbounded": "accepted",
            "expires": {"months": 24, "round_to": "month"},
        }
    ],
}
PLAN = {
    "horizon": {"start": date(2027, 1, 1), "months": 36},
    "population": {"members": 30_000},
    "behaviour": {"events_per_month": {"act": 1.0}},
}
OTHER = {**PROGRAM["earn"][0], "name": "more"}


def spec_of(program=None, rule=None, **changes):
    tables = copy.deepcopy(PLAN), {**copy.deepcopy(PROGRAM), **(program or {})}
    tables[1]["earn"][0] |= rule or {}
    for key, value in changes.items():
        tables[0][key] = {**tables[0].get(key, {}), **value}
    return Plan.from_tables(*tables).spec


def test_a_plan_without_day_rules_takes_the_month_pass():
    assert spec_of().why_by_days == ""
    assert (
        spec_of(rule={"cap": [{"times": 3, "per": "month"}, {"points": 90, "per": "year"}]}).why_by_days == ""
    )
    two = [PROGRAM["earn"][0], {**OTHER, "fund": "shop", "expires": {"months": 12, "round_to": "month"}}]
    assert spec_of({"earn": two}).why_by_days == ""
    assert spec_of({"funds": {"club": {"budget": {"points": 10, "per": "month"}}}}).why_by_days == ""


@pytest.mark.parametrize(
    ("program", "rule", "changes", "why"),
    [
        ({}, {"points": {"streak": [1, 2], "of": "day"}}, {}, "rule act counts days in a row"),
        ({}, {"cap": [{"times": 1, "per": "day"}]}, {}, "rule act is under a cap by day or week"),
        ({}, {"cap": [{"times": 0, "per": "year"}]}, {}, "rule act is under a cap of no times"),
        ({}, {"from": date(2027, 2, 5)}, {}, "rule act begins or ends within a month"),
        ({}, {"expires": {"days": 45}}, {}, "points expire within a month"),
        ({}, {"activates": {"days": 3}}, {}, "rule act activates points days later"),
        ({"earn": [PROGRAM["earn"][0], {**OTHER, "fund": "shop"}]}, {}, {}, "or those of two funds together"),
        ({"funds": {"club": {"budget": {"points": 9, "per": "week"}}}}, {}, {}, "has a budget by week"),
        ({}, {}, {"stock": {"points_per_month": 5}}, "redemptions may be refused"),
        ({}, {}, {"cash": {"floor": 5}}, "redemptions may be refused"),
        (
            {"counters": {"seen": {"on": "act"}}},
            {"when": {"seen": {"<": 3}}},
            {},
            "rules of act read the counter seen",
        ),
        (
            {
                "caps": {"both": {"points": 9, "per": "year"}},
                "earn": [{**OTHER, "cap": [{"shared": "both"}]}] * 1,
            },
            {},
            {},
            "",
        ),
        (
            {
                "caps": {"both": {"points": 9, "per": "year"}},
                "earn": [{**OTHER, "name": name, "cap": [{"shared": "both"}]} for name in ("a", "b")],
            },
            {},
            {},
            "rules share a cap",
        ),
    ],
)
def test_what_needs_days_is_named(program, rule, changes, why):
    found = spec_of(program, rule, **changes).why_by_days
    assert why in found
    assert bool(why) == bool(found)


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
