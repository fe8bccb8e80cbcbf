"""The live path: read a member's past, decide, and post, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import evolve

from userops.core.calendar import local_day
from userops.core.commands import Clawback, Command, Earn, Note, Reverse
from userops.core.events import Event
from userops.core.ids import derived_id, split_id
from userops.errors import IdConflict, InvalidValue, Rejected
from userops.points import Entry, Ledger, Posting, Receipt
from userops.program.decision import Decision, Outcome, Status
from userops.program.live.events import decide_event
from userops.program.live.past import Read, counter_name
from userops.program.live.returns import decide_return
from userops.program.live.state import Bucket, Given, Past, State, bucket_of, read_state
from userops.program.rulebook import Rulebook
from userops.program.rules import CANCELLED, Limit

Members = Mapping[str, Mapping[str, Any]] | None


def _record_of(member: str, members: Members) -> dict[str, Any]:
    record = (members or {}).get(member, {})
    if not isinstance(record, Mapping):
        raise InvalidValue(f"the record of a member is a mapping of fields, not {type(record).__name__}")
    return dict(record)


def is_return(event: Event) -> bool:
    """Say whether an event takes back what its reference gave."""
    return event.kind.endswith(CANCELLED) and event.kind != CANCELLED


def decide(program: Rulebook, event: Event, past: Past) -> Decision:
    """Return what the rules make of an event: a cancellation takes back, anything else gives or spends."""
    return (decide_return if is_return(event) else decide_event)(program, event, past)


def handle(program: Rulebook, event: Event, ledger: Ledger, members: Members) -> Decision:
    """Handle one event in one transaction of its member."""
    return ledger.transact([event.member], lambda posting: _handle(program, event, posting, members))


def _handle(program: Rulebook, event: Event, posting: Posting, members: Members) -> Decision:
    before = _answered(program, event, posting)
    if before is not None:
        return before
    past = Read(program, posting, event.member, _record_of(event.member, members))
    decision = decide(program, event, past)
    # Read before anything is taken back: what is left of a grant tells whether all of it goes.
    given = _given_about(program, event, past)
    outcomes = tuple(_post_outcome(outcome, posting) for outcome in decision.outcomes)
    # What nothing came of can be tried again: it leaves no trace unless a counter counts it.
    is_recorded = any(outcome.receipts for outcome in outcomes) or program.counts(event.kind)
    notes = decision.notes if is_recorded else ()
    for note in notes:
        posting.post(note)
    _count_for_program(program, event, outcomes, posting, given)
    return evolve(decision, outcomes=outcomes, notes=notes)


def _given_about(program: Rulebook, event: Event, past: Past) -> dict[str, Given]:
    """Return what the reference of a cancellation gave, where caps of the whole program count it."""
    if not (program.limits_of_all and is_return(event)):
        return {}
    return {one.entry: one for one in past.about(event.reference or event.id).given}


def state_of(program: Rulebook, ledger: Ledger, member: str, at: datetime, members: Members) -> State:
    """Return all of a member's past as the rules see it at an instant, folded from the entries."""

    def read(posting: Posting) -> State:
        state = read_state(posting.entries(member), program.prefix, program.value_currency)
        past = Read(program, posting, member, {})
        buckets = [
            bucket_of(limit.name, limit.cap, at, "probe", program.tz) for limit in program.limits_of_all
        ]
        counts = {bucket: past.counted_in_program(bucket) for bucket in buckets}
        return evolve(state, record=_record_of(member, members), program=counts)

    return ledger.transact([member], read)


def _answered(program: Rulebook, event: Event, posting: Posting) -> Decision | None:
    """Return the answer of an event that was handled before, from its entries."""
    prefix = derived_id(program.name, event.id)
    entries = [entry for entry in posting.entries(event=event.id) if entry.id.startswith(prefix)]
    if not entries:
        return None
    # The record of an event says most of it; it comes last.
    conflict = _difference(event, entries[-1])
    if conflict is not None:
        refused = Outcome(rule=event.kind, status=Status.REFUSED, why=str(conflict), error=conflict)
        return Decision(event=event, outcomes=(refused,))
    by_rule: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.kind != "note":
            by_rule.setdefault(split_id(entry.id)[2], []).append(entry)
    outcomes = tuple(_outcome_of(rule, found) for rule, found in by_rule.items())
    notes = tuple(entry.command for entry in entries if entry.kind == "note")
    return Decision(event=event, outcomes=outcomes, notes=notes, replayed=True)


def _difference(event: Event, entry: Entry) -> IdConflict | None:
    """Return the conflict of an event whose id was used for something else."""
    command = entry.command
    is_note = isinstance(command, Note)
    kind = command.kind if isinstance(command, Note) else command.reason
    was = (
        entry.member,
        entry.at,
        kind,
        entry.reference,
        command.amount if isinstance(command, Note) else None,
    )
    given = (
        event.member,
        event.at,
        event.kind,
        event.reference or event.id,
        event.amount if is_note else None,
    )
    for name, before, now in zip(("member", "at", "kind", "reference", "amount"), was, given, strict=True):
        # An erased member's id is not known any more; what else is told apart is enough.
        if before != now and not (name == "member" and str(before).startswith("erased:")):
            return IdConflict(
                f"event {event.id!r} was handled before with another {name}",
                id=event.id,
                field=name,
                was=before,
                given=now,
            )
    return None


def _outcome_of(rule: str, entries: list[Entry]) -> Outcome:
    """Return what a rule did then, from its entries: nothing is posted, a member may be erased by now."""
    commands = tuple(entry.command for entry in entries)
    receipts = tuple(
        Receipt(entry.id, entry.sequence, entry.allocations, entry.expired, replayed=True)
        for entry in entries
    )
    return Outcome(
        rule=rule,
        status=Status.FIRED,
        asked=sum(getattr(command, "points", 0) or 0 for command in commands),
        given=_points_of(commands, receipts),
        commands=commands,
        receipts=receipts,
    )


def _post_outcome(outcome: Outcome, posting: Posting) -> Outcome:
    """Post what one rule leads to; a refusal is the rule's outcome, and what it posted before it stays."""
    receipts = []
    for command in outcome.commands:
        try:
            receipts.append(posting.post(command))
        except Rejected as rejection:
            kept = outcome.commands[: len(receipts)]
            given = _points_of(kept, receipts)
            return evolve(
                outcome,
                status=Status.REFUSED,
                given=given,
                commands=kept,
                receipts=tuple(receipts),
                error=rejection,
                why=str(rejection),
            )
    return evolve(outcome, receipts=tuple(receipts), given=_points_of(outcome.commands, receipts))


def _points_of(commands: Sequence[Command], receipts: Sequence[Receipt]) -> int:
    """Return what commands gave, or spent; what they took back, or booked as debt, counts as negative."""
    total = 0
    for command, receipt in zip(commands, receipts, strict=True):
        points = getattr(command, "points", 0) or 0
        if not isinstance(command, Reverse):
            total += points
        elif command.clawback is Clawback.DEBT:
            total -= points
        else:
            total -= sum(found for _, found in receipt.allocations)
    return total


def _count_for_program(
    program: Rulebook,
    event: Event,
    outcomes: tuple[Outcome, ...],
    posting: Posting,
    given: Mapping[str, Given],
) -> None:
    """Count grants, and what was taken back of them, against caps of the whole program."""
    if not program.limits_of_all:
        return
    posted = [command for outcome in outcomes if outcome.receipts for command in outcome.commands]
    taken = {
        entry.id: entry.recovered + entry.indebted
        for entry in posting.entries(event=event.id)
        if entry.kind == "reverse"
    }
    for command in posted:
        if isinstance(command, Earn):
            found = _program_buckets(program, command.rule, command.at, command.reference)
            for bucket, limits in found.items():
                posting.count(counter_name(program, bucket, "times"), 1, _least(limits, "times"))
                posting.count(
                    counter_name(program, bucket, "points"), command.points, _least(limits, "points")
                )
        elif isinstance(command, Reverse):
            one = given.get(command.entry)
            if one is None or one.is_spend:
                continue
            points = taken[command.id]
            for bucket in _program_buckets(program, one.rule, one.at, one.reference):
                posting.count(counter_name(program, bucket, "points"), -points)
                if points and points == one.left:
                    posting.count(counter_name(program, bucket, "times"), -1)


def _program_buckets(program: Rulebook, rule: str, at: datetime, reference: str) -> dict[Bucket, list[Limit]]:
    """Return what a grant of a rule's version in force counts in, once each, and the limits that read it."""
    day = local_day(at, program.tz)
    found: dict[Bucket, list[Limit]] = {}
    for version in program.earn:
        if version.name == rule and version.is_in_force(day):
            for limit in version.limits:
                if limit.cap.scope == "program":
                    bucket = bucket_of(limit.name, limit.cap, at, reference, program.tz)
                    found.setdefault(bucket, []).append(limit)
    return found


def _least(limits: list[Limit], what: str) -> int | None:
    """Return what a counter may reach at most: limits that bind only sometimes do not say."""
    bounds = [getattr(limit.cap, what) for limit in limits if not limit.is_conditional]
    return min((bound for bound in bounds if bound is not None), default=None)
