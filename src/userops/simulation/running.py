"""Running replications: in blocks, in any executor, and again by the clock where shared limits bind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from attrs import define, frozen

from userops.simulation.arrays import Array, keep_memory
from userops.simulation.blocks import Block, gather
from userops.simulation.engine import Bound, Granted, grant
from userops.simulation.flows import Flows, flows
from userops.simulation.population import World, chunk_sizes, sampled
from userops.simulation.sharing import Shared
from userops.simulation.spec import Spec

#: Members that go through the months together: their state stays in the processor's cache, and no column of
#: theirs is so large that the system takes its memory back in between.
BLOCK = 4096


@define(eq=False)
class Result:
    """What one replication came to."""

    replication: int
    issued: Array
    refused: Array
    redeemed: Array
    expired: Array
    matured: Array
    rule_issued: Array
    rule_refused: Array
    active: Array
    tiers: Array
    unserved: Array
    #: Of each fund with a budget by day or week: the most asked in a period, by the month in which it ends.
    peaks: dict[int, Array]
    weights: Array
    drawn: dict[str, float]
    #: Whether a limit shared between members bound.
    is_bound: bool


@frozen
class Task:
    """Some replications of a plan, to be run anywhere."""

    load: Callable[[Any], Spec]
    content: Any
    seed: int
    replications: tuple[int, ...]
    sample: int | None
    #: Shared limits do not bind: what is asked is all that is wanted.
    is_free: bool = False

    def __call__(self) -> list[Result]:
        """Run them."""
        return run_replications(
            self.load(self.content), self.seed, self.replications, self.sample, is_free=self.is_free
        )


def run_task(task: Task) -> list[Result]:
    """Run a task; at the top of a module, so that worker processes find it."""
    return task()


def run_replications(
    spec: Spec, seed: int, replications: Sequence[int], sample: int | None, *, is_free: bool = False
) -> list[Result]:
    """Run replications as if no shared limit bound, and those again by the clock where one did."""
    keep_memory()
    worlds = [spec.world(seed, replication, sample) for replication in replications]
    chunks = [(k, place, chunk) for k, world in enumerate(worlds) for place, chunk, _ in chunk_sizes(world)]
    sizes = [rows for world in worlds for _, _, rows in chunk_sizes(world)]
    blocks, total = _in_blocks(chunks, sizes), None
    usage: Usage | None = None
    for part in blocks:
        block = gather(spec, worlds, part)
        granted = grant(spec, block, None)
        used = used_by(spec, block, granted)
        usage = used if usage is None else usage.plus(used)
        found = flows(spec, block, granted)
        total = found if total is None else _plus(total, found)
    assert total is not None and usage is not None  # noqa: S101, PT018 — there is always a block
    results = _results(spec, worlds, replications, total, usage, is_bound=False)
    bound = usage.bound(spec)
    if _limits_redemption(spec) and len(blocks) > 1:
        bound[:] = True
    again = [k for k in range(len(worlds)) if bound[k] and not is_free]
    limits = usage.limits(spec)
    if again and len(worlds) == len(blocks) == 1:
        # The one block holds the whole replication: no need to draw it again.
        return _bound_results(spec, worlds, replications, block, limits)
    for k, result in zip(again, _by_the_clock(spec, worlds, replications, again, limits), strict=True):
        results[k] = result
    return results


def _limits_redemption(spec: Spec) -> bool:
    return spec.stock is not None or (spec.cash is not None and spec.cash.floor is not None)


def _in_blocks(
    chunks: Sequence[tuple[int, int, int]], sizes: Sequence[int]
) -> list[list[tuple[int, int, int]]]:
    blocks: list[list[tuple[int, int, int]]] = [[]]
    filled = 0
    for chunk, size in zip(chunks, sizes, strict=True):
        if filled and filled + size > BLOCK:
            blocks.append([])
            filled = 0
        blocks[-1].append(chunk)
        filled += size
    return blocks


def _by_the_clock(
    spec: Spec, worlds: Sequence[World], replications: Sequence[int], again: Sequence[int], bound: Bound
) -> list[Result]:
    """Run replications in order of time over all their members."""
    results: list[Result] = []
    todo = list(again)
    while todo:
        taken: list[int] = []
        rows = 0
        while todo and (not taken or rows < BLOCK):
            taken.append(todo.pop(0))
            rows += sum(size for _, _, size in chunk_sizes(worlds[taken[-1]]))
        mine = [worlds[k] for k in taken]
        chunks = [(k, place, chunk) for k, world in enumerate(mine) for place, chunk, _ in chunk_sizes(world)]
        block = gather(spec, mine, chunks)
        results += _bound_results(spec, mine, [replications[k] for k in taken], block, bound)
    return results


def _bound_results(
    spec: Spec, worlds: Sequence[World], replications: Sequence[int], block: Block, bound: Bound
) -> list[Result]:
    """Run whole replications in order of time."""
    granted = grant_by_the_clock(spec, block, bound)
    found = flows(spec, block, granted)
    usage = used_by(spec, block, granted)
    return _results(spec, worlds, replications, found, usage, is_bound=True)


def shared_of(spec: Spec, block: Block, bound: Bound) -> Shared:
    """Return the limits that a block's replications share, unused; budgets that do not bind are left out."""
    funds = list(spec.program.funds.values())
    budgets = np.array([np.inf if fund.budget is None else float(fund.budget.points) for fund in funds])
    return Shared(
        budgets=np.repeat(budgets[:, None], block.replications, axis=1),
        fund_periods=[
            None if fund.budget is None or k not in bound.funds else spec.clock.periods[fund.budget.per]
            for k, fund in enumerate(funds)
        ],
        weight=block.weight,
        replication=block.replication,
        caps=len(spec.book.shared),
        replications=block.replications,
    )


@define(eq=False)
class Usage:
    """What was asked of shared limits, by replication and period."""

    #: Of each fund with a budget: (replication, period) points.
    funds: dict[int, Array]
    #: Of each program-wide cap: (replication, period) times and points.
    caps: dict[int, tuple[Array, Array]]

    def plus(self, other: Usage) -> Usage:
        """Add what other members asked."""
        return Usage(
            {k: one + other.funds[k] for k, one in self.funds.items()},
            {k: (a + other.caps[k][0], b + other.caps[k][1]) for k, (a, b) in self.caps.items()},
        )

    def bound(self, spec: Spec) -> Array:
        """Say of each replication whether a shared limit binds."""
        exceeded = [over for _, _, over in self._exceeded(spec)]
        size = len(next(iter(self.funds.values()))) if self.funds else len(next(iter(self.caps.values()))[0])
        found = np.zeros(size, dtype=bool)
        for over in exceeded:
            found |= over
        return found

    def limits(self, spec: Spec) -> Bound:
        """Return the limits that bind in any replication."""
        over = [(kind, place) for kind, place, one in self._exceeded(spec) if one.any()]
        return Bound({k for kind, k in over if kind == "fund"}, {k for kind, k in over if kind == "cap"})

    def _exceeded(self, spec: Spec) -> Iterator[tuple[str, int, Array]]:
        """Yield each shared limit with whether more is asked than it bears, by replication."""
        budgets = [fund.budget for fund in spec.program.funds.values()]
        for k, one in self.funds.items():
            budget = budgets[k] if k >= 0 else None
            if budget is not None:
                yield "fund", k, np.asarray((one > budget.points).any(axis=1))
        for rules in spec.book.rules.values():
            for x in (x for rule in rules for x in rule.limits):
                if x.is_shared and x.slot >= 0:
                    times, points = self.caps[x.slot]
                    if x.limit.cap.times is not None:
                        yield "cap", x.slot, np.asarray((times > x.limit.cap.times).any(axis=1))
                    if x.limit.cap.points is not None:
                        yield "cap", x.slot, np.asarray((points > x.limit.cap.points).any(axis=1))


def grant_by_the_clock(spec: Spec, block: Block, bound: Bound) -> Granted:
    """Run the rules with the limits that bind watched; a limit that comes to bind by that is watched too."""
    while True:
        granted = grant(spec, block, shared_of(spec, block, bound), bound)
        more = used_by(spec, block, granted).limits(spec)
        if more.funds <= bound.funds and more.caps <= bound.caps:
            return granted
        bound = Bound(bound.funds | more.funds, bound.caps | more.caps)


def _period_codes(spec: Spec, per: str) -> tuple[Array, Array]:
    """Return of each day the place of its period, and of each period the month in which it ends."""
    places = np.unique(spec.clock.periods[per], return_inverse=True)[1]
    last = np.zeros(places.max() + 1, dtype=np.int64)
    np.maximum.at(last, places, spec.clock.month_of)
    return places, last


def used_by(spec: Spec, block: Block, granted: Granted) -> Usage:
    """Sum what was asked of shared limits."""
    funds = {
        k: _period_codes(spec, fund.budget.per)[0]
        for k, fund in enumerate(spec.program.funds.values())
        if fund.budget is not None
    }
    caps = {k: _period_codes(spec, per)[0] for k, (_, per) in enumerate(spec.book.shared)}
    asked = {k: np.zeros((block.replications, places.max() + 1)) for k, places in funds.items()}
    counted = {
        k: (np.zeros((block.replications, p.max() + 1)), np.zeros((block.replications, p.max() + 1)))
        for k, p in caps.items()
    }
    # A replication without members asks for nothing, and is counted all the same.
    if not asked and not counted:
        asked[-1] = np.zeros((block.replications, 1))
    for kind, one in granted.events.items():
        for place, rule in enumerate(spec.book.rules[kind]):
            if rule.fund not in asked and not rule.shared_counts:
                continue
            points = one.given[place] + one.refused[place]
            hit = np.flatnonzero(points != 0)
            row, worth = one.row[hit], points[hit] * block.weight[one.row[hit]]
            replication = block.replication[row].astype(np.int64)
            if rule.fund in asked:
                _add_up(asked[rule.fund], replication, funds[rule.fund][one.day[hit]], worth)
            for slot in rule.shared_counts:
                at = caps[slot][one.day[hit]]
                _add_up(counted[slot][0], replication, at, block.weight[row])
                _add_up(counted[slot][1], replication, at, worth)
    return Usage(asked, counted)


def _add_up(total: Array, replication: Array, period: Array, worth: Array) -> None:
    code = replication * total.shape[1] + period
    total += np.bincount(code, worth, minlength=total.size).reshape(total.shape)


def _plus(one: Flows, other: Flows) -> Flows:
    names = [name for name in Flows.__slots__ if name not in ("__weakref__", "log")]
    return Flows(**{name: getattr(one, name) + getattr(other, name) for name in names}, log=[])


def _results(
    spec: Spec,
    worlds: Sequence[World],
    replications: Sequence[int],
    found: Flows,
    usage: Usage,
    *,
    is_bound: bool,
) -> list[Result]:
    peaks: dict[int, Array] = {}
    for k, fund in enumerate(spec.program.funds.values()):
        if fund.budget is not None and fund.budget.per in ("day", "week"):
            _, last = _period_codes(spec, fund.budget.per)
            most = np.zeros((len(worlds), spec.span.months))
            for month in range(spec.span.months):
                inside = usage.funds[k][:, last == month]
                most[:, month] = inside.max(axis=1, initial=0.0)
            peaks[k] = most
    return [
        Result(
            replication=replications[k],
            issued=found.issued[k],
            refused=found.refused[k],
            redeemed=found.redeemed[k],
            expired=found.expired[k],
            matured=found.matured[k],
            rule_issued=found.rule_issued[k],
            rule_refused=found.rule_refused[k],
            active=found.active[k],
            tiers=found.tiers[k],
            unserved=found.unserved[k],
            peaks={fund: one[k] for fund, one in peaks.items()},
            weights=np.array([sampled(world, place)[1] for place in range(len(spec.groups))]),
            drawn=dict(world.drawn),
            is_bound=is_bound,
        )
        for k, world in enumerate(worlds)
    ]


def tasks_of(
    load: Callable[[Any], Spec],
    content: Any,
    spec: Spec,
    *,
    seed: int,
    replications: int,
    sample: int | None,
    is_free: bool = False,
) -> list[Task]:
    """Cut replications into tasks whose size does not depend on how many workers there are."""
    rows = 0.0
    for group in spec.groups:
        total = group.members + group.joins.mean() * spec.span.months
        rows += total if sample is None else min(total, sample)
    each = int(max(1, min(64, BLOCK // max(1.0, rows))))
    return [
        Task(load, content, seed, tuple(range(low, min(low + each, replications))), sample, is_free)
        for low in range(0, replications, each)
    ]


def merged(results: Sequence[Result], name: str) -> Array:
    """Return one field of all results, stacked by replication."""
    return np.stack([getattr(result, name) for result in results])
