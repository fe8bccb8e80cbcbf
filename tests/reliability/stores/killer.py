"""Kill a writer again and again: `python killer.py URL KILLS [early]` prints what was acknowledged, as JSON.

Writers are forked from one warm process, so that a kill costs milliseconds. `early` acknowledges before the
commit: the negative control.
"""

import json
import os
import random
import signal
import sys
import time
from datetime import UTC, datetime, timedelta

from userops.points import Earn, Fund, Ledger, Spend

T0 = datetime(2027, 1, 1, tzinfo=UTC)


def command(number):
    at = T0 + timedelta(seconds=number)
    if number % 3:
        return Earn(id=f"k{number}", member=f"m{number % 2}", points=10, fund="sales", at=at)
    return Spend(id=f"k{number}", member=f"m{number % 2}", points=1, sink="shop", at=at)


def write(url, first, pipe, early):
    """Post one command after another, telling each before (`tried`) and after (`acked`)."""
    with Ledger.open(url, salt=b"s") as ledger:
        number = first
        while True:
            one = command(number)
            os.write(pipe, b"t%d\n" % number)
            if early:
                ledger.transact(
                    [one.member], lambda posting: (posting.post(one), os.write(pipe, b"a%d\n" % number))
                )
            else:
                ledger.post(one)
                os.write(pipe, b"a%d\n" % number)
            number += 1


def main(url, kills, early=""):
    with Ledger.open(url, salt=b"s") as ledger:
        ledger.add_fund(Fund("sales"))
        for number in (0, 1):
            ledger.post(Earn(id=f"first{number}", member=f"m{number}", points=10**6, fund="sales", at=T0))
    rng, acked, tried = random.Random(kills), [], []
    for _ in range(kills):
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            try:
                write(url, len(tried), writing, early)
            finally:
                os._exit(1)
        os.close(writing)
        with os.fdopen(reading, "rb") as said:
            lines = [said.readline()]  # It has begun: now it may be killed at any moment.
            for _ in range(1 if early else rng.randrange(7)):
                lines.append(said.readline())
            time.sleep(0 if early else rng.random() * 0.01)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            lines += said.readlines()
        tried += [int(line[1:]) for line in lines if line.startswith(b"t")]
        acked += [int(line[1:]) for line in lines if line.startswith(b"a")]
    print(json.dumps({"tried": tried, "acked": acked}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
