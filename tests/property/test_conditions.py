"""The plain and the columnar form of a condition agree, on every value; TOML keeps the meaning."""

import operator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from userops import Condition, F
from userops.core.conditions import ALWAYS
from userops.errors import IncomparableError, InvalidValue

OPS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
INT64 = st.integers(-(2**63) + 1, 2**63 - 1)
NEAR = st.sampled_from([0, 1, -1, 2**53, 2**53 + 1, 2**53 - 1, 2**63 - 1, -(2**63) + 1])
FLOATS = st.floats(allow_nan=True, allow_infinity=True) | NEAR.map(float) | st.sampled_from([0.1, 0.5, 100.0])
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=3)
CONSTANTS = (
    NEAR
    | INT64
    | FLOATS.filter(lambda x: x == x and abs(x) < 1e300)
    | DECIMALS
    | st.sampled_from([Decimal("0.1"), Decimal("99.5")])
)


def column_of(values, dtype):
    if dtype == object:
        column = np.empty(len(values), dtype=object)
        column[:] = values
        return column
    return np.array(values, dtype=dtype)


COLUMNS = st.one_of(
    st.tuples(st.lists(NEAR | INT64, min_size=1, max_size=8), st.just(np.int64)),
    st.tuples(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=8), st.just(np.uint64)),
    st.tuples(st.lists(st.integers(-128, 127), min_size=1, max_size=8), st.just(np.int8)),
    st.tuples(st.lists(FLOATS, min_size=1, max_size=8), st.just(np.float64)),
    st.tuples(st.lists(st.floats(width=32), min_size=1, max_size=8), st.just(np.float32)),
    st.tuples(
        st.lists(st.none() | INT64 | FLOATS | DECIMALS | st.just(Decimal("NaN")), min_size=1, max_size=8),
        st.just(object),
    ),
)


def exact(value):
    return Fraction(value) if value not in (float("inf"), float("-inf")) else value


@given(COLUMNS, CONSTANTS, st.sampled_from(sorted(OPS)))
def test_numbers_compare_exactly_in_both_forms(column, constant, op):
    values, dtype = column
    data = column_of(values, dtype)
    condition = Condition.from_toml({"x": {op: constant}})
    expected = []
    for value in data:
        plain = value.item() if isinstance(value, np.generic) else value
        missing = plain is None or (not isinstance(plain, int) and plain != plain)
        expected.append(not missing and OPS[op](exact(plain), exact(constant)))
    assert condition.mask({"x": data}).tolist() == expected
    assert [condition.holds({"x": value}) for value in data] == expected


WORDS = st.sampled_from(["", "a", "b", "上海", "Hefei"])
RECORDS = st.fixed_dictionaries(
    {},
    optional={
        "n": st.none() | st.integers(-2, 2),
        "f": st.sampled_from([0.0, 1.0, float("nan")]),
        "t": st.none() | WORDS,
        "b": st.none() | st.booleans(),
    },
)
ATOMS = st.one_of(
    st.builds(
        lambda op, c: Condition.from_toml({"n": {op: c}}), st.sampled_from(sorted(OPS)), st.integers(-2, 2)
    ),
    st.builds(
        lambda op, c: Condition.from_toml({"f": {op: c}}), st.sampled_from(sorted(OPS)), st.integers(-1, 1)
    ),
    st.builds(lambda op, c: Condition.from_toml({"t": {op: c}}), st.sampled_from(sorted(OPS)), WORDS),
    st.builds(lambda c: F("b") == c, st.booleans()),
    st.builds(lambda c: F("t").one_of(*c), st.lists(WORDS, min_size=1)),
    st.builds(lambda c: F("n").one_of(*c), st.lists(st.integers(-2, 2), min_size=1)),
    st.sampled_from(["n", "f", "t", "b"]).map(lambda name: F(name).is_missing()),
)
CONDITIONS = st.recursive(
    ATOMS | st.just(ALWAYS),
    lambda inner: st.one_of(
        st.builds(lambda a, b: a & b, inner, inner),
        st.builds(lambda a, b: a | b, inner, inner),
        st.builds(lambda a: ~a, inner),
    ),
    max_leaves=8,
)


@given(CONDITIONS, st.lists(RECORDS, min_size=1, max_size=6))
def test_holds_equals_mask_and_survives_toml(condition, records):
    columns = {
        name: column_of([record.get(name) for record in records], object) for name in ("n", "f", "t", "b")
    }
    plain = [condition.holds(record) for record in records]
    assert condition.mask(columns).tolist() == plain
    again = Condition.from_toml(condition.to_toml())
    assert [again.run(record) for record in records] == [condition.run(record) for record in records]


@given(CONDITIONS, RECORDS)
def test_negation_is_true_exactly_when_known_false(condition, record):
    known = condition.run(record)
    assert (~condition).holds(record) == (known is False)
    assert (condition & ~condition).holds(record) is False


@given(
    st.lists(st.integers(-(10**17), 10**17), min_size=1),
    st.integers(-(10**16), 10**16),
    st.sampled_from(sorted(OPS)),
)
def test_instants_compare_with_datetime64_of_any_unit(ticks, micros, op):
    constant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    condition = Condition.from_toml({"at": {op: constant}})
    column = np.array(ticks, dtype="datetime64[ns]")
    expected = [OPS[op](Fraction(t, 1000), micros) for t in ticks]
    assert condition.mask({"at": column}).tolist() == expected
    assert [condition.holds({"at": value}) for value in column] == expected


def test_days_and_missing_times():
    condition = F("day") >= date(2027, 1, 2)
    column = np.array(["2027-01-01", "2027-01-02", "NaT"], dtype="datetime64[D]")
    assert condition.mask({"day": column}).tolist() == [False, True, False]
    assert [condition.holds({"day": value}) for value in column] == [False, True, False]
    assert F("day").is_missing().mask({"day": column}).tolist() == [False, False, True]


def test_masked_columns_are_missing():
    column = np.ma.array([1, 5], mask=[False, True])
    assert (F("x") >= 1).mask({"x": column}).tolist() == [True, False]
    assert (~(F("x") >= 1)).mask({"x": column}).tolist() == [False, False]
    assert not (F("x") >= 1).holds({"x": np.ma.masked})


@pytest.mark.parametrize(
    "record", [{"x": "1"}, {"x": True}, {"x": [1]}, {"x": b"1"}, {"x": date(2027, 1, 1)}]
)
def test_other_kinds_are_errors_in_both_forms(record):
    with pytest.raises(IncomparableError):
        (F("x") >= 1).holds(record)
    with pytest.raises(IncomparableError):
        (F("x") >= 1).mask({"x": column_of([record["x"]], object)})


def test_typed_columns_of_other_kinds_are_errors():
    for column in (
        np.array(["1"]),
        np.array([True]),
        np.array([b"1"]),
        np.array([1], "m8[s]"),
        np.array([1j]),
    ):
        with pytest.raises(IncomparableError):
            (F("x") >= 1).mask({"x": column})


@pytest.mark.parametrize(
    "table",
    [
        {"x": {"=>": 1}},
        {"x": {}},
        {"any": []},
        {"any": {"x": 1}},
        {"x": float("nan")},
        {"x": float("inf")},
        {"x": Decimal("NaN")},
        {"x": Decimal("1e400000")},
        {"x": 10**400},
        {"x": None},
        {"x": []},
        {"x": [1, "a"]},
        {"x": {">=": True}},
        {"x": datetime(2027, 1, 1)},
        {"": 1},
        {"not": 3},
        "x",
    ],
)
def test_bad_tables_are_refused(table):
    with pytest.raises(InvalidValue):
        Condition.from_toml(table)


def test_depth_is_bounded():
    table = {"x": 1}
    for _ in range(40):
        table = {"not": table}
    with pytest.raises(InvalidValue):
        Condition.from_toml(table)


def test_explain_and_words():
    condition = (F("amount") >= 100) & (F("city").one_of("Hefei") | ~F("model").is_missing())
    assert (
        condition.describe() == "amount is at least 100 and (city is one of Hefei or not (model is missing))"
    )
    found = condition.explain({"amount": 99, "city": "Hefei"})
    assert [(f.field, f.value, f.held) for f in found] == [
        ("amount", 99, False),
        ("city", "Hefei", True),
        ("model", None, True),
    ]


def test_a_condition_has_no_truth_of_its_own():
    with pytest.raises(InvalidValue):
        bool(F("x") == 1)
    with pytest.raises(InvalidValue):
        F("x") < 5 < 3
