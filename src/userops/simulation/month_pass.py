"""The month pass: a block of members through the months, where no rule asks for a day (see `monthly`).

One fund pays, and points expire in the order in which they were earned. So a member's points lie on one line:
`earned` up to a month, and `gone` from its beginning, redeemed or expired. Redeeming moves `gone` up by what is
redeemed; an expiry moves it up to what was earned by the last month whose points are due. Nothing else is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from userops.simulation.arrays import Array, Ints, Mask
from userops.simulation.blocks import PARTS, Chunk, Crowd, by_part, crowd_of, no_rows, redeem_chances
from userops.simulation.cells import Cells, cells_of
from userops.simulation.flows import Flows, Posted, active
from userops.simulation.monthly import grant_buckets
from userops.simulation.population import World, make_rows
from userops.simulation.spec import Spec
from userops.simulation.usage import Asked, Usage
from userops.simulation.wanting import AHEAD, WHOLE, Wanting

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
    given, asked = _posted(spec, crowd, parts)
    months = Months(spec, crowd, parts)
    redeemed, expired = np.zeros_like(given.parts), np.zeros_like(given.parts)
    real, rules = (
        by_part(crowd.weights)[:, :, None, None],
        [r for found in spec.book.rules.values() for r in found],
    )
    matured = np.zeros_like(given.parts[:, :, 0])
    if rules:
        fund = rules[0].fund
        redeemed[..., fund], expired[..., fund] = months.run()
        is_due = months.bucket < 2 * spec.span.months
        matured[..., fund] = given.parts[:, :, is_due, fund].sum(axis=2)
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


def _posted(spec: Spec, crowd: Crowd, parts: Sequence[MonthChunk]) -> tuple[Posted, Asked]:
    """Sum what rules give, and what shared limits count of it."""
    given, asked = Posted(spec, crowd), Asked(spec, crowd)
    months, groups = spec.span.months, len(spec.groups)
    row = np.repeat(np.arange(crowd.replications * groups), months)
    day = np.tile(spec.clock.first_days[:-1], crowd.replications * groups)
    for kind, rules in spec.book.rules.items():
        for place, rule in enumerate(rules):
            cells = [part.cells[kind, place] for part in parts]
            points = _by_part(spec, crowd, parts, [one.units for one in cells])
            points *= cells[0].each
            given.add(rule, points)
            if not asked.is_watched(rule):
                continue
            times = np.zeros_like(points)
            if rule.shared_counts:
                counted: list[Any] = [one.times for one in cells]
                times = _by_part(spec, crowd, parts, counted)
            by_group = [one.reshape(-1, PARTS, months).sum(axis=1).ravel() for one in (times, points)]
            asked.add(rule, row, day, times=by_group[0], points=by_group[1])
    return given, asked


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
    # Few rows are added up in 32 bits: what one holds is below 2^31 by far, or it came in 64.
    is_small = int(cells.max(initial=0)) * (rows // _APART + 1) < _SMALL
    kind = np.int32 if is_small else np.int64
    body = cells[:, :whole].reshape(months, -1, _APART).sum(axis=1, dtype=kind)
    rest = np.zeros((months, _APART), dtype=np.int64)
    rest[:, : rows - whole] = cells[:, whole:]
    found: Array = (body + rest).reshape(months, -1, PARTS).sum(axis=1).T
    return found


def _beside(columns: Sequence[Array]) -> Array:
    """Lay columns by (month, row) side by side; one alone is not copied."""
    return columns[0] if len(columns) == 1 else np.concatenate(columns, axis=1)


@define(eq=False)
class Months:
    """The points of a block's members, month by month."""

    spec: Spec
    crowd: Crowd
    parts: Sequence[MonthChunk]
    wanting: Wanting = field(init=False)
    #: Of each month, when points granted in it expire.
    bucket: Ints = field(init=False)
    #: Redemptions: month, rows and points.
    redeemed: list[tuple[int, Ints, Ints]] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        """Look up when points expire, and how members decide."""
        spec = self.spec
        self.wanting = Wanting(spec, *self.crowd.redeem_parameters)
        self.bucket = grant_buckets(
            spec.clock, [rule for found in spec.book.rules.values() for rule in found]
        )

    def run(self) -> tuple[Array, Array]:
        """Return points redeemed and expired by (replication, part, month), as sampled."""
        spec, crowd = self.spec, self.crowd
        columns = [
            (_beside([part.cells[key].units for part in self.parts]), one.each)
            for key, one in self.parts[0].cells.items()
        ]
        most = sum(int(units.max(initial=0)) * each for units, each in columns) * spec.span.months
        chances = _beside([part.chances for part in self.parts])
        wave = _beside([part.wave[None] for part in self.parts])[0]
        expired = np.zeros((spec.span.months, len(crowd.rows)), dtype=np.int32 if most < _SMALL else np.int64)
        for low in range(0, len(crowd.rows), SLICE):
            rows = slice(low, low + SLICE)
            earned = _earned([(units[:, rows], each) for units, each in columns], expired.dtype)
            self._through(Members.of(self, rows), earned, chances[:, rows], wave[rows], expired[:, rows])
        ends = np.cumsum([len(part.rows) for part in self.parts])[:-1]
        gone = _by_part(spec, crowd, self.parts, np.split(expired, ends, axis=1))
        who = (crowd.replication * gone.shape[1] + crowd.part).astype(np.int64) * spec.span.months
        none = np.zeros(0, dtype=np.int64)
        code = np.concatenate([none, *(who[row] + month for month, row, _ in self.redeemed)])
        points = np.concatenate([none, *(points for _, _, points in self.redeemed)])
        return np.bincount(code, points, minlength=gone.size).reshape(gone.shape), gone

    def _through(self, members: Members, earned: Array, chances: Array, wave: Array, expired: Array) -> None:
        """Take members through all months."""
        months, wanting = self.spec.span.months, self.wanting
        # Of each bucket of expiry, the months whose points are gone by it.
        due = np.searchsorted(self.bucket, np.arange(2 * months + 1), side="right").tolist()
        is_pulled = bool(wanting.near.any())
        gone, balance, reached = np.zeros_like(earned[0]), np.empty_like(earned[0]), 0
        for month in range(months):
            if due[2 * month] > reached:
                reached = due[2 * month]
                _expire(gone, earned[reached - 1], expired[month])
            np.subtract(earned[month], gone, out=balance)
            runs = wanting.runs(month, wave)
            row = members.candidates(month, balance, chances[month], runs)
            if len(row):
                coming = None
                if is_pulled:
                    ahead = due[min(2 * months, 2 * (month + AHEAD + 1)) - 1]
                    coming = np.maximum(0, earned[ahead - 1][row] - gone[row]) if ahead else 0 * row
                asks, points = wanting.decide(
                    members.code(month, row),
                    balance[row].astype(np.int64),
                    chances[month, row],
                    expiring=coming,
                    runs=None if runs is None else runs[row],
                )
                row, points = row[asks], points[asks]
                gone[row] += points.astype(gone.dtype)
                self.redeemed.append((month, row + members.low, points))
            if due[2 * month + 1] > reached:
                reached = due[2 * month + 1]
                _expire(gone, earned[reached - 1], expired[month])


def _earned(columns: Sequence[tuple[Array, int]], dtype: Any) -> Array:
    """Return by (month, row) all points earned up to the month; along months numpy's own cumsum is slow."""
    found = np.empty(columns[0][0].shape, dtype=dtype)
    for month in range(len(found)):
        np.multiply(columns[0][0][month], columns[0][1], dtype=dtype, out=found[month])
        for units, each in columns[1:]:
            found[month] += np.multiply(units[month], each, dtype=dtype)
        if month:
            found[month] += found[month - 1]
    return found


def _expire(gone: Array, due: Array, expired: Array) -> None:
    """Let points go that are due and not gone yet."""
    left = due - gone
    np.maximum(left, 0, out=left)
    expired += left
    gone += left


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
        steep, half = months.wanting.steepest()
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
