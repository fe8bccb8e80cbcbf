"""Audits, playbooks, labels, comparisons of activities, and tables from any data frame."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from userops import F
from userops.errors import InvalidValue, UseropsError
from userops.segments import (
    PRECEDENCE,
    Action,
    Case,
    ClosedLoop,
    Label,
    Playbook,
    Segment,
    SegmentSet,
    Stage,
    activities,
    compensation_audit,
    complaining_users,
    label,
    outreach,
    resolve,
    rfm,
    seed_users,
    service_audit,
    tie_strength,
    typical_users,
)

T0 = datetime(2027, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def compensated(follows, seed=1, n=80):
    """Cases whose compensation follows loudness or severity; the two are unrelated."""
    rng = np.random.default_rng(seed)
    severity, loud = rng.integers(1, 5, n), rng.integers(1, 6, n)
    paid = (loud if follows == "loudness" else severity) * 100 + rng.integers(0, 80, n)
    cases = [Case(f"c{k}", f"m{k}", int(severity[k]), T0, compensation=int(paid[k])) for k in range(n)]
    return cases, {f"c{k}": float(loud[k]) for k in range(n)}


@pytest.mark.parametrize("follows", ["loudness", "severity"])
def test_the_compensation_audit_finds_what_compensation_follows(follows):
    cases, loudness = compensated(follows)
    found = compensation_audit(cases, T0, loudness=loudness, draws=300)
    beside = found.beside["severity, loudness held equal"]
    if follows == "loudness":
        assert found.effect > 0.8
        assert found.p_value < 0.01
        assert found.interval[0] > 0.6
    else:
        assert abs(found.effect) < 0.3 < 0.8 < beside
        assert found.p_value > 0.05
    assert found.interval[0] <= found.effect <= found.interval[1]
    assert found.seed == 0
    again = compensation_audit(cases, T0, loudness=loudness, draws=300)
    assert (again.p_value, again.interval) == (found.p_value, found.interval)
    assert "severity" in str(found)


def test_severity_that_loudness_only_copies_is_no_evidence():
    # Severe cases are loud and are paid more: held equal, nothing is left.
    cases = [Case(f"c{k}", f"m{k}", k % 4 + 1, T0, compensation=(k % 4) * 100) for k in range(40)]
    found = compensation_audit(cases, T0, loudness={f"c{k}": k % 4 for k in range(40)}, draws=99)
    assert found.effect == 0.0
    assert found.p_value == 1.0


def test_loudness_by_default_counts_how_often_a_member_was_heard():
    cases = [Case(f"a{k}", "ann", 2, T0, compensation=500) for k in range(6)]
    cases += [Case(f"b{k}", f"m{k}", 2, T0, compensation=10) for k in range(6)]
    assert compensation_audit(cases, T0, draws=99).effect == pytest.approx(1.0)


def served(east, west, n=40):
    cases = []
    for k in range(2 * n):
        region, share = ("east", east) if k % 2 else ("west", west)
        late = (k // 2) % 10 >= share * 10
        cases.append(
            Case(f"c{k}", f"m{k}", k % 3, T0, answered_at=T0 + (9 if late else 1) * DAY, region=region)
        )
    return cases


def test_the_service_audit_compares_regions():
    apart = service_audit(served(0.9, 0.4), T0 + 30 * DAY, draws=300)
    assert apart.effect == pytest.approx(0.5)
    assert apart.p_value < 0.01
    assert apart.interval[0] > 0.2
    assert {name: round(float(share), 2) for name, share in apart.beside.items()} == {
        "east": 0.9,
        "west": 0.4,
    }
    alike = service_audit(served(0.7, 0.7), T0 + 30 * DAY, draws=300)
    assert alike.effect == pytest.approx(0.0, abs=1e-12)
    assert alike.p_value == 1.0


def test_cases_whose_time_has_not_run_out_are_set_aside():
    cases = [*served(0.9, 0.4), Case("new", "m", 1, T0 + 29 * DAY, region="west")]
    assert service_audit(cases, T0 + 30 * DAY, draws=99).n == 80


@pytest.mark.parametrize(
    "call",
    [
        lambda: compensation_audit([], T0),
        lambda: compensation_audit([Case(f"c{k}", "m", 1, T0) for k in range(9)], T0),
        lambda: compensation_audit(compensated("severity")[0], T0, loudness={}),
        lambda: compensation_audit(*compensated("severity"), loudness={}),
        lambda: service_audit(served(0.5, 0.5), T0),
        lambda: service_audit([Case(f"c{k}", "m", 1, T0) for k in range(9)], T0 + 9 * DAY),
        lambda: service_audit(served(0.5, 0.5), T0 + 9 * DAY, by="mood"),
        lambda: service_audit(served(0.5, 0.5), T0 + 9 * DAY, draws=5),
    ],
)
def test_audits_of_nothing_are_refused(call):
    with pytest.raises(UseropsError):
        call()


def test_the_loop_reports_reopenings_breaches_and_rates():
    cases = [
        Case("a", "u", 1, T0, answered_at=T0 + DAY, closed_at=T0 + 2 * DAY, department="sales"),
        Case("b", "v", 1, T0, closed_at=T0 + 5 * DAY, reopened_at=T0 + 6 * DAY, department="service"),
        Case("c", "w", 1, T0 + 9 * DAY, department="service"),
    ]
    loop = ClosedLoop(cases, as_of=T0 + 10 * DAY)
    assert loop.breaches == ("b",)
    assert (float(loop.reopen_rate), loop.reopen_rate.n) == (0.5, 2)
    assert (float(loop.breach_rate), loop.breach_rate.n) == (0.5, 2)
    assert loop.time_to_response.median == 5
    assert loop.time_to_close.median == 2
    assert ClosedLoop(cases[1:], as_of=T0 + 10 * DAY).time_to_close.median is None
    groups = loop.by("department")
    assert [len(group.cases) for group in groups.values()] == [1, 2]
    rates = groups.brand_rate({"sales": 10_000, "service": 20_000})
    assert (rates["sales"].rate, rates["service"].rate) == (1.0, 1.0)
    assert rates["sales"].interval == pytest.approx((0.0253178, 5.5716434))
    with pytest.raises(InvalidValue):
        groups.brand_rate({"sales": 1})
    with pytest.raises(InvalidValue):
        loop.by("mood")
    with pytest.raises(InvalidValue):
        loop.brand_rate(0)


def test_playbooks_pick_by_precedence():
    book = Playbook(
        {"typical": "light", "seed": Action("normal", "invite"), "complaining": "heavy", "fan": "greet"}
    )
    assert book.action(["typical", "seed"]).what == "invite"
    assert book.action(("fan", "typical")).treatment == "light"
    assert book.action("fan") == Action("normal", "greet")
    assert book.action(None) is None
    assert book["complaining"].label(lang="zh") == "重运营"
    assert outreach([]) is None
    assert [outreach(PRECEDENCE[k:]) for k in range(3)] == list(PRECEDENCE)
    for bad in ({}, {"a": 3}, {"": "light"}, [("a", "light")]):
        with pytest.raises(UseropsError):
            Playbook(bad)
    with pytest.raises(InvalidValue):
        Action("huge")


def test_labels_speak_chinese():
    assert label("complaining", lang="zh") == "抱怨用户"
    assert Stage.EX_OWNER.label(lang="zh") == "前车主"
    found = complaining_users([], T0, 1, answers={"bo": 3, "cy": "promoter"})
    assert found.label(lang="zh") == {"bo": "沉默的贬损者", "cy": "无"}
    rules = SegmentSet([Segment("lapsing", F("d") > 60, names={"zh": "沉睡车主"})])
    assert rules.explain({"d": 61}).label(lang="zh") == "沉睡车主"
    assert rules.assign({"d": [61]}).labels[0](lang="zh") == "沉睡车主"
    every = [stage.label(lang="zh") for stage in Stage]
    assert len(set(every)) == len(every)
    assert all(not text.isascii() for text in every)
    with pytest.raises(InvalidValue):
        label("seed", lang="de")
    import copy
    import pickle

    named = Label("a", {"zh": "甲"})
    assert pickle.loads(pickle.dumps(named))("zh") == copy.copy(named)("zh") == "甲"


def activity_columns():
    return {
        "run_by": ["owner"] * 4 + ["maker"] * 4,
        "kind": ["children"] * 6 + ["race"] * 2,
        "attendance": [10, 12, 8, 10, 100, 120, 90, 90],
        "returned": [6, 6, 5, 5, 20, 24, 18, 18],
        "content": [20, 22, 18, 20, 40, 48, 36, 36],
    }


def test_owner_run_and_maker_run_activities():
    found = activities(activity_columns(), intended={"children": 0.3, "race": 0.1, "yoga": 0.6})
    assert (found["attendance"].owner, found["attendance"].maker) == (10, 100)
    assert found["return"].owner == pytest.approx(22 / 40)
    assert found["return"].interval[0] > 0.2
    assert found["content"].difference == pytest.approx(2 - 0.4)
    for row in found.comparisons:
        assert row.interval[0] <= row.difference <= row.interval[1]
    assert found.mix["children"] == 0.75
    assert "off" in str(found)
    assert "yoga" in str(found)


@pytest.mark.parametrize(
    "changed",
    [
        {"run_by": ["owner"] * 8},
        {"run_by": ["dealer"] * 8},
        {"returned": [999] * 8},
        {"attendance": [0] * 8, "returned": [0] * 8},
        {"attendance": [-1] * 8},
        {"attendance": [1.5] * 8},
        {"kind": [1] * 8},
    ],
)
def test_bad_activities_are_refused(changed):
    with pytest.raises(UseropsError):
        activities(activity_columns() | changed)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_any_data_frame_goes_in(library):
    frame = pytest.importorskip(library).DataFrame
    rules = SegmentSet([Segment("owner", F("kind") == "owner")])
    assert rules.assign(frame({"kind": ["owner", "fan"]})).labels.tolist() == ["owner", None]
    assert typical_users(frame({"age": [30, 31, 60], "city": ["a", "a", "b"]})).medoids == (1,)
    orders = frame(
        {"member": ["a", "a"], "at": np.array(["2027-01-01", "2027-01-03"], "M8[us]"), "amount": [1, 2]}
    )
    assert rfm(orders, T0 + 9 * DAY).frequency.tolist() == [1]
    links = frame({"account": ["a", "b"], "identifier": ["p", "p"]})
    assert resolve(links, limit=3).person == {"a": "a", "b": "a"}
    cases = frame(
        {
            "id": ["c1", "c2"],
            "member": ["a", "b"],
            "severity": [1, 2],
            "received_at": np.array(["2027-01-01", "2027-01-03"], "M8[us]"),
            "closed_at": np.array(["2027-01-02", "NaT"], "M8[us]"),
        }
    )
    assert ClosedLoop(cases, as_of=T0 + 9 * DAY).share_closed == 0.5
    met = frame({"member": ["a", "b"], "activity": ["x", "x"], "at": np.array(["2027-01-01"] * 2, "M8[us]")})
    assert tie_strength(met, 7)["a", "b"].strength == 1.0


def seeds_of(**changed):
    columns = {
        "member": ["ann", "bo", "cy"],
        "kind": ["owner"] * 3,
        "active": [True] * 3,
        "nps": ["promoter"] * 3,
        "open_severe": [0, 0, 0],
        "flagged": [False] * 3,
        **{name: [1, 2, 3] for name in ("activity", "fit", "content", "spread", "conversion")},
    }
    return seed_users(columns | changed, T0)


def test_nobody_passes_on_what_is_not_known():
    for name in ("kind", "active", "open_severe", "flagged"):
        given = seeds_of(**{name: [None, *{"kind": ["owner"] * 2, "active": [True] * 2}.get(name, [0, 0])]})
        assert given.eligible.tolist() == [False, True, True]
        assert name in given[0].missing
    found = seeds_of(content=[1.0, float("nan"), 3.0])
    assert found[1].missing == ("content",)
    assert found.contributions["content"].tolist() == pytest.approx([0, 0, 0.1])
    assert found.top(2) == (2, 1) or found.top(2) == (2, 0)
    assert found[2].member == "cy"
    assert "3 of 3 pass the gates" in str(found)


@pytest.mark.parametrize(
    "changed",
    [
        {"nps": ["fine"] * 3},
        {"nps": [9, 9, 9]},
        {"kind": [1, 2, 3]},
        {"active": ["yes"] * 3},
        {"activity": ["a", "b", "c"]},
        {"activity": [True, False, True]},
        {"activity": [True, 2, None]},
    ],
)
def test_bad_candidates_are_refused(changed):
    with pytest.raises(UseropsError):
        seeds_of(**changed)


def test_weights_are_checked():
    columns = {name: [0] for name in ("activity", "fit", "content", "spread", "conversion")}
    columns |= {"kind": ["owner"], "active": [1], "nps": ["passive"], "open_severe": [0], "flagged": [0]}
    for weights in ({"charm": 1}, {"activity": 0}, {"activity": -1}, {"activity": float("inf")}):
        with pytest.raises(InvalidValue):
            seed_users(columns, T0, weights=weights)
    with pytest.raises(InvalidValue, match="column"):
        seed_users({"kind": ["owner"]}, T0)


def test_results_print_within_eighty_columns():
    cases = [Case("a", "u", 1, T0, answered_at=T0 + DAY, region="east"), Case("b", "v", 2, T0, region="west")]
    loop = ClosedLoop(cases, as_of=T0 + 9 * DAY)
    printed = [
        complaining_users(cases, T0 + 9 * DAY, 1),
        loop,
        loop.by("region"),
        typical_users({"age": [1, 2, 3], "city": ["x", "x", "y"]}, "city"),
        seeds_of(),
        activities(activity_columns()),
        service_audit(served(0.9, 0.4), T0 + 30 * DAY, draws=99),
        Playbook({"seed": "normal"}),
        SegmentSet([Segment("owner", F("kind") == "owner")]),
        resolve([("a", "p")], limit=2),
    ]
    for result in printed:
        assert 0 < max(len(line) for line in str(result).splitlines()) <= 80
        if hasattr(result, "_repr_html_"):
            assert "<table" in result._repr_html_()
