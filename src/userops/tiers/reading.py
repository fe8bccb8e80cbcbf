"""Reading the `[tiers]` table of a program file into a ladder; every fault is noted with its path."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from userops.core import amounts
from userops.core.conditions import Condition
from userops.core.files import Section, exact_number
from userops.core.ids import MAX_NAME_BYTES, identifier
from userops.errors import InvalidValue
from userops.tiers.benefits import PERIODS_PER_YEAR, Benefit
from userops.tiers.ladder import Ladder
from userops.tiers.policies import Crossing, Downgrade, Exponential, Grace, Keep, YearlyDeduction
from userops.tiers.tier import Tier
from userops.tiers.windows import (
    MAX_DAYS,
    MAX_MONTHS,
    Anniversary,
    CalendarYear,
    Lifetime,
    Rolling,
    Window,
)

_WINDOWS: Mapping[str, Window] = {
    "lifetime": Lifetime(),
    "calendar_year": CalendarYear(),
    "anniversary": Anniversary(),
}


def read_ladder(section: Section, timezone: str) -> tuple[Ladder, str] | None:
    """Return (the ladder, the currency whose entries it counts) of a `[tiers]` table, or None with faults noted.

    >>> from userops.core.files import load
    >>> table = {"currency": "value", "window": {"rolling": {"months": 12}}, "tier": [{"name": "member", "at_least": 0}]}
    >>> ladder, currency = load({"tiers": table}, lambda root: read_ladder(root.section("tiers"), "UTC"), what="program")
    >>> currency, ladder.window
    ('value', Rolling(months=12, days=None))
    """
    currency = section.name("currency")
    window, keep, grace = _read_window(section), _read_keep(section), _read_grace(section)
    downgrade = section.choice("downgrade", {one.value: one for one in Downgrade}, Downgrade.TO_EARNED)
    crossing = section.choice("crossing", {one.value: one for one in Crossing}, Crossing.OLD_RATE)
    decay, cap = _read_decay(section), _read_cap(section)
    tiers = [_read_tier(part) for part in section.sections("tier")]
    if not tiers and not section.is_faulty():
        section.fault("tier", "must list at least one tier")
    badges = section.value("badges", _names, None)
    section.finish()
    ladder = section.build(
        lambda: Ladder(
            tiers=tuple(tier for tier in tiers if tier is not None),
            window=window,
            keep=keep,
            downgrade=downgrade,
            grace=grace,
            crossing=crossing,
            decay=decay,
            daily_cap=cap,
            timezone=timezone,
            badges=badges,
        )
    )
    return None if ladder is None else (ladder, currency)


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise InvalidValue("must be a list of names")
    return tuple(identifier(one, "a name") for one in value)


def _read_window(section: Section) -> Window:
    if not isinstance(section.raw("window"), Mapping):
        return section.choice("window", _WINDOWS, Lifetime())
    outer = section.section("window")
    inner = None if outer is None else outer.section("rolling")
    found: Window | None = None
    if outer is not None:
        if inner is None and not outer.is_faulty():
            outer.fault("rolling", "is missing; or give the window as one of " + ", ".join(_WINDOWS))
        if inner is not None:
            span = _span(inner)
            found = inner.build(lambda: Rolling(**span))
        outer.finish(["rolling"])
    return found or Lifetime()


def _span(section: Section) -> dict[str, int]:
    """Read months or days, and nothing else."""
    most = {"months": MAX_MONTHS, "days": MAX_DAYS}
    span = {key: section.whole(key, None, at_least=1, at_most=n) for key, n in most.items()}
    section.finish(most)
    return {key: n for key, n in span.items() if n is not None}


def _read_keep(section: Section) -> Keep | None:
    inner = section.section("keep")
    if inner is None:
        return None
    until = inner.choice("until", {"month_end": "month_end"}, None)
    span = _span(inner)
    return inner.build(lambda: Keep(**span, until=until))


def _read_grace(section: Section) -> Grace | None:
    inner = section.section("grace")
    if inner is None:
        return None
    days = inner.whole("days", at_least=1, at_most=MAX_DAYS)
    inner.finish()
    return inner.build(lambda: Grace(days=days))


def _read_decay(section: Section) -> YearlyDeduction | Exponential | None:
    inner = section.section("decay")
    if inner is None:
        return None
    yearly, half = inner.section("yearly_deduction"), inner.section("exponential")
    if (yearly is None) == (half is None) and not inner.is_faulty():
        inner.fault(None, "must be one of yearly_deduction and exponential")
    found: YearlyDeduction | Exponential | None = None
    if yearly is not None:
        by_tier = _amounts(yearly)
        found = yearly.build(lambda: YearlyDeduction(by_tier))
    elif half is not None:
        months = half.whole("half_life_months", at_least=1, at_most=MAX_MONTHS)
        half.finish()
        found = half.build(lambda: Exponential(half_life_months=months))
    inner.finish()
    return found


def _amounts(section: Section) -> dict[str, int]:
    return {key: n for key in section if (n := section.whole(key)) is not None}


def _read_cap(section: Section) -> int | dict[str, int] | None:
    if isinstance(section.raw("daily_cap"), Mapping):
        inner = section.section("daily_cap")
        return None if inner is None else _amounts(inner)
    return section.whole("daily_cap", None)


def _read_tier(section: Section) -> Tier | None:
    name = section.value("name", lambda value: identifier(value, "a name", most=MAX_NAME_BYTES))
    needs: dict[str, Any] = {"at_least": section.whole("at_least", None)}
    for key in ("all_of", "any_of"):
        inner = section.section(key)
        needs[key] = None if inner is None else _amounts(inner)
    requires = section.value("requires", Condition.from_toml, None)
    lifetime, invite_only = section.truth("lifetime", False), section.truth("invite_only", False)
    years = section.whole("lifetime_after_years", None, at_least=1, at_most=100)
    benefits = [_read_benefit(part) for part in section.sections("benefit")]
    section.finish(["benefit"])
    return section.build(
        lambda: Tier(
            name,
            **needs,
            requires=requires,
            lifetime=lifetime,
            lifetime_after_years=years,
            invite_only=invite_only,
            benefits=tuple(one for one in benefits if one is not None),
        )
    )


def _read_benefit(section: Section) -> Benefit | None:
    name = section.name("name")
    quota = section.whole("quota", None, at_most=1_000_000)
    per = section.choice("per", {word: word for word in PERIODS_PER_YEAR}, "tier_year")
    shared_by = section.choice("shared_by", {word: word for word in ("member", "vehicle")}, "member")
    on_resale = section.choice("on_resale", {word: word for word in ("end", "follow")}, "end")
    cost = section.value("cost", _money, Decimal(0))
    uses = section.value("uses_per_year", _money, None)
    section.finish()
    return section.build(
        lambda: Benefit(
            name,
            quota=quota,
            per=per,
            shared_by=shared_by,
            on_resale=on_resale,
            cost=cost,
            uses_per_year=uses,
        )
    )


def _money(value: Any) -> Decimal:
    number = exact_number(value, at_least=0)
    return amounts.bounded_decimal(Decimal(number.numerator) / Decimal(number.denominator), "it")
