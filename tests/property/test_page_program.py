"""The design page's own program over a random history: the replay in columns is the run, to the point."""

from __future__ import annotations

import runpy
from datetime import UTC, datetime
from pathlib import Path

import pytest

from userops.points import Ledger
from userops.program import Program

BENCH = runpy.run_path(str(Path(__file__).resolve().parents[1] / "benchmarks" / "bench_program.py"))
INSTANTS = [
    datetime(2027, 6, 1, tzinfo=UTC),
    datetime(2028, 12, 31, tzinfo=UTC),
    datetime(2031, 1, 1, tzinfo=UTC),
]


def check(text, count, *, seed, sample):
    """Run and replay so many events, and compare all that both can be asked for."""
    program = Program.load(text)
    columns = BENCH["history"](count, seed=seed)
    members, events = BENCH["people"](columns), BENCH["events_of"](columns)
    done = program.replay(columns, members)
    cancelled = {event.member for event in events if event.kind.endswith(".cancelled")}
    names = done._history.codes("member")[1]
    assert {name for name, plain in zip(names, done._is_plain, strict=True) if plain} == cancelled
    with Ledger.in_memory() as ledger:
        program.run(events, ledger, members)
        for as_of in INSTANTS:
            for currency in program.currencies:
                expected = {name: ledger.balance(name, as_of, currency=currency) for name in names}
                assert done.balances(as_of, currency=currency) == expected
            assert done.funding(as_of) == ledger.funding(as_of)
            assert done.trial_balance(as_of) == ledger.trial_balance(as_of)
        for name in [*names[:sample], *sorted(cancelled)[:3]]:
            assert done.lots(name, INSTANTS[1]) == ledger.lots(name, INSTANTS[1])
            assert done.statement(name, *INSTANTS[::2]) == ledger.statement(name, *INSTANTS[::2])


@pytest.mark.parametrize("text", [BENCH["PAGE"], BENCH["PAGE"] + BENCH["TIERS"]], ids=["events", "ladder"])
def test_a_few_thousand_events(text):
    check(text, 4_000, seed=5, sample=20)


@pytest.mark.nightly
@pytest.mark.parametrize("text", [BENCH["PAGE"], BENCH["PAGE"] + BENCH["TIERS"]], ids=["events", "ladder"])
def test_two_hundred_thousand_events(text):
    check(text, 200_000, seed=6, sample=50)
