"""Many processes at a few members, all commands racing: `python hammer.py URL PROCESSES ATTEMPTS [BREAK]`.

Prints what became of the attempts as JSON. BREAK builds the store wrong on purpose: the negative controls.
"""

import json
import multiprocessing
import random
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta

from userops.core.chance import stream
from userops.errors import Rejected
from userops.points import Capture, Clawback, Earn, Expire, Fund, Hold, Ledger, Release, Reverse, Spend
from userops.points.stores import sql, sqlite

T0 = datetime(2027, 1, 1, tzinfo=UTC)
MEMBERS = [f"m{number}" for number in range(10)]
PHASES = 4


def read_before_locking():
    """Build both stores wrong: what a transaction reads is not locked, as in default transactions."""
    whole = sql.write

    def begin(self, wire, *, posting, claims=()):
        if not posting:
            wire.run("BEGIN")

    def write(session, changes):
        if not session.driver.locks_rows:
            session.wire.run("BEGIN IMMEDIATE")
            last = session.wire.value(session.sql.last_sequence) or 0
            changes.entries = [one._replace(sequence=last + n) for n, one in enumerate(changes.entries, 1)]
        whole(session, changes)

    def end(self, wire, *, keep):
        if self._connection.in_transaction:
            wire.run("COMMIT" if keep else "ROLLBACK")

    sqlite.SQLite.begin, sqlite.SQLite.end = begin, end
    sql.write = write
    plain = sql.Statements.__init__

    def unlocked(self, dialect):
        plain(self, dialect)
        self.lock_wallet, self.lock_wallets = self.wallet, self.wallets

    sql.Statements.__init__ = unlocked


def draw(rng, worker, number, at, mine):
    """Draw one command."""
    shared = {"id": f"w{worker}-{number}", "at": at}
    member, points = rng.choice(MEMBERS), rng.randrange(1, 40)
    kind = rng.choices(
        ["earn", "spend", "hold", "capture", "release", "reverse", "expire"], [22, 40, 10, 8, 4, 12, 1]
    )[0]
    if kind == "earn":
        ends = rng.choice([None, at + timedelta(hours=1)])
        return Earn(member=member, points=points, fund="sales", expires_at=ends, **shared)
    if kind == "spend":
        return Spend(member=member, points=points, sink="shop", **shared)
    if kind == "hold" or not mine:
        return Hold(
            member=member, points=points, expires_at=rng.choice([None, at + timedelta(hours=1)]), **shared
        )
    if kind == "capture":
        return Capture(hold=rng.choice(mine), sink="shop", **shared)
    if kind == "release":
        return Release(hold=rng.choice(mine), **shared)
    if kind == "reverse":
        return Reverse(entry=rng.choice(mine), clawback=rng.choice(list(Clawback)), **shared)
    return Expire(id=shared["id"], at=at, member=rng.choice([None, member]))


def work(url, worker, attempts, barrier, results):
    rng, mine, found = random.Random(worker), [], Counter()
    try:
        with Ledger.open(url, salt=b"s", rng=stream(worker, "hammer")) as ledger:
            for phase in range(PHASES):
                barrier.wait(300)
                at = T0 + timedelta(hours=phase + 1)
                for number in range(attempts // PHASES):
                    command = draw(rng, worker, phase * attempts + number, at, mine)
                    try:
                        ledger.post(command)
                        found["posted"] += 1
                        mine.append(command.id)
                    except Rejected as refusal:
                        found[type(refusal).__name__] += 1
                    except Exception as error:  # noqa: BLE001
                        found[f"unhandled {type(error).__name__}"] += 1
                        found[f"{error.__cause__!r}"[:90]] += 1
    finally:
        results.put(found)


def main(url, processes, attempts, broken=""):
    if broken:
        read_before_locking()
    with Ledger.open(url, salt=b"s") as ledger:
        ledger.add_fund(Fund("sales"))
        for member in MEMBERS:
            ledger.post(Earn(id=f"first-{member}", member=member, points=300, fund="sales", at=T0))
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(processes), context.Queue()
    workers = [
        context.Process(target=work, args=(url, one, attempts // processes, barrier, results))
        for one in range(processes)
    ]
    for one in workers:
        one.start()
    total = Counter()
    for _ in workers:
        total.update(results.get(timeout=600))
    for one in workers:
        one.join()
    print(json.dumps(total))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
