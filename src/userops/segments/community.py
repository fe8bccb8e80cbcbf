"""Community: what activities bring, who becomes a strong tie, and how many people a circle reaches."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from userops.core.amounts import whole
from userops.core.calendar import MICROS_PER_DAY, from_micros, micros
from userops.core.chance import stream
from userops.core.columns import codes, instants
from userops.core.columns import columns as taken_columns
from userops.core.statistics import check_level
from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.segments.loop import Share
from userops.segments.quantities import checked_number, hashable, is_table, listed, mapped, tuples

Floats = NDArray[np.float64]
RUNNERS: Final = ("owner", "maker")
MEASURES: Final = ("attendance", "return", "content")
_DRAWS: Final = 2_000


@frozen
class Comparison:
    """One measure of owner-run against maker-run activities: means, difference, interval of the difference."""

    measure: str
    owner: float
    maker: float
    difference: float
    interval: tuple[float, float]


@frozen(eq=False)
class Activities:
    """Owner-run against maker-run activities, and the mix of kinds against the one intended."""

    comparisons: tuple[Comparison, ...]
    owner_run: int
    maker_run: int
    #: Share of activities by kind.
    mix: Mapping[str, Share]
    intended: Mapping[str, float]
    seed: int

    def __getitem__(self, measure: str) -> Comparison:
        for comparison in self.comparisons:
            if comparison.measure == measure:
                return comparison
        raise KeyError(measure)

    def table(self) -> Table:
        """Return one row per measure."""
        rows = self.comparisons
        return Table(
            {
                "measure": [row.measure for row in rows],
                "owner-run": [row.owner for row in rows],
                "maker-run": [row.maker for row in rows],
                "difference": [row.difference for row in rows],
                "interval": ["{:.3g} to {:.3g}".format(*row.interval) for row in rows],
            },
            formats=dict.fromkeys(("owner-run", "maker-run", "difference"), ".3g"),
            notes=(f"{self.owner_run} owner-run, {self.maker_run} maker-run; bootstrap, seed {self.seed}",),
        )

    def mix_table(self) -> Table:
        """Return the actual mix beside the intended one; "off" where the interval leaves the intention out."""
        kinds = sorted(set(self.mix) | set(self.intended))
        n = self.owner_run + self.maker_run
        shares = [self.mix.get(kind) or Share.of(0, n) for kind in kinds]
        meant = [self.intended.get(kind) for kind in kinds]
        return Table(
            {
                "kind": kinds,
                "share": shares,
                "interval": ["{:.0%}–{:.0%}".format(*share.interval) for share in shares],
                "intended": meant,
                "": [
                    "" if goal is None or share.interval[0] <= goal <= share.interval[1] else "off"
                    for share, goal in zip(shares, meant, strict=True)
                ],
            },
            formats={"share": ".0%", "intended": ".0%"},
        )

    def __str__(self) -> str:
        return f"{self.table()}\n\n{self.mix_table()}"

    def _repr_html_(self) -> str:
        return self.table()._repr_html_() + self.mix_table()._repr_html_()


def activities(
    columns: Any, *, intended: Mapping[str, float] | None = None, seed: int = 0, level: float = 0.95
) -> Activities:
    """Compare owner-run with maker-run activities, one row each.

    Columns: `run_by` (owner or maker), `kind`, `attendance` (people who came), `returned` (of them, who came to
    a later activity), `content` (posts about it). Compared are the mean attendance, the share of people who
    return and the posts per person, each with the bootstrap interval of the difference over activities.
    `intended` maps kinds to the share of activities meant for them.
    """
    check_level(level)
    taken = taken_columns(columns, names=("run_by", "kind", "attendance", "returned", "content"))
    run_by, kinds = (_texts(taken[name], name) for name in ("run_by", "kind"))
    if not set(run_by) <= set(RUNNERS):
        raise InvalidValue(f"run_by is {' or '.join(RUNNERS)}")
    counts = np.stack([_counts(taken[name], name) for name in ("attendance", "returned", "content")])
    if (counts[1] > counts[0]).any():
        raise InvalidValue("returned cannot be more than attendance")
    groups = [counts[:, np.array([name == who for name in run_by])] for who in RUNNERS]
    if any(not group.shape[1] for group in groups):
        raise InvalidValue("a comparison needs owner-run and maker-run activities")
    if any(not group[0].sum() for group in groups):
        raise InvalidValue("nobody came to the activities of one side: shares of nobody are undefined")
    owner, maker = (_measures(group) for group in groups)
    drawn = [
        _resampled(group, stream(seed, "activities", who)) for group, who in zip(groups, RUNNERS, strict=True)
    ]
    tail = (1 - level) / 2
    differences = drawn[0] - drawn[1]
    low, high = np.nanquantile(differences, [tail, 1 - tail], axis=0)
    goals = {
        kind: checked_number(goal, f"the intended share of {kind!r}", 0, 1)
        for kind, goal in mapped(intended, "intended").items()
    }
    if goals and sum(goals.values()) > 1 + 1e-9:
        raise InvalidValue("the intended shares sum to more than 1")
    return Activities(
        tuple(
            Comparison(
                name,
                float(owner[k]),
                float(maker[k]),
                float(owner[k] - maker[k]),
                (float(low[k]), float(high[k])),
            )
            for k, name in enumerate(MEASURES)
        ),
        groups[0].shape[1],
        groups[1].shape[1],
        {kind: Share.of(kinds.count(kind), len(kinds), level) for kind in sorted(set(kinds))},
        goals,
        seed,
    )


def _texts(values: NDArray[Any], name: str) -> list[str]:
    listed = values.tolist()
    if not all(isinstance(value, str) for value in listed):
        raise InvalidValue(f"{name} must be a column of texts, without missing ones")
    return [str(value) for value in listed]


def _counts(values: NDArray[Any], name: str) -> Floats:
    if values.dtype.kind not in "iu" or np.ma.getmaskarray(values).any() or (values < 0).any():
        raise InvalidValue(f"{name} must be a column of counts, at least 0")
    return np.asarray(values, dtype=np.float64)


def _measures(group: Floats) -> Floats:
    came = group[0].sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.stack(
            [group[0].mean(axis=-1), group[1].sum(axis=-1) / came, group[2].sum(axis=-1) / came], axis=-1
        )


def _resampled(group: Floats, rng: np.random.Generator) -> Floats:
    rows = rng.integers(0, group.shape[1], (_DRAWS, group.shape[1]))
    return _measures(group[:, rows])


@frozen
class Tie:
    """Two members who meet at activities, how strong that is, and how much it grew in one half-life."""

    one: Any
    other: Any
    strength: float
    growth: float
    meetings: int

    @property
    def became_strong(self) -> bool:
        """Whether the tie is worth at least two meetings now and was not a half-life ago (weak → strong)."""
        return self.strength >= STRONG > self.strength - self.growth


STRONG: Final = 2.0


@frozen(eq=False)
class Ties:
    """Ties between members, the strongest first."""

    ties: tuple[Tie, ...]
    set_aside: tuple[Any, ...]
    as_of: datetime

    def __iter__(self) -> Any:
        return iter(self.ties)

    def __len__(self) -> int:
        return len(self.ties)

    def __getitem__(self, pair: tuple[Any, Any]) -> Tie:
        one, other = pair
        for tie in self.ties:
            if {tie.one, tie.other} == {one, other}:
                return tie
        raise KeyError(pair)

    def table(self) -> Table:
        """Return one row per tie."""
        notes = (f"{len(self.set_aside)} large activities set aside",) if self.set_aside else ()
        return Table(
            {
                "member": [tie.one for tie in self.ties],
                "and": [tie.other for tie in self.ties],
                "strength": [tie.strength for tie in self.ties],
                "growth": [tie.growth for tie in self.ties],
                "meetings": [tie.meetings for tie in self.ties],
            },
            formats={"strength": ".2f", "growth": "+.2f"},
            notes=notes,
        )

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def tie_strength(
    attendance: Any, half_life_days: float, *, as_of: datetime | None = None, largest: int = 200
) -> Ties:
    """Return the ties between members who attended the same activities.

    `attendance` is (member, activity, at) or columns of these names. A meeting counts ½^(days since ÷
    half-life) at `as_of` (by default the last attendance); strength is their sum, growth is strength less what
    it was one half-life earlier. A meeting is dated by the later arrival of the two. Activities of more than
    `largest` people tie nobody: they are set aside and listed.

    >>> from datetime import UTC
    >>> jan = lambda day: datetime(2027, 1, day, tzinfo=UTC)
    >>> met = [("ann", "hike", jan(1)), ("bo", "hike", jan(1)), ("ann", "race", jan(11)), ("bo", "race", jan(11))]
    >>> tie = tie_strength(met, 10)["bo", "ann"]
    >>> tie.strength, tie.growth
    (1.5, 0.5)
    """
    half_life = checked_number(half_life_days, "half_life_days", 0, 1e6)
    if not half_life:
        raise InvalidValue("half_life_days must be above 0")
    most = whole(largest, "largest", at_least=2, at_most=5_000)
    members, activity, at = _attendance(attendance)
    now = int(at.max()) if as_of is None else micros(as_of, "as_of")
    came: dict[Any, dict[Any, int]] = {}
    for who, where, when in zip(members, activity, at.tolist(), strict=True):
        if when <= now:
            there = came.setdefault(where, {})
            there[who] = min(when, there.get(who, when))
    set_aside = tuple(sorted(where for where, there in came.items() if len(there) > most))
    met: dict[tuple[Any, Any], list[int]] = {}
    for there in came.values():
        if len(there) <= most:
            for one, other in itertools.combinations(sorted(there), 2):
                met.setdefault((one, other), []).append(max(there[one], there[other]))
    earlier = now - round(half_life * MICROS_PER_DAY)
    ties = []
    for (one, other), times in met.items():
        strength = _strength(times, now, half_life)
        growth = strength - _strength([when for when in times if when <= earlier], earlier, half_life)
        ties.append(Tie(one, other, strength, growth, len(times)))
    ties.sort(key=lambda tie: (-tie.strength, tie.one, tie.other))
    return Ties(tuple(ties), set_aside, from_micros(now))


def _attendance(attendance: Any) -> tuple[list[Any], list[Any], NDArray[np.int64]]:
    names = ("member", "activity", "at")
    if is_table(attendance):
        taken = taken_columns(attendance, names=names)
    else:
        rows = tuples(attendance, names, "attendance")
        taken = taken_columns({name: [row[k] for row in rows] for k, name in enumerate(names)})
    if not len(taken["at"]):
        raise InvalidValue("nobody attended anything: there are no ties")
    for name in ("member", "activity"):
        # Ids that have an order among them.
        codes(taken[name], name)
        for value in taken[name].tolist():
            hashable(value, name)
    return taken["member"].tolist(), taken["activity"].tolist(), instants(taken["at"])


def _strength(times: list[int], now: int, half_life: float) -> float:
    return math.fsum(0.5 ** ((now - when) / MICROS_PER_DAY / half_life) for when in sorted(times))


class Reach(int):
    """How many distinct people, beside how many names the lists hold."""

    followers: int


def circle_reach(members: Any, contacts: Mapping[Any, Iterable[Any]]) -> Any:
    """Return how many distinct people the members of a circle reach; for {circle: members}, of every circle.

    `contacts` maps a member to the people they reach. Who is reached by two members counts once, and nobody
    reaches themselves: `.followers` keeps the sum of the lists for comparison.

    >>> reach = circle_reach(["ann", "bo"], {"ann": ["x", "y"], "bo": ["y", "z", "bo"]})
    >>> reach, reach.followers
    (3, 4)
    """
    if isinstance(members, Mapping):
        return {circle: circle_reach(listed, contacts) for circle, listed in members.items()}
    reached: set[Any] = set()
    followers = 0
    known = mapped(contacts, "contacts")
    for member in dict.fromkeys(hashable(member, "a member") for member in listed(members, "members")):
        theirs = listed(known.get(member, ()), "the contacts of a member")
        mine = {hashable(contact, "a contact") for contact in theirs} - {member}
        followers += len(mine)
        reached |= mine
    made = Reach(len(reached))
    made.followers = followers
    return made
