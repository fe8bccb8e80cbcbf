"""What a member did and was given: value events, grants and pauses, read into instants in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from attrs import define, field, frozen

from userops.core.amounts import whole
from userops.core.calendar import instant, micros
from userops.core.fields import checked
from userops.core.ids import identifier, text
from userops.core.quantities import listed
from userops.errors import InvalidValue
from userops.tiers.windows import FOREVER

_event_fields = checked({"at": instant, "value": whole, "metric": identifier, "recorded_at": instant})


@frozen(field_transformer=_event_fields)
class ValueEvent:
    """Value earned at an instant, in whole numbers; a negative value is the reversal of an earn.

    `recorded_at` is when it became known, at once when not given.

    >>> from datetime import UTC
    >>> ValueEvent(datetime(2027, 1, 5, tzinfo=UTC), 300).metric
    'value'
    """

    at: datetime
    value: int
    metric: str = "value"
    recorded_at: datetime | None = None


_grant_fields = checked(
    {"tier_or_badge": identifier, "start": instant, "end": instant, "by": text, "reason": text}
)


@frozen(field_transformer=_grant_fields)
class Grant:
    """A tier, or a badge of honour, given for [start, end): never lowering what is earned.

    A name that is no tier of the ladder is a badge.

    >>> from datetime import UTC
    >>> Grant("founder", datetime(2027, 1, 5, tzinfo=UTC), by="club", reason="first thousand").end is None
    True
    """

    tier_or_badge: str
    start: datetime
    end: datetime | None = None
    by: str = ""
    reason: str = ""

    def __attrs_post_init__(self) -> None:
        """Refuse an end before the start."""
        if self.end is not None and self.end <= self.start:
            raise InvalidValue("a grant must end after its start")


@define
class Value:
    """Value of one metric at one instant, what reversals have left of it."""

    at: int
    metric: str
    value: int


@frozen
class History:
    """A member's value by instant and metric, earliest first, summed where several share an instant."""

    events: tuple[tuple[int, str, int], ...]
    #: The first event of any value, or None.
    first: int | None

    @classmethod
    def of(
        cls,
        history: Iterable[Any],
        *,
        as_of: int = FOREVER,
        known_at: int | None = None,
        metric: str = "value",
    ) -> History:
        """Read (at, value) pairs, taken as of `metric`, or value events, up to `as_of` and as known at `known_at`."""
        sums: dict[tuple[int, str], int] = {}
        for item in listed(history, "history"):
            at, name, value, recorded = read_event(item, metric)
            if at <= as_of and (known_at is None or recorded <= known_at):
                sums[at, name] = sums.get((at, name), 0) + value
        ordered = sorted(sums)
        return cls(
            tuple((at, name, sums[at, name]) for at, name in ordered), ordered[0][0] if ordered else None
        )


def read_event(item: Any, metric: str) -> tuple[int, str, int, int]:
    """Return (at, metric, value, recorded_at) of a value event, or of an (at, value) pair.

    >>> from datetime import UTC
    >>> read_event((datetime(1970, 1, 1, tzinfo=UTC), 5), "value")
    (0, 'value', 5, 0)
    """
    if isinstance(item, ValueEvent):
        at = micros(item.at)
        recorded = at if item.recorded_at is None else max(at, micros(item.recorded_at))
        return at, item.metric, item.value, recorded
    pair = listed(item, "an (at, value) pair of a history, or a ValueEvent,")
    if len(pair) != 2:
        raise InvalidValue(f"a history has (at, value) pairs, not {len(pair)} parts; or use ValueEvent")
    at = micros(pair[0])
    return at, metric, whole(pair[1], "value"), at


def read_grants(grants: Iterable[Any]) -> tuple[Grant, ...]:
    """Return grants as a tuple, refusing anything else.

    >>> read_grants([])
    ()
    """
    found = tuple(listed(grants, "grants"))
    for grant in found:
        if not isinstance(grant, Grant):
            raise InvalidValue(f"grants are a list of Grant, not of {type(grant).__name__}")
    return found


@frozen
class Person:
    """What the rules read of a member beside the value: the record, when joined, and when paused."""

    record: Mapping[str, Any] = field(factory=dict, hash=False)
    joined: int | None = None
    #: [start, end) of each pause; the clock of reviews waits for its end.
    pauses: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, record: Mapping[str, Any] | None) -> Person:
        """Read a record; `joined_at` is an instant, `paused` a list of (start, end or None)."""
        if record is None:
            return cls()
        if not isinstance(record, Mapping):
            raise InvalidValue(f"record must be a mapping, not {type(record).__name__}")
        joined = record.get("joined_at")
        pauses = []
        paused = record.get("paused")
        if paused is not None and not isinstance(paused, tuple | list):
            raise InvalidValue("paused is a list of (start, end) pairs; the end may be None")
        for pause in paused or ():
            if not isinstance(pause, tuple | list) or len(pause) != 2:
                raise InvalidValue("paused is a list of (start, end) pairs; the end may be None")
            start = micros(pause[0], "paused")
            end = FOREVER if pause[1] is None else micros(pause[1], "paused")
            if end <= start:
                raise InvalidValue("a pause must end after its start")
            pauses.append((start, end))
        return cls(record, None if joined is None else micros(joined, "joined_at"), tuple(sorted(pauses)))

    def postponed(self, at: int) -> int:
        """Return when a review due at `at` takes place: then, or at the end of the pause it falls into.

        >>> Person(pauses=((0, 10), (10, 20))).postponed(5)
        20
        """
        for start, end in self.pauses:
            if start <= at < end:
                at = end
        return at
