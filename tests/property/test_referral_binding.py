"""Binding agrees with a plain model that reads the rules one sentence at a time."""

from datetime import UTC, datetime, timedelta

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from userops.referrals import Binding, Invitation, ReferralGraph, Touch

T = datetime(2027, 1, 1, tzinfo=UTC)
NAMES = [f"{letter}{n}" for letter in "abcde" for n in (1, 2)]
ACCOUNTS = st.sampled_from(NAMES)
DAYS = st.integers(0, 12).map(lambda n: T + timedelta(days=n))
TOUCHES = st.lists(st.tuples(ACCOUNTS, ACCOUNTS, DAYS), max_size=25)
PAIRS = st.lists(st.tuples(ACCOUNTS, ACCOUNTS), max_size=3)
FACTS = st.dictionaries(ACCOUNTS, DAYS, max_size=6)
SETS = st.sets(ACCOUNTS, max_size=2)
RULES = st.builds(
    Binding,
    window_days=st.none() | st.integers(1, 9),
    locked_days=st.none() | st.integers(0, 9),
    cap=st.none() | st.integers(0, 3),
    touch=st.sampled_from(Touch),
)


def model(touches, rules, pairs, members, orders, staff, flagged):
    """Return ({person: [(at, referrer)]}, [(referrer, invitee, at, reason)])."""
    same = nx.Graph(pairs)
    same.add_nodes_from(NAMES)

    def accounts(a):
        return nx.node_connected_component(same, a)

    def first(facts, a):
        return min((facts[b] for b in accounts(a) if b in facts), default=None)

    bonds, refused = {}, []
    for at, invitee, referrer in sorted((at, b, a) for a, b, at in touches):
        person, above = min(accounts(invitee)), min(accounts(referrer))
        current = {p: found[-1][1] for p, found in bonds.items()}
        chain = [above]
        while chain[-1] in current:
            chain.append(current[chain[-1]])
        joined, ordered = first(members or {}, invitee), first(orders, invitee)
        held = bonds.get(person)
        lock = None if rules.locked_days is None else timedelta(days=rules.locked_days)
        is_locked = held and rules.touch is Touch.FIRST and (lock is None or at < held[-1][0] + lock)
        mine = sum(1 for p, r in current.items() if r == above and p != person)
        window = None if rules.window_days is None else timedelta(days=rules.window_days)
        tests = [
            ("SELF", referrer == invitee),
            ("SAME_PERSON", person == above),
            ("UNKNOWN_REFERRER", members is not None and not accounts(referrer) & set(members)),
            ("STAFF", accounts(referrer) & staff),
            ("FLAGGED", accounts(referrer) & flagged),
            ("EXISTING_MEMBER", joined is not None and joined < at),
            ("AFTER_ORDER", ordered is not None and ordered < at),
            ("EXPIRED", joined is not None and window is not None and joined - at >= window),
            ("ALREADY_REFERRED", is_locked),
            ("CYCLE", person in chain),
            ("CAP", rules.cap is not None and current.get(person) != above and mine >= rules.cap),
        ]
        reason = next((name for name, holds in tests if holds), None)
        if reason is None:
            bonds.setdefault(person, []).append((at, above))
        else:
            refused.append((referrer, invitee, at, reason))
    return bonds, refused


@given(TOUCHES, RULES, PAIRS, st.none() | FACTS, FACTS, SETS, SETS)
def test_binding_follows_the_rules(touches, rules, pairs, members, orders, staff, flagged):
    graph = ReferralGraph.from_invitations(
        [Invitation(a, b, at) for a, b, at in touches],
        binding=rules, same_person=pairs, members=members, orders=orders, staff=staff, flagged=flagged,
    )  # fmt: skip
    bonds, refused = model(touches, rules, pairs, members, orders, staff, flagged)
    assert [(r.referrer, r.invitee, r.at, r.reason.name) for r in graph.rejected] == refused
    for n in range(-1, 14):
        at = T + timedelta(days=n)
        for account in NAMES:
            person = graph.person(account)
            found = [r for start, r in bonds.get(person, []) if start <= at]
            assert graph.referrer(account, at=at) == (found[-1] if found else None)
    expected = {p: found[-1][1] for p, found in bonds.items()}
    parents = graph.parent.tolist()
    assert {m: graph.members[p] for m, p in zip(graph.members, parents, strict=True) if p >= 0} == expected


@given(TOUCHES)
def test_a_graph_survives_networkx_and_back(touches):
    graph = ReferralGraph.from_invitations([Invitation(a, b, at, code="c") for a, b, at in touches])
    back = ReferralGraph.from_networkx(graph.to_networkx())
    assert back.members == graph.members
    assert back.parent.tolist() == graph.parent.tolist()
    assert back.bound_at().tolist() == graph.bound_at().tolist()
    assert nx.utils.graphs_equal(back.to_networkx(), graph.to_networkx())
