"""Score a bank's survey by month and market: intervals, a test for a shift, opinion against mix.

The file holds counts of answers by month, market and score. With a second argument, a picture is written there.

arguments: nps_bank_counts.csv
"""

import csv
import sys
from pathlib import Path

import numpy as np

from userops.core.tables import Table
from userops.nps import NPS, Groups, nps, trend


def read(path):
    """Return the columns month, market and score, one row per answer."""
    with Path(path).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    times = [int(row["n"]) for row in rows]
    months = np.repeat([int(row["Month"]) for row in rows], times)
    markets = np.repeat([row["Market"] for row in rows], times)
    scores = np.repeat([int(row["NPS"]) for row in rows], times)
    return months, markets, scores


def by_month_and_market(months, markets, scores):
    """Return {month: {market: NPS}}."""
    waves = {}
    for month in sorted(set(months.tolist())):
        rows = months == month
        waves[month] = nps(scores[rows], by=markets[rows]).results
    return waves


def month_table(waves):
    """Return one row per month: each market's points and interval."""
    columns = {"month": list(waves)}
    for market in sorted(next(iter(waves.values()))):
        results = [segments[market] for segments in waves.values()]
        columns[f"{market} NPS"] = [round(result.points) for result in results]
        bounds = [result.interval() for result in results]
        columns[f"{market} 95%"] = [f"{round(100 * low)} to {round(100 * high)}" for low, high in bounds]
    return Table(columns, title="NPS by month and market, points")


def draw(waves, found, path):
    """Draw the months of each market, and all together with the EWMA."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6.5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    for place, market in enumerate(sorted(next(iter(waves.values())))):
        results = [segments[market] for segments in waves.values()]
        bounds = np.array([result.interval() for result in results])
        scores = np.array([result.score for result in results])
        where = np.arange(len(results)) + 0.15 * (place - 1)
        reach = [scores - bounds[:, 0], bounds[:, 1] - scores]
        above.errorbar(where, scores, yerr=reach, fmt="o-", capsize=2, label=market)
    above.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    above.set_ylabel("NPS")
    above.set_title("By market, 95% score intervals")
    above.margins(y=0.15)
    above.legend(ncols=3, loc="upper center")
    found.plot(below)
    below.set_title("All markets")
    below.set_xlabel("month")
    figure.savefig(path, dpi=120)


def main(path, picture=None):
    months, markets, scores = read(path)
    groups = nps(scores, by=markets)
    print(groups)
    print()
    print(groups.comparison_table())
    print()

    waves = by_month_and_market(months, markets, scores)
    print(month_table(waves))
    print()
    found = trend(waves, seed=7)
    print(found)
    print()
    print(found.change_table())
    print()

    # Is there a shift within a market? Three tests, so each is held to a third of 5%.
    for market in groups.results:
        shift = trend({month: segments[market] for month, segments in waves.items()}, seed=7).shift
        print(
            f"{market}: most likely shift in month {shift.at}, {100 * shift.difference:+.1f}, p {shift.p_value:.3f}"
        )

    # The months counted apart and added are the whole, whatever the order.
    parts = [Groups(segments) for segments in waves.values()]
    assert sum(reversed(parts)) == groups
    assert sum((part.total for part in parts), NPS.empty()) == nps(scores)
    if picture is not None:
        draw(waves, found, picture)


if __name__ == "__main__":
    main(*sys.argv[1:])
