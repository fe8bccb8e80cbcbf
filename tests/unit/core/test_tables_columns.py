"""Tables as a reader sees them; columns from whatever a caller has."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from userops.core.columns import codes, column, columns, instants
from userops.core.components import component_codes, representatives
from userops.core.tables import Table, display_width
from userops.errors import InvalidValue, NaiveTimeError


def test_a_table_never_exceeds_80_columns():
    table = Table({f"a long column name {k}": ["x" * 50, 10**12] for k in range(9)}, notes=["word " * 60])
    assert all(display_width(line) <= 80 for line in str(table).splitlines())
    for k in range(9):
        assert f"a long column name {k}" in str(table)


def test_chinese_text_lines_up():
    lines = str(Table({"段": ["典型用户", "a"], "n": [1, 22]})).splitlines()
    assert {display_width(line) for line in lines} == {display_width(lines[0])}


def test_html_is_escaped_and_csv_is_no_formula():
    table = Table({"<b>": ["<script>", "=cmd()", None]})
    assert "<script>" not in table._repr_html_()
    assert "'=cmd()" in table.to_csv()


def test_unequal_columns_are_refused():
    with pytest.raises(InvalidValue):
        Table({"a": [1], "b": [1, 2]})


@pytest.mark.parametrize(
    "make", [pd.DataFrame, pl.DataFrame, pa.table, lambda d: pl.DataFrame(d).lazy(), dict]
)
def test_any_frame_comes_in(make):
    found = columns(make({"n": [3, 1, 2], "city": ["b", "a", "b"]}))
    assert found["n"].tolist() == [3, 1, 2]
    assert codes(found["city"], "city")[1].tolist() == [1, 0, 1]


def test_missing_integers_are_masked():
    for frame in (pl.DataFrame({"n": [1, None]}), pd.DataFrame({"n": pd.array([1, None], dtype="Int64")})):
        found = columns(frame)["n"]
        assert found.mask.tolist() == [False, True]
        assert found.dtype.kind == "i"


def test_instants_from_zoned_frames_and_datetimes():
    at = datetime(2027, 1, 1, 8, tzinfo=UTC)
    shanghai = pl.Series([at]).dt.convert_time_zone("Asia/Shanghai")
    assert instants(shanghai).tolist() == instants([at]).tolist() == instants(pd.Series([at])).tolist()
    with pytest.raises(NaiveTimeError):
        instants([datetime(2027, 1, 1)])
    with pytest.raises(InvalidValue):
        instants(np.array(["NaT"], dtype="datetime64[us]"))
    with pytest.raises(InvalidValue):
        instants([1.5])


@pytest.mark.parametrize("bad", ["abc", 3, {"a": 1}, np.zeros((2, 2)), None])
def test_what_is_no_column_is_refused(bad):
    with pytest.raises(InvalidValue):
        column(bad, "x")


def test_an_absent_column_is_named():
    with pytest.raises(InvalidValue, match="'at'"):
        columns({"a": [1]}, names=["at"])


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=20))
def test_components_by_two_ways_and_by_brute_force(pairs):
    reach = {n: {n} for n in range(13)}
    for _ in range(13):
        for a, b in pairs:
            union = reach[a] | reach[b]
            for n in union:
                reach[n] = reach[n] | union
    smallest = [min(reach[n]) for n in range(13)]
    edges = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    assert component_codes(13, edges[:, 0], edges[:, 1]).tolist() == smallest
    assert all(found == smallest[node] for node, found in representatives(pairs).items())
