"""Recency, frequency and value of the 2,357 real CDNOW customers, their activity, and who came back.

arguments: cdnow_sample.txt

The file gives days, not times: all purchases are taken at midnight UTC. Amounts are exact decimals.
"""

import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np

from userops.segments import active_states, changes, retention, rfm, standard_map

END_OF_CALIBRATION = datetime(1997, 9, 30, tzinfo=UTC)
END_OF_DATA = datetime(1998, 7, 1, tzinfo=UTC)


def main() -> None:
    """Print the figures."""
    rows = [line.split() for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()]
    orders = [
        (row[1], datetime.strptime(row[2], "%Y%m%d").replace(tzinfo=UTC), Decimal(row[4])) for row in rows
    ]
    found = rfm(orders, END_OF_CALIBRATION)
    print(
        f"to {END_OF_CALIBRATION:%Y-%m-%d}: {len(found):,} customers, {(found.frequency > 0).sum()} came back,"
    )
    print(f"{found.frequency.sum():,} repeat days, {found.value.sum():,} dollars\n")
    for name, cuts in found.thresholds.items():
        print(f"thresholds of {name}: {', '.join(str(cut) for cut in cuts)}")
    shares = np.bincount(found.f, minlength=6)[1:] / len(found)
    print(f"share with f = 1…5: {', '.join(f'{share:.0%}' for share in shares)}: ties share a score\n")

    rules = standard_map()
    segments = found.segments(rules)
    print(segments)

    later = rfm(orders, END_OF_DATA)
    moved = changes(
        dict(zip(found.member.tolist(), segments.labels, strict=True)),
        dict(zip(later.member.tolist(), later.segments(rules).labels, strict=True)),
    )
    stayed = moved["champion", "champion"]
    print(f"\nof {segments.counts()['champion']} champions {stayed} are champions nine months later")

    visits = [(member, at) for member, at, _ in orders]
    print(f"\n{active_states(visits, 'month', new='history', end=datetime(1997, 8, 1, tzinfo=UTC))}\n")
    back = retention(visits, period="month", cohort="first", clock="calendar", end=END_OF_DATA)
    print(back)
    active = retention(visits, period="month", cohort="recurring", clock="calendar", end=END_OF_DATA)
    simple = float(active.rates[:, 6].mean())
    print(f"\nof the customers of a month, six months later {active.overall[6]:.1%} buy again;")
    print(
        f"the plain mean of the months' rates would say {simple:.1%}: it weighs small months like large ones"
    )


if __name__ == "__main__":
    main()
