"""50,000 or 20,000 points at purchase? Whose budget pays, and what if everybody redeems at once?

Run from the root of the repository. Small numbers of replications keep it quick; the seed makes it repeatable.
"""

from userops.simulation import Plan, PointsRun

plan = Plan.load("examples/owner_club.toml").with_(**{"horizon.months": 12})
small = {"seed": 7, "replications": 40, "sample": 200}

for points in (50_000, 20_000, 12_000):
    forecast = plan.with_(**{"earn.delivery.points": points}).simulate(**small)
    over = forecast.probability_over_budget("sales").overall
    verdict = "always" if over == 1 else "never" if over == 0 else "sometimes"
    print(f"{points:>6,} points at purchase: the sales budget is exceeded {verdict}")

calm = plan.simulate(**small)
run = plan.stress(PointsRun(month=12, share=0.4), **small)
worse = run.mean("redeemed")[11] / calm.mean("redeemed")[11]
print(
    f"a run of 40% of the members in month 12 redeems {'more' if worse > 1 else 'less'} than an ordinary month"
)
