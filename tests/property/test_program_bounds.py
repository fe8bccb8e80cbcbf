"""The worst case against enumeration: every small history, and the most that any of them draws."""

import itertools
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from userops import Event
from userops.points import Ledger
from userops.program import Program

#: Within one year, around the turn of a year, a month and a week.
INSTANTS = [
    datetime(2027, 6, 1, tzinfo=UTC),
    datetime(2027, 12, 31, tzinfo=UTC),
    datetime(2028, 1, 1, tzinfo=UTC),
    datetime(2028, 5, 30, tzinfo=UTC),
]
MEMBERS = "uv"
PERIODS = ["day", "week", "month", "year", "lifetime"]

caps = st.builds(
    '{{ {} = {}, per = "{}", scope = "{}" }}'.format,
    st.sampled_from(["times", "points"]),
    st.integers(0, 9),
    st.sampled_from([*PERIODS, "reference"]),
    st.sampled_from(["member", "program"]),
)
grants = st.sampled_from(
    ["3", "5", "{ streak = [2, 4] }", "{ table = { A = 3, B = 6 }, by = 'model' }", "{ of = 'amount' }"]
)
rules = st.fixed_dictionaries(
    {
        "points": grants,
        "cap": st.lists(caps, min_size=1, max_size=2),
        "shared": st.booleans(),
        "gold": st.sampled_from([None, "0.5", "1.5"]),
        "group": st.sampled_from(["", "g"]),
        "split": st.booleans(),
    }
)


def toml(rules, budget=None):
    lines = [
        'schema = 1\nname = "b"',
        "[funds.x]",
        f"budget = {{ points = {budget}, per = 'month' }}" if budget else "",
    ]
    lines += ["[groups]\ng = 'best'\n[caps.all]\npoints = 11\nper = 'year'"]
    for place, rule in enumerate(rules):
        for part in ("until = 2028-01-01", "from = 2028-01-01") if rule["split"] else ("",):
            lines += [f'[[earn]]\nname = "r{place}"\non = "a"\nfund = "x"\npoints = {rule["points"]}\n{part}']
            lines += [f"multiply_by_tier = {{ gold = '{rule['gold']}' }}"] if rule["gold"] else []
            lines += [f"group = '{rule['group']}'"] if rule["group"] else []
            listed = [*rule["cap"], *(["{ shared = 'all' }"] if rule["shared"] else [])]
            lines += [f"cap = [{', '.join(listed)}]\nunbounded = 'accepted'"]
    return "\n".join(lines)


def most_issued(program, events, members=MEMBERS):
    """The most that any history of so many events draws from the fund, by running each of them."""
    data = [{"tier": "gold", "model": "B"}, {"model": "B"}]
    best = 0
    for history in itertools.combinations_with_replacement(itertools.product(INSTANTS, members), events):
        for known in data:
            ledger = Ledger.in_memory()
            listed = [
                Event(f"e{n}", "a", member, at, amount=40, data=known)
                for n, (at, member) in enumerate(history)
            ]
            decisions = program.run(listed, ledger)
            best = max(best, sum(outcome.given for one in decisions for outcome in one.outcomes))
    return best


@given(st.lists(rules, min_size=1, max_size=2), st.sampled_from([None, 7]), st.integers(1, 2))
def test_no_history_draws_more_than_the_worst_case(rules, budget, events):
    program = Program.load(toml(rules, budget))
    bound = program.worst_case(members=2, events=events)["x"]
    assert bound is None or most_issued(program, events) <= bound


@given(
    st.sampled_from(["3", "5"]),
    caps.filter(lambda cap: "reference" not in cap),
    st.sampled_from([None, "1.5"]),
    st.booleans(),
)
def test_the_worst_case_of_one_rule_with_one_cap_is_drawn(points, cap, gold, split):
    one = {"points": points, "cap": [cap], "shared": False, "gold": gold, "group": "", "split": split}
    program = Program.load(toml([one]))
    assert program.worst_case(members=1, events=3)["x"] == most_issued(program, 3, "u")


def test_a_rule_in_force_for_some_days_is_bounded_by_them():
    text = toml(
        [
            {
                "points": "3",
                "cap": ["{ times = 1, per = 'day' }"],
                "shared": False,
                "gold": None,
                "group": "",
                "split": False,
            }
        ]
    )
    short = text.replace("[[earn]]", "[[earn]]\nfrom = 2027-01-30\nuntil = 2027-02-03")
    assert Program.load(text).worst_case(members=2, events=9_999) == {"x": 2 * 367 * 3}
    assert Program.load(short).worst_case(members=2, events=9_999) == {"x": 2 * 4 * 3}
    assert Program.load(short.replace("'day'", "'month'")).worst_case(members=2, events=9_999) == {"x": 12}


def test_funds_of_different_versions_are_bounded_apart():
    version = '[[earn]]\nname = "r"\non = "a"\npoints = 5\ncap = [{{ times = 2 }}]\nfund = "{}"\n{}\n'
    text = 'schema = 1\nname = "b"\n[funds.x]\n[funds.y]\n'
    text += version.format("x", "until = 2027-02-01") + version.format("y", "from = 2027-02-01")
    assert Program.load(text).worst_case(members=3, events=99) == {"x": 30, "y": 30}
    assert Program.load(text.replace('"y"', '"x"')).worst_case(members=3, events=99) == {"x": 30}
