"""Read 101 real complaints to the US road-safety office as cases, and say what they can and cannot tell.

arguments: nhtsa_complaints.csv

How long owners waited before they complained is in the data: received less failure date. Whether anybody
answered or closed a complaint is not. Severity is an assumption made here: 1 for a complaint, 3 more for a
crash, 3 for a fire, 5 for each injured person.
"""

import csv
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from userops.core.tables import Table
from userops.segments import Case, ClosedLoop, Survival

AS_OF = datetime(2020, 3, 31, tzinfo=UTC)


def day(text: str) -> datetime:
    """Return a date of the file as midnight UTC: the data knows no time of day."""
    return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC)


def main() -> None:
    """Print what the complaints say."""
    with Path(sys.argv[1]).open(encoding="utf-8", newline="") as file:
        rows = [{name: value.strip() for name, value in row.items()} for row in csv.DictReader(file)]
    cases = [
        Case(
            row["odi_number"],
            f"owner of {row['odi_number']}",
            1 + 3 * (row["crash"] == "Y") + 3 * (row["fire"] == "Y") + 5 * int(row["injured"] or 0),
            day(row["received_date"]),
            kind=row["component"].split(":")[0].split(",")[0].strip().title(),
            region=row["state"],
        )
        for row in rows
    ]

    undated = [row for row in rows if not row["fail_date"]]
    # The file writes 9999 for a model year that is not known.
    known = [row for row in rows if row["fail_date"] and row["year"] != "9999"]
    early = [row for row in known if int(row["fail_date"][:4]) < int(row["year"]) - 1]
    print(f"{len(rows)} complaints; set aside: {len(undated)} without a failure date,")
    print(
        f"{len(early)} with a failure before the car existed ({early[0]['fail_date']}, model {early[0]['year']})\n"
    )

    waited = {
        row["odi_number"]: float((day(row["received_date"]) - day(row["fail_date"])).days)
        for row in rows
        if row not in undated and row not in early
    }
    kinds = Counter(case.kind for case in cases)
    groups = {"all": cases} | {
        kind: [case for case in cases if case.kind == kind] for kind, count in kinds.most_common(6)
    }
    table = []
    for name, group in groups.items():
        days = [waited[case.id] for case in group if case.id in waited]
        curve = Survival(tuple(days), (True,) * len(days))
        low, high = curve.interval(30)
        table.append(
            {
                "component": name,
                "cases": curve.n,
                "median days": curve.median,
                "> 30 days": curve.survival(30),
                "interval": f"{low:.0%}–{high:.0%}",
                "> 1 year": curve.survival(365),
            }
        )
    print(
        Table.of_rows(
            table,
            list(table[0]),
            title="Days from failure to complaint, and the share not yet complaining after 30 and 365",
            formats={"median days": ".0f", "> 30 days": ".0%", "> 1 year": ".0%"},
        )
    )

    loop = ClosedLoop(cases, as_of=AS_OF)
    severe = [case for case in loop.cases if case.severity >= 4]
    print(f"\n{len(severe)} of {len(loop.cases)} report a crash, a fire or an injury:")
    for kind, count in Counter(case.kind for case in severe).most_common(4):
        print(f"  {kind}: {count} of {kinds[kind]}")

    print(f"\n{loop}")
    print(
        """
What the data cannot say
- Closed 0% and all late means that no answer is recorded, not that none was given.
- Every complaint is a member of its own: who complained twice is not known.
- Only those who complained are here: the curve says nothing of those who never did.
- Without the number of cars on the road there is no rate per 10,000 owners.
- The office renamed its components over the years: "Engine" is counted apart.
- Empty crash, fire and injury fields were read as no; 61 of 101 do not say whether anybody was hurt."""
    )


if __name__ == "__main__":
    main()
