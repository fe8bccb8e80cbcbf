"""Invitations: who invited whom and when, the rules that bind them, and why a touch was refused."""

from __future__ import annotations

import enum
from datetime import datetime
from functools import partial
from typing import Any

from attrs import frozen

from userops.core.amounts import whole
from userops.core.calendar import instant
from userops.core.fields import checked
from userops.core.ids import MAX_ID_BYTES, identifier, text
from userops.errors import InvalidValue

#: The longest window or lock: a century.
MAX_DAYS = 36_525


class Touch(enum.Enum):
    """Which touch binds: the first, locked for a time, or the latest before joining, without a lock."""

    FIRST = "first"
    LAST = "last"


class Reject(enum.Enum):
    """Why a touch does not bind, in the order in which the reasons are tried."""

    SELF = "self"
    SAME_PERSON = "same_person"
    UNKNOWN_REFERRER = "unknown_referrer"
    STAFF = "staff"
    FLAGGED = "flagged"
    EXISTING_MEMBER = "existing_member"
    AFTER_ORDER = "after_order"
    EXPIRED = "expired"
    ALREADY_REFERRED = "already_referred"
    CYCLE = "cycle"
    CAP = "cap"


def _referrer(value: Any, name: str) -> str:
    return "" if value is None else text(value, name, most=MAX_ID_BYTES)


_short = partial(text, most=MAX_ID_BYTES)


@frozen(
    field_transformer=checked(
        {"referrer": _referrer, "invitee": identifier, "at": instant, "code": _short, "channel": _short}
    )
)
class Invitation:
    """One touch: a referrer's code reached an invitee at an instant.

    A touch without a referrer (None, or an empty text) is kept, and refused as `UNKNOWN_REFERRER`.

    >>> Invitation("ann", "bo", datetime(2027, 1, 1))
    Traceback (most recent call last):
    userops.errors.NaiveTimeError: at has no time zone; give an aware datetime
    """

    referrer: str
    invitee: str
    at: datetime
    code: str = ""
    channel: str = ""


@frozen
class Refusal:
    """A touch that did not bind, with the first reason that applies and its facts in words."""

    invitee: str
    referrer: str
    at: datetime
    reason: Reject
    why: str


def _days(value: Any, name: str, *, at_least: int) -> int:
    return whole(value, name, at_least=at_least, at_most=MAX_DAYS)


def _touch(value: Any, name: str) -> Touch:
    if not isinstance(value, Touch):
        raise InvalidValue(f"{name} must be Touch.FIRST or Touch.LAST, not {type(value).__name__}")
    return value


@frozen(
    kw_only=True,
    field_transformer=checked({"cap": partial(whole, at_least=0), "touch": _touch}),
)
class Binding:
    """How touches bind a person to one referrer.

    `window_days`: the invitee joins within so many days of the touch (half-open); None for no window.
    `locked_days`: how long a binding keeps later touches out (half-open); None for ever. `cap`: the most
    invitees bound to one referrer at a time. A day is 24 hours.

    >>> Binding(window_days=0)
    Traceback (most recent call last):
    userops.errors.InvalidValue: window_days must be between 1 and 36525
    """

    window_days: int | None = 30
    locked_days: int | None = 180
    cap: int | None = None
    touch: Touch = Touch.FIRST

    def __attrs_post_init__(self) -> None:
        """Refuse spans that no calendar holds."""
        for name, at_least in (("window_days", 1), ("locked_days", 0)):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _days(value, name, at_least=at_least))
