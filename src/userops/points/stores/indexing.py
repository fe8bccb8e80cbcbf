"""Indexes of entries in memory: brought up to date when somebody reads, so that posting pays for none."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence

from attrs import define, field

from userops.core.calendar import micros
from userops.points.books import Span
from userops.points.values import Entry

Key = tuple[str, ...]


@define
class _Found:
    """The places of entries, up to one that is not looked at yet."""

    done: int = 0
    places: dict[Key, list[int]] = field(factory=dict)
    #: Of each (member, rule), where entries stand by the time they took effect; no rule is the empty one.
    times: dict[tuple[str, str], list[tuple[int, int]]] = field(factory=dict)
    lots: dict[str, list[str]] = field(factory=dict)

    def add(self, place: int, entry: Entry) -> None:
        for key in _keys(entry):
            self.places.setdefault(key, []).append(place)
        for member in entry.members:
            insort(self.times.setdefault((member, entry.rule), []), (micros(entry.at), place))
        for lot in entry.created:
            self.lots.setdefault(lot.member, []).append(lot.id)
        self.done = place + 1


@define(eq=False)
class EntryIndex:
    """Where a store's entries stand, by member, rule, event and reference; which lots a member was given."""

    _entries: list[Entry]
    _found: _Found = field(factory=_Found, init=False)

    def _up_to_date(self) -> _Found:
        found, entries = self._found, self._entries
        if found.done < len(entries):
            self._found = _Found()  # What is interrupted below is made anew.
            for place in range(found.done, len(entries)):
                found.add(place, entries[place])
            self._found = found
        return found

    def clear(self) -> None:
        """Forget everything: the entries before the last were changed."""
        self._found = _Found()

    def of_event(self, event: str) -> Sequence[int]:
        """Return the places of an event's entries."""
        return self._up_to_date().places.get(("event", event), ())

    def of_reference(self, member: str, reference: str) -> Sequence[int]:
        """Return the places of a member's entries about something."""
        return self._up_to_date().places.get(("reference", member, reference), ())

    def of_member(self, member: str) -> Sequence[int]:
        """Return the places of a member's entries."""
        return self._up_to_date().places.get(("member", member), ())

    def of_rule(self, member: str, rule: str, within: Span | None) -> Sequence[int]:
        """Return the places of a member's entries of a rule, or of none, in order of recording."""
        times = self._up_to_date().times.get((member, rule), [])
        if within is not None:
            times = times[bisect_left(times, (within[0], -1)) : bisect_left(times, (within[1], -1))]
        return sorted(place for _, place in times)

    def lots(self, member: str) -> Sequence[str]:
        """Return the ids of the lots that a member was given, in order of recording."""
        return self._up_to_date().lots.get(member, ())

    def rename(self, member: str, erased: str) -> None:
        """Put what is found by a member's id under another."""
        found = self._up_to_date()
        self._found = _Found()  # What is interrupted below is made anew.
        for key in [key for key in found.places if member in key[1:2] and key[0] != "event"]:
            found.places[(key[0], erased, *key[2:])] = found.places.pop(key)
        for mine in [mine for mine in found.times if mine[0] == member]:
            found.times[(erased, mine[1])] = found.times.pop(mine)
        if member in found.lots:
            found.lots[erased] = found.lots.pop(member)
        self._found = found


def _keys(entry: Entry) -> Iterable[Key]:
    for member in entry.members:
        yield ("member", member)
        if entry.reference:
            yield ("reference", member, entry.reference)
    if entry.event:
        yield ("event", entry.event)
