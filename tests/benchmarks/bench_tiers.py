"""Standings of many members at once against the plain engine, member by member, and how time grows with size.

Run: PYTHONPATH=src python tests/benchmarks/bench_tiers.py [events, 10,000,000 when not given]
"""

from __future__ import annotations

import itertools
import resource
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from pairing import versions

from userops.tiers import Downgrade, Grace, Keep, Ladder, Rolling, Tier

START, END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
LADDER = Ladder(
    tiers=(
        Tier("member", at_least=0),
        Tier("silver", at_least=500),
        Tier("gold", at_least=1_500),
        Tier("ep", at_least=3_000),
    ),
    window=Rolling(months=12),
    keep=Keep(months=12, until="month_end"),
    downgrade=Downgrade.ONE_STEP,
    grace=Grace(days=30),
    timezone="Asia/Shanghai",
)


def columns(events: int, *, zone_seed: int = 1) -> dict[str, np.ndarray]:
    """Return value events of a tenth as many members over three years, in no order; one in a hundred is taken back."""
    rng = np.random.default_rng(zone_seed)
    member = rng.integers(0, max(1, events // 10), events)
    first = np.datetime64(START.replace(tzinfo=None), "us").astype(np.int64)
    span = int((END - START).total_seconds() * 1e6)
    at = first + rng.integers(0, span, events)
    value = rng.integers(1, 400, events)
    value[rng.random(events) < 0.01] *= -1
    return {"member": member, "at": at.astype("datetime64[us]"), "value": value}


def plain(ladder: Ladder, data: dict[str, np.ndarray], members: int) -> tuple[float, dict[int, str | None]]:
    """Return the seconds that `standing` takes for so many members, histories ready made, and their tiers."""
    order = np.lexsort((data["at"], data["member"]))
    member, at, value = (data[name][order] for name in ("member", "at", "value"))
    ends = np.searchsorted(member, np.arange(members + 1))
    histories = [
        [(t.replace(tzinfo=UTC), int(v)) for t, v in zip(at[a:b].tolist(), value[a:b].tolist(), strict=True)]
        for a, b in itertools.pairwise(ends)
    ]
    start = time.perf_counter()
    found = {who: ladder.standing(history, END).tier for who, history in enumerate(histories)}
    return time.perf_counter() - start, found


def main() -> None:
    """Print seconds per million events of both engines, their ratio, and the slope of growth."""
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    print(versions("numpy"))
    seconds = {}
    for events in (most // 100, most // 10, most):
        data = columns(events)
        LADDER.standings(columns(1_000), END)
        start = time.perf_counter()
        found = LADDER.standings(data, END)
        seconds[events] = time.perf_counter() - start
        few = min(2_000, max(1, events // 10))
        plain_seconds, tiers = plain(LADDER, data, few)
        place = np.searchsorted(found["member"], list(tiers))
        known = np.isin(list(tiers), found["member"])
        assert [t for t, k in zip(tiers.values(), known, strict=True) if k] == found["tier"][
            place[known]
        ].tolist()
        per_event = plain_seconds / np.count_nonzero(data["member"] < few)
        ratio = per_event * events / seconds[events]
        print(
            f"{events:>12,} events: columns {seconds[events]:8.2f} s, plain {per_event * events:10.1f} s "
            f"(from {few:,} members), {ratio:6.1f} x"
        )
    sizes = np.log(list(seconds))
    slope = np.polyfit(sizes, np.log(list(seconds.values())), 1)[0]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"growth slope {slope:.2f}; peak memory {memory:,.0f} MB")


if __name__ == "__main__":
    main()
