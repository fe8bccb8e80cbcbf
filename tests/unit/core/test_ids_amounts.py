"""Ids, texts, points, exact numbers and the division that loses nothing."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from userops.core.amounts import MAX_POINTS, amount, bounded_decimal, exact, largest_remainder, points, whole
from userops.core.ids import derived_id, identifier, text
from userops.errors import InvalidValue


def test_whole_numbers_become_plain_ints():
    for value in (5, np.int8(5), np.uint64(5), np.array(5)):
        assert whole(value, "x") == 5
        assert type(whole(value, "x")) is int


def test_what_is_no_whole_number_is_refused():
    for bad in (
        True,
        np.bool_(1),
        1.0,
        Decimal(1),
        Fraction(1),
        "1",
        "１２",
        b"1",
        None,
        2**63,
        -(2**63),
        10**5000,
    ):
        with pytest.raises(InvalidValue):
            whole(bad, "x")


def test_bounds_are_said():
    assert (points(1), points(MAX_POINTS)) == (1, MAX_POINTS)
    with pytest.raises(InvalidValue, match="x must be at least 1"):
        points(0, "x")
    with pytest.raises(InvalidValue, match="between 2 and 4"):
        whole(5, "x", at_least=2, at_most=4)


def test_exact_numbers_are_never_floats_and_bounded_before_they_are_converted():
    assert exact(Decimal("0.1"), "x") == Fraction(1, 10)
    assert exact(3, "x") == 3
    for bad in (
        0.1,
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("inf"),
        Decimal("1e400000"),
        Fraction(1, 10**41),
        True,
        "1",
    ):
        with pytest.raises(InvalidValue):
            exact(bad, "x")
    assert bounded_decimal(Decimal("0E-10"), "x") == 0
    with pytest.raises(InvalidValue):
        bounded_decimal(Decimal("0e-400000"), "x")


def test_amounts_are_whole_or_decimal():
    assert (amount(3), amount(Decimal("2.50"))) == (3, Decimal("2.50"))
    for bad in (2.5, float("nan"), True, "3", None):
        with pytest.raises(InvalidValue):
            amount(bad)


@given(
    st.integers(0, 10**12),
    st.dictionaries(st.text(max_size=3), st.fractions(0, 1), min_size=1, max_size=6),
)
def test_largest_remainder_divides_all_that_has_a_share(total, weights):
    scale = max(Fraction(1), sum(weights.values()))
    shares = {key: Fraction(weight) / scale for key, weight in weights.items()}
    given_ = largest_remainder(total, shares)
    assert sum(given_.values()) == (total * sum(shares.values())).__floor__()
    assert all(0 <= n - (total * shares[key]).__floor__() <= 1 for key, n in given_.items())


def test_largest_remainder_gives_ties_to_the_smallest_key():
    third = Fraction(1, 3)
    assert largest_remainder(10, {"b": third, "a": third, "c": third}) == {"a": 4, "b": 3, "c": 3}
    with pytest.raises(InvalidValue):
        largest_remainder(1, {"a": Fraction(2, 3), "b": Fraction(2, 3)})


def test_ids_are_exact_to_the_byte():
    assert identifier("é", "id") != identifier("e\u0301", "id")
    assert identifier("x" * 1_024, "id")
    for bad in ("", "x" * 1_025, "车" * 342, "a\0", "\ud800", b"a", 1, None):
        with pytest.raises(InvalidValue):
            identifier(bad, "id")
    assert text("", "reason") == ""


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_derived_ids_are_equal_only_for_equal_parts(one, other):
    assert (derived_id(*one) == derived_id(*other)) == (one == other)
