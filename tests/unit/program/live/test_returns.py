"""What is taken back, under which policy, what caps and budgets get back, and what a retry does."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from userops import Event
from userops.errors import IdConflict, InsufficientPoints, UnknownEntry
from userops.points import Ledger, Reverse, Transfer
from userops.program import Program, Status

HEAD = 'schema = 1\nname = "club"\n[funds.f]\n'
RULE = '[[earn]]\nname = "r"\non = "a"\nfund = "f"\n'


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def made(text):
    program = Program.load(text if text.startswith("schema") else HEAD + text)
    ledger = Ledger.in_memory()
    program.register(ledger)
    return program, ledger


def send(program, ledger, kind, when, *, id="", member="u", **more):
    return program.handle(Event(id or f"{kind} {when}", kind, member, at(when), **more), ledger)


def balance(ledger, when="2027-12-31", member="u"):
    found = ledger.balance(member, at(when))
    return found.available, found.debt


def test_a_reference_delivered_again_after_a_whole_return_can_be_returned_again():
    program, ledger = made(RULE + 'points = 50\ncap = [{ times = 1, per = "reference" }]')
    for month in (1, 2, 3):
        assert send(program, ledger, "a", f"2027-0{month}-01", reference="o").outcomes[0].given == 50
        (outcome,) = send(program, ledger, "a.cancelled", f"2027-0{month}-02", reference="o").outcomes
        assert (outcome.status, outcome.given) == (Status.FIRED, -50)
        (outcome,) = send(program, ledger, "a.cancelled", f"2027-0{month}-03", reference="o").outcomes
        assert (outcome.status, outcome.why) == (Status.REFUSED, "nothing is left of the reference")
    assert balance(ledger) == (0, 0)
    assert ledger.audit() == ()


def test_a_new_story_of_a_reference_is_shared_by_its_own_amount():
    program, ledger = made(RULE + 'points = { of = "amount" }\ncap = [{ points = 900 }]')
    send(program, ledger, "a", "2027-01-01", reference="o", amount=100)
    send(program, ledger, "a.cancelled", "2027-01-02", reference="o", amount=40)
    send(program, ledger, "a.cancelled", "2027-01-03", reference="o")
    send(program, ledger, "a", "2027-01-04", reference="o", amount=10)
    assert (
        send(program, ledger, "a.cancelled", "2027-01-05", reference="o", amount=11).outcomes[0].why
        == "11 is returned, and 10 is left of the reference"
    )
    assert (
        send(program, ledger, "a.cancelled", "2027-01-06", reference="o", amount=Decimal("2.5"))
        .outcomes[0]
        .given
        == -3
    )
    assert balance(ledger) == (7, 0)


def test_a_cancellation_before_its_original_gives_nothing_and_can_be_sent_again():
    program, ledger = made(RULE + "points = 50\ncap = [{ times = 1 }]")
    early = send(program, ledger, "a.cancelled", "2027-01-02", reference="o")
    assert early.outcomes[0].why == "the reference gave nothing"
    send(program, ledger, "a", "2027-01-01", reference="o")
    backdated = send(program, ledger, "a.cancelled", "2026-01-01", reference="o")
    assert isinstance(backdated.outcomes[0].error, UnknownEntry)
    again = send(program, ledger, "a.cancelled", "2027-01-02", reference="o")
    assert (again.replayed, again.outcomes[0].given) == (False, -50)
    assert send(program, ledger, "a.cancelled", "2027-01-02", reference="o").replayed


@pytest.mark.parametrize(
    ("policy", "given", "left", "freed"),
    [
        ("debt", -60, (0, 60), 60),
        ("any", -50, (0, 0), 50),
        ("unspent", 0, (50, 0), 0),
        ("reject", 0, (50, 0), 0),
    ],
)
@pytest.mark.parametrize("gone", ["spent", "transferred", "expired"])
def test_points_that_are_gone_are_taken_back_as_the_policy_says(policy, given, left, freed, gone):
    """60 points are gone, 50 of another rule are there: what comes back, and what the cap gets back."""
    other = RULE.replace('"r"', '"s"').replace('"a"', '"b"') + "points = 50\ncap = [{ times = 1 }]\n"
    expires = "expires = { days = 5 }\n" if gone == "expired" else ""
    program, ledger = made(
        other
        + RULE
        + f'points = {{ of = "amount" }}\ncap = [{{ points = 60 }}]\nclawback = "{policy}"\n{expires}'
    )
    send(program, ledger, "a", "2027-01-01", reference="o", amount=60)
    if gone == "spent":
        send(program, ledger, "points.redeemed", "2027-01-02", amount=60)
    elif gone == "transferred":
        ledger.post(Transfer(id="t", member="u", to="v", points=60, at=at("2027-01-02")))
    send(program, ledger, "b", "2027-02-01")
    (outcome,) = send(program, ledger, "a.cancelled", "2027-02-02", reference="o").outcomes
    if policy == "debt":
        left = (0, 10)
    assert outcome.given == given
    assert balance(ledger, "2027-02-03") == left
    assert outcome.status is (Status.REFUSED if policy == "reject" else Status.FIRED)
    if policy == "reject":
        assert isinstance(outcome.error, InsufficientPoints)
    assert send(program, ledger, "a", "2027-03-01", amount=99).outcomes[0].given == freed
    assert ledger.audit() == ()


@pytest.mark.parametrize("scope", ["member", "program"])
def test_a_times_cap_is_freed_only_when_all_was_recovered(scope):
    program, ledger = made(
        RULE + f'points = {{ of = "amount" }}\ncap = [{{ times = 1, scope = "{scope}" }}, {{ points = 100 }}]'
    )
    send(program, ledger, "a", "2027-01-01", reference="o", amount=10)
    send(program, ledger, "a.cancelled", "2027-01-02", reference="o", amount=9)
    assert send(program, ledger, "a", "2027-01-03", amount=10).outcomes[0].given == 0
    send(program, ledger, "a.cancelled", "2027-01-04", reference="o", amount=1)
    assert send(program, ledger, "a", "2027-01-05", amount=10).outcomes[0].given == 10


def test_a_budget_gets_points_back_in_the_period_they_were_issued_in():
    text = HEAD.replace("[funds.f]", '[funds.f]\nbudget = { points = 60, per = "month" }')
    program, ledger = made(text + RULE + "points = 50")
    send(program, ledger, "a", "2027-01-31", reference="o")
    send(program, ledger, "a", "2027-02-01", reference="p")
    send(program, ledger, "a.cancelled", "2027-02-02", reference="o")
    assert send(program, ledger, "a", "2027-02-03").outcomes[0].status is Status.REFUSED
    assert send(program, ledger, "a", "2027-01-30").outcomes[0].given == 50


def test_what_was_undone_by_hand_frees_caps_too():
    program, ledger = made(RULE + 'points = 50\ncap = [{ points = 50, per = "year" }]')
    entry = send(program, ledger, "a", "2027-01-01").outcomes[0].commands[0].id
    ledger.post(Reverse(id="by hand", entry=entry, points=20, at=at("2027-01-02")))
    assert send(program, ledger, "a", "2027-01-03").outcomes[0].given == 20


def test_an_event_that_only_a_counter_records_can_come_twice():
    program, ledger = made(
        "[counters.claims]\non = 'claim'\n"
        + RULE
        + "points = 5\nwhen = { claims = 1 }\ncap = [{ times = 9 }]"
    )
    send(program, ledger, "claim", "2027-01-01", amount=3)
    again = send(program, ledger, "claim", "2027-01-01", amount=3)
    assert (again.replayed, again.outcomes) == (True, ())
    other = send(program, ledger, "claim", "2027-01-01", amount=4)
    assert isinstance(other.outcomes[0].error, IdConflict)
    assert other.outcomes[0].error.field == "amount"
    assert send(program, ledger, "a", "2027-01-02").outcomes[0].given == 5


def test_a_cancellation_that_took_nothing_is_counted_and_returns_nothing():
    text = (
        "[counters.gone]\non = 'a.cancelled'\n"
        + RULE
        + 'points = { of = "amount" }\ncap = [{ points = 99 }]\n'
    )
    text += (
        RULE.replace('"r"', '"s"').replace('"a"', '"b"')
        + "points = 1\nwhen = { gone = 2 }\ncap = [{ times = 1 }]"
    )
    program, ledger = made(text)
    send(program, ledger, "a.cancelled", "2027-01-01", reference="o")
    send(program, ledger, "a", "2027-01-02", reference="o", amount=10)
    send(program, ledger, "a.cancelled", "2027-01-03", reference="o", amount=11)
    assert balance(ledger) == (10, 0)
    assert send(program, ledger, "b", "2027-01-04").outcomes[0].given == 1
    assert send(program, ledger, "a.cancelled", "2027-01-05", reference="o", amount=4).outcomes[0].given == -4


@pytest.mark.parametrize("sink", [3, ["x"], True, "x" * 2_000, "a\0b", "\ud800"])
def test_a_sink_that_is_none_is_refused(sink):
    program, ledger = made(RULE + "points = 50\ncap = [{ times = 1 }]")
    send(program, ledger, "a", "2027-01-01")
    (outcome,) = send(
        program, ledger, "points.redeemed", "2027-01-02", amount=1, data={"sink": sink}
    ).outcomes
    assert outcome.status is Status.REFUSED
    assert "sink" in outcome.why
    assert balance(ledger) == (50, 0)


@pytest.mark.parametrize("amount", [None, 0, -5, Decimal("1.5"), 2**62, Decimal("1e30"), Decimal("1e-30")])
def test_a_redemption_of_no_number_of_points_is_refused(amount):
    program, ledger = made(RULE + "points = 50\ncap = [{ times = 1 }]")
    send(program, ledger, "a", "2027-01-01")
    (outcome,) = send(program, ledger, "points.redeemed", "2027-01-02", amount=amount).outcomes
    assert outcome.status is Status.REFUSED
    assert balance(ledger) == (50, 0)


def test_a_returned_redemption_gives_back_the_floor_of_its_share():
    program, ledger = made(RULE + "points = 50\ncap = [{ times = 1 }]")
    send(program, ledger, "a", "2027-01-01")
    send(program, ledger, "points.redeemed", "2027-01-02", amount=40, reference="o")
    send(program, ledger, "points.redeemed.cancelled", "2027-01-03", amount=Decimal("0.5"), reference="o")
    assert balance(ledger) == (11, 0)
    send(program, ledger, "points.redeemed.cancelled", "2027-01-04", reference="o")
    assert balance(ledger) == (50, 0)


def test_a_retry_is_recognised_when_the_member_was_erased():
    program, ledger = made(RULE + "points = 50\ncap = [{ times = 1 }]")
    first = send(program, ledger, "a", "2027-01-01", reference="o")
    ledger.erase("u")
    again = send(program, ledger, "a", "2027-01-01", reference="o")
    assert (again.replayed, again.outcomes[0].given) == (True, 50)
    assert again.outcomes[0].receipts[0].sequence == first.outcomes[0].receipts[0].sequence
    # The id used again is another member, who has no history.
    assert send(program, ledger, "a", "2027-01-02").outcomes[0].given == 50
    assert ledger.audit() == ()


def test_a_replay_refuses_the_sinks_that_a_run_refuses():
    program, ledger = made(RULE + "points = 50\ncap = [{ times = 1 }]")
    sinks = [3, "shop", "x" * 2_000, None, "", "a\0b", "shop", ("x",)]
    events = [Event("e", "a", "u", at("2027-01-01"))]
    events += [
        Event(f"s{n}", "points.redeemed", "u", at("2027-01-02"), amount=2 + n, data={"sink": sink})
        for n, sink in enumerate(sinks)
    ]
    program.run(events, ledger)
    replayed, end = program.replay(events), at("2027-02-01")
    assert replayed.balance("u", end) == ledger.balance("u", end)
    assert replayed.trial_balance(end) == ledger.trial_balance(end)
    assert balance(ledger) == (50 - 3 - 5 - 6 - 8, 0)
