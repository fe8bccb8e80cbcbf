"""Wrong kinds: every argument of the analysts' public functions, replaced by what it is not.

A typed error or an answer, never a bare TypeError from inside, and never a wait. (The ledger's commands have a
catalogue of their own.)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from userops import Condition, Event, F, UseropsError
from userops.nps import NPS, Scale, advocacy, nps, post_stratify, rake, required_n, trend
from userops.points import (
    Earn,
    Fund,
    Ledger,
    Spend,
    accrued_cost,
    allocate_price,
    chain_ladder,
    debts_by_age,
    redemption_rate,
    redemption_triangle,
    revenue_schedule,
    roll_forward,
)
from userops.program import Program, benefit_cost
from userops.referrals import (
    Conversion,
    Invitation,
    Journeys,
    ReferralGraph,
    Review,
    Scheme,
    Signal,
    bursts,
    credit_all,
    dense_blocks,
    fresh_stars,
    kickbacks,
    offspring,
    open_reviews,
    own_spend_reward,
    recursive_halving,
    shared_components,
)
from userops.segments import (
    Case,
    ClosedLoop,
    Segment,
    SegmentSet,
    changes,
    choose_seeds,
    complaining_users,
    coverage,
    gower,
    outreach,
    resolve,
    verified_reach,
)
from userops.tiers import Entitlements, Grant, Keep, Ladder, Tier, compare, thresholds_for

T0 = datetime(2027, 1, 1, tzinfo=UTC)
T1 = datetime(2027, 6, 1, tzinfo=UTC)
_itself: list[Any] = []
_itself.append(_itself)
WRONG: tuple[Any, ...] = (
    None,
    True,
    -1,
    float("nan"),
    10**5_000,
    Decimal("sNaN"),
    Fraction(1, 3),
    np.int64(3),
    np.array(3),
    np.ones((2, 2)),
    np.array([]),
    np.ma.masked,
    np.datetime64("NaT"),
    "",
    "x",
    b"x",
    [],
    {},
    [None],
    [[1]],
    {1: 2},
    datetime(2027, 1, 1),
    date(2027, 1, 1),
    object(),
    int,
    _itself,
)

LADDER = Ladder((Tier("member", at_least=0), Tier("gold", at_least=300)), keep=Keep(months=12))
STANDING = LADDER.standing([(T0, 400)], as_of=T1)
GRAPH = ReferralGraph.from_invitations([Invitation("ann", "bo", T0)])
CASES = [Case("c1", "ann", 2, T0), Case("c2", "bo", 1, T0, closed_at=T1)]
SURVEY = NPS(detractors=10, passives=30, promoters=60)
CONDITION = (F("x") >= 3) & F("k").one_of("a")
PROGRAM = Program.load("""
schema = 1
name = "club"
[funds.sales]
[[earn]]
name = "delivery"
on = "order.delivered"
points = 10
fund = "sales"
cap = [{ times = 1, per = "reference" }]
""")
EVENT = Event("e1", "order.delivered", "u", T0)
BOOKS = Ledger.in_memory()
BOOKS.add_fund(Fund("sales"))
for _month in range(4):
    BOOKS.post(Earn(id=f"e{_month}", member="u", points=9, fund="sales", at=T0 + timedelta(days=31 * _month)))
    BOOKS.post(
        Spend(id=f"s{_month}", member="u", points=4, sink="shop", at=T0 + timedelta(days=31 * _month + 1))
    )

#: A call that works, by its arguments in order.
CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "Event": (Event, {"id": "e", "kind": "k", "member": "u", "at": T0, "data": {"a": [1]}}),
    "Condition.from_toml": (lambda table: Condition.from_toml(table), {"table": {"x": {">=": 3}}}),
    "holds": (lambda record: CONDITION.holds(record), {"record": {"x": 3, "k": "a"}}),
    "explain": (lambda record: CONDITION.explain(record), {"record": {"x": 3, "k": "a"}}),
    "mask": (lambda columns: CONDITION.mask(columns), {"columns": {"x": [3], "k": ["a"]}}),
    "standing": (
        LADDER.standing,
        {
            "history": [(T0, 400)],
            "as_of": T1,
            "grants": [Grant("gold", T0)],
            "record": {"a": 1},
            "known_at": T1,
        },
    ),
    "timeline": (LADDER.timeline, {"history": [(T0, 400)], "start": T0, "end": T1}),
    "restate": (LADDER.restate, {"history": [(T0, 400)]}),
    "migration": (LADDER.migration, {"before": [1, 300], "after": [300, 1]}),
    "compare": (compare, {"ladder_a": LADDER, "ladder_b": LADDER, "values": [1, 300]}),
    "thresholds_for": (thresholds_for, {"values": [1, 2, 300], "shares": {"gold": Fraction(1, 3)}}),
    "Ladder": (Ladder, {"tiers": (Tier("member", at_least=0),)}),
    "Entitlements": (Entitlements, {"standing": STANDING, "uses": [("wash", T0)], "sold_at": T1}),
    "from_invitations": (
        ReferralGraph.from_invitations,
        {
            "invitations": [Invitation("ann", "bo", T0)],
            "same_person": [("a", "b")],
            "members": {"bo": T1, "ann": T0},
            "orders": {"bo": T1},
            "staff": {"x"},
            "flagged": {"y"},
        },
    ),
    "Scheme": (Scheme, {"milestones": {"delivery": 9}, "caps": [{"times": 5, "per": "month"}]}),
    "credit_all": (
        credit_all,
        {
            "schemes": [Scheme(milestones={"delivery": 9})],
            "graph": GRAPH,
            "conversions": [Conversion("c", "bo", "delivery", T1)],
        },
    ),
    "recursive_halving": (recursive_halving, {"pot": 40, "path": ["ann", "bo"]}),
    "own_spend_reward": (own_spend_reward, {"own": 1, "friends": 2, "rate": lambda _: Fraction(1, 10)}),
    "Journeys": (Journeys, {"paths": [["A"], ["A", "B"]], "conversions": [1, 2], "nulls": [0, 1]}),
    "offspring": (offspring, {"counts": [0, 1, 2]}),
    "shared_components": (shared_components, {"links": [("a", "d"), ("b", "d")]}),
    "bursts": (bursts, {"graph": GRAPH, "alpha": 0.05}),
    "fresh_stars": (fresh_stars, {"graph": GRAPH, "active": {"ann"}}),
    "kickbacks": (kickbacks, {"graph": GRAPH, "transfers": [("ann", "bo", T1)]}),
    "dense_blocks": (dense_blocks, {"links": [("a", "d"), ("b", "d")]}),
    "Signal": (Signal, {"kind": "x", "members": ("a",), "strength": 0.5, "evidence": "e"}),
    "Review": (Review, {"member": "a", "steps": ()}),
    "open_reviews": (open_reviews, {"signals": [Signal("x", ("a",), 0.5, "e")], "at": T0}),
    "NPS": (NPS, {"detractors": 1, "passives": 2, "promoters": 3}),
    "nps": (nps, {"scores": [1, 9], "by": ["a", "b"], "weights": [1.0, 2.0], "level": 0.9}),
    "Scale": (Scale, {"name": "faces", "answers": {"good": "promoter"}}),
    "post_stratify": (
        post_stratify,
        {"scores": [1, 9, 9, 2], "cell": ["a", "a", "b", "b"], "targets": {"a": 0.5, "b": 0.5}},
    ),
    "rake": (
        rake,
        {
            "scores": [1, 9, 9, 2],
            "columns": {"c": ["a", "a", "b", "b"]},
            "targets": {"c": {"a": 0.5, "b": 0.5}},
        },
    ),
    "required_n": (required_n, {"margin": 0.05, "level": 0.9, "like": SURVEY, "population": 900}),
    "trend": (trend, {"waves": {"w1": {"a": SURVEY}, "w2": {"a": SURVEY}}, "permutations": 19}),
    "advocacy": (advocacy, {"nps": SURVEY, "referred": 3, "buyers": 9}),
    "SegmentSet": (
        SegmentSet,
        {"segments": [Segment("a", F("k") == "x")], "domain": {"k": ["x", "y"]}, "strict": False},
    ),
    "changes": (changes, {"before": ["a"], "after": ["b"]}),
    "gower": (gower, {"columns": {"k": ["x", "y"]}, "weights": {"k": 1}}),
    "complaining_users": (
        complaining_users,
        {"cases": CASES, "as_of": T1, "threshold": 3, "answers": {"ann": 2}},
    ),
    "ClosedLoop": (ClosedLoop, {"cases": CASES, "as_of": T1}),
    "choose_seeds": (
        choose_seeds,
        {
            "contacts": {"a": ["x"], "b": ["y"]},
            "k": 1,
            "quotas": {"g": 1},
            "groups": {"a": "g"},
            "same_person": [("a", "c")],
        },
    ),
    "coverage": (coverage, {"chosen": ["a"], "contacts": {"a": ["x"]}}),
    "verified_reach": (verified_reach, {"referrals": [("a", "b")], "same_person": [("a", "c")]}),
    "outreach": (outreach, {"labels": ["seed"]}),
    "resolve": (resolve, {"links": [("a", "p"), ("b", "p")], "limit": 5}),
    "allocate_price": (allocate_price, {"price": 100, "goods_ssp": 100, "points_ssp": 10}),
    "revenue_schedule": (revenue_schedule, {"allocated": 100, "periods": [(4, 9)], "rounding": Decimal(1)}),
    "accrued_cost": (accrued_cost, {"books": BOOKS, "as_of": T1, "redemption_rate": 1, "kind": "expense"}),
    "debts_by_age": (debts_by_age, {"books": BOOKS, "as_of": T1, "days": (30, 90)}),
    "roll_forward": (roll_forward, {"books": BOOKS, "start": date(2027, 1, 1), "months": 2}),
    "redemption_triangle": (
        redemption_triangle,
        {"books": BOOKS, "as_of": T1, "fund": "sales", "currency": "points"},
    ),
    "redemption_rate": (redemption_rate, {"triangle": redemption_triangle(BOOKS, T1)}),
    "chain_ladder": (chain_ladder, {"triangle": [[1.0, 2], [1, None]]}),
    "handle": (PROGRAM.handle, {"event": EVENT, "ledger": BOOKS, "members": {}}),
    "run": (PROGRAM.run, {"events": [EVENT], "ledger": BOOKS}),
    "state": (PROGRAM.state, {"ledger": BOOKS, "member": "u", "at": T1}),
    "replay": (PROGRAM.replay, {"events": [EVENT], "members": {}, "order": "time"}),
    "what_if": (PROGRAM.what_if, {"events": [EVENT], "other": PROGRAM}),
    "benefit_cost": (benefit_cost, {"uses": 3, "cost": 5, "members": 9, "draws": 100}),
}


def _variants(value: Any) -> Iterator[Any]:
    """Yield what takes the place of an argument: wrong kinds, and the same list or mapping with one inside."""
    yield from WRONG
    yield -0.0
    for wrong in WRONG:
        if isinstance(value, list | tuple) and value:
            yield [*value, wrong]
            if isinstance(value[0], tuple):
                for place in range(len(value[0])):
                    yield [(*value[0][:place], wrong, *value[0][place + 1 :]), *value[1:]]
        elif isinstance(value, dict) and value:
            yield {**value, next(iter(value)): wrong}
            try:
                yield {**value, wrong: next(iter(value.values()))}
            except TypeError:
                continue


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_kind_is_a_typed_error_told_at_once(name):
    call, arguments = CALLS[name]
    call(**arguments)
    refused, longest = 0, 0
    for argument, right in arguments.items():
        for wrong in _variants(right):
            started = time.process_time()
            try:
                call(**{**arguments, argument: wrong})
            except UseropsError as fault:
                refused += 1
                longest = max(longest, len(str(fault)))
            assert time.process_time() - started < 1.0
    assert refused
    assert longest < 2_000


def test_the_sweep_sees_a_bare_error():
    # The negative control: what a careless function raises gets through.
    CALLS["careless"] = (lambda values: [UseropsError for _ in values], {"values": [1]})
    try:
        with pytest.raises(TypeError):
            test_a_wrong_kind_is_a_typed_error_told_at_once("careless")
    finally:
        del CALLS["careless"]


@pytest.mark.parametrize("nobody", [float("nan"), Decimal("NaN"), np.datetime64("NaT")])
def test_an_account_that_is_not_itself_has_no_root(nobody):
    # Following such an account to the root of its component never ended.
    with pytest.raises(UseropsError, match="equal to itself"):
        choose_seeds({"a": ["x"]}, 1, same_person=[("a", nobody)])
    with pytest.raises(UseropsError, match="equal to itself"):
        verified_reach([("a", "b")], same_person=[(nobody, "a")])


def test_a_list_of_mixed_kinds_is_no_list_of_texts():
    # NumPy makes ["a", 1] two texts, and 1 would have been found equal to "1".
    with pytest.raises(UseropsError):
        (F("x") == "1").mask({"x": ["a", 1]})
    assert (F("x") == 2**53 + 1).mask({"x": [2**53 + 1, 0.5]}).tolist() == [True, False]
