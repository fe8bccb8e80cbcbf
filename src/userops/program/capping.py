"""Caps over columns: what they leave of every grant that was asked for, in order of the events."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from userops.program.rules import EarnRule, Limit

Ints = NDArray[np.int64]


@frozen(eq=False)
class Asked:
    """What one rule's events ask for, in order: the place of each event, its member, and the points."""

    rule: EarnRule
    #: Place of the rule among those of its kind, in order of priority.
    turn: int
    event: Ints
    member: Ints
    points: Ints
    #: Of each kind of period that caps count by, the code of the one that an event lies in.
    periods: dict[str, Ints]


def capped(together: Sequence[Asked], names: dict[str, tuple[str, ...]]) -> list[Ints]:
    """Return what is given to each of these rules' events, which count under the same caps."""
    if len(together) == 1:
        asked = together[0]
        if not asked.rule.limits:
            return [asked.points]
        if len(asked.rule.limits) == 1 and len(asked.points):
            return [_one_limit(asked, asked.rule.limits[0])]
    return _one_by_one(together, names)


def _one_limit(asked: Asked, limit: Limit) -> Ints:
    """Return what one cap leaves: the first so many grants of a group, or a sum cut off where it is full."""
    period = asked.periods[limit.cap.per]
    group = asked.member * (int(period.max()) + 1) + period
    order = np.argsort(group, kind="stable")
    sorted_group, points = group.take(order), asked.points.take(order)
    heads = np.append(True, sorted_group[1:] != sorted_group[:-1])
    head = np.maximum.accumulate(np.where(heads, np.arange(len(order)), 0))
    if limit.cap.times is not None:
        given = np.where(np.arange(len(order)) - head < limit.cap.times, points, 0)
    else:
        before = np.cumsum(points) - points
        before -= before.take(head)
        given = np.clip((limit.cap.points or 0) - before, 0, points)
    result = np.empty_like(given)
    result[order] = given
    return result


def _one_by_one(together: Sequence[Asked], names: dict[str, tuple[str, ...]]) -> list[Ints]:
    """Count as decisions do, grant by grant."""
    kinds = {
        name: tuple(sorted({x.cap.per for asked in together for x in asked.rule.limits if x.name == name}))
        for asked in together
        for name in names[asked.rule.name]
    }
    turns = np.concatenate([np.full(len(asked.event), place) for place, asked in enumerate(together)])
    places = np.concatenate([np.arange(len(asked.event)) for asked in together])
    events = np.concatenate([asked.event for asked in together])
    priority = np.array([asked.turn for asked in together]).take(turns)
    used: dict[tuple[str, str, int, int], list[int]] = {}
    given = [np.zeros(len(asked.points), np.int64) for asked in together]
    lists = [
        (
            asked.rule,
            asked.member.tolist(),
            asked.points.tolist(),
            {k: v.tolist() for k, v in asked.periods.items()},
        )
        for asked in together
    ]
    for which in np.lexsort((priority, events)).tolist():
        turn, place = int(turns[which]), int(places[which])
        rule, members, points, periods = lists[turn]
        left = points[place]
        for limit in rule.limits:
            per = limit.cap.per
            count = used.get((limit.name, per, periods[per][place], members[place]), (0, 0))
            if limit.cap.times is not None:
                left = left if count[0] < limit.cap.times else 0
            else:
                left = min(left, max(0, (limit.cap.points or 0) - count[1]))
        if left:
            given[turn][place] = left
            for name in names[rule.name]:
                for per in kinds[name]:
                    count_of = used.setdefault((name, per, periods[per][place], members[place]), [0, 0])
                    count_of[0] += 1
                    count_of[1] += left
    return given
