"""Returns decided: taking back what a reference gave, from the entries, whole or in part."""

from __future__ import annotations

from fractions import Fraction

from attrs import evolve

from userops.core.commands import Clawback, Command, Reverse
from userops.core.events import Event
from userops.core.ids import derived_id
from userops.program.decision import Decision, Outcome, Status
from userops.program.live.events import Deciding, note_of
from userops.program.live.state import Given, Past, returns_of
from userops.program.rulebook import Rulebook
from userops.program.rules import CANCELLED, REFUSED


def decide_return(program: Rulebook, event: Event, past: Past) -> Decision:
    """Take back what the reference of a `<kind>.cancelled` event gave; no rule is evaluated anew.

    Without an amount everything left goes. With one, what stays of each rule's grant is
    ⌊given · (amount left) / (amount then)⌋, counted over all returns so far.
    """
    deciding = Deciding.of(program, event, past)
    kind, about = event.kind.removesuffix(CANCELLED), past.about(deciding.reference)
    found, then, back = returns_of(about, kind)
    refusal, before, after = _shares(event, found, then, back)
    if not found and any(one.kind == kind for one in about.given):
        refusal = "nothing is left of the reference"
    if refusal:
        outcome = Outcome(rule=event.kind, status=Status.REFUSED, why=refusal)
        notes = (evolve(note_of(deciding), reason=REFUSED),) if program.counts(event.kind) else ()
        return Decision(event=event, outcomes=(outcome,), notes=notes)
    by_rule: dict[str, list[Given]] = {}
    for one in found:
        by_rule.setdefault(one.rule, []).append(one)
    outcomes = [_take_back(deciding, rule, grants, before, after) for rule, grants in by_rule.items()]
    return Decision(event=event, outcomes=tuple(outcomes), notes=(note_of(deciding),))


def _shares(
    event: Event, found: list[Given], then: Fraction | None, back: Fraction
) -> tuple[str, Fraction, Fraction]:
    """Return a refusal, or the shares of the grants that stayed before this return and that stay after it."""
    nothing = Fraction(0)
    if not found:
        return "the reference gave nothing", nothing, nothing
    whole = then if then is not None and then > 0 else Fraction(1)
    left = whole - back
    if event.amount is None:
        return ("nothing is left of the reference" if left <= 0 else ""), left / whole, nothing
    if then is None or then <= 0:
        return "the reference has no amount to return a part of", nothing, nothing
    returned = Fraction(event.amount)
    if returned <= 0 or returned > left:
        return f"{event.amount} is returned, and {_shown(left)} is left of the reference", nothing, nothing
    return "", left / whole, (left - returned) / whole


def _shown(value: Fraction) -> str:
    return str(value.numerator if value.denominator == 1 else float(value))


def _take_back(
    deciding: Deciding, rule: str, grants: list[Given], before: Fraction, after: Fraction
) -> Outcome:
    """Take back a rule's share, from its latest grant on; of a whole return, everything that is left."""
    policy = deciding.program.clawbacks.get(rule, Clawback.DEBT)
    total = sum(one.points for one in grants)
    start, end = total - (total * before).__floor__(), total - (total * after).__floor__()
    commands: list[Command] = []
    taken = passed = 0
    for place, one in reversed(list(enumerate(grants))):
        part = max(0, min(end, passed + one.points) - max(start, passed))
        passed += one.points
        points = one.left if not after else min(part, one.left)
        if points < 1:
            continue
        taken += points
        common = deciding.common(rule)
        common["id"] = derived_id(deciding.program.name, deciding.event.id, rule, str(place))
        commands.append(
            Reverse(entry=one.entry, points=points, currency=one.currency, clawback=policy, **common)
        )
    status = Status.FIRED if commands else Status.NOT
    why = "" if commands else "the part returned comes to no whole point"
    return Outcome(rule=rule, status=status, asked=taken, given=-taken, commands=tuple(commands), why=why)
