"""Caps: how often, or with how many points, a rule may pay in a period."""

from __future__ import annotations

from datetime import datetime, tzinfo
from functools import partial

from attrs import frozen

from userops.core.amounts import whole
from userops.core.calendar import PERIODS, period
from userops.core.fields import checked
from userops.core.quantities import choice
from userops.errors import InvalidValue

SCOPES = ("member", "program")


_limit = partial(whole, at_least=0)


@frozen(kw_only=True, field_transformer=checked({"times": _limit, "points": _limit}))
class Cap:
    """At most so many `times`, or so many `points`, per local period, reference or lifetime.

    A cap in points truncates the grant that crosses it; a cap in times refuses it. `scope` says whose grants
    count: the member's, or the whole program's.

    >>> Cap(times=1, per="reference").describe()
    '1 time per reference'
    """

    times: int | None = None
    points: int | None = None
    per: str = "lifetime"
    scope: str = "member"

    def __attrs_post_init__(self) -> None:
        """Refuse both limits or none, and unknown periods or scopes."""
        if (self.times is None) == (self.points is None):
            raise InvalidValue("a cap has either times or points")
        choice(self.per, (*PERIODS, "reference"), "per")
        choice(self.scope, SCOPES, "scope")

    def period(self, at: datetime, reference: str, tz: tzinfo) -> str:
        """Return the name of what is counted together: the local period, or the reference."""
        return f"reference {reference}" if self.per == "reference" else period(at, self.per, tz)

    def describe(self) -> str:
        """Say the cap in words."""
        unit = "point" if self.times is None else "time"
        limit = self.points if self.times is None else self.times
        whose = " for the whole program" if self.scope == "program" else ""
        return f"{limit:,} {unit}{'' if limit == 1 else 's'} per {self.per}{whose}"
