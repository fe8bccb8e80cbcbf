"""Acknowledged means durable, exactly once: a writer killed at any moment."""

import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from userops.points import Ledger

HERE = Path(__file__).parent
SPEC = importlib.util.spec_from_file_location("killer", HERE / "killer.py")
killer = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(killer)


def killed(url, kills, *early):
    """Return the ids tried and acknowledged, and how often each is in the ledger afterwards."""
    found = subprocess.run(
        [sys.executable, str(HERE / "killer.py"), url, str(kills), *early],
        capture_output=True, text=True, timeout=600, check=False,
        env={**os.environ, "PYTHONPATH": str(HERE.parents[2] / "src")},
    )  # fmt: skip
    assert found.returncode == 0, found.stderr[-2_000:]
    said = json.loads(found.stdout)
    with Ledger.open(url, salt=b"s") as ledger:
        there = Counter(entry.id for entry in ledger.entries())
    return [f"k{n}" for n in said["tried"]], {f"k{n}" for n in said["acked"]}, there


def test_nothing_acknowledged_is_lost(new_url, counted):
    url = new_url()
    tried, acked, there = killed(url, 100)
    lost = [id_ for id_ in acked if there[id_] != 1]
    doubtful = [id_ for id_ in tried if id_ not in acked]
    with Ledger.open(url, salt=b"s") as ledger:
        sequences = {entry.id: entry.sequence for entry in ledger.entries()}
        for number, id_ in enumerate(tried):
            receipt = ledger.post(killer.command(number))
            assert receipt.replayed == (id_ in there)
            assert id_ not in there or receipt.sequence == sequences[id_]
        assert ledger.audit() == ()
    counted(kills=100, acknowledged=len(acked), lost=len(lost), in_doubt=len(doubtful),
            in_doubt_but_kept=sum(there[id_] for id_ in doubtful))  # fmt: skip
    assert lost == []
    assert all(there[id_] <= 1 for id_ in tried)
    assert len(tried) == len(set(tried))
    assert len(acked) >= 100 > 0 < len(doubtful)


def test_acknowledging_before_the_commit_is_caught(new_url, counted):
    """The negative control."""
    _, acked, there = killed(new_url(), 40, "early")
    lost = [id_ for id_ in acked if not there[id_]]
    counted(kills=40, lost=len(lost))
    assert lost


@pytest.mark.nightly
def test_nothing_acknowledged_is_lost_in_a_thousand_kills(new_url, counted):
    _, acked, there = killed(new_url(), 1_000)
    counted(kills=1_000, acknowledged=len(acked), lost=sum(there[id_] != 1 for id_ in acked))
    assert all(there[id_] == 1 for id_ in acked)
