"""A program's replay is its run into a ledger: balances, lots, allocations, funding, on random programs."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from userops import Event
from userops.errors import UnknownCurrency
from userops.points import Ledger
from userops.program import Program, live
from userops.program.replay import caps, engine
from userops.tiers import Grant

UTC = ZoneInfo("UTC")
#: Around a change of clocks, a month's and a year's end.
START = datetime(2027, 10, 30, 20, tzinfo=UTC)

some_caps = st.lists(
    st.one_of(
        st.builds(
            lambda kind, n, per: f'{{ {kind} = {n}, per = "{per}" }}',
            st.sampled_from(["times", "points"]),
            st.integers(0, 40),
            st.sampled_from(["day", "week", "month", "year", "lifetime", "reference"]),
        ),
        st.builds(
            lambda kind, n, per: f'{{ {kind} = {n}, per = "{per}", scope = "program" }}',
            st.sampled_from(["times", "points"]),
            st.integers(0, 60),
            st.sampled_from(["day", "month", "lifetime", "reference"]),
        ),
        st.sampled_from(['{ shared = "all" }', '{ shared = "fans" }', '{ shared = "club" }']),
    ),
    max_size=2,
)
grants = st.one_of(
    st.integers(1, 30).map(str),
    st.builds(
        lambda per, give, how: f'{{ per = {per}, give = {give}, of = "amount", round = "{how}" }}',
        st.integers(1, 7),
        st.integers(1, 7),
        st.sampled_from(["down", "up", "half_up", "half_even"]),
    ),
    st.just('{ table = { H = 3, S = 8 }, by = "city" }'),
    st.sampled_from(
        ["{ streak = [1, 2, 5] }", "{ streak = [4, 1, 3, 9] }", '{ give = 2, per = 3, of = "spent" }']
    ),
)
rules = st.lists(
    st.fixed_dictionaries(
        {
            "points": grants,
            "on": st.sampled_from(['"a"', '"b"']),
            "fund": st.sampled_from(['"x"', '"y"']),
            "cap": some_caps,
        },
        optional={
            "when": st.sampled_from(
                [
                    '{ city = "H" }',
                    '{ amount = { ">=" = 5 } }',
                    "{ vip = true }",
                    '{ not = { city = "S" } }',
                    "{ seen = 0 }",
                    '{ lately = { "<=" = 1 } }',
                    '{ spent = { ">" = 3 } }',
                    '{ tier = "gold" }',
                ]
            ),
            "group": st.sampled_from(['"best"', '"first"', '"all"']),
            "multiply_by_tier": st.sampled_from(['{ gold = "1.5" }', '{ gold = "0.3", ep = 2 }']),
            "expires": st.sampled_from(
                [
                    "{ days = 0 }",
                    "{ days = 3 }",
                    '{ months = 1, round_to = "month" }',
                    '{ calendar = "12-31" }',
                ]
            ),
            "activates": st.sampled_from(["{ days = 1 }", "{ days = 31 }"]),
            "priority": st.sampled_from(["1", "2"]),
            "currency": st.just('"value"'),
            "until": st.just("2027-11-20"),
            "from": st.just("2027-10-31"),
        },
    ),
    min_size=1,
    max_size=4,
)
redeems = st.lists(
    st.fixed_dictionaries(
        {
            "on": st.sampled_from(['"a"', '"g"']),
            "points": st.sampled_from(["4", '{ of = "amount" }']),
            "sink": st.sampled_from(['"store"', '"repair"', '"labour"']),
        }
    ),
    max_size=1,
)
steps = st.lists(
    st.fixed_dictionaries(
        {
            "hours": st.sampled_from([0, 0, 1, 5, 24, 24, 31, 24 * 25]),
            "kind": st.sampled_from(["a", "a", "b", "b", "g", "points.redeemed", "a.cancelled"]),
            # Skewed: most events are one member's.
            "member": st.sampled_from("uuuvw"),
            "amount": st.sampled_from([None, 0, 3, Decimal("7.5"), 40]),
            "data": st.sampled_from(
                [
                    {},
                    {"city": "H"},
                    {"city": "S", "tier": "gold"},
                    {"city": 7},
                    {"sink": "shop"},
                    {"bill": 90, "city": "S"},
                    {"sink": "repair", "tier": "ep"},
                    {"vip": True, "tier": "silver"},
                ]
            ),
            "reference": st.sampled_from(["", "o1", "o2"]),
        }
    ),
    max_size=25,
)
MEMBERS = {
    "u": {"vip": True, "city": "S"},
    "v": {"tier": "gold", "amount": 6, "joined_at": START - timedelta(days=40)},
    "w": {"grants": (Grant("gold", START + timedelta(days=1), START + timedelta(days=4)),)},
}


#: What every random program has beside its rules.
COMMON = """
schema = 1
name = "random"
timezone = "America/New_York"
[currencies.value]
spendable = false
[funds.x]
[funds.y]
[caps.all]
points = 50
per = "month"
[caps.fans]
points = 30
per = "lifetime"
when = { city = "S" }
[caps.club]
times = 6
per = "month"
scope = "program"
[counters.seen]
on = "b"
[counters.lately]
on = "a"
within = { days = 2 }
[counters.spent]
on = "a"
sum = "amount"
within = { months = 1 }
[sinks.repair]
funds = ["x"]
[sinks.labour]
share_at_most = "0.5"
"""


LADDER = """
[tiers]
currency = "value"
{policies}
tier = [{{ name = "base", at_least = {least} }}, {{ name = "gold", at_least = 8 }}, {{ name = "ep", at_least = 25, requires = {{ vip = true }} }}]
"""
ladders = st.builds(
    lambda policies, crossing, least: LADDER.format(
        policies="\n".join([*policies, f'crossing = "{crossing}"']), least=least
    ),
    st.sampled_from(
        [
            [],
            ["window = { rolling = { days = 3 } }"],
            ["window = { rolling = { months = 1 } }", "keep = { days = 2 }", 'downgrade = "one_step"'],
            [
                'window = "calendar_year"',
                "keep = { months = 1, until = 'month_end' }",
                "grace = { days = 1 }",
            ],
            ["keep = { days = 1 }", "daily_cap = 9", "grace = { days = 2 }"],
            ['window = "anniversary"', "decay = { yearly_deduction = { gold = 5 } }"],
        ]
    ),
    st.sampled_from(["old_rate", "new_rate"]),
    st.sampled_from([0, 2]),
)


def program_of(rules, redeems, budgets=(None, None), *, is_versions=False, ladder=""):
    text = COMMON
    for fund, budget in zip("xy", budgets, strict=True):
        if budget:
            text = text.replace(f"[funds.{fund}]", f"[funds.{fund}]\nbudget = {budget}")
    lines = [text]
    if is_versions and len(rules) > 1:
        # Two versions of one rule, before and after a day; all else may differ.
        first, second, *others = rules
        rules = [{**first, "until": "2027-11-02"}, {**second, "from": "2027-11-02"}, *others]
        rules[0].pop("from", None)
        rules[1].pop("until", None)
    for place, rule in enumerate(rules):
        given = {
            **rule,
            "cap": f"[{', '.join(rule['cap'])}]",
            "unbounded": '"accepted"',
            "name": '"r0"' if is_versions and place == 1 else f'"r{place}"',
        }
        # What expires before it activates, whenever it is earned, is a fault of the file.
        life = {"{ days = 0 }": 0, "{ days = 3 }": 3}.get(given.get("expires"), 31)
        if "activates" in given:
            given["activates"] = given["activates"].replace("31", str(life)).replace("1 ", f"{min(life, 1)} ")
        lines += ["[[earn]]", *(f"{name} = {value}" for name, value in given.items())]
    for place, rule in enumerate(redeems):
        lines += [
            "[[redeem]]",
            f'name = "s{place}"',
            *(f"{n} = {v}" for n, v in rule.items()),
        ]
    return Program.load("\n".join([*lines, ladder]) + "\n")


def events_of(steps, *, cancelled):
    at, events = START, []
    for place, step in enumerate(steps):
        at += timedelta(hours=step["hours"])
        if not cancelled and step["kind"].endswith(".cancelled"):
            continue
        amount = step["amount"]
        if step["kind"].endswith(".cancelled") or (step["kind"] == "points.redeemed" and amount is None):
            amount = None if step["kind"].endswith(".cancelled") else 5
        events.append(
            Event(f"e{place}", step["kind"], step["member"], at, step["reference"], amount, step["data"])
        )
    return events


def granted(ledger, currency):
    """Count from the entries what members, and funds, were given less what was taken back."""
    earns = {entry.id: entry for entry in ledger.entries(kind="earn", currency=currency)}
    by_member, by_fund = defaultdict(int), defaultdict(int)
    for entry in [*earns.values(), *ledger.entries(kind="reverse", currency=currency)]:
        earn = earns.get(entry.id) or earns.get(entry.command.entry)
        if earn is not None:
            points = entry.command.points if earn is entry else -(entry.recovered + entry.indebted)
            by_member[earn.member] += points
            by_fund[earn.command.fund] += points
    return by_member, by_fund


def compare(ledger, done, events):
    last = max((event.at for event in events), default=START)
    for as_of in (START - timedelta(hours=1), START + timedelta(days=4), last, last + timedelta(days=45)):
        for currency in ledger.currencies:
            balances = done.balances(as_of, currency=currency)
            for member in {event.member for event in events} | {"nobody"}:
                expected = ledger.balance(member, as_of, currency=currency)
                assert done.balance(member, as_of, currency=currency) == expected
                assert balances.get(member, expected) == expected
                lots = ledger.lots(member, as_of, currency=currency)
                assert done.lots(member, as_of, currency=currency) == lots
        assert done.funding(as_of) == ledger.funding(as_of)
        assert done.trial_balance(as_of) == ledger.trial_balance(as_of)
    for currency in ledger.currencies:
        assert done.granted(currency) == granted(ledger, currency)
    for member in sorted({event.member for event in events}):
        mine = [(e.id, e.kind, e.allocations, e.expired) for e in ledger.entries(member)]
        assert [(e.id, e.kind, e.allocations, e.expired) for e in done.entries(member)] == mine
        end = last + timedelta(days=90)
        first = min(event.at for event in events)
        assert done.statement(member, first, end) == ledger.statement(member, first, end)


def apart(program, events):
    """Say whose events cannot stand in columns: an account of its own."""
    others = any(rule.fund == "y" and rule.currency == "points" for rule in program.earn)
    restricted = {rule.on for rule in program.redeem if rule.sink == "repair"} if others else ()
    return {
        event.member
        for event in events
        if event.kind.endswith(".cancelled")
        or event.kind in restricted
        or (others and event.kind == "points.redeemed" and event.data.get("sink") == "repair")
    }


@pytest.fixture(params=[0, 1, 10**9], ids=["rounds", "both", "walk"])
def narrow(request, monkeypatch):
    """Rounds of any width in columns, down to two events, or none."""
    monkeypatch.setattr(caps, "NARROW", request.param + (request.param == 1))


budgets = st.sampled_from([None, None, '{ points = 40, per = "month" }', '{ points = 5_000, per = "day" }'])


@pytest.mark.usefixtures("narrow")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rules=rules,
    redeems=redeems,
    steps=steps,
    cancelled=st.booleans(),
    budgets=st.tuples(budgets, budgets),
    is_versions=st.booleans(),
    ladder=st.one_of(st.just(""), ladders),
)
def test_a_replay_is_a_run(rules, redeems, steps, cancelled, budgets, is_versions, ladder):
    program = program_of(rules, redeems, budgets, is_versions=is_versions, ladder=ladder)
    events = events_of(steps, cancelled=cancelled)
    with Ledger.in_memory() as ledger:
        program.run(events, ledger, MEMBERS)
        done = program.replay(events, MEMBERS)
        compare(ledger, done, events)
    names = done._history.codes("member")[1]
    posted = {name for name, is_plain in zip(names, done._is_plain, strict=True) if is_plain}
    expected = apart(program, events)
    shares = any(budgets) or any("program" in cap or "club" in cap for rule in rules for cap in rule["cap"])
    # Where what members share ran out between the two kinds of members, or of rules, all are posted.
    is_apart = bool(engine.why_not(program)) or (shares and (expected or ladder))
    assert posted == expected or (is_apart and posted == set(names))


def test_members_who_take_back_are_posted_and_the_others_stand_in_columns():
    program = program_of([{"points": "9", "on": '"a"', "fund": '"x"', "cap": []}], [])
    events = [
        Event("e1", "a", "u", START, "o1"),
        Event("e2", "a", "v", START, "o2"),
        Event("e3", "a.cancelled", "v", START + timedelta(days=1), "o2"),
    ]
    with Ledger.in_memory() as ledger:
        program.run(events, ledger)
        done = program.replay(events)
        assert done._is_plain.tolist() == [False, True]
        compare(ledger, done, events)
        assert done.entries() == ledger.entries()
        assert len(done.entries(kind="earn")) == 2
        for read in (done.balance, done.lots):
            with pytest.raises(UnknownCurrency):
                read("u", START, currency="miles")


COMPLEX = """
schema = 1
name = "complex"
[funds.x]
budget = { points = 40, per = "month" }
[[earn]]
name = "streak"
on = "a"
points = { streak = [1, 2, 3], of = "day" }
fund = "x"
expires = { inactive_months = 1 }
cap = [{ times = 1, per = "day" }]
[[earn]]
name = "again"
on = "b"
when = { before = { ">=" = 1 } }
points = 7
fund = "x"
cap = [{ points = 20, per = "month", scope = "program" }]
[counters.before]
on = "b"
"""


@given(steps=steps, seed=st.integers(0, 9))
def test_a_program_that_reads_the_past_is_replayed_one_by_one(steps, seed):
    program, events = Program.load(COMPLEX), events_of(steps, cancelled=True)
    np.random.default_rng(seed).shuffle(events)
    with Ledger.in_memory() as ledger:
        program.run(events, ledger)
        compare(ledger, program.replay(events), events)
    with Ledger.in_memory() as ledger:
        program.register(ledger)
        for event in events:
            program.handle(event, ledger)
        compare(ledger, program.replay(events, order="recorded"), events)


SHARED = """
schema = 1
name = "shared"
[funds.x]
budget = { points = 100, per = "month" }
[[earn]]
name = "all"
on = "a"
points = 9
fund = "x"
group = "one"
[[earn]]
name = "few"
on = "a"
points = 5
fund = "y"
group = "one"
cap = [{ times = 7, scope = "program" }]
[[earn]]
name = "other"
on = "b"
points = 4
fund = "x"
[funds.y]
[[redeem]]
name = "gift"
on = "g"
points = 11
sink = "store"
"""


def test_what_members_share_and_ran_out_of_is_decided_in_columns_too(monkeypatch):
    """A budget and a cap of the whole program run out; nobody takes anything back, and nothing is posted."""
    program = Program.load(SHARED)
    events = [Event(f"e{n}", "ababaag"[n % 7], "uvw"[n % 3], START + timedelta(days=n)) for n in range(90)]
    with Ledger.in_memory() as ledger:
        program.run(events, ledger)
        with monkeypatch.context() as patched:
            patched.setattr(live, "handle", None)
            done = program.replay(events)
            assert done.granted() == granted(ledger, "points")
        assert done._commands.is_bound
        assert not done._is_plain.any()
        compare(ledger, done, events)
    back = Event("back", "a.cancelled", "u", START + timedelta(days=80), "e0")
    with Ledger.in_memory() as ledger:
        program.run([*events, back], ledger)
        done = program.replay([*events, back])
        assert done._is_plain.all()
        compare(ledger, done, [*events, back])


ONE = """
schema = 1
name = "one"
[currencies.value]
spendable = false
[funds.x]
[funds.y]
[caps.both]
points = 10
per = "month"
[[earn]]
name = "r"
on = "a"
points = 4
fund = "x"
"""
EDGES = {
    # What an older version of a rule gave counts under the cap that a newer one has.
    "versions": ONE
    + """
cap = [{ times = 9 }]
until = 2027-11-02
[[earn]]
name = "r"
on = "b"
points = 4
fund = "x"
cap = [{ shared = "both" }]
from = 2027-11-02
[[earn]]
name = "other"
on = "b"
points = 3
fund = "x"
cap = [{ shared = "both" }]
""",
    # What a fund could not give leaves the cap to others, and is no day of a streak.
    "budget": ONE.replace("[funds.y]", '[funds.y]\nbudget = { points = 7, per = "day" }')
    + """
cap = [{ times = 9 }]
[[earn]]
name = "dear"
on = "a"
points = { streak = [5, 6, 7] }
fund = "y"
cap = [{ shared = "both" }]
[[earn]]
name = "cheap"
on = "b"
points = 3
fund = "x"
cap = [{ shared = "both" }]
""",
    # A tier is lost at the very instant of an event, value comes in the instant of another, a tier is granted for
    # some days, and what an event says of the tier does not multiply.
    "ladder": ONE
    + """
cap = [{ times = 99 }]
multiply_by_tier = { gold = 5 }
[[earn]]
name = "value"
on = "b"
points = 8
currency = "value"
cap = [{ times = 99 }]
[tiers]
currency = "value"
window = { rolling = { days = 3 } }
tier = [{ name = "base", at_least = 2 }, { name = "gold", at_least = 8 }]
""",
}


@pytest.mark.parametrize("text", EDGES.values(), ids=EDGES.keys())
@pytest.mark.parametrize("narrow", [0, 10**9])
def test_edges_that_random_programs_seldom_meet(text, narrow, monkeypatch):
    monkeypatch.setattr(caps, "NARROW", narrow)
    program = Program.load(text)
    hours = (0, 0, 24, 24, 48, 72, 72, 96, 120, 144, 144, 168)
    events = [
        Event(f"{member}{n}", kind, member, START + timedelta(hours=hour), data={"tier": "gold"})
        for member, kinds in (("u", "abababbbabab"), ("v", "aaabbabaaaba"), ("w", "aaaaaaabaaba"))
        for n, (hour, kind) in enumerate(zip(hours, kinds, strict=True))
    ]
    with Ledger.in_memory() as ledger:
        program.run(events, ledger, MEMBERS)
        done = program.replay(events, MEMBERS)
        assert not done._is_plain.any()
        compare(ledger, done, events)


@pytest.mark.parametrize(("left", "is_apart"), [(100, True), (108, False)])
def test_what_ran_out_between_members_in_columns_and_others_is_posted(left, is_apart):
    """Neither kind of members alone uses up the budget of 100, or of 108, a month."""
    program = Program.load(
        SHARED.replace("points = 100,", f"points = {left},").replace("times = 7", "times = 1")
    )
    events = [Event(f"e{n}", "a", "uv"[n % 2], START + timedelta(hours=n)) for n in range(12)]
    events.append(Event("back", "a.cancelled", "u", START + timedelta(days=80), "e0"))
    with Ledger.in_memory() as ledger:
        program.run(events, ledger)
        done = program.replay(events)
        assert done._is_plain.tolist() == [True, is_apart]
        compare(ledger, done, events)


VALUE = """
schema = 1
name = "value"
[currencies.value]
spendable = false
[funds.x]
budget = { points = 20, per = "month" }
[[earn]]
name = "value"
on = "a"
points = 8
currency = "value"
fund = "x"
[[earn]]
name = "shop"
on = "a"
points = 1
fund = "y"
multiply_by_tier = { gold = 5 }
[funds.y]
budget = { points = 9_999 }
[tiers]
currency = "value"
tier = [{ name = "base", at_least = 0 }, { name = "gold", at_least = 15 }]
"""


@pytest.mark.parametrize(
    ("text", "is_apart"),
    [
        (VALUE, False),
        (VALUE.replace("9_999", "30"), False),
        # The same fund gives value and what the tier multiplies; the event's own value counts for its tier.
        (VALUE.replace('fund = "y"', 'fund = "x"'), True),
        (VALUE + 'crossing = "new_rate"\n', True),
    ],
)
def test_value_that_ran_out_of_budget(text, is_apart):
    program = Program.load(text)
    events = [Event(f"e{n}", "a", "uuuvw"[n % 5], START + timedelta(days=n)) for n in range(40)]
    with Ledger.in_memory() as ledger:
        program.run(events, ledger)
        done = program.replay(events)
        assert set(done._is_plain.tolist()) == {is_apart}
        compare(ledger, done, events)


def test_a_member_whose_events_came_late_goes_alone():
    program = program_of(
        [{"points": "9", "on": '"a"', "fund": '"x"', "cap": ['{ times = 1, per = "day" }']}], []
    )
    late = [Event("e1", "a", "u", START + timedelta(days=2)), Event("e2", "a", "u", START)]
    others = [Event(f"f{n}", "a", "v", START + timedelta(days=n // 2)) for n in range(9)]
    # Late beside the others, in order for itself.
    after = [Event("g1", "a", "w", START)]
    events = [*late, *others, *after]
    with Ledger.in_memory() as ledger:
        program.register(ledger)
        for event in events:
            program.handle(event, ledger)
        done = program.replay(events, order="recorded")
        assert done._is_plain.tolist() == [True, False, False]
        compare(ledger, done, events)


def test_where_the_clock_goes_back_over_midnight_a_day_comes_twice():
    """In St. John's the clocks went from 00:01 back to 23:01 of the day before, until 2011."""
    text = COMMON.replace("America/New_York", "America/St_Johns")
    rule = '[[earn]]\nname = "r"\non = "c"\npoints = { streak = [1, 2] }\nfund = "x"\ncap = [{ times = 1, per = "day" }]\n'
    program = Program.load(text + rule)
    back = datetime(2010, 11, 7, 2, 31, tzinfo=UTC)
    events = [
        Event(f"e{n}", "c", member, back + timedelta(seconds=30 * n))
        for n, member in ((-1, "u"), (1, "u"), (-3000, "v"), (3000, "v"))
    ]
    with Ledger.in_memory() as ledger:
        program.run(events, ledger)
        done = program.replay(events)
        assert done._is_plain.tolist() == [True, False]
        compare(ledger, done, events)


def test_a_wide_skewed_history_is_decided_alike_in_rounds_and_event_after_event(monkeypatch):
    """Hundreds of members, one of them with a third of all events, many events in the same instant."""
    rng = np.random.default_rng(7)
    program = Program.load(
        COMMON
        + '[groups]\nfirst = "first"\n'
        + "".join(
            f'[[earn]]\nname = "r{n}"\non = "{on}"\npoints = {points}\nfund = "x"\n{more}\n'
            for n, (on, points, more) in enumerate(
                [
                    (
                        "a",
                        "{ streak = [1, 2, 5] }",
                        'cap = [{ times = 1, per = "day" }, { shared = "fans" }]',
                    ),
                    ("a", "3", 'cap = [{ points = 7, per = "week" }]\ngroup = "first"'),
                    (
                        "a",
                        "4",
                        'cap = [{ points = 11, per = "month" }, { times = 2, per = "day" }]\ngroup = "first"',
                    ),
                    ("b", "2", 'cap = [{ points = 9, per = "day" }, { points = 31, per = "month" }]'),
                    (
                        "b",
                        "1",
                        'cap = [{ shared = "fans" }]\nunbounded = "accepted"\nwhen = { lately = { ">=" = 1 } }',
                    ),
                    ("b", "6", 'cap = [{ times = 3, per = "reference" }]'),
                ]
            )
        )
    )
    count = 3_000
    member = np.where(rng.random(count) < 0.3, 0, rng.integers(0, 300, count))
    hours = np.sort(rng.integers(0, 24 * 60, count))
    events = [
        Event(
            f"e{n}",
            "ab"[int(rng.integers(0, 2))],
            f"m{member[n]}",
            START + timedelta(hours=int(hours[n])),
            f"o{rng.integers(0, 9)}",
            data={"city": "S"} if member[n] % 2 else {},
        )
        for n in range(count)
    ]
    with Ledger.in_memory() as ledger:
        program.run(events, ledger)
        expected = granted(ledger, "points")
        end = START + timedelta(days=70)
        for narrow in (0, 32, 10**9):
            monkeypatch.setattr(caps, "NARROW", narrow)
            done = program.replay(events)
            assert not done._is_plain.any()
            assert done.granted() == expected
            assert done.funding(end) == ledger.funding(end)
            for name in ("m0", "m1", "m2", "m3"):
                assert done.lots(name, end) == ledger.lots(name, end)


def test_a_rule_that_is_decided_wrongly_in_columns_is_noticed(monkeypatch):
    """Negative control: caps that do not count make a replay differ from the run."""
    program = program_of(
        [{"points": "9", "on": '"a"', "fund": '"x"', "cap": ['{ times = 1, per = "day" }']}], []
    )
    events = [Event(f"e{n}", "a", "u", START) for n in range(3)]
    with Ledger.in_memory() as ledger:
        program.run(events, ledger)
        compare(ledger, program.replay(events), events)
        monkeypatch.setattr(engine, "given_by", lambda _, together: [one.points for one in together])
        with pytest.raises(AssertionError):
            compare(ledger, program.replay(events), events)


def test_columns_and_events_are_one_history():
    program = program_of(
        [
            {
                "points": '{ per = 1, give = 1, of = "amount", round = "down" }',
                "on": '"a"',
                "fund": '"x"',
                "cap": [],
            }
        ],
        [],
    )
    rng = np.random.default_rng(3)
    hours = rng.integers(0, 900, 200)
    columns = {
        "id": [f"e{n}" for n in range(200)],
        "kind": rng.choice(["a", "b", "points.redeemed"], 200).tolist(),
        "member": rng.choice(["u", "v", "w"], 200).tolist(),
        "at": (np.datetime64("2027-10-30T20:00:00") + hours.astype("timedelta64[h]")).astype(
            "datetime64[us]"
        ),
        "amount": rng.integers(1, 9, 200),
        "city": [None if n % 3 else "H" for n in range(200)],
    }
    events = [
        Event(
            columns["id"][n],
            columns["kind"][n],
            columns["member"][n],
            START + timedelta(hours=int(hours[n])),
            amount=int(columns["amount"][n]),
            data={} if columns["city"][n] is None else {"city": "H"},
        )
        for n in range(200)
    ]
    with Ledger.in_memory() as ledger:
        program.run(events, ledger)
        compare(ledger, program.replay(columns), events)
