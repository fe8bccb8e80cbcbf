"""Histories drawn choice by choice, by whoever chooses: a generator of a seed, or Hypothesis."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from attrs import evolve, field, frozen

from userops.core.calendar import instant
from userops.core.events import Event
from userops.core.ids import identifier
from userops.errors import InvalidValue
from userops.program.rules import CANCELLED, REDEEMED
from userops.testing.vocabulary import UNHEARD, Vocabulary, span_of
from userops.tiers import Grant

T = TypeVar("T")
#: Returns one of some options; the first ones are the simplest.
Choose = Callable[[Sequence[Any]], Any]

#: What a step of a history is: an event, one more of its like, as fills caps, its cancellation, or itself told again.
_STEPS = ("event", "event", "event", "event", "more", "more", "more", "cancel", "cancel", "again")
_REFERENCES = ("", "o1", "o1", "o2")
#: How much of what was paid for is returned; all without an amount first.
_PARTS = ("all", "all", "half", "one", "whole amount", "too much")
_ABSENT = object()


@frozen
class Step:
    """One step of a history, before the ones that it follows are known."""

    what: str
    gap: timedelta = timedelta(0)
    kind: str = ""
    member: str = ""
    reference: str = ""
    amount: Any = None
    data: dict[str, Any] = field(factory=dict)
    #: Which of the events so far, from the last, it follows.
    of: int = 0
    part: str = ""
    #: How many more of it, a minute apart.
    times: int = 1


@frozen(eq=False)
class Scene:
    """Where histories take place: the program's words, its members, and the span of time."""

    words: Vocabulary
    members: tuple[str, ...]
    start: datetime
    end: datetime
    anchors: tuple[datetime, ...]
    kinds: tuple[str, ...]
    gaps: tuple[timedelta, ...]

    @classmethod
    def of(
        cls, words: Vocabulary, members: Collection[str], start: datetime | None, end: datetime | None
    ) -> Scene:
        """Check what was asked for."""
        if isinstance(members, str) or not isinstance(members, Collection) or not members:
            raise InvalidValue("members must be a list of at least one member's id")
        first, last = span_of(
            words,
            None if start is None else instant(start, "start"),
            None if end is None else instant(end, "end"),
        )
        names = tuple(dict.fromkeys(identifier(member, "member") for member in members))
        anchors = tuple(at for at in words.anchors if first <= at < last) or (first,)
        return cls(words, names, first, last, anchors, words.kinds, words.gaps)

    def part(self, choose: Choose) -> Scene:
        """Draw the scene of one history: fewer members, kinds and gaps now and then, so that what is left meets more.

        What a history leaves out finds as much as what it has in it (Groce and others, "Swarm testing", 2012).
        """
        kinds, gaps = self.kinds, self.gaps
        if choose((False, True)):
            few = {choose(kinds[:-1] or kinds), choose(kinds)}
            kinds = (*(kind for kind in kinds[:-1] if kind in few), REDEEMED)
        if choose((False, True)):
            gaps = tuple(gap for gap in gaps if abs(gap) <= timedelta(hours=25))
        names = self.members[: choose(range(1, len(self.members) + 1))]
        return evolve(self, kinds=kinds, gaps=gaps, members=names)


def draw_step(choose: Choose, scene: Scene) -> Step:
    """Draw one step: an event that some rule may hear, or what follows one."""
    words = scene.words
    what = choose(_STEPS)
    gap = choose(scene.gaps)
    if what != "event":
        of, times = choose((0, 0, 0, 1, 2, 5)), choose((1, 1, 2, 5, 11)) if what == "more" else 1
        return Step(what, gap, of=of, part=choose(_PARTS) if what == "cancel" else "", times=times)
    kind = choose((*scene.kinds[:-1], *scene.kinds, UNHEARD))
    aim = choose(({}, *words.aims.get(kind, ()), *words.aims.get(kind, ())))
    data = {}
    for name in words.fields.get(kind, ()):
        value = choose(aim[name] if name in aim else (_ABSENT, *words.values.get(name, ())))
        if value is not _ABSENT:
            data[name] = value
    amounts = words.values["amount"]
    if kind == REDEEMED:
        amounts = tuple(value for value in amounts if value is not None)
    return Step(
        what,
        gap,
        kind=kind,
        member=choose(scene.members),
        reference=choose(_REFERENCES),
        amount=choose(aim.get("amount") or amounts),
        data=data,
    )


def events_of(steps: Sequence[Step], begin: datetime, scene: Scene) -> list[Event]:
    """Return the events that steps come to, one after another from `begin`, within the scene's span."""
    at, events = begin, list[Event]()
    for place, step in enumerate(steps, start=1):
        at = min(max(at + step.gap, scene.start), scene.end - timedelta(microseconds=1))
        made = [event for event in events if not event.kind.endswith(CANCELLED)]
        if step.what == "event":
            events.append(
                Event(f"e{place}", step.kind, step.member, at, step.reference, step.amount, step.data)
            )
        elif step.what == "again" and events:
            events.append(events[-1 - step.of % len(events)])
        elif step.what == "more" and made:
            like = made[-1 - step.of % len(made)]
            for turn in range(step.times):
                soon = min(at + timedelta(minutes=turn), scene.end - timedelta(microseconds=1))
                events.append(evolve(like, id=f"e{place}.{turn}" if turn else f"e{place}", at=soon))
        elif step.what == "cancel" and made:
            events.append(_back(made[-1 - step.of % len(made)], f"e{place}", at, step.part))
    return events


def _back(event: Event, id_: str, at: datetime, part: str) -> Event:
    """Return the cancellation of an event, or the return of a part of it."""
    paid = event.amount
    if paid is None or part == "all":
        amount: int | Decimal | None = None
    else:
        amount = {
            "half": paid / 2 if isinstance(paid, Decimal) else paid // 2,
            "one": 1,
            "too much": paid + 1,
        }.get(part, paid)
    return Event(id_, event.kind + CANCELLED, event.member, at, event.reference or event.id, amount)


def draw_record(choose: Choose, words: Vocabulary) -> dict[str, Any]:
    """Draw what is known of one member, or one record that a condition reads; any field may be absent."""
    drawn = ((name, choose((_ABSENT, *words.values.get(name, ())))) for name in words.of_members)
    return {name: value for name, value in drawn if value is not _ABSENT}


def draw_member(choose: Choose, scene: Scene) -> dict[str, Any]:
    """Draw a member's record: the fields that rules read, and what a ladder asks of a person."""
    record = draw_record(choose, scene.words)
    tiers = scene.words.tiers
    if tiers and choose((False, True)):
        record["joined_at"] = choose(scene.anchors) - timedelta(days=40)
    if tiers and choose((False, False, False, True)):
        begin = choose(scene.anchors)
        record["grants"] = (Grant(choose(tiers), begin, begin + timedelta(days=choose((1, 40)))),)
    return record
