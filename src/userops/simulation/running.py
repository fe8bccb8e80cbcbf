"""Running replications: in blocks, in any executor, and again by the clock where shared limits bind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from attrs import define, frozen

from userops.simulation.arrays import Array, keep_memory
from userops.simulation.blocks import Block, gather
from userops.simulation.engine import Bound, Granted, grant
from userops.simulation.flows import Flows, flows
from userops.simulation.month_pass import month_pass
from userops.simulation.population import World, chunk_sizes, sampled
from userops.simulation.sharing import Shared
from userops.simulation.spec import Spec
from userops.simulation.usage import Usage, period_codes, used_by

#: Members that go through the days together: their state stays in the processor's cache, and no column of
#: theirs is so large that the system takes its memory back in between. By months there is less of each.
BLOCK, MONTH_BLOCK = 2**12, 2**16


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
    blocks, total = _in_blocks(chunks, sizes, block_of(spec)), None
    usage: Usage | None = None
    block: Block | None = None
    for part in blocks:
        found, used, block = (day_pass if spec.why_by_days else month_pass)(spec, worlds, part)
        usage = used if usage is None else usage.plus(used)
        total = found if total is None else _plus(total, found)
    assert total is not None and usage is not None  # noqa: S101, PT018 — there is always a block
    results = _results(spec, worlds, replications, total, usage, is_bound=False)
    bound = usage.bound(spec)
    if _limits_redemption(spec) and len(blocks) > 1:
        bound[:] = True
    again = [k for k in range(len(worlds)) if bound[k] and not is_free]
    limits = usage.limits(spec)
    if again and block is not None and len(worlds) == len(blocks) == 1:
        # The one block holds the whole replication: no need to draw it again.
        return _bound_results(spec, worlds, replications, block, limits)
    for k, result in zip(again, _by_the_clock(spec, worlds, replications, again, limits), strict=True):
        results[k] = result
    return results


def block_of(spec: Spec) -> int:
    """Return how many members go through a plan's horizon together."""
    return BLOCK if spec.why_by_days else MONTH_BLOCK


def day_pass(
    spec: Spec, worlds: Sequence[World], chunks: Sequence[tuple[int, int, int]]
) -> tuple[Flows, Usage, Block]:
    """Run some chunks (which world, group, number) of replications through the days, as if no shared limit bound."""
    block = gather(spec, worlds, chunks)
    granted = grant(spec, block, None)
    return flows(spec, block, granted), used_by(spec, block, granted), block


def _limits_redemption(spec: Spec) -> bool:
    return spec.stock is not None or (spec.cash is not None and spec.cash.floor is not None)


def _in_blocks(
    chunks: Sequence[tuple[int, int, int]], sizes: Sequence[int], most: int
) -> list[list[tuple[int, int, int]]]:
    blocks: list[list[tuple[int, int, int]]] = [[]]
    filled = 0
    for chunk, size in zip(chunks, sizes, strict=True):
        if filled and filled + size > most:
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


def grant_by_the_clock(spec: Spec, block: Block, bound: Bound) -> Granted:
    """Run the rules with the limits that bind watched; a limit that comes to bind by that is watched too."""
    while True:
        granted = grant(spec, block, shared_of(spec, block, bound), bound)
        more = used_by(spec, block, granted).limits(spec)
        if more.funds <= bound.funds and more.caps <= bound.caps:
            return granted
        bound = Bound(bound.funds | more.funds, bound.caps | more.caps)


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
            _, last = period_codes(spec, fund.budget.per)
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
    each = int(max(1, min(64, block_of(spec) // max(1.0, rows))))
    return [
        Task(load, content, seed, tuple(range(low, min(low + each, replications))), sample, is_free)
        for low in range(0, replications, each)
    ]


def merged(results: Sequence[Result], name: str) -> Array:
    """Return one field of all results, stacked by replication."""
    return np.stack([getattr(result, name) for result in results])
