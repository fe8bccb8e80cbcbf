"""The ledger against a model of plain dictionaries: balances, lots, funding and error types after every step."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.property import ledger_model
from tests.property.ledger_machine import ARGUMENTS, LedgerMachine, drive

#: The promise of reliability.md is a number of steps, so these do not follow the profile in CI.
EVERYDAY = settings(
    max_examples=300 if os.environ.get("HYPOTHESIS_PROFILE") == "ci" else 60,
    stateful_step_count=100,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
#: Half a million steps in ten parts, about a minute of one core each: Hypothesis remembers what it drew, over a
#: gigabyte for all of them at once. `-k "half_a_million and 3"` runs the fourth.
NIGHTLY = settings(EVERYDAY, max_examples=500, derandomize=False)
PARTS = 10


def test_the_ledger_does_what_the_model_does():
    run_state_machine_as_test(LedgerMachine, settings=EVERYDAY)


@pytest.mark.nightly
@pytest.mark.parametrize("part", range(PARTS))
def test_the_ledger_does_what_the_model_does_in_half_a_million_steps(part):
    # Each part draws for itself, and may say so when it fails: nothing is derandomized by night.
    del part
    before = sum(LedgerMachine.seen.values())
    run_state_machine_as_test(LedgerMachine, settings=NIGHTLY)
    print(f"[evidence] examples={NIGHTLY.max_examples}, commands={sum(LedgerMachine.seen.values()) - before}")


def test_the_model_is_short_and_does_not_use_what_it_is_a_model_of():
    source = Path(ledger_model.__file__).read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 150
    assert "userops" not in source


def test_the_machine_meets_every_command_and_every_rejection():
    LedgerMachine.seen.clear()
    for seed in range(40):
        drive(seed, 100)
    names = {name for name, _ in LedgerMachine.seen}
    posted = {name for name, outcome in LedgerMachine.seen if outcome == "posted"}
    assert names == posted
    assert len(names) == 12
    assert {outcome for _, outcome in LedgerMachine.seen} - {"posted"} == {
        "AlreadyResolved", "BudgetExceeded", "IdConflict", "InsufficientPoints", "NotSpendable", "OverCaptured",
        "OverReversed", "UnknownCurrency", "UnknownEntry", "UnknownFund", "UnknownHold",
    }  # fmt: skip
    assert set(ARGUMENTS) <= set(dir(LedgerMachine))
