"""J6: postings on SQLite against SQLAlchemy's plain style and the floor, and how they grow; PostgreSQL by clients.

`python tests/benchmarks/bench_ledger.py [--full]`: --full goes to a million entries.
"""

import importlib.util
import multiprocessing
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import create_engine, event, func, insert, select, update

from userops.points import Budget, Earn, Extend, Fund, Ledger, Note, Spend
from userops.points.stores.schema import entry, lot, wallet

sys.path.insert(0, str(Path(__file__).parent))
from pairing import interleaved, report, user_seconds, versions

T0 = datetime(2027, 1, 1, tzinfo=UTC)
MEMBERS = 200


def commands(name: str, count: int) -> list[object]:
    """Return earns and spends, alternating, so that lots come and go."""
    found: list[object] = []
    for number in range(count):
        member, at = f"m{number // 2 % MEMBERS}", T0
        if number % 2:
            found.append(Spend(id=f"{name}-{number}", member=member, points=10, sink="shop", at=at))
        else:
            found.append(Earn(id=f"{name}-{number}", member=member, points=10, fund="sales", at=at))
    return found


class Plain:
    """The same tables and rows in SQLAlchemy Core's plain style: constructs executed one by one, row by row."""

    def __init__(self, path: Path) -> None:
        Ledger.open(path).close()
        self.engine = create_engine(f"sqlite:///{path}")
        event.listen(self.engine, "connect", self.set_up)
        event.listen(self.engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))

    @staticmethod
    def set_up(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    def post(self, connection: object, command: object) -> None:
        """Post as a plain service would: check the id, read the wallet and its lots, write each row."""
        run = connection.execute  # type: ignore[attr-defined]
        if run(select(entry.c.sequence).where(entry.c.id == command.id)).first():  # type: ignore[attr-defined]
            return
        row = run(select(wallet).where(wallet.c.member == command.member)).first()  # type: ignore[attr-defined]
        if row is None:
            run(
                insert(wallet).values(
                    member=command.member, commitment="", latest=0, length=0, tip=b"", debts="", open_holds=0
                )
            )  # type: ignore[attr-defined]
            row = run(select(wallet).where(wallet.c.member == command.member)).first()  # type: ignore[attr-defined]
        last = run(select(func.coalesce(func.max(entry.c.sequence), 0))).scalar_one()
        lots = run(
            select(lot)
            .where(lot.c.wallet == row.no, lot.c.remaining > lot.c.written)
            .order_by(lot.c.expires_at)
        ).all()
        run(
            insert(entry).values(
                sequence=last + 1,
                id=command.id,
                wallet=row.no,
                place=row.length,
                members=1,
                seal=b"x" * 32,
                content="c" * (248 if isinstance(command, Earn) else 152),
                at=0,
            )
        )  # type: ignore[attr-defined]
        if isinstance(command, Earn):
            run(insert(lot).values(id=command.id, wallet=row.no, currency="points", fund="sales", unit_cost="0", earned_at=0, available_at=0,
                expires_at=2**63 - 1, rule="", origin=command.id, original=10, place=row.length, place_within=0, is_issue=1, remaining=10, written=0))  # fmt: skip
        else:
            left = command.points  # type: ignore[attr-defined]
            for one in lots:
                taken = min(left, one.remaining)
                left -= taken
                run(update(lot).where(lot.c.id == one.id).values(remaining=one.remaining - taken))
                if not left:
                    break
        run(
            update(wallet).where(wallet.c.no == row.no).values(length=row.length + 1, latest=0, tip=b"x" * 32)
        )


def batches(size: int, rounds: int, name: str) -> Iterator[list[object]]:
    made = commands(name, size * rounds)
    return iter([made[start : start + size] for start in range(0, len(made), size)])


def one_posting(folder: Path) -> None:
    count, rounds = 200, 7
    ledger, plain = Ledger.open(folder / "ours.db"), Plain(folder / "plain.db")
    ledger.add_fund(Fund("sales"))
    ours, theirs = batches(count, rounds, "one"), batches(count, rounds, "one")
    handle = os.open(folder / "floor", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def run_ours() -> None:
        for command in next(ours):
            ledger.post(command)  # type: ignore[arg-type]

    def run_plain() -> None:
        for command in next(theirs):
            with plain.engine.begin() as connection:
                plain.post(connection, command)

    def floor() -> None:
        for _ in range(count):
            os.write(handle, b"r" * 600)
            os.fdatasync(handle)

    found = interleaved(
        {"userops": run_ours, "SQLAlchemy Core, plain": run_plain, "append + fdatasync": floor},
        rounds=rounds - 1,
    )
    print(report(f"one posting per transaction ({count} of them), SQLite WAL FULL", found))
    ledger.close()


def thousand(folder: Path) -> None:
    rounds = 6
    ledger, plain = Ledger.open(folder / "ours-1000.db"), Plain(folder / "plain-1000.db")
    ledger.add_fund(Fund("sales"))
    ours, theirs = batches(1_000, 2 * rounds, "k"), batches(1_000, 2 * rounds, "k")
    raw = sqlite3.connect(folder / "floor-1000.db", isolation_level=None)
    Ledger.open(folder / "floor-1000.db").close()
    raw.execute("PRAGMA synchronous = FULL")
    number = iter(range(10**9))

    def run_ours() -> None:
        ledger.post_all(next(ours))  # type: ignore[arg-type]

    def run_plain() -> None:
        with plain.engine.begin() as connection:
            for command in next(theirs):
                plain.post(connection, command)

    def floor() -> None:
        start = next(number) * 1_000 + 1
        raw.execute("BEGIN IMMEDIATE")
        raw.executemany(
            "INSERT OR IGNORE INTO ledger_wallet VALUES (?, ?, ?, 0, 0, ?, '', 0)",
            [(m + 1, f"m{m}", f"m{m}", b"x" * 32) for m in range(MEMBERS)],
        )
        raw.executemany("INSERT INTO ledger_entry VALUES (?, ?, ?, ?, 1, ?, NULL, NULL, NULL, NULL, ?, 0)",
                        [(start + n, f"f-{start + n}", n % MEMBERS + 1, start + n, b"x" * 32, "c" * (152 if n % 2 else 248)) for n in range(1_000)])  # fmt: skip
        raw.executemany("INSERT INTO ledger_lot VALUES (?, ?, 'points', 'sales', '0', 0, 0, 9, '', ?, 10, ?, 0, 1, 0, 0)",
                        [(f"f-{start + n}", n % MEMBERS + 1, f"f-{start + n}", n) for n in range(0, 1_000, 2)])  # fmt: skip
        raw.executemany(
            "UPDATE ledger_wallet SET latest = 0, length = ?, tip = ? WHERE no = ?",
            [(start, b"x" * 32, m + 1) for m in range(MEMBERS)],
        )
        raw.execute("COMMIT")

    contestants = {"userops": run_ours, "SQLAlchemy Core, row by row": run_plain, "inserting the rows": floor}
    found = interleaved(contestants, rounds=rounds - 1)
    print(report("1,000 postings per transaction, SQLite WAL FULL", found))
    found = interleaved(contestants, rounds=rounds - 1, clock=user_seconds)
    print(report("the same, processor time outside the system", found))
    ledger.close()


def in_memory() -> None:
    ledger = Ledger.in_memory()
    ledger.add_fund(Fund("sales"))
    for kind, made in (("earn", commands("i", 20_000)[::2]), ("spend", commands("i", 20_000)[1::2])):
        start = time.process_time()
        for command in made:
            ledger.post(command)  # type: ignore[arg-type]
        print(f"in memory, {kind}: {(time.process_time() - start) / len(made) * 1e6:.1f} us")


def microseconds(act: Callable[[int], object], times: int) -> float:
    start = time.perf_counter()
    for number in range(times):
        act(number)
    return (time.perf_counter() - start) / times * 1e6


def growth(folder: Path, sizes: list[int]) -> None:
    """One member's history grows, nearly all of its lots closed; balance and spend must not notice."""
    print(f"{'entries of one member':>22} {'balance us':>12} {'spend us':>12}")
    with Ledger.open(folder / "growth.db") as ledger:
        ledger.add_fund(Fund("sales"))
        ledger.post(Earn(id="stock", member="ann", points=10**6, fund="sales", at=T0))
        done = 0
        for size in sizes:
            while done < size:
                batch = []
                for number in range(done, min(size, done + 2_000), 2):
                    at, ends = T0 + timedelta(seconds=number), T0 + timedelta(days=9_000)
                    batch.append(
                        Earn(id=f"e{number}", member="ann", points=5, fund="sales", at=at, expires_at=ends)
                    )
                    batch.append(Spend(id=f"s{number}", member="ann", points=5, sink="shop", at=at))
                ledger.post_all(batch)
                done += len(batch)
            at = T0 + timedelta(days=1_000)
            balance = microseconds(lambda _: ledger.balance("ann", at), 300)
            late = T0 + timedelta(seconds=size)
            spend = microseconds(
                lambda n: ledger.post(Spend(id=f"x{size}-{n}", member="ann", points=1, sink="shop", at=late)),
                200,
            )
            print(f"{size:>22,} {balance:>12.0f} {spend:>12.0f}")


def extended(sizes: list[int]) -> None:
    """One member earns, each earn followed by an Extend of all lots, one entry late: reading that past in memory."""
    print(
        f"{'earns, each extended':>22} {'posting s':>12} {'statement s':>12} {'funding s':>12} {'audit s':>12}"
    )
    for size in sizes:
        ledger = Ledger.in_memory()
        ledger.add_fund(Fund("sales"))
        batch: list[object] = []
        for number in range(size):
            at, ends = T0 + timedelta(hours=number), T0 + timedelta(days=365, hours=number)
            earn = Earn(
                id=f"e{number}", member="ann", points=5, fund="sales", at=at, expires_at=ends, rule="r"
            )
            batch += [earn, Extend(id=f"x{number}", member="ann", rule="r", at=at, expires_at=ends)]
        end = T0 + timedelta(hours=size)
        took = [processor(lambda: ledger.post_all(batch))]
        ledger.post(Note(id="late", member="ann", kind="seen", at=T0))
        for read in (lambda: ledger.statement("ann", T0, end), lambda: ledger.funding(end), ledger.audit):
            took.append(processor(read))
        print(f"{size:>22,} " + " ".join(f"{seconds:>12.3f}" for seconds in took))


def processor(act: Callable[[], object]) -> float:
    start = time.process_time()
    act()
    return time.process_time() - start


def client(url: str, worker: int, funds: list[str], seconds: float, barrier: object, results: object) -> None:
    with Ledger.open(url) as ledger:
        ledger.balance("nobody", T0)
        barrier.wait(120)  # type: ignore[attr-defined]
        done, stop = 0, time.perf_counter() + seconds
        while time.perf_counter() < stop:
            one = Earn(
                id=f"{worker}-{done}-{funds[0]}",
                member=f"m{worker}-{done % 50}",
                points=1,
                fund=funds[worker % len(funds)],
                at=T0,
            )
            ledger.post(one)
            done += 1
    results.put(done)  # type: ignore[attr-defined]


def by_clients(seconds: float) -> None:
    place = Path(__file__).parents[1] / "reliability" / "stores" / "conftest.py"
    spec = importlib.util.spec_from_file_location("servers", place)
    assert spec is not None
    assert spec.loader is not None
    servers = importlib.util.module_from_spec(spec)
    sys.modules["servers"] = servers
    spec.loader.exec_module(servers)
    making = servers.make_server()  # Commits are synced.
    server = next(making)
    context = multiprocessing.get_context("fork")
    print(f"{'PostgreSQL, postings/s':<40}" + "".join(f"{n:>8} cl." for n in (1, 2, 4, 8)))
    for what, funds, budget in (
        ("different members, no budget", ["open"], None),
        ("different members, a budget each", [f"own{n}" for n in range(8)], Budget(10**12)),
        ("different members, one hot budget", ["hot"], Budget(10**12)),
    ):
        rates = []
        for clients in (1, 2, 4, 8):
            url = server.new()
            with Ledger.open(url) as ledger:
                for fund in funds:
                    ledger.add_fund(Fund(fund, budget=budget))
            results, barrier = context.Queue(), context.Barrier(clients)
            workers = [
                context.Process(target=client, args=(url, n, funds, seconds, barrier, results))
                for n in range(clients)
            ]
            for worker in workers:
                worker.start()
            rates.append(sum(results.get() for _ in workers) / seconds)
            for worker in workers:
                worker.join()
        print(f"{what:<40}" + "".join(f"{rate:>12,.0f}" for rate in rates))
    next(making, None)


def main(*, full: bool = False) -> None:
    print(versions("sqlalchemy", "psycopg"), f"SQLite {sqlite3.sqlite_version}")
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        folder = Path(name)
        in_memory()
        one_posting(folder)
        thousand(folder)
        growth(folder, [1_000, 10_000, 100_000, 1_000_000] if full else [1_000, 10_000])
    extended([1_000, 2_000, 5_000] if full else [250, 500])
    by_clients(5.0 if full else 1.0)


if __name__ == "__main__":
    main(full="--full" in sys.argv)
