"""What each rule asks for at the events of a kind, by itself, and where its caps bind."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from attrs import define, field

from userops.core.conditions import ALWAYS, Condition
from userops.errors import IncomparableError, InvalidValue
from userops.program.rules import EarnRule, Fixed, Proportional, Rounding, Streak, Table
from userops.simulation.columns import MISSING, Column, Columns, Ints, Mask
from userops.simulation.inputs import PreparedRule

#: Conditions on words are looked up in a table of at most this many combinations.
_MOST_COMBINATIONS = 4_096
#: Products beyond this are computed with Python's integers.
_SAFE = 2**62


def mask_of(condition: Condition, columns: Columns, rows: int) -> Mask | None:
    """Return where a condition holds, or None where it always does; a comparison of unlike kinds never holds."""
    if condition == ALWAYS:
        return None
    names = [name for name in condition.fields() if name in columns]
    words = [columns[name].words for name in names]
    combinations = int(np.prod([len(known) + 1 for known in words if known is not None], dtype=float))
    if all(known is not None for known in words) and combinations <= _MOST_COMBINATIONS:
        return _by_table(condition, [(name, columns[name]) for name in names], rows)
    try:
        found = condition.mask({name: columns[name].spelt() for name in names})
    except (IncomparableError, InvalidValue):
        return np.zeros(rows, dtype=bool)
    return found


def _by_table(condition: Condition, columns: Sequence[tuple[str, Column]], rows: int) -> Mask:
    """Decide every combination of words once, by the plain engine's own test, and look events up."""
    if not columns:
        return np.full(rows, _holds(condition, {}))
    options = [(*(column.words or ()), None) for _, column in columns]
    table = np.array(
        [
            _holds(condition, {name: value for (name, _), value in zip(columns, chosen, strict=True)})
            for chosen in itertools.product(*options)
        ]
    )
    if len(columns) == 1:
        # A missing word is -1, and the last of the table.
        return np.asarray(table[columns[0][1].values])
    code = np.zeros(rows, dtype=np.int64)
    for option, (_, column) in zip(options, columns, strict=True):
        code *= len(option)
        code += np.where(column.values < 0, len(option) - 1, column.values)
    found: Mask = table[code]
    return found


def _holds(condition: Condition, record: Mapping[str, Any]) -> bool:
    try:
        return condition.holds({name: value for name, value in record.items() if value is not None})
    except (IncomparableError, InvalidValue):
        return False


def asked_points(rule: EarnRule, columns: Columns, rows: int, tier: str | None) -> Ints:
    """Return the whole points that a rule asks for at each event, 0 where it gives none; streaks as 1."""
    grant = rule.points
    if isinstance(grant, Streak):
        return np.ones(rows, dtype=np.int64)
    if isinstance(grant, Fixed):
        return np.full(rows, max(0, rule.rounded(Fraction(grant.points), tier)))
    if isinstance(grant, Table):
        column = columns.get(grant.by)
        if column is None:
            return np.zeros(rows, dtype=np.int64)
        values, places = (
            (np.array([]), column.values)
            if column.words is not None
            else np.unique(column.values, return_inverse=True)
        )
        words = column.words if column.words is not None else tuple(int(v) for v in values)
        table = [_table_points(rule, grant, word, tier) for word in words]
        found: Ints = np.array([*table, 0], dtype=np.int64)[places]
        return found
    column = columns.get(grant.of)
    if column is None or column.words is not None:
        return np.zeros(rows, dtype=np.int64)
    return _proportional(rule, grant, column.values, tier)


def _table_points(rule: EarnRule, grant: Table, word: Any, tier: str | None) -> int:
    exact = None if word == MISSING else grant.of_record({grant.by: word})
    return 0 if exact is None else max(0, rule.rounded(exact, tier))


def _proportional(rule: EarnRule, grant: Proportional, values: Ints, tier: str | None) -> Ints:
    factor = grant.give / grant.per * (rule.multiply_by_tier.get(tier, Fraction(1)) if tier else Fraction(1))
    up, down = factor.numerator, factor.denominator
    known = np.where(values == MISSING, 0, values)
    most = max(abs(int(known.max(initial=0))), abs(int(known.min(initial=0))))
    if most * up * 2 + down * 2 >= _SAFE:
        exact = [grant.rounding.apply(int(value) * factor) for value in known]
        return np.array([max(0, min(value, _SAFE)) for value in exact], dtype=np.int64)
    product = known * up
    if grant.rounding is Rounding.DOWN:
        found = product // down
    elif grant.rounding is Rounding.UP:
        found = -(-product // down)
    else:
        found = (2 * product + down) // (2 * down)
        if grant.rounding is Rounding.HALF_EVEN:
            is_tie = (2 * product + down) % (2 * down) == 0
            found = found - (is_tie & (found % 2 == 1))
    points: Ints = np.maximum(found, 0)
    return points


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
