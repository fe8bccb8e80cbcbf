"""Review: what is held against a member is a state in the open, and may be appealed against."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from attrs import evolve, field, frozen

from userops.core.calendar import instant
from userops.core.fields import checked
from userops.core.ids import identifier, text
from userops.core.quantities import checked_number, hashable, listed, of_kind
from userops.errors import InvalidValue


def _number(value: Any, name: str) -> float:
    return checked_number(value, name, -1e308, 1e308)


def _members(value: Any, name: str) -> tuple[Any, ...]:
    return tuple(hashable(member, "a member") for member in listed(value, name))


@frozen(
    field_transformer=checked(
        {"kind": identifier, "members": _members, "strength": _number, "evidence": text}
    )
)
class Signal:
    """A finding that deserves a look: of which kind, about whom, how strong, and the evidence in words."""

    kind: str
    members: tuple[Any, ...]
    strength: float
    evidence: str


class State(enum.IntEnum):
    """How far a suspicion has gone; a higher state holds more back."""

    CLEAR = 0
    FLAGGED = 1
    HELD = 2
    REJECTED = 3


@frozen
class Step:
    """One entry of a review's record."""

    at: datetime
    what: str
    state: State
    why: str


def _steps(value: Any, _name: str) -> tuple[Step, ...]:
    return tuple(of_kind(step, Step, "a step") for step in listed(value, "steps"))


def _state(value: Any, name: str) -> State:
    return of_kind(value, State, name)


@frozen(field_transformer=checked({"member": hashable, "state": _state, "steps": _steps}))
class Review:
    """A member's state with its whole record: raised step by step, lowered only by an appeal that is upheld.

    >>> from datetime import UTC
    >>> t = datetime(2027, 1, 1, tzinfo=UTC)
    >>> held = Review("bo").raise_to(State.HELD, at=t, why="9 invitees on one device")
    >>> held.appeal(at=t, why="a family's phone").decide(State.CLEAR, at=t, why="seen at the store").state
    <State.CLEAR: 0>
    """

    member: Any
    state: State = State.CLEAR
    steps: tuple[Step, ...] = field(default=())
    is_appealed: bool = False

    def raise_to(self, state: State, *, at: datetime, why: str) -> Review:
        """Return the review in a higher state; going down needs an appeal."""
        if not isinstance(state, State) or state <= self.state:
            raise InvalidValue(f"a review is raised above {self.state.name}; an appeal lowers it")
        return self._with("raised", state, at, why, is_appealed=self.is_appealed)

    def appeal(self, *, at: datetime, why: str) -> Review:
        """Return the review under appeal: the state stays until it is decided."""
        if self.state is State.CLEAR:
            raise InvalidValue("nothing is held against a member who is CLEAR")
        if self.is_appealed:
            raise InvalidValue("an appeal is open already; decide it first")
        return self._with("appealed", self.state, at, why, is_appealed=True)

    def decide(self, state: State, *, at: datetime, why: str) -> Review:
        """Return the review after its appeal: in the state decided, not above the present one."""
        if not self.is_appealed:
            raise InvalidValue("no appeal is open")
        if not isinstance(state, State) or state > self.state:
            raise InvalidValue(f"an appeal ends at {self.state.name} or below")
        return self._with("decided", state, at, why, is_appealed=False)

    def _with(self, what: str, state: State, at: datetime, why: str, *, is_appealed: bool) -> Review:
        when = instant(at)
        if self.steps and when < self.steps[-1].at:
            raise InvalidValue("a step must not lie before the one it follows")
        step = Step(when, what, state, identifier(why, "why", most=4_096))
        return evolve(self, state=state, steps=(*self.steps, step), is_appealed=is_appealed)


def open_reviews(signals: Iterable[Signal], *, at: datetime) -> dict[Any, Review]:
    """Return a FLAGGED review for every member of the signals, each signal's evidence on record.

    >>> from datetime import UTC
    >>> signal = Signal("burst", ("ann",), 3.0, "9 invitees on one day")
    >>> open_reviews([signal], at=datetime(2027, 1, 1, tzinfo=UTC))["ann"].state
    <State.FLAGGED: 1>
    """
    when, reviews = instant(at), dict[Any, Review]()
    for signal in listed(signals, "signals"):
        of_kind(signal, Signal, "a signal")
        for member in signal.members:
            step = Step(when, "flagged", State.FLAGGED, f"{signal.kind}: {signal.evidence}")
            before = reviews.get(member, Review(member))
            reviews[member] = evolve(before, state=State.FLAGGED, steps=(*before.steps, step))
    return reviews
