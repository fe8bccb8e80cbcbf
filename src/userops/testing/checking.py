"""Checks for a team's own test suite: a program, or a condition, against the laws that all of them keep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import field, frozen

from userops.core.amounts import whole
from userops.core.chance import check_seed, stream, words
from userops.core.columns import column
from userops.core.conditions import Condition
from userops.core.events import Event
from userops.core.tables import Table
from userops.errors import InvalidValue, LawBroken
from userops.program import Program, Status
from userops.testing.books import Books, Story
from userops.testing.drawing import Choose, Scene, draw_member, draw_record, draw_step, events_of
from userops.testing.laws import LAWS, Law, unlike_itself
from userops.testing.shrinking import shrunk, simpler_records, simpler_stories
from userops.testing.vocabulary import Vocabulary

#: The members of a drawn history, and the most events of one.
MEMBERS, MOST_EVENTS = ("u1", "u2", "u3"), 24
#: How many simpler histories are tried at most.
_TRIES = 600


@frozen(eq=False)
class Coverage:
    """What the histories of a check made of every rule: a law of a rule that never paid was not tried on it."""

    program: str
    examples: int
    events: int
    laws: tuple[str, ...]
    #: By rule, how often it fired, was capped, did nothing and was refused.
    rules: Mapping[str, Mapping[Status, int]] = field(repr=False)

    @property
    def silent(self) -> tuple[str, ...]:
        """The rules that never gave nor spent anything."""
        return tuple(
            name for name, counts in self.rules.items() if not counts[Status.FIRED] + counts[Status.CAPPED]
        )

    def __str__(self) -> str:
        columns = {status.value: [counts[status] for counts in self.rules.values()] for status in Status}
        title = f"{self.program}: {self.examples:,} histories of {self.events:,} events keep {len(self.laws)} laws"
        note = f"Never paid in them: {', '.join(self.silent)}." if self.silent else ""
        return str(Table({"rule": list(self.rules), **columns}, title=title, notes=(note,) if note else ()))


def check_program(
    program: Program, *, examples: int = 100, seed: int = 0, laws: Mapping[str, Law] = LAWS
) -> Coverage:
    """Check a program against the laws on drawn histories; `LawBroken` carries the smallest that breaks one.

    The histories are drawn from the rules themselves: the kinds that they hear, cancelled and told again too, the
    fields that they read with values around the thresholds, events that come late or share a reference. The same
    seed draws the same ones. `laws` may be fewer than all, or one's own beside them: a function of `Books` that
    yields a sentence for each way in which it is broken.

    >>> program = Program.load('''
    ... schema = 1
    ... name = "club"
    ... [funds.club]
    ... [[earn]]
    ... name = "photo"
    ... on = "app.photo"
    ... points = 5
    ... fund = "club"
    ... cap = [{ points = 12, per = "day" }]
    ... ''')
    >>> print(check_program(program, examples=10))
    club: 10 histories of 91 events keep 9 laws
    rule   fired  capped  not  refused
    photo     16      11    0        0
    """
    if not isinstance(program, Program):
        raise InvalidValue(f"a Program was expected, not {type(program).__name__}")
    if not isinstance(laws, Mapping) or not all(map(callable, laws.values())):
        raise InvalidValue("laws must be a mapping of names to functions of Books, as LAWS is")
    for difference in unlike_itself(program):
        raise LawBroken(f"program {program.name!r} differs from itself: {difference}", law="itself")
    names = [*(rule.name for rule in program.earn), *(rule.name for rule in program.redeem)]
    counts: dict[str, Counter[Status]] = {name: Counter() for name in names}
    events, scene = 0, Scene.of(Vocabulary.of(program), MEMBERS, None, None)
    for number in range(whole(examples, "examples", at_least=1)):
        story = _story(_chooser(seed, "history", number), scene)
        books = Books(program, story)
        if _broken(books, laws) is not None:
            raise _counterexample(program, story, laws, seed)
        events += len(story.events)
        for turn in books.turns:
            for outcome in turn.done.outcomes if turn.is_new and not turn.is_return else ():
                if outcome.rule in counts:
                    counts[outcome.rule][outcome.status] += 1
    return Coverage(program.name, examples, events, tuple(laws), counts)


def _chooser(seed: int, *name: str | int) -> Choose:
    rng = stream(check_seed(seed), "laws", *name)

    def drawn() -> Iterator[int]:
        # Raw words: what NumPy makes of them may change from one version to the next.
        while True:
            yield from words(rng, 256).tolist()

    numbers = drawn()
    return lambda options: options[next(numbers) * len(options) >> 32]


def _story(choose: Choose, scene: Scene) -> Story:
    members = {name: draw_member(choose, scene) for name in scene.members}
    begin, size = choose(scene.anchors), choose(range(1, 17))
    part = scene.part(choose)
    steps = [draw_step(choose, part) for _ in range(size)]
    return Story(tuple(events_of(steps, begin, scene)[:MOST_EVENTS]), members)


def _broken(books: Books, laws: Mapping[str, Law]) -> tuple[str, str, Exception | None] | None:
    """Return (the law, what breaks it, the error if there was one) of the first law that is broken."""
    for name, law in laws.items():
        try:
            for sentence in law(books):
                return name, sentence, None
        except Exception as error:  # noqa: BLE001 — whatever goes wrong is what was looked for
            return name, f"{type(error).__name__}: {error}", error
    return None


def _counterexample(program: Program, story: Story, laws: Mapping[str, Law], seed: int) -> LawBroken:
    def is_broken(one: Story) -> bool:
        return _broken(Books(program, one), laws) is not None

    smallest = shrunk(story, simpler_stories, is_broken, most=_TRIES)
    found = _broken(Books(program, smallest), laws)
    law, sentence, error = (
        found if found is not None else ("decides", "it breaks a law only now and then", None)
    )
    lines = [
        f"program {program.name!r} breaks the law {law!r}: {sentence}",
        f"  after these events (seed {seed}):",
        *(f"    {_code(event)}," for event in smallest.events),
    ]
    known = {name: record for name, record in smallest.members.items() if record}
    lines += [f"  of these members: {known}"] if known else []
    broken = LawBroken("\n".join(lines), law=law, case=smallest)
    broken.__cause__ = error
    return broken


def _code(event: Event) -> str:
    """Return the event as a line of Python, what it leaves out left out."""
    parts = [
        repr(event.id),
        repr(event.kind),
        repr(event.member),
        f'datetime.fromisoformat("{event.at.isoformat()}")',
    ]
    parts += [f"{name}={getattr(event, name)!r}" for name in ("reference", "amount") if getattr(event, name)]
    parts += [f"data={dict(event.data)!r}"] if event.data else []
    return f"Event({', '.join(parts)})"


def check_condition(condition: Condition, *, examples: int = 100, seed: int = 0) -> None:
    """Check that a condition means one thing: of a record, of columns, in TOML and in words.

    Records are drawn with values at and beside its constants, and with fields missing.

    >>> from userops import F
    >>> check_condition((F("amount") >= 100) & ~F("city").one_of("Hefei"))
    """
    if not isinstance(condition, Condition):
        raise InvalidValue(f"a Condition was expected, not {type(condition).__name__}")
    vocabulary = Vocabulary.of_condition(condition)
    for number in range(whole(examples, "examples", at_least=1)):
        record = draw_record(_chooser(seed, "record", number), vocabulary)
        if next(_misread(condition, record), None) is not None:
            smallest = shrunk(
                record,
                simpler_records,
                lambda one: next(_misread(condition, one), None) is not None,
                most=_TRIES,
            )
            sentence = next(_misread(condition, smallest), "")
            message = f"the condition that {condition.describe()} {sentence}\n  of this record: {smallest}"
            raise LawBroken(message, law="condition", case=smallest)


def _misread(condition: Condition, record: Mapping[str, Any]) -> Iterator[str]:
    """Yield where the forms of a condition disagree about a record."""
    truth = condition.holds(record)
    columns = {name: column([value, None], name) for name, value in record.items()}
    in_columns = bool(condition.mask(columns)[0]) if columns else truth
    if in_columns != truth:
        yield f"{_holds(truth)} of a record, and {_holds(in_columns)} of columns"
    again = Condition.from_toml(condition.to_toml())
    if again.run(record) != condition.run(record):
        yield f"{_holds(truth)}, and {_holds(again.holds(record))} when its TOML is read again"
    if not condition.describe() or len(condition.explain(record)) != len(tuple(condition.atoms())):
        yield "is not explained whole"


def _holds(truth: object) -> str:
    return "holds" if truth is True else "does not hold"
