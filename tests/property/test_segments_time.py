"""Laws of activity, retention, funnels, RFM and lifecycle on random histories."""

import itertools
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from userops import Event, F
from userops.core.calendar import local_day, zone
from userops.core.calendar import period as period_text
from userops.errors import InvalidValue, NaiveTimeError, UseropsError
from userops.segments import (
    Happening,
    LifecycleRules,
    Segment,
    Stage,
    active_states,
    funnel,
    lifecycle,
    retention,
    rfm,
    sbg,
    segment_map,
    standard_map,
    stickiness,
)
from userops.segments.occurrences import first_day, period_name, period_of, wall_clock

T0 = datetime(2027, 1, 1, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
EVENTS = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 24 * 120)), min_size=1, max_size=20)
PERIODS = st.sampled_from(["day", "week", "month", "year"])


def at(hours):
    return T0 + HOUR * hours


@given(
    st.integers(-(10**15), 4 * 10**15), PERIODS, st.sampled_from(["UTC", "Asia/Shanghai", "America/New_York"])
)
def test_periods_are_those_of_the_calendar(micros, period, name):
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    number = int(period_of(wall_clock(np.array([micros]), zone(name)), period)[0])
    assert period_name(number, period) == period_text(instant, period, zone(name))
    day = local_day(instant, zone(name))
    assert first_day(number, period) <= day < first_day(number + 1, period)


@given(
    EVENTS,
    PERIODS,
    st.sampled_from(["history", "window"]),
    st.integers(0, 60),
    st.integers(1, 70),
    st.sampled_from(["UTC", "Asia/Shanghai", "America/New_York"]),
)
def test_active_states_add_up(rows, period, new, first, length, place):
    events = [(m, at(h)) for m, h in rows]
    start, end = T0 + DAY * first, T0 + DAY * (first + length)
    found = active_states(events, period, start=start, end=end, new=new, timezone=place)
    assert (found.new + found.returning + found.resurrecting == found.active).all()
    assert (found.active[:-1] + found.dormant[1:] == found.returning[1:]).all()
    assert (found.dormant <= 0).all()
    utc = zone(place)
    inside = [(m, t) for m, t in events if start <= t < end]
    seen = inside if new == "window" else [(m, t) for m, t in events if t < end]
    for k, name in enumerate(found.periods):
        active = {m for m, t in inside if period_text(t, period, utc) == name}
        firsts = {m: min(period_text(t, period, utc) for n, t in seen if n == m) for m in active}
        assert found.active[k] == len(active)
        assert found.new[k] == sum(value == name for value in firsts.values())
    assert found.new.sum() <= len({m for m, _ in rows})


@given(EVENTS)
def test_the_default_window_holds_every_event(rows):
    events = [(m, at(h)) for m, h in rows]
    found = active_states(events, "month", new="history")
    assert found.new.sum() == len({m for m, _ in rows})
    columns = {
        "member": [m for m, _ in events],
        "at": np.array([t.replace(tzinfo=None) for _, t in events], "datetime64[us]"),
    }
    assert active_states(columns, "month", new="history").active.tolist() == found.active.tolist()
    values = [Event(f"e{k}", "visit", m, t) for k, (m, t) in enumerate(events)]
    assert active_states(values, "month", new="history").active.tolist() == found.active.tolist()


def plain_retention(events, start, end, period, cohort, define, clock):
    """Count retention one member and one cell at a time, with a calendar of dates."""
    numbers = {"day": 1, "week": 7}

    def number(t):
        if period in numbers:
            return (t.date().toordinal() + (6 if period == "week" else 0)) // numbers[period]
        return t.year * 12 + t.month if period == "month" else t.year

    def later(t, k):
        if period in numbers:
            return t + DAY * numbers[period] * k
        months = t.year * 12 + t.month - 1 + k * (1 if period == "month" else 12)
        year, month = divmod(months, 12)
        following = date(year + (month == 11), (month + 1) % 12 + 1, 1)
        last = (following - timedelta(days=1)).day
        return t.replace(year=year, month=month + 1, day=min(t.day, last))

    known = sorted((t, m) for m, t in events if t < end)
    # The period that `end` lies in is not over, or has not begun.
    last_whole = number(end) - 1
    cells = {}
    first, size = number(start), number(end - timedelta(microseconds=1)) - number(start) + 1
    for member in {m for _, m in known}:
        times = [t for t, m in known if m == member]
        anchors = {}
        for t in times:
            if t >= start:
                anchors.setdefault(number(t), t)
        if cohort == "first":
            anchors = {number(times[0]): times[0]} if times[0] >= start else {}
        for place, anchor in anchors.items():
            for k in range(size):
                if clock == "calendar":
                    can = place + k <= last_whole
                    there = any(number(t) == place + k for t in times)
                    after = any(number(t) >= place + k for t in times)
                else:
                    can = later(anchor, k + 1) <= end
                    there = any(later(anchor, k) <= t < later(anchor, k + 1) for t in times)
                    after = any(later(anchor, k) <= t for t in times)
                if can:
                    row = cells.setdefault((place - first, k), [0, 0])
                    row[0] += 1
                    row[1] += there if define == "on" else after
    return cells, size


@given(
    EVENTS,
    st.sampled_from(["week", "month"]),
    st.sampled_from(["recurring", "first"]),
    st.sampled_from(["on", "on_or_after"]),
    st.sampled_from(["rolling", "calendar"]),
    st.integers(0, 40),
    st.integers(1, 100),
)
def test_retention_is_the_plain_count(rows, period, cohort, define, clock, first, length):
    events = [(m, at(h)) for m, h in rows]
    start, end = T0 + DAY * first, T0 + DAY * (first + length)
    found = retention(events, period=period, start=start, end=end, cohort=cohort, define=define, clock=clock)
    cells, size = plain_retention(events, start, end, period, cohort, define, clock)
    assert found.retained.shape == (size, size)
    for (c, k), (eligible, retained) in cells.items():
        assert found.eligible[c, k] == eligible
        assert found.retained[c, k] == retained
    for c, k in itertools.product(range(size), repeat=2):
        if (c, k) not in cells:
            assert found.retained[c, k] is np.ma.masked or (found.eligible[c, k], found.retained[c, k]) == (
                0,
                0,
            )
        if c + k >= size:
            assert found.retained[c, k] is np.ma.masked
    for k in range(size):
        listed = [cell for (_, offset), cell in cells.items() if offset == k]
        if listed:
            assert found.overall[k] == pytest.approx(sum(r for _, r in listed) / sum(e for e, _ in listed))
        else:
            assert found.overall[k] is np.ma.masked
    assert str(found)


@given(EVENTS)
def test_everybody_is_there_at_the_start(rows):
    found = retention([(m, at(h)) for m, h in rows], period="month", clock="calendar")
    assert (found.rates[:, 0].compressed() == 1).all()


KINDS = st.sampled_from(["a", "b", "c", "x"])
STEPS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3)


@given(
    st.lists(st.tuples(KINDS, st.integers(0, 12)), max_size=7),
    STEPS,
    st.integers(1, 8),
    st.sampled_from(["strict", "any"]),
)
def test_a_funnel_is_the_best_of_all_choices_of_events(rows, steps, within, order):
    events = [("m", kind, T0 + DAY * d) for kind, d in rows]
    found = funnel(events, steps, within, order)
    best = 0
    for depth in range(1, len(steps) + 1):
        for chosen in itertools.permutations(range(len(rows)), depth):
            days = [rows[k][1] for k in chosen]
            fits = [rows[k][0] for k in chosen] == steps[:depth]
            in_order = order == "any" or days == sorted(days)
            if fits and in_order and max(days) - min(days) < within:
                best = depth
                break
    assert found.counts == tuple(int(k < best) for k in range(len(steps)))


def test_a_funnel_starts_at_any_first_step():
    events = [
        ("m", "lead", T0),
        ("m", "lead", T0 + 20 * DAY),
        ("m", "order", T0 + 22 * DAY),
        ("n", "order", T0),
    ]
    assert funnel(events, ["lead", "order"], 7).counts == (1, 1)
    assert funnel(events, ["lead", "order"], 2).counts == (1, 0)
    assert funnel([], ["lead"], 2).counts == (0,)


@given(EVENTS, st.integers(0, 60), st.integers(1, 60))
def test_stickiness_lies_between_one_day_and_all(rows, first, length):
    events = [(m, at(h)) for m, h in rows]
    start, end = T0 + DAY * first, T0 + DAY * (first + length)
    inside = [(m, t.date()) for m, t in events if start <= t < end]
    if not inside:
        with pytest.raises(InvalidValue):
            stickiness(events, start=start, end=end)
        return
    found = stickiness(events, start=start, end=end)
    assert found.value == pytest.approx(len(set(inside)) / length / len({m for m, _ in inside}))
    assert 1 / length - 1e-12 <= found.value <= 1


def test_a_window_may_open_within_a_period():
    # Active on 1 January, before the window, and in February: back again, not returning from January's window.
    found = active_states(
        [("a", T0), ("a", T0 + 31 * DAY)], "month", start=T0 + DAY, end=T0 + 59 * DAY, new="history"
    )
    assert (found.new.tolist(), found.returning.tolist(), found.resurrecting.tolist()) == (
        [0, 0],
        [0, 0],
        [0, 1],
    )
    assert found.dormant.tolist() == [0, 0]


def test_stickiness_is_of_the_last_month_by_default():
    events = [("a", T0), ("b", T0 + 40 * DAY), ("b", T0 + 41 * DAY)]
    assert stickiness(events).value == pytest.approx(2 / 28)


@pytest.mark.parametrize(
    "call",
    [
        lambda: active_states([("a", datetime(2027, 1, 1))], "day", new="history"),
        lambda: active_states([("a", date(2027, 1, 1))], "day", new="history"),
        lambda: active_states([("a", T0)], "hour", new="history"),
        lambda: active_states([("a", T0)], "day", new="all"),
        lambda: active_states([], "day", new="history"),
        lambda: active_states([("a", T0)], "day", new="history", start=T0, end=T0),
        lambda: active_states([("a",)], "day", new="history"),
        lambda: active_states([("a", T0)], "day", new="history", timezone="Mars/One"),
        lambda: active_states([("a", T0), (1, T0)], "day", new="history"),
        lambda: retention([("a", T0)], period="day", cohort="all"),
        lambda: retention([("a", T0)], period="day", clock="sundial"),
        lambda: retention([("a", T0)], period="day", define="in"),
        lambda: funnel([("a", "k", T0)], [], 3),
        lambda: funnel([("a", "k", T0)], "k", 3),
        lambda: funnel([("a", "k", T0)], ["k"], 0),
        lambda: funnel([("a", "k", T0)], ["k"], float("nan")),
        lambda: funnel([("a", "k", T0)], ["k"], 3, "loose"),
        lambda: rfm([], T0),
        lambda: rfm([("a", T0, float("nan"))], T0),
        lambda: rfm([("a", T0, True)], T0),
        lambda: rfm([("a", T0, "1")], T0),
        lambda: rfm([("a", T0, -5)], T0),
        lambda: rfm([("a", T0, Decimal("sNaN"))], T0),
        lambda: rfm([("a", T0, 5)], datetime(2027, 1, 1)),
        lambda: rfm([("a", T0, 5)], T0 - DAY),
        lambda: sbg([1000, 900]),
        lambda: sbg([1000, 1000, 1000]),
        lambda: sbg([1000, 1001, 900]),
        lambda: sbg([1000, 0, 0]),
        lambda: sbg([1000, 500, 250, 125]),
        lambda: sbg([1000, 900.5, 800]),
        lambda: sbg("123"),
    ],
)
def test_bad_histories_are_refused(call):
    with pytest.raises(UseropsError):
        call()


def test_naive_times_are_named():
    with pytest.raises(NaiveTimeError, match="time zone"):
        active_states([("a", datetime(2027, 1, 1))], "day", new="history")


AMOUNTS = st.one_of(
    st.integers(-50, 100),
    st.decimals(-50, 100, places=2),
)
ORDERS = st.lists(
    st.tuples(st.sampled_from("abcde"), st.integers(0, 24 * 40), AMOUNTS), min_size=1, max_size=20
)


@given(ORDERS, st.integers(1, 24 * 45), st.sampled_from(["UTC", "Asia/Shanghai"]))
def test_rfm_is_the_plain_count(rows, hours, name):
    as_of, tz = at(hours), zone(name)
    orders = [(m, at(h), amount) for m, h, amount in rows]
    known = [(m, t, x) for m, t, x in orders if t <= as_of]
    days = {m: {local_day(t, tz) for n, t, x in known if n == m and x >= 0} for m, _, _ in known}
    buyers = sorted(m for m, found in days.items() if found)
    if not buyers:
        with pytest.raises(InvalidValue):
            rfm(orders, as_of, name)
        return
    found = rfm(orders, as_of, name)
    assert found.member.tolist() == buyers
    assert found.set_aside == tuple(sorted(set(days) - set(buyers)))
    assert found.frequency.tolist() == [len(days[m]) - 1 for m in buyers]
    assert found.recency_days.tolist() == [(local_day(as_of, tz) - max(days[m])).days for m in buyers]
    assert found.value.tolist() == [sum(x for n, _, x in known if n == m) for m in buyers]
    for score, values, sign in (
        (found.r, found.recency_days, -1),
        (found.f, found.frequency, 1),
        (found.m, found.value, 1),
    ):
        pairs = sorted(zip([sign * v for v in values.tolist()], score.tolist(), strict=True))
        for (v, s), (w, t) in itertools.pairwise(pairs):
            assert s <= t
            assert v != w or s == t
        assert 1 <= score.min() <= score.max() <= 5
    assert len(found.thresholds["r"]) == 4


def test_rfm_scores_are_fifths_without_ties():
    found = rfm([(f"m{k:02}", T0 + DAY * k, 10 * k) for k in range(20)], T0 + 30 * DAY)
    assert found.r.tolist() == found.m.tolist() == [1 + k // 4 for k in range(20)]
    assert found.thresholds["m"] == (30, 70, 110, 150)
    assert set(found.f.tolist()) == {1}
    assert found.segments(standard_map()).counts()["unclaimed"] == 0


def test_floats_are_summed_without_loss():
    found = rfm([("a", T0, 0.1)] * 10, T0)
    assert found.value.tolist() == [1.0]


def test_segment_maps_are_total_and_disjoint():
    assert standard_map().unclaimed == ()
    assert standard_map().overlaps == ()
    with pytest.raises(InvalidValue, match="overlap"):
        segment_map([Segment("all", F("r") >= 1), Segment("best", F("r") == 5)])
    with pytest.raises(InvalidValue, match="unclaimed"):
        segment_map([Segment("best", F("r") == 5)])


@given(st.floats(0.3, 5), st.floats(0.3, 8), st.integers(4, 10))
def test_sbg_finds_the_greatest_likelihood(alpha, beta, years):
    from scipy.special import betaln

    def share(t):
        return float(np.exp(betaln(alpha, beta + t) - betaln(alpha, beta)))

    survivors = [round(10**7 * share(t)) for t in range(years)]
    model = sbg(survivors)
    assert (model.alpha, model.beta) == pytest.approx((alpha, beta), rel=0.05)
    assert model.survival(3) == pytest.approx(share(3), rel=1e-4)


HAPPENINGS = st.lists(
    st.tuples(
        st.sampled_from("mn"),
        st.sampled_from(["joined", "lead", "lost", "bought", "sold", "referred", "active"]),
        st.integers(0, 1_500),
        st.sampled_from(["car-1", "car-2"]),
        st.booleans(),
    ),
    max_size=14,
)
RULES = LifecycleRules(
    fan_days=60, lead_days=30, lost_lead_days=90, owner_days=400, ex_owner_days=120, warranty_months=12
)


def happenings(rows):
    return [Happening(m, kind, T0 + DAY * d, car, used) for m, kind, d, car, used in rows]


@given(HAPPENINGS, st.integers(0, 2_000))
def test_every_member_is_in_one_stage_at_every_instant(rows, days):
    as_of = T0 + DAY * days
    found = lifecycle(happenings(rows), as_of, rules=RULES)
    for member in {m for m, _, d, *_ in rows if d <= days}:
        spans = [span for span in found.spans if span.member == member]
        if not spans:
            # Only events that guards refused.
            assert all(r.why for r in found.refused if r.happening.member == member)
            continue
        assert spans[-1].end is None
        for one, other in itertools.pairwise(spans):
            assert one.start < one.end == other.start
            assert one.stage is not other.stage
        assert found.stage[member] is spans[-1].stage
        assert found[member].score == sum(found[member].contributions.values())


@given(HAPPENINGS, st.integers(0, 1_000), st.integers(1, 1_000))
def test_stocks_and_flows_agree(rows, first, length):
    start, end = T0 + DAY * first, T0 + DAY * (first + length)
    found = lifecycle(happenings(rows), end, rules=RULES)
    flows = found.flows(start, end)
    for stage in Stage:
        assert flows.opening[stage] + flows.entered(stage) - flows.left(stage) == flows.closing[stage]
    assert sum(flows.closing.values()) == len(found.stage)
    assert flows.opening == found.counts(start)


@given(HAPPENINGS, st.integers(0, 2_000), st.randoms())
def test_the_order_of_rows_is_irrelevant_and_the_past_is_fixed(rows, days, random):
    as_of = T0 + DAY * days
    events = happenings(rows)
    found = lifecycle(events, as_of, rules=RULES)
    random.shuffle(events)
    assert lifecycle(events, as_of, rules=RULES).spans == found.spans
    later = lifecycle(events, as_of + 500 * DAY, rules=RULES)
    assert dict(found.stage) == later.at(as_of)


@given(HAPPENINGS)
def test_owners_own_and_nobody_else_does(rows):
    as_of = T0 + 2_000 * DAY
    found = lifecycle(happenings(rows), as_of, rules=RULES)
    for member in found.stage:
        cars = set()
        for event in sorted(
            (e for e in happenings(rows) if e.member == member),
            key=lambda e: (
                e.at,
                ["joined", "lead", "lost", "bought", "sold"].index(e.kind)
                if e.kind in ("bought", "sold")
                else 9,
                e.vehicle,
                e.used,
            ),
        ):
            if event.kind == "bought":
                cars.add(event.vehicle)
            elif event.kind == "sold":
                cars.discard(event.vehicle)
        stage = found.stage[member]
        if stage.owns:
            assert cars
        else:
            assert not cars or stage is Stage.LAPSED


def stages_of(*rows, days=3_000, rules=None):
    events = [(member, kind, T0 + DAY * d, *rest) for member, kind, d, *rest in rows]
    found = lifecycle(events, T0 + DAY * days, rules=rules or LifecycleRules())
    return [(span.stage.value, (span.start - T0).days) for span in found.spans]


def test_a_lead_is_lost_reactivated_and_buys():
    assert stages_of(
        ("a", "joined", 0), ("a", "lead", 5), ("a", "lead", 200), ("a", "bought", 220, "car"), days=230
    ) == [
        ("fan", 0),
        ("lead", 5),
        ("lost lead", 95),
        ("reactivated lead", 200),
        ("owner", 220),
    ]


def test_a_stage_has_ended_at_the_instant_of_its_timeout():
    assert stages_of(("a", "lead", 0), days=90)[-1] == ("lost lead", 90)
    assert stages_of(("a", "lead", 0), days=89) == [("lead", 0)]
    # An event at that very instant finds the lead lost already.
    assert stages_of(("a", "lead", 0), ("a", "lead", 90), days=91) == [("lead", 0), ("reactivated lead", 90)]


def test_owners_run_out_of_warranty_and_lapse():
    assert stages_of(("a", "bought", 0, "car"), ("a", "active", 1_000), days=1_800) == [
        ("owner", 0),
        ("lapsed", 730),
        ("owner", 1_000),
        ("owner out of warranty", 1_096),
        ("lapsed", 1_730),
    ]


def test_out_and_back_within_one_instant_is_one_span():
    rows = [("a", "bought", 0, "one"), ("a", "referred", 0), ("a", "bought", 1, "two"), ("a", "referred", 1)]
    assert stages_of(*rows, days=2) == [("referrer", 0)]


def test_repeat_buyers():
    assert stages_of(
        ("a", "bought", 0, "one"), ("a", "bought", 50, "two"), ("a", "sold", 60, "one"), days=61
    ) == [
        ("owner", 0),
        ("additional buyer", 50),
        ("replacement buyer", 60),
    ]
    assert stages_of(
        ("a", "bought", 0, "one"), ("a", "sold", 10, "one"), ("a", "bought", 50, "two"), days=61
    )[1:] == [
        ("ex-owner", 10),
        ("replacement buyer", 50),
    ]


def test_used_cars_and_referrers():
    events = [
        Happening("a", "bought", T0, "car", used=True, warranty_until=T0 + 9 * DAY),
        Happening("a", "referred", T0 + 20 * DAY),
        Happening("b", "referred", T0),
        Happening("b", "sold", T0, "car"),
        Happening("b", "lost", T0),
    ]
    found = lifecycle(events, T0 + 30 * DAY)
    assert [span.stage.value for span in found.spans] == [
        "used-car owner",
        "used-car owner out of warranty",
        "referrer",
    ]
    assert len(found.refused) == 3
    assert found.label(lang="zh") == {"a": "推荐人"}
    values = [
        Event("e", "order.delivered", "a", T0, "car", data={"used": True, "warranty_until": T0 + 9 * DAY})
    ]
    assert lifecycle(values, T0, kinds={"order.delivered": "bought"}).stage["a"] is Stage.USED_CAR_OWNER
    columns = {
        "member": ["a"],
        "kind": ["bought"],
        "at": np.array(["2027-01-01"], "datetime64[D]"),
        "vehicle": ["car"],
        "used": [True],
    }
    assert lifecycle(columns, T0 + DAY).stage["a"] is Stage.USED_CAR_OWNER


@pytest.mark.parametrize(
    "call",
    [
        lambda: lifecycle([("a", "sneezed", T0)], T0),
        lambda: lifecycle([("a", "bought", T0)], T0),
        lambda: lifecycle([("a", "lead", datetime(2027, 1, 1))], T0),
        lambda: lifecycle([3], T0),
        lambda: lifecycle([], T0, kinds={"a": "b"}),
        lambda: lifecycle([], T0, others="maybe"),
        lambda: lifecycle({"member": ["a"]}, T0),
        lambda: LifecycleRules(lead_days=0),
        lambda: LifecycleRules(timezone="nowhere"),
        lambda: lifecycle([("a", "lead", T0)], T0).at(T0 + DAY),
    ],
)
def test_bad_journeys_are_refused(call):
    with pytest.raises(UseropsError):
        call()
