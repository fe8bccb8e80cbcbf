"""The engine: what the rules make of a whole history at once, in columns, and who cannot be decided so.

A member's grants follow from the member's own events, in their order. What members share, caps of the whole
program and budgets, is first left aside: where nothing of it bound, nothing of it mattered. Where some did, the
rules that it concerns are decided again, one event after another.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from attrs import define, field, frozen
from numpy.typing import NDArray

from userops.errors import InvalidValue
from userops.points.replaying.events import NEVER
from userops.program.replay.asked import Asked, asked_by, spent_by
from userops.program.replay.caps import given_by, given_in_order
from userops.program.replay.facts import Facts
from userops.program.replay.history import History, Ints
from userops.program.replay.shared_limits import Elsewhere, Shared, binds, granted_elsewhere, shared_of
from userops.program.replay.tiers import Climbing, Growth
from userops.program.rulebook import Rulebook
from userops.program.rules import (
    CANCELLED,
    REDEEMED,
    Choice,
    EarnRule,
    RedeemRule,
    fields_read,
    redemption_into,
)
from userops.tiers import Exponential


@frozen(eq=False)
class Commands:
    """Earns and spends in columns, in the order in which they are posted."""

    event: Ints
    #: Place in `rules`.
    rule: Ints
    rules: tuple[EarnRule | RedeemRule, ...]
    points: Ints
    expires_at: Ints
    available_at: Ints
    #: Whether something that members share bound: then a member's events alone do not tell the rest.
    is_bound: bool


class SharedOut(Exception):
    """What members share ran out among members in columns and others: only one by one tells who got what."""


def why_not(program: Rulebook) -> str:
    """Say what keeps a program from being replayed in columns; empty when nothing does."""
    if program.ladder is None:
        return ""
    if isinstance(program.ladder.decay, Exponential):
        return "its value fades from day to day"
    first, _ = _stages(program)
    if any("tier" in fields_read(program.earn[place]) for place in first):
        return "what gives value, or counts with it, reads the tier"
    if program.is_new_rate and any(program.earn[k].currency != program.value_currency for k in first):
        return "value counts with other points, and before them"
    return ""


def _stages(program: Rulebook) -> tuple[list[int], list[int]]:
    """Return the rules by place: those that decide the tiers, and the others, which may read them."""
    first = {
        place
        for together in _components(program, ())
        if any(program.earn[k].currency == program.value_currency for k in together)
        for place in together
    }
    if program.ladder is None:
        first = set()
    return sorted(first), [place for place in range(len(program.earn)) if place not in first]


def alone(program: Rulebook, facts: Facts) -> NDArray[np.bool_]:
    """Return whose events (by member's code) cannot be replayed in columns.

    They take back, come twice, or late; pay a sink that only some funds may pay; or earn what expires by
    inactivity.
    """
    history = facts.history
    member, members = history.codes("member")
    apart = np.zeros(len(members), np.bool_)
    if not len(history):
        return apart
    kind, kinds = history.codes("kind")
    sinks = {rule.on for rule in program.redeem if _is_restricted(program, rule)}
    moving = {rule.on for rule in program.earn if rule.expires and rule.expires.inactive_months}
    is_apart = [(k.endswith(CANCELLED) and k != CANCELLED) or k in sinks or k in moving for k in kinds]
    apart[member[np.array(is_apart, np.bool_)[kind]]] = True
    for sink in {rule.sink for rule in _redeemed(history) if _is_restricted(program, rule)}:
        rows = facts.of_kind(REDEEMED).rows
        mine = [_sink(value) == sink for value in history.values("sink", rows.tolist())[0]]
        apart[member[rows.compress(np.array(mine, np.bool_))]] = True
    if len(set(history.id)) < len(history.id):
        apart[member[_twice(history.id)]] = True
    # In the order in which they take effect, each member's events must not go back in time, or to an earlier day.
    order = facts.places.take(np.argsort(member.take(facts.places), kind="stable"))
    same = member[order[1:]] == member[order[:-1]]
    back = (history.at[order[1:]] < history.at[order[:-1]]) | (facts.days[order[1:]] < facts.days[order[:-1]])
    apart[member[order[1:][same & back]]] = True
    return apart


def _is_restricted(program: Rulebook, rule: RedeemRule) -> bool:
    """Say whether points that a member may have cannot pay what a rule spends."""
    sink = program.sinks.get(rule.sink)
    funds = {earn.fund for earn in program.earn if earn.currency == rule.currency}
    return sink is not None and sink.funds is not None and not funds <= set(sink.funds)


def _twice(ids: Sequence[str]) -> list[int]:
    """Return the places of ids that come more than once."""
    first: dict[str, int] = {}
    found = set()
    for place, id_ in enumerate(ids):
        if first.setdefault(id_, place) != place:
            found |= {first[id_], place}
    return sorted(found)


def commands_of(facts: Facts, elsewhere: Elsewhere) -> Commands:
    """Return the commands of the events of `facts`; raise `SharedOut` where others' share cannot be told apart."""
    program = facts.program
    granting = _granted(facts, elsewhere)
    rules: list[EarnRule | RedeemRule] = [*program.earn, *program.redeem, *_redeemed(facts.history)]
    parts: list[list[Ints]] = [[facts.places[:0]] * 6]
    for place, one in sorted(granting.asked.items()):
        points = granting.given[place]
        kept = np.flatnonzero(points)
        columns = (one.events.rank, one.events.rows, points, one.expires_at, one.available_at)
        parts.append([np.full(len(kept), place), *(column.take(kept) for column in columns)])
    for place in range(len(program.earn), len(rules)):
        spends = _spends(facts, rules[place])
        parts.append([np.full(len(spends[0]), place), *spends])
    which, rank, *others = (np.concatenate(some) for some in zip(*parts, strict=True))
    order = np.lexsort((which, rank))
    which, rows, points, expires_at, available_at = (column.take(order) for column in (which, *others))
    return Commands(rows, which, tuple(rules), points, expires_at, available_at, bool(granting.bound))


def _granted(facts: Facts, elsewhere: Elsewhere) -> _Granting:
    """Decide the earn rules: first those that decide tiers, then the others at those tiers."""
    program = facts.program
    granting = _Granting(facts, elsewhere, shared_of(facts))
    value, others = _stages(program)
    granting.decide(value)
    if program.ladder is not None:
        gained = [
            (granting.asked[place].events, granting.given[place])
            for place in value
            if program.earn[place].currency == program.value_currency
        ]
        reading = {rule.on for rule in program.earn if "tier" in fields_read(rule)}
        at_once = frozenset(reading if program.is_new_rate else ())
        if at_once and granting.bound:
            # What an event was refused had counted for its tier.
            raise SharedOut
        facts.tiers_of = Climbing(program.ladder, facts, Growth.of(gained), at_once).tiers
    granting.decide(others)
    return granting


def _spends(facts: Facts, rule: Any) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """Return (rank, place, points, never, at) of what a rule would spend."""
    program, events = facts.program, facts.of_kind(rule.on)
    currency = program.currencies.get(rule.currency)
    if currency is not None and not currency.spendable:
        points = np.zeros(len(events), np.int64)
    else:
        points = spent_by(rule, program.sinks.get(rule.sink), events)
    if rule.name == REDEEMED:
        sinks = facts.history.values("sink", events.rows.tolist())[0]
        points = np.where(np.array([_sink(value) == rule.sink for value in sinks], np.bool_), points, 0)
    kept = np.flatnonzero(points)
    never = np.full(len(kept), NEVER)
    return events.rank.take(kept), events.rows.take(kept), points.take(kept), never, events.at.take(kept)


@define(eq=False)
class _Granting:
    """The earn rules over a history: what each asks for and gives, by place in the program."""

    facts: Facts
    elsewhere: Elsewhere
    shared: list[Shared]
    asked: dict[int, Asked] = field(factory=dict)
    given: dict[int, Ints] = field(factory=dict)
    #: What members share and did run out of.
    bound: list[Shared] = field(factory=list)

    def decide(self, places: Sequence[int]) -> None:
        """Decide some rules; what they share among them, once it ran out, event after event."""
        facts, program = self.facts, self.facts.program
        self.asked |= {place: asked_by(program.earn[place], place, facts) for place in places}
        changed = [one for one in _components(program, ()) if set(one) <= set(places)]
        while True:
            for together in changed:
                some = [self.asked[place] for place in together]
                mine = [one for one in self.bound if set(one.rules) & set(together)]
                found = _in_order(some, mine, program) if mine else given_by(program, some)
                self.given |= zip(together, found, strict=True)
            more = [
                one
                for one in self.shared
                if one not in self.bound and binds(one, self.asked, self.given, facts, self.elsewhere)
            ]
            if not more:
                return
            # Others had their part of it, or what gives value shares it with what reads the tier.
            if any(
                len(granted_elsewhere(one, self.elsewhere)[0]) or not set(one.rules) <= set(places)
                for one in more
            ):
                raise SharedOut
            self.bound += more
            # What one rule is refused another may get: what shares it is decided again as one, and looked at again.
            changed = [
                one
                for one in _components(program, self.bound)
                if set(one) <= set(places) and any(set(x.rules) & set(one) for x in self.bound)
            ]


def _in_order(together: Sequence[Asked], bound: Sequence[Shared], program: Rulebook) -> list[Ints]:
    """Decide rules event after event, with the budgets that bound."""
    budgets: dict[int, int] = {}
    drawn: dict[int, Ints] = {}
    for number, one in enumerate(x for x in bound if isinstance(x.key, str)):
        for k, asked in enumerate(together):
            if asked.place in one.rules:
                period = asked.events.periods(one.per)
                budgets[k] = one.most
                drawn[k] = period * len(bound) + number
    return given_in_order(program, together, budgets, drawn)


def _components(program: Rulebook, bound: Collection[Shared]) -> list[list[int]]:
    """Return the rules by place, together where they count under the same caps, exclude each other, or share."""
    groups: list[tuple[set[object], list[int]]] = []
    for place, rule in enumerate(program.earn):
        names: set[object] = set(program.cap_names[rule.name])
        if program.groups.get(rule.group, Choice.ALL) is not Choice.ALL:
            names.add(("group", rule.group, rule.on))
        names.update(("shared", one.key) for one in bound if place in one.rules)
        places, kept = [place], []
        for other_names, other_places in groups:
            if other_names & names:
                names |= other_names
                places = other_places + places
            else:
                kept.append((other_names, other_places))
        groups = [*kept, (names, places)]
    return [sorted(places) for _, places in groups]


def _redeemed(history: History) -> list[RedeemRule]:
    """Return the rules of the program's own redemption events, one for each sink that they name."""
    if REDEEMED not in history.codes("kind")[1]:
        return []
    kind, kinds = history.codes("kind")
    rows = np.flatnonzero(kind == kinds.index(REDEEMED)).tolist()
    named = {_sink(value) for value in history.values("sink", rows)[0]}
    return [redemption_into(sink) for sink in sorted(named - {""})]


def _sink(value: Any) -> str:
    """Return the sink that an event names, or an empty text where it names none that can be."""
    try:
        return redemption_into(value).sink
    except InvalidValue:
        return ""
