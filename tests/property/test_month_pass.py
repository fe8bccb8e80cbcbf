"""The month pass gives the day pass's figures, to the byte, wherever it is taken; and the ledger's."""

import copy
from datetime import date
from decimal import Decimal

import attrs
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given, settings

from userops.simulation import Plan
from userops.simulation.inputs import Run
from userops.simulation.members import gather
from userops.simulation.passes import month_lots, passed_freely
from userops.simulation.replications import results
from userops.simulation.replications.trace import _scaled

KINDS = ("a.done", "b.done", "c.done")
MONTHLY = ("month", "year", "lifetime")


def caps(units, pers):
    return st.builds(
        lambda unit, n, per: {unit: n * (1 if unit == "times" else 7), "per": per},
        st.sampled_from(units),
        st.integers(1, 4),
        st.sampled_from(pers),
    )


shared_caps = st.builds(
    lambda n, per: {"times": n, "per": per, "scope": "program"},
    st.sampled_from((40, 10_000)),
    st.sampled_from(MONTHLY),
)
conditions = st.sampled_from(
    (
        None,
        None,
        {"kind": "fan"},
        {"city": ["Hefei", "Wuhan"]},
        {"amount": {">=": 20}},
        {"any": [{"kind": "owner"}, {"amount": {"<": 10}}]},
        {"ghost": 3},
    )
)
grants = st.one_of(
    st.integers(1, 30),
    st.builds(
        lambda per, give, round_: {"per": per, "give": give, "of": "amount", "round": round_},
        st.integers(1, 7),
        st.integers(1, 5),
        st.sampled_from(("down", "up", "half_up", "half_even")),
    ),
    st.just({"table": {"Hefei": 5, "Wuhan": 11}, "by": "city"}),
)
expiries = st.sampled_from(
    (
        None,
        {"months": 1, "round_to": "month"},
        {"months": 3, "round_to": "month"},
        {"years": 1},
        {"calendar": "02-28"},
        {"calendar": "12-31"},
    )
)


@st.composite
def rules(draw, place, expires, fund):
    grant = draw(grants)
    rule = {
        "name": f"rule{place}",
        "on": draw(st.sampled_from(KINDS)),
        "points": grant,
        "fund": fund,
        "unbounded": "accepted",
    }
    # Where grants differ, a cap in times lets the first of a month through: that is for days.
    units = ("times", "points") if isinstance(grant, int) else ("points",)
    listed = draw(st.lists(caps(units, MONTHLY), max_size=2, unique_by=lambda cap: cap["per"]))
    if draw(st.integers(0, 3)) == 0:
        listed = [draw(shared_caps)]
    listed += draw(st.lists(caps(("times", "points"), ("reference",)), max_size=1))
    if draw(st.integers(0, 7)) == 0:
        listed.append({"points": draw(st.sampled_from((40, 10_000))), "per": "month", "scope": "program"})
    for key, value in (("cap", listed), ("when", draw(conditions)), ("expires", expires)):
        if value:
            rule[key] = value
    if draw(st.integers(0, 4)) == 0:
        rule["from"] = date(2027, draw(st.integers(1, 3)), 1)
    if draw(st.integers(0, 4)) == 0:
        rule["priority"] = draw(st.integers(-2, 2))
    return rule


rates = st.sampled_from((1, 0, 0.1, 0.3, 4, {"mean": 2, "dispersion": 1}))


@st.composite
def plans(draw):
    # One fund or two, points of one expiry or of two.
    funds = draw(st.sampled_from((("club", "club"), ("club", "shop"))))
    lives = [(draw(expiries), fund) for fund in funds]
    count = draw(st.integers(1, 4))
    program = {
        "schema": 1,
        "name": "monthly",
        "timezone": draw(st.sampled_from(("UTC", "America/New_York"))),
        "funds": {"club": {"unit_cost": "0.1"}, "shop": {}, "idle": {}},
        "earn": [draw(rules(place, *lives[place % 2])) for place in range(count)],
    }
    if draw(st.integers(0, 2)) == 0:
        budget = {"points": draw(st.sampled_from((50, 100_000))), "per": draw(st.sampled_from(MONTHLY))}
        program["funds"]["club"]["budget"] = budget
    becomes = {"group": "owner", "per_month": Decimal("0.1"), "event": draw(st.sampled_from((*KINDS, "x.y")))}
    fan = {"members": draw(st.sampled_from((20, 0, 1, 70))), "joins_per_month": draw(st.integers(0, 3))}
    if draw(st.booleans()):
        fan["becomes"] = becomes
    word = {"city": {"Hefei": 2, "Wuhan": 1, "Shanghai": 1}}
    data = {kind: {"amount": {"uniform": [0, 60]}, **word} for kind in draw(st.sets(st.sampled_from(KINDS)))}
    behaviour = {
        "lapse_per_month": draw(st.sampled_from((0, Decimal("0.05")))),
        "lapse_spread": draw(st.sampled_from((0, Decimal("0.2")))),
        "redeem_per_month": draw(st.sampled_from((Decimal("0.6"), 0, 1, {"beta": [2, 8]}))),
        "redeem_share": draw(st.sampled_from((Decimal("0.5"), 1))),
        "redeem_balance": draw(st.sampled_from((20, 2_000))),
        "near_expiry": draw(st.sampled_from((0, 1))),
        "events_per_month": {kind: draw(rates) for kind in KINDS},
        "data": data,
    }
    if draw(st.booleans()):
        behaviour["seasonality"] = [draw(st.sampled_from((0, 1, 3))) for _ in range(12)]
    if draw(st.booleans()):
        behaviour["owner"] = {"redeem_balance": 7, "redeem_per_month": Decimal("0.2"), "near_expiry": 2}
    plan = {
        "horizon": {
            "start": date(2027, draw(st.sampled_from((1, 10))), 1),
            "months": draw(st.sampled_from((14, 1, 2, 5, 9, 16))),
        },
        "population": {"fan": fan, "owner": {"members": draw(st.integers(1, 20))}},
        "behaviour": behaviour,
    }
    return plan, program


def assert_same(one, other):
    for field in attrs.fields(type(one)):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if field.name in ("peaks", "drawn"):
            assert a.keys() == b.keys()
            assert all(np.array_equal(a[key], b[key]) for key in a), field.name
        else:
            assert np.array_equal(a, b), field.name


def one_rule(**changes):
    """Return a plan that takes the month pass, and changes to its only rule."""
    rule = {"name": "act", "on": "a.done", "points": 10, "fund": "club", "unbounded": "accepted"}
    rule["expires"] = {"months": 2, "round_to": "month"}
    program = {"schema": 1, "name": "one", "timezone": "UTC", "funds": {"club": {}}, "earn": [rule | changes]}
    plan = {
        "horizon": {"start": date(2027, 1, 1), "months": 6},
        "population": {"members": 200},
        "behaviour": {"redeem_per_month": Decimal("0.2"), "events_per_month": {"a.done": 1}},
    }
    return plan, program


def by_days(monkey):
    """Let every plan take the day pass, in the same blocks."""

    def freely(spec, worlds, chunks):
        return passed_freely(spec, gather(spec, worlds, chunks))

    monkey.setattr(results, "passed", freely)


@given(tables=plans(), seed=st.integers(0, 2**32), sample=st.sampled_from((None, 7)), waves=st.booleans())
def test_the_month_pass_gives_the_figures_of_the_day_pass(tables, seed, sample, waves):
    compare(tables, seed, sample, waves=waves)


def compare(tables, seed, sample, *, waves):
    """Run both passes on three replications."""
    spec = Plan.from_tables(*copy.deepcopy(tables)).spec
    assume(not spec.why_by_days)
    spec.run = Run(shares=((0, 0.4), (1, 0.2))) if waves else Run()
    by_months = results.run_replications(spec, seed, [0, 1, 2], sample)
    with pytest.MonkeyPatch.context() as monkey:
        by_days(monkey)
        same = results.run_replications(spec, seed, [0, 1, 2], sample)
    for one, other in zip(by_months, same, strict=True):
        assert_same(one, other)


@pytest.mark.nightly
@settings(max_examples=20_000)  # the long hunt
@given(tables=plans(), seed=st.integers(0, 2**32), sample=st.sampled_from((None, 7)), waves=st.booleans())
def test_the_month_pass_gives_the_figures_of_the_day_pass_in_the_long_run(tables, seed, sample, waves):
    compare(tables, seed, sample, waves=waves)


@settings(max_examples=settings().max_examples // 2)  # each runs a plan, and its members one by one
@given(tables=plans(), seed=st.integers(0, 2**32))
def test_the_month_pass_gives_the_figures_of_the_trace(tables, seed):
    """And those are the ledger's: see test_simulation_equals_ledger."""
    plan = Plan.from_tables(*copy.deepcopy(tables))
    assume(not plan.spec.why_by_days)
    columns = plan.trace(members=20, seed=seed).to_columns()
    (result,) = results.run_replications(_scaled(plan.spec, 20), seed, [0], None)
    for name in ("issued", "refused", "redeemed", "expired"):
        assert np.array_equal(getattr(result, name).sum(axis=0).ravel(), columns[name]), name


def test_the_comparison_would_see_a_difference(monkeypatch):
    """The negative control: a month pass that forgets one month's expiry."""
    spec = Plan.from_tables(*one_rule()).spec
    right = results.run_replications(spec, 1, [0], None)
    monkeypatch.setattr(month_lots.Line, "_expire", lambda *_: None)
    wrong = results.run_replications(spec, 1, [0], None)
    with pytest.raises(AssertionError, match=r"redeemed|expired"):
        assert_same(right[0], wrong[0])
