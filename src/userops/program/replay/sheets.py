"""Sheets: events of one kind lined up for the rules that listen to them, with what their caps count by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from attrs import define, field, frozen
from numpy.typing import NDArray

from userops.program.replay.asked import Asked
from userops.program.replay.history import Ints
from userops.program.rulebook import Rulebook
from userops.program.rules import Choice, EarnRule

#: (whose grants count, the kind of period, whether those of the whole program count): what caps count in.
Slot = tuple[str, str, bool]
#: How a group chooses, and its rules by place among those decided together; rules outside groups go singly.
Turn = tuple[Choice, tuple[int, ...]]


@frozen(eq=False)
class Counts:
    """The slots in which a rule's grants count: while its event is decided, and from the next event on."""

    at_once: tuple[Slot, ...]
    later: tuple[Slot, ...]


@define(eq=False)
class Sheet:
    """The events of one kind at which some rule asks for points, in an order of their own."""

    turns: tuple[Turn, ...]
    #: Place among the events of the kind.
    index: Ints
    member: Ints
    day: Ints
    rank: Ints
    #: By the place of the rule.
    points: Mapping[int, Ints]
    case: Mapping[int, Ints]
    #: By the places of the rule and of its limit.
    binds: Mapping[tuple[int, int], NDArray[np.bool_]]
    #: By slot, what each event counts in: whose counts, and the period that they are of. Whose counts go back to
    #: nothing with a new period; a period never comes again.
    bucket: dict[Slot, Ints]
    period: dict[Slot, Ints]
    #: By rule whose fund has a budget that may bind: the number of the fund's period.
    drawn: dict[int, Ints] = field(factory=dict)
    given: dict[int, Ints] = field(factory=dict)

    def __len__(self) -> int:
        return len(self.index)

    def taken(self, places: Ints | slice) -> Sheet:
        """Return some of the events, in the order of `places`."""
        return Sheet(
            turns=self.turns,
            index=self.index[places],
            member=self.member[places],
            day=self.day[places],
            rank=self.rank[places],
            points={key: values[places] for key, values in self.points.items()},
            case={key: values[places] for key, values in self.case.items()},
            binds={key: values[places] for key, values in self.binds.items()},
            bucket={key: values[places] for key, values in self.bucket.items()},
            period={key: values[places] for key, values in self.period.items()},
            drawn={key: values[places] for key, values in self.drawn.items()},
        )


def counts_of(program: Rulebook, together: Sequence[Asked], *, is_whole: bool) -> list[Counts]:
    """Return what the grants of each rule count in; counts of the whole program only where `is_whole`."""
    pers: dict[str, set[str]] = {}
    for one in together:
        for limit in one.rule.limits:
            if limit.cap.scope == "member":
                pers.setdefault(limit.name, set()).add(limit.cap.per)
    found = []
    for one in together:
        own = dict.fromkeys(slot_of(one.rule, k) for k in range(len(one.rule.limits)))
        at_once = tuple(slot for slot in own if is_whole or not slot[2])
        # What a rule has given counts under every name that one of its versions has.
        names = program.cap_names[one.rule.name]
        past = [(name, per, False) for name in names for per in sorted(pers.get(name, ()))]
        found.append(Counts(at_once, tuple(slot for slot in past if slot not in own)))
    return found


def slot_of(rule: EarnRule, place: int) -> Slot:
    """Return the slot that a limit of a rule reads."""
    limit = rule.limits[place]
    return (limit.name, limit.cap.per, limit.cap.scope == "program")


def streak_names(together: Sequence[Asked]) -> tuple[str, ...]:
    """Return the names of rules that some version pays by streak."""
    return tuple(dict.fromkeys(one.rule.name for one in together if one.by_length is not None))


def sheets_of(program: Rulebook, together: Sequence[Asked], counts: Sequence[Counts]) -> list[Sheet]:
    """Line up the events of each kind."""
    sheets: list[Sheet] = []
    for kind in dict.fromkeys(one.rule.on for one in together):
        mine = [k for k, one in enumerate(together) if one.rule.on == kind]
        events = together[mine[0]].events
        asks = np.zeros(len(events), np.bool_)
        for k in mine:
            asks |= together[k].points > 0
        index = np.flatnonzero(asks)
        slots = dict.fromkeys(slot for k in mine for slot in (*counts[k].at_once, *counts[k].later))
        sheets.append(
            Sheet(
                turns=_turns(program, together, mine),
                index=index,
                member=events.member.take(index),
                day=events.day.take(index),
                rank=events.rank.take(index),
                points={k: together[k].points.take(index) for k in mine},
                case={k: together[k].case.take(index) for k in mine if together[k].by_length is not None},
                binds={(k, n): mask.take(index) for k in mine for n, mask in together[k].binds.items()},
                bucket={},
                period={slot: events.periods(slot[1]).take(index) for slot in slots},
            )
        )
    for slot in {slot for sheet in sheets for slot in sheet.period}:
        _name_buckets([sheet for sheet in sheets if slot in sheet.period], slot)
    return sheets


def _name_buckets(sheets: Sequence[Sheet], slot: Slot) -> None:
    """Say whose counts each event counts in: the member's, a reference's of the member, or a period's of all."""
    if slot[2] or slot[1] == "reference":
        # References come again, and members at different times in no order: each is a bucket of its own.
        periods = np.concatenate([sheet.period[slot] for sheet in sheets])
        members = np.concatenate([sheet.member for sheet in sheets])
        low = int(periods.min(initial=0))
        key = periods - low
        if not slot[2]:
            key += members * (int(key.max(initial=0)) + 1)
        codes = np.unique(key, return_inverse=True)[1].reshape(-1)
        ends = np.cumsum([len(sheet) for sheet in sheets])[:-1]
        for sheet, mine in zip(sheets, np.split(codes, ends), strict=True):
            sheet.bucket[slot], sheet.period[slot] = mine, np.zeros(len(mine), np.int64)
    else:
        for sheet in sheets:
            sheet.bucket[slot] = sheet.member


def _turns(program: Rulebook, together: Sequence[Asked], mine: Sequence[int]) -> tuple[Turn, ...]:
    """Return rules in the order of deciding: singly by priority and place, then groups as a whole."""
    ordered = sorted(mine, key=lambda k: (together[k].rule.priority, together[k].place))
    single: list[Turn] = []
    groups: dict[str, list[int]] = {}
    for k in ordered:
        group = together[k].rule.group
        if program.groups.get(group, Choice.ALL) is Choice.ALL:
            single.append((Choice.ALL, (k,)))
        else:
            groups.setdefault(group, []).append(k)
    return (*single, *((program.groups[group], tuple(places)) for group, places in groups.items()))
