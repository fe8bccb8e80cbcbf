"""NPS over many answers and groups, against polars, numba and numpy; ratios of one interleaved run.

    python tests/benchmarks/bench_nps.py [ROWS] [ROUNDS]

Rows of the goals (J4): counting int8 answers by group, unsorted and sorted, and the bootstrap.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from pairing import interleaved, report, versions

from userops.nps import NPS, nps

GROUPS = 1_000
RESAMPLES = 10_000


def columns(rows: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    scores = np.empty(rows, np.int8)
    groups = np.empty(rows, np.int16)
    for start in range(0, rows, 1 << 20):
        stop = min(start + (1 << 20), rows)
        scores[start:stop] = rng.integers(0, 11, stop - start, dtype=np.int8)
        groups[start:stop] = rng.integers(0, GROUPS, stop - start, dtype=np.int16)
    return scores, groups


def numba_counter():
    import numba

    @numba.njit
    def count(scores, groups, out):
        for k in range(len(scores)):
            score = scores[k]
            out[groups[k], 0 if score <= 6 else (1 if score <= 8 else 2)] += 1
        return out

    return lambda scores, groups: count(scores, groups, np.zeros((GROUPS, 3), np.int64))


def polars_counter(scores, groups):
    import polars as pl

    frame = pl.DataFrame({"score": scores, "group": groups})

    def count():
        return frame.group_by("group").agg(
            (pl.col("score") <= 6).sum().alias("d"),
            (pl.col("score") >= 9).sum().alias("p"),
            pl.len().alias("n"),
        )

    return count


def read_once(scores, groups):
    """The floor: both columns are summed, in cache-sized blocks."""

    def read():
        total = 0
        for start in range(0, len(scores), 1 << 17):
            total += int(scores[start : start + (1 << 17)].sum())
            total += int(groups[start : start + (1 << 17)].sum())
        return total

    return read


def check(scores, groups) -> None:
    """The contestants must agree before they race."""
    ours = nps(scores, by=groups)
    theirs = numba_counter()(scores, groups)
    found = np.zeros((GROUPS, 3), np.int64)
    for label, result in ours.results.items():
        found[label] = (result.detractors, result.passives, result.promoters)
    assert (found == theirs).all()
    for row in polars_counter(scores, groups)().iter_rows(named=True):
        assert tuple(found[row["group"]][[0, 2]]) == (row["d"], row["p"])


def counting(rows: int, rounds: int) -> None:
    scores, groups = columns(rows)
    check(scores, groups)
    count = numba_counter()
    order = np.sort(groups, kind="stable")
    for name, labels in (("unsorted", groups), ("sorted", order)):
        seconds = interleaved(
            {
                "userops": lambda labels=labels: nps(scores, by=labels),
                "polars group_by": polars_counter(scores, labels),
                "numba loop": lambda labels=labels: count(scores, labels),
                "floor: reading once": read_once(scores, labels),
            },
            rounds=rounds,
        )
        print(report(f"J4 NPS, {rows:,} int8 answers, {GROUPS:,} groups, {name}", seconds))


def bootstrap(rounds: int) -> None:
    rng = np.random.default_rng(1)
    sizes = rng.integers(200, 2_000, GROUPS)
    counts = np.array([rng.multinomial(n, (0.2, 0.3, 0.5)) for n in sizes])
    results = [NPS(detractors=d, passives=q, promoters=p) for d, q, p in counts.tolist()]
    from userops.nps import Groups

    groups = Groups(dict(enumerate(results)))

    def multinomial():
        draws = np.random.default_rng(2)
        out = np.empty((GROUPS, RESAMPLES))
        for k, (d, q, p) in enumerate(counts.tolist()):
            n = d + q + p
            found = draws.multinomial(n, (d / n, q / n, p / n), size=RESAMPLES)
            out[k] = (found[:, 2] - found[:, 0]) / n
        return out

    def binomials():
        draws = np.random.default_rng(3)
        for d, q, p in counts.tolist():
            n = d + q + p
            promoters = draws.binomial(n, p / n, size=RESAMPLES)
            draws.binomial(n - promoters, d / (d + q))

    seconds = interleaved(
        {
            "userops": lambda: groups.resample(seed=1, resamples=RESAMPLES),
            "numpy multinomial": multinomial,
            "floor: its two binomials": binomials,
        },
        rounds=rounds,
    )
    print(report(f"J4 bootstrap, {RESAMPLES:,} resamples x {GROUPS:,} groups", seconds))


def main(rows: int = 10_000_000, rounds: int = 3) -> None:
    print(versions("numpy", "polars", "numba"))
    counting(rows, rounds)
    bootstrap(rounds)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
