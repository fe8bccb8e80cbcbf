"""The catalogue of bad values against every public argument: a typed error or a sound answer, nothing else."""

from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from userops.errors import UseropsError
from userops.referrals import (
    Binding,
    Conversion,
    Invitation,
    Journeys,
    Levels,
    ReferralGraph,
    Scheme,
    Split,
    Vest,
    bursts,
    cost_per_incremental,
    dense_blocks,
    fresh_stars,
    geometric_tree,
    growth,
    k_factor,
    kickbacks,
    offspring,
    own_spend_reward,
    reach_limit,
    recursive_halving,
    referral_share,
    shared_components,
)

T = datetime(2027, 1, 1, tzinfo=UTC)
BAD = [
    True, 0, -1, -0.0, 1.0, 0.1, float("nan"), float("inf"), -float("inf"), 2**53 + 1, 2**63, -(2**63), 10**5000,
    Decimal("NaN"), Decimal("sNaN"), Decimal("1e400000"), Decimal("-0.5"), Fraction(1, 3), Fraction(7, 2),
    np.int64(3), np.uint64(3), np.float32(0.5), np.bool_(True), np.array(3), np.array(0.5), np.array([1, 2]),
    None, "", "１２", "1_000", "12abc", b"x", [], {}, (), ("a",), object(), datetime(2027, 1, 1),
    date(2027, 1, 1), "a\0b", "a\nb", "a|b", "x" * 2_000, "\ud800",
]  # fmt: skip
GRAPH = ReferralGraph.from_parents([-1, 0, 0], members=["ann", "bo", "cy"])
ONE = {"m": 10}
CALLS = [
    lambda v: Invitation(v, "bo", T),
    lambda v: Invitation("ann", v, T),
    lambda v: Invitation("ann", "bo", v),
    lambda v: Invitation("ann", "bo", T, v, v),
    lambda v: Binding(window_days=v),
    lambda v: Binding(locked_days=v),
    lambda v: Binding(cap=v),
    lambda v: Binding(touch=v),
    lambda v: ReferralGraph.from_invitations([], members=v),
    lambda v: ReferralGraph.from_invitations([], members={"a": v}),
    lambda v: ReferralGraph.from_invitations([], orders={"a": v}),
    lambda v: ReferralGraph.from_invitations([], staff=[v]),
    lambda v: ReferralGraph.from_invitations([], same_person=[("a", v)]),
    lambda v: ReferralGraph.from_invitations([], attributes={"a": v}),
    lambda v: ReferralGraph.from_invitations([v]),
    lambda v: ReferralGraph.from_invitations([], binding=v),
    lambda v: ReferralGraph.from_networkx(v),
    lambda v: ReferralGraph.from_parents([v]),
    lambda v: ReferralGraph.from_parents([-1], members=[v]),
    lambda v: ReferralGraph.from_parents([-1], at=[v]),
    lambda v: GRAPH.path(v),
    lambda v: GRAPH.generations(v),
    lambda v: GRAPH.referrer("bo", at=v),
    lambda v: GRAPH.referrer(v),
    lambda v: Levels.table([v]),
    lambda v: Levels.table(v),
    lambda v: Levels.geometric(ratio=v, depth=2),
    lambda v: Levels.geometric(ratio=1, depth=v, depth_accepted="x"),
    lambda v: Split(dealer=v),
    lambda v: Vest(v),
    lambda v: Vest(1, v),
    lambda v: Scheme(milestones={"m": v}),
    lambda v: Scheme(milestones=v),
    lambda v: Scheme(milestones={v: 1} if isinstance(v, str | bytes | int | float | None) else {}),
    lambda v: Scheme(milestones=ONE, name=v),
    lambda v: Scheme(milestones=ONE, caps=v),
    lambda v: Scheme(milestones=ONE, caps=[v]),
    lambda v: Scheme(milestones=ONE, caps=[{"times": v}]),
    lambda v: Scheme(milestones=ONE, fund=v),
    lambda v: Scheme(milestones=ONE, eligible=v),
    lambda v: Scheme(milestones=ONE, expires=v),
    lambda v: Scheme(milestones=ONE, timezone=v),
    lambda v: Conversion(v, "bo", "m", T),
    lambda v: Scheme(milestones=ONE).credit(GRAPH, [Conversion("o", v, "m", T)]),
    lambda v: Conversion("o", "bo", v, T),
    lambda v: Conversion("o", "bo", "m", v),
    lambda v: Conversion("o", "bo", "m", T, v),
    lambda v: Conversion("o", "bo", "m", T, None, v, v),
    lambda v: Scheme(milestones=ONE).certificate().gain(v),
    lambda v: recursive_halving(v, ["a", "b"]),
    lambda v: geometric_tree(GRAPH, [1, 1, 1], ratio=v, share=Fraction(1, 2)),
    lambda v: geometric_tree(GRAPH, [1, 1, 1], ratio=Fraction(1, 2), share=v),
    lambda v: geometric_tree(GRAPH, v, ratio=Fraction(1, 2), share=Fraction(1, 2)),
    lambda v: own_spend_reward(v, 1, lambda _: 0),
    lambda v: own_spend_reward(1, v, lambda _: 0),
    lambda v: own_spend_reward(1, 1, lambda _: v),
    lambda v: Journeys([v], [1]),
    lambda v: Journeys(["A"], [v]),
    lambda v: Journeys(["A"], [1], [v]),
    lambda v: Journeys(["AB"], [1]).position(first=v, last=0),
    lambda v: Journeys(["AB"], [1]).time_decay(v),
    lambda v: Journeys(["AB"], [1]).markov(v),
    lambda v: Journeys(["AB"], [1]).shapley(v),
    lambda v: offspring([v, 1]),
    lambda v: offspring(v),
    lambda v: k_factor(v, 0.5),
    lambda v: k_factor(1, v),
    lambda v: reach_limit(v),
    lambda v: growth(v, 0.5, 3),
    lambda v: growth(1, v, 3),
    lambda v: growth(1, 0.5, v),
    lambda v: referral_share(referred=v, buyers=10),
    lambda v: referral_share(referred=1, buyers=v),
    lambda v: referral_share(referred=1, buyers=10, unknown=v),
    lambda v: referral_share(referred=1, buyers=10, level=v),
    lambda v: cost_per_incremental(
        points=v, unit_cost=1, referred=2, anyway=0, advertising_cost=1, advertised=1
    ),
    lambda v: cost_per_incremental(
        points=1, unit_cost=v, referred=2, anyway=v, advertising_cost=v, advertised=1
    ),
    lambda v: bursts(GRAPH, alpha=v),
    lambda v: bursts(GRAPH, alpha=0.1, window_days=v),
    lambda v: fresh_stars(GRAPH, active=set(), least=v),
    lambda v: fresh_stars(GRAPH, active=set(), share=v),
    lambda v: kickbacks(GRAPH, [v]),
    lambda v: kickbacks(GRAPH, [("ann", "bo", v)]),
    lambda v: shared_components([v]),
    lambda v: shared_components([("a", v)]),
    lambda v: dense_blocks([(v, "x")]),
    lambda v: dense_blocks([("a", "x")], blocks=v),
]


@pytest.mark.parametrize("place", range(len(CALLS)))
def test_a_bad_value_is_refused_by_type_or_answered(place):
    answers = []
    for value in BAD:
        with suppress(UseropsError):
            answers.append(CALLS[place](value))
    # What refuses nothing checks nothing, unless all it says is that there is none.
    assert len(answers) < len(BAD) or set(answers) == {None}
