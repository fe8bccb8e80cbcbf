"""A program run live: what fires, what binds, what is taken back, and what a retry does."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from userops import Event, PlanError
from userops.core.calendar import zone
from userops.errors import BudgetExceeded, IdConflict
from userops.points import Budget, Fund, Ledger
from userops.program import Program, Status

SHANGHAI = zone("Asia/Shanghai")
HEAD = 'schema = 1\nname = "club"\ntimezone = "Asia/Shanghai"\n[funds.f]\n'


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def event(kind, when, *, id=None, member="u1", **more):
    return Event(id or f"{kind} {when}", kind, member, at(when), **more)


def run(text, *events, ledger=None, members=None):
    program = Program.load(HEAD + text if not text.startswith("schema") else text)
    ledger = ledger or Ledger.in_memory()
    return program, ledger, program.run(events, ledger, members)


def available(ledger, member="u1", when="2030-01-01", currency="points"):
    return ledger.balance(member, at(when), currency=currency).available


RULE = '[[earn]]\nname = "r"\non = "a"\nfund = "f"\n'


def test_caps_by_time_and_points_per_local_day():
    text = RULE + 'points = 40\ncap = [{ times = 3, per = "day" }, { points = 100, per = "day" }]'
    hours = [f"2027-01-01T{h:02d}:00" for h in (1, 2, 3, 4)]
    _, ledger, decisions = run(text, *(event("a", h) for h in hours), event("a", "2027-01-02T00:00"))
    given = [d.outcomes[0].given for d in decisions]
    assert given == [40, 40, 20, 0, 40]
    assert decisions[2].outcomes[0].status is Status.CAPPED
    assert decisions[2].outcomes[0].cap == "100 points per day"
    assert decisions[3].outcomes[0].cap == "3 times per day"
    assert available(ledger) == 140


@pytest.mark.parametrize(
    ("expires", "last"),
    [
        ("{ months = 1 }", "2027-02-28"),
        ('{ months = 1, round_to = "month" }', "2027-02-28"),
        ("{ days = 0 }", "2027-01-31"),
        ('{ calendar = "12-31" }', "2027-12-31"),
        ('{ calendar = "01-30" }', "2028-01-30"),
        ("{ years = 1 }", "2028-01-31"),
    ],
)
def test_expiry_is_the_next_local_midnight_after_the_last_day(expires, last):
    _, ledger, _ = run(
        RULE + f"points = 1\ncap = [{{ times = 1 }}]\nexpires = {expires}", event("a", "2027-01-31T23:59")
    )
    (lot,) = ledger.lots("u1", at("2027-01-31T23:59"))
    assert lot.expires_at == at(last) + timedelta(days=1)


def test_inactivity_moves_all_lots_of_the_rule_and_never_back():
    text = RULE + "points = 10\ncap = [{ times = 9 }]\nexpires = { inactive_months = 12 }"
    _, ledger, decisions = run(text, event("a", "2027-01-10T08:00"), event("a", "2027-06-10T08:00"))
    assert [c.__class__.__name__ for c in decisions[1].commands] == ["Earn", "Extend"]
    assert {lot.expires_at for lot in ledger.lots("u1", at("2027-06-11"))} == {at("2028-06-11")}
    program = Program.load(HEAD + text)
    late = program.handle(event("a", "2027-03-01T08:00"), ledger)
    assert [type(c).__name__ for c in late.commands] == ["Earn"]
    assert {lot.expires_at for lot in ledger.lots("u1", at("2027-06-11"))} == {at("2028-06-11")}


def test_activation_holds_points_back():
    _, ledger, _ = run(
        RULE + "points = 5\ncap = [{ times = 1 }]\nactivates = { days = 14 }", event("a", "2027-01-01T10:00")
    )
    assert ledger.balance("u1", at("2027-01-15T09:59")).pending == 5
    assert ledger.balance("u1", at("2027-01-15T10:00")).available == 5


def test_streaks_count_local_days_and_break():
    text = RULE + 'points = { streak = [1, 1, 2, 2, 5], of = "day" }\ncap = [{ times = 1, per = "day" }]'
    days = ["01-01", "01-02", "01-02", "01-03", "01-05", "01-06", "01-07"]
    _, _, decisions = run(text, *(event("a", f"2027-{d}T12:00", id=f"e{k}") for k, d in enumerate(days)))
    assert [d.outcomes[0].given for d in decisions] == [1, 1, 0, 2, 1, 1, 2]


def test_tables_rounding_and_multipliers_by_tier_from_data():
    text = (
        RULE
        + 'points = { per = 10, give = 1, of = "amount", round = "half_up" }\ncap = [{ points = 999 }]\nmultiply_by_tier = { gold = "1.5" }\n'
        + '[[earn]]\nname = "t"\non = "b"\nfund = "f"\npoints = { table = { ES8 = 7 }, by = "model" }\ncap = [{ times = 2 }]'
    )
    _, _, decisions = run(
        text,
        event("a", "2027-01-01T01:00", amount=Decimal("29.99")),
        event("a", "2027-01-01T02:00", amount=30, data={"tier": "gold"}),
        event("b", "2027-01-01T03:00", data={"model": "ES8"}),
        event("b", "2027-01-01T04:00", data={"model": "ET7"}),
    )
    assert [d.outcomes[0].given for d in decisions] == [3, 5, 7, 0]
    assert "no usable model" in decisions[3].outcomes[0].why


def test_a_shared_cap_binds_only_while_its_condition_holds():
    text = (
        '[caps.basics]\npoints = 10\nper = "lifetime"\nwhen = { kind = "fan" }\n'
        + '[[earn]]\nname = "r"\non = "a"\nfund = "f"\npoints = 8\ncap = [{ times = 9, per = "day" }, { shared = "basics" }]\n'
        + '[[earn]]\nname = "s"\non = "b"\nfund = "f"\npoints = 8\ncap = [{ times = 9, per = "day" }, { shared = "basics" }]'
    )
    fan, owner = {"u1": {"kind": "fan"}}, {"u1": {"kind": "owner"}}
    program, ledger, decisions = run(
        text, event("a", "2027-01-01T01:00"), event("b", "2027-01-01T02:00"), members=fan
    )
    assert [d.outcomes[0].given for d in decisions] == [8, 2]
    assert program.handle(event("b", "2027-01-01T03:00"), ledger, owner).outcomes[0].given == 8
    assert program.handle(event("b", "2027-01-01T04:00"), ledger, fan).outcomes[0].given == 0


def test_a_cap_of_the_whole_program_is_shared_by_members_and_given_back():
    text = RULE + 'points = 60\ncap = [{ points = 100, per = "month", scope = "program" }]'
    program, ledger, decisions = run(
        text,
        event("a", "2027-01-01T01:00", id="1", member="u1", reference="o1"),
        event("a", "2027-01-01T02:00", id="2", member="u2"),
        event("a", "2027-01-01T03:00", id="3", member="u3"),
    )
    assert [d.outcomes[0].given for d in decisions] == [60, 40, 0]
    program.handle(event("a.cancelled", "2027-01-01T04:00", reference="o1"), ledger)
    assert program.handle(event("a", "2027-01-01T05:00", member="u3"), ledger).outcomes[0].given == 60
    assert ledger.audit() == ()


def test_a_budget_refuses_whole_and_the_events_other_rules_still_pay():
    text = (
        'schema = 1\nname = "club"\ntimezone = "Asia/Shanghai"\n[funds.f]\nbudget = { points = 15, per = "month" }\n[funds.g]\n'
        + RULE
        + 'points = 10\n[[earn]]\nname = "s"\non = "a"\nfund = "g"\npoints = 1\ncap = [{ times = 9 }]'
    )
    program, ledger, decisions = run(text, event("a", "2027-01-31T23:00"), event("a", "2027-01-31T23:30"))
    second = decisions[1].outcomes
    assert (second[0].status, second[1].given) == (Status.REFUSED, 1)
    assert isinstance(second[0].error, BudgetExceeded)
    assert second[0].error.left == 5
    assert program.handle(event("a", "2027-02-01T00:00"), ledger).outcomes[0].given == 10
    assert available(ledger) == 23


@pytest.mark.parametrize(("choice", "given"), [("best", [0, 5]), ("first", [3, 0]), ("all", [3, 5])])
def test_exclusive_groups(choice, given):
    text = (
        f'[groups]\ng = "{choice}"\n'
        + RULE
        + 'points = 3\ngroup = "g"\ncap = [{ times = 9 }]\n'
        + '[[earn]]\nname = "s"\non = "a"\nfund = "f"\npoints = 5\ngroup = "g"\ncap = [{ times = 9 }]'
    )
    _, _, (decision,) = run(text, event("a", "2027-01-01"))
    assert [o.given for o in decision.outcomes] == given


def test_a_counter_reads_recorded_events_in_its_window():
    text = (
        "[counters.claims]\non = 'claim.filed'\nwithin = { months = 12 }\n"
        + RULE
        + "points = 20\nwhen = { claims = 0 }\ncap = [{ times = 1, per = 'year' }]"
    )
    _, _, decisions = run(
        text,
        event("claim.filed", "2026-03-01T10:00"),
        event("a", "2027-03-01T09:59"),
        event("a", "2027-03-01T10:00"),
    )
    assert decisions[1].outcomes[0].why == "it asks that claims is 0, and claims is 1"
    assert decisions[2].outcomes[0].given == 20


def test_versions_of_a_rule_by_date():
    text = (
        RULE
        + "points = 1\nuntil = 2027-02-01\ncap = [{ times = 5 }]\n"
        + RULE
        + "points = 2\nfrom = 2027-02-01\ncap = [{ times = 5 }]"
    )
    _, ledger, _ = run(text, event("a", "2027-01-31T23:59"), event("a", "2027-02-01T00:00"))
    assert available(ledger) == 3
    with pytest.raises(PlanError) as caught:
        Program.load(HEAD + text.replace("from = 2027-02-01", "from = 2027-01-31"))
    assert "overlap" in str(caught.value)


def test_partial_returns_leave_the_floor_of_what_stays_over_all_returns():
    text = (
        RULE + 'points = { per = 10, give = 1, of = "amount" }\ncap = [{ points = 1000 }]\nclawback = "debt"'
    )
    program, ledger, _ = run(text, event("a", "2027-01-01", amount=Decimal("109"), reference="o1"))
    assert available(ledger) == 10
    for hour, amount, left in ((1, 33, 6), (2, 33, 3), (3, 43, 0)):
        program.handle(event("a.cancelled", f"2027-01-02T0{hour}:00", amount=amount, reference="o1"), ledger)
        assert available(ledger) == left
    refused = program.handle(event("a.cancelled", "2027-01-02T04:00", amount=1, reference="o1"), ledger)
    assert refused.outcomes[0].status is Status.REFUSED
    assert not refused.commands


def test_a_partial_return_is_counted_per_rule_not_per_grant():
    text = RULE + 'points = { per = 1, give = 1, of = "amount" }\ncap = [{ points = 1000 }]'
    program, ledger, _ = run(
        text,
        event("a", "2027-01-01T01:00", amount=3, reference="o"),
        event("a", "2027-01-01T02:00", amount=3, reference="o"),
    )
    program.handle(event("a.cancelled", "2027-01-02", amount=1, reference="o"), ledger)
    # Of 6 points 5/6 stay: 5; floors of each grant by itself would leave 4.
    assert available(ledger) == 5


def test_a_cancelled_redemption_gives_the_points_back():
    text = (
        RULE
        + 'points = 50\ncap = [{ times = 1 }]\n[[redeem]]\nname = "gift"\non = "g"\npoints = { of = "amount" }\nsink = "shop"'
    )
    program, ledger, _ = run(
        text, event("a", "2027-01-01"), event("g", "2027-01-02", amount=30, reference="o")
    )
    assert available(ledger) == 20
    program.handle(event("g.cancelled", "2027-01-03", amount=10, reference="o"), ledger)
    assert available(ledger) == 30
    program.handle(event("g.cancelled", "2027-01-04", reference="o"), ledger)
    assert available(ledger) == 50


def test_a_whole_return_books_a_debt_for_what_was_spent_and_frees_the_cap():
    text = RULE + 'points = 50\ncap = [{ times = 1, per = "reference" }]'
    program, ledger, _ = run(
        text,
        event("a", "2027-01-01", reference="o", id="1"),
        event("points.redeemed", "2027-01-02", amount=30),
    )
    program.handle(event("a.cancelled", "2027-01-03", reference="o"), ledger)
    assert ledger.balance("u1", at("2027-01-04")).debt == 30
    assert program.handle(event("a", "2027-01-05", reference="o", id="2"), ledger).outcomes[0].given == 50
    assert (available(ledger), ledger.balance("u1", at("2027-01-06")).debt) == (20, 0)


def test_a_retry_is_answered_from_the_entries_whatever_the_rules_are_by_now():
    text = RULE + "points = 50\ncap = [{ times = 1 }]"
    _, ledger, (first,) = run(text, event("a", "2027-01-01"))
    changed = Program.load(HEAD + text.replace("50", "80"))
    again = changed.handle(event("a", "2027-01-01"), ledger)
    assert again.replayed
    assert again.commands == first.commands
    assert available(ledger) == 50


def test_an_event_id_used_for_something_else_is_refused():
    _, ledger, _ = run(RULE + "points = 50\ncap = [{ times = 1 }]", event("a", "2027-01-01", id="x"))
    program = Program.load(HEAD + RULE + "points = 50\ncap = [{ times = 1 }]")
    (outcome,) = program.handle(event("a", "2027-01-01", id="x", member="u2"), ledger).outcomes
    assert outcome.status is Status.REFUSED
    assert isinstance(outcome.error, IdConflict)
    assert available(ledger, "u2") == 0


def test_a_refused_event_can_be_tried_again():
    text = HEAD.replace("[funds.f]", "[funds.f]\nbudget = { points = 5 }") + RULE + "points = 9"
    _, ledger, (decision,) = run(text, event("a", "2027-01-01", amount=3))
    assert decision.outcomes[0].status is Status.REFUSED
    assert ledger.entries() == ()


def test_sinks_restrict_funds_and_the_share_of_a_bill():
    text = (
        HEAD
        + '[funds.g]\n[sinks.labour]\nfunds = ["g"]\nshare_at_most = "0.5"\n'
        + RULE
        + 'points = 50\ncap = [{ times = 1 }]\n[[earn]]\nname = "s"\non = "a"\nfund = "g"\npoints = 20\ncap = [{ times = 1 }]'
    )
    program, ledger, _ = run(text, event("a", "2027-01-01"))

    def pay(id, amount, bill):
        return program.handle(
            event(
                "points.redeemed", "2027-01-02", id=id, amount=amount, data={"sink": "labour", "bill": bill}
            ),
            ledger,
        ).outcomes[0]

    assert pay("1", 30, 40).why == "at most 20 points may pay this bill at labour"
    assert pay("2", 30, 60).status is Status.REFUSED  # 20 points of that fund only
    assert pay("3", 20, 40).given == 20


def test_growth_value_has_a_fund_of_its_own_name():
    text = (
        HEAD
        + '[currencies.value]\nspendable = false\n[[earn]]\nname = "r"\non = "a"\npoints = 7\ncurrency = "value"\ncap = [{ times = 1 }]'
    )
    _, ledger, _ = run(text, event("a", "2027-01-01"))
    assert available(ledger, currency="value") == 7
    assert ledger.funds["value"] == Fund("value", timezone="Asia/Shanghai")


def test_run_takes_events_by_time_whatever_the_order_of_rows():
    text = RULE + "points = 5\ncap = [{ times = 1 }]"
    events = [event("a", "2027-01-02", id="late"), event("a", "2027-01-01", id="early")]
    _, ledger, _ = run(text, *events)
    assert [e.event for e in ledger.entries()] == ["early"]


def test_comparing_text_with_a_number_is_that_rules_refusal():
    text = RULE + "points = 5\nwhen = { amount = { '>' = 3 } }\ncap = [{ times = 1 }]"
    _, _, (decision,) = run(text, event("a", "2027-01-01", data={"amount": "12abc"}))
    assert decision.outcomes[0].status is Status.REFUSED


def test_decide_explains_without_a_ledger():
    program = Program.load(HEAD + RULE + 'points = 5\nwhen = { city = "Hefei" }\ncap = [{ times = 1 }]')
    decision = program.decide(Event("e", "a", "u1", datetime(2027, 1, 1, tzinfo=UTC)), None)
    assert decision.describe() == "a of u1\n  r: nothing, it asks that city is Hefei, and city is missing"


def test_budget_is_declared_once():
    program = Program.load(HEAD + RULE + "points = 5\ncap = [{ times = 1 }]")
    ledger = Ledger.in_memory()
    ledger.add_fund(Fund("f", budget=Budget(1)))
    with pytest.raises(ValueError, match="budget"):
        program.run([], ledger)
