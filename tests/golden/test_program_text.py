"""The program text of the design, whole, and what its comments say of each rule."""

from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction

import pytest

from userops import Event
from userops.core.calendar import zone
from userops.points import Ledger
from userops.program import Program, Status

#: Verbatim: docs/reference and the how-to pages explain it.
TEXT = """
schema = 1
name = "owner-club"
timezone = "Asia/Shanghai"

[currencies.points]
money = "CNY"
[currencies.value]
spendable = false

[funds.sales]                                     # budgets turn in the program's timezone
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
currency = "points"                               # a rule in a non-spendable currency may leave `fund` out: the fund `<currency>`
expires = { months = 24, round_to = "month" }     # none | {days|months|years, round_to} | {calendar = "12-31"} | {inactive_months = 12}
activates = { days = 14 }
cap = [{ times = 1, per = "reference" }]          # times | points; per = day|week|month|year|lifetime|reference; scope = member|program
from = 2027-01-01                                 # also `until`: local dates, half-open; rules of one name with disjoint dates are its versions
group = "purchase"                                # exclusive groups: [groups] purchase = "best" | "first" | "all", by `priority`, then place
clawback = "debt"                                 # default; "any" | "unspent" | "reject"

[[earn]]
name = "invited-delivery"
on = "order.delivered"
when = { invited = true }                         # conditions: section 3
points = 2_000
fund = "referral"
cap = [{ times = 1, per = "reference" }]

[[earn]]
name = "shop"
on = "store.paid"
points = { per = 10, give = 1, of = "amount", round = "down" }   # also { table = {…}, by = "model" }, { streak = [1,1,2,2,5], of = "day" }
multiply_by_tier = { gold = "1.5", ep = "2" }     # before rounding and caps
fund = "community"
cap = [{ points = 300, per = "day" }]             # a points cap truncates; a times cap refuses

[[earn]]
name = "no-claim-renewal"
on = "service_plan.renewed"
when = { claims_12_months = 0 }                   # a counter: history as a condition
points = 20_000
fund = "community"
cap = [{ times = 1, per = "year" }]

[[earn]]
name = "check-in"
on = "app.check_in"
points = 1
fund = "community"
cap = [{ times = 1, per = "day" }, { shared = "basics" }]

[counters.claims_12_months]                       # recorded events before the present one, in a window; lifetime without `within`; `sum = "amount"` instead of a count
on = "claim.filed"
within = { months = 12 }

[caps.basics]                                     # one cap shared by several rules
points = 100
per = "lifetime"
when = { kind = "fan" }                           # binds only while this holds

[[redeem]]
name = "gift"
on = "gift.ordered"
points = { of = "amount" }
sink = "shop"

[sinks.repair_labour]
funds = ["community"]                             # whose points may pay here
share_at_most = "0.5"                             # of the bill, event field `bill`

[tiers]                                           # the fields of Ladder, by name (tiers.md); one ladder per program
currency = "value"
window = { rolling = { months = 12 } }            # "lifetime" | "calendar_year" | "anniversary"
keep = { months = 12, until = "month_end" }
downgrade = "one_step"
grace = { days = 30 }
crossing = "old_rate"
tier = [{ name = "member", at_least = 0 }, { name = "gold", at_least = 3_000 }, { name = "ep", at_least = 12_000, requires = { kind = "owner" } }]

[referral]                                        # the fields of Binding and Scheme, by name (referrals.md)
binding = { window_days = 30, locked_days = 180 }
milestones = { "order.delivered" = 12_000 }
levels = ["1"]
fund = "referral"

[[benefit]]                                       # for parity: what an order of a day is promised
name = "wallbox"
from = 2027-01-01
until = 2027-03-01
value = 8_000
"""
ZONE = zone("Asia/Shanghai")


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


def event(kind, when, *, id="", member="u", **more):
    return Event(id or f"{kind} {when} {member}", kind, member, at(when), **more)


@pytest.fixture
def program():
    return Program.load(TEXT)


def given(decisions):
    return [{outcome.rule: outcome.given for outcome in decision.outcomes} for decision in decisions]


def test_delivery_pays_once_for_a_reference_while_in_force_and_expires_at_a_months_end(program):
    ledger = Ledger.in_memory()
    decisions = program.run(
        [
            event("order.delivered", "2026-12-31T23:59", reference="o0"),
            event("order.delivered", "2027-01-01T00:00", reference="o1", data={"invited": True}),
            event("order.delivered", "2027-01-02T00:00", reference="o1", data={"invited": True}),
        ],
        ledger,
    )
    assert given(decisions) == [
        {"delivery": 0, "invited-delivery": 0},
        {"delivery": 10_000, "invited-delivery": 2_000},
        {"delivery": 0, "invited-delivery": 0},
    ]
    assert decisions[0].outcomes[0].why == "it is not in force on that day"
    assert decisions[2].outcomes[0].cap == "1 time per reference"
    lots = {lot.rule: lot for lot in ledger.lots("u", at("2027-01-03"))}
    assert lots["delivery"].available_at == at("2027-01-15")
    assert lots["delivery"].expires_at == at("2029-02-01")
    assert (lots["invited-delivery"].fund, lots["invited-delivery"].expires_at) == ("referral", None)
    # In debt where it was spent: the default, "debt".
    program.handle(event("points.redeemed", "2027-02-01", amount=11_000), ledger)
    program.handle(event("order.delivered.cancelled", "2027-02-02", reference="o1"), ledger)
    assert ledger.balance("u", at("2027-02-03")).debt == 11_000


def test_shop_rounds_down_after_the_multiplier_and_truncates_at_300_a_day(program):
    ledger = Ledger.in_memory()
    decisions = program.run(
        [
            event("store.paid", "2027-01-01T10:00", amount=Decimal("99.99")),
            event("store.paid", "2027-01-01T11:00", amount=5_000),
            event("store.paid", "2027-01-02T00:00", amount=10),
        ],
        ledger,
    )
    assert [one["shop"] for one in given(decisions)] == [9, 291, 1]
    assert (decisions[1].outcomes[0].asked, decisions[1].outcomes[0].status) == (500, Status.CAPPED)
    # Nothing in this program earns value: the tier is the lowest, whatever data say.
    assert {one.tier for one in decisions} == {"member"}
    rule = next(rule for rule in program.earn if rule.name == "shop")
    assert rule.rounded(Fraction(9999, 1000), "gold") == 14
    assert rule.multiply_by_tier == {"gold": Fraction(3, 2), "ep": 2}


def test_no_claim_renewal_reads_the_claims_of_twelve_months(program):
    ledger = Ledger.in_memory()
    decisions = program.run(
        [
            event("claim.filed", "2026-03-01T10:00"),
            event("service_plan.renewed", "2027-03-01T09:59"),
            event("service_plan.renewed", "2027-03-01T10:00"),
            event("service_plan.renewed", "2027-12-31T10:00"),
            event("service_plan.renewed", "2028-01-01T00:00"),
        ],
        ledger,
    )
    assert [one.get("no-claim-renewal") for one in given(decisions)] == [None, 0, 20_000, 0, 20_000]
    assert decisions[1].outcomes[0].findings[0].value == 1


def test_check_in_pays_once_a_day_and_a_fan_100_in_all(program):
    ledger = Ledger.in_memory()
    events = [
        Event(f"{member}{n}", "app.check_in", member, at(f"2027-{1 + n // 28:02d}-{1 + n % 28:02d}T12:00"))
        for n in range(112)
        for member in ("fan", "owner")
    ]
    program.run(events, ledger, {"fan": {"kind": "fan"}, "owner": {"kind": "owner"}})
    assert ledger.balance("fan", at("2028-01-01")).available == 100
    assert ledger.balance("owner", at("2028-01-01")).available == 112


def test_a_gift_is_paid_from_any_fund_and_labour_from_community_points_and_half_the_bill(program):
    ledger = Ledger.in_memory()
    decisions = program.run(
        [
            event("order.delivered", "2027-01-01", reference="o"),
            event("store.paid", "2027-01-01", amount=400),
            event("gift.ordered", "2027-01-20", amount=10_005),
            event("points.redeemed", "2027-01-21", amount=30, data={"sink": "repair_labour", "bill": 58}),
            event("points.redeemed", "2027-01-22", amount=30, data={"sink": "repair_labour", "bill": 60}),
            event("points.redeemed", "2027-01-23", amount=6, data={"sink": "repair_labour", "bill": 60}),
        ],
        ledger,
    )
    assert decisions[2].outcomes[0].given == 10_005
    assert [one.outcomes[0].status for one in decisions[3:]] == [Status.REFUSED, Status.FIRED, Status.REFUSED]


def test_the_rest_of_the_text(program):
    assert [tier.name for tier in program.ladder.tiers] == ["member", "gold", "ep"]
    assert program.scheme.milestones == {"order.delivered": 12_000}
    assert [(one.name, one.value) for one in program.benefits] == [("wallbox", 8_000)]
    assert program.parity({}, date(2027, 1, 1), date(2027, 4, 1)).pairs == ()
    pairs = program.parity({}, date(2026, 12, 30), date(2027, 1, 3)).pairs
    assert {(one.earlier.day, one.later.day, one.gap) for one in pairs} == {
        (30, 1, 8_000), (30, 2, 8_000), (31, 1, 8_000), (31, 2, 8_000)
    }  # fmt: skip
    worst = program.worst_case(members=1_000, events=5_000)
    assert worst == {
        "sales": 50_000_000,
        # The rule, and the scheme: 70 million, but the budget of the two years that a year can touch is 100.
        "referral": 5_000 * (2_000 + 12_000),
        # A day's cap, a year's, and a shared cap that binds only sometimes and so bounds nothing.
        "community": 5_000 * 300 + 1_000 * 2 * 20_000 + 5_000,
    }
