"""Results: replications run in blocks, and again by the clock where shared limits bind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import define

from userops.simulation.columns import Array, keep_memory
from userops.simulation.inputs import Spec, World
from userops.simulation.members import Block, chunk_sizes, gather, sampled
from userops.simulation.passes import Flows, Usage, passed, passed_by_the_clock, period_codes
from userops.simulation.rules import Bound

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
    clawed_back: Array
    returned: Array
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


def run_replications(
    spec: Spec, seed: int, replications: Sequence[int], sample: int | None, *, is_free: bool = False
) -> list[Result]:
    """Run replications as if no shared limit bound, and those again by the clock where one did."""
    keep_memory()
    worlds = [spec.world(seed, replication, sample) for replication in replications]
    chunks = [(k, place, chunk) for k, world in enumerate(worlds) for place, chunk, _ in chunk_sizes(world)]
    sizes = [rows for world in worlds for _, _, rows in chunk_sizes(world)]
    blocks = _in_blocks(chunks, sizes, block_of(spec))
    usage: Usage | None = None
    net: Usage | None = None
    total: Flows | None = None
    for part in blocks:
        found = passed(spec, worlds, part)
        usage = found.usage if usage is None else usage.plus(found.usage)
        net = found.net if net is None else net.plus(found.net)
        total = found.flows if total is None else total.plus(found.flows)
    assert total is not None and usage is not None and net is not None  # noqa: S101, PT018 — there is always a block
    results = _results(spec, worlds, replications, total, net, is_bound=False)
    bound = usage.bound(spec)
    if _needs_all(spec) and len(blocks) > 1:
        bound[:] = True
    again = [k for k in range(len(worlds)) if bound[k] and not is_free]
    limits = usage.limits(spec)
    if again and found.block is not None and len(worlds) == len(blocks) == 1:
        # The one block holds the whole replication: no need to draw it again.
        return _bound_results(spec, worlds, replications, found.block, limits)
    for k, result in zip(again, _by_the_clock(spec, worlds, replications, again, limits), strict=True):
        results[k] = result
    return results


def block_of(spec: Spec) -> int:
    """Return how many members go through a plan's horizon together."""
    return BLOCK if spec.why_by_days else MONTH_BLOCK


def _needs_all(spec: Spec) -> bool:
    """Say whether what a member does asks for all others: stock, the cash floor, caps of a whole scheme."""
    scheme = spec.program.scheme
    return spec.limits_redemption or (
        scheme is not None and any(cap.scope == "program" for cap in scheme.caps)
    )


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
    found = passed_by_the_clock(spec, block, bound)
    return _results(spec, worlds, replications, found.flows, found.net, is_bound=True)


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
            clawed_back=found.clawed_back[k],
            returned=found.returned[k],
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


def merged(results: Sequence[Result], name: str) -> Array:
    """Return one field of all results, stacked by replication."""
    return np.stack([getattr(result, name) for result in results])
