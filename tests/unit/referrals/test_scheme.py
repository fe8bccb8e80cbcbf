"""Schemes: who is paid how much for which conversion, why not, and what reaches a ledger."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import networkx as nx
import pytest

from userops import F
from userops.core.expiry import Expiry
from userops.errors import IdConflict, InvalidValue, NaiveTimeError
from userops.points import Clawback, Currency, Fund, Ledger, Spend
from userops.referrals import (
    Conversion,
    Invitation,
    Levels,
    ReferralGraph,
    Refused,
    Scheme,
    Split,
    Status,
    Vest,
    credit_all,
)

T = datetime(2027, 1, 1, tzinfo=UTC)
TWO = Levels.geometric(ratio=Fraction(1, 2), depth=2)


def day(n):
    return T + timedelta(days=n)


def chain(*names, **attributes):
    graph = nx.DiGraph()
    nx.add_path(graph, names)
    for name, kind in attributes.items():
        graph.nodes[name]["kind"] = kind
    return ReferralGraph.from_networkx(graph)


def order(member, id="o1", at=10, milestone="delivery", **more):
    return Conversion(id, member, milestone, day(at), **more)


def paid(credits):
    return [(line.member, line.level, line.points, str(line.status)) for line in credits.lines]


def ledger():
    found = Ledger.in_memory()
    found.add_fund(Fund("referral"))
    return found


def test_a_pot_runs_up_the_levels():
    scheme = Scheme(milestones={"delivery": 12_000}, levels=Levels.table((Fraction(3, 4), Decimal("0.25"))))
    credits = scheme.credit(chain("ann", "bo", "cy", "dee"), [order("dee")])
    assert paid(credits) == [("cy", 1, 9_000, "paid"), ("bo", 2, 3_000, "paid")]
    assert credits.lines[1].path == ("bo", "cy", "dee")
    assert credits.lines[0].status == "paid"
    assert credits.lines[0].status is Status.PAID
    # Nobody stands above ann: the second share stays unpaid.
    assert scheme.credit(chain("ann", "bo"), [order("bo")]).total == 9_000
    assert TWO.shares == (Fraction(2, 3), Fraction(1, 3))


def test_dealer_and_agent_take_their_shares_first():
    split = Split(dealer=Fraction(1, 4), agent=Fraction(1, 10))
    scheme = Scheme(milestones={"delivery": 1_000}, levels=TWO, split=split)
    graph = chain("ann", "bo", "cy")
    both = scheme.credit(graph, [order("cy", dealer="d", agent="g")])
    assert paid(both) == [
        ("bo", 1, 433, "paid"), ("ann", 2, 217, "paid"), ("d", "dealer", 250, "paid"), ("g", "agent", 100, "paid"),
    ]  # fmt: skip
    assert both.total == 1_000 == both.pots
    # An absent dealer's share stays unpaid; it does not go to the levels.
    assert scheme.credit(graph, [order("cy", agent="g")]).by_member() == {"bo": 433, "ann": 217, "g": 100}


def test_ties_of_the_remainders_go_to_the_smallest_id():
    half = Scheme(milestones={"delivery": 3}, levels=Levels.table((Fraction(1, 2), Fraction(1, 2))))
    assert half.credit(chain("a", "b", "c"), [order("c")]).by_member() == {"a": 2, "b": 1}
    assert half.credit(chain("b", "a", "c"), [order("c")]).by_member() == {"a": 2, "b": 1}
    numbers = ReferralGraph.from_parents([1, 2, -1])
    assert half.credit(numbers, [order(0)]).by_member() == {1: 2, 2: 1}


def test_the_binding_in_force_at_the_conversion_is_credited_on_every_level():
    touches = [
        Invitation("ann", "bo", day(0)), Invitation("bo", "cy", day(10)), Invitation("dee", "bo", day(200)),
        Invitation("eve", "cy", day(300)),
    ]  # fmt: skip
    graph = ReferralGraph.from_invitations(touches)
    scheme = Scheme(milestones={"delivery": 300}, levels=TWO)

    def who(at):
        return [line.member for line in scheme.credit(graph, [order("cy", at=at)]).lines]

    assert who(10) == ["bo", "ann"]
    assert who(199) == ["bo", "ann"]
    assert who(200) == ["bo", "dee"]
    assert who(300) == ["eve"]
    early = scheme.credit(graph, [order("cy", at=9)]).lines[0]
    assert (early.reason, early.status, early.points) == (Refused.UNBOUND, Status.REFUSED, 0)
    assert early.why == "the conversion came before the binding"


def test_every_conversion_has_a_line():
    scheme = Scheme(milestones={"delivery": 100}, eligible=F("kind") == "owner")
    graph = chain("ann", "bo", "cy", ann="owner", bo="fan")
    found = scheme.credit(
        graph,
        [order("bo", "1"), order("cy", "2"), order("ann", "3"), order("zoe", "4"), order("bo", "5", milestone="x"),
         order("bo", "1"), order("bo", "6", cancelled_at=day(11))],
    )  # fmt: skip
    reasons = {line.conversion: line.reason for line in found.lines if line.status is not Status.PAID}
    assert reasons == {
        "1": Refused.REPEATED, "2": Refused.NOT_ELIGIBLE, "3": Refused.UNBOUND, "4": Refused.UNBOUND,
        "5": Refused.NOT_ELIGIBLE, "6": Refused.CANCELLED,
    }  # fmt: skip
    assert found.total == 100
    text = str(found)
    assert "not paid: " in text
    assert max(map(len, text.splitlines())) <= 80


def test_an_ineligible_second_level_stays_unpaid():
    scheme = Scheme(milestones={"delivery": 300}, levels=TWO, eligible=F("kind") == "owner")
    found = scheme.credit(chain("ann", "bo", "cy", ann="staff", bo="owner"), [order("cy")])
    assert paid(found) == [("bo", 1, 200, "paid"), ("ann", 2, 0, "refused")]


def test_the_same_fact_pays_once_and_a_cancellation_told_later_counts():
    scheme = Scheme(milestones={"delivery": 100})
    graph = chain("ann", "bo", "cy")
    told = [order("bo"), order("bo", cancelled_at=day(12)), order("bo", cancelled_at=day(11))]
    for rows in (told, told[::-1]):
        found = scheme.credit(graph, rows)
        assert sorted(str(line.status) for line in found.lines) == ["refused", "refused", "void"]
        assert found.commands()[1].at == day(11)
    other = scheme.credit(graph, [order("bo"), order("cy")])
    assert [line.reason for line in other.lines] == [None, Refused.REPEATED]
    assert "another member" in other.lines[1].why


@pytest.mark.parametrize(
    ("cap", "expected"),
    [({"times": 2}, [100, 100, 0]), ({"points": 150}, [100, 50, 0]), ({"points": 0}, [0, 0, 0]),
     ({"times": 1, "per": "month"}, [100, 0, 100]), ({"times": 1, "per": "reference"}, [100, 100, 100])],
)  # fmt: skip
def test_caps_are_per_referrer(cap, expected):
    scheme = Scheme(milestones={"delivery": 100}, caps=[cap])
    graph = ReferralGraph.from_parents([-1, 0, 0, 0, -1, 4], members=["ann", "b", "c", "d", "zoe", "e"])
    orders = [order("b", "1", 1), order("c", "2", 20), order("d", "3", 40), order("e", "4", 41)]
    found = scheme.credit(graph, orders)
    assert [line.points for line in found.lines[:3]] == expected
    assert {line.reason for line in found.lines[:3] if not line.points} <= {Refused.CAP}
    assert found.lines[3].points == min(100, cap.get("points", 100))


def test_a_cancellation_frees_the_cap_from_its_own_instant_on():
    graph = ReferralGraph.from_parents([-1, 0, 0, 0], members=["ann", "b", "c", "d"])
    orders = [order("b", "1", 1, cancelled_at=day(5)), order("c", "2", 4), order("d", "3", 5)]
    scheme = Scheme(milestones={"delivery": 100}, caps=[{"times": 1}])
    assert [str(line.status) for line in scheme.credit(graph, orders).lines] == ["void", "refused", "paid"]
    # What another policy recovers is not known here, so the cap stays taken.
    kept = Scheme(milestones={"delivery": 100}, caps=[{"times": 1}], clawback=Clawback.UNSPENT)
    assert [str(line.status) for line in kept.credit(graph, orders).lines] == ["void", "refused", "refused"]


def test_points_vest_and_expire():
    scheme = Scheme(
        milestones={"test_drive": 200, "delivery": 12_000},
        vest=Vest(days=14, after="delivery"),
        expires=Expiry(months=24, round_to="month"),
        timezone="Asia/Shanghai",
    )
    found = scheme.credit(chain("ann", "bo"), [order("bo", milestone="test_drive"), order("bo", at=20)])
    assert [line.available_at for line in found.lines] == [None, day(34)]
    assert found.commands()[1].expires_at == datetime(2029, 1, 31, 16, tzinfo=UTC)
    short = Scheme(milestones={"delivery": 5}, vest=Vest(14), expires=Expiry(days=7))
    assert short.credit(chain("ann", "bo"), [order("bo")]).commands()[0].expires_at == day(32)


def test_posting_twice_pays_once_and_a_late_cancellation_is_one_reversal():
    book, graph, scheme = ledger(), chain("ann", "bo", "cy"), Scheme(milestones={"delivery": 100}, levels=TWO)
    for command in (*scheme.credit(graph, [order("cy")]).commands(),) * 2:
        book.post(command)
    assert book.balance("bo", as_of=day(11)).available == 67
    late = scheme.credit(graph, [order("cy", cancelled_at=day(12)), order("bo", "o2", 13)])
    for command in late.commands():
        book.post(command)
    assert book.balance("bo", as_of=day(12)).available == 0
    assert book.balance("ann", as_of=day(12)).available == 0
    # Of o2 only ann's two thirds can be taken: 66.67, rounded down.
    assert book.balance("ann", as_of=day(13)).available == 66
    assert book.balance("bo", as_of=day(11)).available == 67


def test_a_cancelled_order_leaves_a_debt_for_what_was_spent():
    book, scheme = ledger(), Scheme(milestones={"delivery": 100})
    graph = chain("ann", "bo")
    for command in scheme.credit(graph, [order("bo")]).commands():
        book.post(command)
    book.post(Spend(id="s", member="ann", points=30, sink="shop", at=day(11)))
    for command in scheme.credit(graph, [order("bo", cancelled_at=day(12))]).commands():
        book.post(command)
    balance = book.balance("ann", as_of=day(12))
    assert (balance.available, balance.debt) == (0, 30)


def test_a_later_list_that_credits_somebody_else_is_a_conflict_naming_both():
    book, scheme = ledger(), Scheme(milestones={"delivery": 100})
    book.post(*scheme.credit(chain("ann", "bo"), [order("bo")]).commands())
    with pytest.raises(IdConflict, match="'ann', now 'zoe'"):
        book.post(*scheme.credit(chain("zoe", "bo"), [order("bo")]).commands())


def test_ids_are_of_scheme_conversion_milestone_and_level():
    scheme = Scheme(name="s", milestones={"m:1": 100}, split=Split(dealer=Fraction(1, 2)))
    found = scheme.credit(chain("ann", "bo"), [order("bo", "o|1", milestone="m:1", dealer="d")]).commands()
    assert [command.id for command in found] == ["1:s3:o|13:m:11:1", "1:s3:o|13:m:16:dealer"]


def test_classes_of_referrers_are_schemes_that_must_not_overlap():
    graph = chain("ann", "bo", "cy", ann="owner", bo="broker")
    owner = Scheme(name="owner", milestones={"delivery": 100}, eligible=F("kind") == "owner")
    broker = Scheme(name="broker", milestones={"delivery": 40}, eligible=F("kind") == "broker")
    found = credit_all([owner, broker], graph, [order("bo", "1"), order("cy", "2"), order("ann", "3")])
    assert paid(found) == [("ann", 1, 100, "paid"), ("bo", 1, 40, "paid"), ("", 1, 0, "refused")]
    assert found.pots == 240
    everybody = Scheme(name="all", milestones={"delivery": 1})
    with pytest.raises(InvalidValue, match="overlap: both pay the referrer 'ann'"):
        credit_all([owner, everybody], graph, [])
    with pytest.raises(InvalidValue, match="'owner'"):
        credit_all([owner, owner], graph, [])
    with pytest.raises(InvalidValue, match="'all' and 'b' overlap"):
        credit_all([everybody, Scheme(name="b", milestones={"delivery": 1})], graph, [])
    with pytest.raises(InvalidValue):
        credit_all([], graph, [])


def test_terms_that_mean_nothing_are_refused():
    ok = {"delivery": 100}
    for bad in (
        {"milestones": {"delivery": -1}}, {"milestones": {}}, {"milestones": {"delivery": 1.0}},
        {"milestones": {"delivery": True}}, {"milestones": ok, "levels": (1,)}, {"milestones": ok, "split": 0.1},
        {"milestones": ok, "caps": {"times": 1}}, {"milestones": ok, "caps": [{"time": 1}]},
        {"milestones": ok, "caps": [{"times": 1, "points": 2}]}, {"milestones": ok, "vest": Vest(1, "other")},
        {"milestones": ok, "eligible": "owner"}, {"milestones": ok, "clawback": "debt"},
        {"milestones": ok, "expires": Expiry(inactive_months=3)}, {"milestones": ok, "timezone": "Nowhere"},
        {"milestones": ok, "name": "x" * 101},
    ):  # fmt: skip
        with pytest.raises(InvalidValue):
            Scheme(**bad)
    for bad in (
        (0.5,),
        (Fraction(3, 2),),
        (Fraction(-1, 2),),
        (Fraction(2, 3), Fraction(2, 3)),
        (),
        "1",
        (True,),
    ):
        with pytest.raises(InvalidValue):
            Levels.table(bad)
    with pytest.raises(InvalidValue, match="China"):
        Levels.table((Fraction(1, 3),) * 3)
    assert Levels.geometric(ratio=1, depth=3, depth_accepted="Norway only").shares == (Fraction(1, 3),) * 3
    for bad in ({"ratio": 0.5, "depth": 2}, {"ratio": 0, "depth": 2}, {"ratio": 1, "depth": 0}):
        with pytest.raises(InvalidValue):
            Levels.geometric(**bad)
    for bad in ({"dealer": 0.5}, {"dealer": 2}, {"dealer": Fraction(2, 3), "agent": Fraction(2, 3)}):
        with pytest.raises(InvalidValue):
            Split(**bad)
    with pytest.raises(NaiveTimeError):
        Conversion("o", "bo", "delivery", datetime(2027, 1, 1))
    for bad in (
        ("", "bo", "delivery", T),
        ("o", 1.5, "delivery", T),
        ("o", "bo", "", T),
        ("o", True, "m", T),
    ):
        with pytest.raises(InvalidValue):
            Conversion(*bad)
    with pytest.raises(InvalidValue, match="Conversion"):
        Scheme(milestones=ok).credit(chain("a", "b"), ["o1"])
    with pytest.raises(InvalidValue, match="ReferralGraph"):
        Scheme(milestones=ok).credit(nx.DiGraph(), [])


def test_wallets_are_known_by_text():
    scheme = Scheme(milestones={"delivery": 100})
    found = scheme.credit(ReferralGraph.from_parents([-1, 0]), [order(1)])
    assert found.by_member() == {0: 100}
    with pytest.raises(InvalidValue, match="number"):
        found.commands()


def test_another_currency_and_fund():
    book = ledger()
    book.add_currency(Currency("value", spendable=False))
    book.add_fund(Fund("value"))
    scheme = Scheme(milestones={"delivery": 5}, currency="value", fund="value")
    book.post(*scheme.credit(chain("ann", "bo"), [order("bo")]).commands())
    assert book.balance("ann", currency="value", as_of=day(10)).available == 5


def test_expiry_is_taken_as_the_program_file_has_it():
    terms = {"milestones": {"delivery": 9}}
    assert Scheme(**terms, expires={"months": 24, "round_to": "month"}).expires == Expiry(
        months=24, round_to="month"
    )
    assert Scheme(**terms, expires="none").expires is None
    for wrong in (
        {"month": 24},
        {"months": 24, "days": 1},
        {},
        {"months": 24, "round_to": "week"},
        "never",
        24,
    ):
        with pytest.raises(InvalidValue):
            Scheme(**terms, expires=wrong)
