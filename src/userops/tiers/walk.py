"""One member's way up and down a ladder, instant by instant: the plain engine.

At one instant events come first, then a yearly deduction, then a review, then the end of a grace. A reversal
takes back the latest value first, and everything after that value is walked again without it: the tier
becomes what it would have been.
"""

from __future__ import annotations

import bisect
import copy
from collections.abc import Iterable, Mapping
from itertools import groupby
from math import fsum
from typing import NamedTuple

from attrs import frozen

from userops.core.calendar import from_micros, local_day
from userops.tiers.history import Grant, History, Person
from userops.tiers.policies import Downgrade, Exponential, YearlyDeduction
from userops.tiers.rules import Rules
from userops.tiers.windows import FOREVER, moved
from userops.tiers.words import Why


class State(NamedTuple):
    """Where a member stands between two instants."""

    tier: int
    #: When the tier was reached; reviews and deductions are counted from it.
    anchor: int | None
    #: The number of the next review, and when it takes place; FOREVER: none.
    review: int = 1
    review_at: int = FOREVER
    grace_until: int = FOREVER
    #: Since when the member has been at each tier, or above.
    held: tuple[int | None, ...] = ()
    #: The number of the next yearly deduction, and (at, amount) of those made.
    deduction: int = 1
    deducted: tuple[tuple[int, int], ...] = ()
    is_for_life: bool = False


@frozen
class Step:
    """One entry of the way: what changed, or was confirmed, when and why."""

    at: int
    was: int
    to: int
    why: Why
    totals: Mapping[str, int]
    grant: Grant | None = None


class Walk:
    """A member's way, extended event by event."""

    def __init__(self, rules: Rules, person: Person, first: int | None) -> None:
        """Start where a member without value stands; `first` is the member's first event."""
        self.rules, self.person = rules, person
        self.open = rules.open_to(person.record)
        #: From when the member's own years run.
        self.start = first if person.joined is None else person.joined
        self.steps: list[Step] = []
        self.now = -FOREVER
        #: The last instant at which something fell due.
        self.last_due = -FOREVER
        self._ats: list[int] = []
        self._metrics: list[str] = []
        self._values: list[int] = []
        self._before: list[State] = []
        self._counted: dict[str, list[int]] = {metric: [0] for metric in rules.metrics}
        self._is_silent = False
        base = next((place for place in self.open if rules.tiers[place].is_met({}, rules.metric)), -1)
        self.state = State(base, self.start, held=(self.start,) * (base + 1))

    def along(self, history: History, until: int, *, reviewed: int | None = None) -> Walk:
        """Walk through a whole history to an instant, and return this walk.

        `reviewed` is up to when reviews and graces that fall due are held, `until` when not given.
        """
        for at, group in groupby(history.events, key=lambda event: event[0]):
            self.take(at, [(metric, value) for _, metric, value in group])
        self.advance(until if reviewed is None else reviewed)
        return self

    def copy(self) -> Walk:
        """Return a walk that goes on from here by itself."""
        twin = copy.copy(self)
        twin.detach()
        return twin

    def detach(self) -> None:
        """Share nothing that changes with the walk this was copied from."""
        self.steps = list(self.steps)
        self._ats, self._metrics = list(self._ats), list(self._metrics)
        self._values, self._before = list(self._values), list(self._before)
        self._counted = {name: list(sums) for name, sums in self._counted.items()}

    # --- value ---------------------------------------------------------------------------------------------

    def take(self, at: int, values: Iterable[tuple[str, int]]) -> None:
        """Take what happened at one instant, a net value per metric."""
        known = [(metric, value) for metric, value in values if metric in self._counted]
        self.advance(at - 1)
        for metric, value in known:
            if value < 0:
                self._reverse(at, metric, -value)
        self._add(at, [(metric, value) for metric, value in known if value > 0])

    def _add(self, at: int, values: list[tuple[str, int]]) -> None:
        before = self.state
        for metric, value in values:
            counted = self._within_cap(at, value) if metric == self.rules.metric else value
            self._ats.append(at)
            self._metrics.append(metric)
            self._values.append(value)
            self._before.append(before)
            for name, sums in self._counted.items():
                sums.append(sums[-1] + (counted if name == metric else 0))
        self.now = max(self.now, at)
        if values:
            self._judge(at)

    def _within_cap(self, at: int, value: int) -> int:
        cap = self.rules.daily_cap
        if isinstance(cap, Mapping):
            cap = cap.get(self.rules.name(self.state.tier) or "")
        if cap is None:
            return value
        day = local_day(from_micros(at), self.rules.tz)
        sums, place = self._counted[self.rules.metric], len(self._ats)
        while place and local_day(from_micros(self._ats[place - 1]), self.rules.tz) == day:
            place -= 1
        return max(0, min(value, cap - (sums[-1] - sums[place])))

    def _reverse(self, at: int, metric: str, amount: int) -> None:
        """Take value back, the latest first, and walk again from there."""
        place, first = len(self._ats), len(self._ats)
        while place and amount:
            place -= 1
            if self._metrics[place] == metric and self._values[place]:
                taken = min(amount, self._values[place])
                amount -= taken
                self._values[place] -= taken
                first = place
        if first == len(self._ats):
            return
        first = bisect.bisect_left(self._ats, self._ats[first])
        again = list(zip(self._ats[first:], self._metrics[first:], self._values[first:], strict=True))
        was = self.state.tier
        self.state = self._before[first]
        for kept in (self._ats, self._metrics, self._values, self._before):
            del kept[first:]
        for sums in self._counted.values():
            del sums[first + 1 :]
        self.now = again[0][0] - 1
        self._is_silent = True
        for then, group in groupby(again, key=lambda event: event[0]):
            self.advance(then - 1)
            self._add(then, [(name, value) for _, name, value in group if value])
        self.advance(at - 1)
        self._is_silent = False
        if self.state.tier != was:
            self._note(at, was, self.state.tier, Why.REVERSAL)

    def totals(self, at: int, after: int | None = None) -> dict[str, int]:
        """Return what counts at an instant, by metric, of the window after `after`."""
        rules = self.rules
        if after is None:
            after = rules.window.after(at, rules.tz, self.start)
        low, high = bisect.bisect_right(self._ats, after), bisect.bisect_right(self._ats, at)
        if isinstance(rules.decay, Exponential):
            return {name: self._faded(sums, low, high, at) for name, sums in self._counted.items()}
        found = {name: sums[max(low, high)] - sums[low] for name, sums in self._counted.items()}
        if self.state.deducted:
            gone = sum(amount for then, amount in self.state.deducted if after < then <= at)
            found[rules.metric] = max(0, found[rules.metric] - gone)
        return found

    def _faded(self, sums: list[int], low: int, high: int, at: int) -> int:
        decay = self.rules.decay
        assert isinstance(decay, Exponential)  # noqa: S101 — for the type checker
        return int(
            fsum(
                decay.left(sums[place + 1] - sums[place], self._ats[place], at, self.rules.tz)
                for place in range(low, high)
                if sums[place + 1] > sums[place]
            )
        )

    def earned(self, at: int, after: int | None = None) -> int:
        """Return the highest tier that the value counted at an instant is enough for, or -1."""
        totals = self.totals(at, after)
        tiers, metric = self.rules.tiers, self.rules.metric
        return next((place for place in self.open if tiers[place].is_met(totals, metric)), -1)

    # --- time ----------------------------------------------------------------------------------------------

    def advance(self, until: int) -> None:
        """Let time pass to an instant: deductions, reviews and graces fall due."""
        while True:
            deduction, review = self._deduction_at(), self._review_at(until)
            due = min(deduction, review, self.state.grace_until)
            if due > until or due == FOREVER:
                break
            self.now = self.last_due = due
            if due == deduction:
                self._deduct(due)
            elif due == review:
                self._review(due)
            else:
                self._fall(due, Why.GRACE_ENDED)
        self.now = max(self.now, until)

    def _judge(self, at: int) -> None:
        """Let an event raise the member, or end a grace well."""
        rules, state = self.rules, self.state
        is_in_grace = state.grace_until != FOREVER
        least = state.tier if is_in_grace else state.tier + 1
        bound = self._bound(at)
        if not any(place >= least and rules.tiers[place].is_met(bound, rules.metric) for place in self.open):
            return
        earned = self.earned(at)
        if earned > state.tier:
            held = state.held + (at,) * (earned - state.tier)
            self._stand(earned, at, held)
            self._note(at, state.tier, earned, Why.REACHED)
        elif is_in_grace and earned == state.tier:
            self._renew(at)

    def _bound(self, at: int) -> dict[str, int]:
        """Return totals that are not less than those of the window, without asking the calendar."""
        low = bisect.bisect_right(self._ats, self.rules.window.surely_after(at))
        return {name: sums[-1] - sums[low] for name, sums in self._counted.items()}

    def _stand(self, tier: int, at: int, held: tuple[int | None, ...]) -> None:
        """Begin at a tier."""
        state = State(tier, at, held=held, deducted=self.state.deducted)
        self.state = state._replace(review_at=self._due(state, 1))

    def _due(self, state: State, number: int) -> int:
        keep = self.rules.keep
        if keep is None or state.tier < 0 or state.anchor is None or not self.rules.falls[state.tier]:
            return FOREVER
        return self.person.postponed(keep.review(state.anchor, number, self.rules.tz))

    def _renew(self, at: int) -> None:
        """Keep the tier until the first review after `at`, counted from the first anchor."""
        number = self.state.review
        while self._due(self.state, number) <= at:
            number += 1
        self.state = self.state._replace(
            review=number, review_at=self._due(self.state, number), grace_until=FOREVER
        )
        self._note(at, self.state.tier, self.state.tier, Why.REQUALIFIED)

    def _review_at(self, until: int) -> int:
        if self.state.grace_until != FOREVER or self.state.is_for_life:
            return FOREVER
        return self.state.review_at if self.rules.keep is not None else self._drop(until)

    def _drop(self, until: int) -> int:
        """Without a keep: the first instant, up to `until`, at which the value no longer bears the tier."""
        state, rules = self.state, self.rules
        if state.tier < 0 or not rules.falls[state.tier] or not self._ats or self.now < self._ats[0]:
            return FOREVER
        before = self.now
        for instant in self._turns(until):
            if instant > before and isinstance(rules.decay, Exponential):
                faded = self._fades(before, instant)
                if faded != FOREVER:
                    return faded
            if self.person.postponed(instant) == instant and self.earned(instant) < state.tier:
                return instant
            before = instant
        return FOREVER

    def _turns(self, until: int) -> list[int]:
        """Return the instants at which counted value can become less, or a pause ends, and the last one."""
        rules = self.rules
        found = [self.now]
        low = bisect.bisect_right(self._ats, rules.window.after(self.now, rules.tz, self.start))
        for at in self._ats[low:]:
            leaves = rules.window.leaves(at, rules.tz, self.start, self.now)
            if leaves > until:
                break
            found.append(leaves)
        ends = [end for _, end in self.person.pauses]
        if isinstance(rules.decay, Exponential) and until < FOREVER:
            ends.append(until)
        return sorted({instant for instant in [*found, *ends] if self.now <= instant <= until})

    def _fades(self, low: int, high: int) -> int:
        """Return the first instant in (low, high) at which fading value no longer bears the tier."""
        high -= 1
        if high <= low or self.person.postponed(high) != high or self.earned(high) >= self.state.tier:
            return FOREVER
        while low < high:
            middle = (low + high) // 2
            if self.person.postponed(middle) == middle and self.earned(middle) < self.state.tier:
                high = middle
            else:
                low = middle + 1
        return low

    def _review(self, at: int) -> None:
        rules, state = self.rules, self.state
        after = rules.window.after_review(at, rules.tz, self.start) if rules.keep is not None else None
        if self.earned(at, after) >= state.tier:
            self._renew(at)
        elif rules.grace is None or self._floor(at) >= state.tier:
            self._fall(at, Why.REVIEW_FAILED)
        else:
            until = self.person.postponed(moved(at, rules.tz, days=rules.grace.days))
            self.state = state._replace(grace_until=min(until, FOREVER - 1))
            self._note(at, state.tier, state.tier, Why.REVIEW_FAILED)

    def _floor(self, at: int) -> int:
        """Return the highest tier that is the member's for life by now."""
        floor = -1
        for place, since in enumerate(self.state.held):
            tier = self.rules.tiers[place]
            years = tier.lifetime_after_years
            is_held = (
                years is not None and since is not None and moved(since, self.rules.tz, 12 * years) <= at
            )
            if tier.lifetime or is_held:
                floor = place
        return floor

    def _fall(self, at: int, why: Why) -> None:
        was, floor = self.state.tier, self._floor(at)
        if floor >= was:
            self.state = self.state._replace(is_for_life=True, review_at=FOREVER, grace_until=FOREVER)
            return
        after = self.rules.window.after_review(at, self.rules.tz, self.start) if self.rules.keep else None
        target = max(floor, self.earned(at, after))
        # Without a keep or grace the tiers below fall at the same instant: straight to what is earned.
        if self.rules.downgrade is Downgrade.ONE_STEP and (self.rules.keep or self.rules.grace):
            target = max(target, next((place for place in self.open if place < was), -1))
        self._stand(target, at, self.state.held[: target + 1])
        self._note(at, was, target, why)

    def _deduction_at(self) -> int:
        decay, state = self.rules.decay, self.state
        if not isinstance(decay, YearlyDeduction) or state.tier < 0 or state.anchor is None:
            return FOREVER
        if self.rules.names[state.tier] not in decay.by_tier:
            return FOREVER
        return moved(state.anchor, self.rules.tz, 12 * state.deduction)

    def _deduct(self, at: int) -> None:
        decay, state = self.rules.decay, self.state
        assert isinstance(decay, YearlyDeduction)  # noqa: S101 — for the type checker
        asked = decay.by_tier[self.rules.names[state.tier]]
        amount = min(asked, self.totals(at)[self.rules.metric])
        self.state = state._replace(
            deduction=state.deduction + 1,
            deducted=(*state.deducted, (at, amount)) if amount else state.deducted,
        )

    def totals_at_review(self, at: int) -> dict[str, int]:
        """Return what will still count at a coming review or end of grace, if nothing more happens."""
        rules, walk = self.rules, self
        while walk._deduction_at() <= at:
            walk = walk.copy() if walk is self else walk
            walk._deduct(walk._deduction_at())  # noqa: SLF001
        after = rules.window.after_review(at, rules.tz, self.start) if rules.keep is not None else None
        return walk.totals(at, after)

    def _note(self, at: int, was: int, to: int, why: Why) -> None:
        if not self._is_silent:
            self.steps.append(Step(at, was, to, why, self.totals(at)))
