"""Grants: what the rules made of a block's events, and its points in each member's order of time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import define, fields

from userops.simulation.columns import Ints
from userops.simulation.inputs import PreparedRule, Spec
from userops.simulation.members import Block
from userops.simulation.rules.asked import KindEvents
from userops.simulation.rules.referrals import CreditColumns
from userops.simulation.rules.tiers import MonthTiers

#: The last bits of a tick say which of an event's rules gave; the others are the instant within the day.
PLACE_BITS = 8
PLACES = (1 << PLACE_BITS) - 1


@define(eq=False)
class Grants:
    """Points granted, in order of (member, time): whose, when, from which fund, gone on which day, usable from which."""

    row: Ints
    day: Ints
    #: Order among a member's grants of one day; None where no grant waits to be usable, and it does not matter.
    tick: Ints | None
    fund: Ints
    expiry: Ints
    #: The days that each waits; None where none does.
    activates: Ints | None
    points: Ints

    def taken(self, order: Ints) -> Grants:
        """Return the grants in another order."""
        found: list[Any] = [getattr(self, one.name) for one in fields(Grants)]
        taken: list[Any] = [None if values is None else values[order] for values in found]
        return Grants(*taken)


@define(eq=False)
class Granted:
    """What the rules made of a block's events."""

    events: dict[int, KindEvents]
    #: Of each kind, the places of its events in the block's order.
    places: dict[int, Ints]
    grants: Grants
    #: The tiers of active members at the end of each month, where they were found with those of events.
    month_tiers: MonthTiers | None = None
    #: What a referral scheme credited.
    credits: CreditColumns | None = None


def no_grants() -> Grants:
    """Return no points at all."""
    none = np.zeros(0, dtype=np.int32)
    return Grants(none, none, None, none, none, None, none.astype(np.int64))


def collected(spec: Spec, block: Block, granted: Granted) -> Grants:
    """Return all grants of points, in order of (member, time, place among the event's rules)."""
    found, width, none = block.found, 1, np.zeros(0, dtype=np.int64)
    parts: list[tuple[int, int, PreparedRule, Ints]] = []
    for kind, one in granted.events.items():
        for place, rule in enumerate(spec.book.rules[kind]):
            if rule.is_points:
                parts.append((kind, place, rule, np.flatnonzero(one.given[place] != 0)))
                width = max(width, place + 1)
    if not parts:
        return (
            no_grants()
            if granted.credits is None
            else _with_credits(no_grants(), none, none, granted.credits)
        )
    # Every grant has a place of its own among (event, rule): scattering them there sorts them.
    bits = (width - 1).bit_length()
    seats = np.zeros(len(found.row) << bits, dtype=np.int16)
    amounts = np.empty(len(seats), dtype=np.int64)
    for number, (kind, place, _, hit) in enumerate(parts, start=1):
        seat = (granted.places[kind][hit] << bits) + place
        seats[seat] = number
        amounts[seat] = granted.events[kind].given[place][hit]
    taken = np.flatnonzero(seats != 0)
    which = seats[taken] - 1
    at = taken >> bits
    day = found.day[at]
    rules = [rule for _, _, rule, _ in parts]
    delays = np.array([rule.rule.activates_days for rule in rules], dtype=np.int32)
    grants = Grants(
        row=found.row[at],
        day=day,
        tick=((found.rank[at] * len(spec.kinds) + found.kind[at]) << PLACE_BITS) + (taken - (at << bits))
        if delays.any()
        else None,
        fund=np.array([rule.fund for rule in rules], dtype=np.int16)[which],
        expiry=_expiries(rules, which, day),
        activates=delays[which] if delays.any() else None,
        points=amounts[taken],
    )
    if granted.credits is None:
        return grants
    instant = (found.rank[at].astype(np.int64) * len(spec.kinds) + found.kind[at]) * len(block.rows)
    return _with_credits(grants, instant + found.row[at], taken - (at << bits), granted.credits)


def _with_credits(grants: Grants, instant: Ints, place: Ints, credited: CreditColumns) -> Grants:
    """Lay credits among grants, in order of (member, time); no two instants of a member are equal."""
    instant = np.concatenate([instant, credited.tick])
    place = np.concatenate([place, np.zeros_like(credited.tick)])
    own = np.zeros(len(grants.row), dtype=np.int32) if grants.activates is None else grants.activates
    activates = np.concatenate([own, credited.activates])
    joined = Grants(
        row=np.concatenate([grants.row, credited.row]),
        day=np.concatenate([grants.day, credited.day]),
        tick=(instant << PLACE_BITS) + place,
        fund=np.concatenate([grants.fund, np.full(len(credited.row), credited.fund, dtype=np.int16)]),
        expiry=np.concatenate([grants.expiry, credited.expiry]),
        activates=activates,
        points=np.concatenate([grants.points, credited.points]),
    )
    found = joined.taken(np.lexsort((place, instant, joined.day, joined.row)))
    if not activates.any():
        found.tick = found.activates = None
    return found


def _expiries(rules: Sequence[PreparedRule], which: Ints, day: Ints) -> Ints:
    """Return the days on which points are gone that rules give on some days."""
    if all(np.array_equal(rule.expiry, rules[0].expiry) for rule in rules):
        return rules[0].expiry[day]
    table = np.stack([rule.expiry for rule in rules])
    found: Ints = table[which, day]
    return found
