"""CSV files: read, refused with line numbers, and never more than the bounds."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from userops.errors import PlanError
from userops.nps import nps, nps_of_csv, reports


@pytest.fixture
def file(tmp_path):
    def write(text, *, encoding="utf-8"):
        path = tmp_path / "answers.csv"
        path.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
        return path

    return write


def faults(path, **more):
    with pytest.raises(PlanError) as caught:
        nps_of_csv(path, **{"score": "score"} | more)
    return [str(fault) for fault in caught.value.exceptions]


def test_a_file(file):
    path = file("city,score,w\n合肥,10,1\n安庆,3,2.5\n\n合肥, 9 ,1\n")
    assert nps_of_csv(path, score="score") == nps([10, 3, 9])
    assert nps_of_csv(path, score="score", by="city") == nps([10, 3, 9], by=["合肥", "安庆", "合肥"])
    assert nps_of_csv(path, score="score", weight="w") == nps([10, 3, 9], weights=[1, 2.5, 1])
    both = nps_of_csv(path, score="score", by="city", weight="w")
    assert both["合肥"].score == 1
    assert "安庆" in str(both)


def test_a_byte_order_mark_and_quotes(file):
    path = file('\ufeffscore,"why, then"\r\n"10","good\nvery"\r\n3,x\r\n')
    assert nps_of_csv(path, score="score").n == 2


def test_faults_have_lines(file):
    path = file("city,score,w\na,9,1\nb,,1\n,6.5,-1\nc,11,x\nd,9.0,1\ne\n")
    assert faults(path, by="city", weight="w") == [
        "line 3: score is missing",
        "line 4: score '6.5' is no answer of the scale",
        "line 4: city is missing",
        "line 4: w -1 is negative",
        "line 5: score '11' is no answer of the scale",
        "line 5: w 'x' is not a decimal number",
        "line 6: score '9.0' is no answer of the scale",
        "line 7: has 1 cells where the header has 3",
    ]


def test_exclude_counts(file):
    path = file("city,score\na,9\nb,\n,6.5\nc,11\nd,9.0\nd,yes\n,9\n")
    assert nps_of_csv(path, score="score", invalid="exclude").excluded == {
        "missing": 1,
        "not whole": 1,
        "off the scale": 1,
        "text": 1,
    }
    assert nps_of_csv(path, score="score", by="city", invalid="exclude").excluded["no group"] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("score\n", "has no rows"),
        ("scores\n9\n", "line 1: the column 'score' is missing; did you mean 'scores'?"),
        ("score,score\n9,9\n", "line 1: the column 'score' is there twice"),
        (b"score\n\xff\n", "is not UTF-8"),
        ('score\n"9\n', "is not CSV"),
        ("score\n" + "9" * 70_000, "longer than"),
        ("score\n９\n", "is no answer"),
        ("score\n1_0\n", "is no answer"),
        ("score\n" + "9" * 5_000, "is no answer"),
        ("score\nnan\n", "is no answer"),
        ("score\n\0\n", "is no answer"),
    ],
)
def test_bad_files(file, text, message):
    assert message in "\n".join(faults(file(text)))


def test_paths_that_cannot_be_read(tmp_path):
    assert "cannot be read" in faults(tmp_path)[0]
    assert "cannot be read" in faults(tmp_path / "none.csv")[0]
    assert "no path" in faults("a\0b")[0]


def test_weights_that_are_all_zero(file):
    assert "all weights are zero" in faults(file("score,w\n9,0\n"), weight="w")[0]


def test_many_faults_end_the_reading(file):
    found = faults(file("score\n" + "x\n" * 10_000))
    assert len(found) == reports.MAX_FAULTS + 1
    assert found[-1] == "the rest was not read"


def test_rows_are_bounded(file, monkeypatch):
    monkeypatch.setattr(reports, "MAX_ROWS", 10)
    assert "more than 10 rows" in faults(file("score\n" + "9\n" * 20))[0]
    monkeypatch.setattr(reports, "MAX_CHARACTERS", 10)
    assert "longer than 10" in faults(file("score\n" + "9\n" * 20))[0]


@given(st.binary(max_size=400))
def test_any_bytes_give_a_result_or_a_plan_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_bytes(b"score,city\n" + content)
    try:
        total = nps_of_csv(path, score="score", by="city", invalid="exclude").total
    except PlanError as refused:
        total = None
        faults_found = len(refused.exceptions)
    assert (total.n >= 0) if total is not None else faults_found


def test_memory_of_a_large_file(file):
    path = file("score,city\n" + "9,Hefei\n" * 20_000)
    tracemalloc.start()
    try:
        assert nps_of_csv(path, score="score", by="city").total.n == 20_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * 2**20


def test_an_empty_line_among_the_answers_of_one_column_is_an_answer_not_given(file):
    path = file("score\n9\n\n10\n\n\n")
    found = nps_of_csv(path, score="score", invalid="exclude")
    assert (found.n, dict(found.excluded)) == (2, {"missing": 1})
    assert faults(path) == ["line 3: score is missing"]
    assert nps_of_csv(file("score,city\n9,a\n\n10,b\n"), score="score").n == 2
