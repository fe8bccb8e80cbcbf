"""Threads that handle events of the same members never share a cap, a program-wide cap or a budget."""

import random
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

from userops import Event
from userops.points import Ledger
from userops.program import Program, Status

TEXT = """
schema = 1
name = "hammer"
[funds.f]
[funds.tight]
budget = { points = 230, per = "year" }
[counters.before]
on = "a"
[[earn]]
name = "daily"
on = "a"
points = 3
fund = "f"
cap = [{ times = 2, per = "day" }, { points = 40, per = "month" }]
[[earn]]
name = "all"
on = "a"
points = 7
fund = "f"
cap = [{ points = 300, scope = "program" }]
[[earn]]
name = "early"
on = "a"
when = { before = { "<" = 5 } }
points = 1
fund = "f"
cap = [{ times = 99 }]
[[earn]]
name = "paid"
on = "b"
points = 9
fund = "tight"
"""
START, THREADS, EVENTS = datetime(2027, 1, 1, tzinfo=UTC), 4, 500


def events():
    rng = random.Random(11)
    found = []
    for n in range(EVENTS):
        kind = rng.choice(["a", "a", "b"])
        at = START + timedelta(hours=rng.randrange(24 * 20))
        found.append(Event(f"e{n}", kind, rng.choice("uv"), at))
    # A third of the events comes a second time, as retries do.
    found += rng.sample(found, EVENTS // 3)
    rng.shuffle(found)
    return found


def test_threads_never_share_what_a_cap_or_a_budget_leaves(new_url):
    hammer(Ledger.open(new_url()))


def test_threads_never_share_in_memory():
    hammer(Ledger.in_memory())


def hammer(opened):
    program, listed, faults = Program.load(TEXT), events(), []
    with opened as ledger:
        program.register(ledger)

        def work(mine):
            try:
                for event in mine:
                    decision = program.handle(event, ledger)
                    assert all(
                        outcome.status is not Status.REFUSED or outcome.rule == "paid"
                        for outcome in decision.outcomes
                    )
            except BaseException as fault:  # noqa: BLE001 — told below, by the main thread
                faults.append(fault)

        threads = [threading.Thread(target=work, args=(listed[n::THREADS],)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert faults == []
        earns = ledger.entries(kind="earn")
        days = Counter((e.member, e.at.date()) for e in earns if e.rule == "daily")
        assert max(days.values()) == 2
        months = Counter()
        for entry in earns:
            if entry.rule == "daily":
                months[entry.member] += entry.command.points
        assert dict(months) == {"u": 40, "v": 40}
        assert sum(e.command.points for e in earns if e.rule == "all") == 300
        assert sum(e.command.points for e in earns if e.rule == "paid") == 225
        assert len({(e.rule, e.event) for e in earns}) == len(earns)
        assert ledger.audit() == ()
