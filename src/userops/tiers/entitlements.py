"""Entitlements: what is left of a standing's benefits, and when they renew."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any

from attrs import evolve, field, frozen

from userops.core.amounts import whole
from userops.core.calendar import (
    add_days,
    add_months,
    day_start,
    from_micros,
    instant,
    local_day,
    micros,
    zone,
)
from userops.core.files import did_you_mean
from userops.core.ids import identifier
from userops.core.quantities import listed, of_kind
from userops.errors import InvalidValue, QuotaExceeded
from userops.tiers.benefits import Benefit, Use
from userops.tiers.standing import Standing
from userops.tiers.windows import FOREVER, moved


def _uses(value: Any) -> tuple[Use, ...]:
    found = []
    for use in listed(value, "uses"):
        if not isinstance(use, tuple | list) or len(use) != 2:
            raise InvalidValue("uses are (name, at) pairs")
        found.append((identifier(use[0], "a benefit"), instant(use[1])))
    return tuple(found)


def _standing(value: Any) -> Standing:
    return of_kind(value, Standing, "standing")


def _sold_at(value: Any) -> datetime | None:
    return None if value is None else instant(value, "sold_at")


@frozen
class Entitlements:
    """What a member at a standing may still use.

    `uses` are (name, at) pairs. For benefits shared by a vehicle they are the vehicle's, whoever used them;
    with `sold_at` the vehicle has a new owner from then on: such a benefit ends, or follows with what is left,
    as it says itself.
    """

    standing: Standing = field(converter=_standing)
    uses: tuple[Use, ...] = field(default=(), converter=_uses)
    sold_at: datetime | None = field(default=None, kw_only=True, converter=_sold_at)

    def benefit(self, name: str) -> Benefit:
        """Return a benefit of the tier by its name."""
        name = identifier(name, "a benefit")
        for benefit in self.standing.benefits:
            if benefit.name == name:
                return benefit
        names = [benefit.name for benefit in self.standing.benefits]
        where = f"tier {self.standing.tier}" if self.standing.tier else "no tier"
        raise InvalidValue(f"{where} has no benefit {name[:80]!r}{did_you_mean(name, names)}")

    def left(self, name: str, *, at: datetime | None = None) -> int | None:
        """Return the uses left in the period of `at`, the standing's instant when not given; None: no limit."""
        benefit = self.benefit(name)
        then = self.standing.as_of if at is None else instant(at)
        if self._is_ended(benefit, then):
            return 0
        return None if benefit.quota is None else max(0, benefit.quota - self._used(benefit, then))

    def renews_at(self, name: str, *, at: datetime | None = None) -> datetime | None:
        """Return when the quota is whole again; None: never, or there is no quota."""
        benefit = self.benefit(name)
        then = self.standing.as_of if at is None else instant(at)
        end = self._period(benefit, then)[1]
        if benefit.quota is None or end >= FOREVER or self._is_ended(benefit, from_micros(end)):
            return None
        return from_micros(end)

    def use(self, name: str, *, at: datetime, times: int = 1) -> Entitlements:
        """Return the entitlements after a use; more than the quota is refused, with both numbers."""
        benefit, then = self.benefit(name), instant(at)
        asked = whole(times, "times", at_least=1, at_most=1_000_000)
        if self._is_ended(benefit, then):
            raise QuotaExceeded(
                f"{name}: ended when the vehicle was sold", benefit=name, quota=0, used=0, asked=asked
            )
        if benefit.quota is not None:
            used = self._used(benefit, then)
            if used + asked > benefit.quota:
                raise QuotaExceeded(
                    f"{name}: {used} of {benefit.quota} per {benefit.per} are used, {asked} more asked for",
                    benefit=name,
                    quota=benefit.quota,
                    used=used,
                    asked=asked,
                )
        return evolve(self, uses=(*self.uses, *[(benefit.name, then)] * asked))

    def _is_ended(self, benefit: Benefit, at: datetime) -> bool:
        is_sold = self.sold_at is not None and at >= self.sold_at
        return is_sold and benefit.shared_by == "vehicle" and benefit.on_resale == "end"

    def _used(self, benefit: Benefit, at: datetime) -> int:
        start, end = self._period(benefit, at)
        return sum(name == benefit.name and start <= micros(then) < end for name, then in self.uses)

    def _period(self, benefit: Benefit, at: datetime) -> tuple[int, int]:
        """Return [start, end) of the period that an instant lies in."""
        tz = zone(self.standing.timezone)
        if benefit.per == "tier_year":
            return self._tier_year(micros(at), tz)
        if benefit.per == "lifetime":
            return -FOREVER, FOREVER
        return _calendar_period(benefit.per, at, tz)

    def _tier_year(self, at: int, tz: tzinfo) -> tuple[int, int]:
        if self.standing.since is None:
            return _calendar_period("year", from_micros(at), tz)
        since = micros(self.standing.since)
        number = local_day(from_micros(at), tz).year - local_day(from_micros(since), tz).year
        while moved(since, tz, 12 * number) > at:
            number -= 1
        return moved(since, tz, 12 * number), moved(since, tz, 12 * number + 12)


def _calendar_period(per: str, at: datetime, tz: tzinfo) -> tuple[int, int]:
    day = local_day(at, tz)
    if per == "day":
        first, last = day, add_days(day, 1)
    elif per == "week":
        first = add_days(day, -day.weekday())
        last = add_days(first, 7)
    elif per == "month":
        first = day.replace(day=1)
        last = add_months(first, 1)
    else:
        first = day.replace(month=1, day=1)
        last = add_months(first, 12)
    return micros(day_start(first, tz)), micros(day_start(last, tz))
