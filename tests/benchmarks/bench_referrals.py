"""J3: a referral forest's depth, roots, sizes, credit and virality, against numba, networkx, lists and a sort.

Figures are of user CPU time.

Run: python tests/benchmarks/bench_referrals.py [members, default 10,000,000] [members for networkx, 1,000,000]
"""

from __future__ import annotations

import sys
import time
import tracemalloc

import numba
import numpy as np
from pairing import interleaved, report, user_seconds, versions

from userops.referrals import ReferralGraph
from userops.referrals.forest import Forest
from userops.referrals.ripple import distances_of


def heavy_tailed(n: int, seed: int = 1) -> np.ndarray:
    """Return parents of a forest whose early members have most invitees, in random order of members."""
    rng = np.random.default_rng(seed)
    above = (np.arange(n) * rng.random(n) ** 2).astype(np.int64)
    above[rng.random(n) < 0.02] = -1
    above[0] = -1
    order = rng.permutation(n)
    found = np.full(n, -1, dtype=np.int32)
    found[order] = np.where(above >= 0, order[above], -1)
    return found


def ours(parent: np.ndarray, amounts: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return depths, roots, sizes, credits at ratio 1/2, and the mean distance over pairs."""
    forest = Forest(parent)
    sizes = forest.sizes_in_order()
    roots = forest.roots_in_order()
    credit = forest.up_sweep(forest.gather(amounts), ratio=0.5)
    whole = sizes[: int(forest.bounds[1])].astype(np.int64)
    virality = 2 * distances_of(sizes, roots) / int((whole * (whole - 1)).sum())
    return (
        forest.depths(), forest.scatter(forest.order.take(roots, mode="clip")), forest.scatter(sizes), forest.scatter(credit),
        np.array(virality),
    )  # fmt: skip


@numba.njit
def compiled(parent, amounts):
    """Count invitees, order by peeling from the leaves up, sweep both ways."""
    n = len(parent)
    waiting = np.zeros(n, np.int32)
    for k in range(n):
        if parent[k] >= 0:
            waiting[parent[k]] += 1
    order = np.empty(n, np.int32)
    high = 0
    for k in range(n):
        if waiting[k] == 0:
            order[high] = k
            high += 1
    sizes = np.ones(n, np.int32)
    credit = amounts.copy()
    low = 0
    while low < high:
        k = order[low]
        low += 1
        above = parent[k]
        if above >= 0:
            sizes[above] += sizes[k]
            credit[above] += 0.5 * credit[k]
            waiting[above] -= 1
            if waiting[above] == 0:
                order[high] = above
                high += 1
    depth, root = np.zeros(n, np.int32), np.arange(n).astype(np.int32)
    distances, pairs = 0.0, 0.0
    for place in range(n - 1, -1, -1):
        k = order[place]
        above = parent[k]
        if above >= 0:
            depth[k] = depth[above] + 1
            root[k] = root[above]
        whole = float(sizes[root[k]])
        distances += sizes[k] * (whole - sizes[k])
        if above < 0:
            pairs += whole * (whole - 1)
    return depth, root, sizes, credit, 2 * distances / pairs


def with_lists(parent: list[int], amounts: list[float]) -> tuple[object, ...]:
    """Return the same with plain lists and loops."""
    n = len(parent)
    kids: list[list[int]] = [[] for _ in range(n)]
    order = []
    for k, above in enumerate(parent):
        (kids[above] if above >= 0 else order).append(k)
    for k in order:
        order.extend(kids[k])
    depth, root, sizes, credit = [0] * n, list(range(n)), [1] * n, list(amounts)
    for k in order:
        above = parent[k]
        if above >= 0:
            depth[k], root[k] = depth[above] + 1, root[above]
    for k in reversed(order):
        above = parent[k]
        if above >= 0:
            sizes[above] += sizes[k]
            credit[above] += 0.5 * credit[k]
    distances = sum(sizes[k] * (sizes[root[k]] - sizes[k]) for k in range(n))
    return depth, root, sizes, credit, distances


def with_networkx(graph: object, amounts: list[float]) -> tuple[object, ...]:
    """Return the same from a DiGraph, with networkx's topological order."""
    import networkx as nx

    order = list(nx.topological_sort(graph))
    depth, root, sizes = {}, {}, dict.fromkeys(order, 1)
    credit = dict(enumerate(amounts))
    for k in order:
        above = next(iter(graph.predecessors(k)), None)
        depth[k] = 0 if above is None else depth[above] + 1
        root[k] = k if above is None else root[above]
    for k in reversed(order):
        for above in graph.predecessors(k):
            sizes[above] += sizes[k]
            credit[above] += 0.5 * credit[k]
    return depth, root, sizes, credit, sum(sizes[k] * (sizes[root[k]] - sizes[k]) for k in order)


def check(parent: np.ndarray, amounts: np.ndarray) -> None:
    """Stop unless ours and the compiled peer agree."""
    for one, other in zip(ours(parent, amounts), compiled(parent, amounts), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)


def bytes_per_member(parent: np.ndarray) -> tuple[float, float]:
    """Return the peak and the kept bytes per member beyond the given column."""
    tracemalloc.start()
    graph = ReferralGraph.from_parents(parent)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / len(graph), kept / len(graph)


def converted(n: int) -> None:
    """Print how long a DiGraph takes to build, to read, and to be written again."""
    import networkx as nx

    parent = heavy_tailed(n).tolist()
    start = time.perf_counter()
    peer = nx.DiGraph()
    peer.add_nodes_from(range(n))
    peer.add_edges_from((above, k) for k, above in enumerate(parent) if above >= 0)
    built = time.perf_counter()
    graph = ReferralGraph.from_networkx(peer)
    read = time.perf_counter()
    graph.to_networkx()
    print(
        f"DiGraph of {peer.number_of_edges():,} edges: networkx builds it in {built - start:.2f} s, "
        f"from_networkx reads it in {read - built:.2f} s ({(read - built) / n * 1e9:.0f} ns per member), "
        f"to_networkx {time.perf_counter() - read:.2f} s"
    )


def main() -> None:
    """Print the J3 table."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    few = int(sys.argv[2]) if len(sys.argv) > 2 else min(n, 1_000_000)
    print(versions("numpy", "numba", "networkx"))
    rng = np.random.default_rng(0)
    shapes = {
        f"heavy-tailed forest of {n:,}": heavy_tailed(n),
        f"path of {n // 10:,}": np.arange(-1, n // 10 - 1, dtype=np.int32),
        f"hub of {n // 100:,}": np.where(np.arange(n // 100) > 0, 0, -1).astype(np.int32),
    }
    for words, parent in shapes.items():
        amounts = rng.random(len(parent))
        check(parent, amounts)
        packed = rng.integers(0, 2**46, len(parent))
        runs = {
            "userops": lambda p=parent, a=amounts: ours(p, a),
            "numba": lambda p=parent, a=amounts: compiled(p, a),
            "packed sort": lambda k=packed: np.sort(k),
        }
        if len(parent) <= 1_000_000:
            plain, given = parent.tolist(), amounts.tolist()
            runs["plain lists"] = lambda p=plain, a=given: with_lists(p, a)
        print(report(words, interleaved(runs, rounds=3, clock=user_seconds)))
        peak, kept = bytes_per_member(parent)
        print(f"  memory: {peak:.0f} bytes per member at the peak, {kept:.0f} kept")
    import networkx as nx

    parent = heavy_tailed(few)
    amounts = rng.random(few)
    graph = nx.DiGraph()
    graph.add_nodes_from(range(few))
    graph.add_edges_from((above, k) for k, above in enumerate(parent.tolist()) if above >= 0)
    runs = {
        "userops": lambda: ours(parent, amounts),
        "numba": lambda: compiled(parent, amounts),
        "networkx": lambda: with_networkx(graph, amounts.tolist()),
    }
    print(
        report(
            f"heavy-tailed forest of {few:,}, beside networkx",
            interleaved(runs, rounds=3, clock=user_seconds),
        )
    )
    converted(few)
    times = {}
    for size in (10**5, 10**6, n):
        p, a = heavy_tailed(size), rng.random(size)
        times[size] = min(_seconds(p, a) for _ in range(3)) / size
    print(
        "growth, ns per member: " + ", ".join(f"{size:,}: {found * 1e9:.0f}" for size, found in times.items())
    )


def _seconds(parent: np.ndarray, amounts: np.ndarray) -> float:
    start = user_seconds()
    ours(parent, amounts)
    return user_seconds() - start


if __name__ == "__main__":
    main()
