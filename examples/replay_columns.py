"""Replay the real CDNOW purchases as columns: a point a dollar, and what a wish for 50 points would have met.

arguments: cdnow_sample.txt

Assumptions, for the data knows purchases only: points live 180 days; with every second purchase of theirs a
customer asks for 50 points in the shop, an hour later; one purchase in forty is returned after 30 days, and
its unspent points are taken back. Days have no time of day in the data: all are taken at noon UTC.
"""

import sys
from pathlib import Path

import numpy as np

from userops.core.tables import Table
from userops.points import replay
from userops.points.replaying import NEVER, Kind, Outcome

HOUR = 3_600_000_000
DAY = 24 * HOUR


def history(path: str | Path) -> dict[str, np.ndarray]:
    """Return the events as columns: purchases, then wishes, then returns; rows need no order in time."""
    lines = [line.split() for line in Path(path).read_text().splitlines()]
    customer = np.array([int(line[0]) for line in lines])
    days = np.array(["-".join((d[:4], d[4:6], d[6:])) for _, _, d, _, _ in lines], dtype="datetime64[us]")
    at = days.astype(np.int64) + 12 * HOUR
    # Whole dollars: what follows the point is cut off, not rounded.
    dollars = np.array([int(line[4].partition(".")[0]) for line in lines])

    buys = np.flatnonzero(dollars > 0)
    order = np.lexsort((at, customer))
    first = np.append(True, customer[order][1:] != customer[order][:-1])
    turn = np.empty(len(order), np.int64)
    turn[order] = np.arange(len(order)) - np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
    asks = np.flatnonzero(turn % 2 == 1)
    returned = np.flatnonzero(np.arange(len(buys)) % 40 == 0)

    return {
        "member": np.concatenate([customer[buys], customer[asks], customer[buys][returned]]),
        "kind": np.repeat([Kind.EARN, Kind.SPEND, Kind.REVERSE], [len(buys), len(asks), len(returned)]),
        "points": np.concatenate([dollars[buys], np.full(len(asks), 50), np.zeros(len(returned), np.int64)]),
        "at": np.concatenate([at[buys], at[asks] + HOUR, at[buys][returned] + 30 * DAY]),
        "expires_at": np.concatenate(
            [at[buys] + 180 * DAY, np.full(len(asks) + len(returned), NEVER, dtype=np.int64)]
        ),
        "undoes": np.concatenate([np.full(len(buys) + len(asks), -1), returned]),
    }


def main(path: str) -> None:
    columns = history(path)
    done = replay(columns)

    kinds = [kind.name.lower() for kind in Kind]
    rows = []
    for kind in Kind:
        mine = done.outcome[columns["kind"] == kind]
        rows.append(
            {"events": kinds[kind]}
            | {
                what.name.lower(): int((mine == what).sum())
                for what in Outcome
                if what <= Outcome.OVER_REVERSED
            }
        )
    print(Table.of_rows(rows, list(rows[0]), title="What became of the events"))

    names = ["issued", "redeemed", "expired", "clawed_back", "outstanding"]
    quarters = np.arange("1997-04", "1999-01", 3, dtype="datetime64[M]").astype("datetime64[us]")
    books = []
    for quarter in quarters:
        (row,) = done.funding(int(quarter.astype(np.int64)) - 1)
        books.append({"before": str(quarter)[:7]} | {name: getattr(row, name) for name in names})
    print(Table.of_rows(books, ["before", *names], title="\nThe books, quarter by quarter"))

    parts = np.bincount(done.event, minlength=len(done))[done.accepted & (columns["kind"] == Kind.SPEND)]
    print(
        f"\nA wish that was met took its 50 points from {parts.mean():.2f} lots, at most from {parts.max()}."
    )
    busiest = int(np.bincount(columns["member"][columns["kind"] == Kind.SPEND]).argmax())
    row = int(
        np.flatnonzero((columns["member"] == busiest) & (columns["kind"] == Kind.SPEND) & done.accepted)[-1]
    )
    print(f"Customer {busiest}, last wish met: lots {done.allocations_of(row)}.")


if __name__ == "__main__":
    main(sys.argv[1])
