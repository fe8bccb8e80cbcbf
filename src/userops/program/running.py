"""The live path: read a member's past, decide, and post, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from attrs import evolve

from userops.core.events import Event
from userops.core.ids import derived_id
from userops.errors import Rejected
from userops.points import Ledger, Posting
from userops.program.decision import Decision, Outcome, Status
from userops.program.rules import EarnRule, Limit
from userops.program.state import Bucket, State, bucket_of, read_state

if TYPE_CHECKING:
    from userops.program.program import Program

Members = Mapping[str, Mapping[str, Any]] | None


def handle(program: Program, event: Event, ledger: Ledger, members: Members) -> Decision:
    """Handle one event in one transaction of its member."""
    return ledger.transact([event.member], lambda posting: _handle(program, event, posting, members))


def _handle(program: Program, event: Event, posting: Posting, members: Members) -> Decision:
    before = _answered(program, event, posting)
    if before is not None:
        return before
    reference = event.reference or event.id
    state = read(program, posting, event.member, event.at, reference, members)
    decision = program.decide(event, state)
    outcomes = [_post_outcome(program, outcome, posting, state) for outcome in decision.outcomes]
    for note in decision.notes:
        posting.post(note)
    posted = any(outcome.receipts for outcome in outcomes)
    _count_program_wide(program, event, outcomes, posting)
    notes = decision.notes if posted or not decision.notes else decision.notes
    return evolve(decision, outcomes=tuple(outcomes), notes=notes)


def read(
    program: Program, posting: Posting, member: str, at: datetime, reference: str, members: Members
) -> State:
    """Return a member's past, with what is known of the person and the program-wide counts of now."""
    state = read_state(posting.entries(member), program.prefix, program.value_currency)
    counts = {
        bucket: (
            posting.counter(_counter(program, bucket, "times")),
            posting.counter(_counter(program, bucket, "points")),
        )
        for _, limit in _program_limits(program)
        for bucket in [bucket_of(limit.name, limit.cap, at, reference, program.tz)]
    }
    record = (members or {}).get(member, {})
    return evolve(state, record=dict(record), program=counts)


def _program_limits(program: Program) -> list[tuple[EarnRule, Limit]]:
    return [(rule, limit) for rule in program.earn for limit in rule.limits if limit.cap.scope == "program"]


def _counter(program: Program, bucket: Bucket, what: str) -> str:
    return derived_id(program.name, *bucket, what)


def _answered(program: Program, event: Event, posting: Posting) -> Decision | None:
    """Return the answer of an event that was handled before, from its entries."""
    prefix = derived_id(program.name, event.id)
    entries = [entry for entry in posting.entries(event=event.id) if entry.id.startswith(prefix)]
    if not entries:
        return None
    outcomes = [
        Outcome(
            rule=entry.rule or entry.command.reason,
            status=Status.FIRED,
            asked=sum(abs(points) for _, points in entry.allocations)
            or getattr(entry.command, "points", 0)
            or 0,
            given=getattr(entry.command, "points", 0) or 0,
            commands=(entry.command,),
            receipts=(posting.post(entry.command),),
        )
        for entry in entries
        if entry.kind != "note"
    ]
    notes = tuple(entry.command for entry in entries if entry.kind == "note")
    return Decision(event=event, outcomes=tuple(outcomes), notes=notes, replayed=True)


def _post_outcome(program: Program, outcome: Outcome, posting: Posting, state: State) -> Outcome:
    """Post what one rule leads to; a refusal is the rule's outcome."""
    receipts = []
    for command in outcome.commands:
        try:
            receipts.append(posting.post(command))
        except Rejected as rejection:
            if receipts:
                continue
            return evolve(
                outcome, status=Status.REFUSED, given=0, commands=(), error=rejection, why=str(rejection)
            )
    return evolve(outcome, receipts=tuple(receipts))
