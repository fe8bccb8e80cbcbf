"""Attribution over journeys, against independent solvers: fractions, enumeration, simulation-free."""

import random
from fractions import Fraction
from itertools import pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from userops.errors import InvalidValue
from userops.referrals import Journeys

PATHS = st.lists(st.tuples(st.text("ABC", min_size=1, max_size=6), st.integers(0, 4), st.integers(0, 4)),
                 min_size=1, max_size=8)  # fmt: skip


def solve(matrix, right):
    """Gauss and Jordan in fractions."""
    n = len(matrix)
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for k in range(n):
        pivot = next(r for r in range(k, n) if rows[r][k])
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [value / rows[k][k] for value in rows[k]]
        for r in range(n):
            if r != k and rows[r][k]:
                rows[r] = [a - rows[r][k] * b for a, b in zip(rows[r], rows[k], strict=True)]
    return [row[-1] for row in rows]


def chance_of_order(rows, order, without):
    """The chain with padded states, absorbing at an order; a removed touch leads nowhere."""
    counts = {}
    for path, orders, nulls in rows:
        if orders + nulls:
            states = ["^" * order]
            for touch in path:
                states.append((states[-1] + touch)[-order:])
            for one, other in pairwise(states):
                counts.setdefault(one, {}).setdefault(other, 0)
                counts[one][other] += orders + nulls
            end = counts.setdefault(states[-1], {})
            end["order"] = end.get("order", 0) + orders
            end["null"] = end.get("null", 0) + nulls
    names = list(counts)
    matrix, right = [], []
    for name in names:
        total = sum(counts[name].values())
        row = [Fraction(name == other) for other in names]
        for other, count in counts[name].items():
            if other not in ("order", "null") and other[-1] != without:
                row[names.index(other)] -= Fraction(count, total)
        matrix.append(row)
        right.append(Fraction(counts[name].get("order", 0), total))
    return solve(matrix, right)[names.index("^" * order)]


def journeys(rows):
    return Journeys([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows])


@given(PATHS, st.integers(1, 3))
def test_markov_agrees_with_elimination_in_fractions(rows, order):
    total = sum(r[1] for r in rows)
    if not total:
        with pytest.raises(InvalidValue, match="nothing to credit"):
            journeys(rows).markov(order)
        return
    found = journeys(rows).markov(order)
    base = chance_of_order(rows, order, None)
    touches = sorted(set("".join(r[0] for r in rows)))
    effects = {touch: 1 - chance_of_order(rows, order, touch) / base for touch in touches}
    for touch in touches:
        assert found.removal_effects[touch] == pytest.approx(float(effects[touch]), abs=1e-12)
        credit = total * effects[touch] / sum(effects.values())
        assert found.credits[touch] == pytest.approx(float(credit), rel=1e-12, abs=1e-12)
    assert sum(found.credits.values()) == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("worth", ["set_sum", "exact_set"])
@given(rows=PATHS)
def test_shapley_agrees_with_all_orders_of_arrival(worth, rows):
    found = journeys(rows).shapley(worth)
    touches = sorted(set("".join(r[0] for r in rows)))

    def value(group):
        fits = (lambda used: used <= group) if worth == "set_sum" else (lambda used: used == group)
        return sum(r[1] for r in rows if fits(set(r[0])))

    orders = list(permutations(touches))
    expected = dict.fromkeys(touches, Fraction(0))
    for order in orders:
        for k, touch in enumerate(order):
            expected[touch] += Fraction(value(set(order[: k + 1])) - value(set(order[:k])), len(orders))
    for touch in touches:
        assert found.credits[touch] == pytest.approx(float(expected[touch]), abs=1e-12)
    total = sum(r[1] for r in rows)
    assert (found.reason == "") == (sum(expected.values()) == total)
    if worth == "set_sum":
        assert found.reason == ""


@given(PATHS)
def test_simple_rules_share_out_the_whole(rows):
    those = journeys(rows)
    total = sum(r[1] for r in rows)
    for found in (those.first_touch(), those.last_touch(), those.linear(), those.position(),
                  those.position(first=0, last=0), those.time_decay(1.5), those.time_decay(1e-9)):  # fmt: skip
        assert sum(found.credits.values()) == pytest.approx(total, rel=1e-12)
        assert set(found) == set("".join(r[0] for r in rows))
    first = {touch: sum(r[1] for r in rows if r[0][0] == touch) for touch in those.touches}
    assert dict(those.first_touch()) == first


def test_rules_by_hand():
    those = Journeys([("ad", "dealer", "owner", "owner")], [10])
    assert dict(those.linear()) == {"ad": 2.5, "dealer": 2.5, "owner": 5.0}
    assert those.position() == pytest.approx({"ad": 4, "dealer": 1, "owner": 5})
    assert those.time_decay(1) == pytest.approx({"ad": 10 / 15, "dealer": 20 / 15, "owner": 120 / 15})
    assert Journeys(["AB"], [1]).position(first=0.3, last=0.1) == pytest.approx({"A": 0.75, "B": 0.25})


def test_markov_does_not_depend_on_the_order_of_rows():
    rows = [("ABC", 3, 1), ("BAC", 1, 4), ("CC", 2, 2), ("A", 0, 5), ("CBA", 1, 1)]
    found = journeys(rows).markov(2)
    random.Random(1).shuffle(rows)
    assert journeys(rows).markov(2) == pytest.approx(dict(found), rel=1e-12)


def test_a_result_prints():
    text = str(Journeys(["AB", "A"], [2, 1], [0, 3]).markov())
    assert "removal effect" in text
    assert "of 3 conversions" in text
    assert "sum to that" in str(Journeys(["AB", "A"], [2, 1]).shapley("exact_set"))


def test_nonsense_is_refused():
    for bad in (([""], [1]), ([()], [1]), ([5], [1]), ([(1,)], [1]), (["A"], [1, 2]), (["A"], [-1]),
                (["A"], [1.5]), (["A"], [True]), (["A"], [1], []), ([b"A"], [1])):  # fmt: skip
        with pytest.raises(InvalidValue):
            Journeys(*bad)
    good = Journeys(["AB"], [1])
    for bad in (lambda: good.position(first=0.7, last=0.7), lambda: good.position(first=-0.1),
                lambda: good.position(first=float("nan")), lambda: good.position(first="0.1"),
                lambda: good.time_decay(0), lambda: good.time_decay(float("nan")), lambda: good.time_decay("1"),
                lambda: good.time_decay(True), lambda: good.markov(0), lambda: good.markov(1.0),
                lambda: good.shapley("other")):  # fmt: skip
        with pytest.raises(InvalidValue):
            bad()
    rng = random.Random(1)
    wide = Journeys([[str(rng.randrange(4_000)) for _ in range(8)] for _ in range(800)], [1] * 800)
    with pytest.raises(InvalidValue, match="lower it"):
        wide.markov(3)
