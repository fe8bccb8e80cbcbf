"""The month pass: a block of members through the months, where no rule asks for a day (see `inputs.which_pass`).

How many events a member has in a month decides what the rules give (`month_grants`); points are kept by month
(`month_lots`); who redeems is asked of few, for a bound on everybody's chance sieves out most at a glance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from userops.simulation.balances import WHOLE, Propensity
from userops.simulation.columns import Array, Ints, Mask
from userops.simulation.inputs import Lot, Spec, World, buckets_of, spending_order
from userops.simulation.members import (
    PARTS,
    Chunk,
    Crowd,
    by_part,
    crowd_of,
    make_rows,
    no_rows,
    redeem_chances,
)
from userops.simulation.passes.flows import Flows, Posted, active
from userops.simulation.passes.month_grants import Cells, cells_of
from userops.simulation.passes.month_lots import Points, points_of
from userops.simulation.passes.usage import Asked, Usage

#: Members that go through all months together: their state stays in the processor's cache.
SLICE = 2**16
#: Partial sums of the parts of a sample are taken over rows so far apart.
_APART = 64 * PARTS
_SMALL = 2**31


@define(eq=False)
class MonthChunk(Chunk):
    """Members of one group of one replication, and what the rules give them by month."""

    cells: dict[tuple[int, int], Cells]
    chances: NDArray[np.uint32]
    wave: NDArray[np.float32]


def month_pass(
    spec: Spec, worlds: Sequence[World], chunks: Sequence[tuple[int, int, int]]
) -> tuple[Flows, Usage, None]:
    """Run some chunks (which world, group, number) of replications through the months.

    The figures are the day pass's, to the byte; there is no block of events that could be run again by the clock.
    """
    parts: list[MonthChunk] = []
    for local, place, chunk in chunks:
        world, where = worlds[local], (place, chunk)
        rows = make_rows(world, place, chunk)
        cells = cells_of(spec, world, rows, where)
        parts.append(MonthChunk(rows, local, place, cells, *redeem_chances(spec, world, rows, where)))
    parts = parts or [_empty(spec)]
    crowd = crowd_of(spec, worlds, parts)
    given, asked, matured = _posted(spec, crowd, parts)
    lots = spending_order(spec.book) or ()
    redeemed, expired = np.zeros_like(given.parts), np.zeros_like(given.parts)
    if lots:
        for total, found in zip((redeemed, expired), Months(spec, crowd, parts).run(lots), strict=True):
            for fund, one in found.items():
                total[..., fund] = one
    real = by_part(crowd.weights)[:, :, None, None]
    nothing = Posted(spec, crowd)
    return (
        Flows(
            given.by_fund,
            nothing.by_fund,
            redeemed * real,
            expired * real,
            matured * real[:, :, 0],
            given.by_rule,
            nothing.by_rule,
            active(spec, crowd),
            np.zeros((crowd.replications, spec.span.months, 0)),
            np.zeros((crowd.replications, spec.span.months)),
            [],
        ),
        asked.usage(),
        None,
    )


def _empty(spec: Spec) -> MonthChunk:
    """Return a chunk without members."""
    none = np.zeros((spec.span.months, 0), dtype=np.int32)
    cells = {
        (k, place): Cells(none, 1, none)
        for k, rules in spec.book.rules.items()
        for place in range(len(rules))
    }
    return MonthChunk(no_rows(), 0, 0, cells, none.astype(np.uint32), np.zeros(0, dtype=np.float32))


def _posted(spec: Spec, crowd: Crowd, parts: Sequence[MonthChunk]) -> tuple[Posted, Asked, Array]:
    """Sum what rules give, what shared limits count of it, and what of it expires within the horizon."""
    given, asked = Posted(spec, crowd), Asked(spec, crowd)
    matured = np.zeros_like(given.parts[:, :, 0])
    months, groups = spec.span.months, len(spec.groups)
    row = np.repeat(np.arange(crowd.replications * groups), months)
    day = np.tile(spec.clock.first_days[:-1], crowd.replications * groups)
    for kind, rules in spec.book.rules.items():
        for place, rule in enumerate(rules):
            cells = [part.cells[kind, place] for part in parts]
            points = _by_part(spec, crowd, parts, [one.units for one in cells])
            points *= cells[0].each
            given.add(rule, points)
            buckets = buckets_of(spec.clock, rule.expiry)[spec.clock.first_days[:-1]]
            matured[..., rule.fund] += points[:, :, buckets < 2 * months].sum(axis=2)
            if not asked.is_watched(rule):
                continue
            times = np.zeros_like(points)
            if rule.shared_counts:
                counted: list[Any] = [one.times for one in cells]
                times = _by_part(spec, crowd, parts, counted)
            by_group = [one.reshape(-1, PARTS, months).sum(axis=1).ravel() for one in (times, points)]
            asked.add(rule, row, day, times=by_group[0], points=by_group[1])
    return given, asked, matured


def _by_part(spec: Spec, crowd: Crowd, parts: Sequence[Chunk], columns: Sequence[Array]) -> Array:
    """Sum columns by (month, row), one for each chunk, by (replication, part, month)."""
    found = np.zeros((crowd.replications, PARTS * len(spec.groups), spec.span.months), dtype=np.int64)
    for part, cells in zip(parts, columns, strict=True):
        at = part.group * PARTS
        found[part.local, at : at + PARTS] += _of_parts(cells)
    return found


def _of_parts(cells: Array) -> Array:
    """Sum (month, row) over the rows of each part of the sample: every eighth row; by (part, month)."""
    months, rows = cells.shape
    whole = rows - rows % _APART
    rest = np.zeros((months, -(-(rows - whole) // PARTS) * PARTS), dtype=np.int64)
    rest[:, : rows - whole] = cells[:, whole:]
    found: Array = rest.reshape(months, -1, PARTS).sum(axis=1)
    if whole:
        # Few rows are added up in 32 bits, where what they hold is far below 2^31.
        is_small = int(cells.max(initial=0)) * (rows // _APART) < _SMALL
        body = cells[:, :whole].reshape(months, -1, _APART)
        found += (
            body.sum(axis=1, dtype=np.int32 if is_small else np.int64).reshape(months, -1, PARTS).sum(axis=1)
        )
    return found.T


def _beside(columns: Sequence[Array]) -> Array:
    """Lay columns by (month, row) side by side; one alone is not copied."""
    return columns[0] if len(columns) == 1 else np.concatenate(columns, axis=1)


@define(eq=False)
class Months:
    """The points of a block's members, month by month."""

    spec: Spec
    crowd: Crowd
    parts: Sequence[MonthChunk]
    propensity: Propensity = field(init=False)
    #: Redemptions: month, rows, fund and points.
    redeemed: list[tuple[int, Ints, int, Ints]] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        """Look up how members decide."""
        self.propensity = Propensity(self.spec, *self.crowd.redeem_parameters)

    def run(self, lots: tuple[Lot, ...]) -> tuple[dict[int, Array], dict[int, Array]]:
        """Return points redeemed and expired by fund, each by (replication, part, month), as sampled."""
        spec, crowd = self.spec, self.crowd
        cells = {
            key: Cells(_beside([part.cells[key].units for part in self.parts]), one.each, None)
            for key, one in self.parts[0].cells.items()
        }
        most = sum(int(one.units.max(initial=0)) * one.each for one in cells.values()) * spec.span.months
        dtype: Any = np.int32 if most < _SMALL else np.int64
        shape = (spec.span.months, len(crowd.rows))
        expired = {fund: np.zeros(shape, dtype=dtype) for fund in {lot.fund for lot in lots}}
        chances = _beside([part.chances for part in self.parts])
        wave = _beside([part.wave[None] for part in self.parts])[0]
        for low in range(0, len(crowd.rows), SLICE):
            rows = slice(low, low + SLICE)
            points = points_of(lots, cells, rows, expired)
            self._through(Members.of(self, rows), points, chances[:, rows], wave[rows])
        ends = np.cumsum([len(part.rows) for part in self.parts])[:-1]
        gone = {
            fund: _by_part(spec, crowd, self.parts, np.split(one, ends, axis=1))
            for fund, one in expired.items()
        }
        return {fund: self._redeemed(fund, one.shape) for fund, one in gone.items()}, gone

    def _redeemed(self, fund: int, shape: tuple[int, ...]) -> Array:
        """Sum what was redeemed of a fund."""
        who = (self.crowd.replication * shape[1] + self.crowd.part).astype(np.int64) * shape[2]
        none, mine = np.zeros(0, dtype=np.int64), [one for one in self.redeemed if one[2] == fund]
        code = np.concatenate([none, *(who[row] + month for month, row, _, _ in mine)])
        points = np.concatenate([none, *(points for _, _, _, points in mine)])
        return np.bincount(code, points, minlength=int(np.prod(shape))).reshape(shape)

    def _through(self, members: Members, held: Points, chances: Array, wave: Array) -> None:
        """Take members through all months."""
        propensity = self.propensity
        is_pulled = bool(propensity.near.any())
        for month in range(self.spec.span.months):
            held.open(month)
            runs = propensity.runs(month, wave)
            row = members.candidates(month, held.balance, chances[month], runs)
            if len(row):
                asks, points = propensity.decide(
                    members.code(month, row),
                    held.balance[row].astype(np.int64),
                    chances[month, row],
                    expiring=held.coming(month, row) if is_pulled else None,
                    runs=None if runs is None else runs[row],
                )
                for who, fund, part in held.take(month, row[asks], points[asks]):
                    self.redeemed.append((month, who + members.low, fund, part))
            held.close(month)


@define(eq=False)
class Members:
    """Some members of a block while they go through the months: who may redeem, and in whose ways."""

    low: int
    arrival: Ints
    lapse: Ints
    becomes: Ints
    #: The place of (replication, group) before and after a member changes group.
    codes: tuple[Ints, Ints]
    #: Nobody redeems whose chance is slope · balance / (balance + half) or more.
    slope: Array
    half: Array
    #: Whether anybody changes group in these months, and whether anybody is away in some.
    is_changing: bool
    is_away: bool
    #: Room for three columns.
    work: tuple[Array, Array, Array]

    @classmethod
    def of(cls, months: Months, part: slice) -> Members:
        """Look at some rows of a block."""
        rows, groups, span = months.crowd.rows, len(months.spec.groups), months.spec.span.months
        base = months.crowd.replication[part].astype(np.int64) * groups
        codes = (base + rows.group[part], base + rows.target[part])
        steep, half = months.propensity.steepest()
        slope = np.maximum(steep[codes[0]], steep[codes[1]]) * WHOLE
        # A float of 32 bits errs by some 10^-7: what is sieved out here is out for certain.
        slope = (slope * (1 + 1e-5)).astype(np.float32)
        least = np.minimum(half[codes[0]], half[codes[1]]).astype(np.float32)
        if len(slope) and (slope == slope[0]).all() and (least == least[0]).all():
            slope, least = slope[:1], least[:1]
        arrival, lapse, becomes = rows.arrival[part], rows.lapse[part], rows.becomes[part]
        is_changing = bool((becomes < span).any())
        is_away = bool((lapse < span).any())
        room = np.empty((3, len(arrival)), dtype=np.float32)
        work = (room[0], room[1], room[2])
        return cls(part.start, arrival, lapse, becomes, codes, slope, least, is_changing, is_away, work)

    def candidates(self, month: int, balance: Array, chance: Array, runs: Mask | None) -> Ints:
        """Return the rows that may redeem: those who do are among them, and few others."""
        points, reach, luck = self.work
        np.copyto(points, balance, casting="same_kind")
        np.copyto(luck, chance, casting="same_kind")
        with np.errstate(over="ignore"):
            np.add(points, self.half, out=reach)
            reach *= luck
            points *= self.slope
        found: Mask = reach < points
        if runs is not None:
            found |= runs & (balance > 0)
        if self.is_away:
            found &= self.lapse > month
        # Who has not arrived has earned nothing, and a balance of nothing reaches nothing.
        return np.flatnonzero(found)

    def code(self, month: int, row: Ints) -> Ints:
        """Return whose ways members have in a month."""
        before = self.codes[0][row]
        return (
            np.where(self.becomes[row] <= month, self.codes[1][row], before) if self.is_changing else before
        )
