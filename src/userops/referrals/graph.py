"""The referral graph: who is credited with whom, since when, as one forest of persons."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from userops.core.calendar import from_micros, micros
from userops.core.quantities import shown
from userops.errors import InvalidValue
from userops.referrals.binding import Binder, Facts, bind, read_attributes, read_facts
from userops.referrals.forest import Forest
from userops.referrals.from_networkx import check_ids, copied, micros_column, read_networkx
from userops.referrals.invitations import Binding, Invitation, Refusal, Reject
from userops.referrals.ripple import NO_TIME, Ripple, ripple_of


class ReferralGraph:
    """A forest of persons, each under at most one referrer; a value that nothing changes.

    Made from raw touches (`from_invitations`, which refuses), from a finished networkx graph
    (`from_networkx`, which raises) or from a column of parents. The arrays are in the order of `members`.

    >>> import networkx as nx
    >>> graph = ReferralGraph.from_networkx(nx.DiGraph([("ann", "bo"), ("bo", "cy")]))
    >>> graph.path("cy"), graph.parent.tolist()
    (('ann', 'bo', 'cy'), [-1, 0, 1])
    """

    __slots__ = (
        "_attributes", "_facts", "_forest", "_history", "_members", "_place", "_position", "_starts",
        "_times", "_touches", "rejected",
    )  # fmt: skip

    def __init__(
        self,
        members: Sequence[Any],
        parent: NDArray[Any],
        *,
        starts: NDArray[np.int64] | None = None,
        touches: Mapping[int, dict[str, Any]] | None = None,
        attributes: Mapping[int, dict[str, Any]] | None = None,
        history: Mapping[int, tuple[tuple[int, int], ...]] | None = None,
        facts: Facts | None = None,
        rejected: Iterable[Refusal] = (),
    ) -> None:
        """Keep a forest that one of the named constructors has checked."""
        self._members = members
        self._forest = Forest(parent)
        self._starts = starts
        self._touches = touches or {}
        self._attributes = attributes or {}
        self._history = history or {}
        self._facts = facts or Facts()
        self._place: dict[Any, int] | None = None
        self._position: NDArray[Any] | None = None
        self._times: NDArray[np.int64] | None = None
        #: The touches that did not bind, in the order in which they were taken.
        self.rejected: tuple[Refusal, ...] = tuple(rejected)

    @classmethod
    def from_invitations(
        cls,
        invitations: Iterable[Invitation],
        *,
        binding: Binding | None = None,
        same_person: Iterable[tuple[str, str]] = (),
        members: Mapping[str, datetime | None] | None = None,
        orders: Mapping[str, datetime] | None = None,
        staff: Iterable[str] = (),
        flagged: Iterable[str] = (),
        attributes: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> ReferralGraph:
        """Bind raw touches by the rules; faults become refusals, and only malformed values raise.

        `members` maps accounts to when they joined (None: not known), `orders` to their first order;
        `attributes` are what a scheme's `eligible` reads about referrers. Facts count for the whole person.

        >>> from datetime import UTC
        >>> t = datetime(2027, 1, 1, tzinfo=UTC)
        >>> ReferralGraph.from_invitations([Invitation("ann", "ann", t)]).rejected[0].reason
        <Reject.SELF: 'self'>
        """
        facts = read_facts(same_person, members, {} if orders is None else orders, staff, flagged)
        binder = bind(invitations, Binding() if binding is None else binding, facts)
        return cls._of_binder(binder, facts, read_attributes({} if attributes is None else attributes, facts))

    @classmethod
    def _of_binder(cls, binder: Binder, facts: Facts, given: Mapping[str, dict[str, Any]]) -> ReferralGraph:
        named = {*binder.bonds, *(facts.joined or ()), *given}
        named.update(bonds[place].referrer for bonds in binder.bonds.values() for place in range(len(bonds)))
        for refusal in binder.rejected:
            named.add(facts.person(refusal.invitee))
            if refusal.reason is not Reject.UNKNOWN_REFERRER:
                named.add(facts.person(refusal.referrer))
        names = tuple(sorted(named))
        place = {name: k for k, name in enumerate(names)}
        parent = np.full(len(names), -1, dtype=np.int64)
        starts = np.full(len(names), NO_TIME, dtype=np.int64)
        touches, history = {}, {}
        for person, bonds in binder.bonds.items():
            k, last = place[person], bonds[-1]
            parent[k], starts[k] = place[last.referrer], last.start
            words = {"code": last.touch.code, "channel": last.touch.channel}
            if any(words.values()):
                touches[k] = {name: word for name, word in words.items() if word}
            if len(bonds) > 1:
                history[k] = tuple((bond.start, place[bond.referrer]) for bond in bonds)
        return cls(
            names,
            parent,
            starts=starts,
            touches=touches,
            history=history,
            attributes={place[name]: values for name, values in given.items()},
            facts=facts,
            rejected=binder.rejected,
        )

    @classmethod
    def from_networkx(cls, graph: Any) -> ReferralGraph:
        """Copy a finished forest: edges run from referrer to invitee, with `at`, `code`, `channel` if known.

        A self-loop, a cycle of any length, a second referrer, ids of mixed types and a naive time raise,
        naming the first few members. An edge without `at` was always in force.

        >>> import networkx as nx
        >>> ReferralGraph.from_networkx(nx.DiGraph([("a", "c"), ("b", "c")]))
        Traceback (most recent call last):
        userops.errors.InvalidValue: each member has at most one referrer, but there are two of 'c' (by 'a' and 'b')
        """
        read = read_networkx(graph)
        return cls(
            read.members, read.parent, starts=read.starts, touches=read.touches, attributes=read.attributes
        )

    @classmethod
    def from_parents(
        cls, parent: Any, *, members: Iterable[Any] | None = None, at: Any = None
    ) -> ReferralGraph:
        """Make a forest from a column of referrers' places, -1 for a root: the form for millions.

        `members` names the places (without it they are the numbers 0 to n - 1); `at` is a column of
        microseconds since 1970.

        >>> ReferralGraph.from_parents([-1, 0, 0]).subtree_size.tolist()
        [3, 1, 1]
        """
        column = np.asarray(parent)
        if not column.size:
            column = column.astype(np.int64)
        names: Sequence[Any] = range(len(column)) if members is None else tuple(check_ids(members))
        if len(names) != len(column) or len(set(names)) != len(names):
            raise InvalidValue(f"{len(column)} parents need as many members, each named once")
        starts = None if at is None else micros_column(at)
        if starts is not None and starts.shape != column.shape:
            raise InvalidValue("at has one time for each member")
        return cls(names, column, starts=starts)

    def to_networkx(self) -> Any:
        """Return a new networkx DiGraph: edges from referrer to invitee, attributes kept."""
        import networkx as nx

        graph: Any = nx.DiGraph()
        members = self._members
        if self._attributes:
            graph.add_nodes_from(
                (member, copied(self._attributes.get(k, {}))) for k, member in enumerate(members)
            )
        else:
            graph.add_nodes_from(members)
        starts = None if self._starts is None else self._starts.tolist()
        edges = []
        for k, above in enumerate(self._forest.parent.tolist()):
            if above < 0:
                continue
            data = copied(self._touches[k]) if k in self._touches else {}
            if starts is not None and starts[k] != NO_TIME:
                data["at"] = from_micros(starts[k])
            edges.append((members[above], members[k], data))
        graph.add_edges_from(edges)
        return graph

    def __len__(self) -> int:
        return len(self._forest)

    def __contains__(self, member: Any) -> bool:
        return self._find(member) is not None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ReferralGraph):
            return NotImplemented
        return self._key() == other._key() and self.rejected == other.rejected

    __hash__ = None  # type: ignore[assignment]

    def _key(self) -> tuple[Any, ...]:
        starts = None if self._starts is None else self._starts.tolist()
        parents = self._forest.parent.tolist()
        return tuple(self._members), parents, starts, self._touches, self._attributes, self._history

    def __repr__(self) -> str:
        roots = int(self._forest.bounds[1]) if len(self) else 0
        refused = f", {len(self.rejected)} refused touches" if self.rejected else ""
        return f"<ReferralGraph: {len(self)} members in {roots} trees{refused}>"

    @property
    def members(self) -> Sequence[Any]:
        """The members: one name for each person."""
        return self._members

    @property
    def parent(self) -> NDArray[Any]:
        """The place of each member's referrer in force last, -1 for a root."""
        return self._forest.parent

    @property
    def depth(self) -> NDArray[Any]:
        """How many referrals lead from the root to each member."""
        return self._forest.depths()

    @property
    def root(self) -> NDArray[Any]:
        """The place of each member's root."""
        return self._forest.roots()

    @property
    def subtree_size(self) -> NDArray[Any]:
        """How many members each one has brought directly and indirectly, itself included."""
        return self._forest.sizes()

    @property
    def invitees(self) -> NDArray[Any]:
        """How many direct invitees each member has: the counts for `offspring`."""
        parent = self._forest.parent
        counts: NDArray[Any] = np.bincount(parent[parent >= 0], minlength=len(parent))
        return counts

    def bound_at(self) -> NDArray[np.int64]:
        """Return when each member was bound, in microseconds since 1970; `NO_TIME` where no time is known."""
        if self._starts is None:
            return np.full(len(self), NO_TIME, dtype=np.int64)
        return self._starts.copy()

    @property
    def forest(self) -> Forest:
        """The arrays in breadth-first order, for sweeps over millions of members."""
        return self._forest

    def person(self, account: Any) -> Any:
        """Return the name that stands for an account's person."""
        return self._facts.person(account) if isinstance(account, str) else account

    def attributes(self, member: Any) -> dict[str, Any]:
        """Return a copy of a member's attributes."""
        return copied(self._attributes.get(self._index(member), {}))

    def referrer(self, member: Any, *, at: datetime | None = None) -> Any | None:
        """Return who is credited with a member: by the binding in force at `at`, without it the last one.

        None before any binding, for a root, and for somebody the graph does not know.
        """
        place = self._find(member)
        if place is None:
            return None
        above = self._above(place, None if at is None else micros(at))
        return None if above is None else self._members[above]

    def referrers(self, member: Any, *, at: datetime | None = None, depth: int | None = None) -> list[Any]:
        """Return the chain above a member, the direct referrer first, as in force at `at`."""
        when = None if at is None else micros(at)
        place = self._find(member)
        found: list[Any] = []
        while place is not None and (depth is None or len(found) < depth):
            place = self._above(place, when)
            if place is not None:
                found.append(self._members[place])
        return found

    def path(self, member: Any, *, at: datetime | None = None) -> tuple[Any, ...]:
        """Return the members from the root to this one."""
        name = self._members[self._index(member)]
        return (*reversed(self.referrers(name, at=at)), name)

    def generations(self, member: Any) -> tuple[tuple[Any, ...], ...]:
        """Return the rings around a member: direct invitees first, then theirs, and so on."""
        order, members = self._forest.order, self._members
        return tuple(
            tuple(members[k] for k in order[low:high].tolist()) for low, high in self._rings(member)[1:]
        )

    def ripple(self, member: Any = None) -> Ripple:
        """Return how far word of mouth ran: in the whole forest, or below one member."""
        if member is None:
            return ripple_of(self._forest, self._members, self._index, self._own_times())
        places = np.concatenate([self._forest.order[low:high] for low, high in self._rings(member)])
        local = np.full(len(self), -1, dtype=np.int64)
        local[places] = np.arange(len(places))
        parents = local[self._forest.parent[places]]
        parents[0] = -1
        times = self._own_times()
        return ripple_of(Forest(parents), None, None, None if times is None else times[places])

    def plot_tree(self, member: Any, *, ax: Any = None, most: int = 400) -> Any:
        """Draw the tree below a member, a generation per row (extra `plot`); returns the Axes."""
        from userops.referrals.plotting import plot_tree

        rings, parent = self._rings(member), self._forest.parent
        places = [self._forest.order[low:high].tolist() for low, high in rings]
        return plot_tree(places, parent, self._members, ax=ax, most=most)

    def _find(self, member: Any) -> int | None:
        if isinstance(self._members, range):
            is_place = isinstance(member, int | np.integer) and not isinstance(member, bool)
            return int(member) if is_place and 0 <= member < len(self._members) else None
        if self._place is None:
            self._place = {name: k for k, name in enumerate(self._members)}
        try:
            return self._place.get(self.person(member))
        except TypeError:
            # What has no hash is nobody's name.
            return None

    def _index(self, member: Any) -> int:
        place = self._find(member)
        if place is None:
            raise InvalidValue(f"{shown(member)} is not a member of this graph")
        return place

    def _above(self, place: int, at: int | None) -> int | None:
        above = int(self._forest.parent[place])
        if above < 0 or at is None or self._starts is None:
            return above if above >= 0 else None
        bonds = self._history.get(place)
        if bonds is not None:
            k = bisect_right(bonds, at, key=itemgetter(0))
            return bonds[k - 1][1] if k else None
        return above if self._starts[place] <= at else None

    def _rings(self, member: Any) -> list[tuple[int, int]]:
        """Return the breadth-first positions of a member and of each ring below: each ring is one run."""
        forest = self._forest
        if self._position is None:
            self._position = np.empty_like(forest.order)
            self._position[forest.order] = np.arange(len(self), dtype=forest.order.dtype)
        low = int(self._position[self._index(member)])
        high, rings = low + 1, []
        firsts = forest.first
        while low < high:
            rings.append((low, high))
            one, other = np.searchsorted(forest.head, (low, high)).tolist()
            if one == other:
                break
            low = int(firsts[one])
            high = int(firsts[other]) if other < len(firsts) else len(self)
        return rings

    def _own_times(self) -> NDArray[np.int64] | None:
        """Return when each member came: its binding, and for a root its joining."""
        joined = self._facts.joined
        if not joined or self._starts is None:
            return self._starts
        if self._times is None:
            self._times = self._starts.copy()
            for name, at in joined.items():
                k = self._index(name)
                if at is not None and self._forest.parent[k] < 0:
                    self._times[k] = at
        return self._times
