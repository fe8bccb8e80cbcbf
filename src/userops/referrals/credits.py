"""Credits: who is paid how much for which conversion, and why not; as lines, totals and ledger commands."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from attrs import frozen

from userops.core.commands import Command, Earn, Reverse
from userops.core.ids import derived_id
from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.referrals.terms import Conversion, Terms


class Refused(enum.Enum):
    """Why a conversion, or one level's share of it, is not paid."""

    UNBOUND = "unbound"
    NOT_ELIGIBLE = "not_eligible"
    CAP = "cap"
    CANCELLED = "cancelled"
    REPEATED = "repeated"


class Status(enum.StrEnum):
    """What became of a line: paid, refused, or void (paid, then cancelled); each equals its word."""

    PAID = "paid"
    REFUSED = "refused"
    VOID = "void"


@frozen
class Line:
    """One payout or one refusal.

    `level` is 1 for the direct referrer, 2 for the one above, or the role "dealer" or "agent". `path` leads
    from who is paid down to the buyer. `conversion` is the conversion's id. The points of a void line are
    those that its reversal takes back.
    """

    member: Any
    points: int
    milestone: str
    level: int | str
    path: tuple[Any, ...]
    conversion: str
    available_at: datetime | None
    status: Status
    reason: Refused | None = None
    why: str = ""


@frozen
class Credits:
    """The lines of a scheme's credits, in the order of the conversions' times."""

    lines: tuple[Line, ...]
    _of: tuple[tuple[Terms, Conversion], ...]

    @property
    def total(self) -> int:
        """The points that are paid and not cancelled."""
        return sum(line.points for line in self.lines if line.status is Status.PAID)

    @property
    def pots(self) -> int:
        """The sum of the pots of all conversions that the schemes know, each once; never less than `total`."""
        seen = {
            (terms.name, conversion.id, conversion.milestone): terms.milestones.get(conversion.milestone, 0)
            for terms, conversion in self._of
        }
        return sum(seen.values())

    def by_member(self) -> dict[Any, int]:
        """Return what each member is paid, cancelled credits left out."""
        totals: dict[Any, int] = {}
        for line in self.lines:
            if line.status is Status.PAID:
                totals[line.member] = totals.get(line.member, 0) + line.points
        return totals

    def refusals(self) -> dict[Refused, int]:
        """Return how many lines were refused or void, by reason."""
        counts: dict[Refused, int] = {}
        for line in self.lines:
            if line.reason is not None:
                counts[line.reason] = counts.get(line.reason, 0) + 1
        return counts

    def commands(self) -> tuple[Command, ...]:
        """Return the ledger commands in order of time: an `Earn` per payout, its `Reverse` once cancelled.

        Ids come from (scheme, conversion, milestone, level or role), not from the member: the same list
        posted again pays once, and a list that credits somebody else is an `IdConflict`.
        """
        found: list[Command] = []
        for line, (terms, conversion) in zip(self.lines, self._of, strict=True):
            if line.status is not Status.REFUSED and line.points:
                found.extend(_commands(line, terms, conversion))
        found.sort(key=lambda command: command.at)
        return tuple(found)

    def to_table(self) -> Table:
        """Return the lines as a table."""
        names = ("conversion", "milestone", "level", "member", "points", "status", "reason", "why")
        rows = (
            {name: getattr(line, name) for name in names}
            | {"status": str(line.status), "reason": None if line.reason is None else line.reason.value}
            for line in self.lines
        )
        counts = ", ".join(f"{reason.value} {count}" for reason, count in self.refusals().items())
        notes = (
            f"{self.total:,} points paid of pots of {self.pots:,}",
            f"not paid: {counts or 'nothing'}",
        )
        return Table.of_rows(rows, names, title="Referral credits", notes=notes)

    def __str__(self) -> str:
        return str(self.to_table())


def joined_credits(parts: Iterable[Credits]) -> Credits:
    """Return the lines of several credits as one, by the conversions' times."""
    pairs = [pair for part in parts for pair in zip(part.lines, part._of, strict=True)]  # noqa: SLF001 — own kind
    pairs.sort(key=lambda pair: (pair[1][1].at, pair[1][1].id))
    return Credits(tuple(line for line, _ in pairs), tuple(of for _, of in pairs))


def _commands(line: Line, terms: Terms, conversion: Conversion) -> Iterable[Command]:
    if not isinstance(line.member, str):
        raise InvalidValue(f"wallets are known by text; member {line.member!r} is a number")
    parts = (terms.name, conversion.id, conversion.milestone, str(line.level))
    earn = Earn(
        id=derived_id(*parts),
        member=line.member,
        points=line.points,
        fund=terms.fund,
        currency=terms.currency,
        at=conversion.at,
        available_at=line.available_at,
        expires_at=_expiry(terms, conversion.at, line.available_at),
        rule=terms.name,
        event=conversion.id,
        reference=conversion.id,
        # The words are the same whoever is credited: only the member may differ under one id.
        reason=f"{conversion.milestone}, {_place(line.level)}",
    )
    yield earn
    if line.status is Status.VOID and conversion.cancelled_at is not None:
        yield Reverse(
            id=derived_id(*parts, "reverse"),
            entry=earn.id,
            at=conversion.cancelled_at,
            currency=terms.currency,
            clawback=terms.clawback,
            event=conversion.id,
            reference=conversion.id,
            reason=f"{conversion.milestone} cancelled",
        )


def _expiry(terms: Terms, at: datetime, available_at: datetime | None) -> datetime | None:
    if terms.expires is None:
        return None
    end = terms.expires.ends_at(at, terms.tz)
    # Points that would be gone before they vest count from the day on which they do.
    return terms.expires.ends_at(available_at, terms.tz) if available_at and end <= available_at else end


def _place(level: int | str) -> str:
    return level if isinstance(level, str) else f"level {level}"
