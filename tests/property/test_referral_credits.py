"""Credits never exceed pots, account for every conversion, and post once; against the in-memory ledger."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise, permutations, product

import attrs
import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from userops import F
from userops.points import Clawback, Fund, Ledger
from userops.referrals import (
    Binding,
    Conversion,
    Invitation,
    Levels,
    ReferralGraph,
    Refused,
    Scheme,
    Split,
    Status,
    Vest,
    crediting,
)

T = datetime(2027, 1, 1, tzinfo=UTC)
NAMES = st.sampled_from("abcdef")
DAYS = st.integers(0, 20).map(lambda n: T + timedelta(days=n))
TOUCHES = st.lists(st.builds(Invitation, NAMES, NAMES, DAYS), max_size=14)
ROLES = st.sampled_from(["", "a", "dealer"])


@st.composite
def conversions(draw):
    at = draw(DAYS)
    late = draw(st.none() | st.integers(0, 9))
    return Conversion(
        draw(st.sampled_from("123456")), draw(NAMES), draw(st.sampled_from(["drive", "buy", "other"])), at,
        None if late is None else at + timedelta(days=late), draw(ROLES), draw(ROLES),
    )  # fmt: skip


@st.composite
def shares(draw, most):
    weights = draw(st.lists(st.integers(0, 5), min_size=1, max_size=most))
    return tuple(Fraction(w, sum(weights) + draw(st.integers(0, 3)) or 1) for w in weights)


@st.composite
def schemes(draw):
    dealer, agent = (*draw(shares(2)), Fraction(0))[:2]
    caps = st.fixed_dictionaries({"per": st.sampled_from(["day", "lifetime", "reference"]),
                                  "scope": st.sampled_from(["member", "program"])})  # fmt: skip
    limit = st.builds(
        lambda c, k, n: {**c, k: n}, caps, st.sampled_from(["times", "points"]), st.integers(0, 9)
    )
    levels = draw(shares(4))
    if sum(levels) > 1 or dealer + agent > 1:
        levels, dealer, agent = (Fraction(1),), Fraction(0), Fraction(0)
    return Scheme(
        milestones={"drive": draw(st.integers(0, 20)), "buy": draw(st.integers(0, 10_000))},
        levels=Levels.table(levels, depth_accepted="a test"),
        split=draw(st.sampled_from([None, Split(dealer=dealer, agent=agent)])),
        caps=draw(st.lists(limit, max_size=2)),
        vest=draw(st.sampled_from([None, Vest(3), Vest(3, "buy")])),
        eligible=draw(st.sampled_from([None, F("kind") == "owner"])),
        clawback=draw(st.sampled_from([Clawback.DEBT, Clawback.UNSPENT])),
    )


@given(TOUCHES, st.lists(conversions(), max_size=12), schemes(), st.randoms(use_true_random=False))
def test_credits_and_refusals_account_for_every_conversion_within_the_pots(touches, facts, scheme, rng):
    graph = ReferralGraph.from_invitations(
        touches, binding=Binding(locked_days=4), attributes={name: {"kind": "owner"} for name in "abc"}
    )
    found = scheme.credit(graph, facts)
    told = {(fact.id, fact.milestone) for fact in facts}
    assert {(line.conversion, line.milestone) for line in found.lines} == told
    # Each telling beyond the first is a refusal of its own.
    assert sum(line.reason is Refused.REPEATED for line in found.lines) == len(facts) - len(told)
    assert all((line.reason is Refused.CANCELLED) == (line.status is Status.VOID) for line in found.lines)
    assert all(
        line.points == 0 and line.reason and line.why for line in found.lines if line.status is Status.REFUSED
    )
    budget = scheme.certificate().budget_per_conversion
    for one in told:
        points = sum(line.points for line in found.lines if (line.conversion, line.milestone) == one)
        assert points <= min(budget, scheme.milestones.get(one[1], 0))
    assert found.total <= found.pots == sum(scheme.milestones.get(milestone, 0) for _, milestone in told)
    again = list(facts)
    rng.shuffle(again)
    assert scheme.credit(graph, again).by_member() == found.by_member()
    _post_and_compare(scheme, found)


def test_a_division_that_rounds_up_would_be_seen(monkeypatch):
    """The negative control: with every share rounded up, the sum leaves the pot."""
    monkeypatch.setattr(
        crediting,
        "largest_remainder",
        lambda pot, shares: {key: -(-pot * share // 1) for key, share in shares.items()},
    )
    graph = ReferralGraph.from_parents([-1, 0, 1], members=["a", "b", "c"])
    thirds = Scheme(milestones={"m": 10}, levels=Levels.table([Fraction(1, 3), Fraction(2, 3)]))
    found = thirds.credit(graph, [Conversion("o", "c", "m", T)])
    assert found.total > found.pots


def _post_and_compare(scheme, found):
    book = Ledger.in_memory()
    book.add_fund(Fund("referral"))
    for command in found.commands() * 2:
        book.post(command)
    end = T + timedelta(days=99)
    for member, points in found.by_member().items():
        assert book.balance(member, as_of=end).available == points
    void = {line.member for line in found.lines if line.status is Status.VOID} - set(found.by_member())
    for member in void:
        balance = book.balance(member, as_of=end)
        assert (balance.available, balance.pending, balance.debt) == (0, 0, 0)
    assert len(book.entries()) == len(found.commands())
    assert not book.audit()


def _earned(scheme, chain, roles):
    """Divide the pot "m" over a chain (buyer last) and roles, by the words of the design page alone."""
    pot, rest = scheme.milestones["m"], Fraction(1)
    claims = []
    for role, who in roles.items():
        share = getattr(scheme.split, role) if scheme.split else Fraction(0)
        rest -= share
        if who and share:
            claims.append((who, share * pot, False))
    for who, share in zip(chain[-2::-1], scheme.levels.shares, strict=False):
        claims.append((who, share * rest * pot, True))
    whole = int(sum(quota for _, quota, _ in claims))
    given = {who: int(quota) for who, quota, _ in claims}
    claims.sort(key=lambda claim: (-(claim[1] % 1), claim[0]))
    for who, _, _ in claims[: whole - sum(given.values())]:
        given[who] += 1
    capped = {who for who, _, is_level in claims if is_level}
    for cap in scheme.caps:
        if cap.times:
            continue
        most = left = cap.points or 0
        if cap.scope == "member":
            given = {who: min(points, most) if who in capped else points for who, points in given.items()}
            continue
        for who in (*chain[-2::-1], *roles.values()):
            if who in given:
                given[who] = min(given[who], left)
                left -= given[who]
    return given


def _most_by_hand(scheme, k):
    """Return the greatest gain of k fakes, over every chain above and every order of ids."""
    depth, best = len(scheme.levels.shares), 0
    for above, dealer, agent in product(range(depth), ["", "d"], ["", "g"]):
        people = [f"up{j}" for j in range(above)] + ["ref"] + ["d"] * bool(dealer) + ["g"] * bool(agent)
        fakes = [f"fake{j}" for j in range(k)]
        honest = [*(f"up{j}" for j in reversed(range(above))), "ref", "buyer"]
        faked = [*honest[:-1], *fakes, "buyer"]
        for order in permutations([*people, *fakes]):
            name = {one: f"{place:02d}" for place, one in enumerate(order)} | {"buyer": "zz"}
            roles = {"dealer": dealer and name["d"], "agent": agent and name["g"]}
            before = _earned(scheme, [name[one] for one in honest], roles)
            after = _earned(scheme, [name[one] for one in faked], roles)
            for owner in ("buyer", "ref"):
                mine = [name[one] for one in (owner, *fakes)]
                best = max(best, sum(after.get(one, 0) for one in mine) - before.get(name[owner], 0))
    return best


@given(
    st.integers(0, 50), st.permutations("abcdef"), st.integers(2, 4), st.booleans(), st.booleans(), schemes()
)
def test_the_model_of_the_brute_force_is_what_schemes_pay(pot, names, length, dealer, agent, scheme):
    scheme = attrs.evolve(scheme, milestones={"m": pot}, eligible=None, vest=None, caps=scheme.caps[:1])
    chain = names[:length]
    roles = {"dealer": names[4] if dealer else "", "agent": names[5] if agent else ""}
    graph = nx.DiGraph()
    nx.add_path(graph, chain)
    fact = Conversion("o", chain[-1], "m", T, **roles)
    if not any(cap.scope == "program" and cap.times is not None for cap in scheme.caps):
        found = scheme.credit(ReferralGraph.from_networkx(graph), [fact]).by_member()
        expected = _earned(scheme, chain, roles)
        assert {who: n for who, n in found.items() if n} == {who: n for who, n in expected.items() if n}


@pytest.mark.parametrize(
    "scheme",
    [
        Scheme(milestones={"m": 12_000}),
        Scheme(milestones={"m": 7}, levels=Levels.table((Fraction(1, 2), Fraction(1, 2)))),
        Scheme(milestones={"m": 10}, levels=Levels.geometric(ratio=Fraction(1, 2), depth=2)),
        Scheme(milestones={"m": 10}, levels=Levels.table((Fraction(1, 4), Fraction(3, 4)))),
        Scheme(milestones={"m": 11}, levels=Levels.table((Fraction(1, 3), Fraction(1, 3)))),
        Scheme(milestones={"m": 7}, split=Split(dealer=Fraction(1, 2))),
        Scheme(milestones={"m": 5}, split=Split(dealer=Fraction(1, 3), agent=Fraction(1, 3))),
        Scheme(milestones={"m": 9}, split=Split(dealer=Fraction(1, 4), agent=Fraction(1, 4)),
               levels=Levels.table((Fraction(1, 2), Fraction(1, 2)))),
        Scheme(milestones={"m": 20}, levels=Levels.table((Fraction(2, 3), Fraction(1, 3))),
               caps=[{"points": 7}]),
        Scheme(milestones={"m": 3}, levels=Levels.table((Fraction(1, 2), Fraction(1, 2))), caps=[{"points": 1}]),
        Scheme(milestones={"m": 20}, levels=Levels.table((Fraction(1, 3), Fraction(1, 3))),
               caps=[{"points": 8, "scope": "program"}]),
        Scheme(milestones={"m": 20}, caps=[{"times": 0}], split=Split(dealer=Fraction(1, 2))),
        Scheme(milestones={"m": 20}, caps=[{"times": 0, "scope": "program"}], split=Split(dealer=Fraction(1, 2))),
    ],
)  # fmt: skip
def test_the_certificate_is_what_brute_force_finds(scheme):
    certificate = scheme.certificate()
    gains = [_most_by_hand(scheme, k) for k in range(1, 3)]
    assert [certificate.gain(k) for k in range(1, 3)] == gains
    assert certificate.gain(0) == 0
    assert certificate.gain(50) == certificate.gain(len(scheme.levels.shares))
    cost = certificate.identity_cost
    assert all(gain <= k * cost for k, gain in enumerate(gains, 1))
    assert cost == 0 or any(gain > k * (cost - 1) for k, gain in enumerate(gains, 1))


@given(
    st.integers(0, 40),
    st.lists(st.integers(0, 6), min_size=1, max_size=2),
    st.integers(0, 3),
    st.integers(0, 3),
)
def test_the_certificate_is_what_brute_force_finds_for_any_shares(pot, weights, dealer, unpaid):
    total = sum(weights) + unpaid or 1
    levels = Levels.table([Fraction(weight, total) for weight in weights])
    scheme = Scheme(milestones={"m": pot}, levels=levels, split=Split(dealer=Fraction(dealer, 7)))
    certificate = scheme.certificate()
    assert [certificate.gain(k) for k in (1, 2)] == [_most_by_hand(scheme, k) for k in (1, 2)]


@given(schemes())
def test_the_identity_cost_is_the_first_reward_when_rewards_do_not_rise(scheme):
    certificate = scheme.certificate()
    shares_of_levels = scheme.levels.shares
    falls_by_more_than_rounding = all(
        pot * (one - other) * (1 if scheme.split is None else scheme.split.rest) >= 1
        for pot in scheme.milestones.values()
        for one, other in pairwise(shares_of_levels)
    )
    if falls_by_more_than_rounding:
        assert certificate.identity_cost == certificate.first_reward
    for k in range(1, 8):
        assert certificate.gain(k) <= k * certificate.identity_cost
