"""The columnar engine gives the ledger's figures, to the point, on random programs."""

import copy
from datetime import date
from decimal import Decimal

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from userops.core.calendar import month_starts, zone
from userops.core.commands import Expire
from userops.errors import BudgetExceeded, UnknownEntry
from userops.points import Ledger
from userops.referrals import ReferralGraph
from userops.simulation import Plan
from userops.simulation.inputs import Rulebook
from userops.simulation.rules import engine

KINDS = ("a.done", "b.done", "c.done")
FUNDS = ("sales", "club")
COLUMNS = ("issued", "redeemed", "expired", "clawed_back", "outstanding")

#: Each example of these runs a whole plan more than once.
FEWER = settings().max_examples // 2


def by_the_ledger(plan, trace):
    """Run a trace's events through the program, and read the same figures out of the ledger.

    What the program's referral scheme credits is posted after the event of its instant.
    """
    ledger = Ledger.in_memory()
    program, refusals = plan.program, []
    if program.scheme is None:
        decisions = program.run(trace.events, ledger, members=trace.members)
    else:
        program.register(ledger)
        graph = ReferralGraph.from_invitations(
            trace.invitations,
            binding=program.binding,
            members={name: known["joined_at"] for name, known in trace.members.items()},
            attributes={name: trace.graph.attributes(name) for name in trace.members},
        )
        due = list(program.referral_credits(graph, trace.events).commands())
        decisions = []
        for event in trace.events:
            decisions.append(program.handle(event, ledger, trace.members))
            while due and due[0].at <= event.at:
                try:
                    ledger.post(due.pop(0))
                except BudgetExceeded as refusal:
                    refusals.append((event.at, refusal.fund, refusal.asked))
                except UnknownEntry:
                    pass  # Its grant was refused for want of budget.
        assert not due
    horizon = plan.table["horizon"]
    tz = zone(plan.program.timezone)
    bounds = month_starts(horizon["start"], horizon["months"], tz)
    found, before = {}, {}
    for month, end in enumerate(bounds[1:], start=1):
        ledger.post(Expire(at=end))
        rows = {row.fund: row for row in ledger.funding(end) if row.currency == "points"}
        for fund in FUNDS:
            now = {name: getattr(rows[fund], name) if fund in rows else 0 for name in COLUMNS}
            was = before.get(fund, dict.fromkeys(COLUMNS, 0))
            found[month, fund] = {
                name: now[name] if name == "outstanding" else now[name] - was[name] for name in COLUMNS
            }
            found[month, fund]["refused"] = 0
            before[fund] = now
    for decision in decisions:
        month = sum(end <= decision.event.at for end in bounds[1:]) + 1
        for outcome in decision.outcomes:
            if isinstance(outcome.error, BudgetExceeded):
                rule = next(rule for rule in plan.program.earn if rule.name == outcome.rule)
                if rule.currency == "points":
                    found[month, outcome.error.fund]["refused"] += (
                        outcome.asked if not outcome.cap else outcome.error.asked
                    )
    for at, fund, asked in refusals:
        found[sum(end <= at for end in bounds[1:]) + 1, fund]["refused"] += asked
    return found


def of_trace(trace):
    columns = trace.to_columns()
    return {
        (int(month), str(fund)): {name: int(columns[name][k]) for name in (*COLUMNS, "refused")}
        for k, (month, fund) in enumerate(zip(columns["month"], columns["fund"], strict=True))
    }


PERS = ("day", "week", "month", "year", "lifetime", "reference")

caps = st.builds(
    lambda what, n, per, scope: {what: n * (1 if what == "times" else 7), "per": per, "scope": scope},
    st.sampled_from(("times", "points")),
    st.integers(1, 4),
    st.sampled_from(PERS),
    st.sampled_from(("member", "member", "program")),
)
conditions = st.sampled_from(
    (
        None,
        {"kind": "fan"},
        {"city": ["Hefei", "Wuhan"]},
        {"amount": {">=": 20}},
        {"not": {"city": "Hefei"}},
        {"seen": {"<": 3}},
        {"worth": {">": 30}},
        {"any": [{"kind": "owner"}, {"amount": {"<": 10}}]},
        {"ghost": {"missing": True}},
        {"ghost": 3},
    )
)
grants = st.one_of(
    st.integers(1, 30),
    st.builds(
        lambda per, give, round_: {"per": per, "give": give, "of": "amount", "round": round_},
        st.integers(1, 7),
        st.integers(1, 5),
        st.sampled_from(("down", "up", "half_up", "half_even")),
    ),
    st.just({"table": {"Hefei": 5, "Wuhan": 11}, "by": "city"}),
    st.lists(st.integers(1, 9), min_size=1, max_size=4).map(lambda steps: {"streak": steps, "of": "day"}),
)
expiries = st.sampled_from(
    (
        None,
        {"months": 1},
        {"months": 2, "round_to": "month"},
        {"days": 0},
        {"days": 10},
        {"days": 45},
        {"years": 1},
        {"calendar": "02-28"},
        {"calendar": "12-31"},
    )
)
requirements = st.sampled_from(
    ({"kind": "owner"}, {"city": ["Hefei", "Wuhan"]}, {"not": {"city": "Hefei"}}, {"ghost": 1})
)
multipliers = st.sampled_from((None, {"gold": "1.5", "ep": "2"}))


@st.composite
def rules(draw, place):
    rule = {
        "name": f"rule{place}",
        "on": draw(st.sampled_from(KINDS)),
        "points": draw(grants),
        "fund": draw(st.sampled_from(FUNDS)),
        "unbounded": "accepted",
    }
    listed = draw(st.lists(caps, max_size=2, unique_by=lambda cap: (cap["per"], cap["scope"])))
    # One name counts once per period, whatever the limit: the plain engine keeps one count for both scopes.
    listed = [cap for k, cap in enumerate(listed) if cap["per"] not in [one["per"] for one in listed[:k]]]
    if draw(st.booleans()):
        listed.append({"shared": draw(st.sampled_from(("basics", "all")))})
    if listed:
        rule["cap"] = listed
    for key, value in (
        ("when", draw(conditions)),
        ("expires", draw(expiries)),
        ("multiply_by_tier", draw(multipliers)),
    ):
        if value is not None:
            rule[key] = value
    if draw(st.integers(0, 3)) == 0:
        # What expires before it activates, whenever it is earned, is a fault of the file.
        rule["activates"] = {"days": draw(st.integers(0, min(20, rule.get("expires", {}).get("days", 20))))}
    if draw(st.integers(0, 2)) == 0:
        rule["group"] = draw(st.sampled_from(("best", "first", "all")))
    if draw(st.integers(0, 3)) == 0:
        rule["priority"] = draw(st.integers(-2, 2))
    if draw(st.integers(0, 5)) == 0:
        rule["from"] = date(2027, 1, draw(st.integers(1, 28)))
    if draw(st.integers(0, 5)) == 0:
        rule["until"] = date(2027, 3, draw(st.integers(1, 28)))
    return rule


def _add_tiers(draw, program):
    """Let a growth value decide tiers, and some rules depend on them."""
    program["currencies"] = {"value": {"spendable": False}}
    program["tiers"] = {
        "currency": "value",
        "window": draw(
            st.sampled_from(("lifetime", "calendar_year", "anniversary", {"rolling": {"months": 1}}))
        ),
        "keep": {"months": 1, **draw(st.sampled_from(({}, {"until": "month_end"})))},
        "downgrade": draw(st.sampled_from(("one_step", "to_earned", "never"))),
        "grace": {"days": draw(st.integers(1, 5))},
        "crossing": draw(st.sampled_from(("old_rate", "new_rate"))),
        "tier": [
            {"name": "member", "at_least": 0},
            {"name": "gold", "at_least": 4},
            {"name": "ep", "at_least": 9, "requires": draw(requirements)},
        ],
    }
    program["earn"].append(
        {
            "name": "value",
            "on": draw(st.sampled_from(KINDS)),
            "points": draw(st.integers(1, 3)),
            "currency": "value",
            "cap": [{"times": 2, "per": "day"}],
        }
    )
    for rule in program["earn"]:
        if draw(st.integers(0, 3)) == 0:
            rule["when"] = {"tier": ["gold", "ep"]}
    # Mostly the value asks for no tier, and is decided before all that does.
    if draw(st.integers(0, 3)):
        program["earn"][-1].pop("when", None)


@st.composite
def plans(draw):
    count = draw(st.integers(1, 5))
    program = {
        "schema": 1,
        "name": "random",
        "timezone": draw(st.sampled_from(("UTC", "Asia/Shanghai", "America/New_York"))),
        "funds": {name: {"unit_cost": "0.1"} for name in FUNDS},
        "groups": {"best": "best", "first": "first", "all": "all"},
        "caps": {
            "basics": {"points": draw(st.integers(5, 60)), "per": "lifetime", "when": {"kind": "fan"}},
            "all": {
                "times": draw(st.integers(1, 30)),
                "per": draw(st.sampled_from(("day", "month", "lifetime"))),
                "scope": draw(st.sampled_from(("member", "program"))),
            },
        },
        "counters": {
            "seen": {"on": "b.done", "within": draw(st.sampled_from(({"months": 1}, {"days": 9})))},
            "worth": {"on": "a.done", "sum": "amount"},
        },
        "earn": [draw(rules(place)) for place in range(count)],
    }
    if draw(st.booleans()):
        _add_tiers(draw, program)
    for name in FUNDS:
        if draw(st.integers(0, 2)) == 0:
            program["funds"][name]["budget"] = {
                "points": draw(st.integers(0, 400)),
                "per": draw(st.sampled_from(("day", "week", "month", "year", "lifetime"))),
            }
    word = {"city": {"Hefei": 2, "Wuhan": 1, "Shanghai": 1}}
    if draw(st.booleans()):
        # An event that says a tier itself: with a ladder, tiers are then found on the way, event by event.
        word["tier"] = {"gold": 1, "ep": 1, "none": 2}
    data = {kind: {"amount": {"uniform": [0, 60]}, **word} for kind in draw(st.sets(st.sampled_from(KINDS)))}
    plan = {
        "horizon": {
            "start": date(2027, draw(st.sampled_from((1, 10))), 1),
            "months": draw(st.integers(1, 5)),
        },
        "population": {
            "fan": {
                "members": 6,
                "joins_per_month": 1,
                "becomes": {"group": "owner", "per_month": Decimal("0.1"), "event": "a.done"},
            },
            "owner": {"members": 3},
        },
        "behaviour": {
            "lapse_per_month": Decimal("0.05"),
            "redeem_per_month": draw(st.sampled_from((Decimal("0.4"), 0, 1))),
            "redeem_share": draw(st.sampled_from((Decimal("0.5"), 1))),
            "redeem_balance": 20,
            "events_per_month": {
                "a.done": {"mean": 2, "dispersion": 1},
                "b.done": draw(st.sampled_from((1, 3))),
                "c.done": 1,
            },
            "data": data,
        },
    }
    return plan, program


@given(tables=plans(), seed=st.integers(0, 2**32))
def test_trace_is_what_the_ledger_says(tables, seed):
    plan = Plan.from_tables(*copy.deepcopy(tables))
    trace = plan.trace(members=9, seed=seed)
    assert of_trace(trace) == by_the_ledger(plan, trace)


def _add_referrals(draw, plan, program):
    """Let members invite, and a scheme pay for what invitees do."""
    into = draw(st.sampled_from(("fan", "owner")))
    plan["behaviour"]["referrals"] = {"per_month": Decimal("0.3"), "into": into}
    if draw(st.booleans()):
        plan["behaviour"]["referrals"]["event"] = "a.done"
    scheme = {
        "milestones": {"a.done": draw(st.integers(1, 20)), "b.done": draw(st.integers(0, 9))},
        "fund": draw(st.sampled_from(FUNDS)),
        "caps": [{"points": draw(st.integers(10, 200)), "per": draw(st.sampled_from(PERS[:5]))}],
    }
    optional = {
        "levels": st.sampled_from((["0.7", "0.3"], ["0.5"], {"ratio": "0.5", "depth": 2})),
        "vest": st.sampled_from(({"days": 9}, {"days": 20, "after": "a.done"})),
        "expires": st.sampled_from(({"months": 1}, {"days": 5}, {"calendar": "02-28"})),
        "clawback": st.sampled_from(("any", "unspent", "debt")),
        "eligible": st.just({"kind": "owner"}),
        "binding": st.sampled_from(({"cap": 1}, {"window_days": 1, "locked_days": 1, "touch": "last"})),
        "split": st.just({"dealer": "0.25"}),
    }
    for key, values in optional.items():
        if draw(st.booleans()):
            scheme[key] = draw(values)
    if draw(st.booleans()):
        scheme["caps"].append({"times": draw(st.integers(1, 5)), "per": "month", "scope": "program"})
    if "split" in scheme:
        for fields in (one for kind, one in plan["behaviour"]["data"].items() if kind in KINDS):
            fields["dealer"] = ["d1", "d2"]
    if "tiers" in program and draw(st.booleans()):
        program["currencies"] = {"value": {"spendable": False}}
        scheme["currency"] = "value"
        scheme.pop("vest", None)
    program["referral"] = scheme


def _add_returns(draw, plan, program):
    """Let members cancel what they did, and what they redeemed."""
    policies = st.sampled_from(("debt", "any", "unspent", "reject"))
    for rule in program["earn"]:
        if rule.get("currency") is None:
            rule["clawback"] = draw(policies)
    share = st.sampled_from((Decimal("0.3"), 1, {"uniform": [0, 1]}))
    when = st.sampled_from((0, 1, 40, {"uniform": [0, 60]}))
    parts = st.sampled_from((1, Decimal("0.4"), {"uniform": [0, 1]}))
    how = st.one_of(share, st.fixed_dictionaries({"share": share, "after_days": when, "part": parts}))
    kinds = draw(st.sets(st.sampled_from((*KINDS, "points.redeemed")), min_size=1))
    plan["behaviour"]["cancelled"] = {kind: draw(how) for kind in sorted(kinds)}


def _add_spending(draw, plan, program):
    """Let events spend, and sinks take only some points, or a share of a bill."""
    program["sinks"] = {
        "shop": {"funds": ["club"]},
        "repair": {"share_at_most": "0.5"},
        "both": {"funds": ["sales"], "share_at_most": "0.25"},
    }
    plan["behaviour"]["sink"] = draw(st.sampled_from(("shop", "repair", "both", "anywhere")))
    plan["behaviour"]["data"]["points.redeemed"] = {"bill": {"uniform": [0, 80]}}
    points = st.sampled_from((3, 40, {"of": "amount", "per": 2, "give": 1, "round": "up"}))
    if draw(st.booleans()):
        rule = {"name": "gift", "on": draw(st.sampled_from(KINDS)), "points": draw(points)}
        rule["sink"] = draw(st.sampled_from(("shop", "repair", "elsewhere")))
        if draw(st.booleans()):
            rule["when"] = {"city": "Hefei"}
        program["redeem"] = [rule]
        data = plan["behaviour"]["data"].setdefault(rule["on"], {"city": ["Hefei", "Wuhan"]})
        data["bill"] = {"uniform": [0, 60]}


def _add_late_counters(draw, plan, program):
    """Let counters count redemptions and cancellations, and some rules read them."""
    program["counters"] |= {
        "spent": {"on": "points.redeemed", "sum": "amount", "within": {"months": 2}},
        "undone": {"on": "a.done.cancelled"},
    }
    whens = ({"undone": 0}, {"spent": {"<": 30}}, {"any": [{"spent": 0}, {"undone": {">=": 1}}]})
    for rule in program["earn"]:
        if draw(st.booleans()):
            rule["when"] = draw(st.sampled_from(whens))


def _add_inactivity(draw, plan, program):
    """Let points of some rules expire when nothing was earned by them for long."""
    for rule in program["earn"]:
        if rule.get("currency") is None and draw(st.booleans()):
            rule["expires"] = {"inactive_months": draw(st.integers(1, 3))}
            rule.pop("activates", None)


@st.composite
def living_plans(draw):
    """Draw plans that columns do not run: their members live one event after the other."""
    plan, program = draw(plans())
    more = (_add_referrals, _add_returns, _add_spending, _add_late_counters, _add_inactivity)
    for add in draw(st.lists(st.sampled_from(more), min_size=1, max_size=5, unique=True)):
        add(draw, plan, program)
    return plan, program


@settings(max_examples=FEWER)
@given(tables=living_plans(), seed=st.integers(0, 2**32))
def test_what_goes_event_by_event_is_what_the_ledger_says(tables, seed):
    plan = Plan.from_tables(*copy.deepcopy(tables))
    trace = plan.trace(members=9, seed=seed)
    assert of_trace(trace) == by_the_ledger(plan, trace)


@st.composite
def mixed_plans(draw):
    """Draw plans whose members go in columns, but for some: those who cancel, spend by a rule, or meet a budget."""
    plan, program = draw(plans())
    _add_referrals(draw, plan, program)
    if draw(st.booleans()):
        plan["behaviour"]["cancelled"] = {draw(st.sampled_from(KINDS)): Decimal("0.05")}
    if draw(st.booleans()):
        plan["behaviour"]["events_per_month"]["d.done"] = Decimal("0.1")
        program["redeem"] = [{"name": "gift", "on": "d.done", "points": 5, "sink": "shop"}]
    for fund in program["funds"].values():
        if "budget" in fund:
            fund["budget"]["points"] *= 10
    return plan, program


@settings(max_examples=15)  # More members than elsewhere: each example takes ten times as long.
@given(tables=mixed_plans(), seed=st.integers(0, 2**32))
def test_members_in_columns_beside_others_come_to_what_the_ledger_says(tables, seed):
    plan = Plan.from_tables(*copy.deepcopy(tables))
    trace = plan.trace(members=40, seed=seed)
    assert of_trace(trace) == by_the_ledger(plan, trace)


@settings(max_examples=FEWER)
@given(tables=plans(), seed=st.integers(0, 2**32))
def test_columns_give_what_going_event_by_event_gives(tables, seed):
    """Two ways to the same figures: the rules in columns, and the program itself, event after event."""
    plan_table, program = copy.deepcopy(tables)
    # What columns take for near its expiry counts points that are yet to be earned.
    plan_table["behaviour"]["near_expiry"] = 0
    plan = Plan.from_tables(plan_table, program)
    trace = plan.trace(members=9, seed=seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(plan.spec), "is_one_by_one", True)
        lived = Plan.from_tables(plan_table, program).trace(members=9, seed=seed)
    assert of_trace(lived) == of_trace(trace)
    assert lived.events == trace.events


@settings(max_examples=FEWER)
@given(tables=plans(), seed=st.integers(0, 2**32))
def test_tiers_found_at_once_are_those_found_on_the_way(tables, seed):
    """Two ways to a member's tier: the moves of all members in columns, and each member's walk up to each event."""
    plan, program = copy.deepcopy(tables)
    for fields in plan["behaviour"]["data"].values():
        fields.pop("tier", None)
    made = Plan.from_tables(plan, program)
    at_once = of_trace(made.trace(members=30, seed=seed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rulebook, "is_value_first", False)
        assert of_trace(Plan.from_tables(plan, program).trace(members=30, seed=seed)) == at_once


@st.composite
def settling_plans(draw):
    """Draw plans that settle: one rule a kind, no tiers, nothing shared between members, caps that meet."""
    plan, program = draw(plans())
    for key in ("tiers", "currencies", "groups"):
        program.pop(key, None)
    for fund in program["funds"].values():
        fund.pop("budget", None)
    program["caps"] = {
        "basics": {"points": draw(st.integers(2, 40)), "per": draw(st.sampled_from(PERS[2:5]))},
        "all": {"times": draw(st.integers(1, 6)), "per": draw(st.sampled_from(PERS[:5]))},
    }
    when = draw(st.sampled_from((None, {"kind": "fan"}, {"city": ["Hefei", "Wuhan"]})))
    if when is not None:
        program["caps"]["basics"]["when"] = when
    program["earn"] = []
    for place, kind in enumerate(KINDS):
        rule = {**draw(rules(place)), "on": kind}
        for key in ("group", "multiply_by_tier"):
            rule.pop(key, None)
        own = [{**cap, "scope": "member"} for cap in rule.get("cap", []) if "shared" not in cap]
        named = draw(st.sampled_from((["basics"], ["all"], ["basics", "all"])))
        program["earn"].append({**rule, "cap": own + [{"shared": name} for name in named]})
    plan["behaviour"]["events_per_month"] = {"a.done": {"mean": 6, "dispersion": 1}, "b.done": 4, "c.done": 3}
    return plan, program


# Each example runs two simulations of more members than a ledger could follow in the time.
@settings(max_examples=FEWER)
@given(tables=settling_plans(), seed=st.integers(0, 2**32))
def test_settling_gives_what_going_step_by_step_gives(tables, seed):
    """Two ways through the same caps: all events at once on a guess, and one event of a member after the other."""
    plan = Plan.from_tables(*copy.deepcopy(tables))
    at_once = of_trace(plan.trace(members=60, seed=seed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "can_settle", lambda *_: False)
        assert of_trace(plan.trace(members=60, seed=seed)) == at_once


@pytest.mark.nightly
@settings(max_examples=20_000)  # the long hunt
@given(tables=plans(), seed=st.integers(0, 2**32))
def test_trace_is_what_the_ledger_says_in_the_long_run(tables, seed):
    plan = Plan.from_tables(*copy.deepcopy(tables))
    trace = plan.trace(members=9, seed=seed)
    assert of_trace(trace) == by_the_ledger(plan, trace)


def test_an_exhausted_cap_that_spares_some_events_is_settled_too():
    """Two caps meet, and events that the exhausted one does not bind still count under the other."""
    program = {
        "schema": 1,
        "name": "spared",
        "timezone": "UTC",
        "funds": {name: {"unit_cost": "0.1"} for name in FUNDS},
        "caps": {"basics": {"points": 3, "per": "lifetime", "when": {"city": "Hefei"}}},
        "earn": [
            {
                "name": "rule",
                "on": "a.done",
                "points": 1,
                "fund": "club",
                "unbounded": "accepted",
                "cap": [{"times": 1, "per": "month"}, {"shared": "basics"}],
            }
        ],
    }
    plan = {
        "horizon": {"start": date(2027, 1, 1), "months": 9},
        "population": {"members": 40},
        "behaviour": {
            "lapse_per_month": 0,
            "redeem_per_month": 0,
            "redeem_share": 1,
            "events_per_month": {"a.done": 3},
            "data": {"a.done": {"city": {"Hefei": 1, "Wuhan": 1}}},
        },
    }
    made = Plan.from_tables(plan, program)
    trace = made.trace(members=40, seed=1)
    assert of_trace(trace) == by_the_ledger(made, trace)
