"""Commands: decisions out. Frozen values with a client id; posting one makes one entry of a ledger."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any, ClassVar

from attrs import field, frozen

from userops.core import amounts, ids
from userops.core.calendar import instant, micros
from userops.core.fields import Check, checked
from userops.errors import InvalidCommand, InvalidValue, NaiveCommandTime, NaiveTimeError

_LAST_INSTANT = datetime.max.replace(tzinfo=UTC)


def _member_of(kind: type[Any]) -> Check:
    def check(value: Any, name: str) -> Any:
        if not isinstance(value, kind):
            raise InvalidValue(f"{name} must be a {kind.__name__}, not {type(value).__name__}")
        return value

    return check


def _rate(value: Any, name: str) -> Fraction:
    rate = amounts.exact(value, name)
    if rate <= 0:
        raise InvalidValue(f"{name} must be positive")
    return rate


def _fund_names(value: Any, name: str) -> tuple[str, ...]:
    if isinstance(value, str):
        raise InvalidValue(f"{name} must be a list of fund names, not one text")
    try:
        names = tuple(ids.identifier(fund, name) for fund in value)
    except TypeError:
        raise InvalidValue(f"{name} must be a list of fund names") from None
    if not names:
        raise InvalidValue(f"{name} must not be empty; leave it out to spend from any fund")
    return tuple(sorted(set(names)))


@frozen
class Restore:
    """What a reversed spend gives back: lots with their own expiry, or extended from the reversal.

    >>> Restore.EXTENDED(30)
    Restore(days=30)
    """

    days: int | None = None
    ORIGINAL: ClassVar[Restore]

    def __attrs_post_init__(self) -> None:
        """Refuse a number of days that is none."""
        if self.days is not None:
            days = amounts.whole(self.days, "days", at_least=1, at_most=36_525)
            object.__setattr__(self, "days", days)

    @staticmethod
    def EXTENDED(days: int) -> Restore:  # noqa: N802 — reads as a policy beside ORIGINAL
        """Give points back usable for `days` more days from the reversal (never for less than they had)."""
        return Restore(amounts.whole(days, "days", at_least=1))


Restore.ORIGINAL = Restore()


class Clawback(enum.Enum):
    """What undoing an earn takes: its unspent points, any, any and a debt, or all or nothing."""

    UNSPENT = "unspent"
    ANY = "any"
    DEBT = "debt"
    REJECT = "reject"


def _converting(check: Check, name: str, default: Any) -> Callable[[Any], Any]:
    """Return what checks a field, and makes what is found an `InvalidCommand` that names it."""

    def converted(value: Any) -> Any:
        if value is default:
            return value
        try:
            return check(value, name)
        except NaiveTimeError as fault:
            raise NaiveCommandTime(str(fault), field=name) from None
        except InvalidValue as fault:
            raise InvalidCommand(str(fault), field=name) from None

    return converted


_ID, _SHORT, _TEXT = ids.identifier, partial(ids.text, most=ids.MAX_ID_BYTES), ids.text
_CHECKS: dict[str, Check] = {
    **dict.fromkeys(
        ("id", "currency", "member", "to", "fund", "sink", "hold", "entry", "to_currency", "kind"), _ID
    ),
    **dict.fromkeys(("event", "reference", "rule"), _SHORT),
    **dict.fromkeys(("at", "available_at", "expires_at"), instant),
    "reason": _TEXT,
    "points": amounts.points,
    "amount": amounts.amount,
    "funds": _fund_names,
    "rate": _rate,
    "restore": _member_of(Restore),
    "clawback": _member_of(Clawback),
}
_fields = checked(_CHECKS, _converting)


@frozen(kw_only=True, field_transformer=_fields)
class Command:
    """What all commands carry: the client's id, the instant it takes effect, and where it came from."""

    id: str
    at: datetime
    currency: str = "points"
    reason: str = ""
    event: str = ""
    reference: str = ""


@frozen(kw_only=True, field_transformer=_fields)
class Earn(Command):
    """Grant points: a new lot of one fund, pending until `available_at`, gone at `expires_at`.

    >>> from datetime import UTC
    >>> Earn(id="e1", member="u1", points=0, fund="sales", at=datetime(2027, 1, 1, tzinfo=UTC))
    Traceback (most recent call last):
    userops.errors.InvalidCommand: points must be at least 1
    """

    member: str
    points: int
    fund: str
    available_at: datetime | None = None
    expires_at: datetime | None = None
    rule: str = ""

    def __attrs_post_init__(self) -> None:
        """Refuse a lot that could never be spent."""
        usable = self.at if self.available_at is None else max(self.at, self.available_at)
        if self.expires_at is not None and self.expires_at <= usable:
            raise InvalidCommand("expires_at must lie after at and available_at", field="expires_at")


@frozen(kw_only=True, field_transformer=_fields)
class Spend(Command):
    """Consume points, earliest expiry first, of these `funds` only when given."""

    member: str
    points: int
    sink: str
    funds: tuple[str, ...] | None = None


@frozen(kw_only=True, field_transformer=_fields)
class Hold(Command):
    """Reserve points; they cannot be spent, nor expire, while the hold lives."""

    member: str
    points: int
    expires_at: datetime | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse a hold that ends before it begins."""
        if self.expires_at is not None and self.expires_at <= self.at:
            raise InvalidCommand("expires_at must lie after at", field="expires_at")


@frozen(kw_only=True, field_transformer=_fields)
class Capture(Command):
    """Spend all of a hold, or part and release the rest."""

    hold: str
    sink: str
    points: int | None = None


@frozen(kw_only=True, field_transformer=_fields)
class Release(Command):
    """Give a hold's points back to their lots."""

    hold: str


@frozen(kw_only=True, field_transformer=_fields)
class Reverse(Command):
    """Undo a spend, capture, earn or transfer: all that is left of it, or `points`."""

    entry: str
    points: int | None = None
    restore: Restore = Restore.ORIGINAL
    clawback: Clawback = Clawback.UNSPENT

    def __attrs_post_init__(self) -> None:
        """Refuse an extension beyond the last instant there is."""
        if self.restore.days is not None and (_LAST_INSTANT - self.at).days < self.restore.days:
            raise InvalidCommand("restore reaches beyond the year 9999", field="restore")


@frozen(kw_only=True, field_transformer=_fields)
class Transfer(Command):
    """Move points to another member; lots keep fund, cost, expiry and origin."""

    member: str
    to: str
    points: int

    def __attrs_post_init__(self) -> None:
        """Refuse a transfer to oneself."""
        if self.member == self.to:
            raise InvalidCommand("a transfer needs two members", field="to")


@frozen(kw_only=True, field_transformer=_fields)
class Exchange(Command):
    """Turn points into another currency at `rate`, rounded down, at the cost of `fund`.

    >>> from datetime import UTC
    >>> Exchange(id="x", member="u1", points=3, to_currency="miles", rate=Fraction(1, 4), fund="air",
    ...          at=datetime(2027, 1, 1, tzinfo=UTC))
    Traceback (most recent call last):
    userops.errors.InvalidCommand: 3 points at this rate give nothing
    """

    member: str
    points: int
    to_currency: str
    rate: Fraction
    fund: str
    expires_at: datetime | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse an exchange into itself, one that gives nothing, and one beyond 64 bits."""
        if self.to_currency == self.currency:
            raise InvalidCommand("an exchange needs two currencies", field="to_currency")
        if self.expires_at is not None and self.expires_at <= self.at:
            raise InvalidCommand("expires_at must lie after at", field="expires_at")
        if self.result < 1:
            raise InvalidCommand(f"{self.points} points at this rate give nothing", field="points")
        if self.result > amounts.MAX_POINTS:
            raise InvalidCommand("the exchange gives more than 2^63 - 1", field="rate")

    @property
    def result(self) -> int:
        """What the member gets in the other currency."""
        return self.points * self.rate.numerator // self.rate.denominator


@frozen(kw_only=True, field_transformer=_fields)
class Extend(Command):
    """Move the expiry of the member's living lots (of `rule`, when given) later, never earlier."""

    member: str
    expires_at: datetime
    rule: str | None = None


@frozen(kw_only=True, field_transformer=_fields)
class WriteOff(Command):
    """Give up a member's debt: all of it, or `points`."""

    member: str
    points: int | None = None


@frozen(kw_only=True, field_transformer=_fields)
class Note(Command):
    """Record an event worth remembering: no legs; counters read it."""

    member: str
    kind: str
    amount: int | Decimal | None = None


@frozen(kw_only=True, field_transformer=_fields)
class Expire(Command):
    """Write the expiries due by `at`, of one member or of all. Its id may be left to be made from them."""

    member: str | None = None
    id: str = field()

    @id.default
    def _id_of_instant_and_member(self) -> str:
        # A digest, because an id outlives the erasure of the member it was made for.
        whose = "" if self.member is None else hashlib.sha256(self.member.encode()).hexdigest()
        return ids.derived_id("expire", str(micros(self.at)), whose)
