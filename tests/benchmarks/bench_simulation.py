"""J2: agents over months against numba, Mesa and the cost of drawing; the owner club against the plain engine.

Run: PYTHONPATH=src python tests/benchmarks/bench_simulation.py [members] (default 100,000; the goal is stated at 10⁶).
Only ratios of one run mean anything: user and system time of this process, contestants taking turns. Mesa is timed on
a hundredth of the members and scaled up: it grows linearly. All contestants run one model, and their totals are compared.
"""

from __future__ import annotations

import gc
import importlib.util
import itertools
import math
import os
import resource
import sys
import time
import tracemalloc
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from userops.core.chance import words
from userops.points import Ledger
from userops.simulation import Plan

HERE = Path(__file__).resolve()
spec = importlib.util.spec_from_file_location("pairing", HERE.with_name("pairing.py"))
pairing = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pairing)
MONTHS, RATE, POINTS, REDEEM, SHARE, EXPIRY = 36, 1.0, 10, 0.2, 0.5, 24
PLAN = """
[program]
schema = 1
name = "agents"
[program.funds.club]
[[program.earn]]
name = "act"
on = "act"
points = 10
fund = "club"
expires = {{ months = 24, round_to = "month" }}
cap = [{{ times = 1, per = "reference" }}]
[horizon]
start = 2027-01-01
months = 36
[population]
members = {members}
[behaviour]
redeem_per_month = 0.2
redeem_share = 0.5
near_expiry = 0
[behaviour.events_per_month]
act = 1.0
"""


def draws(members: int) -> float:
    """Draw what the agents need and nothing else, from Philox: a count and a chance per member and month."""
    rng, total = np.random.Generator(np.random.Philox(1)), 0.0
    for low in range(0, members, 2**13):
        size = min(2**13, members - low)
        total += float(rng.poisson(RATE, (MONTHS, size)).sum())
        total += float(rng.random((MONTHS, size), dtype=np.float32).sum())
    return total


def bits(members: int) -> float:
    """Draw as few bits for it as the month pass does: 16 for a count, looked up in a table, and 32 for a chance."""
    rng, total = np.random.Generator(np.random.Philox(1)), 0.0
    table = np.zeros(2**16, dtype=np.uint8)
    for low in range(0, members, 2**13):
        size = min(2**13, members - low)
        total += float(table[words(rng, MONTHS, size // 2).view(np.uint16)].sum())
        total += float(words(rng, MONTHS, size)[0].sum())
    return total


def numba_agents(members: int) -> object:
    """Return the same model as one compiled loop over agents: whole points, a running balance, no empty lot twice."""
    import numba

    @numba.njit(fastmath=True)
    def run(members: int, seed: int) -> np.ndarray:
        np.random.seed(seed)  # noqa: NPY002 — numba's own generator
        flows = np.zeros((3, MONTHS), dtype=np.int64)
        lots = np.zeros(MONTHS + EXPIRY + 1, dtype=np.int32)
        stay = np.log(1 - REDEEM)
        for _ in range(members):
            lots[:] = 0
            balance, head = 0, 0
            for month in range(MONTHS):
                earned = np.random.poisson(RATE) * POINTS  # noqa: NPY002
                lots[month + EXPIRY] += earned
                flows[0, month] += earned
                balance += earned
                head = max(head, month)
                if balance > 0 and np.random.random() < 1 - np.exp(stay * (2 * balance / (balance + 1000.0))):  # noqa: NPY002
                    need = int(balance * SHARE)
                    flows[1, month] += need
                    balance -= need
                    while need > 0:
                        part = min(need, lots[head])
                        lots[head] -= part
                        need -= part
                        head += lots[head] == 0
                flows[2, month] += lots[month]
                balance -= lots[month]
                lots[month] = 0
        return flows

    run(10, 1)
    return run


def mesa_agents(members: int) -> float:
    """Run a hundredth of the agents as Mesa agents and return the seconds that all would take."""
    import mesa

    class Member(mesa.Agent):
        def __init__(self, model):
            super().__init__(model)
            self.lots = [0.0] * (MONTHS + EXPIRY + 1)

        def step(self):
            month, rng = self.model.month, self.model.generator
            self.lots[month + EXPIRY] += rng.poisson(RATE) * POINTS
            balance = sum(self.lots[month : month + EXPIRY + 1])
            if balance > 0 and rng.random() < 1 - (1 - REDEEM) ** (2 * balance / (balance + 1000)):
                need = balance * SHARE // 1
                for age in range(month, month + EXPIRY + 1):
                    part = min(need, self.lots[age])
                    self.lots[age] -= part
                    need -= part
            self.lots[month] = 0.0

    class World(mesa.Model):
        def __init__(self, count):
            super().__init__()
            self.month, self.generator = 0, np.random.default_rng(1)
            for _ in range(count):
                Member(self)

        def step(self):
            self.agents.do("step")
            self.month += 1

    count = max(100, members // 100)
    start = time.process_time()
    world = World(count)
    for _ in range(MONTHS):
        world.step()
    return (time.process_time() - start) * members / count


def owner_club(root: Path) -> str:
    """Time the owner club's rules: the columns beside the plain engine on the same events."""
    plan = Plan.load(root / "examples" / "owner_club.toml").with_(**{"horizon.months": 6})
    start = time.perf_counter()
    trace = plan.trace(members=60, seed=1)
    plan.program.run(trace.events, Ledger.in_memory())
    plain = (time.perf_counter() - start) / max(1, len(trace.events))
    plan.simulate(seed=2, replications=1)
    start = time.perf_counter()
    forecast = plan.simulate(seed=1, replications=8)
    columns = (time.perf_counter() - start) / 8
    worlds = plan.trace(members=4_000, seed=1)
    each = columns / max(1, len(worlds.events))
    return (
        f"owner club, {forecast.replications} replications of 2 x 2,000 members x 6 months\n"
        f"  plain engine {plain * 1e6:.0f} us per event, columns {each * 1e6:.2f} us: {plain / each:.0f} x"
    )


def cohorts(replications: int = 1_000, members: int = 120) -> str:
    """Time many replications of few members: what a cohort model would be in plans, which know members only."""
    plan = Plan.load(PLAN.format(members=members))
    contestants = {"userops": lambda: plan.simulate(seed=1, replications=replications, sample=None)}
    if importlib.util.find_spec("numba"):
        compiled = numba_agents(members)
        contestants["numba"] = lambda: [compiled(members, k) for k in range(replications)]
    seconds = interleaved(contestants, rounds=3)
    return pairing.report(f"J2 {replications:,} replications of {members} members x {MONTHS} months", seconds)


def growth(most: int) -> str:
    """Return how time and memory grow with members."""
    sizes = [size for size in (10_000, 100_000, 1_000_000) if size <= most]
    plans = {size: Plan.load(PLAN.format(members=size)) for size in sizes}
    runs = {
        str(k): (lambda plan=plan: plan.simulate(seed=1, replications=1, sample=None))
        for k, plan in plans.items()
    }
    seconds = interleaved(runs, rounds=3)
    lines = []
    for size, run in zip(sizes, runs.values(), strict=True):
        tracemalloc.start()
        run()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        lines.append(
            f"  {size:>9,} members {seconds[str(size)] * 1e3:>9.1f} ms, peak {peak / size:>7.1f} bytes a member"
        )
    for small, large in itertools.pairwise(sizes):
        slope = math.log(seconds[str(large)] / seconds[str(small)]) / math.log(large / small)
        lines.append(f"  slope from {small:,} to {large:,}: {slope:.2f}")
    return "\n".join(lines)


def workers(members: int) -> str:
    """Return how much faster two worker processes are than one (true where two cores are free), and what they cost."""
    plan, seconds, spent = Plan.load(PLAN.format(members=members)), {}, {}
    for count in (1, 2):
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        with ProcessPoolExecutor(count) as pool:
            plan.simulate(seed=1, replications=2, sample=None, executor=pool)
            start = time.perf_counter()
            plan.simulate(seed=1, replications=40, sample=None, executor=pool)
            seconds[count] = time.perf_counter() - start
        now = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent[count] = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    return (
        f"  two workers: {seconds[1] / seconds[2]:.2f} x as fast as one, for {spent[2] / spent[1]:.2f} x its processor "
        f"time (40 replications of {members:,} members, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f})"
    )


def interleaved(contestants: dict, rounds: int) -> dict:
    """Return the least processor seconds of each contestant, which take turns."""
    for run in contestants.values():
        run()
    found = dict.fromkeys(contestants, math.inf)
    for _ in range(rounds):
        for name, run in contestants.items():
            gc.collect()
            start = time.process_time()
            run()
            found[name] = min(found[name], time.process_time() - start)
    return found


def check(plan: Plan, compiled: object, members: int) -> None:
    """Refuse to compare contestants whose totals differ."""
    forecast, flows = plan.simulate(seed=1, replications=1, sample=None), compiled(members, 1).sum(axis=1)
    for name, total in zip(("issued", "redeemed", "expired"), flows, strict=True):
        ours = float(forecast.mean(name).sum())
        if abs(ours - total) > 0.02 * total:
            raise SystemExit(f"{name}: ours is {ours:,.0f}, numba's {total:,.0f}: not one model")


def main() -> None:
    """Print the rows of J2."""
    members = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    plan = Plan.load(PLAN.format(members=members))
    contestants = {
        "userops": lambda: plan.simulate(seed=1, replications=1, sample=None),
        "drawing by numpy": lambda: draws(members),
        "drawing the bits we use": lambda: bits(members),
    }
    if importlib.util.find_spec("numba"):
        compiled = numba_agents(members)
        check(plan, compiled, members)
        contestants["numba"] = lambda: compiled(members, 1)
    seconds = interleaved(contestants, rounds=5)
    if importlib.util.find_spec("mesa"):
        seconds["mesa (scaled up)"] = mesa_agents(members)
    sys.stdout.write(pairing.report(f"J2 agents {members:,} x {MONTHS} months", seconds) + "\n")
    sys.stdout.write(growth(members) + "\n")
    sys.stdout.write(workers(min(members, 100_000)) + "\n")
    sys.stdout.write(cohorts() + "\n")
    sys.stdout.write(owner_club(HERE.parents[2]) + "\n")


if __name__ == "__main__":
    main()
