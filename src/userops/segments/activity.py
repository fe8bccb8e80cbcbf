"""Activity: who is new, returning, resurrecting or dormant in a period, and how sticky the whole is."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from userops.core.calendar import MICROS_PER_DAY, day_start, zone
from userops.core.quantities import checked_number, choice, hashable, listed
from userops.core.tables import Table
from userops.errors import InvalidValue, MissingExtraError
from userops.segments.occurrences import first_day, occurrences, period_name, period_of, wall_clock, window
from userops.segments.paths import deepest_any, deepest_strict

Ints = NDArray[np.int64]
_NEW: Final = ("history", "window")


@frozen(eq=False)
class ActiveStates:
    """Counts per period: new + returning + resurrecting = active, active before + dormant = returning."""

    periods: tuple[str, ...]
    active: Ints
    new: Ints
    returning: Ints
    resurrecting: Ints
    #: Minus how many of the period before did not come back: never above 0.
    dormant: Ints

    def table(self) -> Table:
        """Return one row per period."""
        return Table(
            {
                "period": self.periods,
                **{
                    name: getattr(self, name).tolist()
                    for name in ("active", "new", "returning", "resurrecting", "dormant")
                },
            }
        )

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def plot(self, ax: Any = None) -> Any:
        """Draw the states as stacked bars, the dormant below zero; needs the extra `plot`. Returns the Axes."""
        try:
            import matplotlib.pyplot as plt
        except ImportError:
            raise MissingExtraError("drawing needs the extra 'plot': pip install 'userops[plot]'") from None
        ax = ax or plt.subplots(figsize=(8, 4))[1]
        base = np.zeros(len(self.periods))
        for name in ("returning", "resurrecting", "new"):
            ax.bar(self.periods, getattr(self, name), bottom=base, label=name)
            base = base + getattr(self, name)
        ax.bar(self.periods, self.dormant, label="dormant", color="0.7")
        ax.axhline(0, color="0.3", linewidth=0.8)
        ax.tick_params(axis="x", rotation=90)
        ax.set_ylabel("members")
        ax.legend()
        return ax


def active_states(
    events: Any,
    period: str,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    new: str,
    timezone: str = "UTC",
) -> ActiveStates:
    """Count the active members of every calendar period in [start, end) by where they come from.

    New is who was never active before: in the full history (`new="history"`, events before `start` included)
    or in the window (`new="window"`, which forgets them); returning, who was active in the period before;
    resurrecting, who came back after a gap. Dormant counts, negatively, who was active in the period before
    and is not now. Without bounds the window is the whole periods from the first event to the last.

    >>> from datetime import UTC
    >>> events = [("ann", datetime(2027, month, 1, tzinfo=UTC)) for month in (1, 2, 4)]
    >>> states = active_states(events, "month", new="history")
    >>> states.resurrecting.tolist(), states.dormant.tolist()
    ([0, 0, 0, 1], [0, 0, -1, 0])
    """
    choice(new, _NEW, "new")
    tz, found = zone(timezone), occurrences(events)
    bounds = window(found, period, tz, start, end)
    number = period_of(wall_clock(found.at, tz), period)
    inside = (found.at >= bounds.start) & (found.at < bounds.end)
    counted = _pairs(found.member[inside], number[inside])
    seen = inside if new == "window" else found.at < bounds.end
    before = _pairs(found.member[seen], number[seen])
    period_number = counted[1]
    first = before[1][np.searchsorted(before[0], counted[0], "left")]
    # Where the window opens within a period, what lies before it in that period is history, not activity.
    counts = inside | (seen & (number < bounds.first))
    follows = _follows(_pairs(found.member[counts], number[counts]), counted)
    size = bounds.last - bounds.first + 1
    place = period_number - bounds.first
    active = np.bincount(place, minlength=size)
    returning = np.bincount(place[follows], minlength=size)
    fresh = np.bincount(place[first == period_number], minlength=size)
    # Who was active just before the window: nobody, when the window forgets.
    prior = np.count_nonzero(before[1] == bounds.first - 1) if new == "history" else 0
    dormant = returning - np.concatenate([[prior], active[:-1]])
    names = tuple(period_name(bounds.first + k, period) for k in range(size))
    return ActiveStates(names, active, fresh, returning, active - fresh - returning, dormant)


def _pairs(member: Ints, number: Ints) -> tuple[Ints, Ints]:
    """Return the distinct (member, period) pairs, sorted."""
    order = np.lexsort((number, member))
    member, number = member[order], number[order]
    keep = np.ones(len(member), bool)
    keep[1:] = (np.diff(member) != 0) | (np.diff(number) != 0)
    return member[keep], number[keep]


def _follows(active: tuple[Ints, Ints], counted: tuple[Ints, Ints]) -> NDArray[np.bool_]:
    """Return, for every counted (member, period), whether the period before is among the active ones."""
    if not len(counted[0]):
        return np.zeros(0, bool)
    low = int(active[1].min()) - 1
    span = int(active[1].max()) - low + 2
    keys = active[0] * span + (active[1] - low)
    wanted = counted[0] * span + (counted[1] - 1 - low)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    follows: NDArray[np.bool_] = keys[place] == wanted
    return follows


@frozen(eq=False)
class Stickiness:
    """DAU/MAU: the mean of daily active members over the distinct members of the window."""

    days: tuple[str, ...]
    daily: Ints
    monthly: int
    value: float

    def table(self) -> Table:
        """Return the ratio with its parts; the peak day is shown because it is often taken for it."""
        mean = float(self.daily.mean())
        peak = int(self.daily.max())
        return Table(
            {
                "": ["mean daily active", "active in the window", "stickiness", "peak day", "peak ÷ window"],
                "value": [
                    f"{mean:,.1f}",
                    f"{self.monthly:,}",
                    f"{self.value:.1%}",
                    f"{peak:,}",
                    f"{peak / self.monthly:.1%}",
                ],
            },
            notes=("the peak day's share is not stickiness",),
        )

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def stickiness(
    events: Any, *, start: datetime | None = None, end: datetime | None = None, timezone: str = "UTC"
) -> Stickiness:
    """Return DAU/MAU over [start, end), by default the calendar month of the last event.

    Days without anybody count as 0. A window without any active member is an error.

    >>> from datetime import UTC
    >>> jan = lambda day: datetime(2027, 1, day, tzinfo=UTC)
    >>> stickiness([("ann", jan(1)), ("ann", jan(2)), ("bo", jan(2))], start=jan(1), end=jan(5)).value
    0.375
    """
    tz, found = zone(timezone), occurrences(events)
    if start is None and end is None and len(found):
        last = window(found, "month", tz, None, None).last
        start, end = (day_start(first_day(last + k, "month"), tz) for k in range(2))
    bounds = window(found, "day", tz, start, end)
    inside = (found.at >= bounds.start) & (found.at < bounds.end)
    if not inside.any():
        raise InvalidValue("nobody was active in the window: stickiness is undefined")
    days = wall_clock(found.at[inside], tz) // MICROS_PER_DAY
    member, number = _pairs(found.member[inside], days)
    daily = np.bincount(number - bounds.first, minlength=bounds.last - bounds.first + 1)
    monthly = len(np.unique(member))
    names = tuple(period_name(bounds.first + k, "day") for k in range(len(daily)))
    return Stickiness(names, daily, monthly, float(daily.mean()) / monthly)


@frozen(eq=False)
class Funnel:
    """How many members reached every step."""

    steps: tuple[str, ...]
    counts: tuple[int, ...]
    within_days: float

    @property
    def conversion(self) -> tuple[float | None, ...]:
        """The share of the step before that reached each step; None where nobody reached the step before."""
        return tuple(
            None if not before else count / before
            for before, count in zip((self.counts[0], *self.counts[:-1]), self.counts, strict=True)
        )

    def table(self) -> Table:
        """Return one row per step."""
        return Table(
            {"step": self.steps, "members": self.counts, "of the step before": self.conversion},
            formats={"of the step before": ".1%"},
            notes=(f"all steps within {self.within_days:g} days of the first",),
        )

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def funnel(events: Any, steps: Any, within_days: float, order: str = "strict") -> Funnel:
    """Count the members who reached every step, all within `within_days` of their first step (half-open).

    With `order="strict"` the steps follow one another in time, other events lying between as they like; every
    occurrence of the first step may be the start, not only the earliest. With `order="any"` the steps may come
    in any order. One event serves one step. Events are (member, kind, at).

    >>> from datetime import UTC
    >>> jan = lambda day: datetime(2027, 1, day, tzinfo=UTC)
    >>> events = [("ann", "lead", jan(1)), ("ann", "lead", jan(20)), ("ann", "order", jan(22))]
    >>> funnel(events, ["lead", "order"], 7).counts
    (1, 1)
    """
    names = tuple(listed(steps, "steps"))
    if not names or not all(isinstance(name, str) and name for name in names):
        raise InvalidValue("steps is a list of at least one kind of event")
    choice(order, ("strict", "any"), "order")
    days = checked_number(within_days, "within_days", 0, 1e6)
    if not days:
        raise InvalidValue("within_days must be above 0")
    found = occurrences(events, kinds=True)
    deepest = deepest_strict if order == "strict" else deepest_any
    reached = [0] * len(names)
    rows = np.lexsort((found.at, found.member))
    kinds = found.kind.tolist() if found.kind is not None else []
    mine: list[tuple[int, str]] = []
    owner, wanted = -1, set(names)
    for row in [*rows.tolist(), None]:
        if row is None or found.member[row] != owner:
            for step in range(deepest(mine, names, round(days * MICROS_PER_DAY))):
                reached[step] += 1
            mine, owner = [], -1 if row is None else int(found.member[row])
        if row is not None and hashable(kinds[row], "kind") in wanted:
            mine.append((int(found.at[row]), kinds[row]))
    return Funnel(names, tuple(reached), days)
