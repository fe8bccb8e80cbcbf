"""What-if on arrays, against plain counting."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from userops.errors import InvalidValue
from userops.tiers import Benefit, Ladder, Tier, compare, thresholds_for

LADDER = Ladder(
    tiers=(Tier("member", at_least=10), Tier("gold", at_least=3_000), Tier("ep", at_least=12_000))
)
values = st.lists(st.integers(-5, 15_000), min_size=1, max_size=60)


def plain_tier(value):
    return max((k for k, n in enumerate((10, 3_000, 12_000)) if value >= n), default=-1)


@given(values)
def test_assignment_and_distribution(found):
    assert LADDER.assign(np.array(found)).tolist() == [plain_tier(v) for v in found]
    spread = LADDER.distribution(found)
    for place, name in enumerate(LADDER.names):
        assert spread[name] == sum(plain_tier(v) == place for v in found)
    assert spread.get("no tier", 0) == sum(plain_tier(v) < 0 for v in found)
    assert sum(spread.share(name) for name in spread) == 1


@given(values, st.randoms(use_true_random=False))
def test_migration(before, rng):
    after = [rng.choice(before) for _ in before]
    moves = LADDER.migration(before, after)
    pairs = [(plain_tier(a), plain_tier(b)) for a, b in zip(before, after, strict=True)]
    names = [None, *LADDER.names]
    for was in range(-1, 3):
        for to in range(-1, 3):
            assert moves.count(names[was + 1], names[to + 1]) == pairs.count((was, to))
    assert moves.risen == sum(b > a for a, b in pairs)
    assert moves.fallen == sum(b < a for a, b in pairs)
    named = LADDER.migration(
        [names[a + 1] for a, _ in pairs], np.array([names[b + 1] for _, b in pairs], object)
    )
    assert (named.matrix == moves.matrix).all()


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=50),
    st.fractions(Fraction(1, 1000), 1, max_denominator=1000),
)
def test_thresholds_are_the_nearest_attainable_share(found, share):
    threshold = thresholds_for(found, shares={"ep": share})["ep"]
    gap = {v: abs(Fraction(sum(x >= v for x in found), len(found)) - share) for v in found}
    assert threshold == max(v for v in found if gap[v] == min(gap.values()))


def test_thresholds_at_size():
    found = np.random.default_rng(5).integers(0, 10**9, 100_000)
    given_shares = {"ep": 0.02, "gold": 0.1, "member": 1}
    thresholds = thresholds_for(found, shares=given_shares)
    assert list(thresholds) == ["member", "gold", "ep"]
    assert (found >= thresholds["ep"]).sum() == 2_000
    assert (found >= thresholds["gold"]).sum() == 10_000
    assert thresholds["member"] == found.min()


def test_comparison_names_winners_losers_and_cost():
    def ladder(gold):
        pick_up = Benefit("pick-up", quota=2, cost=Decimal(50))
        return Ladder(tiers=(Tier("member", at_least=0), Tier("gold", at_least=gold, benefits=(pick_up,))))

    found = compare(ladder(300), ladder(200), np.array([100, 200, 250, 300]))
    assert (found.winners.tolist(), found.losers.tolist()) == ([1, 2], [])
    assert (found.cost_before, found.cost_after, found.cost_difference) == (100, 300, 200)
    assert "2 win, 0 lose" in str(found)
    back = compare(ladder(200), ladder(300), [100, 200, 250, 300])
    assert (back.winners.tolist(), back.losers.tolist()) == ([], [1, 2])


def test_a_ladder_may_gain_a_tier():
    old = Ladder((Tier("member", at_least=0), Tier("ep", at_least=300)))
    new = Ladder((Tier("member", at_least=0), Tier("gold", at_least=200), Tier("ep", at_least=400)))
    for before, after, sign in ((old, new, 1), (new, old, -1)):
        found = compare(before, after, [100, 250, 350, 400])
        ways = [found.winners.tolist(), found.losers.tolist()][::sign]
        assert ways == [[1], [2]]
        assert found.migration.names == ("no tier", "member", "gold", "ep")


def test_members_of_one_value_stay_together():
    assert thresholds_for([1, 1, 1], shares={"a": Fraction(1, 2), "b": 1}) == {"b": 1, "a": 1}


def test_what_prints():
    assert str(LADDER.distribution([0, 3_000, 3_000])).splitlines()[0].split() == ["tier", "members", "share"]
    assert "1 rose, 0 fell" in str(LADDER.migration([0], [10]))


@pytest.mark.parametrize(
    "ask",
    [
        lambda: thresholds_for([], shares={"a": 0.5}),
        lambda: thresholds_for([1, 2], shares={}),
        lambda: thresholds_for([1, 2], shares={"a": 0}),
        lambda: thresholds_for([1, 2], shares={"a": 1.5}),
        lambda: thresholds_for([1, 2], shares={"a": float("nan")}),
        lambda: thresholds_for([1.5], shares={"a": 1}),
        lambda: LADDER.assign([1.0]),
        lambda: LADDER.assign([True]),
        lambda: LADDER.assign(np.array([[1]])),
        lambda: LADDER.assign(np.array([2**63], dtype=np.uint64)),
        lambda: LADDER.assign([10**400]),
        lambda: LADDER.assign(np.ma.array([1], mask=[True])),
        lambda: Ladder(tiers=(Tier("a", all_of={"x": 1}),)).assign([1]),
        lambda: LADDER.migration([1], [1, 2]),
        lambda: LADDER.migration(["glod"], ["gold"]),
        lambda: LADDER.migration([1], [1]).count("glod", None),
        lambda: LADDER.distribution([]).share("gold"),
        lambda: compare(LADDER, Ladder(tiers=(Tier("a", at_least=1),)), [1]),
    ],
)
def test_questions_without_meaning_are_refused(ask):
    with pytest.raises(InvalidValue):
        ask()
