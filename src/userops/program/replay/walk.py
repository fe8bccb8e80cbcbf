"""One event after another: what caps, groups, streaks and budgets leave, where columns of many do not serve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from attrs import define, field

from userops.program.replay.asked import Asked
from userops.program.replay.sheets import Counts, Sheet, Slot, Turn, slot_of, streak_names
from userops.program.rules import Choice

#: [the period, how many times, how many points] so far.
Used = list[int]
_NOTHING = (0, 0, 0)
_NEVER_PAID = (-(2**40), 0)


@define(eq=False)
class _Lines:
    """A sheet as lists."""

    turns: Sequence[Turn]
    member: list[int]
    day: list[int]
    points: Mapping[int, list[int]]
    case: Mapping[int, list[int]]
    binds: Mapping[tuple[int, int], list[bool]]
    bucket: Mapping[Slot, list[int]]
    period: Mapping[Slot, list[int]]
    #: By rule, which of the counted amounts of its fund each event draws on.
    drawn: Mapping[int, list[int]]
    given: dict[int, list[int]]

    @classmethod
    def of(cls, sheet: Sheet) -> _Lines:
        """List a sheet, with nothing given."""
        return cls(
            turns=sheet.turns,
            member=sheet.member.tolist(),
            day=sheet.day.tolist(),
            points={key: values.tolist() for key, values in sheet.points.items()},
            case={key: values.tolist() for key, values in sheet.case.items()},
            binds={key: values.tolist() for key, values in sheet.binds.items()},
            bucket={key: values.tolist() for key, values in sheet.bucket.items()},
            period={key: values.tolist() for key, values in sheet.period.items()},
            drawn={key: values.tolist() for key, values in sheet.drawn.items()},
            given={key: [0] * len(sheet) for key in sheet.points},
        )


@define(eq=False)
class Walk:
    """The state of members under rules that are decided together, while events go by."""

    together: Sequence[Asked]
    counts: Sequence[Counts]
    #: What was counted before, by slot and bucket.
    used: dict[Slot, dict[int, Used]]
    #: By name of a streak and member: (the last day paid, how many in a row by then).
    paid: dict[str, dict[int, tuple[int, int]]]
    #: By rule, the most that its fund may give in a period; rules of funds without a budget are absent.
    budgets: Mapping[int, int] = field(factory=dict)
    #: What funds have given, by what a sheet says is drawn on.
    drawn: dict[int, int] = field(factory=dict)
    _limits: list[list[tuple[int, Slot, int | None, int]]] = field(init=False)
    _steps: list[list[list[int]] | None] = field(init=False)
    _streaks: list[str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Lay out the limits of each rule."""
        self._limits = [
            [
                (k, slot_of(one.rule, k), limit.cap.times, limit.cap.points or 0)
                for k, limit in enumerate(one.rule.limits)
                if slot_of(one.rule, k) in counts.at_once
            ]
            for one, counts in zip(self.together, self.counts, strict=True)
        ]
        self._steps = [None if one.by_length is None else one.by_length.tolist() for one in self.together]
        names = streak_names(self.together)
        self._streaks = [one.rule.name if one.rule.name in names else "" for one in self.together]

    def along(self, sheets: Sequence[Sheet]) -> None:
        """Decide the events of all sheets in their order; what is given stands in the sheets."""
        lines = [_Lines.of(sheet) for sheet in sheets]
        which = np.concatenate([np.full(len(sheet), k) for k, sheet in enumerate(sheets)])
        place = np.concatenate([np.arange(len(sheet)) for sheet in sheets])
        order = np.argsort(np.concatenate([sheet.rank for sheet in sheets]))
        for k, event in zip(which.take(order).tolist(), place.take(order).tolist(), strict=True):
            self._decide(lines[k], event)
        for sheet, listed in zip(sheets, lines, strict=True):
            for rule, given in listed.given.items():
                sheet.given[rule] = np.array(given, np.int64)

    def _decide(self, lines: _Lines, event: int) -> None:
        given: dict[int, int] = {}
        for choice, rules in lines.turns:
            if len(rules) == 1:
                chosen, points = rules[0], self._tried(rules[0], lines, event)
            else:
                tried = [self._tried(rule, lines, event) for rule in rules]
                best = tried.index(max(tried))
                place = best if choice is Choice.BEST else next((k for k, p in enumerate(tried) if p), 0)
                chosen, points = rules[place], tried[place]
            if points:
                given[chosen] = points
                for slot in self.counts[chosen].at_once:
                    self._count(slot, lines, event, 1, points)
        # Grants are posted in the order of the file.
        for rule in sorted(given, key=lambda k: self.together[k].place):
            self._post(rule, given[rule], lines, event)

    def _post(self, rule: int, points: int, lines: _Lines, event: int) -> None:
        """Post a grant, unless its fund may not give that much: then it never counted."""
        if rule in self.budgets:
            key = lines.drawn[rule][event]
            total = self.drawn.get(key, 0) + points
            if total > self.budgets[rule]:
                for slot in self.counts[rule].at_once:
                    self._count(slot, lines, event, -1, -points)
                return
            self.drawn[key] = total
        lines.given[rule][event] = points
        for slot in self.counts[rule].later:
            self._count(slot, lines, event, 1, points)
        if self._streaks[rule]:
            length = self._length(rule, lines, event)
            self.paid[self._streaks[rule]][lines.member[event]] = (lines.day[event], length)

    def _tried(self, rule: int, lines: _Lines, event: int) -> int:
        """Return what the caps leave of what a rule asks for."""
        left = lines.points[rule][event]
        steps = self._steps[rule]
        if not left:
            return 0
        if steps is not None:
            row = steps[lines.case[rule][event]]
            left = row[min(self._length(rule, lines, event), len(row)) - 1]
        for k, slot, most_times, most_points in self._limits[rule]:
            if (rule, k) in lines.binds and not lines.binds[rule, k][event]:
                continue
            used = self.used[slot].get(lines.bucket[slot][event], _NOTHING)
            _, times, points = used if used[0] == lines.period[slot][event] else _NOTHING
            if most_times is None:
                left = min(left, max(0, most_points - points))
            elif times >= most_times:
                return 0
        return left

    def _length(self, rule: int, lines: _Lines, event: int) -> int:
        """Return which day in a row an event is on."""
        last, length = self.paid[self._streaks[rule]].get(lines.member[event], _NEVER_PAID)
        day = lines.day[event]
        return length if last == day else length + 1 if last == day - 1 else 1

    def _count(self, slot: Slot, lines: _Lines, event: int, times: int, points: int) -> None:
        period = lines.period[slot][event]
        used = self.used[slot].setdefault(lines.bucket[slot][event], [period, 0, 0])
        if used[0] != period:
            used[:] = [period, 0, 0]
        used[1] += times
        used[2] += points
