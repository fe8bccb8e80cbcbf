"""Replay the 6,919 real CDNOW purchases through a programme into a ledger, and read the books.

arguments: cdnow_sample.txt

Each purchase is an event; a customer who then has 50 points redeems 50 of them in the shop (an assumption:
the data knows purchases only). Days have no time of day in the data: all happen at noon in New York.
"""

import sys
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from userops import Event
from userops.core.calendar import zone
from userops.core.tables import Table
from userops.points import Ledger
from userops.program import Program, Status

NEW_YORK = zone("America/New_York")
END = datetime(1999, 1, 1, tzinfo=NEW_YORK)


def purchases(path: str | Path) -> list[Event]:
    """Return an event per row: customer, sample's number, day, CDs, dollars."""
    events = []
    for place, line in enumerate(Path(path).read_text().splitlines(), start=1):
        customer, _, day, cds, dollars = line.split()
        noon = datetime(int(day[:4]), int(day[4:6]), int(day[6:]), 12, tzinfo=NEW_YORK)
        events.append(
            Event(
                f"row {place}", "order.paid", customer, noon, amount=Decimal(dollars), data={"cds": int(cds)}
            )
        )
    return sorted(events, key=lambda event: event.at)


def replay(path: str | Path) -> tuple[Ledger, dict[str, int]]:
    """Run the purchases, and the redemptions they lead to, into a new ledger; count what happened."""
    program = Program.load(Path(__file__).parent / "cdnow_program.toml")
    ledger = Ledger.in_memory()
    program.register(ledger)
    counts = {"purchases": 0, "without a dollar": 0, "refused by the budget": 0, "redemptions": 0}
    for event in purchases(path):
        decision = program.handle(event, ledger)
        counts["purchases"] += 1
        counts["without a dollar"] += event.amount == 0
        counts["refused by the budget"] += any(o.status is Status.REFUSED for o in decision.outcomes)
        if ledger.balance(event.member, event.at).available >= 50:
            redemption = Event(f"{event.id} redeems", "points.redeemed", event.member, event.at, amount=50)
            program.handle(redemption, ledger)
            counts["redemptions"] += 1
    return ledger, counts


def main(path: str) -> None:
    ledger, counts = replay(path)
    with ledger:
        print(Table({"what": list(counts), "count": list(counts.values())}, title="Events"))
        names = ["fund", "issued", "redeemed", "expired", "clawed_back", "outstanding"]
        rows = [{name: getattr(row, name) for name in names} for row in ledger.funding(END)]
        print(Table.of_rows(rows, names, title="\nFunds at the end of 1998"))

        months = [datetime(1997 + m // 12, m % 12 + 1, 1, tzinfo=NEW_YORK) for m in range(25)]
        books = [ledger.funding(at) for at in months]
        totals = [{name: sum(getattr(row, name) for row in rows) for name in names[1:]} for rows in books]
        table = [
            {
                "month": f"{start:%Y-%m}",
                **{k: after[k] - before[k] for k in names[1:4]},
                "outstanding": after["outstanding"],
            }
            for start, before, after in zip(months, totals, totals[1:], strict=False)
        ]
        print(Table.of_rows(table, ["month", *names[1:4], "outstanding"], title="\nMonth by month"))

        member = max(
            ledger.entries(kind="spend"), key=lambda e: (len(ledger.entries(e.member)), e.member)
        ).member
        statement = ledger.statement(member, months[0], END)
        lines = [
            {"day": f"{x.at.astimezone(NEW_YORK):%Y-%m-%d}", "what": x.kind, "points": x.points}
            for x in statement.lines[-12:]
        ]
        print(Table.of_rows(lines, ["day", "what", "points"], title="\nThe busiest customer's last lines"))
        print(f"Closing balance: {statement.closing:,} points.")
        print(f"\nAudit: {len(ledger.audit())} findings.")


if __name__ == "__main__":
    main(sys.argv[1])
