"""The same machine over a ledger file, closed and opened again on the way."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis.stateful import run_state_machine_as_test
from tests.property.ledger_machine import LedgerMachine, drive
from tests.property.test_ledger_model import NIGHTLY

from userops.points import Ledger

pytest.importorskip("sqlalchemy", reason="the extra `sql` is not installed")


class FileMachine(LedgerMachine):
    """A ledger in a file of its own."""

    def make_ledger(self):
        self.folder = tempfile.TemporaryDirectory(prefix="userops-")
        self.path = str(Path(self.folder.name) / "points.db")
        return Ledger.open(self.path)

    def reopened(self, ledger):
        ledger.close()
        return Ledger.open(self.path)

    def teardown(self):
        super().teardown()
        self.folder.cleanup()


def test_a_ledger_file_does_what_the_model_does():
    for seed in range(20 if os.environ.get("HYPOTHESIS_PROFILE") == "ci" else 8):
        drive(seed, 100, FileMachine)


@pytest.mark.nightly
def test_a_ledger_file_does_what_the_model_does_for_long():
    run_state_machine_as_test(FileMachine, settings=NIGHTLY)
