"""The plans that tests start from."""

import copy
from datetime import date
from pathlib import Path

from userops.simulation import Plan

OWNER_CLUB = Path(__file__).resolve().parents[3] / "examples" / "owner_club.toml"


def earn_rule(name, *, on, points, fund, months, cap):
    """Return the text of an earn rule whose points expire so many months later, at the month's end."""
    return f"""
[[program.earn]]
name = "{name}"
on = "{on}"
points = {points}
fund = "{fund}"
expires = {{ months = {months}, round_to = "month" }}
cap = [{cap}]"""


ONCE, DAILY = '{ times = 1, per = "reference" }', '{ times = 1, per = "day" }'
STREAK = '{ streak = [1, 1, 2], of = "day" }'
PROGRAM = f"""
[program]
schema = 1
name = "club"
timezone = "Asia/Shanghai"
[program.funds.sales]
unit_cost = "0.10"
budget = {{ points = 3_000_000, per = "year" }}
[program.funds.community]
unit_cost = "0.10"
{earn_rule("delivery", on="order.delivered", points="1_000", fund="sales", months=12, cap=ONCE)}
{earn_rule("check-in", on="app.checkin", points=STREAK, fund="community", months=6, cap=DAILY + ', { shared = "basics" }')}
[program.caps.basics]
points = 100
per = "lifetime"
"""
PLAN = f"""{PROGRAM}
[horizon]
start = 2027-01-01
months = 6
[population]
members = 5_000
joins_per_month = 50
[behaviour]
lapse_per_month = 0.02
redeem_per_month = {{ beta = [2, 8] }}
redeem_share = 0.5
[behaviour.events_per_month]
"order.delivered" = 0.1
"app.checkin" = {{ mean = 2.0, dispersion = 1.5 }}
"""

#: One rule of no days: a plan that takes the month pass.
ACT = {
    "name": "act",
    "on": "act",
    "points": 10,
    "fund": "club",
    "unbounded": "accepted",
    "expires": {"months": 24, "round_to": "month"},
}
ONE_RULE = {
    "schema": 1,
    "name": "club",
    "timezone": "UTC",
    "funds": {"club": {}, "shop": {}},
    "earn": [ACT],
}
MONTHLY = {
    "horizon": {"start": date(2027, 1, 1), "months": 36},
    "population": {"members": 30_000},
    "behaviour": {"events_per_month": {"act": 1.0}},
}


def spec_of(program=None, rule=None, **changes):
    """Return what is simulated where one rule of no days is changed, its program, or tables of its plan."""
    tables = copy.deepcopy((MONTHLY, {**ONE_RULE, **(program or {})}))
    tables[1]["earn"][0] |= rule or {}
    for key, value in changes.items():
        tables[0][key] = {**tables[0].get(key, {}), **value}
    return Plan.from_tables(*tables).spec


def bytes_of(forecast):
    """Return what a forecast holds, as bytes."""
    return {name: values.tobytes() for name, values in forecast.data.items()} | {
        "active": forecast.active.tobytes(),
        "mean": forecast.mean("liability").tobytes(),
    }
