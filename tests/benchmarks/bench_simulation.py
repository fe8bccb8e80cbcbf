"""J2: agents over months against numba, Mesa and the cost of drawing; the owner club against the plain engine.

Run: PYTHONPATH=src python tests/benchmarks/bench_simulation.py [members] (default 100,000; the goal is stated at 10⁶).
Only ratios of one run mean anything. Mesa is timed on a hundredth of the members and scaled up: it grows linearly.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import Path

import numpy as np

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
    """Draw what the agents need and nothing else: counts, times and redemptions, from Philox."""
    rng, total = np.random.Generator(np.random.Philox(1)), 0.0
    for low in range(0, members, 2**13):
        size = min(2**13, members - low)
        counts = rng.poisson(RATE * MONTHS, size)
        total += float(rng.standard_exponential(int(counts.sum()) + size).sum())
        total += float(rng.random((MONTHS, size), dtype=np.float32).sum())
    return total


def numba_agents(members: int) -> object:
    """Return the same model as one compiled loop over agents."""
    import numba

    @numba.njit
    def run(members: int, seed: int) -> np.ndarray:
        np.random.seed(seed)  # noqa: NPY002 — numba's own generator
        flows = np.zeros((3, MONTHS))
        for _ in range(members):
            lots = np.zeros(MONTHS + EXPIRY + 1)
            for month in range(MONTHS):
                earned = np.random.poisson(RATE) * POINTS  # noqa: NPY002
                lots[month + EXPIRY] += earned
                flows[0, month] += earned
                balance = lots[month : month + EXPIRY + 1].sum()
                if balance > 0 and np.random.random() < 1 - (1 - REDEEM) ** (2 * balance / (balance + 1000)):  # noqa: NPY002
                    need = np.floor(balance * SHARE)
                    flows[1, month] += need
                    for age in range(month, month + EXPIRY + 1):
                        part = min(need, lots[age])
                        lots[age] -= part
                        need -= part
                flows[2, month] += lots[month]
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
    start = time.perf_counter()
    world = World(count)
    for _ in range(MONTHS):
        world.step()
    return (time.perf_counter() - start) * members / count


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


def main() -> None:
    """Print the rows of J2."""
    members = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    plan = Plan.load(PLAN.format(members=members))
    contestants = {
        "userops": lambda: plan.simulate(seed=1, replications=1, sample=None),
        "drawing the variates": lambda: draws(members),
    }
    if importlib.util.find_spec("numba"):
        compiled = numba_agents(members)
        contestants["numba"] = lambda: compiled(members, 1)
    seconds = pairing.interleaved(contestants, rounds=3)
    if importlib.util.find_spec("mesa"):
        seconds["mesa (scaled up)"] = mesa_agents(members)
    sys.stdout.write(pairing.report(f"J2 agents {members:,} x {MONTHS} months", seconds) + "\n")
    sys.stdout.write(owner_club(HERE.parents[2]) + "\n")


if __name__ == "__main__":
    main()
