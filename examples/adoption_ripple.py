"""Ripple in three real networks of adoption: doctors, Korean villages, Brazilian farmers.

Who named whom as adviser, and when each adopted, become a referral forest: the referrer is the adviser who had
adopted first, strictly earlier. Ties: an adviser of the same period is no referrer (the order within a period
is not known); two advisers who adopted in one period, the smaller id. Non-adopters, period 18 of the doctors, are
left out; the other files name none, but their last period is suspiciously full, so it is shown with and without.

arguments: netdiffuser_med_innovations_edges.csv netdiffuser_med_innovations_toa.csv netdiffuser_kfamily_edges.csv netdiffuser_kfamily_toa.csv netdiffuser_brfarmers_edges.csv netdiffuser_brfarmers_toa.csv
"""

import csv
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.referrals import Binding, Invitation, ReferralGraph, offspring

NEVER = {"doctors": 18}
START = datetime(1900, 1, 1, tzinfo=UTC)


def instant(period):
    """A period stands for a day of the graph's clock, so that intervals in days are periods."""
    return START + timedelta(days=period)


def forest(edges, adopted):
    """Return the graph of adopters, and how many named advisers were of the adopter's own period."""
    advisers = {}
    for ego, alter in edges:
        advisers.setdefault(ego, set()).add(alter)
    touches, ties = [], 0
    for ego, period in adopted.items():
        known = [alter for alter in advisers.get(ego, ()) if alter in adopted and alter != ego]
        ties += sum(adopted[alter] == period for alter in known)
        earlier = [alter for alter in known if adopted[alter] < period]
        if earlier:
            referrer = min(earlier, key=lambda alter: (adopted[alter], alter))
            touches.append(Invitation(referrer, ego, instant(period)))
    members = {member: instant(period) for member, period in adopted.items()}
    graph = ReferralGraph.from_invitations(touches, members=members, binding=Binding(window_days=None))
    assert not graph.rejected
    return graph, ties


def row(name, graph, ties):
    """Return one line of the table; what a forest does not define is missing."""
    ripple = graph.ripple()
    spread = offspring(graph.invitees)
    largest = max(ripple.trees.values(), key=lambda tree: tree.size)
    found = {
        "network": name, "adopters": ripple.size, "referred": int((graph.parent >= 0).sum()),
        "tied": ties, "depth": ripple.depth, "largest tree": largest.size, "R": spread.R, "k": spread.k,
    }  # fmt: skip
    for column, attribute in (("virality", "structural_virality"), ("interval", "generation_interval")):
        try:
            found[column] = getattr(ripple, attribute)
        except InvalidValue:
            found[column] = None
    return found


def main(paths):
    rows, graphs = [], {}
    for name, edges_path, toa_path in zip(
        ("doctors", "villages", "farmers"), paths[::2], paths[1::2], strict=True
    ):
        with Path(edges_path).open(encoding="utf-8") as file:
            edges = [(line["ego"], line["alter"]) for line in csv.DictReader(file)]
        with Path(toa_path).open(encoding="utf-8") as file:
            toa = {line["id"]: int(line["time_of_adoption"]) for line in csv.DictReader(file)}
        adopted = {member: period for member, period in toa.items() if period != NEVER.get(name)}
        print(f"{name}: {len(toa)} people, {len(toa) - len(adopted)} never adopted")
        graphs[name], ties = forest(edges, adopted)
        rows.append(row(name, graphs[name], ties))
        if name not in NEVER:
            last = max(adopted.values())
            print(
                f"  {sum(period == last for period in adopted.values())} of them in the last period, {last}"
            )
            without = {member: period for member, period in adopted.items() if period != last}
            rows.append(row(f"{name}, last out", *forest(edges, without)))
    print()
    print(Table.of_rows(rows, rows[0], title="Ripple of adoption; intervals in periods",
                        formats={"R": ".3f", "k": ".3f", "virality": ".3f", "interval": ".2f"}))  # fmt: skip
    for name, graph in graphs.items():
        print(f"\n{name}, members by generation")
        print(graph.ripple())


if __name__ == "__main__":
    main(sys.argv[1:])
