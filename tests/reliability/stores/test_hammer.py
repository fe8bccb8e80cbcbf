"""No double spend: eight processes race for ten members' points, on both databases."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from userops.points import Ledger

HERE = Path(__file__).parent
SOURCE = HERE.parents[2] / "src"


def hammer(url, processes, attempts, *broken):
    """Return what became of the attempts."""
    found = subprocess.run(
        [sys.executable, str(HERE / "hammer.py"), url, str(processes), str(attempts), *broken],
        capture_output=True, text=True, timeout=900, check=False,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )  # fmt: skip
    assert found.returncode == 0, found.stderr[-3_000:]
    return json.loads(found.stdout)


def run(url, attempts, counted):
    outcomes = hammer(url, 8, attempts)
    unhandled = {name: count for name, count in outcomes.items() if name.startswith("unhandled")}
    with Ledger.open(url, salt=b"s") as ledger:
        findings = ledger.audit()
        entries = len(ledger.entries())
        settled = ledger.settled
    counted(
        attempts=attempts,
        posted=outcomes["posted"],
        entries=entries,
        findings=len(findings),
        unhandled=unhandled,
    )
    assert not unhandled, outcomes
    assert findings == ()
    assert sum(outcomes.values()) == attempts
    assert settled >= entries > attempts // 4


def test_eight_processes_never_spend_twice(new_url, counted):
    run(new_url(), 1_600, counted)


@pytest.mark.nightly
def test_eight_processes_never_spend_twice_at_length(new_url, counted):
    run(new_url(), 20_000, counted)


def without_the_guard(url, postgres):
    """Take away the index that stops even a broken store: two entries in one place of a wallet."""
    if url.startswith("postgresql"):
        postgres.sql("ALTER TABLE ledger_entry DROP CONSTRAINT entry_place", url.rpartition("/")[2])
        return
    with closing(sqlite3.connect(url, isolation_level=None)) as raw:
        table = raw.execute("SELECT sql FROM sqlite_master WHERE name = 'ledger_entry'").fetchone()[0]
        assert "CONSTRAINT entry_place UNIQUE (wallet, place)," in table
        raw.execute("PRAGMA writable_schema = ON")
        raw.execute("DELETE FROM sqlite_master WHERE name = 'sqlite_autoindex_ledger_entry_2'")
        raw.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'ledger_entry'",
                    [table.replace("CONSTRAINT entry_place UNIQUE (wallet, place),", "")])  # fmt: skip


def test_reading_before_locking_is_caught(new_url, request, counted):
    """The negative control: with default transactions the same hammer oversells, and the audit says so."""
    url = new_url()
    Ledger.open(url, salt=b"s").close()
    without_the_guard(url, request.getfixturevalue("postgres") if url.startswith("postgresql") else None)
    hammer(url, 8, 400, "broken")
    with Ledger.open(url, salt=b"s") as ledger:
        findings = ledger.audit()
    counted(findings=len(findings))
    assert findings
