"""The command line: what it prints, how it exits, and that every error is a clear line."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from userops.cli import main
from userops.core.tables import display_width

PROGRAM = """
schema = 1
name = "club"
timezone = "Asia/Shanghai"
[funds.f]
[[earn]]
name = "r"
on = "paid"
points = { of = "amount" }
fund = "f"
cap = [{ points = 50, per = "day" }]
"""
HEADER = "id,kind,member,at,reference,amount,city,vip\n"
ROWS = (
    HEADER
    + "e1,paid,u,2027-01-01T08:00:00+08:00,o,40,Hefei,true\ne2,paid,u,2027-01-01T09:00:00+08:00,,29.5,,\n"
)


@pytest.fixture
def files(tmp_path):
    def write(program=PROGRAM, events=ROWS):
        (tmp_path / "p.toml").write_text(program, encoding="utf-8")
        (tmp_path / "e.csv").write_bytes(events if isinstance(events, bytes) else events.encode())
        return str(tmp_path / "p.toml"), str(tmp_path / "e.csv")

    return write


def run(capsys, *arguments):
    code = main(arguments)
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    assert all(display_width(line) <= 80 for line in out.splitlines())
    return code, out, err


def test_check_says_what_a_program_promises(capsys, files):
    code, out, err = run(capsys, "check", files()[0])
    assert (code, err) == (0, "")
    assert "50 points per day" in out
    assert "18,350,000" in out  # 1,000 members, 367 local days that a year can touch, 50 points


def test_check_lists_every_fault_with_its_path(capsys, files):
    program, _ = files(PROGRAM.replace('on = "paid"', 'onn = "paid"').replace("points = 50", "points = -1"))
    code, out, err = run(capsys, "check", program)
    assert (code, out) == (1, "")
    assert "earn[0].onn: unknown key; did you mean 'on'?" in err
    assert "earn[0].cap[0].points" in err


def test_replay_prints_rules_funds_and_the_audit(capsys, files):
    code, out, _ = run(capsys, "replay", *files())
    assert code == 0
    assert "2 events of 1 members" in out
    assert "Audit: sound." in out
    assert out.count("50") >= 2


@pytest.mark.parametrize(
    ("events", "says"),
    [
        ("", "no header"),
        ("id,kind,member\n1,a,u\n", "no column 'at'"),
        ("id,kind,member,when\n", "no column 'at'"),
        (HEADER + "e1,paid,u,2027-01-01T08:00:00,,1,,\n", "line 2: at has no time zone"),
        (HEADER + "e1,paid,u,2027-13-01,,1,,\n", "line 2: at: '2027-13-01' is not an ISO 8601 time"),
        (ROWS + "e1,paid,u,2027-01-01T08:00:00Z,,1,,\n", "line 4: id 'e1' is on line 2 already"),
        (HEADER + "e1,paid,u,2027-01-01T08:00:00Z,,12abc,,\n", "line 2: amount: '12abc' is not a number"),
        (HEADER + "e1,paid,u,2027-01-01T08:00:00Z,,１２,,\n", "line 2: amount"),
        (HEADER + "e1,paid,u,2027-01-01T08:00:00Z,,1e400000,,\n", "line 2: amount"),
        (HEADER + "e1,points.redeemed,u,2027-01-01T08:00:00Z,,1.5,,\n", "not a whole number of points"),
        (HEADER + ",paid,u,2027-01-01T08:00:00Z,,1,,\n", "line 2: id must not be empty"),
        (HEADER + "e1,paid,u\n", "line 2: 3 cells, the header has 8"),
        (HEADER + '"e1,paid', "not CSV"),
        (b"\xff\xfe\x00", "not CSV in UTF-8"),
        ("id,kind,member,at,at\n", "twice"),
    ],
)
def test_a_bad_events_file_is_named_by_line_and_nothing_is_posted(capsys, files, events, says):
    code, out, err = run(capsys, "replay", *files(events=events))
    assert (code, out) == (1, "")
    assert says in err


def test_faults_of_many_rows_are_bounded(capsys, files):
    _, _, err = run(capsys, "replay", *files(events=HEADER + "x\n" * 10_000))
    assert len(err.splitlines()) < 30


def test_a_missing_file_is_one_line(capsys, tmp_path):
    code, _, err = run(capsys, "check", str(tmp_path / "none.toml"))
    assert code == 1
    assert "No such file" in err


@pytest.mark.parametrize(
    "arguments",
    [[], ["chekc"], ["check"], ["simulate", "x", "--seed", "1.5"], ["simulate", "x", "--replications", "-1"]],
)
def test_usage_errors_exit_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_python_dash_m_is_the_same_command():
    done = subprocess.run(
        [sys.executable, "-m", "userops", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("userops ")


def test_the_replay_does_not_depend_on_the_order_of_rows(capsys, files):
    first = run(capsys, "replay", *files())[1]
    lines = ROWS.splitlines(keepends=True)
    assert run(capsys, "replay", *files(events=lines[0] + lines[2] + lines[1]))[1] == first


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_interrupt_ends_a_simulation_with_what_is_done_or_a_line(workers):
    plan = Path(__file__).resolve().parents[2] / "examples" / "owner_club.toml"
    command = [
        sys.executable,
        "-m",
        "userops",
        "simulate",
        str(plan),
        "--replications",
        "100000",
        "--workers",
        workers,
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        time.sleep(6)
        # As a terminal does: to the process and its workers alike.
        os.killpg(running.pid, signal.SIGINT)
        out, err = running.communicate(timeout=90)
    assert "Traceback" not in out + err
    assert (running.returncode == 0 and "100,000" in out) or (
        running.returncode == 130 and "interrupted" in err
    )


def test_a_report_that_cannot_be_written_is_told_before_the_run(capsys, tmp_path, monkeypatch):
    from userops.simulation import Plan

    def never(*_arguments, **_more):
        raise AssertionError("the simulation was run")

    monkeypatch.setattr(Plan, "simulate", never)
    plan = str(Path(__file__).resolve().parents[2] / "examples" / "owner_club.toml")
    for out, why in ((tmp_path, "it is a folder"), (tmp_path / "no" / "x.html", "there is no folder")):
        code, printed, err = run(capsys, "simulate", plan, "--out", str(out))
        assert (code, printed) == (1, "")
        assert "cannot be written" in err
        assert why in err
    monkeypatch.setattr(os, "access", lambda *_: False)
    code, _, err = run(capsys, "simulate", plan, "--out", str(tmp_path / "x.html"))
    assert code == 1
    assert "you may not write there" in err
    assert list(tmp_path.iterdir()) == []
