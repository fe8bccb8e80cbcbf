"""Events decided: a pure function from an event and a member's past to commands and reasons."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from attrs import define, evolve

from userops.core.calendar import local_day, shift
from userops.core.commands import Command, Earn, Extend, Note, Spend
from userops.core.comparing import plain
from userops.core.conditions import Condition
from userops.core.events import Event
from userops.core.ids import derived_id
from userops.core.logic import All
from userops.errors import IncomparableError, InvalidValue, UseropsError
from userops.program.decision import Decision, Outcome, Status
from userops.program.live.state import Past, Tally, counted, streak_length
from userops.program.rulebook import Rulebook
from userops.program.rules import (
    REDEEMED,
    Choice,
    EarnRule,
    Fixed,
    Proportional,
    RedeemRule,
    Streak,
    fields_read,
    redemption_into,
)


@define
class Deciding:
    """One decision in the making: what is known, and what its rules have given so far."""

    program: Rulebook
    event: Event
    past: Past
    tier: str | None
    tally: Tally
    record: dict[str, Any]
    #: Why the program's own ladder could not tell the tier: what reads it is refused.
    tier_fault: UseropsError | None = None

    @classmethod
    def of(
        cls,
        program: Rulebook,
        event: Event,
        past: Past,
        tier: str | None = None,
        fields: Collection[str] = (),
    ) -> Deciding:
        """Gather what rules may read: the person, the event's data, amount, tier, and counters among `fields`."""
        record = {**past.record, **event.data}
        if event.amount is not None:
            record["amount"] = event.amount
        for counter in (counter for counter in program.counters if counter.name in fields):
            record[counter.name] = counted(past, counter, event.at, program.tz)
        if tier is None and program.ladder is None:
            tier = record["tier"] if isinstance(record.get("tier"), str) else None
        if tier is not None:
            record["tier"] = tier
        return cls(program, event, past, tier, Tally(past, program.tz, program.capped_rules), record)

    def meet(self, tier: str | None, fault: UseropsError | None) -> None:
        """Go on at another tier, where what the event gave counts at once."""
        self.tier, self.tier_fault = tier, fault
        if tier is not None:
            self.record["tier"] = tier

    @property
    def reference(self) -> str:
        """What the event is about; an event without a reference is its own."""
        return self.event.reference or self.event.id

    def common(self, rule: str) -> dict[str, Any]:
        """Return the fields that the commands of a rule share."""
        return {
            "id": derived_id(self.program.name, self.event.id, rule),
            "at": self.event.at,
            "reason": self.event.kind,
            "event": self.event.id,
            "reference": self.reference,
        }


def decide_earns(deciding: Deciding, rules: Sequence[EarnRule]) -> list[Outcome]:
    """Let rules give in order of priority, then place; an exclusive group pays as its choice says."""
    outcomes: dict[int, Outcome] = {}
    in_order = sorted(range(len(rules)), key=lambda place: (rules[place].priority, place))
    groups: dict[str, list[int]] = {}
    for place in in_order:
        choice = deciding.program.groups.get(rules[place].group, Choice.ALL)
        if choice is Choice.ALL:
            outcomes[place] = _decide_earn(deciding, rules[place])
        else:
            groups.setdefault(rules[place].group, []).append(place)
    for group, places in groups.items():
        outcomes.update(_decide_group(deciding, group, [(place, rules[place]) for place in places]))
    return [outcomes[place] for place in sorted(outcomes)]


def _decide_group(deciding: Deciding, group: str, rules: list[tuple[int, EarnRule]]) -> dict[int, Outcome]:
    """Try the rules of an exclusive group each by itself, then count only the one that pays."""
    before = dict(deciding.tally.added)
    outcomes: dict[int, Outcome] = {}
    for place, rule in rules:
        outcomes[place] = _decide_earn(deciding, rule)
        deciding.tally.added = dict(before)
    paying = [place for place, _ in rules if outcomes[place].given]
    if not paying:
        return outcomes
    is_best = deciding.program.groups[group] is Choice.BEST
    chosen = max(paying, key=lambda place: outcomes[place].given) if is_best else paying[0]
    by_place = dict(rules)
    outcomes[chosen] = _decide_earn(deciding, by_place[chosen])
    word = "gives more" if is_best else "comes first"
    for place in paying:
        if place != chosen:
            why = f"{by_place[chosen].name} {word} in group {group}"
            outcomes[place] = evolve(
                outcomes[place], status=Status.NOT, given=0, cap="", commands=(), why=why
            )
    return outcomes


def _decide_earn(deciding: Deciding, rule: EarnRule) -> Outcome:
    event, record = deciding.event, deciding.record
    try:
        if not rule.is_in_force(local_day(event.at, deciding.program.tz)):
            return Outcome(rule=rule.name, status=Status.NOT, why="it is not in force on that day")
        if deciding.tier_fault is not None and "tier" in fields_read(rule):
            return _refused_without_tier(rule, deciding.tier_fault)
        findings = rule.when.explain(record)
        if not rule.when.holds(record):
            why = _first_failure(rule.when, record)
            return Outcome(rule=rule.name, status=Status.NOT, findings=findings, why=why)
        exact = _exact_points(deciding, rule)
        if exact is None:
            return Outcome(rule=rule.name, status=Status.NOT, why=_missing_field(rule))
        asked = rule.rounded(exact, deciding.tier)
        if asked < 1:
            return Outcome(rule=rule.name, status=Status.NOT, why="it comes to no whole point")
        given, cap = _within_limits(deciding, rule, asked)
        commands = _earn_commands(deciding, rule, given) if given else ()
    except (InvalidValue, IncomparableError) as fault:
        return Outcome(rule=rule.name, status=Status.REFUSED, why=str(fault), error=fault)
    if given:
        deciding.tally.add(rule.limits, event.at, deciding.reference, given)
    status = Status.CAPPED if cap else Status.FIRED
    return Outcome(
        rule=rule.name, status=status, asked=asked, given=given, cap=cap, findings=findings, commands=commands
    )


def _refused_without_tier(rule: EarnRule | RedeemRule, fault: UseropsError) -> Outcome:
    why = f"the member's tier cannot be told: {fault}"
    return Outcome(rule=rule.name, status=Status.REFUSED, why=why, error=fault)


def _first_failure(condition: Condition, record: Mapping[str, Any]) -> str:
    """Say the first part of a condition that is not known to hold, and what its fields are."""
    parts = condition.parts if isinstance(condition, All) else (condition,)
    failed = next(part for part in parts if not part.holds(record))
    values = {finding.field: finding.value for finding in failed.explain(record)}
    shown = ", ".join(f"{name} is {_shown(value)}" for name, value in values.items())
    return f"it asks that {failed.describe()}, and {shown}"


def _shown(value: object) -> str:
    """Return a value as people write it: a sum of decimals is a decimal."""
    if plain(value) is None:
        return "missing"
    return f"{float(value):g}" if isinstance(value, Fraction) else repr(value)


def _missing_field(rule: EarnRule | RedeemRule) -> str:
    name = getattr(rule.points, "of", None) or getattr(rule.points, "by", "")
    return f"the event has no usable {name}"


def _exact_points(deciding: Deciding, rule: EarnRule) -> Fraction | None:
    points = rule.points
    if isinstance(points, Fixed):
        return Fraction(points.points)
    if isinstance(points, Streak):
        day = local_day(deciding.event.at, deciding.program.tz)
        most = len(points.steps)
        return points.on_day(streak_length(deciding.past, rule.name, day, deciding.program.tz, most=most))
    return points.of_record(deciding.record)


def _within_limits(deciding: Deciding, rule: EarnRule, asked: int) -> tuple[int, str]:
    """Return what the caps leave of `asked`, and the tightest cap that bound, in words."""
    given, bound = asked, ""
    for limit in rule.limits:
        if not limit.when.holds(deciding.record):
            continue
        times, points = deciding.tally.used(limit, deciding.event.at, deciding.reference)
        if limit.cap.times is not None:
            left = given if times < limit.cap.times else 0
        else:
            left = max(0, (limit.cap.points or 0) - points)
        if left < given:
            given, bound = left, limit.describe()
    return given, bound


def _earn_commands(deciding: Deciding, rule: EarnRule, points: int) -> tuple[Command, ...]:
    program, event = deciding.program, deciding.event
    common = {**deciding.common(rule.name), "currency": rule.currency, "member": event.member}
    expires_at, extend = None, None
    if rule.expires is not None:
        anchor = event.at
        before = deciding.past.last_paid(rule.name) if rule.expires.inactive_months else None
        if before is not None:
            anchor = max(before, event.at)
            extend = anchor > before
        expires_at = rule.expires.ends_at(anchor, program.tz)
    available_at = shift(event.at, program.tz, days=rule.activates_days) if rule.activates_days else None
    earn = Earn(
        points=points,
        fund=rule.fund,
        rule=rule.name,
        expires_at=expires_at,
        available_at=available_at,
        **common,
    )
    if not extend or expires_at is None:
        return (earn,)
    common["id"] = derived_id(program.name, event.id, rule.name, "extend")
    return (earn, Extend(expires_at=expires_at, rule=rule.name, **common))


def decide_redeems(deciding: Deciding, rules: Sequence[RedeemRule]) -> list[Outcome]:
    """Let each rule spend; a redemption event of the program's own kind spends its amount."""
    outcomes = [_decide_redeem(deciding, rule) for rule in rules]
    if deciding.event.kind == REDEEMED:
        outcomes.append(_decide_redeemed(deciding))
    return outcomes


def _decide_redeemed(deciding: Deciding) -> Outcome:
    try:
        rule = redemption_into(deciding.event.data.get("sink"))
    except InvalidValue as fault:
        return Outcome(rule=REDEEMED, status=Status.REFUSED, why=str(fault), error=fault)
    return _decide_redeem(deciding, rule)


def _decide_redeem(deciding: Deciding, rule: RedeemRule) -> Outcome:
    record = deciding.record
    if deciding.tier_fault is not None and "tier" in fields_read(rule):
        return _refused_without_tier(rule, deciding.tier_fault)
    try:
        findings = rule.when.explain(record)
        if not rule.when.holds(record):
            why = _first_failure(rule.when, record)
            return Outcome(rule=rule.name, status=Status.NOT, findings=findings, why=why)
        exact = (
            Fraction(rule.points.points) if isinstance(rule.points, Fixed) else rule.points.of_record(record)
        )
        if exact is None:
            return Outcome(rule=rule.name, status=Status.REFUSED, why=_missing_field(rule))
        if exact.denominator != 1 and isinstance(rule.points, Proportional) and rule.on == REDEEMED:
            return Outcome(rule=rule.name, status=Status.REFUSED, why="the amount of points is not whole")
        asked = rule.points.rounding.apply(exact) if isinstance(rule.points, Proportional) else int(exact)
        sink = deciding.program.sinks.get(rule.sink)
        if sink is not None and sink.share_at_most is not None:
            most = most_of_bill(record, sink.share_at_most)
            if asked > most:
                why = f"at most {most:,} points may pay this bill at {sink.name}"
                return Outcome(rule=rule.name, status=Status.REFUSED, asked=asked, why=why)
        spend = Spend(
            member=deciding.event.member,
            points=asked,
            sink=rule.sink,
            funds=None if sink is None else sink.funds,
            currency=rule.currency,
            **deciding.common(rule.name),
        )
    except (InvalidValue, IncomparableError) as fault:
        return Outcome(rule=rule.name, status=Status.REFUSED, why=str(fault), error=fault)
    return Outcome(
        rule=rule.name, status=Status.FIRED, asked=asked, given=asked, findings=findings, commands=(spend,)
    )


def most_of_bill(record: Mapping[str, Any], share: Fraction) -> int:
    """Return the most points that may pay a bill of the event."""
    bill = record.get("bill")
    if isinstance(bill, bool) or not isinstance(bill, int | Decimal):
        raise InvalidValue("the event's field 'bill' must be an int or a Decimal")
    return (Fraction(bill) * share).__floor__()


def note_of(deciding: Deciding) -> Note:
    """Return the record of an event that counters or partial returns will read."""
    event = deciding.event
    return Note(
        id=derived_id(deciding.program.name, event.id),
        at=event.at,
        member=event.member,
        kind=event.kind,
        amount=event.amount,
        event=event.id,
        reference=deciding.reference,
    )


def tier_before(program: Rulebook, event: Event, past: Past, more: int = 0) -> str | None:
    """Return the tier that the program's ladder gives the member at the event, `more` value counted too."""
    if program.ladder is None:
        return None
    history = [*past.value, (event.at, more)] if more else past.value
    record = {**past.record, **event.data}
    grants = past.record.get("grants", ())
    return program.ladder.standing_before(history, event.at, record=record, grants=grants).tier


def _tier_or_fault(
    program: Rulebook, event: Event, past: Past, more: int = 0
) -> tuple[str | None, UseropsError | None]:
    """Return the tier, or why a field of the event or of the member's record keeps it from being told."""
    try:
        return tier_before(program, event, past, more), None
    except (InvalidValue, IncomparableError) as fault:
        return None, fault


def _decide_at_tiers(deciding: Deciding, rules: Sequence[EarnRule]) -> list[Outcome]:
    """Decide all rules at one tier; where a crossing counts at once, value first and the rest at the new."""
    program = deciding.program
    is_value = [rule.currency == program.value_currency for rule in rules]
    late = [rule for rule, value in zip(rules, is_value, strict=True) if not value]
    if not (program.is_new_rate and any("tier" in fields_read(rule) for rule in late)):
        return decide_earns(deciding, rules)
    first = decide_earns(deciding, [rule for rule, value in zip(rules, is_value, strict=True) if value])
    gained = sum(outcome.given for outcome in first)
    deciding.meet(*_tier_or_fault(program, deciding.event, deciding.past, gained))
    merged = {True: iter(first), False: iter(decide_earns(deciding, late))}
    return [next(merged[value]) for value in is_value]


def decide_event(program: Rulebook, event: Event, past: Past) -> Decision:
    """Decide an event that is no cancellation; of the past, what its rules do not read is not asked for."""
    earns = [rule for rule in program.earn if rule.on == event.kind]
    redeems = [rule for rule in program.redeem if rule.on == event.kind]
    fields = {name for rule in earns for name in fields_read(rule)}
    fields |= {name for rule in redeems for name in fields_read(rule)}
    tier, fault = _tier_or_fault(program, event, past) if "tier" in fields else (None, None)
    deciding = Deciding.of(program, event, past, tier, fields)
    deciding.tier_fault = fault
    outcomes = _decide_at_tiers(deciding, earns) + decide_redeems(deciding, redeems)
    counts = program.counts(event.kind)
    has_effect = any(outcome.commands for outcome in outcomes)
    notes = (note_of(deciding),) if counts or (event.amount is not None and has_effect) else ()
    return Decision(event=event, outcomes=tuple(outcomes), notes=notes, tier=deciding.tier)
