"""The real CDNOW purchases through the program, against a plain count of the file and a plain queue of lots."""

import runpy
from collections import defaultdict
from datetime import date
from decimal import Decimal
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "replay_cdnow.py"


def month_after(day, months):
    """Return the first day of the month after `months` more months."""
    count = day.year * 12 + day.month - 1 + months + 1
    return date(count // 12, count % 12 + 1, 1)


def plainly(path):
    """Return (issued, redeemed, expired) by fund, with queues of [gone on, points] and nothing of the library."""
    rows = [line.split() for line in path.read_text().splitlines()]
    totals = {name: defaultdict(int) for name in ("issued", "redeemed", "expired")}
    lots = defaultdict(list)
    baskets = set()
    for customer, _, day, cds, dollars in sorted(rows, key=lambda row: row[2]):
        today = date(int(day[:4]), int(day[4:6]), int(day[6:]))
        queue = lots[customer]
        given = [("shop", int(Decimal(dollars)), month_after(today, 12))]
        if int(cds) >= 5 and (customer, today.year, today.month) not in baskets:
            baskets.add((customer, today.year, today.month))
            later = month_after(today, 5)
            last = min(today.day, (month_after(later, 0) - later).days)
            given.append(("campaign", 25, date.fromordinal(later.toordinal() + last)))
        for fund, points, gone in given:
            if points:
                totals["issued"][fund] += points
                queue.append([gone, fund, points])
        for lot in queue:
            if lot[0] <= today:
                totals["expired"][lot[1]] += lot[2]
                lot[2] = 0
        if sum(lot[2] for lot in queue) >= 50:
            left = 50
            for lot in sorted(queue, key=lambda lot: lot[0]):
                taken = min(left, lot[2])
                lot[2] -= taken
                left -= taken
                totals["redeemed"][lot[1]] += taken
    for queue in lots.values():
        for gone, fund, points in queue:
            if gone <= date(1999, 1, 1):
                totals["expired"][fund] += points
    return totals


def test_the_replay_balances_and_its_totals_are_those_of_a_plain_count(shared_data):
    path = shared_data / "cdnow_sample.txt"
    example = runpy.run_path(str(EXAMPLE))
    ledger, counts = example["replay"](path)
    assert ledger.audit() == ()
    assert counts["purchases"] == 6_919
    assert counts["without a dollar"] == 8
    expected = plainly(path)
    for row in ledger.funding(example["END"]):
        assert row.issued == row.redeemed + row.expired + row.outstanding
        assert row.issued == expected["issued"][row.fund]
        assert row.redeemed == expected["redeemed"][row.fund]
        assert row.expired == expected["expired"][row.fund]
    assert sum(row.issued for row in ledger.funding(example["END"])) == 254_894
