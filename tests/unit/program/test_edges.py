"""The edges: ends of the calendar, zones, lives of points, wrong types, and files that could never work."""

import calendar
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from userops import Event, PlanError
from userops.errors import InvalidValue
from userops.points import Ledger
from userops.program import Program, Status

RULE = '[[earn]]\nname = "r"\non = "a"\nfund = "f"\n'
ZONES = ["UTC", "Asia/Shanghai", "America/New_York", "America/Santiago", "Africa/Cairo", "Pacific/Apia"]


def load(text, timezone="UTC"):
    return Program.load(f'schema = 1\nname = "club"\ntimezone = "{timezone}"\n[funds.f]\n{text}')


def faults(text):
    with pytest.raises(PlanError) as caught:
        load(text)
    return {fault.path: fault.message for fault in caught.value.exceptions}


def plus_months(day, months):
    """An independent reading: the month counted on, the day or the month's last."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def first_instant_after(day, zone):
    """By search: the first instant whose local date is later than `day`, to the second."""
    instant = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=20)
    while instant.astimezone(zone).date() <= day:
        instant += timedelta(minutes=15)
    while (instant - timedelta(seconds=1)).astimezone(zone).date() > day:
        instant -= timedelta(seconds=1)
    return instant


SPANS = {
    "{ months = %d }": lambda day, n: plus_months(day, n),
    "{ days = %d }": lambda day, n: day + timedelta(days=n),
    "{ years = %d }": lambda day, n: plus_months(day, 12 * n),
    '{ months = %d, round_to = "month" }': lambda day, n: (
        plus_months(day.replace(day=1), n + 1) - timedelta(days=1)
    ),
    '{ days = %d, round_to = "year" }': lambda day, n: date((day + timedelta(days=n)).year, 12, 31),
    "{ inactive_months = %d }": lambda day, n: plus_months(day, n),
}


@given(
    st.sampled_from(sorted(SPANS)),
    st.integers(1, 30),
    st.datetimes(datetime(2000, 1, 1), datetime(2035, 1, 1)),
    st.sampled_from(ZONES),
)
def test_expiry_is_the_first_instant_after_the_last_day(span, n, wall, name):
    zone = ZoneInfo(name)
    at = wall.replace(tzinfo=UTC)
    program = load(RULE + f"points = 1\ncap = [{{ times = 1 }}]\nexpires = {span % n}", name)
    (command,) = program.decide(Event("e", "a", "u", at)).commands
    last = SPANS[span](at.astimezone(zone).date(), n)
    assert command.expires_at == first_instant_after(last, zone)


@pytest.mark.parametrize(
    ("day", "calendar_day", "last"),
    [
        (date(2027, 12, 31), "12-31", date(2027, 12, 31)),
        (date(2027, 2, 28), "02-29", date(2027, 2, 28)),
        (date(2027, 3, 1), "02-29", date(2028, 2, 29)),
        (date(2028, 2, 29), "02-28", date(2029, 2, 28)),
    ],
)
def test_a_calendar_day_is_the_next_not_before_the_earning_day(day, calendar_day, last):
    program = load(RULE + f'points = 1\ncap = [{{ times = 1 }}]\nexpires = {{ calendar = "{calendar_day}" }}')
    at = datetime(day.year, day.month, day.day, 23, 59, tzinfo=UTC)
    (command,) = program.decide(Event("e", "a", "u", at)).commands
    assert command.expires_at == datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1)


EXPIRIES = ["{ days = 0 }", "{ months = 1 }", '{ calendar = "12-31" }', "{ inactive_months = 1 }", '"none"']


@pytest.mark.parametrize("expires", EXPIRIES)
@pytest.mark.parametrize("timezone", ["UTC", "Asia/Shanghai", "America/New_York"])
@pytest.mark.parametrize("when", [datetime.min, datetime(1, 1, 5), datetime(9999, 12, 30, 12), datetime.max])
def test_the_ends_of_the_calendar_pay_or_refuse_but_never_break(expires, timezone, when):
    text = "[counters.n]\non = 'a'\nwithin = { months = 12 }\n" + RULE
    text += "points = { streak = [1, 2] }\nwhen = { n = { '<' = 9 } }\nactivates = { days = 0 }\n"
    text += "cap = [{ times = 9, per = 'day' }, { times = 9, per = 'week' }, { times = 9, per = 'year' }]\n"
    program = load(text + f"expires = {expires}", timezone)
    ledger = Ledger.in_memory()
    program.register(ledger)
    for id_ in "xy":
        decision = program.handle(Event(id_, "a", "u", when.replace(tzinfo=UTC)), ledger)
        (outcome,) = decision.outcomes
        assert outcome.status is Status.FIRED or (
            outcome.status is Status.REFUSED and "years 1 to 9999" in outcome.why
        )
    assert ledger.audit() == ()


@pytest.mark.parametrize(
    ("life", "days", "is_sound"),
    [
        ("{ days = 10 }", 10, True),
        ("{ days = 10 }", 11, False),
        ("{ days = 0 }", 1, False),
        ("{ months = 1 }", 31, True),
        ("{ months = 1 }", 32, False),
        ("{ years = 1 }", 366, True),
        ("{ years = 1 }", 367, False),
        ('{ months = 1, round_to = "month" }', 61, True),
        ('{ months = 1, round_to = "month" }', 62, False),
        ('{ calendar = "12-31" }', 366, True),
        ('{ calendar = "12-31" }', 367, False),
        ("{ inactive_months = 1 }", 32, False),
        ('"none"', 3_000, True),
    ],
)
def test_points_that_never_become_usable_are_a_fault_of_the_file(life, days, is_sound):
    text = RULE + f"points = 1\ncap = [{{ times = 1 }}]\nexpires = {life}\nactivates = {{ days = {days} }}"
    if is_sound:
        assert load(text).earn[0].activates_days == days
    else:
        assert "before they can be used" in faults(text)["earn[0].activates"]


@pytest.mark.parametrize(
    ("text", "path", "says"),
    [
        (
            RULE.replace('"a"', '"a.cancelled"') + "points = 1\ncap = [{ times = 1 }]",
            "earn[0].on",
            "no rule hears",
        ),
        (
            '[[redeem]]\nname = "g"\non = "g.cancelled"\npoints = 5\nsink = "s"',
            "redeem[0].on",
            "no rule hears",
        ),
        ('[[redeem]]\nname = "g"\non = "points.redeemed"\npoints = 5\nsink = "s"', "redeem[0].on", "already"),
        ('[[redeem]]\nname = "points.redeemed"\non = "g"\npoints = 5\nsink = "s"', "redeem", "another rule"),
        (
            RULE.replace('"r"', '"points.redeemed"') + "points = 1\ncap = [{ times = 1 }]",
            "earn",
            "every program",
        ),
        ("[counters.amount]\non = 'a'", "counters.amount", "something else"),
        ("[counters.tier]\non = 'a'", "counters.tier", "something else"),
        ("[counters.any]\non = 'a'", "counters.any", "something else"),
    ],
)
def test_files_that_say_what_cannot_be(text, path, says):
    assert says in faults(text)[path]


def test_a_counter_is_read_before_a_field_of_its_name():
    program = load("[counters.n]\non = 'a'\n" + RULE + "points = 1\nwhen = { n = 0 }\ncap = [{ times = 9 }]")
    event = Event("e", "a", "u", datetime(2027, 1, 1, tzinfo=UTC), data={"n": 7})
    assert program.decide(event).outcomes[0].given == 1


def test_a_sum_of_decimals_is_exact_and_shown_as_a_decimal():
    text = (
        "[counters.paid]\non = 'a'\nsum = 'amount'\n"
        + RULE
        + "points = 1\nwhen = { paid = { '>=' = 0.3 } }\ncap = [{ times = 9 }]"
    )
    program, ledger = load(text), Ledger.in_memory()
    at = datetime(2027, 1, 1, tzinfo=UTC)
    events = [Event(f"e{n}", "a", "u", at, amount=Decimal("0.1")) for n in range(4)]
    decisions = program.run(events, ledger)
    assert [one.outcomes[0].given for one in decisions] == [0, 0, 0, 1]
    assert decisions[2].outcomes[0].why == "it asks that paid is at least 0.3, and paid is 0.2"


def test_wrong_types_are_named():
    program, ledger = load(RULE + "points = 1\ncap = [{ times = 1 }]"), Ledger.in_memory()
    event = Event("e", "a", "u", datetime(2027, 1, 1, tzinfo=UTC))
    for call in (
        lambda: program.decide("e"),
        lambda: program.decide(event, {}),
        lambda: program.handle(None, ledger),
        lambda: program.handle(event, ledger, ["u"]),
        lambda: program.handle(event, ledger, {"u": 3}),
        lambda: program.run(None, ledger),
        lambda: program.run(["e"], ledger),
    ):
        with pytest.raises(InvalidValue):
            call()
    assert ledger.entries() == ()


@pytest.mark.parametrize(
    ("when", "data", "why"),
    [
        ('{ city = "H" }', {}, "it asks that city is H, and city is missing"),
        ('{ city = "H" }', {"city": "S"}, "it asks that city is H, and city is 'S'"),
        ("{ a = 1, b = 2 }", {"a": 1, "b": 3}, "it asks that b is 2, and b is 3"),
        ('{ not = { city = "S" } }', {"city": "S"}, "it asks that not (city is S), and city is 'S'"),
        (
            "{ any = [{ a = 1 }, { b = 2 }] }",
            {"b": 3},
            "it asks that a is 1 or b is 2, and a is missing, b is 3",
        ),
        ("{ a = { missing = true } }", {"a": float("nan")}, None),
        ("{ a = { missing = true } }", {"a": 0}, "it asks that a is missing, and a is 0"),
    ],
)
def test_the_condition_that_failed_is_told_with_its_values(when, data, why):
    program = load(RULE + f"points = 1\nwhen = {when}\ncap = [{{ times = 1 }}]")
    (outcome,) = program.decide(Event("e", "a", "u", datetime(2027, 1, 1, tzinfo=UTC), data=data)).outcomes
    assert outcome.why == (why or "")
    assert outcome.status is (Status.NOT if why else Status.FIRED)
    # Why it fired stands there too.
    assert {finding.field for finding in outcome.findings} == {
        *load(RULE + f"points = 1\nwhen = {when}\ncap = [{{ times = 1 }}]").earn[0].when.fields()
    }


def test_deciding_changes_nothing_and_says_the_same_again():
    program, ledger = (
        load("[counters.n]\non = 'a'\n" + RULE + "points = 5\ncap = [{ points = 8 }]"),
        Ledger.in_memory(),
    )
    first, second = (Event(id_, "a", "u", datetime(2027, 1, 1, tzinfo=UTC), data={"x": [1]}) for id_ in "xy")
    program.run([first], ledger)
    state = program.state(ledger, "u", second.at)
    before = (state.given, state.noted, dict(state.record), ledger.head)
    decisions = [program.decide(second, state) for _ in range(2)]
    assert decisions[0] == decisions[1]
    (outcome,) = decisions[0].outcomes
    assert (outcome.asked, outcome.given, outcome.cap) == (5, 3, "8 points per lifetime")
    assert (state.given, state.noted, dict(state.record), ledger.head) == before
    assert program.handle(second, ledger).commands == decisions[0].commands


def test_a_late_event_is_decided_on_what_is_recorded_and_rewrites_nothing():
    text = "[counters.n]\non = 'a'\nwithin = { days = 2 }\n" + RULE
    text += (
        "points = { streak = [1, 2, 3] }\ncap = [{ times = 1, per = 'day' }, { points = 4, per = 'month' }]\n"
    )
    program, ledger = load(text), Ledger.in_memory()
    program.register(ledger)
    given, days = [], [1, 3, 2, 1, 4]
    for n, day in enumerate(days):
        at = datetime(2027, 1, day, 12, tzinfo=UTC)
        given.append(program.handle(Event(f"e{n}", "a", "u", at), ledger).outcomes[0].given)
    # Day 3 came before day 2 was known and keeps its 1; day 2 follows day 1; day 4 ends what the month leaves.
    assert given == [1, 1, 2, 0, 0]
    events = [Event(f"e{n}", "a", "u", datetime(2027, 1, day, 12, tzinfo=UTC)) for n, day in enumerate(days)]
    replayed = program.replay(events, order="recorded")
    at = datetime(2027, 2, 1, tzinfo=UTC)
    assert replayed.balance("u", at) == ledger.balance("u", at)
    assert program.replay(events).balance("u", at).available == 4
