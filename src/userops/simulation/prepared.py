"""Events of one kind, prepared: what each rule asks by itself, and where its caps bind."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from attrs import define, field

from userops.program.rules import EarnRule, Streak
from userops.simulation.arrays import Ints, Mask
from userops.simulation.asking import Columns, PreparedRule, asked_points, mask_of


@define(eq=False)
class KindEvents:
    """The events of one kind in order of their steps, and what the rules make of each by itself."""

    row: Ints
    day: Ints
    #: The step of each event, not falling.
    step: Ints
    #: Of each rule, by tier: the points asked. One tier stands for all where tiers do not matter.
    asked: list[list[Ints]]
    #: Of each rule and limit, by tier: where it binds, None for everywhere.
    binds: list[list[list[Mask | None]]]
    #: What each rule gave, and what the ledger refused of it.
    given: list[Ints] = field(factory=list)
    refused: list[Ints] = field(factory=list)
    #: Of each event, the place of the member's tier in `tiers`, where the events' data say it.
    tier: Ints | None = None
    tiers: tuple[str | None, ...] = (None,)
    #: What the ladder reads of each event: its rank on the day, and its fields.
    rank: Ints | None = None
    columns: Columns = field(factory=dict)


def prepare(
    rules: Sequence[PreparedRule],
    columns: Sequence[Columns],
    tiers: Sequence[str | None],
    *,
    row: Ints,
    day: Ints,
    step: Ints,
) -> KindEvents:
    """Evaluate conditions and amounts of one kind's events; `columns` holds one set per tier."""
    asked: list[list[Ints]] = []
    binds: list[list[list[Mask | None]]] = []
    for one in rules:
        is_always = bool(one.is_open.all())
        needed = range(len(tiers)) if one.needs_tier else range(1)
        asked.append([])
        binds.append([])
        for k in needed:
            points = asked_points(one.rule, columns[k], len(row), tiers[k])
            if not is_always:
                points *= one.is_open[day]
            mask = mask_of(one.rule.when, columns[k], len(row))
            if mask is not None:
                points *= mask
            asked[-1].append(points)
            binds[-1].append([mask_of(x.limit.when, columns[k], len(row)) for x in one.limits])
    given: list[Ints] = [np.zeros(len(row), dtype=np.int64) for _ in rules]
    return KindEvents(row, day, step, asked, binds, given, [np.zeros_like(one) for one in given])


@functools.lru_cache(maxsize=256)
def _streak_rows(rule: EarnRule, tiers: tuple[str | None, ...]) -> Ints:
    grant = rule.points
    assert isinstance(grant, Streak)  # noqa: S101 — asked of streaks only
    steps = range(1, len(grant.steps) + 1)
    return np.array([[max(0, rule.rounded(grant.on_day(k), name)) for k in steps] for name in tiers])


def streak_table(rule: EarnRule, tiers: tuple[str | None, ...]) -> Ints:
    """Return the points of a streak's steps, a row per tier."""
    return _streak_rows(rule, tiers)
