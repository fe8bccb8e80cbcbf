"""Counterexamples made small: ever simpler ones are tried while they still break the law."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from attrs import evolve

from userops.core.events import Event
from userops.testing.books import Story

T = TypeVar("T")


def shrunk(case: T, simpler: Callable[[T], Iterator[T]], is_broken: Callable[[T], bool], *, most: int) -> T:
    """Return a case that still breaks the law and of which no simpler one does, or the best of `most` tries.

    >>> shrunk(100, lambda n: iter(range(n // 2, n)), lambda n: n >= 7, most=1_000)
    7
    """
    tries, is_smaller = 0, True
    while is_smaller:
        is_smaller = False
        for one in simpler(case):
            tries += 1
            if tries > most:
                return case
            if is_broken(one):
                case, is_smaller = one, True
                break
    return case


def simpler_stories(story: Story) -> Iterator[Story]:
    """Yield stories with less in them: fewer events first, then plainer ones, then less known of members."""
    events, size = story.events, len(story.events)
    while size:
        for place in range(0, len(events), size):
            yield evolve(story, events=events[:place] + events[place + size :])
        size //= 2
    for place, event in enumerate(events):
        for plainer in _plainer(event, events):
            yield evolve(story, events=(*events[:place], plainer, *events[place + 1 :]))
    for member, record in story.members.items():
        others = {name: one for name, one in story.members.items() if name != member}
        yield evolve(story, members=others)
        for name in record:
            yield evolve(story, members={**others, member: {k: v for k, v in record.items() if k != name}})
    ids = {name: f"e{n}" for n, name in enumerate(dict.fromkeys(event.id for event in events), start=1)}
    if any(name != new for name, new in ids.items()):
        renamed = (evolve(e, id=ids[e.id], reference=ids.get(e.reference, e.reference)) for e in events)
        yield evolve(story, events=tuple(renamed))


def _plainer(event: Event, events: tuple[Event, ...]) -> Iterator[Event]:
    """Yield the event with less to it; one that is told twice changes only as a whole, and so stays."""
    if sum(other.id == event.id for other in events) > 1:
        return
    for name in event.data:
        yield evolve(event, data={key: value for key, value in event.data.items() if key != name})
    if event.amount is not None:
        yield evolve(event, amount=None)
    if event.reference and event.reference not in {other.id for other in events}:
        yield evolve(event, reference="")
    # Once at the first event's time it stays there: what is simpler than itself would have no end.
    if event.at != events[0].at:
        yield evolve(event, at=events[0].at)
    whole_hour = event.at.replace(minute=0, second=0, microsecond=0)
    if event.at != whole_hour and (event is events[0] or event.at != events[0].at):
        yield evolve(event, at=whole_hour)


def simpler_records(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield records with a field less."""
    for name in record:
        yield {key: value for key, value in record.items() if key != name}
