"""Touches bind a person to one referrer, or are refused for the first of eleven reasons."""

import random
from datetime import UTC, date, datetime, timedelta

import pytest

from userops.errors import InvalidValue, NaiveTimeError
from userops.referrals import Binding, Invitation, ReferralGraph, Reject, Touch

T = datetime(2027, 1, 1, tzinfo=UTC)


def day(n):
    return T + timedelta(days=n)


def reasons(graph):
    return [(r.referrer, r.invitee, r.reason) for r in graph.rejected]


def graph_of(*touches, **facts):
    return ReferralGraph.from_invitations([Invitation(a, b, day(n)) for a, b, n in touches], **facts)


def test_the_reasons_are_eleven_in_order():
    assert [r.name for r in Reject] == [
        "SELF", "SAME_PERSON", "UNKNOWN_REFERRER", "STAFF", "FLAGGED", "EXISTING_MEMBER", "AFTER_ORDER",
        "EXPIRED", "ALREADY_REFERRED", "CYCLE", "CAP",
    ]  # fmt: skip


def test_each_reason_is_reached_and_beats_those_after_it():
    """One touch to which all later reasons apply too; taking the facts away one by one moves down the list."""
    before = [
        Invitation("zoe", "bo", day(0)),
        Invitation("bo", "ann", day(1)),
        Invitation("ann", "other", day(2)),
    ]
    facts = {
        "same_person": [("ann", "bo")],
        "members": {"bo": day(5), "zoe": day(-9), "cy": day(-9)},
        "orders": {"bo": day(4)},
        "staff": {"ann"},
        "flagged": {"ann"},
    }
    rules = Binding(window_days=30, locked_days=None, cap=0)

    def last(referrer, **changes):
        found = ReferralGraph.from_invitations(
            [Invitation(referrer, "bo", day(20))], binding=rules, **{**facts, **changes}
        )
        return found.rejected[-1].reason

    assert last("bo") is Reject.SELF
    assert last("ann") is Reject.SAME_PERSON
    assert last("ann", same_person=()) is Reject.UNKNOWN_REFERRER
    assert last("") is Reject.UNKNOWN_REFERRER
    known = {"same_person": (), "members": {**facts["members"], "ann": day(-9)}}
    assert last("ann", **known) is Reject.STAFF
    assert last("ann", **known, staff=()) is Reject.FLAGGED
    assert last("ann", **known, staff=(), flagged=()) is Reject.EXISTING_MEMBER
    late = {**known, "staff": (), "flagged": (), "members": {**known["members"], "bo": day(80)}}
    assert last("ann", **late) is Reject.AFTER_ORDER
    assert last("ann", **late, orders={}) is Reject.EXPIRED

    def then(binding, *touches):
        return ReferralGraph.from_invitations([*before, *touches], binding=binding).rejected[-1].reason

    cyclic = Invitation("other", "bo", day(20))
    assert then(Binding(cap=1), cyclic) is Reject.ALREADY_REFERRED
    assert then(Binding(cap=1, locked_days=3), cyclic) is Reject.CYCLE
    assert then(Binding(cap=1, locked_days=3), Invitation("ann", "new", day(20))) is Reject.CAP


def test_an_existing_member_and_an_order_count_strictly_before_the_touch():
    assert not graph_of(("ann", "bo", 3), members={"ann": None, "bo": day(3)}).rejected
    assert not graph_of(("ann", "bo", 3), orders={"bo": day(3)}).rejected
    just_before = day(3) - timedelta(microseconds=1)
    assert graph_of(("ann", "bo", 3), orders={"bo": just_before}).rejected[0].reason is Reject.AFTER_ORDER


@pytest.mark.parametrize(("joined", "refused"), [(29.999, False), (30, True)])
def test_the_window_is_half_open(joined, refused):
    graph = graph_of(("ann", "bo", 0), members={"ann": None, "bo": day(joined)})
    assert [r.reason for r in graph.rejected] == [Reject.EXPIRED] * refused


def test_the_lock_is_half_open_and_a_later_touch_binds_anew():
    graph = graph_of(("ann", "bo", 0), ("cy", "bo", 179.999), ("dee", "bo", 180), ("ann", "bo", 200))
    assert reasons(graph) == [
        ("cy", "bo", Reject.ALREADY_REFERRED), ("ann", "bo", Reject.ALREADY_REFERRED)
    ]  # fmt: skip
    assert graph.referrer("bo") == "dee"
    assert graph.referrer("bo", at=day(0)) == "ann"
    assert graph.referrer("bo", at=day(179.9)) == "ann"
    assert graph.referrer("bo", at=day(180)) == "dee"
    assert graph.referrer("bo", at=day(-1)) is None


def test_the_last_touch_before_joining_binds_without_a_lock():
    facts = {
        "members": {"ann": None, "cy": None, "dee": None, "bo": day(5)},
        "binding": Binding(touch=Touch.LAST),
    }
    graph = graph_of(("ann", "bo", 0), ("cy", "bo", 4), ("dee", "bo", 6), **facts)
    assert graph.referrer("bo") == "cy"
    assert reasons(graph) == [("dee", "bo", Reject.EXISTING_MEMBER)]


def test_a_person_has_one_referrer_whatever_the_account_and_a_hijack_is_said_so():
    graph = graph_of(("ann", "bo", 0), ("cy", "bo-2", 3), same_person=[("bo", "bo-2")])
    refusal = graph.rejected[0]
    assert refusal.reason is Reject.ALREADY_REFERRED
    assert "hijack" in refusal.why
    assert "'bo-2'" in refusal.why
    assert "'bo'" in refusal.why
    assert graph.referrer("bo-2") == "ann"
    assert graph.members == ("ann", "bo", "cy")
    # The same referrer, or the same account, is no hijack.
    again = graph_of(("ann", "bo", 0), ("ann", "bo-2", 3), ("cy", "bo", 4), same_person=[("bo", "bo-2")])
    assert not any("hijack" in r.why for r in again.rejected)


def test_a_hijack_by_registering_anew_is_an_existing_member_and_names_both_accounts():
    graph = graph_of(
        ("ann", "bo", 0), ("cy", "bo-2", 9),
        same_person=[("bo-2", "bo")], members={"ann": None, "cy": None, "bo": day(2), "bo-2": day(10)},
    )  # fmt: skip
    assert graph.rejected[0].reason is Reject.EXISTING_MEMBER
    assert "'bo-2'" in graph.rejected[0].why
    assert "as 'bo'" in graph.rejected[0].why


def test_persons_are_components_and_the_smallest_account_names_them():
    graph = graph_of(("b", "x", 0), ("x3", "a", 2), same_person=[("c", "b"), ("b", "a"), ("x", "x3")])
    assert reasons(graph) == [("x3", "a", Reject.CYCLE)]
    assert graph.path("x3") == ("a", "x")


def test_the_cap_counts_invitees_in_force():
    rules = Binding(cap=1, locked_days=10)
    graph = graph_of(("ann", "bo", 0), ("ann", "cy", 1), ("dee", "bo", 10), ("ann", "cy", 11), binding=rules)
    assert reasons(graph) == [("ann", "cy", Reject.CAP)]
    assert graph.generations("ann") == (("cy",),)
    renewed = graph_of(("ann", "bo", 0), ("ann", "bo", 10), binding=rules)
    assert not renewed.rejected


def test_the_order_of_rows_does_not_matter():
    names = "abcdefgh"
    rng = random.Random(5)
    touches = [(rng.choice(names), rng.choice(names), rng.randrange(6)) for _ in range(60)]
    rules = Binding(locked_days=2, cap=3)
    first = graph_of(*touches, binding=rules)
    for _ in range(5):
        rng.shuffle(touches)
        assert graph_of(*touches, binding=rules) == first


def test_long_chains_and_rings_need_no_recursion():
    n = 50_000
    chain = [(f"{k:06d}", f"{k + 1:06d}", 0) for k in range(n)]
    ring = graph_of(*chain, (f"{n:06d}", "000000", 1))
    assert [r.reason for r in ring.rejected] == [Reject.CYCLE]
    assert int(ring.depth.max()) == n
    # Built from the far end, every touch asks whether the head of a long chain is below it.
    backwards = graph_of(*((a, b, n - k) for k, (a, b, _) in enumerate(chain)), (f"{n:06d}", "000000", n + 1))
    assert [r.reason for r in backwards.rejected] == [Reject.CYCLE]


def test_malformed_values_raise_and_say_what():
    with pytest.raises(NaiveTimeError):
        Invitation("a", "b", datetime(2027, 1, 1))
    with pytest.raises(NaiveTimeError):
        Invitation("a", "b", date(2027, 1, 1))
    for bad in (1, None, "", b"x", "a\0"):
        with pytest.raises(InvalidValue):
            Invitation("a", bad, T)
    with pytest.raises(InvalidValue):
        Invitation(7, "b", T)
    assert Invitation(None, "b", T).referrer == ""
    with pytest.raises(InvalidValue, match="Invitation"):
        ReferralGraph.from_invitations([("a", "b", T)])
    with pytest.raises(NaiveTimeError, match="'b'"):
        ReferralGraph.from_invitations([], members={"b": datetime(2027, 1, 1)})
    with pytest.raises(InvalidValue):
        ReferralGraph.from_invitations([], members=["a"])
    with pytest.raises(InvalidValue):
        ReferralGraph.from_invitations([], staff="ann")
    with pytest.raises(InvalidValue):
        ReferralGraph.from_invitations([], same_person=["ab"])
    for bad in (
        {"window_days": True},
        {"window_days": 1.5},
        {"locked_days": -1},
        {"cap": -1},
        {"touch": "first"},
    ):
        with pytest.raises(InvalidValue):
            Binding(**bad)
