"""Timing in pairs: contestants take turns in one process, and only their ratios are published."""

from __future__ import annotations

import gc
import importlib.metadata
import platform
import resource
import statistics
import time
from collections.abc import Callable, Mapping


def user_seconds() -> float:
    """Return the processor time spent outside the system: page faults of large temporaries do not count."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def interleaved(
    contestants: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 5,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Return the median seconds of each contestant, one untimed warm-up and then `rounds` turns each."""
    for run in contestants.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            gc.collect()
            start = clock()
            run()
            seconds[name].append(clock() - start)
    return {name: statistics.median(found) for name, found in seconds.items()}


def report(job: str, seconds: Mapping[str, float], *, ours: str = "userops") -> str:
    """Return one line per contestant: its median, and how many of ours fit into it."""
    lines = [job]
    for name, found in seconds.items():
        lines.append(f"  {name:<32} {found * 1e3:>12.2f} ms   {found / seconds[ours]:>8.2f} x ours")
    return "\n".join(lines)


def versions(*packages: str) -> str:
    """Return the machine and the peers' versions, for the head of a published table."""
    found = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    return f"Python {platform.python_version()}, {platform.machine()}, {found}"
