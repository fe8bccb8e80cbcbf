"""J5: labels and reasons by ten rules over twelve columns, and for one member.

Run `python tests/benchmarks/bench_segments.py [rows]`; the contestants take turns in one process. A code stands for
label and reason in every contestant; decoding to texts is timed apart. Peers that are not installed are left out.
"""

from __future__ import annotations

import sys
import tracemalloc
from itertools import pairwise

import numpy as np
from pairing import interleaved, report, versions

from userops import F
from userops.segments import Segment, SegmentSet

#: Ten rules, each a list of clauses, each a list of (column, operator, constant).
RULES = [
    [[("c0", ">", 900.0), ("c4", "<", 40)], [("c8", "==", 7)]],
    [[("c1", "<", 50.0), ("c5", ">=", 900), ("c9", "!=", 3)]],
    [[("c2", ">=", 800.0)], [("c6", "<", 30), ("c10", ">", 5)]],
    [[("c3", "<=", 120.0), ("c7", ">", 500)]],
    [[("c4", ">=", 950), ("c0", "<", 400.0)]],
    [[("c5", "<", 80), ("c11", "==", 2)], [("c1", ">", 980.0)]],
    [[("c6", ">", 700), ("c2", "<", 300.0), ("c8", ">", 2)]],
    [[("c7", "<", 100)], [("c9", "==", 9), ("c3", ">", 500.0)]],
    [[("c10", "<", 2), ("c4", ">", 300)]],
    [[("c11", ">=", 8), ("c0", ">=", 100.0)]],
]
CLAUSES = [clause for rule in RULES for clause in rule]


def columns_of(rows):
    rng = np.random.Generator(np.random.SFC64(7))
    floats = {f"c{k}": rng.random(rows) * 1_000 for k in range(4)}
    ints = {f"c{k}": rng.integers(0, 1_000, rows, dtype=np.int32) for k in range(4, 8)}
    return floats | ints | {f"c{k}": rng.integers(0, 10, rows, dtype=np.int8) for k in range(8, 12)}


def comparison(left, op, right):
    return {
        "==": left == right,
        "!=": left != right,
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
    }[op]


def ours():
    def condition(clause):
        atoms = [comparison(F(name), op, value) for name, op, value in clause]
        whole = atoms[0]
        for atom in atoms[1:]:
            whole = whole & atom
        return whole

    segments = []
    for place, rule in enumerate(RULES):
        whole = condition(rule[0])
        for clause in rule[1:]:
            whole = whole | condition(clause)
        segments.append(Segment(f"s{place}", whole))
    # The full product of twelve columns is larger than can be checked: a domain of a few values is given.
    return SegmentSet(segments, domain={f"c{k}": [0, 1_000] if k < 8 else [0, 9] for k in range(12)})


def polars_run(columns):
    import polars as pl

    frame = pl.DataFrame(columns)
    chain = pl
    for place, clause in enumerate(CLAUSES):
        whole = comparison(pl.col(clause[0][0]), *clause[0][1:])
        for name, op, value in clause[1:]:
            whole = whole & comparison(pl.col(name), op, value)
        chain = chain.when(whole).then(pl.lit(len(CLAUSES) - place, pl.UInt8))
    chosen = chain.otherwise(pl.lit(0, pl.UInt8)).alias("code")
    return lambda: frame.lazy().select(chosen).collect()["code"].to_numpy()


def numba_run(columns):
    import numba

    names = [f"c{k}" for k in range(12)]
    lines = ["def kernel(" + ", ".join(names) + ", out):", "    for i in range(len(out)):"]
    for place, clause in enumerate(CLAUSES):
        test = " and ".join(f"{name}[i] {op} {value}" for name, op, value in clause)
        lines.append(f"        {'if' if not place else 'elif'} {test}: out[i] = {len(CLAUSES) - place}")
    lines.append("        else: out[i] = 0")
    space = {}
    exec("\n".join(lines), space)
    kernel = numba.njit(space["kernel"])

    def run():
        out = np.empty(len(columns["c0"]), np.uint8)
        kernel(*(columns[name] for name in names), out)
        return out

    return run


def read_once(columns):
    def run():
        return [column.max() for column in columns.values()]

    return run


def many(rows):
    columns, rules = columns_of(rows), ours()
    contestants = {"userops": lambda: rules.assign(columns).codes}
    for name, make in (("polars", polars_run), ("numba", numba_run)):
        try:
            contestants[name] = make(columns)
        except ImportError:
            print(f"({name} is not installed)")
    for name, run in contestants.items():
        assert np.array_equal(run(), contestants["userops"]()), name
    contestants["reading once"] = read_once(columns)
    contestants["userops, labels as texts"] = lambda: rules.assign(columns).labels
    seconds = interleaved(contestants, rounds=5)
    print(
        report(
            f"J5 labels and reasons, {rows:,} rows x 12 columns x 10 rules ({len(CLAUSES)} clauses)", seconds
        )
    )
    print(f"  ours against reading once: {seconds['userops'] / seconds['reading once']:.2f} x")
    tracemalloc.start()
    found = rules.assign(columns)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"  memory beyond the outputs: {(peak - found.codes.nbytes) / 2**20:.2f} MB")
    return seconds["userops"]


def logic_of(clause):
    return {"and": [{op: [{"var": name}, value]} for name, op, value in clause]}


def one(rows=1_000):
    columns, rules = columns_of(rows), ours()
    records = [{name: column[k].item() for name, column in columns.items()} for k in range(rows)]
    contestants = {"userops": lambda: [rules.explain(record).label for record in records]}
    try:
        from json_logic import jsonLogic

        chain = []
        for place, rule in enumerate(RULES):
            chain += [{"or": [logic_of(clause) for clause in rule]}, f"s{place}"]
        logic = {"if": [*chain, None]}
        contestants["json-logic"] = lambda: [jsonLogic(logic, record) for record in records]
        assert contestants["json-logic"]() == contestants["userops"]()
    except ImportError:
        print("(json-logic is not installed)")
    contestants["userops, the plain form"] = lambda: [
        rules._explain_plainly(record, None) for record in records
    ]
    seconds = interleaved(contestants, rounds=7)
    print(report("J5 one member", seconds))
    print(f"  {seconds['userops'] / rows * 1e6:.2f} us for each member")


def main():
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    print(versions("numpy", "polars", "numba"))
    sizes = [size for size in (10**5, 10**6, 10**7) if size <= rows] or [rows]
    seconds = [many(size) for size in sizes]
    for (small, large), (before, after) in zip(pairwise(sizes), pairwise(seconds), strict=True):
        slope = np.log(after / before) / np.log(large / small)
        print(f"growth slope from {small:,} to {large:,} rows: {slope:.3f}")
    one()


if __name__ == "__main__":
    main()
