"""What if: tiers of arrays of values, their distribution and migration, thresholds for shares, two ladders compared."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from userops.core.amounts import exact
from userops.core.columns import column as taken_column
from userops.core.ids import identifier
from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.tiers.rows import Ints, whole_column
from userops.tiers.rules import Rules

_NO_TIER = "no tier"


def assigned(rules: Rules, values: Any) -> NDArray[np.int64]:
    """Return the place of the tier that each value is enough for, the threshold included; −1 below the lowest."""
    several = [t.name for t in rules.tiers if t.at_least is None and not t.invite_only]
    if several:
        raise InvalidValue(f"tier {several[0]!r} needs several metrics: one value cannot assign it")
    value = whole_column(values, "values")
    places = np.array([p for p, t in enumerate(rules.tiers) if t.at_least is not None], dtype=np.int64)
    least = np.array([t.at_least for t in rules.tiers if t.at_least is not None], dtype=np.int64)
    found: NDArray[np.int64] = np.concatenate([[-1], places])[np.searchsorted(least, value, side="right")]
    return found


@frozen
class Distribution(Mapping[str, int]):
    """How many members each tier has, highest first; `no tier` last, where there are such members."""

    counts: Mapping[str, int] = field(hash=False)

    def __getitem__(self, name: str) -> int:
        return self.counts[name]

    def __iter__(self) -> Any:
        return iter(self.counts)

    def __len__(self) -> int:
        return len(self.counts)

    def share(self, name: str) -> Fraction:
        """Return a tier's share of all members."""
        total = sum(self.counts.values())
        if not total:
            raise InvalidValue("no members: a share is not defined")
        return Fraction(self.counts[name], total)

    def table(self) -> Table:
        """Return the counts and shares as a table."""
        total = sum(self.counts.values())
        shares = [count / total if total else None for count in self.counts.values()]
        columns: dict[str, Any] = {
            "tier": list(self.counts),
            "members": list(self.counts.values()),
            "share": shares,
        }
        return Table(columns, formats={"share": ".1%"})

    def __str__(self) -> str:
        return str(self.table())


def distribution_of(rules: Rules, values: Any) -> Distribution:
    """Return how many values each tier has."""
    counts = np.bincount(assigned(rules, values) + 1, minlength=len(rules.tiers) + 1).tolist()
    found = {name: counts[place + 1] for place, name in reversed(list(enumerate(rules.names)))}
    if counts[0]:
        found[_NO_TIER] = counts[0]
    return Distribution(found)


@frozen(eq=False)
class Migration:
    """How many members went from one tier (row) to another (column).

    `matrix[i, j]` counts from `names[i]` to `names[j]`; the names are the tiers from the lowest, after `no tier`.
    """

    names: tuple[str, ...]
    matrix: NDArray[np.int64]

    def count(self, was: str | None, to: str | None) -> int:
        """Return how many went from one tier to another; None is no tier."""
        return int(self.matrix[self._place(was), self._place(to)])

    def _place(self, name: str | None) -> int:
        shown = _NO_TIER if name is None else name
        if shown not in self.names:
            raise InvalidValue(f"no tier is named {shown!r}; known: {', '.join(self.names)}")
        return self.names.index(shown)

    @property
    def risen(self) -> int:
        """How many went up."""
        return int(np.triu(self.matrix, 1).sum())

    @property
    def fallen(self) -> int:
        """How many went down."""
        return int(np.tril(self.matrix, -1).sum())

    def table(self) -> Table:
        """Return the matrix as a table, a row per tier left."""
        columns: dict[str, Any] = {"from": list(self.names)}
        columns |= {f"to {name}": self.matrix[:, place].tolist() for place, name in enumerate(self.names)}
        return Table(columns, title=f"{self.risen:,} rose, {self.fallen:,} fell")

    def __str__(self) -> str:
        return str(self.table())


def migration_of(rules: Rules, before: Any, after: Any) -> Migration:
    """Return the matrix of moves between two columns of values, or of tier names, of the same members."""
    was, to = _places(rules, before, "before"), _places(rules, after, "after")
    if len(was) != len(to):
        raise InvalidValue(f"before has {len(was)} members, after {len(to)}: they must be the same ones")
    size = len(rules.tiers) + 1
    pairs = np.bincount((was + 1) * size + to + 1, minlength=size * size)
    return Migration((_NO_TIER, *rules.names), pairs.reshape(size, size))


def _places(rules: Rules, column: Any, name: str) -> NDArray[np.int64]:
    values = taken_column(column, name)
    if np.ma.getmaskarray(values).any():
        raise InvalidValue(f"{name} has missing values")
    is_names = values.dtype.kind == "U" or (values.dtype == object and not _all_whole(values))
    if not is_names:
        return assigned(rules, column)
    places: dict[Any, int] = {None: -1, **{tier: place for place, tier in enumerate(rules.names)}}
    unknown = [one for one in values.tolist() if one not in places]
    if unknown:
        rules.index(str(unknown[0]), name)
    return np.array([places[one] for one in values.tolist()], dtype=np.int64)


def _all_whole(values: NDArray[Any]) -> bool:
    return all(one is not None and not isinstance(one, str) for one in values.tolist())


def thresholds_for(values: Any, *, shares: Mapping[str, Any]) -> dict[str, int]:
    """Return the threshold of each tier that gives it, and those above, the wanted share of members.

    A share is of members at or above the tier. Members of equal value stay together: the threshold is the
    value whose share is nearest to the wanted one, and of two equally near the higher. Where many share a value,
    two tiers can get one threshold; a ladder will refuse them.

    >>> thresholds_for([100, 200, 200, 300], shares={"gold": Fraction(1, 4), "silver": Fraction(3, 4)})
    {'silver': 200, 'gold': 300}
    """
    column = whole_column(values, "values")
    if not len(column):
        raise InvalidValue("no members: a share is not defined")
    if not isinstance(shares, Mapping) or not shares:
        raise InvalidValue("shares must be a mapping from tiers to shares of members")
    wanted = {identifier(name, "a tier"): _share(share, name) for name, share in shares.items()}
    distinct, counts = np.unique(column, return_counts=True)
    above = np.cumsum(counts[::-1])[::-1]
    found = {name: _nearest(distinct, above, len(column), share) for name, share in wanted.items()}
    return dict(sorted(found.items(), key=lambda item: (item[1], -wanted[item[0]])))


def _share(share: Any, name: str) -> Fraction:
    if isinstance(share, float) and share == share and abs(share) <= 1:
        # A share is a statistic, not an amount: 0.02 means two in a hundred.
        share = Decimal(repr(share))
    found = exact(share, f"share of {name}")
    if not 0 < found <= 1:
        raise InvalidValue(f"the share of {name} must be more than 0 and at most 1")
    return found


def _nearest(distinct: Ints, above: Ints, members: int, share: Fraction) -> int:
    """Return the value whose count of members at or above is nearest to the share, of two the higher."""
    wanted = share * members
    # Counts fall as values rise: the last value with at least the wanted count, and the one after it.
    place = int(np.searchsorted(-above, -float(wanted) - 0.5)) - 1
    near = [k for k in range(place - 1, place + 4) if 0 <= k < len(above)]
    best = min(near, key=lambda k: (abs(int(above[k]) - wanted), -k))
    return int(distinct[best])


@frozen(eq=False)
class Comparison:
    """Two ladders on the same members: who wins, who loses, and what the benefits cost a year."""

    migration: Migration
    winners: NDArray[np.int64]
    losers: NDArray[np.int64]
    cost_before: Decimal
    cost_after: Decimal

    @property
    def cost_difference(self) -> Decimal:
        """What the second ladder's benefits cost more a year."""
        return self.cost_after - self.cost_before

    def __str__(self) -> str:
        cost = f"{self.cost_before:,f} before, {self.cost_after:,f} after, {self.cost_difference:+,f}"
        moved = f"{len(self.winners):,} win, {len(self.losers):,} lose"
        return f"{self.migration}\n{moved}\nbenefits a year: {cost}"


def compare(ladder_a: Rules, ladder_b: Rules, values: Any) -> Comparison:
    """Return who rises and falls when `ladder_b` takes the place of `ladder_a`, and the cost of benefits.

    `winners` and `losers` are places in `values`. Costs are of a year, at the expected uses of each benefit, or
    else at its whole quota. The ladders share tiers by name; one may have more of them.

    >>> from userops.tiers import Ladder, Tier
    >>> old = Ladder((Tier("member", at_least=0), Tier("gold", at_least=300)))
    >>> new = Ladder((Tier("member", at_least=0), Tier("gold", at_least=200)))
    >>> compare(old, new, [100, 200, 300]).winners.tolist()
    [1]
    """
    for ladder in (ladder_a, ladder_b):
        if not hasattr(ladder, "tiers") or not hasattr(ladder, "names"):
            raise InvalidValue(f"compare takes two ladders, not a {type(ladder).__name__}")
    names = _common_order(ladder_a.names, ladder_b.names)
    was_own, to_own = assigned(ladder_a, values), assigned(ladder_b, values)
    was, to = (
        np.array([-1, *(names.index(name) for name in ladder.names)], dtype=np.int64)[own + 1]
        for ladder, own in ((ladder_a, was_own), (ladder_b, to_own))
    )
    size = len(names) + 1
    matrix = np.bincount((was + 1) * size + to + 1, minlength=size * size).reshape(size, size)
    return Comparison(
        Migration((_NO_TIER, *names), matrix),
        np.flatnonzero(to > was),
        np.flatnonzero(to < was),
        _cost(ladder_a, was_own),
        _cost(ladder_b, to_own),
    )


def _common_order(names: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    """Return the order of all tiers: that of the longer ladder, which must hold the shorter's in its order."""
    longer, shorter = (names, others) if len(names) >= len(others) else (others, names)
    if tuple(name for name in longer if name in shorter) != shorter:
        raise InvalidValue(
            f"the ladders order their tiers differently: {', '.join(names)} and {', '.join(others)}"
        )
    return longer


def _cost(rules: Rules, places: NDArray[np.int64]) -> Decimal:
    counts = np.bincount(places + 1, minlength=len(rules.tiers) + 1).tolist()
    return sum(
        (
            benefit.yearly_cost() * count
            for tier, count in zip(rules.tiers, counts[1:], strict=True)
            for benefit in tier.benefits
        ),
        Decimal(0),
    )
