"""What an owner club keeps in the test suite of its program: the laws of every program, and one of its own.

Run from the root of the repository. The seed makes it repeatable: the same histories are drawn each time.
"""

from collections import Counter
from pathlib import Path

from userops.errors import LawBroken
from userops.program import Program
from userops.testing import LAWS, check_program

text = Path("examples/owner_club_program.toml").read_text(encoding="utf-8")
BASICS = {"check-in", "comment", "profile"}


def fans_get_100_at_most(books):
    """Who owns no car gets 100 points at most from the basic actions of the app."""
    given = Counter()
    for turn in books.turns:
        fired = [outcome for outcome in turn.done.outcomes if turn.is_new and outcome.rule in BASICS]
        given[turn.event.member] += sum(outcome.given for outcome in fired)
        is_fan = books.record(turn.event).get("kind") == "fan"
        if is_fan and any(outcome.given > 0 for outcome in fired) and given[turn.event.member] > 100:
            yield f"fan {turn.event.member} has {given[turn.event.member]} points of basic actions"


laws = {**LAWS, "fans": fans_get_100_at_most}
print(check_program(Program.load(text), examples=30, seed=7, laws=laws))

# A change for the spring campaign: a profile is worth 150 points, and somebody forgot the cap that rules share.
was = 'points = 50\nfund = "community"\nexpires = { months = 24, round_to = "month" }\n'
cap = 'cap = [{ times = 1, per = "lifetime" }, { shared = "basics" }]'
planned = text.replace(was + cap, was.replace("50", "150") + cap.replace(', { shared = "basics" }', ""))
try:
    check_program(Program.load(planned), seed=7, laws=laws)
except LawBroken as broken:
    print(f"\nBefore the campaign went live:\n{broken}")
