"""Decisions: what a program makes of one event, and why."""

from __future__ import annotations

import enum
from typing import Any

from attrs import field, frozen

from userops.core.commands import Command
from userops.core.conditions import Finding
from userops.core.events import Event


class Status(enum.Enum):
    """What became of a rule at an event."""

    FIRED = "fired"
    CAPPED = "capped"
    NOT = "not"
    REFUSED = "refused"


@frozen(kw_only=True)
class Outcome:
    """What one rule made of an event: fired, capped, not, or refused by the ledger, and why."""

    rule: str
    status: Status
    #: Points before caps, and after them.
    asked: int = 0
    given: int = 0
    #: The cap that bound, in words.
    cap: str = ""
    why: str = ""
    #: What each comparison of the rule's condition found.
    findings: tuple[Finding, ...] = ()
    commands: tuple[Command, ...] = ()
    #: The ledger's `Rejected`, or the error of a field that a rule could not use.
    error: Exception | None = field(default=None, eq=False)
    receipts: tuple[Any, ...] = ()

    def describe(self) -> str:
        """Say the outcome in one line."""
        unit = getattr(self.commands[0], "currency", "points") if self.commands else "points"
        if self.status is Status.FIRED:
            return f"{self.rule}: {self.given:,} {unit}"
        if self.status is Status.CAPPED:
            return f"{self.rule}: {self.given:,} of {self.asked:,} {unit}, by the cap of {self.cap}"
        if self.status is Status.REFUSED:
            return f"{self.rule}: refused, {self.why or self.error}"
        return f"{self.rule}: nothing, {self.why}"


@frozen(kw_only=True)
class Decision:
    """The commands that an event leads to, and the outcome of every rule that listens to its kind."""

    event: Event
    outcomes: tuple[Outcome, ...] = ()
    #: An event worth remembering is recorded by a `Note`, which comes last.
    notes: tuple[Command, ...] = ()
    #: The member's tier, where one of the rules reads it.
    tier: str | None = None
    #: The event had been handled before: this is the answer of then.
    replayed: bool = False

    @property
    def commands(self) -> tuple[Command, ...]:
        """What posting the decision posts, in order."""
        return tuple(command for outcome in self.outcomes for command in outcome.commands) + self.notes

    def describe(self) -> str:
        """Say the decision in words, a line per rule."""
        head = f"{self.event.kind} of {self.event.member}{' (handled before)' if self.replayed else ''}"
        return "\n".join([head, *(f"  {outcome.describe()}" for outcome in self.outcomes)])
