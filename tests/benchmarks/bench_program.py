"""A whole program over a history: `Program.replay` in columns against `Program.run` event by event, on the same events.

The program is the one of the design page: every form of rule, caps shared and conditional, a counter, budgets.
Run: python tests/benchmarks/bench_program.py [events of the run] [events of the replay …]   (default 20000 200000 2000000)
"""

from __future__ import annotations

import gc
import sys
import time
from datetime import UTC, datetime, timedelta

import numpy as np

from userops import Event
from userops.points import Ledger
from userops.program import Program

PAGE = """
schema = 1
name = "owner-club"
timezone = "Asia/Shanghai"
[currencies.points]
money = "CNY"
[currencies.value]
spendable = false
[funds.sales]
unit_cost = "0.10"
budget = { points = 400_000_000, per = "year" }
[funds.referral]
unit_cost = "0.10"
budget = { points = 50_000_000, per = "year" }
[funds.community]
unit_cost = "0.10"
kind = "expense"
[[earn]]
name = "delivery"
on = "order.delivered"
points = 10_000
fund = "sales"
expires = { months = 24, round_to = "month" }
activates = { days = 14 }
cap = [{ times = 1, per = "reference" }]
from = 2027-01-01
group = "purchase"
clawback = "debt"
[[earn]]
name = "invited-delivery"
on = "order.delivered"
when = { invited = true }
points = 2_000
fund = "referral"
cap = [{ times = 1, per = "reference" }]
[[earn]]
name = "shop"
on = "store.paid"
points = { per = 10, give = 1, of = "amount", round = "down" }
multiply_by_tier = { gold = "1.5", ep = "2" }
fund = "community"
cap = [{ points = 300, per = "day" }]
[[earn]]
name = "no-claim-renewal"
on = "service_plan.renewed"
when = { claims_12_months = 0 }
points = 20_000
fund = "community"
cap = [{ times = 1, per = "year" }]
[[earn]]
name = "check-in"
on = "app.check_in"
points = { streak = [1, 1, 2, 2, 5], of = "day" }
fund = "community"
cap = [{ times = 1, per = "day" }, { shared = "basics" }]
expires = { calendar = "12-31" }
[[earn]]
name = "comment"
on = "app.comment"
points = { table = { photo = 5, text = 2 }, by = "form" }
fund = "community"
cap = [{ points = 10, per = "day" }, { points = 60, per = "month" }, { shared = "basics" }]
[counters.claims_12_months]
on = "claim.filed"
within = { months = 12 }
[caps.basics]
points = 100
per = "lifetime"
when = { kind = "fan" }
[[redeem]]
name = "gift"
on = "gift.ordered"
points = { of = "amount" }
sink = "shop"
[[redeem]]
name = "repair"
on = "repair.paid"
points = { of = "amount" }
sink = "repair_labour"
[sinks.repair_labour]
share_at_most = "0.5"
"""
#: The ladder of the page, and growth value to climb it by.
TIERS = """
[[earn]]
name = "growth"
on = "growth.recognised"
points = { of = "amount" }
currency = "value"
cap = [{ points = 20_000, per = "year" }]
[tiers]
currency = "value"
window = { rolling = { months = 12 } }
keep = { months = 12, until = "month_end" }
downgrade = "one_step"
grace = { days = 30 }
crossing = "old_rate"
tier = [{ name = "member", at_least = 0 }, { name = "gold", at_least = 3_000 }, { name = "ep", at_least = 12_000, requires = { kind = "owner" } }]
"""
#: How often each kind comes up.
KINDS = {
    "app.check_in": 0.40,
    "store.paid": 0.25,
    "app.comment": 0.14,
    "gift.ordered": 0.06,
    "growth.recognised": 0.04,
    "service_plan.renewed": 0.03,
    "claim.filed": 0.02,
    "order.delivered": 0.02,
    "points.redeemed": 0.02,
    "repair.paid": 0.0195,
    "order.delivered.cancelled": 0.0005,
}
YEARS = 3


def history(events: int, *, seed: int = 1, cancelled: bool = True) -> dict[str, object]:
    """Return the columns of three years of events of so many members that each has forty; some have many more."""
    rng = np.random.default_rng(seed)
    members = max(3, events // 40)
    weights = rng.lognormal(0, 0.7, members)
    member = rng.choice(members, events, p=weights / weights.sum())
    names = list(KINDS) if cancelled else [name for name in KINDS if not name.endswith(".cancelled")]
    shares = np.array([KINDS[name] for name in names])
    kind = rng.choice(len(names), events, p=shares / shares.sum())
    start = np.datetime64("2027-01-01T00:00:00", "s")
    at = start + np.sort(rng.integers(0, YEARS * 365 * 86_400, events)).astype("timedelta64[s]")
    order = np.array([name.startswith("order.") for name in names])[kind]
    reference = np.where(order, np.char.add("o", (member * 3 + rng.integers(0, 3, events)).astype(str)), "")
    pays = np.array([name in PAYS for name in names])[kind]
    amount = np.where(pays, rng.integers(20, 4_000, events), 0)
    return {
        "id": np.char.add("e", np.arange(events).astype(str)).tolist(),
        "kind": np.array(names, object)[kind].tolist(),
        "member": np.char.add("m", member.astype(str)).tolist(),
        "at": at.astype("datetime64[us]"),
        "reference": reference.tolist(),
        "amount": [value or None for value in amount.tolist()],
        "tier": np.array([None, "gold", "ep"], object)[rng.choice(3, events, p=[0.7, 0.2, 0.1])].tolist(),
        "invited": np.array([True, False], object)[rng.integers(0, 2, events)].tolist(),
        "form": np.array(["photo", "text"], object)[rng.integers(0, 2, events)].tolist(),
        "bill": [3_000] * events,
    }


PAYS = {"store.paid", "gift.ordered", "growth.recognised", "points.redeemed", "repair.paid"}


def people(columns: dict[str, object]) -> dict[str, dict[str, str]]:
    """Return what is known of the members: two in three own a car."""
    return {name: {"kind": "fan" if int(name[1:]) % 3 == 0 else "owner"} for name in set(columns["member"])}


def events_of(columns: dict[str, object]) -> list[Event]:
    """Return the events that columns stand for."""
    start, micro = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
    data = ("tier", "invited", "form", "bill")
    ats = columns["at"].astype(np.int64).tolist()
    return [
        Event(
            columns["id"][k],
            columns["kind"][k],
            columns["member"][k],
            start + at * micro,
            columns["reference"][k],
            columns["amount"][k],
            {name: columns[name][k] for name in data if columns[name][k] is not None},
        )
        for k, at in enumerate(ats)
    ]


def _timed(label: str, events: int, run) -> float:
    gc.collect()
    start = time.process_time()
    done = run()
    seconds = time.process_time() - start
    words = f"   {done!r}" if not isinstance(done, list) else ""
    print(
        f"{label:<34} {events:>10,} events {seconds:>8.2f} s {events / seconds:>12,.0f} events/s{words}",
        flush=True,
    )
    return seconds / events


def main(small: int, sizes: list[int]) -> None:
    """Print the table, for the page's rules with tiers from the events, and with the program's own.

    Who cancels is posted event by event: the histories in which nobody does show what columns cost by themselves.
    """
    for name, text in (("tiers from the events", PAGE), ("its own tiers", PAGE + TIERS)):
        program = Program.load(text)
        columns = history(small)
        listed, members = events_of(columns), people(columns)
        with Ledger.in_memory() as ledger:
            slow = _timed(f"run, {name}", small, lambda: program.run(listed, ledger, members))
        for cancelled in (False, True):
            for size in sizes:
                columns = history(size, cancelled=cancelled)
                members = people(columns)
                words = "some cancel" if cancelled else "nobody cancels"
                fast = _timed(f"replay, {words}", size, lambda: program.replay(columns, members))
                print(f"    {slow / fast:.0f} times as many a second", flush=True)


if __name__ == "__main__":
    given = [int(float(size)) for size in sys.argv[1:]] or [20_000, 200_000, 2_000_000]
    main(given[0], given[1:])
