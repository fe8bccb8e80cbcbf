"""The referral scheme of a program: milestones are its events, and credits are posted once."""

from datetime import UTC, datetime, timedelta

import pytest

from userops import Event, PlanError
from userops.errors import InvalidValue
from userops.points import Ledger
from userops.program import Program
from userops.referrals import Invitation, ReferralGraph

T = datetime(2027, 1, 1, tzinfo=UTC)
TEXT = """
schema = 1
name = "club"
[funds.referral]
budget = { points = 50_000_000, per = "year" }
[referral]
binding = { window_days = 30, locked_days = 180 }
milestones = { "order.delivered" = 12_000 }
levels = ["1"]
fund = "referral"
"""


def test_a_delivery_credits_the_referrer_once_and_a_cancellation_takes_it_back():
    program = Program.load(TEXT)
    invited = [Invitation(referrer="ann", invitee="bo", at=T, code="C", channel="app")]
    graph = ReferralGraph.from_invitations(
        invited, binding=program.binding, members={"ann": T - timedelta(days=9), "bo": T + timedelta(days=1)}
    )
    delivered = Event("d", "order.delivered", "bo", T + timedelta(days=60), reference="o")
    ledger = Ledger.in_memory()
    program.register(ledger)
    for _ in range(2):
        ledger.post_all(program.referral_credits(graph, [delivered]).commands())
        assert ledger.balance("ann", T + timedelta(days=61)).available == 12_000
    partly = Event("p", "order.delivered.cancelled", "bo", T + timedelta(days=61), reference="o", amount=3)
    whole = Event("c", "order.delivered.cancelled", "bo", T + timedelta(days=62), reference="o")
    ledger.post_all(program.referral_credits(graph, [delivered, partly]).commands())
    assert ledger.balance("ann", T + timedelta(days=63)).available == 12_000
    ledger.post_all(program.referral_credits(graph, [whole, partly, delivered]).commands())
    assert ledger.balance("ann", T + timedelta(days=63)).available == 0
    assert ledger.audit() == ()


@pytest.mark.parametrize(
    ("was", "is_", "says"),
    [
        ('budget = { points = 50_000_000, per = "year" }', "", "nothing bounds"),
        ('fund = "referral"', 'fund = "referal"', "did you mean"),
        ('levels = ["1"]', 'levels = ["0.7", "0.7"]', "referral.levels"),
        ("12_000", "-1", "referral.milestones"),
        ("window_days", "windows_days", "unknown key"),
    ],
)
def test_faults_are_found(was, is_, says):
    with pytest.raises(PlanError) as caught:
        Program.load(TEXT.replace(was, is_))
    assert says in str(caught.value)


def test_a_program_without_a_scheme_says_so():
    with pytest.raises(InvalidValue, match="referral"):
        Program.load("schema = 1\nname = 'x'\n").referral_credits(None, [])


def test_the_worst_case_counts_every_pot():
    assert Program.load(TEXT).worst_case(members=10, events=100) == {"referral": 1_200_000}
    assert Program.load(TEXT).worst_case(members=10, events=10**6) == {"referral": 100_000_000}
