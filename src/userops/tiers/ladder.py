"""The ladder: its rules, and every question that they answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from userops.core.calendar import micros
from userops.core.quantities import listed
from userops.errors import InvalidValue
from userops.tiers.history import Grant, History, Person, read_event, read_grants
from userops.tiers.memory import Memory
from userops.tiers.overlay import effective
from userops.tiers.rules import Rules
from userops.tiers.standing import Standing, Timeline, change_of, standing_of
from userops.tiers.standings import Standings, standings_of
from userops.tiers.truth import Restatement, restatements
from userops.tiers.walk import Walk
from userops.tiers.what_if import Distribution, Migration, assigned, distribution_of, migration_of


@attrs.frozen(slots=False)
class Ladder(Rules):
    """Tiers and the rules by which members reach, keep and lose them.

    >>> from datetime import UTC
    >>> from userops.tiers import Rolling, Tier
    >>> ladder = Ladder(tiers=(Tier("member", at_least=0), Tier("gold", at_least=3_000)), window=Rolling(months=12))
    >>> earned = [(datetime(2027, 1, 5, tzinfo=UTC), 3_000)]
    >>> ladder.standing(earned, as_of=datetime(2028, 1, 4, tzinfo=UTC)).tier
    'gold'
    >>> ladder.standing(earned, as_of=datetime(2028, 1, 5, tzinfo=UTC)).tier  # exactly twelve months old
    'member'
    """

    @cached_property
    def _memory(self) -> Memory:
        return Memory()

    def __getstate__(self) -> dict[str, Any]:
        """Leave what is only remembered behind."""
        return {name: value for name, value in self.__dict__.items() if name in attrs.fields_dict(type(self))}

    def standing(
        self,
        history: Iterable[Any],
        as_of: datetime,
        *,
        grants: Iterable[Grant] = (),
        record: Mapping[str, Any] | None = None,
        known_at: datetime | None = None,
    ) -> Standing:
        """Return a member's position at `as_of`, from (at, value) pairs or value events in any order.

        `record` is what `requires` reads (and `joined_at`, `paused`); with `known_at`, as was known then.
        """
        until, given = micros(as_of, "as_of"), read_grants(grants)
        if known_at is None:
            walk, base = self._memory.walk(self, Person.of(record), tuple(listed(history, "history")), until)
        else:
            walk, base = self._walk(history, record, known_at, until)
        return standing_of(self, walk, base, given, until)

    def standing_before(
        self,
        history: Iterable[Any],
        at: datetime,
        *,
        grants: Iterable[Grant] = (),
        record: Mapping[str, Any] | None = None,
    ) -> Standing:
        """Return the standing that one more event at `at` meets: what is due at that very instant is still to come.

        At one instant events come before reviews; the standing at `at` has the review behind it.

        >>> from datetime import UTC
        >>> from userops.tiers import Keep, Rolling, Tier
        >>> ladder = Ladder(tiers=(Tier("gold", at_least=10),), window=Rolling(months=1), keep=Keep(months=1))
        >>> start, review = datetime(2027, 1, 5, tzinfo=UTC), datetime(2027, 2, 5, tzinfo=UTC)
        >>> ladder.standing_before([(start, 10)], review).tier, ladder.standing([(start, 10)], review).tier
        ('gold', None)
        """
        until, given, items = micros(at), read_grants(grants), tuple(listed(history, "history"))
        ats = [read_event(item, self.metric)[0] for item in items]
        here = ats.index(until) if until in ats else len(ats)
        has_past = min(ats[:here], default=until) < until
        if has_past and all(then == until for then in ats[here:]):
            walk, base = self._memory.walk(self, Person.of(record), items[:here], until - 1)
            walk = walk.copy()
            together = History.of(items[here:], metric=self.metric)
            walk.take(until, [(metric, value) for _, metric, value in together.events])
        else:
            walk, base = self._walk(items, record, None, until, reviewed=until - 1)
        return standing_of(self, walk, base, given, until)

    def timeline(
        self,
        history: Iterable[Any],
        start: datetime,
        end: datetime,
        *,
        grants: Iterable[Grant] = (),
        record: Mapping[str, Any] | None = None,
        known_at: datetime | None = None,
    ) -> Timeline:
        """Return every change in [start, end), and every confirmation and beginning of a grace, in order.

        >>> from datetime import UTC
        >>> from userops.tiers import Tier
        >>> ladder = Ladder(tiers=(Tier("member", at_least=0), Tier("gold", at_least=3_000)))
        >>> first, last = datetime(2027, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
        >>> print(ladder.timeline([(datetime(2027, 1, 5, tzinfo=UTC), 3_100)], first, last))
        2027-01-05 00:00  member → gold
            reached gold with 3,100: gold needs 3,000
        """
        first, until = micros(start, "start"), micros(end, "end") - 1
        if until < first - 1:
            raise InvalidValue("end must not lie before start")
        given = read_grants(grants)
        walk, base = self._walk(history, record, known_at, until)
        steps = effective(self, walk.steps, base, given, until)
        return Timeline(tuple(change_of(self, step) for step in steps if step.at >= first))

    def restate(
        self,
        history: Iterable[Any],
        *,
        grants: Iterable[Grant] = (),
        record: Mapping[str, Any] | None = None,
    ) -> tuple[Restatement, ...]:
        """Return the stretches of time in which a member was believed at another tier than is true by now.

        >>> from datetime import UTC
        >>> from userops.tiers import Tier, ValueEvent
        >>> ladder = Ladder(tiers=(Tier("member", at_least=0), Tier("gold", at_least=3_000)))
        >>> day = [datetime(2027, 1, n, tzinfo=UTC) for n in range(1, 10)]
        >>> print(ladder.restate([ValueEvent(day[2], 3_000, recorded_at=day[6])])[0])
        2027-01-03T00:00:00+00:00 to 2027-01-07T00:00:00+00:00: believed member, true gold
        """
        return restatements(self, history, record, read_grants(grants))

    def assign(self, values: Any) -> NDArray[np.int64]:
        """Return the place of the tier that each value is enough for, the threshold included; −1 for none.

        >>> from userops.tiers import Tier
        >>> ladder = Ladder(tiers=(Tier("silver", at_least=100), Tier("gold", at_least=3_000)))
        >>> ladder.assign([99, 100, 2_999, 3_000]).tolist()
        [-1, 0, 0, 1]
        """
        return assigned(self, values)

    def standings(
        self,
        columns: Any,
        as_of: datetime,
        *,
        records: Any = None,
        grants: Mapping[Any, Iterable[Grant]] | None = None,
        known_at: datetime | None = None,
    ) -> Standings:
        """Return the standing of every member of columns `member`, `at` (in UTC) and `value`.

        `metric` and `recorded_at` may be columns too. `records` are columns with `member` and what `requires`,
        `joined_at` and `paused` read; a member who is only there has no value. `grants` are by member.

        >>> from userops.tiers import Tier
        >>> ladder = Ladder(tiers=(Tier("member", at_least=0), Tier("gold", at_least=3_000)))
        >>> at = np.array(["2027-01-05", "2027-01-06"], dtype="datetime64[D]")
        >>> from datetime import UTC
        >>> found = ladder.standings({"member": ["u1", "u2"], "at": at, "value": [3_000, 1]}, datetime(2028, 1, 1, tzinfo=UTC))
        >>> found["tier"].tolist()
        ['gold', 'member']
        """
        return standings_of(
            self,
            columns,
            as_of=micros(as_of, "as_of"),
            records=records,
            grants=None if grants is None else {key: read_grants(found) for key, found in grants.items()},
            known_at=None if known_at is None else micros(known_at, "known_at"),
        )

    def distribution(self, values: Any) -> Distribution:
        """Return how many of the values each tier has, the highest first.

        >>> from userops.tiers import Tier
        >>> ladder = Ladder(tiers=(Tier("member", at_least=0), Tier("gold", at_least=3_000)))
        >>> dict(ladder.distribution([0, 2_999, 3_000]))
        {'gold': 1, 'member': 2}
        """
        return distribution_of(self, values)

    def migration(self, before: Any, after: Any) -> Migration:
        """Return the matrix of moves between two columns of values, or of tier names, of the same members.

        >>> from userops.tiers import Tier
        >>> ladder = Ladder(tiers=(Tier("member", at_least=0), Tier("gold", at_least=3_000)))
        >>> ladder.migration([0, 3_000], [3_000, 3_000]).count("member", "gold")
        1
        """
        return migration_of(self, before, after)

    def _walk(
        self,
        history: Iterable[Any],
        record: Mapping[str, Any] | None,
        known_at: datetime | None,
        until: int,
        *,
        reviewed: int | None = None,
    ) -> tuple[Walk, int]:
        """Walk to an instant; return the walk and the tier it started at."""
        known = None if known_at is None else micros(known_at, "known_at")
        read = History.of(history, as_of=until, known_at=known, metric=self.metric)
        walk = Walk(self, Person.of(record), read.first)
        base = walk.state.tier
        return walk.along(read, until, reviewed=reviewed), base
