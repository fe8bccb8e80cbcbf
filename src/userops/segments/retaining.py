"""Retention: of the members of a cohort, how many are there again after so many periods."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from userops.core.calendar import MICROS_PER_DAY, zone
from userops.core.quantities import choice
from userops.core.tables import Table
from userops.errors import MissingExtraError
from userops.segments.occurrences import Window, occurrences, period_name, period_of, wall_clock, window

Ints = NDArray[np.int64]
#: How many offsets a printed table shows.
_SHOWN: Final = 11
_POLICIES: Final = {
    "cohort": ("recurring", "first"),
    "define": ("on", "on_or_after"),
    "clock": ("rolling", "calendar"),
}


@frozen(eq=False)
class Retention:
    """Cohort × offset: who could be seen, and who was there; cells that nobody could fill are masked."""

    cohorts: tuple[str, ...]
    eligible: Any
    retained: Any
    period: str

    @property
    def rates(self) -> Any:
        """Retained ÷ eligible, masked where nobody could be seen."""
        return self.retained / self.eligible

    @property
    def overall(self) -> Any:
        """Per offset, Σ retained ÷ Σ eligible over the cohorts that could be seen: not the mean of their rates."""
        return self.retained.sum(axis=0) / self.eligible.sum(axis=0)

    def table(self) -> Table:
        """Return the rates, one row per cohort, and overall."""
        shown = [place for place, size in enumerate(self.eligible[:, 0]) if size is np.ma.masked or size]
        rates = [*(self.rates[place] for place in shown), self.overall]
        width = min(self.retained.shape[1], _SHOWN)
        notes = ["– cannot be seen yet"]
        if width < self.retained.shape[1]:
            notes.append(f"offsets beyond +{width - 1} are in .rates and .overall")
        columns: dict[str, Any] = {
            "cohort": [*(self.cohorts[place] for place in shown), "overall"],
            "members": [*(_size(self.eligible[place, 0]) for place in shown), None],
        }
        columns |= {f"+{k}": [_cell(row[k]) for row in rates] for k in range(width)}
        return Table(
            columns,
            title=f"Retention by {self.period}",
            formats={f"+{k}": ".0%" for k in range(width)},
            notes=notes,
        )

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def plot(self, ax: Any = None) -> Any:
        """Draw the rates as a triangle of cells; needs the extra `plot`. Returns the Axes."""
        try:
            import matplotlib.pyplot as plt
        except ImportError:
            raise MissingExtraError("drawing needs the extra 'plot': pip install 'userops[plot]'") from None
        ax = ax or plt.subplots(figsize=(8, 4))[1]
        rates = self.rates
        top = float(rates[:, 1:].max()) if rates.shape[1] > 1 and rates[:, 1:].count() else 1.0
        image = ax.imshow(rates, aspect="auto", cmap="Blues", vmin=0, vmax=top)
        ax.set_yticks(range(len(self.cohorts)), self.cohorts)
        ax.set_xlabel(f"{self.period}s after")
        ax.figure.colorbar(image, ax=ax, label="share retained (the first column is 100%)")
        return ax


def _size(value: Any) -> int | None:
    return None if value is np.ma.masked else int(value)


def _cell(value: Any) -> float | None:
    return None if value is np.ma.masked else float(value)


def retention(
    events: Any,
    period: str,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    cohort: str = "recurring",
    define: str = "on",
    clock: str = "rolling",
    timezone: str = "UTC",
) -> Retention:
    """Return who is there again after k periods, for every cohort in [start, end).

    A cohort is who was active in a period: every time (`cohort="recurring"`) or for the first time in the
    full history (`"first"`). Retained is who is active in the k-th period after (`define="on"`) or then or
    later (`"on_or_after"`). Periods run from the member's own first event of the cohort's period, by local clock
    time (`clock="rolling"`), or are those of the calendar (`"calendar"`). A period that is not over by `end` cannot be
    seen: its cells are masked, not 0, and under the rolling clock only members whose own period is over are
    eligible.

    >>> from datetime import UTC
    >>> events = [("ann", datetime(2027, 1, 5, tzinfo=UTC)), ("ann", datetime(2027, 2, 5, tzinfo=UTC)), ("bo", datetime(2027, 2, 7, tzinfo=UTC))]
    >>> retention(events, period="month", cohort="first", clock="calendar").retained.tolist()
    [[1, 1], [1, None]]
    """
    for name, value in (("cohort", cohort), ("define", define), ("clock", clock)):
        choice(value, _POLICIES[name], name)
    tz, found = zone(timezone), occurrences(events)
    bounds = window(found, period, tz, start, end)
    kept = found.at < bounds.end
    wall = wall_clock(found.at[kept], tz)
    order = np.lexsort((wall, found.member[kept]))
    member, wall = found.member[kept][order], wall[order]
    inside = found.at[kept][order] >= bounds.start
    anchors = _anchors(member, period_of(wall, period), inside, recurring=cohort == "recurring")
    count = _calendar if clock == "calendar" else _rolling
    eligible, retained = count(member, wall, anchors, bounds, period, later=define == "on_or_after")
    names = tuple(period_name(bounds.first + k, period) for k in range(len(eligible)))
    unseen = eligible < 0
    return Retention(names, np.ma.array(eligible, mask=unseen), np.ma.array(retained, mask=unseen), period)


def _anchors(member: Ints, number: Ints, inside: NDArray[np.bool_], *, recurring: bool) -> Ints:
    """Return the rows that put a member into a cohort: the first of each of their periods, or of all."""
    rows = np.flatnonzero(inside) if recurring else np.arange(len(member))
    new_member = np.ones(len(rows), bool)
    new_member[1:] = np.diff(member[rows]) != 0
    if not recurring:
        first = rows[new_member]
        return first[inside[first]]
    new_period = new_member.copy()
    new_period[1:] |= np.diff(number[rows]) != 0
    return rows[new_period]


def _calendar(
    member: Ints,
    wall: Ints,
    anchors: Ints,
    bounds: Window,
    period: str,
    *,
    later: bool,
) -> tuple[Ints, Ints]:
    number = period_of(wall, period)
    size = bounds.last - bounds.first + 1
    cohort = number[anchors] - bounds.first
    members = np.bincount(cohort, minlength=size)
    low = int(number.min(initial=bounds.first))
    span = bounds.last - low + size + 2
    keys = member * span + (number - low)
    ends = np.searchsorted(member, member[anchors], "right") - 1
    eligible, retained = np.full((size, size), -1), np.zeros((size, size), np.int64)
    for k in range(size):
        target = number[anchors] + k
        if later:
            there = number[ends] >= target
        else:
            wanted = member[anchors] * span + (target - low)
            place = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
            there = keys[place] == wanted if len(keys) else np.zeros(0, bool)
        retained[:, k] = np.bincount(cohort[there], minlength=size)
        seen = bounds.first + np.arange(size) + k <= bounds.last_complete
        eligible[seen, k] = members[seen]
    return eligible, retained


def _rolling(
    member: Ints,
    wall: Ints,
    anchors: Ints,
    bounds: Window,
    period: str,
    *,
    later: bool,
) -> tuple[Ints, Ints]:
    size = bounds.last - bounds.first + 1
    cohort = period_of(wall[anchors], period) - bounds.first
    # A member's events lie between keys that put members end to end, times within by their rank.
    times = np.unique(wall)
    width = len(times) + 1
    keys = member * width + np.searchsorted(times, wall)
    ends = np.searchsorted(member, member[anchors], "right") - 1
    base = member[anchors] * width
    eligible, retained = np.zeros((size, size), np.int64), np.zeros((size, size), np.int64)
    opening = wall[anchors]
    for k in range(size):
        closing = _later(wall[anchors], period, k + 1)
        can = closing <= bounds.end_wall
        if later:
            there = wall[ends] >= opening
        else:
            low = np.searchsorted(keys, base + np.searchsorted(times, opening), "left")
            high = np.searchsorted(keys, base + np.searchsorted(times, closing), "left")
            there = high > low
        eligible[:, k] = np.bincount(cohort[can], minlength=size)
        retained[:, k] = np.bincount(cohort[can & there], minlength=size)
        opening = closing
    # A cohort that nobody joined is empty, not unseen, as long as its own period is over.
    none = np.bincount(cohort, minlength=size) == 0
    seen = bounds.first + np.arange(size)[:, None] + np.arange(size) <= bounds.last_complete
    eligible[(eligible == 0) & ~(none[:, None] & seen)] = -1
    return eligible, retained


def _later(wall: Ints, period: str, count: int) -> Ints:
    """Return the same local clock time `count` periods later, at the month's last day where there is none."""
    if period in ("day", "week"):
        return wall + count * MICROS_PER_DAY * (7 if period == "week" else 1)
    days = (wall // MICROS_PER_DAY).astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    day = (days - months.astype("datetime64[D]")).astype(np.int64)
    target = months + count * (12 if period == "year" else 1)
    first = target.astype("datetime64[D]").astype(np.int64)
    length = (target + 1).astype("datetime64[D]").astype(np.int64) - first
    later: Ints = (first + np.minimum(day, length - 1)) * MICROS_PER_DAY + wall % MICROS_PER_DAY
    return later
