"""Rounds: all members step together, each from one turn of its way to the next.

In a round every course whose time is not over takes its next event that matters, or its next review, drop or
end of grace, whichever comes first; at one instant, the event. It is `walk`'s rule, column by column.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from userops.tiers.counting import Counting, Places, leaves_column
from userops.tiers.policies import Downgrade
from userops.tiers.rows import Ints, within
from userops.tiers.windows import FOREVER

_LAST = 253_402_300_799_999_999


class Rounds:
    """The state of every course, and its way to the end."""

    def __init__(self, counting: Counting) -> None:
        """Start every course where a member without value stands."""
        self.counting, self.rules = counting, counting.rules
        courses = self.courses = counting.courses
        rules, size = self.rules, len(courses.member)
        zero = {name: np.zeros(size, dtype=np.int64) for name in counting.sums}
        self.tier: Places = counting.borne(zero, np.arange(size))
        self.base = self.tier.copy()
        self.anchor: Ints = np.full(size, FOREVER, dtype=np.int64)
        self.number: Ints = np.ones(size, dtype=np.int64)
        self.review: Ints = np.full(size, FOREVER, dtype=np.int64)
        self.grace: Ints = np.full(size, FOREVER, dtype=np.int64)
        #: When the tier last changed; −FOREVER: never.
        self.moved: Ints = np.full(size, -FOREVER, dtype=np.int64)
        self.is_for_life = np.zeros(size, dtype=bool)
        #: Where somebody asks for it: every move, as (courses, instants, tiers, whether an event raised them).
        self.moves: list[tuple[Ints, Ints, Places, bool]] | None = None
        self.next: Ints = courses.starts[:-1].copy()
        self.falls = np.array([*rules.falls, False])
        self._has_years = any(tier.lifetime_after_years for tier in rules.tiers)
        self.held: Ints = (
            np.full((size, len(rules.tiers)), FOREVER, dtype=np.int64)
            if self._has_years
            else zero[rules.metric]
        )
        self.borne = counting.borne_at_rows()
        self._rising = [np.flatnonzero(self.borne >= place) for place in range(len(rules.tiers))]
        if rules.keep is None:
            self._prepare_drops()

    def _prepare_drops(self) -> None:
        """Without a keep: when each value leaves the window, and what the rest still bears."""
        courses, size = self.courses, len(self.rules.tiers)
        self.leaving, _ = leaves_column(
            self.rules.window, self.counting.clock, courses.at, self.counting.start[courses.course]
        )
        borne = np.full(len(courses.at), size, dtype=np.int8)
        matters = np.flatnonzero(self.leaving <= courses.until[courses.course])
        at, course = self.leaving[matters], courses.course[matters]
        borne[matters] = self.counting.borne(self.counting.counted(at, course), course)
        self._dropping = [np.flatnonzero(borne < place) for place in range(size)]
        self.passed = courses.starts[:-1].copy()

    def run(self) -> None:
        """Step until every course has come to its end."""
        active = np.arange(len(self.courses.member))
        while len(active):
            event, event_at = self._next_events(active)
            timed = self._next_timed(active)
            is_over = np.minimum(event_at, timed) > self.courses.until[active]
            first = ~is_over & (event_at <= timed)
            if first.any():
                self._take(active[first], event[first], event_at[first])
            later = ~is_over & ~first
            if later.any():
                self._judge(active[later], timed[later])
            active = active[~is_over]

    # --- what comes next -------------------------------------------------------------------------------------

    def _next_events(self, active: Ints) -> tuple[Ints, Ints]:
        """Return the next row that raises each course, or ends its grace well, and its instant."""
        needed = self.tier[active] + (self.grace[active] == FOREVER)
        row = np.full(len(active), -1, dtype=np.int64)
        at = np.full(len(active), FOREVER, dtype=np.int64)
        for place, rising in enumerate(self._rising):
            chosen = np.flatnonzero(needed == place)
            found, row_of = _first_from(rising, self.next[active[chosen]])
            inside = found & (row_of < self.courses.starts[active[chosen] + 1])
            row[chosen[inside]] = row_of[inside]
            at[chosen[inside]] = self.courses.at[row_of[inside]]
        return row, at

    def _next_timed(self, active: Ints) -> Ints:
        if self.rules.keep is not None:
            grace = self.grace[active]
            due: Ints = np.where(grace == FOREVER, self.review[active], grace)
            return due
        found = np.full(len(active), FOREVER, dtype=np.int64)
        tier = self.tier[active]
        for place, dropping in enumerate(self._dropping):
            if not self.falls[place]:
                continue
            chosen = np.flatnonzero((tier == place) & ~self.is_for_life[active])
            is_there, row = _first_from(dropping, self.passed[active[chosen]])
            inside = is_there & (row < self.courses.starts[active[chosen] + 1])
            found[chosen[inside]] = self.leaving[row[inside]]
        return found

    # --- steps -----------------------------------------------------------------------------------------------

    def _take(self, who: Ints, row: Ints, at: Ints) -> None:
        """Take the events that raise a tier or end a grace well."""
        self.next[who] = row + 1
        rises = self.borne[row] > self.tier[who]
        up = who[rises]
        self._stand(up, self.borne[row[rises]], at[rises], is_rise=True)
        if self.rules.keep is None:
            courses = self.courses
            after = self.counting.after(at[rises], up)
            self.passed[up] = within(courses.at, after, courses.starts[up], courses.starts[up + 1])
        if not rises.all():
            self._renew(who[~rises], at[~rises])

    def _judge(self, who: Ints, at: Ints) -> None:
        """Hold the reviews, drops and ends of grace that are due."""
        courses = self.courses
        high = self.next[who] = within(courses.at, at, self.next[who], courses.starts[who + 1])
        has_keep = self.rules.keep is not None
        borne = self.counting.borne(self.counting.counted(at, who, at_review=has_keep, high=high), who)
        ends_grace = self.grace[who] != FOREVER
        passes = ~ends_grace & (borne >= self.tier[who])
        if passes.any():
            self._renew(who[passes], at[passes])
        floor = self._floor(who, at)
        for_life = ~passes & (floor >= self.tier[who])
        self.is_for_life[who[for_life]] = True
        self.review[who[for_life]] = self.grace[who[for_life]] = FOREVER
        fails = ~passes & ~for_life
        if self.rules.grace is not None:
            begins = fails & ~ends_grace
            days = self.rules.grace.days
            if begins.any():
                until = self.counting.clock.shift(at[begins], days=days)
                self.grace[who[begins]] = np.minimum(_bounded(until), FOREVER - 1)
            fails &= ends_grace
        if fails.any():
            self._fall(who[fails], at[fails], borne[fails], floor[fails])

    def _fall(self, who: Ints, at: Ints, borne: Places, floor: Places) -> None:
        target = np.maximum(borne, floor)
        if self.rules.downgrade is Downgrade.ONE_STEP and self.rules.keep is not None:
            below = np.full(len(who), -1, dtype=np.int8)
            for place, tier in enumerate(self.rules.tiers):
                if not tier.invite_only:
                    below[self.counting.is_open[who, place] & (place < self.tier[who])] = place
            target = np.maximum(target, below)
        if self.rules.keep is None:
            self._pass_drops(who, at)
        self._stand(who, target, at, is_rise=False)

    def _pass_drops(self, who: Ints, at: Ints) -> None:
        """Go on after the values that have left by now."""
        courses = self.courses
        self.passed[who] = within(self.leaving, at, self.passed[who], courses.starts[who + 1])

    def _stand(self, who: Ints, tier: Places, at: Ints, *, is_rise: bool) -> None:
        """Begin at a tier."""
        if self.moves is not None:
            self.moves.append((who, at, tier, is_rise))
        if self._has_years:
            was = self.tier[who].astype(np.int64)
            for place in range(len(self.rules.tiers)):
                column = self.held[who, place]
                column[(place > was) & (place <= tier)] = at[(place > was) & (place <= tier)]
                column[place > tier] = FOREVER
                self.held[who, place] = column
        self.tier[who], self.anchor[who], self.moved[who] = tier, at, at
        self.number[who], self.grace[who], self.is_for_life[who] = 1, FOREVER, False
        self.review[who] = self._due(who, np.ones(len(who), dtype=np.int64))

    def _due(self, who: Ints, number: Ints) -> Ints:
        keep, found = self.rules.keep, np.full(len(who), FOREVER, dtype=np.int64)
        if keep is None:
            return found
        chosen = np.flatnonzero(self.falls[self.tier[who]] & (self.tier[who] >= 0))
        times = number[chosen]
        due = self.counting.clock.shift(
            self.anchor[who[chosen]], months=(keep.months or 0) * times, days=(keep.days or 0) * times
        )
        due = _bounded(due)
        if keep.until is not None:
            inside = due < FOREVER
            due[inside] = _bounded(self.counting.clock.month_end(due[inside]))
        found[chosen] = due
        return found

    def _renew(self, who: Ints, at: Ints) -> None:
        """Keep the tier until the first review after `at`, counted from the first anchor."""
        self.grace[who] = FOREVER
        while len(who):
            due = self._due(who, self.number[who])
            is_past = due <= at
            self.review[who] = due
            self.number[who[is_past]] += 1
            who, at = who[is_past], at[is_past]

    def _floor(self, who: Ints, at: Ints) -> Places:
        """Return the highest tier that is each member's for life by now."""
        floor = np.full(len(who), -1, dtype=np.int8)
        for place, tier in enumerate(self.rules.tiers):
            is_held = self.tier[who] >= place
            if tier.lifetime:
                floor[is_held] = place
            elif tier.lifetime_after_years is not None:
                since = self.held[who, place]
                known = np.flatnonzero(is_held & (since < FOREVER))
                by = self.counting.clock.shift(since[known], months=12 * tier.lifetime_after_years)
                floor[known[_bounded(by) <= at[known]]] = place
        return floor


def _first_from(places: Ints, start: Ints) -> tuple[NDArray[np.bool_], Ints]:
    """Return whether, and where, the first of the sorted places not before each start lies."""
    if not len(places):
        return np.zeros(len(start), dtype=bool), start
    found = np.searchsorted(places, start)
    return found < len(places), places[np.minimum(found, len(places) - 1)]


def _bounded(at: Ints) -> Ints:
    """Return instants, those beyond all years as FOREVER."""
    return np.where(at > _LAST, FOREVER, at)
