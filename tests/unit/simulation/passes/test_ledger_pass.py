"""What members do in a plan beside earning: they invite, become owners, cancel, spend by rules; against closed forms."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from userops.core.commands import Expire
from userops.errors import InvalidValue, PlanError
from userops.points import Ledger
from userops.simulation import Plan, calibrate

PLAN = """
[program]
schema = 1
name = "club"
[program.funds.sales]
unit_cost = "0.10"
[program.funds.club]
unit_cost = "0.10"
[[program.earn]]
name = "order"
on = "order.paid"
points = 100
fund = "sales"
unbounded = "accepted"
#rule
#tables
[horizon]
start = 2027-01-01
months = 12
[population]
members = 300
[behaviour]
#behaviour
[behaviour.events_per_month]
"order.paid" = 0.5
#events
"""
UNUSED = '[program.funds.club]\nunit_cost = "0.10"\n'


def plan_of(**parts):
    """Return the plan with lines put in at its marks, and what `was` replaced by `now`."""
    text = PLAN
    for was, now in parts.pop("turned", {}).items():
        assert was in text
        text = text.replace(was, now)
    for mark, lines in parts.items():
        assert f"#{mark}\n" in text
        text = text.replace(f"#{mark}\n", f"{lines}\n")
    if 'fund = "club"' not in text:
        text = text.replace(UNUSED, "")  # A fund that no rule uses does not load.
    return Plan.load(text)


def assert_mean(values, expected):
    """Hold the mean over replications to what is expected, within 4 standard errors."""
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    assert (np.abs(values.mean(axis=0) - expected) <= 4 * error + 1e-9).all(), (values.mean(axis=0), expected)


MONTHS = np.arange(12)


def test_invitations_bring_members_who_invite_in_turn():
    """Each brings 0.05 a month from the month of joining on, who join the month after: growth by 1.05 a month."""
    plan = plan_of(events="[behaviour.referrals]\nper_month = 0.05")
    forecast = plan.simulate(seed=1, replications=60, sample=None)
    assert_mean(forecast.active[:, :, 0], 300 * 1.05**MONTHS)


def test_invitations_by_one_group_into_another_grow_in_a_line():
    groups = "[population.owner]\nmembers = 300\n[population.fan]\nmembers = 0"
    plan = plan_of(
        turned={"[population]\nmembers = 300": groups},
        events='[behaviour.owner.referrals]\nper_month = { mean = 0.05, dispersion = 2 }\ninto = "fan"',
    )
    forecast = plan.simulate(seed=1, replications=60, sample=None)
    assert_mean(forecast.active[:, :, 1], 15.0 * MONTHS)


def test_seasons_scale_what_happens_in_their_months():
    season = [0, 1, 2, 0.5, 1, 1, 3, 1, 1, 0, 1, 4]
    plan = plan_of(behaviour=f"seasonality = {season}")
    forecast = plan.simulate(seed=2, replications=80, sample=None)
    assert_mean(forecast.data["issued"].sum(axis=(1, 3)), 300 * 0.5 * 100 * np.array(season))


def test_fans_become_owners_and_both_lapse():
    groups = (
        '[population.fan]\nmembers = 300\nbecomes = { group = "owner", per_month = 0.1 }\n[population.owner]'
    )
    plan = plan_of(
        turned={"[population]\nmembers = 300": f"{groups}\nmembers = 0"},
        behaviour="lapse_per_month = 0.05\n[behaviour.owner]\nlapse_per_month = 0",
    )
    forecast = plan.simulate(seed=3, replications=80, sample=None)
    stay = 0.95 * 0.9
    assert_mean(forecast.active[:, :, 0], 300 * stay**MONTHS)
    # Those who would do both in one month lapse.
    became = 300 * 0.95 * 0.1 * np.concatenate([[0], np.cumsum(stay ** MONTHS[:-1])])
    assert_mean(forecast.active[:, :, 1], became)


def test_a_share_of_what_is_bought_is_sent_back():
    plan = plan_of(behaviour='cancelled = { "order.paid" = { share = 0.2, after_days = 0 } }')
    forecast = plan.simulate(seed=4, replications=20, sample=100)
    issued, back = (forecast.data[name].sum(axis=(1, 3)) for name in ("issued", "clawed_back"))
    assert_mean(back, 300 * 0.5 * 100 * 0.2)
    assert_mean(back - 0.2 * issued, 0.0)
    assert np.array_equal(
        forecast.parts("outstanding", None)[:, :, -1].sum(axis=1), (issued - back).sum(axis=1)
    )


def test_sent_back_half_an_amount_takes_half_the_points():
    behaviour = 'cancelled = { "order.paid" = { share = 1, after_days = 1, part = 0.5 } }'
    plan = plan_of(behaviour=behaviour, events='[behaviour.data."order.paid"]\namount = 10')
    columns = plan.trace(members=20, seed=1).to_columns()
    assert columns["clawed_back"].sum() > 0
    late = {
        event.amount for event in plan.trace(members=20, seed=1).events if event.kind.endswith("cancelled")
    }
    assert late == {5}
    issued, back = columns["issued"].sum(), columns["clawed_back"].sum()
    # What is cancelled after the horizon is not: a day's orders at most.
    assert issued / 2 - 500 <= back <= issued / 2


def test_what_comes_back_to_a_budget_is_asked_no_more():
    """A month's orders are near 15,000 points and half of them return at once: a budget of 12,000 would do."""
    turned = {
        '[program.funds.sales]\nunit_cost = "0.10"': '[program.funds.sales]\nbudget = { points = 12_000, per = "month" }'
    }
    behaviour = 'cancelled = { "order.paid" = { share = 1, after_days = 0 } }'
    kept = plan_of(turned=turned).simulate(seed=5, replications=2, sample=None)
    back = plan_of(turned=turned, behaviour=behaviour).simulate(seed=5, replications=2, sample=None)
    assert kept.probability_over_budget("sales").overall == 1.0
    assert back.probability_over_budget("sales").overall == 0.0
    assert back.data["refused"].sum() == 0
    assert back.data["issued"].sum() > 12 * 2 * 12_000
    assert (back.data["clawed_back"].sum(axis=(1, 3)) == back.data["issued"].sum(axis=(1, 3))).all()


REFERRAL = """[program.funds.referral]
unit_cost = "0.10"
budget = {{ points = {budget}, per = "year" }}
[program.referral]
milestones = {{ "order.paid" = 1_000 }}
fund = "referral\""""
INVITING = "[behaviour.referrals]\nper_month = 0.02"


def test_a_scheme_pays_for_what_invitees_reach():
    """Invitees are 300 · (1.02^t - 1) in month t; each reaches the milestone half a time a month."""
    plan = plan_of(tables=REFERRAL.format(budget=10**9), events=INVITING)
    forecast = plan.simulate(seed=6, replications=60, sample=None)
    paid = forecast.rule_issued[:, :, 1]
    assert forecast.setting.rules == ("order", "referral")
    assert_mean(paid, 1_000 * 0.5 * 300 * (1.02**MONTHS - 1))
    assert np.array_equal(paid, forecast.data["issued"][:, :, :, 1].sum(axis=1))


def test_a_schemes_budget_binds_and_what_it_refuses_is_asked():
    plan = plan_of(tables=REFERRAL.format(budget=40_000), events=INVITING)
    free = plan_of(tables=REFERRAL.format(budget=10**9), events=INVITING)
    forecast, all_ = (one.simulate(seed=6, replications=4, sample=None) for one in (plan, free))
    assert forecast.bound.all()
    assert (forecast.total("issued", "referral") <= 40_000).all()
    assert np.array_equal(forecast.data["issued"] + forecast.data["refused"], all_.data["issued"])
    assert forecast.probability_over_budget("referral").overall == 1.0


def test_a_sample_with_a_scheme_stands_for_the_population():
    """A budget, and a cap of the scheme for all referrers, are those of the population, whatever is sampled."""
    tables = (
        REFERRAL.format(budget=30_000) + '\ncaps = [{ points = 20_000, per = "lifetime", scope = "program" }]'
    )
    plan = plan_of(tables=tables, events=INVITING, turned={"members = 300": "members = 1_200"})
    forecast = plan.simulate(seed=7, replications=6, sample=300)
    paid = forecast.data["issued"][:, :, :, 1].sum(axis=(1, 2))
    assert (paid <= 20_000).all()
    assert (paid > 15_000).all()


def test_workers_and_blocks_do_not_change_the_figures():
    behaviour = 'redeem_per_month = 0.3\ncancelled = { "order.paid" = 0.1, "points.redeemed" = 0.2 }'
    plan = plan_of(behaviour=behaviour, tables=REFERRAL.format(budget=50_000), events=INVITING)
    here = plan.simulate(seed=8, replications=4, sample=100)
    with ThreadPoolExecutor(2) as executor:
        there = plan.simulate(seed=8, replications=4, sample=100, executor=executor)
    assert all(np.array_equal(here.data[name], there.data[name]) for name in here.data)
    again = plan.simulate(seed=8, replications=2, sample=100)
    assert all(np.array_equal(here.data[name][:2], again.data[name]) for name in here.data)


SPENDING = """[[program.earn]]
name = "visit"
on = "app.visit"
points = 50
fund = "club"
unbounded = "accepted"
[[program.redeem]]
name = "gift"
on = "gift.ordered"
points = 70
sink = "gifts"
[program.sinks.repair]
funds = ["club"]
share_at_most = "0.5\""""


def test_a_narrow_sink_takes_the_points_of_its_funds_for_its_share_of_the_bill():
    behaviour = 'redeem_per_month = 1\nsink = "repair"\ndata = { "points.redeemed" = { bill = 60 } }'
    plan = plan_of(rule=SPENDING, behaviour=behaviour, events='"app.visit" = 1')
    trace = plan.trace(members=30, seed=1)
    redeemed = [event for event in trace.events if event.kind == "points.redeemed"]
    assert redeemed
    assert {event.amount for event in redeemed} <= set(range(1, 31))
    assert {event.data["bill"] for event in redeemed} == {60}
    columns = trace.to_columns()
    assert columns["redeemed"][columns["fund"] == "sales"].sum() == 0
    assert columns["redeemed"].sum() == sum(event.amount for event in redeemed)


def test_gifts_are_had_by_those_who_can_pay_for_them():
    plan = plan_of(rule=SPENDING, events='"gift.ordered" = 1')
    trace = plan.trace(members=30, seed=2)
    ledger = Ledger.in_memory()
    outcomes = [
        o for decision in trace.post(plan.program, ledger) for o in decision.outcomes if o.rule == "gift"
    ]
    paid = [outcome for outcome in outcomes if outcome.receipts]
    assert 0 < len(paid) < len(outcomes)
    assert trace.to_columns()["redeemed"].sum() == 70 * len(paid)


def test_stock_bounds_what_rules_spend_and_what_is_redeemed_beside_them():
    parts = {"rule": SPENDING, "events": '"gift.ordered" = 0.5\n[stock]\npoints_per_month = 2_000'}
    gifts = plan_of(**parts).simulate(seed=9, replications=2, sample=None)
    free = plan_of(rule=SPENDING, events='"gift.ordered" = 0.5').simulate(seed=9, replications=2, sample=None)
    assert (free.data["redeemed"].sum(axis=(1, 3))[:, 2:] > 2_000).all()
    assert (gifts.data["redeemed"].sum(axis=(1, 3))[:, 2:] == 2_000 // 70 * 70).all()
    assert (gifts.unserved[:, 2:] > 0).all()
    beside = plan_of(behaviour="redeem_per_month = 0.9", **parts)
    both = beside.simulate(seed=9, replications=2, sample=None).data["redeemed"].sum(axis=(1, 3))
    # Rules spend first; members have what is left of the stock.
    assert (both <= 2_000).all()
    assert (both[:, -1] > 1_930).all()


def test_the_cash_floor_binds_rules_that_spend():
    cash = "[cash]\nopening = 100\nper_month = 50\nfloor = 0"
    plan = plan_of(rule=SPENDING, events=f'"gift.ordered" = 0.5\n{cash}')
    forecast = plan.simulate(seed=9, replications=2, sample=None)
    paid = 0.1 * forecast.data["redeemed"].sum(axis=(1, 3)).cumsum(axis=1)
    assert (paid <= 100 + 50 * np.arange(1, 13)).all()
    assert (paid[:, -1] > 100 + 50 * 12 - 7.01).all()
    assert (forecast.unserved[:, 1:].sum(axis=1) > 0).all()


def test_what_was_not_ordered_is_no_event_of_the_trace():
    events = '"gift.ordered" = 0.5\n[stock]\npoints_per_month = 400'
    plan = plan_of(rule=SPENDING, events=events, behaviour="redeem_per_month = 0.2")
    trace, ledger = plan.trace(members=60, seed=3), Ledger.in_memory()
    trace.post(plan.program, ledger)
    columns = trace.to_columns()
    by_month = columns["redeemed"].reshape(12, -1).sum(axis=1)
    assert (by_month <= 400).all()
    assert 0 < by_month.sum()
    for row in ledger.funding(trace.ends_at):
        mine = columns["fund"] == row.fund
        assert [row.issued, row.redeemed, row.expired] == [
            columns[name][mine].sum() for name in ("issued", "redeemed", "expired")
        ]
        assert row.outstanding == columns["outstanding"][mine][-1]


def test_expiry_by_inactivity_waits_for_the_idle():
    rule = "expires = { inactive_months = 2 }\n"
    plan = plan_of(turned={'unbounded = "accepted"\n': f'unbounded = "accepted"\n{rule}'})
    forecast = plan.simulate(seed=10, replications=2, sample=None)
    plain = plan_of(turned={'unbounded = "accepted"\n': 'unbounded = "accepted"\nexpires = { months = 2 }\n'})
    gone = plain.simulate(seed=10, replications=2, sample=None)
    assert np.array_equal(forecast.data["issued"], gone.data["issued"])
    assert 0 < forecast.data["expired"].sum() < gone.data["expired"].sum()


def test_a_trace_is_posted_with_its_credits():
    plan = plan_of(
        behaviour='redeem_per_month = 0.5\ncancelled = { "order.paid" = 0.2 }',
        tables=REFERRAL.format(budget=20_000),
        events=INVITING,
    )
    trace = plan.trace(members=60, seed=3)
    ledger = Ledger.in_memory()
    trace.post(plan.program, ledger)
    ledger.post(Expire(at=trace.ends_at))
    rows = {row.fund: row for row in ledger.funding(trace.ends_at)}
    columns = trace.to_columns()
    assert trace.is_bound
    assert len(trace.credits) > 10
    for name in ("issued", "redeemed", "clawed_back"):
        for fund in ("sales", "referral"):
            assert columns[name][columns["fund"] == fund].sum() == getattr(rows[fund], name)


@pytest.mark.parametrize(
    "terms", ["expires = { days = 40 }\nvest = { days = 9 }", "expires = { months = 1 }", ""]
)
def test_credits_among_grants_are_redeemed_and_expire_as_in_the_ledger(terms):
    """No member cancels, and no budget binds: all goes in columns, credits too."""
    plan = plan_of(
        behaviour="redeem_per_month = 0.4\nredeem_balance = 50",
        tables=f"{REFERRAL.format(budget=10**9)}\n{terms}",
        events=INVITING,
    )
    trace = plan.trace(members=60, seed=3)
    ledger = Ledger.in_memory()
    trace.post(plan.program, ledger)
    columns = trace.to_columns()
    assert len(trace.credits) > 50
    for row in ledger.funding(trace.ends_at):
        for name in ("issued", "redeemed", "expired", "outstanding"):
            found = columns[name][columns["fund"] == row.fund]
            assert (found[-1] if name == "outstanding" else found.sum()) == getattr(row, name)


def test_a_grant_is_solved_for_beside_cancellations_and_a_scheme():
    turned = {
        '[program.funds.sales]\nunit_cost = "0.10"': '[program.funds.sales]\nbudget = { points = 100_000, per = "year" }'
    }
    behaviour = 'cancelled = { "order.paid" = { share = 0.5, after_days = 0 } }'
    parts = {"turned": turned, "events": '"app.visit" = 0.1'}
    kept, back = (
        plan.solve("earn.order.points", fund="sales", over_budget_at_most=0.1, replications=4, sample=25)
        for plan in (plan_of(**parts), plan_of(**parts, behaviour=behaviour))
    )
    assert 1.6 < back.points / kept.points < 2.5
    scheme = plan_of(tables=REFERRAL.format(budget=10**5), events=INVITING)
    with pytest.raises(InvalidValue, match="has no budget"):
        scheme.solve("earn.order.points", fund="sales", over_budget_at_most=0.1)


def test_a_share_that_is_cancelled_is_a_knob():
    plan = plan_of(behaviour='[behaviour.cancelled]\n"order.paid" = 0.1')
    turned = plan.with_(**{"behaviour.cancelled.order.paid": 0.4})
    assert turned.spec.behaviours[""].cancelled["order.paid"].share.values == (0.4,)
    unsure = plan_of(behaviour='[behaviour.cancelled]\n"order.paid" = { uniform = [0.1, 0.3] }')
    assert unsure.spec.uncertain == ["behaviour.cancelled.order.paid"]


def test_what_was_taken_back_is_calibrated():
    behaviour = '[behaviour.cancelled]\n"order.paid" = { share = 0.3, after_days = 2 }'
    plan = plan_of(behaviour=behaviour)
    trace = plan.trace(members=200, seed=4)
    fitted = calibrate(trace.events, plan_of(), as_of=trace.ends_at)
    how = fitted.spec.behaviours[""].cancelled["order.paid"]
    orders = sum(event.kind == "order.paid" for event in trace.events)
    assert abs(how.share.mean() - 0.3) < 4 * (0.3 * 0.7 / orders) ** 0.5 + 0.01
    assert how.share.is_uncertain
    # Where a plan says when, that stays.
    kept = calibrate(trace.events, plan, as_of=trace.ends_at).spec.behaviours[""].cancelled["order.paid"]
    assert kept.after_days.values == (2.0,)
    # What is taken back is nothing that members do: the rates are those of a history without it.
    done = [event for event in trace.events if not event.kind.endswith("cancelled")]
    plain = calibrate(done, plan_of(), as_of=trace.ends_at)
    assert fitted.spec.behaviours[""].events == plain.spec.behaviours[""].events
    assert fitted.spec.behaviours[""].lapse == plain.spec.behaviours[""].lapse


def test_a_forecast_says_what_was_taken_back():
    plan = plan_of(behaviour='[behaviour.cancelled]\n"order.paid" = 0.3')
    assert "Cancellations took" in str(plan.simulate(seed=1, replications=2, sample=20))
    assert "Cancellations" not in str(plan_of().simulate(seed=1, replications=2, sample=20))


@pytest.mark.parametrize(
    ("parts", "path", "words"),
    [
        (
            {"behaviour": 'cancelled = { "order.payd" = 0.1 }'},
            "behaviour.cancelled.'order.payd'",
            "no such events",
        ),
        (
            {"behaviour": 'cancelled = { "order.paid" = 2 }'},
            "behaviour.cancelled.'order.paid'",
            "between 0 and 1",
        ),
        (
            {"behaviour": 'cancelled = { "order.paid" = { share = nan } }'},
            "behaviour.cancelled.'order.paid'",
            "share",
        ),
        (
            {"behaviour": 'cancelled = { "order.paid" = { part = 1 } }'},
            "behaviour.cancelled.'order.paid'",
            "share",
        ),
        (
            {"behaviour": 'cancelled = { "order.paid" = { share = 1, after = 3 } }'},
            "behaviour.cancelled.'order.paid'",
            "not after",
        ),
        (
            {"behaviour": 'cancelled = { "order.paid" = { share = 1, after_days = -1 } }'},
            "behaviour.cancelled.'order.paid'",
            "after_days",
        ),
        (
            {"behaviour": 'cancelled = { "order.paid.cancelled" = 1 }'},
            "behaviour.cancelled.'order.paid.cancelled'",
            "is a cancellation itself",
        ),
        (
            {"events": '"order.paid.cancelled" = 1'},
            "behaviour.events_per_month.'order.paid.cancelled'",
            "[behaviour.cancelled]",
        ),
        ({"rule": SPENDING, "behaviour": 'sink = "repair"'}, "behaviour.sink", "state the bill"),
        (
            {"behaviour": 'data = { "points.redeemed" = { shop = "a" } }'},
            "behaviour.data.'points.redeemed'",
            "only bill",
        ),
        (
            {"rule": SPENDING.replace('sink = "gifts"', 'sink = "repair"'), "events": '"gift.ordered" = 1'},
            "behaviour",
            "state bill",
        ),
    ],
)
def test_a_fault_of_what_members_take_back_or_spend_is_named_by_its_path(parts, path, words):
    with pytest.raises(PlanError) as caught:
        plan_of(**parts)
    found = {fault.path: fault.message for fault in caught.value.exceptions}
    assert words in found[path]


@pytest.mark.parametrize("spelling", ["month_end", "days", "mixed funds"])
def test_points_that_are_still_to_come_do_not_press(spelling):
    # Columns know all grants of the horizon beforehand; members are moved by what they have.
    brief = (
        "expires = { months = 1, round_to = 'month' }"
        if spelling == "month_end"
        else "expires = { days = 40 }"
    )
    gift = f"""[[program.earn]]
name = "gift"
on = "gift.ordered"
points = 60
fund = "{"club" if spelling == "mixed funds" else "sales"}"
{brief}
{"" if spelling == "month_end" else "activates = { days = 20 }"}
unbounded = "accepted"
"""
    never = """[[program.redeem]]
name = "never"
on = "gift.ordered"
when = { moon = "blue" }
points = 70
sink = "gifts"
"""
    kept = 'fund = "sales"\nunbounded = "accepted"\n'
    shared = {
        "turned": {kept: f"{kept}expires = {{ months = 9, round_to = 'month' }}\n"},
        "events": '"gift.ordered" = 0.4\n[stock]\npoints_per_month = 1_000_000_000',
        "behaviour": "redeem_per_month = 0.3\nredeem_share = 0.5\nnear_expiry = 3",
    }
    columns, lived = (
        plan_of(rule=gift + more, **shared).simulate(seed=4, replications=1, sample=None)
        for more in ("", never)
    )
    assert np.array_equal(columns.data["redeemed"], lived.data["redeemed"])
    assert np.array_equal(columns.data["expired"], lived.data["expired"])
    assert columns.data["redeemed"].sum() > 0
