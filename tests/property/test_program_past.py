"""What a decision reads of a member's past is enough: it decides as all of the past does, from few entries."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from userops import Event
from userops.points import Clawback, Earn, Ledger, Reverse
from userops.points.stores.memory import MemoryStore
from userops.program import Program
from userops.program.live import decide

START = datetime(2027, 2, 26, 20, tzinfo=UTC)
PERIODS = ["day", "week", "month", "year", "lifetime", "reference"]
#: Everything that reads the past at once; the caps are drawn.
TEXT = """
schema = 1
name = "past"
timezone = "America/New_York"
[currencies.value]
spendable = false
[funds.x]
budget = {{ points = 900, per = "month" }}
[counters.before]
on = "b"
within = {{ days = 9 }}
[counters.paid]
on = "a"
sum = "amount"
[caps.both]
points = {both}
per = "{per}"
when = {{ city = "H" }}
[[earn]]
name = "share"
on = "a"
points = {{ of = "amount" }}
multiply_by_tier = {{ gold = "1.5" }}
fund = "x"
clawback = "{clawback}"
expires = {{ inactive_months = 1 }}
cap = [{caps}, {{ shared = "both" }}]
[[earn]]
name = "streak"
on = "b"
points = {{ streak = [1, 2, 5] }}
fund = "x"
cap = [{{ times = 2, per = "{per}" }}, {{ shared = "both" }}]
[[earn]]
name = "again"
on = "b"
when = {{ before = {{ ">=" = 1 }}, paid = {{ ">" = 10 }} }}
points = 7
fund = "x"
cap = [{{ points = 20, per = "month", scope = "program" }}]
[[earn]]
name = "growth"
on = "a"
points = 30
currency = "value"
cap = [{{ times = 9 }}]
[tiers]
currency = "value"
window = {{ rolling = {{ months = 1 }} }}
crossing = "{crossing}"
tier = [{{ name = "member", at_least = 0 }}, {{ name = "gold", at_least = 60 }}]
"""
caps = st.builds(
    '{{ {} = {}, per = "{}" }}'.format,
    st.sampled_from(["times", "points"]),
    st.integers(0, 60),
    st.sampled_from(PERIODS),
)
programs = st.builds(
    lambda caps, **more: TEXT.format(caps=", ".join(caps), **more),
    st.lists(caps, min_size=1, max_size=3),
    both=st.integers(1, 90),
    per=st.sampled_from(PERIODS),
    clawback=st.sampled_from(["debt", "any", "unspent", "reject"]),
    crossing=st.sampled_from(["old_rate", "new_rate"]),
)
steps = st.lists(
    st.fixed_dictionaries(
        {
            "hours": st.sampled_from([0, 1, 5, 24, 31, 24 * 25, -30, -24 * 20]),
            "kind": st.sampled_from(
                ["a", "a", "b", "b", "a.cancelled", "b.cancelled", "points.redeemed", "undo"]
            ),
            "member": st.sampled_from("uv"),
            "amount": st.sampled_from([None, 3, Decimal("7.5"), 40]),
            "data": st.sampled_from([{}, {"city": "H"}, {"city": "S"}]),
            "reference": st.sampled_from(["", "o1", "o2"]),
        }
    ),
    max_size=16,
)


def undo(ledger, at, place):
    """Take back by hand, past the program: caps must know."""
    earns = ledger.entries("u", kind="earn")
    if earns:
        target = earns[place % len(earns)]
        command = Reverse(
            id=f"undo{place}",
            entry=target.id,
            at=max(at, target.at),
            points=1,
            currency=target.currency,
            clawback=Clawback.DEBT,
        )
        ledger.post_all([command], atomic=False)


@given(programs, steps)
def test_a_decision_from_what_it_reads_is_that_from_all_of_the_past(text, steps):
    program, ledger, at = Program.load(text), Ledger.in_memory(), START
    program.register(ledger)
    for place, step in enumerate(steps):
        at += timedelta(hours=step["hours"])
        if step["kind"] == "undo":
            undo(ledger, at, place)
            continue
        event = Event(
            f"e{place}",
            step["kind"],
            step["member"],
            at,
            step["reference"],
            step["amount"],
            step["data"],
        )
        expected = decide(program, event, program.state(ledger, event.member, at))
        done = program.handle(event, ledger)
        assert done.tier == expected.tier
        for one, other in zip(done.outcomes, expected.outcomes, strict=True):
            assert (one.rule, one.asked, one.cap) == (other.rule, other.asked, other.cap)
            # What the ledger refused stands in the outcome; up to there the commands are the same.
            assert one.commands == (
                other.commands if one.error is None else other.commands[: len(one.commands)]
            )
            assert one.status == other.status or one.error is not None
    assert ledger.audit() == ()


SIMPLE = """
schema = 1
name = "many"
[funds.x]
[counters.claims]
on = "claim"
within = { days = 30 }
[[earn]]
name = "shop"
on = "paid"
points = { of = "amount" }
fund = "x"
cap = [{ points = 50, per = "day" }, { points = 900, per = "month" }, { times = 1, per = "reference" }]
[[earn]]
name = "check"
on = "check"
when = { claims = 0 }
points = { streak = [1, 2, 3] }
fund = "x"
expires = { inactive_months = 12 }
cap = [{ times = 1, per = "day" }]
"""


class Counting:
    """Counts the entries that reading yields."""

    def __init__(self, monkeypatch):
        self.read = 0
        inner = MemoryStore.entries

        def entries(store, *args, **kwargs):
            for entry in inner(store, *args, **kwargs):
                self.read += 1
                yield entry

        monkeypatch.setattr(MemoryStore, "entries", entries)


def with_history(program, length):
    """A member with `length` entries, three a day, the last just before START."""
    ledger = Ledger.in_memory()
    program.register(ledger)
    for n in range(length):
        at = START - timedelta(hours=8 * (length - n))
        rule = ("shop", "check", "check")[n % 3]
        ledger.post(
            Earn(
                id=f"{program.prefix}{len(f'h{n}')}:h{n}{len(rule)}:{rule}",
                member="u",
                points=1,
                fund="x",
                at=at,
                rule=rule,
                event=f"h{n}",
                reference=f"h{n}",
                expires_at=at + timedelta(days=20),
            )
        )
    return ledger


@pytest.mark.parametrize("kind", ["paid", "check", "paid.cancelled", "other"])
def test_a_long_history_costs_no_more_reading_than_a_short_one(kind, monkeypatch):
    program, counts = Program.load(SIMPLE), {}
    for length in (300, 1_500):
        ledger = with_history(program, length)
        counting = Counting(monkeypatch)
        reference = f"h{length - 3}" if kind.endswith("cancelled") else ""
        program.handle(Event("now", kind, "u", START, reference, 5 if kind == "paid" else None), ledger)
        monkeypatch.undo()
        counts[length] = counting.read
    assert counts[1_500] == counts[300] < 150
    # Negative control: all of the past is what it was.
    counting = Counting(monkeypatch)
    program.state(ledger, "u", START)
    assert counting.read >= 1_500
