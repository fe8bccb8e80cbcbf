"""Caps over columns: what caps, groups and streaks leave of every grant that was asked for, in order of time.

Events are cut into rounds in which nothing that is counted comes up twice; within a round everything is a column.
The few members with more events than most are finished one event after another.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import define, field

from userops.program.replay.asked import Asked
from userops.program.replay.history import Ints
from userops.program.replay.sheets import Counts, Sheet, Slot, counts_of, sheets_of, slot_of, streak_names
from userops.program.replay.walk import Walk
from userops.program.rulebook import Rulebook
from userops.program.rules import Choice, Limit

#: A round of fewer events takes longer in columns than one after another.
NARROW = 32
_NO_DAY = -(2**40)


def given_by(program: Rulebook, together: Sequence[Asked]) -> list[Ints]:
    """Return what is given by each of these rules, which count under the same caps or exclude each other.

    Caps of the whole program and budgets do not bind here.
    """
    if len(together) == 1 and together[0].by_length is None:
        limits = [k for k, x in enumerate(together[0].rule.limits) if x.cap.scope == "member"]
        if not limits:
            return [together[0].points]
        if len(limits) == 1 and limits[0] not in together[0].binds:
            return [_one_limit(together[0], together[0].rule.limits[limits[0]])]
    counts = counts_of(program, together, is_whole=False)
    sheets = sheets_of(program, together, counts)
    places = _rounds(together, counts, sheets)
    ordered = [
        sheet.taken(np.argsort(place, kind="stable")) for sheet, place in zip(sheets, places, strict=True)
    ]
    _Rounds(together, counts, ordered).run([np.bincount(place) for place in places])
    return _gathered(together, ordered)


def given_in_order(
    program: Rulebook, together: Sequence[Asked], budgets: dict[int, int], drawn: dict[int, Ints]
) -> list[Ints]:
    """Return the same where caps of the whole program and budgets bind: one event after another.

    `budgets` is by rule the most that its fund may give in a period, `drawn` the period of each event.
    """
    counts = counts_of(program, together, is_whole=True)
    sheets = sheets_of(program, together, counts)
    for sheet in sheets:
        sheet.drawn = {k: drawn[k].take(sheet.index) for k in sheet.points if k in drawn}
    slots = {slot for sheet in sheets for slot in sheet.bucket}
    paid: dict[str, dict[int, tuple[int, int]]] = {name: {} for name in streak_names(together)}
    Walk(together, counts, {slot: {} for slot in slots}, paid, budgets).along(sheets)
    return _gathered(together, sheets)


def _gathered(together: Sequence[Asked], sheets: Sequence[Sheet]) -> list[Ints]:
    """Return what the sheets say was given, at every event of each rule's kind."""
    found = [np.zeros(len(one.events), np.int64) for one in together]
    for sheet in sheets:
        for rule, given in sheet.given.items():
            found[rule][sheet.index] = given
    return found


def _one_limit(asked: Asked, limit: Limit) -> Ints:
    """Return what one cap leaves: the first so many grants of a group, or a sum cut off where it is full."""
    result = np.zeros(len(asked.points), np.int64)
    rows = np.flatnonzero(asked.points)
    if not len(rows):
        return result
    period = asked.events.periods(limit.cap.per).take(rows)
    period = period - int(period.min())
    group = asked.events.member.take(rows) * (int(period.max()) + 1) + period
    order = np.argsort(group, kind="stable")
    sorted_group, points = group.take(order), asked.points.take(rows.take(order))
    heads = np.append(True, sorted_group[1:] != sorted_group[:-1])
    head = np.maximum.accumulate(np.where(heads, np.arange(len(order)), 0))
    if limit.cap.times is not None:
        given = np.where(np.arange(len(order)) - head < limit.cap.times, points, 0)
    else:
        before = np.cumsum(points) - points
        before -= before.take(head)
        given = np.clip((limit.cap.points or 0) - before, 0, points)
    result[rows.take(order)] = given
    return result


def _unit(together: Sequence[Asked], counts: Sequence[Counts]) -> str:
    """Return the kind of period, of one member, beyond which nothing counts together; empty where nothing does."""
    pers = {slot[1] for one in counts for slot in (*one.at_once, *one.later)}
    if streak_names(together):
        return "lifetime"
    for chain in (("day",), ("day", "week"), ("day", "month"), ("day", "month", "year"), ("reference",)):
        if pers <= set(chain):
            return chain[-1] if pers else ""
    return "lifetime"


def _rounds(together: Sequence[Asked], counts: Sequence[Counts], sheets: Sequence[Sheet]) -> list[Ints]:
    """Return the round of each event: its place among those that count together with it.

    What counts in periods counts by what counts together, from here on: a member's years go by side by side.
    """
    per = _unit(together, counts)
    if not per:
        return [np.zeros(len(sheet), np.int64) for sheet in sheets]
    member = np.concatenate([sheet.member for sheet in sheets])
    rank = np.concatenate([sheet.rank for sheet in sheets])
    key = member
    if per != "lifetime":
        events = {one.rule.on: one.events for one in together}
        period = np.concatenate(
            [one.periods(per).take(sheet.index) for one, sheet in zip(events.values(), sheets, strict=True)]
        )
        period = period - int(period.min(initial=0))
        key = member * (int(period.max(initial=0)) + 1) + period
    order = np.lexsort((rank, key))
    ordered = key.take(order)
    heads = np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]
    head = np.maximum.accumulate(np.where(heads, np.arange(len(ordered)), 0))
    place, unit = np.empty(len(order), np.int64), np.empty(len(order), np.int64)
    place[order] = np.arange(len(order)) - head
    unit[order] = np.cumsum(heads) - 1
    ends = np.cumsum([len(sheet) for sheet in sheets])[:-1]
    if per != "lifetime":
        for sheet, units in zip(sheets, np.split(unit, ends), strict=True):
            sheet.bucket |= {slot: units for slot in sheet.bucket if slot[1] != "reference"}
    return np.split(place, ends)


@define(eq=False)
class _Used:
    """What was counted so far in the buckets of a slot."""

    period: Ints
    times: Ints
    points: Ints


@define(eq=False)
class _Rounds:
    """The state of all members under rules that are decided together, while rounds go by."""

    together: Sequence[Asked]
    counts: Sequence[Counts]
    sheets: Sequence[Sheet]
    used: dict[Slot, _Used] = field(init=False)
    last_day: dict[str, Ints] = field(init=False)
    length: dict[str, Ints] = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Start with members without history."""
        slots = {slot for sheet in self.sheets for slot in sheet.bucket}
        self.used = {}
        for slot in slots:
            size = 1 + max(int(s.bucket[slot].max(initial=0)) for s in self.sheets if slot in s.bucket)
            self.used[slot] = _Used(
                np.full(size, _NO_DAY), np.zeros(size, np.int64), np.zeros(size, np.int64)
            )
        size = 1 + max((int(sheet.member.max(initial=0)) for sheet in self.sheets), default=0)
        names = streak_names(self.together)
        self.last_day = {name: np.full(size, _NO_DAY) for name in names}
        self.length = {name: np.zeros(size, np.int64) for name in names}

    def run(self, widths: Sequence[Ints]) -> None:
        """Decide all events, of which each round has so many in each sheet; what is given stands in the sheets."""
        for sheet in self.sheets:
            sheet.given = {rule: np.zeros(len(sheet), np.int64) for rule in sheet.points}
        rounds = max((len(width) for width in widths), default=0)
        wide = np.zeros((len(widths), rounds), np.int64)
        for k, width in enumerate(widths):
            wide[k, : len(width)] = width
        narrow = np.flatnonzero(wide.sum(axis=0) < NARROW)
        last = int(narrow[0]) if len(narrow) else rounds
        ends = np.cumsum(wide, axis=1)
        for turn in range(last):
            for k, sheet in enumerate(self.sheets):
                if wide[k, turn]:
                    self._step(sheet, slice(int(ends[k, turn] - wide[k, turn]), int(ends[k, turn])))
        starts = ends[:, last - 1].tolist() if last else [0] * len(widths)
        self._finish(starts)

    def _step(self, sheet: Sheet, part: slice) -> None:
        """Decide events of one kind, no two of which count together."""
        for choice, rules in sheet.turns:
            tried = [self._tried(rule, sheet, part) for rule in rules]
            if len(rules) > 1:
                stacked = np.stack(tried)
                chosen = (stacked if choice is Choice.BEST else stacked > 0).argmax(axis=0)
                tried = [np.where(chosen == k, one, 0) for k, one in enumerate(tried)]
            for rule, given in zip(rules, tried, strict=True):
                sheet.given[rule][part] = given
                for slot in self.counts[rule].at_once:
                    self._count(slot, sheet, part, given)
        for rule in sheet.points:
            given = sheet.given[rule][part]
            for slot in self.counts[rule].later:
                self._count(slot, sheet, part, given)
            name = self.together[rule].rule.name
            if name in self.length:
                lengths, paid = self._lengths(name, sheet, part), given > 0
                member = sheet.member[part].compress(paid)
                self.length[name][member] = lengths.compress(paid)
                self.last_day[name][member] = sheet.day[part].compress(paid)

    def _tried(self, rule: int, sheet: Sheet, part: slice) -> Ints:
        """Return what the caps leave of what a rule asks for."""
        one, left = self.together[rule], sheet.points[rule][part]
        if one.by_length is not None:
            steps = np.minimum(self._lengths(one.rule.name, sheet, part), one.by_length.shape[1]) - 1
            left = np.where(left > 0, one.by_length[sheet.case[rule][part], steps], 0)
        for k, limit in enumerate(one.rule.limits):
            slot = slot_of(one.rule, k)
            if slot not in self.counts[rule].at_once:
                continue
            used, bucket = self.used[slot], sheet.bucket[slot][part]
            is_now = used.period[bucket] == sheet.period[slot][part]
            if limit.cap.times is not None:
                within = np.where(is_now & (used.times[bucket] >= limit.cap.times), 0, left)
                if limit.cap.times == 0:
                    within = np.zeros_like(left)
            else:
                points = np.where(is_now, used.points[bucket], 0)
                within = np.minimum(left, np.maximum((limit.cap.points or 0) - points, 0))
            left = (
                within if (rule, k) not in sheet.binds else np.where(sheet.binds[rule, k][part], within, left)
            )
        return left

    def _lengths(self, name: str, sheet: Sheet, part: slice) -> Ints:
        """Return which day in a row each event is on."""
        member, day = sheet.member[part], sheet.day[part]
        last, length = self.last_day[name][member], self.length[name][member]
        found: Ints = np.where(last == day, length, np.where(last == day - 1, length + 1, 1))
        return found

    def _count(self, slot: Slot, sheet: Sheet, part: slice, given: Ints) -> None:
        used, paid = self.used[slot], given > 0
        bucket = sheet.bucket[slot][part].compress(paid)
        period = sheet.period[slot][part].compress(paid)
        is_now = used.period[bucket] == period
        used.period[bucket] = period
        used.times[bucket] = np.where(is_now, used.times[bucket], 0) + 1
        used.points[bucket] = np.where(is_now, used.points[bucket], 0) + given.compress(paid)

    def _finish(self, starts: Sequence[int]) -> None:
        """Decide the events of narrow rounds one after another, from what was counted so far."""
        rest = [sheet.taken(slice(start, None)) for sheet, start in zip(self.sheets, starts, strict=True)]
        if not any(map(len, rest)):
            return
        known: dict[Slot, dict[int, list[int]]] = {slot: {} for slot in self.used}
        paid: dict[str, dict[int, tuple[int, int]]] = {name: {} for name in self.length}
        for sheet in rest:
            for slot, buckets in sheet.bucket.items():
                used, named = self.used[slot], np.unique(buckets)
                columns = (column[named].tolist() for column in (used.period, used.times, used.points))
                known[slot] |= {k: list(found) for k, *found in zip(named.tolist(), *columns, strict=True)}
            named = np.unique(sheet.member)
            for name, days in paid.items():
                columns = (column[named].tolist() for column in (self.last_day[name], self.length[name]))
                days |= {
                    member: (day, length)
                    for member, day, length in zip(named.tolist(), *columns, strict=True)
                }
        Walk(self.together, self.counts, known, paid).along(rest)
        for sheet, start, part in zip(self.sheets, starts, rest, strict=True):
            for rule, given in part.given.items():
                sheet.given[rule][start:] = given
