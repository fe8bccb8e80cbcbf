"""What is drawn from a program: its kinds and thresholds, in its members and span of time, and nothing else."""

import itertools
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import userops
from userops import F
from userops.core.calendar import zone
from userops.errors import InvalidValue, MissingExtraError
from userops.program import Program
from userops.testing import events, members
from userops.testing.drawing import Scene, Step, draw_record, draw_step, events_of
from userops.testing.vocabulary import UNHEARD, Vocabulary

TEXT = """
schema = 1
name = "club"
timezone = "America/New_York"
[currencies.value]
spendable = false
[funds.x]
budget = { points = 700, per = "month" }
[counters.claims]
on = "claim.filed"
within = { months = 12 }
[[earn]]
name = "shop"
on = "store.paid"
points = { per = 10, give = 1, of = "amount" }
multiply_by_tier = { gold = 2 }
when = { amount = { ">=" = 20 }, city = ["Hefei", "Shanghai"], vip = true }
fund = "x"
cap = [{ points = 60, per = "day" }]
from = 2027-03-10
until = 2027-07-01
expires = { days = 40 }
[[earn]]
name = "renewal"
on = "plan.renewed"
points = { table = { S = 3, L = 9 }, by = "size" }
when = { claims = 0 }
fund = "x"
[[earn]]
name = "growth"
on = "plan.renewed"
points = 10
currency = "value"
cap = [{ times = 2 }]
[[redeem]]
name = "repair"
on = "repair.paid"
points = { of = "amount" }
sink = "labour"
[sinks.labour]
share_at_most = "0.5"
[tiers]
currency = "value"
tier = [{ name = "base", at_least = 0 }, { name = "gold", at_least = 10, requires = { kind = "owner" } }]
"""
PROGRAM = Program.load(TEXT)
SPAN = (datetime(2027, 6, 20, tzinfo=UTC), datetime(2027, 7, 9, tzinfo=UTC))


def test_a_vocabulary_is_what_the_rules_hear_and_read():
    words = Vocabulary.of(PROGRAM)
    assert words.kinds == ("store.paid", "plan.renewed", "repair.paid", "claim.filed", "points.redeemed")
    # The tier asks for `kind`; a counter is counted, not told.
    assert words.fields["store.paid"] == ("city", "kind", "tier", "vip")
    assert words.fields["plan.renewed"] == ("size",)
    assert words.fields["repair.paid"] == ("bill",)
    assert words.fields["points.redeemed"] == ("bill", "sink")
    assert set(words.of_members) == {"city", "kind", "tier", "vip", "size"}
    assert set(words.values["city"]) == {"Hefei", "not Hefei", "Shanghai", "not Shanghai", None}
    assert {True, False, None} == set(words.values["vip"])
    # About the condition, one point and a half, what fills the cap of the day and the budget of the month.
    assert {19, 20, 21, 10, 9, Decimal("15.000"), 600, 610, 7000, 7010, None, 0} <= set(
        words.values["amount"]
    )
    (aim,) = words.aims["store.paid"]
    assert set(aim["city"]) == {"Hefei", "Shanghai"}
    assert aim["vip"] == (True,)
    assert 19 not in aim["amount"]
    assert {20, 21} <= set(aim["amount"])
    assert words.aims["plan.renewed"][0]["size"] == ("S", "L")
    assert words.tiers == ("base", "gold")
    assert {timedelta(days=41), timedelta(days=373), timedelta(0), -timedelta(days=1)} <= set(words.gaps)
    tz = zone("America/New_York")
    shown = {at.astimezone(tz).date() for at in words.anchors}
    # An hour before the rule begins, ends, the year turns, and clocks change.
    assert {
        date(2027, 3, 9),
        date(2027, 6, 30),
        date(2027, 12, 31),
        date(2027, 3, 13),
        date(2027, 11, 6),
    } <= shown


@settings(suppress_health_check=list(HealthCheck))
@given(st.data())
def test_events_stay_with_the_members_and_the_span(data):
    history = data.draw(events(PROGRAM, members=["a", "b"], start=SPAN[0], end=SPAN[1], max_size=6))
    words = Vocabulary.of(PROGRAM)
    assert len(history) <= 6
    for place, event in enumerate(history):
        assert event.member in {"a", "b"}
        assert SPAN[0] <= event.at < SPAN[1]
        kind = event.kind.removesuffix(".cancelled")
        assert kind in {*words.kinds, UNHEARD}
        assert set(event.data) <= set(words.fields.get(kind, ()))
        if event.kind.endswith(".cancelled"):
            about = [one for one in history[:place] if (one.reference or one.id) == event.reference]
            assert any((one.kind, one.member) == (kind, event.member) for one in about)


def test_all_that_can_be_told_is_told():
    seen, late, told = Counter(), 0, []

    @settings(
        max_examples=150,
        database=None,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(events(PROGRAM), members(PROGRAM))
    def look(history, known):
        nonlocal late
        seen.update(event.kind for event in history)
        ids = Counter(event.id for event in history)
        seen.update(["twice"] * (max(ids.values(), default=0) > 1))
        seen.update(["part"] * any(e.kind.endswith("cancelled") and e.amount is not None for e in history))
        seen.update(
            ["shared"] * (max(Counter(e.reference for e in history if e.reference).values(), default=0) > 1)
        )
        late += any(after.at < before.at for before, after in itertools.pairwise(history))
        told.append(known)

    look()
    kinds = Vocabulary.of(PROGRAM).kinds
    assert {
        *kinds,
        *(f"{kind}.cancelled" for kind in kinds if kind != "claim.filed"),
        "twice",
        "part",
        "shared",
    } <= set(seen)
    assert late > 10
    assert all(set(known) == {"u1", "u2", "u3"} for known in told)
    fields = {name for known in told for record in known.values() for name in record}
    assert fields == {"city", "kind", "tier", "vip", "size", "joined_at", "grants"}


def test_a_return_is_of_a_part_of_what_was_paid():
    scene = Scene.of(Vocabulary.of(PROGRAM), ["u"], *SPAN)
    parts = ("all", "half", "one", "whole amount", "too much")
    for amount, expected in (
        (Decimal(9), [None, Decimal("4.5"), 1, 9, 10]),
        (9, [None, 4, 1, 9, 10]),
        (None, [None] * 5),
    ):
        steps = [
            Step("event", kind="store.paid", member="u", amount=amount),
            *(Step("cancel", part=part) for part in parts),
        ]
        paid, *back = events_of(steps, SPAN[0], scene)
        assert [one.amount for one in back] == expected
        assert {(one.kind, one.reference) for one in back} == {("store.paid.cancelled", paid.id)}


def test_what_has_nothing_to_follow_is_left_out():
    scene = Scene.of(Vocabulary.of(PROGRAM), ["u"], *SPAN)
    assert events_of([Step("again"), Step("cancel")], SPAN[0], scene) == []


def test_any_program_can_be_drawn_from():
    empty = Program.load('schema = 1\nname = "empty"\n')
    scene = Scene.of(Vocabulary.of(empty), ["u"], None, None)
    step = draw_step(lambda options: options[0], scene)
    assert (step.kind, step.member, step.amount) == ("points.redeemed", "u", 1)
    far = Program.load(TEXT.replace("2027-03-10", "1999-01-01").replace("2027-07-01", "9999-12-31"))
    anchors = Vocabulary.of(far).anchors
    assert (min(anchors).year, max(anchors).year) == (1999, 2000)


def test_fields_of_conditions_are_drawn_at_and_beside_their_constants():
    day, at = date(2027, 1, 31), datetime(2027, 1, 31, tzinfo=UTC)
    condition = (
        (F("n") > 3) & (F("d") < day) & (F("t") < at) & (F("x") == Decimal("0.25")) & F("y").is_missing()
    )
    words = Vocabulary.of_condition(condition)
    assert words.values["n"] == (3, 2, 4, None)
    assert words.values["d"] == (day, date(2027, 1, 30), date(2027, 2, 1), None)
    assert words.values["t"][1] == at - timedelta(microseconds=1)
    assert words.values["x"] == (Decimal("0.25"), Decimal("0.24"), Decimal("0.26"), None)
    assert words.values["y"] == (1, "something", None)
    assert draw_record(lambda options: options[1], words) == {
        "n": 3,
        "d": day,
        "t": at,
        "x": Decimal("0.25"),
        "y": 1,
    }
    assert draw_record(lambda options: options[0], words) == {}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"members": "u1"}, "members must be a list of at least one"),
        ({"members": []}, "members must be a list of at least one"),
        ({"members": [""]}, "member must not be empty"),
        ({"start": SPAN[1], "end": SPAN[0]}, "end must lie after start"),
        ({"start": datetime(2027, 1, 1)}, "start has no time zone"),
        ({"max_size": -1}, "max_size must be at least 0"),
    ],
)
def test_bad_arguments_are_refused(more, words):
    with pytest.raises(InvalidValue, match=words):
        events(PROGRAM, **more)
    with pytest.raises(InvalidValue, match="a Program was expected, not str"):
        members(TEXT)


def test_without_hypothesis_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    for make in (events, members):
        with pytest.raises(MissingExtraError, match=r"pip install 'userops\[testing\]'"):
            make(PROGRAM)


def test_a_check_needs_no_extra_and_leaves_nothing_behind(tmp_path):
    """Where Hypothesis cannot be imported a program is checked all the same, and no folder of its own is made."""
    path = tmp_path / "club.toml"
    path.write_text(TEXT)
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "from userops.program import Program\n"
        "from userops.testing import check_program\n"
        "from pathlib import Path\n"
        "assert check_program(Program.load(Path('club.toml')), examples=2).examples == 2\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(userops.__file__).parents[1])}
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=tmp_path, env=env)
    assert [one.name for one in tmp_path.iterdir()] == ["club.toml"]
