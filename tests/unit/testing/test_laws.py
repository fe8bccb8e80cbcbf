"""Every law catches an engine that breaks it: the program stays the same, a part of the library is broken."""

from collections.abc import Iterator
from fractions import Fraction
from importlib import import_module

import pytest
from attrs import evolve

from userops import Event
from userops import program as program_room
from userops.errors import InvalidValue, LawBroken, UseropsError
from userops.points import Finding, Fund, Ledger
from userops.program import Program, comparison, live
from userops.program.live import State
from userops.program.live import events as deciding
from userops.program.live import returns as returning
from userops.program.live import transaction as running
from userops.program.replay import engine as columnar
from userops.program.rules import EarnRule
from userops.testing import LAWS, Books, Story, check_program

TEXT = """
schema = 1
name = "club"
timezone = "America/New_York"
[funds.shop]
budget = { points = 100, per = "month" }
[funds.app]
[[earn]]
name = "shop"
on = "store.paid"
points = { per = 10, give = 1, of = "amount" }
fund = "shop"
cap = [{ points = 60, per = "day" }, { shared = "fans" }]
expires = { days = 40 }
[[earn]]
name = "photo"
on = "app.photo"
points = 5
fund = "app"
cap = [{ times = 2, per = "day" }, { points = 90, per = "month", scope = "program" }]
[caps.fans]
points = 70
per = "lifetime"
when = { kind = "fan" }
[[redeem]]
name = "gift"
on = "gift.ordered"
points = { of = "amount" }
sink = "shop"
"""
PROGRAM = Program.load(TEXT)


def doubled(self, points, tier):
    return 2 * ORIGINAL_ROUNDED(self, points, tier)


ORIGINAL_ROUNDED = EarnRule.rounded
ORIGINAL_TAKE_BACK = returning._take_back
#: The room has a function of the module's name.
replaying = import_module("userops.program.replay.replay")
ORIGINAL_REPLAY = replaying.replay
ORIGINAL_LOTS = Ledger.lots
ORIGINAL_FUNDING = Ledger.funding
ORIGINAL_ACCOUNTS = Ledger.trial_balance


def one_point_stays(deciding_, rule, grants, before, after):
    outcome = ORIGINAL_TAKE_BACK(deciding_, rule, grants, before, after)
    less = tuple(
        evolve(command, points=command.points - 1) for command in outcome.commands if command.points > 1
    )
    return evolve(outcome, commands=less)


def parts_rounded_up(deciding_, rule, grants, before, after):
    total = sum(one.points for one in grants)
    return ORIGINAL_TAKE_BACK(deciding_, rule, grants, before, Fraction((total * after).__ceil__(), total))


def uncapped_columns(program, together):
    return [asked.points for asked in together]


def taken_too_early(program, events, members=None, order="time"):
    return ORIGINAL_REPLAY(program, events, members, "time")


def impure(monkeypatch):
    answers = []

    def decide(self, event, state=None):
        answers.append(1)
        return evolve(running.decide(self, event, state), tier=str(len(answers)))

    monkeypatch.setattr(Program, "decide", decide)


def posting(monkeypatch):
    """Deciding leaves a trace: the state is read by handling."""
    inner = Program.state

    def state(self, ledger, member, at, members=None):
        found = inner(self, ledger, member, at, members)
        self.handle(Event(f"seen {ledger.settled}", "app.photo", member, at), ledger, members)
        return found

    monkeypatch.setattr(Program, "state", state)


def unregistered(self, ledger):
    for fund in self.funds.values():
        ledger.add_fund(Fund(fund.name, unit_cost=fund.unit_cost, timezone=fund.timezone))


def forgetful(program, event, posting):
    return None


#: By law, engines that break it: where, and what takes its place.
BROKEN = [
    ("caps", lambda m: m.setattr(deciding, "_within_limits", lambda deciding, rule, asked: (asked, ""))),
    ("caps", lambda m: m.setattr(State, "granted", lambda *_: []) or m.setattr(running.Read, "granted", lambda *_, **__: [])),
    ("budgets", lambda m: m.setattr(Program, "register", unregistered)),
    ("worst_case", lambda m: m.setattr(EarnRule, "rounded", doubled)),
    ("worst_case", lambda m: m.setattr(program_room.program, "worst_case", lambda *_, **__: {"shop": 9, "app": 9})),
    ("returns", lambda m: m.setattr(returning, "_take_back", one_point_stays)),
    ("returns", lambda m: m.setattr(returning, "_take_back", parts_rounded_up)),
    ("conserved", lambda m: m.setattr(Ledger, "trial_balance", lambda *a, **k: {**ORIGINAL_ACCOUNTS(*a, **k), ("sink:x", "points"): 1})),
    ("conserved", lambda m: m.setattr(Ledger, "lots", lambda *a, **k: ORIGINAL_LOTS(*a, **k)[1:])),
    ("conserved", lambda m: m.setattr(Ledger, "funding", lambda *a, **k: tuple(evolve(row, expired=0) for row in ORIGINAL_FUNDING(*a, **k)))),
    ("conserved", lambda m: m.setattr(Ledger, "audit", lambda self: (Finding("lot", "l", "is torn"),) if self.settled else ())),
    ("once", lambda m: m.setattr(running, "_answered", forgetful)),
    ("decides", impure),
    ("decides", posting),
    ("decides", lambda m: m.setattr(live, "state_of", lambda *_: State())),
    ("replays", lambda m: m.setattr(columnar, "given_by", uncapped_columns)),
    ("replays", lambda m: m.setattr(replaying, "alone", lambda program, facts: columnar.alone(program, facts) & False)),
    ("records", lambda m: m.setattr(program_room.program, "replay", taken_too_early)),
]  # fmt: skip


@pytest.mark.parametrize(("law", "breaking"), BROKEN, ids=[f"{law}-{n}" for n, (law, _) in enumerate(BROKEN)])
def test_a_broken_engine_is_caught_by_its_law(law, breaking, monkeypatch):
    breaking(monkeypatch)
    with pytest.raises(LawBroken) as caught:
        check_program(PROGRAM, examples=150, laws={law: LAWS[law]})
    assert caught.value.law == law
    assert law in str(caught.value)
    assert isinstance(caught.value, UseropsError)
    assert isinstance(caught.value, AssertionError)
    # The example is small, and breaks the law by itself.
    story = caught.value.case
    assert 1 <= len(story.events) <= 4
    if law != "decides":
        assert list(LAWS[law](Books(PROGRAM, story)))
    monkeypatch.undo()
    assert not list(LAWS[law](Books(PROGRAM, story)))


def test_every_law_has_an_engine_that_breaks_it():
    assert {law for law, _ in BROKEN} == set(LAWS)


def test_the_same_engine_whole_keeps_them():
    found = check_program(PROGRAM, examples=30)
    assert found.silent == ()
    assert (found.program, found.examples) == ("club", 30)


def test_a_program_that_differs_from_itself_is_told(monkeypatch):
    monkeypatch.setattr(comparison, "diff", lambda before, after: ("Rule 'shop' is gone.",))
    with pytest.raises(LawBroken, match=r"differs from itself: Rule 'shop' is gone\."):
        check_program(PROGRAM, examples=1)


def test_an_error_in_the_engine_is_a_broken_law_with_its_cause(monkeypatch):
    def fails(*_):
        raise KeyError("the lot")

    monkeypatch.setattr(returning, "_take_back", fails)
    with pytest.raises(LawBroken, match="KeyError: 'the lot'") as caught:
        check_program(PROGRAM, examples=100)
    assert isinstance(caught.value.__cause__, KeyError)
    kinds = [event.kind for event in caught.value.case.events]
    assert len(kinds) == 2
    assert kinds[1] == f"{kinds[0]}.cancelled"


def test_the_counterexample_is_the_smallest_and_can_be_pasted(monkeypatch):
    monkeypatch.setattr(deciding, "_within_limits", lambda deciding, rule, asked: (asked, ""))
    with pytest.raises(LawBroken) as caught:
        check_program(Program.load(TEXT.replace("times = 2", "times = 0")), seed=3)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("program 'club' breaks the law 'caps': rule 'photo' gave 5 for event 'e")
    assert "under a cap of 0 times per day: 1 times and 5 points by then" in lines[0]
    assert lines[1] == "  after these events (seed 3):"
    assert len(lines) == 3
    from datetime import datetime

    (pasted,) = eval(lines[2].strip(), {"Event": Event, "datetime": datetime})
    assert pasted == caught.value.case.events[0]
    assert caught.value.case == Story((pasted,), {})


def test_a_check_is_the_same_for_a_seed_and_another_for_another(monkeypatch):
    def told(seed):
        return str(check_program(PROGRAM, examples=8, seed=seed))

    assert told(5) == told(5)
    assert told(5) != told(6)
    monkeypatch.setattr(deciding, "_within_limits", lambda deciding, rule, asked: (asked, ""))
    messages = []
    for _ in range(2):
        with pytest.raises(LawBroken) as caught:
            check_program(PROGRAM, seed=5)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def fans_stay_below_seventy(books: Books) -> Iterator[str]:
    """A team's own law: nobody known as a fan is given more than 70 points by the shop."""
    for turn in books.turns:
        given = sum(outcome.given for outcome in turn.done.outcomes if outcome.rule == "shop")
        if books.record(turn.event).get("kind") == "fan" and given > 70:
            yield f"{turn.event.member} got {given}"


def test_a_team_s_own_law_is_looked_at_too():
    laws = {"fans": fans_stay_below_seventy}
    check_program(PROGRAM, examples=40, laws=laws)
    loose = Program.load(TEXT.replace("points = 60", "points = 400").replace("points = 70", "points = 300"))
    with pytest.raises(LawBroken, match=r"breaks the law .fans.: u\d got") as caught:
        check_program(loose, laws=laws)
    assert caught.value.law == "fans"
    assert len(caught.value.case.events) == 1


def test_a_rule_that_never_pays_is_named():
    never = (
        TEXT
        + '[[earn]]\nname = "never"\non = "app.photo"\npoints = 1\nfund = "app"\ncap = [{ times = 1 }]\nwhen = { kind = { "==" = "a", "!=" = "a" } }\n'
    )
    found = check_program(Program.load(never), examples=20, laws={})
    assert found.silent == ("never",)
    assert "Never paid in them: never." in str(found)
    assert max(map(len, str(found).splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((TEXT,), "a Program was expected, not str"),
        ((PROGRAM, {"examples": 0}), "examples must be at least 1"),
        ((PROGRAM, {"examples": True}), "examples must be a whole number"),
        ((PROGRAM, {"seed": -1}), "seed must be"),
        ((PROGRAM, {"laws": ["caps"]}), "laws must be a mapping of names to functions"),
        ((PROGRAM, {"laws": {"caps": "caps"}}), "laws must be a mapping of names to functions"),
    ],
)
def test_bad_arguments_are_refused(arguments, words):
    program, more = (*arguments, {})[:2]
    with pytest.raises(InvalidValue, match=words):
        check_program(program, **more)
