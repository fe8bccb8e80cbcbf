"""Segment sets: millions and one agree, nothing is hidden in the gaps, and the fast forms keep the meaning."""

import itertools
from collections import UserDict, defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from userops import F
from userops.core.conditions import ALWAYS, Condition
from userops.core.deciding import Decider
from userops.core.masks import BLOCK, Masks
from userops.errors import IncomparableError, InvalidValue, UseropsError
from userops.segments import Segment, SegmentSet, changes

OPS = ["==", "!=", "<", "<=", ">", ">="]
WORDS = st.sampled_from(["", "a", "b", "上海"])
NUMBERS = st.integers(-2, 2) | st.sampled_from([0.5, -0.5, Decimal("0.1")])
RECORDS = st.fixed_dictionaries(
    {},
    optional={
        "n": st.none() | st.integers(-2, 2),
        "f": st.sampled_from([0.0, 0.5, 1.0, float("nan"), float("inf")]),
        "t": st.none() | WORDS,
        "b": st.none() | st.booleans(),
    },
)
ATOMS = st.one_of(
    st.builds(
        lambda f, op, c: Condition.from_toml({f: {op: c}}),
        st.sampled_from("nf"),
        st.sampled_from(OPS),
        NUMBERS,
    ),
    st.builds(lambda op, c: Condition.from_toml({"t": {op: c}}), st.sampled_from(OPS), WORDS),
    st.builds(lambda c, negated: (F("b") != c) if negated else F("b") == c, st.booleans(), st.booleans()),
    st.builds(lambda c: F("t").one_of(*c), st.lists(WORDS, min_size=1)),
    st.builds(lambda f, c: F(f).one_of(*c), st.sampled_from("nf"), st.lists(st.integers(-2, 2), min_size=1)),
    st.sampled_from(["n", "f", "t", "b"]).map(lambda name: F(name).is_missing()),
)
CONDITIONS = st.recursive(
    ATOMS | st.just(ALWAYS),
    lambda inner: st.one_of(
        st.builds(lambda a, b: a & b, inner, inner),
        st.builds(lambda a, b: a | b, inner, inner),
        st.builds(lambda a: ~a, inner),
    ),
    max_leaves=6,
)


@st.composite
def segment_sets(draw, mode=None):
    conditions = draw(st.lists(CONDITIONS, min_size=1, max_size=4))
    segments = [Segment(f"s{k}", condition) for k, condition in enumerate(conditions)]
    return SegmentSet(segments, mode=mode or draw(st.sampled_from(["first", "all"])))


def object_column(values):
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def typed_columns(records):
    """Columns as an analyst has them: typed where every row has a value, masked where some do not."""
    columns = {}
    for name, dtype, blank in (
        ("n", np.int16, 0),
        ("f", np.float64, np.nan),
        ("t", "U2", ""),
        ("b", bool, False),
    ):
        values = [record.get(name) for record in records]
        gone = [value is None for value in values]
        filled = np.array(
            [blank if missing else value for value, missing in zip(values, gone, strict=True)], dtype=dtype
        )
        columns[name] = np.ma.array(filled, mask=gone) if any(gone) else filled
    return columns


@given(segment_sets(), st.lists(RECORDS, min_size=1, max_size=8))
def test_assign_equals_explain(rules, records):
    one_by_one = [rules.explain(record) for record in records]
    names = ("n", "f", "t", "b")
    tables = [
        {name: object_column([record.get(name) for record in records]) for name in names},
        typed_columns(records),
    ]
    for table in tables:
        many = rules.assign(table)
        assert many.labels.tolist() == [found.label for found in one_by_one]
        assert many.reasons.tolist() == [found.reasons for found in one_by_one]
        assert list(many) == one_by_one
        assert many.score.tolist() == [found.score for found in one_by_one]
        for row, found in enumerate(many):
            assert sum(found.contributions.values()) == found.score
            assert sum(part[row] for part in many.contributions.values()) == found.score
            assert found.missing == tuple(name for name in rules.fields if many.missing[name][row])


@given(segment_sets(), st.lists(RECORDS, min_size=1, max_size=6))
def test_labels_are_the_segments_that_hold(rules, records):
    for record in records:
        held = tuple(s.name for s in rules.segments if s.condition.holds(record))
        expected = held if rules.mode == "all" else (held[0] if held else None)
        assert rules.explain(record).label == expected


@given(st.lists(CONDITIONS, min_size=1, max_size=4), RECORDS)
def test_the_short_circuit_decides_as_the_plain_form(conditions, record):
    held = [k for k, condition in enumerate(conditions) if condition.holds(record)]
    decider = Decider(conditions)
    for _ in range(2):
        assert decider.first(record) == (held[0] if held else -1)


@given(
    st.lists(CONDITIONS, min_size=1, max_size=3),
    st.sampled_from([{"n": "x"}, {"n": True}, {"b": 1}, {"t": 2}, {"f": b"1"}]),
    RECORDS,
)
def test_a_wrong_kind_is_an_error_wherever_the_rules_read_it(conditions, wrong, record):
    rules = SegmentSet([Segment(f"s{k}", condition) for k, condition in enumerate(conditions)])
    compared = {atom.field for c in conditions for atom in c.atoms() if atom.op != "missing"}
    if compared & set(wrong):
        with pytest.raises(IncomparableError):
            rules.explain(record | wrong)
    else:
        rules.explain(record | wrong)


@pytest.mark.parametrize(
    "dtype", [np.int8, np.uint8, np.int64, np.uint64, np.float16, np.float32, np.float64]
)
@given(data=st.data())
def test_masks_equal_the_plain_masks_in_every_type(dtype, data):
    if np.dtype(dtype).kind == "f":
        values = st.floats(width=np.dtype(dtype).itemsize * 8)
    else:
        limits = np.iinfo(dtype)
        values = st.integers(limits.min, limits.max) | st.sampled_from([limits.min, limits.max])
    column = np.array(data.draw(st.lists(values, min_size=1, max_size=10)), dtype=dtype)
    near = [int(v) for v in column.tolist() if v == v and abs(v) < 2**62]
    constants = (
        st.sampled_from(
            [*near, 0, 2**62, Decimal("0.1"), 0.1, 1e300, -1e300, 5e-324, 65504, 65520, 2**53 + 1]
        )
        | st.integers(-(2**63) + 1, 2**63 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
    )
    op = data.draw(st.sampled_from([*OPS, "one_of"]))
    value = data.draw(st.lists(constants, min_size=1, max_size=3) if op == "one_of" else constants)
    condition = F("x").one_of(*value) if op == "one_of" else Condition.from_toml({"x": {op: value}})
    for asked in (condition, ~condition, ~condition | F("x").is_missing()):
        out = np.empty(len(column), bool)
        Masks({"x": column}).known_true(asked)(0, len(column), out)
        assert out.tolist() == asked.mask({"x": column}).tolist()
        assert out.tolist() == [asked.holds({"x": value}) for value in column]


def test_blocks_join_without_a_seam():
    rows = 2 * BLOCK + 3
    column = np.arange(rows)
    rules = SegmentSet([Segment("late", F("x") >= BLOCK), Segment("early", F("x") < 5)])
    labels = rules.assign({"x": column}).labels
    assert labels[[0, 4, 5, BLOCK - 1, BLOCK, rows - 1]].tolist() == [
        "early",
        "early",
        None,
        None,
        "late",
        "late",
    ]


@given(segment_sets(), st.lists(RECORDS, min_size=1, max_size=10))
def test_the_check_leaves_nothing_out(rules, records):
    """No record is unclaimed, or claimed twice, without a finding."""
    gaps = {tuple(code) for code in rules.unclaimed}
    for record in records:
        held = [s.name for s in rules.segments if s.condition.holds(record)]
        if not held:
            assert gaps
        for pair in itertools.combinations(held, 2):
            assert pair in rules.overlaps


@given(segment_sets())
def test_every_finding_is_real(rules):
    for code in rules.unclaimed[:20]:
        record = code.as_record()
        assert not any(s.condition.holds(record) for s in rules.segments)
        assert code == record
        assert code == tuple(record.values())


@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)),
        min_size=1,
        max_size=4,
    )
)
def test_a_domain_is_enumerated(boxes):
    segments = [
        Segment(f"s{k}", (F("r") >= a) & (F("r") <= b) & (F("f") >= c) & (F("f") <= d))
        for k, (a, b, c, d) in enumerate(boxes)
    ]
    rules = SegmentSet(segments, domain={"r": [1, 2, 3], "f": [1, 2, 3]})
    claims = {
        (r, f): [s.name for s in segments if s.condition.holds({"r": r, "f": f})]
        for r, f in itertools.product([1, 2, 3], repeat=2)
    }
    assert list(rules.unclaimed) == [code for code, names in claims.items() if not names]
    pairs = {pair for names in claims.values() for pair in itertools.combinations(names, 2)}
    assert set(rules.overlaps) == pairs
    if rules.unclaimed or rules.overlaps:
        with pytest.raises(InvalidValue):
            SegmentSet(segments, domain=rules.domain, strict=True)


def test_atoms_split_each_kind():
    rules = SegmentSet(
        [
            Segment("early", F("at") < datetime(2027, 1, 1, tzinfo=UTC)),
            Segment("day", F("day") == date(2027, 1, 1)),
            Segment("between", (F("t") > "a") & (F("t") < "b")),
            Segment("half", (F("n") > 1) & (F("n") < 2)),
        ]
    )
    assert {"half", "between"} <= {name for pair in rules.overlaps for name in pair}
    total = SegmentSet(
        [Segment("low", F("n") < 3), Segment("rest", ~(F("n") < 3)), Segment("?", F("n").is_missing())]
    )
    assert total.unclaimed == ()
    assert total.overlaps == ()
    SegmentSet(total.segments, strict=True)


def test_a_listed_field_has_no_missing_value_unless_it_lists_none():
    segments = [Segment("low", F("n") < 3), Segment("high", F("n") >= 3)]
    assert SegmentSet(segments).unclaimed == ((None,),)
    assert SegmentSet(segments, domain={"n": [2, 3]}, strict=True).unclaimed == ()
    assert SegmentSet(segments, domain={"n": [2, 3, None]}).unclaimed == ((None,),)


def test_two_to_the_twentieth():
    def of(fields):
        return [Segment("all", Condition.from_toml({f"x{k}": True for k in range(fields)}))]

    # Each field is true, false or missing; the comparison cannot tell the last two apart, but "not" could.
    assert len(SegmentSet(of(12))._gaps) == 3**12 - 1
    with pytest.raises(InvalidValue, match="domain"):
        SegmentSet(of(13))
    SegmentSet(of(13), domain={f"x{k}": [True] for k in range(13)}, strict=True)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Segment("", F("x") == 1),
        lambda: Segment("a", True),
        lambda: Segment("a", "x > 1"),
        lambda: SegmentSet([]),
        lambda: SegmentSet([F("x") == 1]),
        lambda: SegmentSet([Segment("a", F("x") == 1)] * 2),
        lambda: SegmentSet([Segment("a", F("x") == 1)], mode="best"),
        lambda: SegmentSet([Segment("a", F("x") == 1)], domain={"x": []}),
        lambda: SegmentSet([Segment("a", F("x") == 1)], domain={"x": [1, 1]}),
        lambda: SegmentSet([Segment("a", F("x") == 1)], domain=[1]),
        lambda: SegmentSet([Segment("a", F("x") == 1), Segment("b", F("x") == "1")]),
        lambda: SegmentSet([Segment("a", F("x") == 1)]).explain("x"),
        lambda: SegmentSet([Segment("a", F("x") == 1)]).assign({"x": [1], "y": [1, 2]}),
        lambda: SegmentSet([Segment("a", F("x") == 1)]).explain({}, as_of=datetime(2027, 1, 1)),
        lambda: SegmentSet([Segment("a", F("x") == 1)]).segments[0].label(lang="fr"),
    ],
)
def test_bad_sets_are_refused(build):
    with pytest.raises(UseropsError):
        build()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=20))
def test_changes_count_every_pair(pairs):
    rules = SegmentSet([Segment(f"s{k}", F("x") == k) for k in range(3)])
    names = ["s0", "s1", "s2", "unclaimed"]
    before = rules.assign({"x": np.array([a for a, _ in pairs], dtype=np.int64)})
    after = rules.assign({"x": np.array([b for _, b in pairs], dtype=np.int64)})
    for found in (changes(before, after), changes(before.labels.tolist(), after.labels.tolist())):
        for a, b in itertools.product(range(4), repeat=2):
            assert found[names[a], names[b]] == pairs.count((a, b))
        assert found.moved == sum(a != b for a, b in pairs)
        assert found.matrix.sum() == len(pairs)


def test_versions_name_the_rules():
    a, b = (SegmentSet([Segment("a", F("x") >= k)]) for k in (1, 2))
    assert a.version != b.version
    assert a.version == SegmentSet([Segment("a", F("x") >= 1)]).version
    assert a.assign({"x": [1]})[0].version == a.explain({"x": 1}).version == a.version


def test_a_record_that_answers_for_absent_fields_is_not_asked_to():
    rules = SegmentSet([Segment("zero", F("x") == 0)])
    record = defaultdict(int)
    assert rules.explain(record).label is None
    assert rules.explain(record).missing == ("x",)
    assert record == {}
    assert rules.explain(UserDict(x=0)).label == "zero"


def test_more_clauses_than_a_byte_counts():
    segments = [Segment(f"s{k}", F("x") == k) for k in range(300)]
    rules = SegmentSet(segments)
    column = np.arange(-1, 301)
    labels = rules.assign({"x": column}).labels.tolist()
    assert labels == [rules.explain({"x": int(value)}).label for value in column]
    assert labels[1] == "s0"
    assert labels[300] == "s299"
