"""Plans that several tests use."""

PROGRAM = """
[program]
schema = 1
name = "club"
timezone = "Asia/Shanghai"
[program.funds.sales]
unit_cost = "0.10"
budget = { points = 3_000_000, per = "year" }
[program.funds.community]
unit_cost = "0.10"
[[program.earn]]
name = "delivery"
on = "order.delivered"
points = 1_000
fund = "sales"
expires = { months = 12, round_to = "month" }
cap = [{ times = 1, per = "reference" }]
[[program.earn]]
name = "check-in"
on = "app.checkin"
points = { streak = [1, 1, 2], of = "day" }
fund = "community"
expires = { months = 6, round_to = "month" }
cap = [{ times = 1, per = "day" }, { shared = "basics" }]
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
