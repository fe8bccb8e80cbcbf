"""The closed loop: how fast cases are answered and closed, open ones counted as what they are, unfinished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from attrs import field, frozen

from userops.core.amounts import whole
from userops.core.calendar import MICROS_PER_DAY, instant, micros
from userops.core.quantities import checked_number, choice
from userops.core.statistics import check_level, poisson_interval
from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.segments.cases import Case, listed_cases
from userops.segments.complaints import is_late
from userops.segments.waiting import Share, Survival

_GROUPS: Final = ("department", "handler", "region", "channel", "kind")


@frozen
class BrandRate:
    """Cases per 10,000 owners, with the exact Poisson interval."""

    count: int
    owners: int
    rate: float
    interval: tuple[float, float]


def _as_of(value: Any) -> datetime:
    return instant(value, "as_of")


@frozen(eq=False)
class ClosedLoop:
    """The loop of finding, listening, feeding back and closing, measured at an instant.

    Cases received after `as_of` are not known yet, and later steps have not happened yet. A response is the
    first answer, acceptance or closing. Time to close runs from the first receipt; a case that stands
    reopened is open.

    >>> from datetime import UTC
    >>> jan = lambda day: datetime(2027, 1, day, tzinfo=UTC)
    >>> loop = ClosedLoop([Case("a", "u", 1, jan(1), closed_at=jan(3)), Case("b", "v", 1, jan(1))], as_of=jan(11))
    >>> float(loop.share_closed), loop.time_to_close.survival(2), loop.breaches
    (0.5, 0.5, ('b',))
    """

    cases: tuple[Case, ...] = field(converter=listed_cases, repr=False)
    as_of: datetime = field(converter=_as_of)
    response_days: float = field(default=3, kw_only=True)
    level: float = field(default=0.95, converter=check_level, kw_only=True)

    def __attrs_post_init__(self) -> None:
        """Keep what is known at `as_of`."""
        checked_number(self.response_days, "response_days", 0, 1e6)
        known = tuple(case for case in self.cases if case.received_at <= self.as_of)
        object.__setattr__(self, "cases", known)

    def _waiting(self, ends: Sequence[datetime | None]) -> Survival:
        if not self.cases:
            raise InvalidValue("there is no case at as_of: waiting times are undefined")
        days, finished = [], []
        for case, end in zip(self.cases, ends, strict=True):
            done = end is not None and end <= self.as_of
            until = end if done and end is not None else self.as_of
            days.append((micros(until) - micros(case.received_at)) / MICROS_PER_DAY)
            finished.append(done)
        return Survival(tuple(days), tuple(finished))

    @property
    def time_to_response(self) -> Survival:
        """Days from receipt to the first answer, acceptance or closing."""
        return self._waiting([case.responded_at for case in self.cases])

    @property
    def time_to_close(self) -> Survival:
        """Days from the first receipt to the closing that holds at `as_of`."""
        return self._waiting([case.closed_at if case.is_closed(self.as_of) else None for case in self.cases])

    @property
    def share_closed(self) -> Share:
        """The share of cases that are closed."""
        return Share.of(sum(case.is_closed(self.as_of) for case in self.cases), len(self.cases), self.level)

    @property
    def reopen_rate(self) -> Share:
        """The share of the cases ever closed that were reopened."""
        closed = [
            case
            for case in self.cases
            if (case.closed_at is not None and case.closed_at <= self.as_of) or case.was_reopened(self.as_of)
        ]
        if not closed:
            raise InvalidValue("no case was closed by as_of: the reopen rate is undefined")
        return Share.of(sum(case.was_reopened(self.as_of) for case in closed), len(closed), self.level)

    @property
    def breaches(self) -> tuple[str, ...]:
        """The ids of the cases without a response within the service level."""
        return tuple(case.id for case in self.cases if is_late(case, self.response_days, self.as_of))

    @property
    def breach_rate(self) -> Share:
        """The share of cases that breach the service level, of those for which it has run out or was met."""
        due = [case for case in self.cases if self._is_decided(case)]
        if not due:
            raise InvalidValue("no case has reached its service level yet: the breach rate is undefined")
        return Share.of(len(self.breaches), len(due), self.level)

    def _is_decided(self, case: Case) -> bool:
        responded = case.responded_at is not None and case.responded_at <= self.as_of
        return responded or is_late(case, self.response_days, self.as_of)

    def brand_rate(self, owners: int) -> BrandRate:
        """Return the cases per 10,000 owners, with the exact Poisson interval (Garwood 1936).

        >>> from datetime import UTC
        >>> rate = ClosedLoop([], as_of=datetime(2027, 1, 1, tzinfo=UTC)).brand_rate(20_000)
        >>> rate.rate, [round(x, 3) for x in rate.interval]
        (0.0, [0.0, 1.844])
        """
        size = whole(owners, "owners", at_least=1)
        low, high = poisson_interval(len(self.cases), level=self.level)
        scale = 10_000 / size
        return BrandRate(len(self.cases), size, len(self.cases) * scale, (low * scale, high * scale))

    def by(self, name: str) -> Loops:
        """Return one loop per department, handler, region, channel or kind."""
        choice(name, _GROUPS, "what cases are grouped by")
        groups: dict[str, list[Case]] = {}
        for case in self.cases:
            groups.setdefault(getattr(case, name), []).append(case)
        return Loops(
            name,
            {
                key: ClosedLoop(
                    groups[key], as_of=self.as_of, response_days=self.response_days, level=self.level
                )
                for key in sorted(groups)
            },
        )

    def table(self) -> Table:
        """Return the loop's figures with their intervals."""
        return Loops("", {"all": self}).table()

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


class Loops(Mapping[str, ClosedLoop]):
    """Closed loops by group, printed side by side with intervals."""

    def __init__(self, name: str, loops: Mapping[str, ClosedLoop]) -> None:
        """Name the grouping."""
        self.name, self._loops = name, dict(loops)

    def __getitem__(self, key: str) -> ClosedLoop:
        return self._loops[key]

    def __iter__(self) -> Any:
        return iter(self._loops)

    def __len__(self) -> int:
        return len(self._loops)

    def brand_rate(self, owners: Mapping[str, int]) -> dict[str, BrandRate]:
        """Return the rate per 10,000 owners of every group; `owners` gives each group's number."""
        absent = sorted(set(self._loops) - set(owners))
        if absent:
            raise InvalidValue(f"owners lacks the {self.name or 'group'} {absent[0]!r}")
        return {key: loop.brand_rate(owners[key]) for key, loop in self._loops.items()}

    def table(self) -> Table:
        """Return one row per group."""
        rows = []
        for key, loop in self._loops.items():
            closed = loop.share_closed
            close, response = loop.time_to_close, loop.time_to_response
            rows.append(
                {
                    self.name or "cases of": key or "(none)",
                    "cases": len(loop.cases),
                    "closed": closed,
                    "interval": "{:.0%}–{:.0%}".format(*closed.interval),
                    "median to response": response.median,
                    "median to close": close.median,
                    "late": len(loop.breaches),
                }
            )
        return Table.of_rows(
            rows,
            list(rows[0]) if rows else [],
            formats={"closed": ".0%", "median to response": ".1f", "median to close": ".1f"},
            notes=("medians in days by Kaplan–Meier; – where more than half are still waiting",),
        )

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()
