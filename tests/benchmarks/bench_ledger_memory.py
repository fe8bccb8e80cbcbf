"""One posting in memory: earn and spend on a fresh wallet, beside 10^5 closed lots, and beside 10^4 open ones.

Run: `python tests/benchmarks/bench_ledger_memory.py [closed] [open]`. Prints microseconds of CPU per posting and the
ratio to the fresh wallet: the cost must grow neither with the closed history nor with the open lots. Above it, what
making the commands costs, and a yardstick: one frozen value of fifteen fields, of which a posting makes several.
"""

import gc
import sys
import time
from datetime import UTC, datetime, timedelta

from attrs import make_class

from userops.points import Earn, Fund, Ledger, Spend

T = datetime(2027, 1, 1, tzinfo=UTC)


def earns(tag, count, at, **more):
    return [Earn(id=f"{tag}{k}", member="u1", points=10, fund="sales", at=at, **more) for k in range(count)]


def spends(tag, count, at, points=10):
    return [Spend(id=f"{tag}{k}", member="u1", points=points, sink="shop", at=at) for k in range(count)]


def ledger():
    one = Ledger.in_memory()
    one.add_fund(Fund("sales"))
    return one


def closed(count):
    """A wallet whose lots are all spent."""
    one = ledger()
    for k in range(count // 1_000):
        one.post_all(earns(f"c{k}-", 1_000, T))
        one.post(Spend(id=f"cs{k}", member="u1", points=10_000, sink="shop", at=T))
    return one


def opened(count):
    """A wallet of open lots, each with an expiry of its own."""
    one = ledger()
    for k in range(count):
        one.post(
            Earn(
                id=f"o{k}",
                member="u1",
                points=10,
                fund="sales",
                at=T,
                expires_at=T + timedelta(days=900, seconds=k),
            )
        )
    return one


def per_posting(one, commands):
    gc.collect()
    began = time.process_time()
    for command in commands:
        one.post(command)
    return (time.process_time() - began) / len(commands) * 1e6


def making(make, count=1_000, rounds=20):
    """Microseconds of CPU to make one of `count` values."""
    times = []
    for _ in range(rounds):
        began = time.process_time()
        make(count)
        times.append((time.process_time() - began) / count * 1e6)
    return min(times)


def measure(one, count=2_000):
    late = T + timedelta(days=1)
    grant = [
        (Earn(id=f"g{k}", member="u1", points=10, fund="sales", at=late, expires_at=T + timedelta(days=800)))
        for k in range(count)
    ]
    earn = [per_posting(one, grant[k :: count // 100]) for k in range(count // 100)]
    use = spends("s", count, late, points=7)
    spend = [per_posting(one, use[k::20]) for k in range(20)]
    return min(earn), min(spend)


def main():
    many, some = (int(value) for value in (sys.argv[1:] + ["100000", "10000"][len(sys.argv) - 1 :]))
    wallets = {"fresh": ledger(), f"{many:,} closed lots": closed(many), f"{some:,} open lots": opened(some)}
    value = make_class("Value", [f"f{number}" for number in range(15)], frozen=True, slots=True)
    print(
        f"made: a frozen value {making(lambda n: [value(*range(15)) for _ in range(n)]):.1f} µs,",
        f"an Earn {making(lambda n: earns('m', n, T, expires_at=T + timedelta(days=9))):.1f} µs,",
        f"a Spend {making(lambda n: spends('m', n, T)):.1f} µs",
    )
    base = None
    print(f"{'wallet':<22}{'earn µs':>9}{'spend µs':>10}{'earn ratio':>12}{'spend ratio':>13}")
    for name, one in wallets.items():
        earn, spend = measure(one)
        base = base or (earn, spend)
        print(f"{name:<22}{earn:>9.1f}{spend:>10.1f}{earn / base[0]:>12.2f}{spend / base[1]:>13.2f}")


if __name__ == "__main__":
    main()
