"""Cases: one complaint or request each, from receipt to closing, with the steps it may take."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from functools import partial
from typing import Any, Final

import attrs
import numpy as np
from attrs import frozen

from userops.core.amounts import exact
from userops.core.calendar import MICROS_PER_DAY, from_micros, instant, micros
from userops.core.columns import columns as taken_columns
from userops.core.fields import checked
from userops.core.ids import MAX_ID_BYTES, identifier, text
from userops.core.quantities import is_table, listed
from userops.errors import InvalidValue
from userops.segments.labelling import Label


class CaseState(Enum):
    """Where a case stands."""

    RECEIVED = "received"
    ACKNOWLEDGED = "acknowledged"
    IN_PROGRESS = "in progress"
    ANSWERED = "answered"
    ACCEPTED = "accepted"
    CLOSED = "closed"
    REOPENED = "reopened"

    @property
    def following(self) -> tuple[CaseState, ...]:
        """The states that may come next; steps may be skipped, but none is taken back.

        >>> [state.value for state in CaseState.CLOSED.following]
        ['reopened']
        """
        if self is CaseState.CLOSED:
            return (CaseState.REOPENED,)
        if self is CaseState.REOPENED:
            return (CaseState.IN_PROGRESS, CaseState.ANSWERED, CaseState.ACCEPTED, CaseState.CLOSED)
        order = list(CaseState)
        return tuple(order[order.index(self) + 1 : order.index(CaseState.REOPENED)])

    def label(self, lang: str = "en") -> str:
        """Return the name of the state in a language."""
        return Label(self.value)(lang=lang)


def _severity(value: Any, name: str) -> float:
    if isinstance(value, bool | np.bool_):
        raise InvalidValue(f"{name} must be a number, not bool")
    try:
        number = float(value) if isinstance(value, float | np.floating) else float(exact(value, name))
    except OverflowError:
        raise InvalidValue(f"{name} is too large") from None
    if not 0 <= number < 1e100:
        raise InvalidValue(f"{name} must be at least 0 and below 10^100")
    return number


_short = partial(text, most=MAX_ID_BYTES)
_STEPS: Final = ("acknowledged_at", "answered_at", "accepted_at", "closed_at")


@frozen(
    field_transformer=checked(
        {
            "id": identifier,
            "member": identifier,
            "severity": _severity,
            **dict.fromkeys(("received_at", *_STEPS, "reopened_at"), instant),
            **dict.fromkeys(("kind", "region", "channel", "department", "handler"), _short),
            "compensation": _severity,
        }
    )
)
class Case:
    """One complaint or request of a member, with the instants of its steps.

    Steps may be skipped but follow one another in time; a case is reopened only after it was closed, and
    `closed_at` may then be the second closing. It ages from its first receipt, whatever happens later.

    >>> from datetime import UTC
    >>> case = Case("c1", "ann", 3, datetime(2027, 1, 1, tzinfo=UTC), closed_at=datetime(2027, 1, 5, tzinfo=UTC))
    >>> case.state(datetime(2027, 1, 4, tzinfo=UTC)).value, case.state(datetime(2027, 1, 5, tzinfo=UTC)).value
    ('received', 'closed')
    """

    id: str
    member: str
    severity: float
    received_at: datetime
    acknowledged_at: datetime | None = None
    answered_at: datetime | None = None
    accepted_at: datetime | None = None
    closed_at: datetime | None = None
    reopened_at: datetime | None = None
    kind: str = ""
    region: str = ""
    channel: str = ""
    department: str = ""
    handler: str = ""
    compensation: float = 0

    def __attrs_post_init__(self) -> None:
        """Refuse steps out of order."""
        last, last_name = self.received_at, "received_at"
        for name in _STEPS:
            at = getattr(self, name)
            # After a reopening the earlier steps may be those of the second round.
            if at is None or (
                name != "closed_at" and self.reopened_at is not None and at >= self.reopened_at
            ):
                continue
            if at < (last if self.reopened_at is None else self.received_at):
                raise InvalidValue(f"case {self.id!r}: {name} lies before {last_name}")
            last, last_name = at, name
        if self.reopened_at is not None:
            if self.closed_at is None:
                raise InvalidValue(
                    f"case {self.id!r}: it is reopened without having been closed; give closed_at"
                )
            if self.reopened_at < self.received_at:
                raise InvalidValue(f"case {self.id!r}: reopened_at lies before received_at")

    def is_open(self, as_of: datetime) -> bool:
        """Say whether the case was received and is not closed at an instant."""
        return self.received_at <= as_of and not self.is_closed(as_of)

    def is_closed(self, as_of: datetime) -> bool:
        """Say whether the case is closed at an instant, and not reopened since."""
        if self.closed_at is None or self.closed_at > as_of:
            return False
        return not self.is_reopened(as_of)

    def is_reopened(self, as_of: datetime) -> bool:
        """Say whether the case stands reopened at an instant, not closed again since."""
        if self.reopened_at is None or self.closed_at is None or self.reopened_at > as_of:
            return False
        return self.closed_at <= self.reopened_at or self.closed_at > as_of

    def was_reopened(self, as_of: datetime) -> bool:
        """Say whether the case was reopened by an instant, even if it was closed again."""
        return self.reopened_at is not None and self.reopened_at <= as_of

    @property
    def responded_at(self) -> datetime | None:
        """The first answer, acceptance or closing; an acknowledgement is no response."""
        return min(
            (at for at in (self.answered_at, self.accepted_at, self.closed_at) if at is not None),
            default=None,
        )

    def age_days(self, as_of: datetime) -> float:
        """Return the days since the first receipt."""
        return (micros(as_of) - micros(self.received_at)) / MICROS_PER_DAY

    def state(self, as_of: datetime) -> CaseState | None:
        """Return where the case stands at an instant, None before its receipt.

        An acknowledged case is in progress once it has a handler.
        """
        if self.received_at > as_of:
            return None
        if self.is_closed(as_of):
            return CaseState.CLOSED
        if self.is_reopened(as_of):
            return self._state_after_reopening(as_of)
        return self._step(as_of, self.received_at) or CaseState.RECEIVED

    def _state_after_reopening(self, as_of: datetime) -> CaseState:
        since = self.reopened_at or self.received_at
        found = self._step(as_of, since)
        return CaseState.REOPENED if found in (None, CaseState.ACKNOWLEDGED) else found

    def _step(self, as_of: datetime, since: datetime) -> CaseState | None:
        for at, state in (
            (self.accepted_at, CaseState.ACCEPTED),
            (self.answered_at, CaseState.ANSWERED),
            (self.acknowledged_at, CaseState.IN_PROGRESS if self.handler else CaseState.ACKNOWLEDGED),
        ):
            if at is not None and since <= at <= as_of:
                return state
        return None

    def moved(self, to: CaseState, at: datetime, **changes: Any) -> Case:
        """Return the case after a step at an instant; a step that its state does not allow is an error.

        >>> from datetime import UTC
        >>> case = Case("c1", "ann", 3, datetime(2027, 1, 1, tzinfo=UTC))
        >>> case.moved(CaseState.REOPENED, datetime(2027, 1, 2, tzinfo=UTC))
        Traceback (most recent call last):
        userops.errors.InvalidValue: case 'c1' is received: it cannot become reopened
        """
        when = instant(at)
        now = self.state(when)
        if now is None or to not in now.following:
            raise InvalidValue(
                f"case {self.id!r} is {now.value if now else 'not received'}: it cannot become {to.value}"
            )
        if to is CaseState.IN_PROGRESS:
            if not changes.get("handler"):
                raise InvalidValue("a case in progress has a handler: give handler=")
            return attrs.evolve(self, acknowledged_at=self.acknowledged_at or when, **changes)
        changed: dict[str, Any] = {f"{to.value}_at": when, **changes}
        return attrs.evolve(self, **changed)


_TIMES: Final = ("received_at", *_STEPS, "reopened_at")


def listed_cases(cases: Any) -> tuple[Case, ...]:
    """Return cases from a list of them or from columns (any data frame) named like the fields of `Case`.

    >>> listed_cases([])
    ()
    """
    if not is_table(cases):
        found = tuple(listed(cases, "cases"))
        wrong = [type(case).__name__ for case in found if not isinstance(case, Case)]
        if wrong:
            raise InvalidValue(f"cases are values of Case, or columns; got a {wrong[0]}")
    else:
        found = _cases_of_columns(taken_columns(cases))
    ids = {case.id for case in found}
    if len(ids) < len(found):
        raise InvalidValue("two cases have the same id")
    return found


def _cases_of_columns(columns: Mapping[str, Any]) -> tuple[Case, ...]:
    names = [field.name for field in attrs.fields(Case)]
    unknown = sorted(set(columns) - set(names))
    if unknown:
        raise InvalidValue(f"cases have no field {unknown[0]!r}; the fields are {', '.join(names)}")
    rows = zip(*(_plain_column(name, columns[name]) for name in columns), strict=True)
    made = []
    for row in rows:
        given = {name: value for name, value in zip(columns, row, strict=True) if value is not None}
        try:
            made.append(Case(**given))
        except TypeError as fault:
            raise InvalidValue(f"a case lacks a field: {fault}") from None
    return tuple(made)


def _plain_column(name: str, column: Any) -> list[Any]:
    data, gone = np.ma.getdata(column), np.ma.getmaskarray(column)
    if data.dtype.kind == "M":
        gone = gone | np.isnat(data)
        ticks = data.astype("datetime64[us]").view(np.int64)
        return [
            None if missing else from_micros(int(tick)) for tick, missing in zip(ticks, gone, strict=True)
        ]
    values = data.tolist()
    found = [
        None if missing or value is None or value != value else value
        for value, missing in zip(values, gone, strict=True)
    ]
    return found if name not in ("id", "member") else [str(v) if isinstance(v, int) else v for v in found]
