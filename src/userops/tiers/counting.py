"""What counts, on columns: running sums by course, windows by the ladder's clock, and the tier they bear."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from userops.core.calendar import MICROS_PER_DAY
from userops.core.localtime import LocalTime
from userops.tiers.courses import Courses
from userops.tiers.rows import Ints, within
from userops.tiers.rules import Rules
from userops.tiers.windows import FOREVER, Anniversary, CalendarYear, Rolling, Window

_BLOCK = 1 << 17
Places = NDArray[np.int8]


def after_column(
    window: Window, clock: LocalTime, at: Ints, anchor: Ints, *, at_review: bool = False
) -> Ints:
    """Return the lower end, exclusive, of the window at each instant; own years run from `anchor`."""
    if isinstance(window, Rolling):
        return clock.shift(at, months=-(window.months or 0), days=-(window.days or 0))
    look = at - 1 if at_review else at
    if isinstance(window, CalendarYear):
        return clock.year_start(look) - 1
    if isinstance(window, Anniversary):
        return _anniversary(clock, look, anchor, 0) - 1
    return np.full(len(at), -FOREVER, dtype=np.int64)


def leaves_column(window: Window, clock: LocalTime, at: Ints, anchor: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """Return when each value leaves the window, and whether that is one clear instant.

    It is not clear near a month's end or a change of clocks, where a value may leave, come back and leave.
    """
    clear = np.ones(len(at), dtype=bool)
    if isinstance(window, CalendarYear):
        return clock.year_start(at, 1), clear
    if isinstance(window, Anniversary):
        return _anniversary(clock, at, anchor, 1), clear
    if not isinstance(window, Rolling):
        return np.full(len(at), FOREVER, dtype=np.int64), clear
    later = clock.shift(at, months=window.months or 0, days=window.days or 0)
    clear = after_column(window, clock, later, anchor) == at
    day = clock.day(later)
    for step in (1, 2, 3):
        after_midnight = clock.resolve((day + step) * MICROS_PER_DAY)
        before_midnight = clock.resolve((day + 1 - step) * MICROS_PER_DAY) - 1
        clear &= after_column(window, clock, after_midnight, anchor) > at
        clear &= after_column(window, clock, before_midnight, anchor) < at
    if len(clock.changes):
        for near in (at, later):
            first = np.searchsorted(clock.changes, near - 3 * MICROS_PER_DAY)
            clear &= first == np.searchsorted(clock.changes, near + 3 * MICROS_PER_DAY)
    return later, clear


def _anniversary(clock: LocalTime, at: Ints, anchor: Ints, more: int) -> Ints:
    """Return when the own year of each instant began, or the one `more` years later."""
    years = _years(clock.day(at)) - _years(clock.day(anchor))
    while True:
        begun = clock.shift(anchor, months=12 * years)
        is_later = begun > at
        if not is_later.any():
            return clock.shift(anchor, months=12 * (years + more)) if more else begun
        years = years - is_later


def _years(day: Ints) -> Ints:
    found: Ints = day.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64)
    return found


class Counting:
    """The counted value of courses, and the tiers it bears at rows and at instants."""

    def __init__(
        self, rules: Rules, courses: Courses, clock: LocalTime, is_open: NDArray[np.bool_], start: Ints
    ) -> None:
        """Sum up; `is_open` says which tiers each course can reach, `start` from when its own years run."""
        self.rules, self.courses, self.clock, self.start = rules, courses, clock, start
        self.is_open = is_open
        self.is_all_open = bool(is_open.all())
        values = dict(courses.values)
        if rules.daily_cap is not None:
            values[rules.metric] = self._capped(values[rules.metric])
        self.sums: Mapping[str, Ints] = {name: _running(found) for name, found in values.items()}

    def _capped(self, value: Ints) -> Ints:
        """Count of each local day at most the cap, the earliest first."""
        cap = self.rules.daily_cap
        if not len(value) or not isinstance(cap, int):
            return value
        day, course = self.clock.day(self.courses.at), self.courses.course
        is_first = np.ones(len(value), dtype=bool)
        is_first[1:] = (course[1:] != course[:-1]) | (day[1:] != day[:-1])
        heads = np.flatnonzero(is_first)
        sums = _running(value)
        today = sums[1:] - np.repeat(sums[heads], np.diff(heads, append=len(value)))
        capped: Ints = np.minimum(today, cap) - np.minimum(today - value, cap)
        return capped

    def after(self, at: Ints, course: Ints, *, at_review: bool = False) -> Ints:
        """Return the lower end, exclusive, of the window at each instant."""
        return after_column(self.rules.window, self.clock, at, self.start[course], at_review=at_review)

    def counted(
        self, at: Ints, course: Ints, *, at_review: bool = False, high: Ints | None = None
    ) -> dict[str, Ints]:
        """Return what counts at an instant of each course, by metric; `high` are the rows' ends, where known."""
        rows, first = self.courses.at, self.courses.starts[course]
        if high is None:
            high = within(rows, at, first, self.courses.starts[course + 1])
        after = self.after(at, course, at_review=at_review)
        low = within(rows, np.minimum(after, at), first, high)
        return {name: sums[high] - sums[low] for name, sums in self.sums.items()}

    def borne(self, totals: Mapping[str, Ints], course: Ints) -> Places:
        """Return the highest tier that totals are enough for, −1 for none."""
        rules = self.rules
        tier = np.full(len(course), -1, dtype=np.int8)
        for place, one in enumerate(rules.tiers):
            if one.invite_only:
                continue
            met = np.zeros(len(course), dtype=bool)
            for way in one.ways(rules.metric):
                enough = np.ones(len(course), dtype=bool)
                for name, n in way:
                    enough &= totals[name] >= n
                met |= enough
            if not self.is_all_open:
                met &= self.is_open[course, place]
            tier[met] = place
        return tier

    def borne_at_rows(self) -> Places:
        """Return the tier that each row's window bears, its own value counted."""
        courses = self.courses
        borne = np.empty(len(courses.at), dtype=np.int8)
        base = self.borne(
            {name: np.zeros(len(courses.member), dtype=np.int64) for name in self.sums},
            np.arange(len(courses.member)),
        )
        for start in range(0, len(borne), _BLOCK):
            block = slice(start, min(start + _BLOCK, len(borne)))
            course, at = courses.course[block], courses.at[block]
            first = courses.starts[course]
            rows = np.arange(block.start, block.stop)
            # All value so far bears at least what the window does: most rows end here.
            whole = self.borne({n: s[rows + 1] - s[first] for n, s in self.sums.items()}, course)
            tier = base[course]
            chosen = np.flatnonzero(whole > tier)
            if len(chosen):
                part = course[chosen]
                after = np.minimum(self.after(at[chosen], part), at[chosen])
                low = within(courses.at, after, first[chosen], rows[chosen] + 1)
                high = rows[chosen] + 1
                tier[chosen] = self.borne({n: s[high] - s[low] for n, s in self.sums.items()}, part)
            # A row that a reversal emptied, or of another metric, is no event of this ladder.
            tier[~np.any([found[block] > 0 for found in courses.values.values()], axis=0)] = -1
            borne[block] = tier
        return borne


def _running(value: Ints) -> Ints:
    sums = np.zeros(len(value) + 1, dtype=np.int64)
    np.cumsum(value, out=sums[1:])
    return sums
