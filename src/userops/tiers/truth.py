"""Late truth: what was believed of a member's tier, against what is known now."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import frozen

from userops.core.calendar import from_micros
from userops.core.quantities import listed
from userops.tiers.history import Grant, History, Person, read_event
from userops.tiers.overlay import effective
from userops.tiers.rules import Rules
from userops.tiers.walk import Walk


@frozen
class Restatement:
    """A stretch [start, end) of time in which a member was believed at one tier and belonged to another."""

    start: datetime
    end: datetime
    believed: str | None
    true: str | None

    def __str__(self) -> str:
        return (
            f"{self.start.isoformat()} to {self.end.isoformat()}: "
            f"believed {self.believed or 'no tier'}, true {self.true or 'no tier'}"
        )


class _Course:
    """The tier over time, for one state of knowledge."""

    def __init__(
        self, rules: Rules, person: Person, history: History, grants: Sequence[Grant], until: int
    ) -> None:
        walk = Walk(rules, person, history.first)
        base = walk.state.tier
        walk.along(history, until)
        moves = [s for s in effective(rules, walk.steps, base, grants, until) if s.was != s.to]
        self.instants = [step.at for step in moves]
        self._tiers = [base, *(step.to for step in moves)]

    def at(self, at: int) -> int:
        return self._tiers[bisect.bisect_right(self.instants, at)]


def restatements(
    rules: Rules, history: Iterable[Any], record: Mapping[str, Any] | None, grants: Sequence[Grant]
) -> tuple[Restatement, ...]:
    """Return where what was believed at the time differs from what is known now, in order."""
    items = listed(history, "history")
    read = [read_event(item, rules.metric) for item in items]
    learnt = sorted({recorded for at, _, _, recorded in read if recorded > at})
    if not learnt:
        return ()
    person = Person.of(record)
    end = learnt[-1]
    true = _Course(rules, person, History.of(items, as_of=end, metric=rules.metric), grants, end)
    start = min(at for at, _, _, _ in read)
    pieces: list[tuple[int, int, int, int]] = []
    for low, high in zip([start, *learnt], learnt, strict=False):
        # What is recorded when it happens is known by then; of the late ones, those learnt up to `low`.
        known = [
            item for item, (at, _, _, recorded) in zip(items, read, strict=True) if recorded <= max(at, low)
        ]
        believed = _Course(
            rules, person, History.of(known, as_of=high - 1, metric=rules.metric), grants, high - 1
        )
        cuts = sorted({low, *(at for c in (true, believed) for at in c.instants if low < at < high)})
        for left, right in zip(cuts, [*cuts[1:], high], strict=True):
            was, now = believed.at(left), true.at(left)
            if was == now:
                continue
            joins = bool(pieces) and pieces[-1][1:] == (left, was, now)
            pieces.append((pieces.pop()[0] if joins else left, right, was, now))
    return tuple(
        Restatement(from_micros(left), from_micros(right), rules.name(was), rules.name(now))
        for left, right, was, now in pieces
    )
