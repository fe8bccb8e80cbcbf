"""What the entries of a ledger come to, recounted plainly: grants under caps, budgets and the worst case, returns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from attrs import define

from userops.core.calendar import period, zone
from userops.points import Clawback, Entry
from userops.program import Status
from userops.program.rules import CANCELLED, Limit
from userops.testing.books import Books, Turn


@define
class Grant:
    """Points that a rule gave, and what is left of them after takings-back."""

    entry: Entry
    fund: str
    points: int
    left: int

    @property
    def rule(self) -> str:
        """The rule that gave them."""
        return self.entry.rule


def grants(entries: Sequence[Entry]) -> list[Grant]:
    """Return every grant as it stands after all entries."""
    return [grant for grant, _ in list(grants_in_order(entries))]


def grants_in_order(entries: Sequence[Entry]) -> Iterator[tuple[Grant, list[Grant]]]:
    """Yield every grant with the grants before it, as they stand by then, in order of recording."""
    known: dict[str, Grant] = {}
    for entry in entries:
        command: Any = entry.command
        if entry.kind == "earn":
            grant = Grant(entry, command.fund, command.points, command.points)
            yield grant, list(known.values())
            known[entry.id] = grant
        elif entry.kind == "reverse" and command.entry in known:
            known[command.entry].left -= entry.recovered + entry.indebted


def over_caps(books: Books) -> Iterator[str]:
    """Yield each cap that a grant went beyond."""
    program, entries = books.program, books.ledger.entries()
    unknown = {counter.name for counter in program.counters} | ({"tier"} if program.ladder else set())
    sharing = {
        limit.name: {rule.name for rule in program.earn if limit.name in {x.name for x in rule.limits}}
        for rule in program.earn
        for limit in rule.limits
    }
    for grant, before in grants_in_order(entries):
        event = books.event[grant.entry.event]
        for version in books.versions(grant.rule, grant.entry.at):
            for limit in version.limits:
                # Counters and the ladder's tier are not recounted here, so neither are the caps that read them.
                if unknown & {*limit.when.fields()} or not limit.when.holds(books.record(event)):
                    continue
                rules = sharing[limit.name] if limit.name.startswith("caps.") else {grant.rule}
                mine = _bucket(books, limit, grant)
                same = [
                    x
                    for x in before
                    if x.left
                    and x.rule in rules
                    and _bucket(books, limit, x) == mine
                    and (x.entry.event != event.id or _is_under(books, x, limit))
                ]
                times, points = len(same) + 1, sum(x.left for x in same) + grant.points
                cap = limit.cap
                if times > (times if cap.times is None else cap.times) or points > (
                    points if cap.points is None else cap.points
                ):
                    yield (
                        f"rule {grant.rule!r} gave {grant.points:,} for event {event.id!r} under a cap of "
                        f"{limit.describe()}: {times} times and {points:,} points by then"
                    )


def _is_under(books: Books, grant: Grant, limit: Limit) -> bool:
    """Say whether the version that gave points has a cap: at its own event only that counts, later any version's."""
    versions = books.versions(grant.rule, grant.entry.at)
    return any(limit.name in {one.name for one in version.limits} for version in versions)


def _bucket(books: Books, limit: Limit, grant: Grant) -> tuple[str, str]:
    """Return whose grants, of which period or reference, count together."""
    entry, cap = grant.entry, limit.cap
    whose = entry.member if cap.scope == "member" else ""
    if cap.per == "reference":
        return whose, entry.reference
    return whose, period(entry.at, cap.per, books.program.tz)


def over_budgets(books: Books) -> Iterator[str]:
    """Yield each budget that a grant went beyond."""
    for grant, before in grants_in_order(books.ledger.entries()):
        fund = books.program.funds.get(grant.fund)
        if fund is None or fund.budget is None:
            continue
        tz, per = zone(fund.timezone), fund.budget.per
        now = period(grant.entry.at, per, tz)
        drawn = grant.points + sum(
            x.left for x in before if x.fund == fund.name and period(x.entry.at, per, tz) == now
        )
        if drawn > fund.budget.points:
            yield (
                f"fund {fund.name!r} gave {drawn:,} points in {now}, of a budget of "
                f"{fund.budget.points:,} per {per}"
            )


def over_worst_case(books: Books) -> Iterator[str]:
    """Yield each fund that gave more than the worst case of as many members and events."""
    ats = [event.at for event in books.story.events]
    if not ats:
        return
    years = -(-((max(ats) - min(ats)).days + 2) // 365)
    worst = books.program.worst_case(members=len(books.names), events=len(books.event), years=years)
    for grant, before in grants_in_order(books.ledger.entries()):
        drawn = grant.points + sum(x.left for x in before if x.fund == grant.fund)
        most = worst.get(grant.fund, 0)
        if most is not None and drawn > most:
            yield (
                f"fund {grant.fund!r} gave {drawn:,} points, where {len(books.names)} members and {len(books.event)} "
                f"events in {years} years draw {most:,} at most"
            )


def wrong_returns(books: Books) -> Iterator[str]:
    """Yield each cancellation that took back more, or less, than its reference had been given.

    After a whole return nothing is left; after a part, of each rule's points ⌊given · (amount left) / (amount then)⌋.
    Rules that claw back less than a debt, and returns that the ledger refused, only may not take too much.
    """
    entries = books.ledger.entries()
    for turn in books.turns:
        event, is_refused = turn.event, any(outcome.error is not None for outcome in turn.done.outcomes)
        if not turn.is_return or not turn.is_new or is_refused:
            continue
        given = _given_about(turn, entries[: turn.entries[2]])
        clawbacks = {rule.name: rule.clawback for rule in books.program.earn}
        owing = [grant for grant in given if clawbacks.get(grant.rule) is Clawback.DEBT]
        if event.amount is None:
            left = sum(grant.left for grant in owing)
            if left:
                yield f"event {event.id!r} takes everything back, and {left:,} points are left"
        elif any(outcome.status is Status.FIRED for outcome in turn.done.outcomes):
            yield from _wrong_part(books, turn, owing)
    for grant in grants(entries):
        if grant.left < 0:
            yield f"{grant.points:,} points of rule {grant.rule!r} were given, and {grant.points - grant.left:,} taken back"


def _given_about(turn: Turn, entries: Sequence[Entry]) -> list[Grant]:
    """Return what events of the kind and reference that a return is about had given the member by its time."""
    event = turn.event
    about = (event.member, event.kind.removesuffix(CANCELLED), turn.about)
    return [
        grant
        for grant in grants(entries)
        if (grant.entry.member, grant.entry.command.reason, grant.entry.reference) == about
        and grant.entry.at <= event.at
    ]


def _wrong_part(books: Books, turn: Turn, owing: Sequence[Grant]) -> Iterator[str]:
    """Yield each rule of which another part stays than that of the amount."""
    event = turn.event
    kind, about = event.kind.removesuffix(CANCELLED), turn.about
    story = [one for one in books.turns if one.is_new and one.event.member == event.member]
    story = story[: story.index(turn) + 1]
    notes = [one for one in story if one.about == about and one.done.notes]
    bought = [one for one in notes if one.event.kind == kind and one.event.amount is not None]
    back = [one for one in notes if one.event.kind == kind + CANCELLED]
    took = [one for one in back if any(x.status is not Status.REFUSED for x in one.done.outcomes)]
    ats = [one.event.at for one in (*bought, *took)]
    # What a whole return closed, what was given between two returns, and what came late is another story.
    if any(one.event.amount is None for one in took) or not bought or ats != sorted(ats):
        return
    if story.index(bought[-1]) > story.index(took[0]):
        return
    then = sum(Fraction(one.event.amount or 0) for one in bought)
    stays = then - sum(Fraction(one.event.amount or 0) for one in took)
    for rule in sorted({grant.rule for grant in owing}):
        mine = [grant for grant in owing if grant.rule == rule]
        left, points = sum(x.left for x in mine), sum(x.points for x in mine)
        if left != (expected := (points * stays / then).__floor__()):
            yield (
                f"event {event.id!r} leaves {stays} of {then} of reference {about!r}, and rule {rule!r} "
                f"{left:,} of {points:,} points, not {expected:,}"
            )
