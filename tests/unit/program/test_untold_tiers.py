"""One event, or one member's record, that the ladder cannot read: what reads the tier is refused, the rest pays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from userops import Event, F
from userops.errors import IncomparableError, NaiveTimeError
from userops.points import Ledger
from userops.program import Program, Status

PLAN = """
schema = 1
name = "club"
[currencies.value]
spendable = false
[funds.sales]
[[earn]]
name = "value"
on = "paid"
points = 5
currency = "value"
cap = [{ times = 99, per = "lifetime" }]
[[earn]]
name = "flat"
on = "paid"
points = 7
fund = "sales"
cap = [{ times = 99, per = "lifetime" }]
[[earn]]
name = "by tier"
on = "paid"
points = 10
fund = "sales"
multiply_by_tier = { gold = 3 }
cap = [{ times = 99, per = "lifetime" }]
[[redeem]]
name = "gold gift"
on = "gift"
when = { tier = "gold" }
points = 2
sink = "shop"
[tiers]
currency = "value"
crossing = "CROSSING"
tier = [{ name = "member", at_least = 0 }, { name = "gold", at_least = 5, requires = { age = { ">=" = 18 } } }]
"""
T0 = datetime(2027, 1, 1, tzinfo=UTC)


def _events(bad: dict[str, object]) -> list[Event]:
    """Two members over four days; `bad` is the data of u's second event."""
    return [
        Event(f"{member}{day}", "gift" if day == 3 else "paid", member, T0 + timedelta(days=day), data=data)
        for day in range(4)
        for member in ("u", "w")
        for data in [bad if (member, day) == ("u", 1) else {}]
    ]


@pytest.mark.parametrize("crossing", ["old_rate", "new_rate"])
@pytest.mark.parametrize(
    ("bad", "record", "error"),
    [
        ({"age": "thirty"}, {"age": 30}, IncomparableError),
        ({"joined_at": datetime(2027, 1, 1)}, {"age": 30}, NaiveTimeError),
        ({}, {"age": "thirty"}, IncomparableError),
        ({}, {"age": 30, "grants": 5}, ValueError),
    ],
)
def test_only_what_reads_the_tier_is_refused(crossing, bad, record, error):
    program = Program.load(PLAN.replace("CROSSING", crossing))
    members, events, ledger = {"u": record, "w": {"age": 30}}, _events(bad), Ledger.in_memory()
    decisions = {one.event.id: one for one in program.run(events, ledger, members)}
    outcome = {one.rule: one for one in decisions["u1"].outcomes}
    assert outcome["value"].given == 5
    assert outcome["flat"].given == 7
    assert outcome["by tier"].status is Status.REFUSED
    assert isinstance(outcome["by tier"].error, error)
    assert "tier cannot be told" in outcome["by tier"].why
    assert {one.rule: one.given for one in decisions["w1"].outcomes} == {
        "value": 5,
        "flat": 7,
        "by tier": 30,
    }
    gift = decisions["u3"].outcomes[0]
    assert gift.status is (Status.FIRED if bad else Status.REFUSED)
    replayed = program.replay(events, members)
    for member in ("u", "w"):
        for currency in ("points", "value"):
            at = T0 + timedelta(days=9)
            assert replayed.balance(member, as_of=at, currency=currency) == ledger.balance(
                member, as_of=at, currency=currency
            )
    assert ledger.audit() == ()


def test_members_who_can_be_read_stay_in_columns():
    program = Program.load(PLAN.replace("CROSSING", "old_rate"))
    members = {"u": {"age": "thirty"}, "w": {"age": 30}}
    assert "1 of them one by one" in repr(program.replay(_events({}), members))


def test_an_incomparable_field_is_named():
    condition = (F("city") == "Hefei") & (F("age") >= 18)
    words = "field 'age': a text cannot be compared with a number"
    with pytest.raises(IncomparableError, match=words):
        condition.holds({"age": "thirty"})
    with pytest.raises(IncomparableError, match=words):
        condition.mask({"age": ["thirty"], "city": ["Hefei"]})
