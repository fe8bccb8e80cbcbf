"""Plans: what is read, what is refused and where, and the knobs."""

import pytest
from plans import OWNER_CLUB, PLAN

from userops.errors import InvalidValue, PlanError
from userops.simulation import Plan


def faults(text):
    with pytest.raises(PlanError) as caught:
        Plan.load(text)
    return {fault.path: fault.message for fault in caught.value.exceptions}


def test_the_example_loads_from_its_folder():
    plan = Plan.load(OWNER_CLUB)
    assert plan.program.name == "owner-club"
    assert [group.name for group in plan.spec.groups] == ["fan", "owner"]


@pytest.mark.parametrize(
    ("was", "now", "path"),
    [
        ("months = 6\n", "months = 0\n", "horizon.months"),
        ("months = 6\n", "months = true\n", "horizon.months"),
        ("start = 2027-01-01", "start = 2027-01-01T00:00:00Z", "horizon.start"),
        ("members = 5_000", "members = -1", "population.members"),
        ("joins_per_month = 50", "joins_per_month = nan", "population.joins_per_month"),
        ("joins_per_month = 50", "joins_per_month = 1e400", "population.joins_per_month"),
        ("joins_per_month = 50", "joins_per_mnth = 50", "population.joins_per_mnth"),
        ("lapse_per_month = 0.02", "lapse_per_month = 1.5", "behaviour.lapse_per_month"),
        ("{ beta = [2, 8] }", "{ beta = [0, 8] }", "behaviour.redeem_per_month"),
        ("{ beta = [2, 8] }", "{ beta = [2] }", "behaviour.redeem_per_month"),
        ("{ beta = [2, 8] }", "{ bata = [2, 8] }", "behaviour.redeem_per_month"),
        ("{ beta = [2, 8] }", "{ normal = [0.2, -1] }", "behaviour.redeem_per_month"),
        ("{ beta = [2, 8] }", "{ normal = [0.5, 3] }", "behaviour.redeem_per_month"),
        ("{ beta = [2, 8] }", "{ lognormal = [0, 1] }", "behaviour.redeem_per_month"),
        ("start = 2027-01-01", "start = 2027-01-15", "horizon.start"),
        ("members = 5_000\njoins_per_month = 50", "members = 0", "population"),
        ("{ beta = [2, 8] }", "{ triangular = [0.3, 0.2, 0.5] }", "behaviour.redeem_per_month"),
        ("{ beta = [2, 8] }", "{ uniform = [0.5, 1.5] }", "behaviour.redeem_per_month"),
        ("{ beta = [2, 8] }", "{ empirical = [] }", "behaviour.redeem_per_month"),
        (
            '"order.delivered" = 0.1',
            '"order.delivered" = -0.1',
            "behaviour.events_per_month.'order.delivered'",
        ),
        (
            '"order.delivered" = 0.1',
            '"points.redeemed" = 0.1',
            "behaviour.events_per_month.'points.redeemed'",
        ),
        ("dispersion = 1.5", "dispersion = -1", "behaviour.events_per_month.'app.checkin'"),
        ("dispersion = 1.5", "disperson = 1", "behaviour.events_per_month.'app.checkin'"),
    ],
)
def test_a_fault_is_named_by_its_path(was, now, path):
    assert was in PLAN
    assert path in faults(PLAN.replace(was, now))


def test_a_plan_without_program_says_so():
    assert "program" in faults("[horizon]\nmonths = 3\n")


def test_knobs_turn_what_they_name():
    plan = Plan.load(PLAN)
    turned = plan.with_(
        **{
            "earn.delivery.points": 2_000,
            "funds.sales.budget.points": 5,
            "behaviour.events_per_month.order.delivered": 0.5,
            "behaviour.redeem_share": 1,
            "population.members": 7,
            "horizon.months": 3,
        }
    )
    assert turned.program.earn[0].points.points == 2_000
    assert turned.program.funds["sales"].budget.points == 5
    assert turned.spec.behaviours[""].events["order.delivered"].mean.values == (0.5,)
    assert turned.spec.groups[0].members == 7
    assert turned.spec.span.months == 3
    assert plan.program.earn[0].points.points == 1_000


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("earn.delivry.points", "earn.delivery.points"),
        ("funds.sale.budget.points", "funds.sales.budget.points"),
        ("horizon.month", "horizon.months"),
        ("behaviour.redem_share", "behaviour.redeem_share"),
    ],
)
def test_an_unknown_knob_says_what_was_meant(path, meant):
    with pytest.raises(InvalidValue, match=f"did you mean {meant!r}"):
        Plan.load(PLAN).with_(**{path: 1})


def test_a_knob_is_checked_like_the_file():
    with pytest.raises(PlanError):
        Plan.load(PLAN).with_(**{"behaviour.redeem_share": 2})


@pytest.mark.parametrize("count", [0, -1, True, 1.0, None])
def test_replications_and_seed_are_whole_numbers(count):
    with pytest.raises(InvalidValue):
        Plan.load(PLAN).simulate(seed=1, replications=count)
    if count != 0:
        with pytest.raises(InvalidValue):
            Plan.load(PLAN).simulate(seed=count, replications=1)


def test_a_fund_that_no_rule_uses_does_not_load_from_a_file_but_a_knob_may_leave_one():
    spare = PLAN.replace("[program.funds.community]", "[program.funds.comunity]\n[program.funds.community]")
    assert "did you mean 'community'?" in faults(spare)["program.funds.comunity"]
    moved = Plan.load(PLAN).with_(**{"earn.check-in.fund": "sales"})
    assert {rule.fund for rule in moved.program.earn} == {"sales"}
    with pytest.raises(InvalidValue, match="has no budget"):
        moved.solve("earn.delivery.points", fund="community", over_budget_at_most=0.1)
