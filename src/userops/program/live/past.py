"""A member's past as a ledger tells it: only what a decision asks is read, each by the narrowest index."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from attrs import evolve, frozen

from userops.core.ids import derived_id
from userops.points import Entry, Posting
from userops.program.live.state import Bucket, Given, Noted, State, read_state, value_of
from userops.program.rulebook import Rulebook

_FIRST_LOOK = timedelta(days=64)


@frozen(eq=False)
class Read:
    """The `Past` of a member, read within one transaction; nothing is kept from one question to the next.

    What is left of a grant is what was given less what the ledger says was undone of it, so no entry that
    takes back has to be looked for.
    """

    program: Rulebook
    posting: Posting
    member: str
    record: Mapping[str, Any]

    @property
    def value(self) -> Sequence[tuple[datetime, int]]:
        """The history of the tiers' currency: standing follows from all of it."""
        return value_of(self.posting.entries(self.member), self.program.value_currency)

    def granted(
        self, rules: Collection[str], start: datetime | None = None, end: datetime | None = None
    ) -> Sequence[Given]:
        """Return what rules gave in `[start, end)`, spends left out."""
        entries = (
            entry
            for rule in rules
            for entry in self.posting.entries(self.member, kind="earn", rule=rule, start=start, end=end)
        )
        return [one for one in self._folded(entries).given if one.rule in rules]

    def last_paid(self, rule: str) -> datetime | None:
        """Return when a rule last paid, by the time of the event: looked for from the latest back."""
        start, end, span = self._latest(), None, _FIRST_LOOK
        while True:
            found = self.posting.entries(self.member, kind="earn", rule=rule, start=start, end=end)
            paid = [entry.at for entry in found if entry.id.startswith(self.program.prefix)]
            if paid or start is None:
                return max(paid, default=None)
            end, span = start, span * 4
            start = _before(start, span)

    def _latest(self) -> datetime | None:
        latest = self.posting.latest(self.member)
        return None if latest is None else _before(latest, _FIRST_LOOK)

    def about(self, reference: str) -> State:
        """Return what was given and recorded about a reference."""
        return self._folded(self.posting.entries(self.member, reference=reference))

    def recorded(self, kind: str, start: datetime | None, end: datetime | None) -> Sequence[Noted]:
        """Return the recorded events of a kind in `[start, end)`."""
        found = self.posting.entries(self.member, kind="note", rule="", start=start, end=end)
        return [one for one in self._folded(found).noted if one.kind == kind]

    def counted_in_program(self, bucket: Bucket) -> tuple[int, int]:
        """Return (times, points) that the whole program has given in a bucket."""
        times, points = (
            self.posting.counter(counter_name(self.program, bucket, what)) for what in ("times", "points")
        )
        return times, points

    def _folded(self, entries: Iterable[Entry]) -> State:
        state = read_state(
            (entry for entry in entries if entry.kind != "reverse"),
            self.program.prefix,
            self.program.value_currency,
        )
        undone = self.posting.undone(one.entry for one in state.given)
        if not undone:
            return state
        return evolve(
            state,
            given=tuple(
                evolve(one, left=one.points - undone[one.entry]) if one.entry in undone else one
                for one in state.given
            ),
        )


def counter_name(program: Rulebook, bucket: Bucket, what: str) -> str:
    """Return the name of the ledger's counter of a bucket's times or points."""
    return derived_id(program.name, *bucket, what)


def _before(at: datetime, span: timedelta) -> datetime | None:
    """Return the instant a span earlier, or None where that is before the first year."""
    try:
        return at - span
    except OverflowError:
        return None
