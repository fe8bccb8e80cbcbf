"""What a ledger declares, records and answers: currencies, funds, entries, receipts, balances."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

from attrs import frozen

from userops.core import amounts
from userops.core.calendar import PERIODS, zone
from userops.core.commands import Command, Earn, Spend
from userops.core.fields import checked
from userops.core.ids import MAX_NAME_BYTES, identifier
from userops.errors import InvalidValue

_NAME = partial(identifier, most=MAX_NAME_BYTES)

#: Later than every instant: when lots end that never expire.
NEVER = 2**63 - 1

#: The account of points that ran out.
EXPIRED = "expired"

#: (lot id, points): which lots paid, or were restored, in order.
Allocations = tuple[tuple[str, int], ...]
#: (entry that made the debt, fund, points): made (positive) or paid and given up (negative).
Debts = tuple[tuple[str, str, int], ...]


def wallet_account(member: str) -> str:
    """Return the name of a member's wallet account.

    >>> wallet_account("u1")
    'wallet:u1'
    """
    return f"wallet:{member}"


def debt_account(member: str) -> str:
    """Return the name of the account of what a member owes.

    >>> debt_account("u1")
    'debt:u1'
    """
    return f"debt:{member}"


def _truth(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidValue(f"{name} must be True or False, not {type(value).__name__}")
    return value


def _unit_cost(value: Any, name: str) -> Decimal:
    cost = amounts.bounded_decimal(value, name)
    if cost < 0:
        raise InvalidValue(f"{name} must not be negative")
    return cost


def _period(value: Any, name: str) -> str:
    if not isinstance(value, str) or value not in PERIODS:
        raise InvalidValue(f"{name} must be one of {', '.join(PERIODS)}")
    return str(value)


def _zone_name(value: Any, _name: str) -> str:
    zone(value)
    return str(value)


@frozen(field_transformer=checked({"name": _NAME, "spendable": _truth}))
class Currency:
    """A unit that lots are counted in; growth value is one that is never spent."""

    name: str
    spendable: bool = True


@frozen(field_transformer=checked({"points": partial(amounts.whole, at_least=0), "per": _period}))
class Budget:
    """The most points a fund may issue per local day, week, month, year, or ever.

    >>> Budget(30_000_000, per="year").points
    30000000
    """

    points: int
    per: str = "lifetime"


@frozen(field_transformer=checked({"name": _NAME, "unit_cost": _unit_cost, "timezone": _zone_name}))
class Fund:
    """The department that pays for lots: what a point costs it, and how many it may issue.

    `kind` says what its points are in the accounts: `revenue` (a contract liability) or `expense`.
    """

    name: str
    unit_cost: Decimal = Decimal(0)
    budget: Budget | None = None
    kind: str = "revenue"
    #: Budget periods turn in this zone.
    timezone: str = "UTC"

    def __attrs_post_init__(self) -> None:
        """Refuse unknown kinds, and budgets that are none."""
        if not isinstance(self.kind, str) or self.kind not in ("revenue", "expense"):
            raise InvalidValue("kind must be 'revenue' or 'expense'")
        if self.budget is not None and not isinstance(self.budget, Budget):
            raise InvalidValue("budget must be a Budget")


class Leg(NamedTuple):
    """One account's part of an entry; the legs of an entry sum to zero per currency."""

    account: str
    currency: str
    points: int
    lot: str = ""


#: A leg as entries keep it: account, currency, points, lot.
BareLeg = tuple[str, str, int, str]


@frozen
class Receipt:
    """The ledger's answer to a posted command."""

    id: str
    #: The entry's place in the order of recording.
    sequence: int
    allocations: Allocations = ()
    #: Points that expired at once, by lot.
    expired: Allocations = ()
    #: The command had been posted before, with the same content.
    replayed: bool = False


@frozen
class Balance:
    """A member's points in one currency at an instant."""

    #: Spendable now.
    available: int
    #: Granted, and usable later.
    pending: int
    #: Reserved by holds.
    held: int
    #: Owed back by the member.
    debt: int


@frozen
class Lot:
    """Points earned together, as they stand at an instant."""

    id: str
    #: Points left, held ones included.
    points: int
    original: int
    fund: str
    unit_cost: Decimal
    earned_at: datetime
    available_at: datetime
    #: First instant at which the points are gone; they are still spendable just before.
    expires_at: datetime | None
    rule: str
    #: The lot that these points were first earned in.
    origin: str


@frozen
class Line:
    """One line of a statement: what an entry, or an expiry, did to the member's points."""

    at: datetime
    #: The entry's kind; `expire` where points ran out.
    kind: str
    points: int
    entry: str = ""
    reason: str = ""


@frozen
class Statement:
    """A member's points from `start` until just before `end`: closing = opening + lines."""

    member: str
    currency: str
    opening: int
    lines: tuple[Line, ...]
    closing: int


@frozen(kw_only=True)
class FundingRow:
    """Where the points of a fund's lots are: issued = redeemed + expired + clawed_back + outstanding."""

    fund: str
    currency: str
    issued: int
    redeemed: int
    expired: int
    clawed_back: int
    outstanding: int
    #: Owed back by members for this fund's undone earns, and given up.
    debt: int
    written_off: int


@frozen
class Finding:
    """Something an audit or a check-up found."""

    kind: str
    where: str
    message: str


@frozen
class Explanation:
    """What an entry did, in words."""

    entry: str
    lines: tuple[str, ...]

    def __str__(self) -> str:
        """Return the lines as text."""
        return "\n".join(self.lines)


class LotState(NamedTuple):
    """A lot as the books keep it; instants are microseconds since 1970.

    The first four values are the order in which lots are spent, so lots compare by it. (A named tuple, as a
    posting makes several: a frozen value of so many fields takes five times as long.)
    """

    currency: str
    #: The first instant at which the points are gone; `NEVER` for none.
    ends: int
    available_at: int
    #: (place of its entry in the wallet, place within the entry): the order of lots otherwise equal.
    place: tuple[int, int]
    id: str
    member: str
    fund: str
    unit_cost: Decimal
    earned_at: int
    rule: str
    origin: str
    original: int
    #: The first grant of the points, not a move of them: counted as issued.
    is_issue: bool
    #: Points neither spent, moved nor taken back; `written` of them are recorded as expired.
    left: int
    written: int = 0

    @property
    def expires_at(self) -> int | None:
        """When the points are gone; None for never."""
        return None if self.ends == NEVER else self.ends

    def with_left(self, left: int, written: int) -> LotState:
        """Return the lot with other points left. (`_replace` takes four times as long.)"""
        return tuple.__new__(LotState, self[:-2] + (left, written))  # noqa: RUF005 — half the time of unpacking

    def with_expiry(self, expires_at: int) -> LotState:
        """Return the lot with another expiry: an `Extend` moves all the lots of a member."""
        return tuple.__new__(LotState, (self.currency, expires_at, *self[2:]))

    def is_alive(self, at: int) -> bool:
        """Say whether the lot has not expired at an instant."""
        return at < self.ends


class Entry(NamedTuple):
    """One immutable record of a ledger: a command and what it did. (A named tuple, as each posting makes one.)"""

    id: str
    sequence: int
    kind: str
    #: Whose wallets it is recorded in; the first is the one it was made for.
    members: tuple[str, ...]
    at: datetime
    currency: str
    command: Command
    #: Bare legs; None where they follow from the rest, as those of most earns and spends do. See `bare_legs`.
    own_legs: tuple[BareLeg, ...] | None = ()
    allocations: Allocations = ()
    expired: Allocations = ()
    created: tuple[LotState, ...] = ()
    #: Of an undone earn: points taken back, and points booked as debt.
    recovered: int = 0
    indebted: int = 0
    debts: Debts = ()

    @property
    def bare_legs(self) -> tuple[BareLeg, ...]:
        """What the entry moved, as plain tuples of account, currency, points and lot."""
        legs = self.own_legs
        return self._implied_legs() if legs is None else legs

    def _implied_legs(self) -> tuple[BareLeg, ...]:
        return implied_legs(self.command, self.currency, self.allocations, self.created) or ()

    def as_kept(self) -> Entry:
        """Return the entry as it is kept: without legs that follow from the rest."""
        return self._replace(own_legs=None) if self.own_legs == self._implied_legs() else self

    @property
    def legs(self) -> tuple[Leg, ...]:
        """What the entry moved, account by account; they sum to zero per currency."""
        return tuple(map(Leg._make, self.bare_legs))

    @property
    def member(self) -> str:
        """Whose wallet the entry was made for."""
        return self.members[0]

    @property
    def rule(self) -> str:
        """The program rule that made it, if any."""
        return getattr(self.command, "rule", None) or ""

    @property
    def event(self) -> str:
        """The event it came from, if any."""
        return self.command.event

    @property
    def reference(self) -> str:
        """What it is about, if anything."""
        return self.command.reference


def implied_legs(
    command: Command, currency: str, allocations: Allocations, created: tuple[LotState, ...]
) -> tuple[BareLeg, ...] | None:
    """Return the legs of an earn that repaid nothing, or of a spend of points not written off; else None."""
    if type(command) is Earn:
        return issue_legs(created[0])
    if type(command) is Spend:
        account = wallet_account(command.member)
        taken = [(account, currency, -points, lot) for lot, points in allocations]
        return (*taken, (f"sink:{command.sink}", currency, command.points, ""))
    return None


def issue_legs(lot: LotState) -> tuple[BareLeg, ...]:
    """Return the legs of an issue: out of the fund, into the wallet."""
    currency, points = lot.currency, lot.original
    return (
        (f"fund:{lot.fund}", currency, -points, ""),
        (wallet_account(lot.member), currency, points, lot.id),
    )
