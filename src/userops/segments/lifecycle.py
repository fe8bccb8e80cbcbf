"""Lifecycle: the spans of every member's stages, replayed from events, with timeouts and guards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from attrs import field, frozen

from userops.core.calendar import from_micros, instant, micros
from userops.core.columns import columns as taken_columns
from userops.core.columns import instants
from userops.core.quantities import is_table, listed, mapped
from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.segments.labelling import ByMember, Explanation, Label
from userops.segments.stages import HAPPENINGS, Happening, Journey, LifecycleRules, Reading, Stage

VERSION = "lifecycle"


@frozen
class Span:
    """A member in a stage over [start, end); `end` is None where it lasts at `as_of`."""

    member: str
    stage: Stage
    start: datetime
    end: datetime | None
    why: str


@frozen
class RefusedHappening:
    """An event that a guard refused: it changed nothing."""

    happening: Happening
    why: str


@frozen(eq=False)
class Lifecycle:
    """The stages of all members up to `as_of`: `.stage` by member, `.spans`, and `.refused` events."""

    spans: tuple[Span, ...]
    refused: tuple[RefusedHappening, ...]
    as_of: datetime
    _now: Mapping[str, Span] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        """Index the stages at `as_of`."""
        object.__setattr__(self, "_now", {span.member: span for span in self.spans if span.end is None})

    @property
    def stage(self) -> ByMember[Stage]:
        """The stage of every member at `as_of`."""
        return ByMember(self._now, (span.stage for span in self._now.values()))

    @property
    def label(self) -> ByMember[Label]:
        """The stage's name of every member at `as_of`."""
        return ByMember(self._now, (Label(span.stage.value) for span in self._now.values()))

    def __getitem__(self, member: str) -> Explanation:
        """Explain one member's stage."""
        span = self._now[member]
        return Explanation(
            Label(span.stage.value),
            1.0,
            {span.stage.value: 1.0},
            (f"{span.why}, {span.start:%Y-%m-%d}",),
            self.as_of,
            VERSION,
            (),
            member,
        )

    def at(self, when: datetime) -> dict[str, Stage]:
        """Return the stage of every member known at an instant."""
        moment = instant(when, "when")
        if moment > self.as_of:
            raise InvalidValue("the stages are known up to as_of only")
        return {
            span.member: span.stage
            for span in self.spans
            if span.start <= moment and (span.end is None or moment < span.end)
        }

    def counts(self, when: datetime | None = None) -> dict[Stage, int]:
        """Return how many members are in every stage at an instant, by default `as_of`."""
        found = list(self.at(self.as_of if when is None else when).values())
        return {stage: found.count(stage) for stage in Stage}

    def flows(self, start: datetime, end: datetime) -> Flows:
        """Return who moved between stages in (start, end]: opening + in − out = closing, for every stage."""
        before, after = self.at(start), self.at(end)
        if not start < end:
            raise InvalidValue("start must lie before end")
        low, high = instant(start), instant(end)
        moves: dict[tuple[Stage | None, Stage], int] = {}
        last: dict[str, Stage] = {}
        for span in self.spans:
            if low < span.start <= high:
                key = (last.get(span.member), span.stage)
                moves[key] = moves.get(key, 0) + 1
            last[span.member] = span.stage
        return Flows(_tally(before), _tally(after), moves)

    def table(self) -> Table:
        """Return the number of members in every stage."""
        counts = {stage: count for stage, count in self.counts().items() if count}
        notes = (f"{len(self.refused)} events refused by a guard",) if self.refused else ()
        return Table(
            {"stage": [stage.value for stage in counts], "members": list(counts.values())},
            title=f"Lifecycle at {self.as_of:%Y-%m-%d}",
            notes=notes,
        )

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def _tally(stages: Mapping[str, Stage]) -> dict[Stage, int]:
    found = list(stages.values())
    return {stage: found.count(stage) for stage in Stage}


@frozen
class Flows:
    """Stocks and moves between two instants; a move from None is a new member."""

    opening: Mapping[Stage, int]
    closing: Mapping[Stage, int]
    moves: Mapping[tuple[Stage | None, Stage], int]

    def entered(self, stage: Stage) -> int:
        """Return how many moves led into a stage."""
        return sum(count for (_, to), count in self.moves.items() if to is stage)

    def left(self, stage: Stage) -> int:
        """Return how many moves led out of a stage."""
        return sum(count for (origin, _), count in self.moves.items() if origin is stage)

    def table(self) -> Table:
        """Return one row per stage that anybody was in."""
        stages = [s for s in Stage if self.opening[s] or self.closing[s] or self.entered(s)]
        return Table(
            {
                "stage": [stage.value for stage in stages],
                "opening": [self.opening[stage] for stage in stages],
                "in": [self.entered(stage) for stage in stages],
                "out": [self.left(stage) for stage in stages],
                "closing": [self.closing[stage] for stage in stages],
            }
        )

    def __str__(self) -> str:
        return str(self.table())


def lifecycle(
    events: Any,
    as_of: datetime,
    *,
    rules: LifecycleRules | None = None,
    kinds: Mapping[str, str] | None = None,
    others: str = "error",
) -> Lifecycle:
    """Replay events into stages: fan → lead → (lost lead ↔ reactivated) → owner → repeat buyer or referrer → …

    Events are `Event`s (the vehicle as `reference`; `used` and `warranty_until` in `data`), `Happening`s,
    tuples (member, kind, at[, vehicle]) or columns of these names. Kinds are joined, lead, lost, bought, sold,
    referred, active; `kinds` maps the program's own names to them. Events of other kinds are errors, signs of
    life (`others="active"`) or left out (`"ignore"`).
    Guards refuse what cannot be (selling a vehicle not owned, losing who is no lead): such events are listed
    and change nothing. Spans are half-open: a stage that times out at an instant has ended at it, before any
    event of that instant.

    >>> from datetime import UTC
    >>> jan = lambda day: datetime(2027, 1, day, tzinfo=UTC)
    >>> found = lifecycle([("ann", "lead", jan(1)), ("ann", "bought", jan(9), "car-1")], jan(31))
    >>> found.stage["ann"].value, [span.stage.value for span in found.spans]
    ('owner', ['lead', 'owner'])
    """
    until, policy = instant(as_of, "as_of"), rules or LifecycleRules()
    mine: dict[str, list[Happening]] = {}
    for happening in _happenings(events, Reading(mapped(kinds, "kinds"), others)):
        if happening.at <= until:
            mine.setdefault(happening.member, []).append(happening)
    spans: list[Span] = []
    refused: list[RefusedHappening] = []
    for member in sorted(mine):
        ordered = sorted(
            mine[member],
            key=_order,
        )
        _replay(member, ordered, until=micros(until), rules=policy, spans=spans, refused=refused)
    return Lifecycle(tuple(spans), tuple(refused), until)


def _order(happening: Happening) -> tuple[Any, ...]:
    until = happening.warranty_until or happening.at
    return (happening.at, HAPPENINGS.index(happening.kind), happening.vehicle, happening.used, until)


def _replay(
    member: str,
    events: list[Happening],
    *,
    until: int,
    rules: LifecycleRules,
    spans: list[Span],
    refused: list[RefusedHappening],
) -> None:
    journey = Journey(rules)
    stage: Stage | None = None
    since, why, now = 0, "", 0

    def turn(at: int, reason: str) -> None:
        nonlocal stage, since, why, now
        now = at
        found = journey.stage(at)
        if found is stage:
            return
        # Within one instant only the last stage counts: no span is empty.
        if stage is not None and since < at:
            spans.append(Span(member, stage, from_micros(since), from_micros(at), why))
        stage, since, why = found, at, reason
        last = spans[-1] if spans else None
        if last is not None and last.member == member and last.stage is found and last.end == from_micros(at):
            # Out and back within one instant: the span before goes on.
            spans.pop()
            since, why = micros(last.start), last.why

    def pass_time(limit: int) -> None:
        while (change := journey.next_change(now)) is not None and change[0] <= limit:
            if change[1] == "timeout":
                journey.time_out()
            turn(change[0], change[1])

    for event in events:
        at = micros(event.at)
        pass_time(at)
        refusal = journey.apply(event)
        if refusal is not None:
            refused.append(RefusedHappening(event, refusal))
        turn(at, event.kind)
    pass_time(until)
    if stage is not None:
        spans.append(Span(member, stage, from_micros(since), None, why))


def _happenings(events: Any, reading: Reading) -> Iterator[Happening]:
    found: Iterable[Happening | None]
    if is_table(events):
        taken = taken_columns(events)
        absent = [name for name in ("member", "kind", "at") if name not in taken]
        if absent:
            raise InvalidValue(f"lifecycle events need the column {absent[0]!r}")
        times = [from_micros(at) for at in instants(taken["at"]).tolist()]
        vehicles = taken["vehicle"].tolist() if "vehicle" in taken else [""] * len(times)
        used = taken["used"].tolist() if "used" in taken else [False] * len(times)
        rows = zip(taken["member"].tolist(), taken["kind"].tolist(), times, vehicles, used, strict=True)
        found = (reading.happening(*row) for row in rows)
    else:
        found = (reading.of_event(event) for event in listed(events, "events"))
    yield from (happening for happening in found if happening is not None)
