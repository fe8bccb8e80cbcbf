"""One history under a program, in every way that it can be lived: handled as it comes, run in order, replayed."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from attrs import field, frozen

from userops.core.calendar import local_day
from userops.core.events import Event
from userops.points import Ledger
from userops.program import Decision, Program, Replay
from userops.program.live.transaction import is_return
from userops.program.rules import EarnRule

Members = Mapping[str, Mapping[str, Any]]


@frozen
class Turn:
    """One event as it was handled: what was said beforehand, what was done, and what came of it told again."""

    event: Event
    #: The answers of `decide` from the member's state, asked twice.
    said: tuple[Decision, Decision]
    done: Decision
    again: Decision
    #: Entries in the ledger before, after `decide`, after `handle`, and after it was handled again.
    entries: tuple[int, int, int, int]

    @property
    def is_new(self) -> bool:
        """Say whether the event was not handled before."""
        return not self.done.replayed

    @property
    def is_return(self) -> bool:
        """Say whether the event takes back what its reference gave."""
        return is_return(self.event)

    @property
    def about(self) -> str:
        """What the event is about: one without a reference is its own."""
        return self.event.reference or self.event.id


@frozen
class Story:
    """A history: events in the order in which they are told, and what is known of the members."""

    events: tuple[Event, ...]
    members: Members = field(factory=dict, hash=False)


@frozen(eq=False, slots=False)
class Books:
    """A story under a program; every way of living it is made when it is asked for."""

    program: Program
    story: Story

    @property
    def ledger(self) -> Ledger:
        """The ledger in which the events were handled, in the order in which they are told."""
        return self._handled[0]

    @property
    def turns(self) -> tuple[Turn, ...]:
        """What handling each event came to, in that order."""
        return self._handled[1]

    @functools.cached_property
    def _handled(self) -> tuple[Ledger, tuple[Turn, ...]]:
        ledger = Ledger.in_memory()
        self.program.register(ledger)
        return ledger, tuple(self._turn(event, ledger) for event in self.story.events)

    def _turn(self, event: Event, ledger: Ledger) -> Turn:
        program, members, before = self.program, self.story.members, ledger.settled
        state = program.state(ledger, event.member, event.at, members)
        said = program.decide(event, state), program.decide(event, state)
        asked = ledger.settled
        done = program.handle(event, ledger, members)
        after = ledger.settled
        again = program.handle(event, ledger, members)
        return Turn(event, said, done, again, (before, asked, after, ledger.settled))

    @functools.cached_property
    def run(self) -> Ledger:
        """The ledger of `Program.run`."""
        ledger = Ledger.in_memory()
        self.program.run(self.story.events, ledger, self.story.members)
        return ledger

    @functools.cached_property
    def replayed(self) -> Replay:
        """The books of `Program.replay`."""
        return self.program.replay(self.story.events, self.story.members)

    @functools.cached_property
    def recorded(self) -> Replay:
        """The books of `Program.replay` in the order in which the events are told."""
        return self.program.replay(self.story.events, self.story.members, order="recorded")

    @functools.cached_property
    def event(self) -> Mapping[str, Event]:
        """The events by id, as first told."""
        found: dict[str, Event] = {}
        for event in self.story.events:
            found.setdefault(event.id, event)
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """The members of the events."""
        return tuple(sorted({event.member for event in self.story.events}))

    @functools.cached_property
    def instants(self) -> tuple[datetime, ...]:
        """Instants to compare books at: amid the events, at the last, and when points have expired."""
        ats = sorted(event.at for event in self.story.events)
        if not ats:
            return ()
        lives = {rule.expires for rule in self.program.earn if rule.expires is not None}
        late = min(
            max((life.longest() for life in lives), default=1),
            (datetime.max.replace(tzinfo=ats[-1].tzinfo) - ats[-1]).days - 1,
        )
        return tuple(dict.fromkeys((ats[len(ats) // 2], ats[-1], ats[-1] + timedelta(days=late))))

    def record(self, event: Event) -> dict[str, Any]:
        """Return what rules may read at an event, counters and the ladder's tier apart."""
        record = {**self.story.members.get(event.member, {}), **event.data}
        return record if event.amount is None else {**record, "amount": event.amount}

    def versions(self, rule: str, at: datetime) -> Iterable[EarnRule]:
        """Return the versions of a rule that are in force at an instant."""
        day = local_day(at, self.program.tz)
        return (one for one in self.program.earn if one.name == rule and one.is_in_force(day))
