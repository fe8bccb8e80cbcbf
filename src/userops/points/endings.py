"""When lots end, after any number of extensions: lots that end together stand together, and are moved together.

An `Extend` moves every living lot of its rule, so a member who earns and is extended each day would be moved
a lot at a time as often as there are pairs of days. Here it moves groups: those that end before the new instant
become one group, and are one from then on. (Groups of lots that came after a back-dated extension are looked at
and left, so only many of those, each finding many lots that end apart, still take long.)
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from operator import itemgetter

from attrs import define, field

from userops.points.values import NEVER

#: (when it came into the wallet, lot), in that order.
_Group = list[tuple[int, str]]
_start = itemgetter(0)
#: So many are put in their places one by one.
_FEW = 16


@define
class _Alike:
    """The lots of one wallet, currency and rule: an `Extend` moves all of them that it finds alive, or none."""

    #: (instant at which it ends, when it came into the wallet, lot), since the last `Extend`.
    new: list[tuple[int, int, str]] = field(factory=list)
    #: By the instant at which its lots end.
    groups: dict[int, _Group] = field(factory=dict)
    #: The instants at which a group ends, in order.
    ends: list[int] = field(factory=list)

    def extend(self, at: int, until: int) -> None:
        self._sort_in()
        first, last = bisect_right(self.ends, at), bisect_left(self.ends, until)
        moved, stay = [], []
        for ends in self.ends[first:last]:
            group = self.groups[ends]
            # A back-dated Extend leaves alone what came into the wallet after it.
            there = len(group) if group[-1][0] <= at else bisect_right(group, at, key=_start)
            if there == len(group):
                moved.append(self.groups.pop(ends))
                continue
            stay.append(ends)
            if there:
                moved.append(group[:there])
                del group[:there]
        if moved:
            if until in self.groups:
                moved.append(self.groups[until])
            else:
                stay.append(until)
            self.groups[until] = _together(moved)
            self.ends[first:last] = stay

    def _sort_in(self) -> None:
        fresh = []
        for ends, start, lot in self.new:
            if ends in self.groups:
                insort(self.groups[ends], (start, lot))
            else:
                self.groups[ends] = [(start, lot)]
                fresh.append(ends)
        self.new.clear()
        if len(fresh) > len(self.ends) // 8:
            self.ends = sorted(self.groups)
        else:
            for ends in fresh:
                insort(self.ends, ends)


def _together(groups: list[_Group]) -> _Group:
    """Return groups as one, in order; the largest takes in the others, which it mostly precedes or follows."""
    groups.sort(key=len)
    largest = groups.pop()
    others = sorted(pair for group in groups for pair in group)
    if not others or largest[-1] <= others[0]:
        largest += others
    elif others[-1] <= largest[0]:
        largest[:0] = others
    elif len(others) < _FEW:
        for pair in others:
            insort(largest, pair)
    else:
        largest += others
        largest.sort()  # Of two runs that are in order, which takes no more than to merge them.
    return largest


@define
class Endings:
    """The instants at which lots end, as granted and as extended since."""

    #: By wallet and currency, then by rule.
    _wallets: dict[tuple[str, str], dict[str, _Alike]] = field(factory=dict)

    def add(self, member: str, currency: str, rule: str, lot: str, *, start: int, ends: int) -> None:
        """Note a lot that came into a member's wallet at `start`; of those that never end nothing need be known."""
        if ends < NEVER:
            rules = self._wallets.get((member, currency))
            if rules is None:
                rules = self._wallets[member, currency] = {}
            alike = rules.get(rule)
            if alike is None:
                alike = rules[rule] = _Alike()
            alike.new.append((ends, start, lot))

    def extend(self, member: str, currency: str, rule: str | None, *, at: int, until: int) -> None:
        """Let the lots that came by `at` and are alive then end at `until`, unless they end later; None: of any rule.

        >>> endings = Endings()
        >>> endings.add("u1", "points", "", "soon", start=0, ends=5)
        >>> endings.add("u1", "points", "", "dead", start=0, ends=2)
        >>> endings.extend("u1", "points", None, at=2, until=9)
        >>> sorted(endings)
        [('dead', 2), ('soon', 9)]
        """
        rules = self._wallets.get((member, currency), {})
        for alike in rules.values() if rule is None else filter(None, [rules.get(rule)]):
            alike.extend(at, until)

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """Yield (lot, instant at which it ends)."""
        for rules in self._wallets.values():
            for alike in rules.values():
                for ends, _, lot in alike.new:
                    yield lot, ends
                for ends, group in alike.groups.items():
                    for _, lot in group:
                        yield lot, ends
