"""Every exception of the library: what the caller can fix, with the fields that say how."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class UseropsError(Exception):
    """The root of every error this library raises on purpose."""


class InvalidValue(UseropsError, ValueError):
    """A value that cannot mean anything here; the message names it and says what was expected."""


class NaiveTimeError(InvalidValue):
    """A time without a zone, or a bare date, where an instant is needed."""


class IncomparableError(UseropsError, TypeError):
    """A condition compares values of different kinds, such as text with a number."""


class MissingExtraError(UseropsError, ImportError):
    """An optional package is not installed; the message names the extra that brings it."""


class LawBroken(UseropsError, AssertionError):
    """A law that rules must keep does not hold: `law` names it, `case` is the smallest example that was found."""

    def __init__(self, message: str, *, law: str = "", case: Any = None) -> None:
        """Keep the example, to be tried again."""
        super().__init__(message)
        self.law, self.case = law, case


class NotSettled(UseropsError, ValueError):
    """A read over all wallets asked for more than is settled (`ledger.settled`)."""


class IncompatibleLedger(UseropsError, RuntimeError):
    """A ledger file that this version cannot open safely; the message says how to go on."""


class DamagedLedger(IncompatibleLedger):
    """A row that cannot be read, because the database was changed beside the ledger (`table`, `row`); see `audit()`."""

    def __init__(self, message: str, *, table: str = "", row: str = "") -> None:
        """Keep where it is as attributes."""
        super().__init__(message)
        self.table, self.row = table, row


class LedgerClosed(UseropsError, RuntimeError):
    """A call on a ledger after `close()`."""


class StoreUnavailable(UseropsError, RuntimeError):
    """The database stayed busy or broken beyond the bounded retries.

    Nothing is half posted. If the connection was lost in the very commit, the same call made again says what
    became of it: it posts, or returns the first receipt.
    """


class QuotaExceeded(UseropsError, ValueError):
    """More uses of a benefit than its quota has left (`benefit`, `quota`, `used`, `asked`)."""

    def __init__(
        self, message: str, *, benefit: str = "", quota: int = 0, used: int = 0, asked: int = 0
    ) -> None:
        """Keep both numbers as attributes."""
        super().__init__(message)
        self.benefit, self.quota, self.used, self.asked = benefit, quota, used, asked


class Rejected(UseropsError):
    """A command that the ledger refused; the ledger is as it was before."""

    def __init__(self, message: str, **fields: Any) -> None:
        """Keep the fields of the rejection as attributes."""
        super().__init__(message)
        self.fields = fields
        for name, value in fields.items():
            setattr(self, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild from message and fields, so that worker processes can report rejections."""
        return (_rebuild, (type(self), str(self), self.fields))


def _rebuild(cls: type[Rejected], message: str, fields: dict[str, Any]) -> Rejected:
    return cls(message, **fields)


class InvalidCommand(Rejected, InvalidValue):
    """A malformed command: a wrong type, a value out of range, an exchange that gives nothing."""


class NaiveCommandTime(InvalidCommand, NaiveTimeError):
    """A command whose time has no zone."""


class IdConflict(Rejected):
    """The id was posted before with different content (`id`, `field`, `was`, `given`)."""

    id: str
    field: str


class UnknownCurrency(Rejected, LookupError):
    """No such currency was declared (`currency`)."""

    currency: str


class UnknownFund(Rejected, LookupError):
    """No such fund was declared (`fund`)."""

    fund: str


class UnknownEntry(Rejected, LookupError):
    """No such entry, or not one that can be undone (`entry`)."""

    entry: str


class UnknownHold(Rejected, LookupError):
    """No such hold (`hold`)."""

    hold: str


class NotSpendable(Rejected):
    """The currency is not for spending, holding, transfer or exchange (`currency`)."""

    currency: str


class AlreadyResolved(Rejected):
    """The hold was captured, released or has expired (`hold`)."""

    hold: str


class HoldOpen(Rejected):
    """A member cannot be erased while a hold is open (`hold`)."""

    hold: str


class OverReversed(Rejected):
    """More than is left of the entry to undo (`entry`, `asked`, `left`)."""

    entry: str
    asked: int
    left: int


class OverCaptured(Rejected):
    """More than the hold reserves (`hold`, `asked`, `held`)."""

    hold: str
    asked: int
    held: int


class BudgetExceeded(Rejected):
    """The fund's budget of the period cannot bear the grant (`fund`, `period`, `limit`, `left`, `asked`)."""

    fund: str
    period: str
    limit: int
    left: int
    asked: int


class InsufficientPoints(Rejected):
    """The member has too few points (`member`, `asked`, `available`, `pending`, `held`)."""

    member: str
    asked: int
    available: int
    pending: int
    held: int


class NotPosted(Rejected):
    """A sound command of an atomic batch in which another was refused (`because`: that one's id)."""

    because: str


class PlanFault(UseropsError, ValueError):
    """One fault of a file, with the path of the value (`earn[2].cap[0].points`)."""

    def __init__(self, path: str, message: str) -> None:
        """Name the place in the file and what is wrong there."""
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.message = message

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild from path and message."""
        return (type(self), (self.path, self.message))


class PlanError(ExceptionGroup[PlanFault], UseropsError, ValueError):
    """All the faults of one file at once; `.exceptions` are `PlanFault`s, each with its `.path`."""

    def __new__(cls, message: str, faults: Sequence[PlanFault]) -> PlanError:
        """Group the faults under one message."""
        return super().__new__(cls, message, faults)

    def derive(self, excs: Sequence[PlanFault], /) -> PlanError:  # type: ignore[override]
        """Make the group that `split` and `except*` return."""
        return PlanError(self.message, excs)

    def __str__(self) -> str:
        """Say every fault on a line of its own."""
        return "\n".join([self.message, *(f"  {fault}" for fault in self.exceptions)])
