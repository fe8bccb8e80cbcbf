"""The ladder of a program: growth value decides the tier, the tier multiplies, late and returned value count."""

from datetime import datetime, timedelta

import pytest

from userops import Event, PlanError
from userops.core.calendar import zone
from userops.points import Ledger
from userops.program import Program
from userops.tiers import Grant

TZ = zone("Asia/Shanghai")
TEXT = """
schema = 1
name = "club"
timezone = "Asia/Shanghai"
[currencies.value]
spendable = false
[funds.f]
budget = { points = 1_000_000 }
[[earn]]
name = "growth"
on = "paid"
points = { of = "amount" }
currency = "value"
cap = [{ points = 100_000 }]
[[earn]]
name = "shop"
on = "paid"
points = { per = 10, give = 1, of = "amount" }
multiply_by_tier = { gold = "1.5", ep = 3 }
fund = "f"
[tiers]
currency = "value"
window = { rolling = { months = 12 } }
keep = { months = 12, until = "month_end" }
downgrade = "one_step"
crossing = "old_rate"
tier = [{ name = "member", at_least = 0 }, { name = "gold", at_least = 3_000 }, { name = "ep", at_least = 12_000, requires = { kind = "owner" } }]
"""


def paid(day, amount, **more):
    at = datetime.fromisoformat(f"2027-{day}T10:00").replace(tzinfo=TZ)
    return Event(f"{day} {amount}", "paid", "u", at, amount=amount, **more)


def points(text, events, members=None):
    ledger = Ledger.in_memory()
    decisions = Program.load(text).run(events, ledger, members)
    return [d.outcomes[1].given for d in decisions], [d.tier for d in decisions]


def test_old_rate_is_the_standing_before_the_event():
    events = [paid("01-01", 3_000), paid("01-02", 100), paid("01-03", 8_900), paid("01-04", 100)]
    owner = {"u": {"kind": "owner"}}
    assert points(TEXT, events, owner) == ([300, 15, 1_335, 30], ["member", "gold", "gold", "ep"])
    assert points(TEXT, events)[1] == ["member", "gold", "gold", "gold"]


def test_new_rate_lets_the_crossing_event_earn_at_the_new_tier():
    events = [paid("01-01", 3_000), paid("01-02", 100)]
    assert points(TEXT.replace("old_rate", "new_rate"), events) == ([450, 15], ["gold", "gold"])


def test_a_returned_order_takes_the_tier_with_it():
    ledger = Ledger.in_memory()
    program = Program.load(TEXT)
    back = Event("back", "paid.cancelled", "u", datetime(2027, 1, 2, 9, tzinfo=TZ), reference="o")
    decisions = program.run([paid("01-01", 3_000, reference="o"), back, paid("01-02", 100)], ledger)
    assert decisions[2].tier == "member"


def test_an_event_at_the_instant_of_a_review_comes_before_it():
    text = TEXT.replace(', until = "month_end"', "")
    first = paid("01-01", 3_000)
    review = datetime(2028, 1, 1, 10, tzinfo=TZ)
    at_review = Event("x", "paid", "u", review, amount=100)
    after = Event("y", "paid", "u", review + timedelta(seconds=1), amount=100)
    assert points(text, [first, at_review, after])[1] == ["member", "gold", "member"]


def test_grants_and_records_come_from_members():
    at = datetime(2027, 1, 1, tzinfo=TZ)
    grant = Grant("gold", at, None, by="desk", reason="founder")
    assert points(TEXT, [paid("01-02", 100)], {"u": {"grants": (grant,)}}) == ([15], ["gold"])


@pytest.mark.parametrize(
    ("was", "is_", "says"),
    [
        ('currency = "value"\nwindow', 'currency = "valu"\nwindow', "did you mean 'value'"),
        ("gold = ", "glod = ", "did you mean 'gold'"),
        ("at_least = 12_000", "at_least = 3_000", "rise"),
        ("one_step", "two_steps", "not known"),
        ("[tiers]", "[tiers]\nbogus = 1", "unknown key"),
    ],
)
def test_faults_of_tiers_are_found(was, is_, says):
    with pytest.raises(PlanError) as caught:
        Program.load(TEXT.replace(was, is_))
    assert says in str(caught.value)
