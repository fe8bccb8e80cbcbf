"""Every public argument meets the catalogue of bad values: a typed error or an answer, never another error."""

import math
from collections import UserDict
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from userops import F
from userops.errors import UseropsError
from userops.segments import (
    Action,
    Case,
    ClosedLoop,
    Happening,
    Label,
    LifecycleRules,
    Playbook,
    Segment,
    SegmentSet,
    Survival,
    active_states,
    activities,
    changes,
    choose_seeds,
    circle_reach,
    compensation_audit,
    complaining_users,
    complaint_load,
    funnel,
    gower,
    label,
    lifecycle,
    medoids,
    outreach,
    resolve,
    retention,
    rfm,
    sbg,
    seed_users,
    segment_map,
    service_audit,
    stickiness,
    tie_strength,
    typical_users,
    verified_reach,
)

T0 = datetime(2027, 1, 1, tzinfo=UTC)
T1 = datetime(2027, 2, 1, tzinfo=UTC)


class SubInt(int):
    pass


CATALOGUE = [
    True, 0, -1, -0.0, 1.0, 0.1, math.nan, math.inf, -math.inf, 2**53 + 1, 2**63, -(2**63), 10**5000,
    Decimal("NaN"), Decimal("sNaN"), Decimal("1e400000"), Decimal("0.1"), Fraction(1, 3), Fraction(10**400),
    np.int64(3), np.uint64(2**64 - 1), np.float32(0.5), np.bool_(True), np.array(3), np.array([1, 2]), np.array([]),
    None, "", "１２", "1_000", "12abc", "a|b", "a\0b", "a\nb", "\ud800", "x" * 10**6, b"1", SubInt(3),
    [], [1], [None], {}, {"a": 1}, UserDict(a=1), set(), (), object(), date(2027, 1, 1), datetime(2027, 1, 1),
    datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC), np.datetime64("NaT"), np.datetime64("2027-01-01"),
]  # fmt: skip
RULES = SegmentSet([Segment("a", F("x") >= 1)])
CASES = [
    Case(f"c{k}", f"m{k % 3}", 1 + k % 2, T0, answered_at=T0, region="ew"[k % 2], compensation=k)
    for k in range(8)
]
SEEDS = {
    "kind": ["owner"], "active": [True], "nps": ["promoter"], "open_severe": [0], "flagged": [False],
    "activity": [1], "fit": [1], "content": [1], "spread": [1], "conversion": [1],
}  # fmt: skip
ACTS = {
    "run_by": ["owner", "maker"],
    "kind": ["a", "b"],
    "attendance": [1, 2],
    "returned": [1, 1],
    "content": [1, 1],
}
VISITS = [("ann", T0), ("bo", T0)]
LOOP = ClosedLoop(CASES, as_of=T1)

CALLS = {
    "segment name": lambda v: Segment(v, F("x") == 1),
    "segment condition": lambda v: Segment("a", v),
    "segment names": lambda v: Segment("a", F("x") == 1, names=v),
    "segments": lambda v: SegmentSet(v),
    "mode": lambda v: SegmentSet(RULES.segments, mode=v),
    "domain": lambda v: SegmentSet(RULES.segments, domain=v),
    "domain values": lambda v: SegmentSet(RULES.segments, domain={"x": v}),
    "domain value": lambda v: SegmentSet(RULES.segments, domain={"x": [v, 3]}),
    "version": lambda v: SegmentSet(RULES.segments, version=v),
    "explain": lambda v: RULES.explain(v),
    "explain value": lambda v: RULES.explain({"x": v}),
    "explain as_of": lambda v: RULES.explain({"x": 1}, as_of=v),
    "assign": lambda v: RULES.assign(v).labels,
    "assign column": lambda v: RULES.assign({"x": v}).labels,
    "assign value": lambda v: RULES.assign({"x": [v, 1]}).labels,
    "changes": lambda v: changes(v, v),
    "label": lambda v: label(v),
    "language": lambda v: label("seed", v),
    "label names": lambda v: Label(v),
    "outreach": lambda v: outreach([v] if isinstance(v, str | int | float | None) else ["seed"]),
    "gower": lambda v: gower(v),
    "gower column": lambda v: gower({"a": v}),
    "gower value": lambda v: gower({"a": [v, 1]}),
    "gower weights": lambda v: gower({"a": [1, 2]}, weights={"a": v}),
    "medoids": lambda v: medoids(v, 1),
    "medoids distance": lambda v: medoids([[0, v], [v, 0]], 1),
    "medoids k": lambda v: medoids([[0, 1], [1, 0]], v),
    "typical k": lambda v: typical_users({"a": [1, 2]}, k=v),
    "typical strata": lambda v: typical_users({"a": [1, 2]}, v),
    "typical stratum": lambda v: typical_users({"a": [1, 2]}, [v, v]),
    "typical seed": lambda v: typical_users({"a": [1, 2]}, seed=v),
    "typical as_of": lambda v: typical_users({"a": [1, 2]}, as_of=v),
    "coverage": lambda v: typical_users({"a": [1, 2]}).coverage(v),
    "case id": lambda v: Case(v, "m", 1, T0),
    "case member": lambda v: Case("c", v, 1, T0),
    "case severity": lambda v: Case("c", "m", v, T0),
    "case received": lambda v: Case("c", "m", 1, v),
    "case closed": lambda v: Case("c", "m", 1, T0, closed_at=v),
    "case kind": lambda v: Case("c", "m", 1, T0, kind=v),
    "case compensation": lambda v: Case("c", "m", 1, T0, compensation=v),
    "load cases": lambda v: complaint_load(v, T1),
    "load as_of": lambda v: complaint_load(CASES, v),
    "load scale": lambda v: complaint_load(CASES, T1, age_scale_days=v),
    "load gamma": lambda v: complaint_load(CASES, T1, gamma=v),
    "load rho": lambda v: complaint_load(CASES, T1, rho=v),
    "load half life": lambda v: complaint_load(CASES, T1, half_life_days=v),
    "threshold": lambda v: complaining_users(CASES, T1, v),
    "response days": lambda v: complaining_users(CASES, T1, 1, response_days=v),
    "answers": lambda v: complaining_users(CASES, T1, 1, answers=v),
    "answer": lambda v: complaining_users(CASES, T1, 1, answers={"m1": v}),
    "loop cases": lambda v: ClosedLoop(v, as_of=T1),
    "loop as_of": lambda v: ClosedLoop(CASES, as_of=v),
    "loop level": lambda v: ClosedLoop(CASES, as_of=T1, level=v),
    "loop response": lambda v: ClosedLoop(CASES, as_of=T1, response_days=v).breaches,
    "owners": lambda v: LOOP.brand_rate(v),
    "by": lambda v: LOOP.by(v),
    "survival days": lambda v: LOOP.time_to_close.survival(v),
    "survival values": lambda v: Survival((v,), (True,)),
    "survival quantile": lambda v: LOOP.time_to_close.quantile(v),
    "audit draws": lambda v: service_audit(CASES, T1, draws=v if not isinstance(v, int) or v < 10**6 else -1),
    "audit seed": lambda v: service_audit(CASES, T1, seed=v, draws=99),
    "audit by": lambda v: service_audit(CASES, T1, by=v, draws=99),
    "audit loudness": lambda v: compensation_audit(CASES, T1, loudness={c.id: v for c in CASES}, draws=99),
    "seed columns": lambda v: seed_users(v, T1),
    "seed as_of": lambda v: seed_users(SEEDS, v),
    **{f"seed {name}": (lambda v, name=name: seed_users({**SEEDS, name: [v]}, T1)) for name in SEEDS},
    "seed weights": lambda v: seed_users(SEEDS, T1, weights={"activity": v}),
    "choose contacts": lambda v: choose_seeds(v, 1),
    "choose contact": lambda v: choose_seeds({"a": v}, 1),
    "choose k": lambda v: choose_seeds({"a": ["b"]}, v),
    "choose quotas": lambda v: choose_seeds({"a": ["b"]}, 1, {"g": v}, groups={"a": "g"}),
    "reach": lambda v: verified_reach(v),
    "playbook": lambda v: Playbook(v),
    "action": lambda v: Action(v),
    "happening": lambda v: Happening("m", v, T0),
    "happening vehicle": lambda v: Happening("m", "bought", T0, v),
    "happening used": lambda v: Happening("m", "bought", T0, "c", used=v),
    "lifecycle": lambda v: lifecycle(v, T1),
    "lifecycle event": lambda v: lifecycle([v], T1),
    "lifecycle as_of": lambda v: lifecycle([("m", "lead", T0)], v),
    "lifecycle rules": lambda v: LifecycleRules(lead_days=v),
    "active events": lambda v: active_states(v, "month", new="history"),
    "active event": lambda v: active_states([v], "month", new="history"),
    "active member": lambda v: active_states([(v, T0)], "month", new="history"),
    "active at": lambda v: active_states([("a", v)], "month", new="history"),
    "active period": lambda v: active_states(VISITS, v, new="history"),
    "active new": lambda v: active_states(VISITS, "month", new=v),
    "active start": lambda v: active_states(VISITS, "year", new="history", start=v),
    "active end": lambda v: active_states(VISITS, "year", new="history", end=v),
    "active timezone": lambda v: active_states(VISITS, "year", new="history", timezone=v),
    "retention cohort": lambda v: retention(VISITS, period="month", cohort=v),
    "retention start": lambda v: retention(VISITS, period="year", start=v),
    "funnel steps": lambda v: funnel([("a", "k", T0)], v, 3),
    "funnel step": lambda v: funnel([("a", "k", T0)], [v], 3),
    "funnel kind": lambda v: funnel([("a", v, T0)], ["k"], 3),
    "funnel within": lambda v: funnel([("a", "k", T0)], ["k"], v),
    "funnel order": lambda v: funnel([("a", "k", T0)], ["k"], 3, v),
    "stickiness": lambda v: stickiness(VISITS, start=v, end=T1),
    "sbg": lambda v: sbg(v),
    "sbg value": lambda v: sbg([1000, 900, v]),
    "sbg year": lambda v: sbg([1000, 800, 700]).survival(v),
    "rfm orders": lambda v: rfm(v, T1),
    "rfm member": lambda v: rfm([(v, T0, 1)], T1),
    "rfm at": lambda v: rfm([("a", v, 1)], T1),
    "rfm amount": lambda v: rfm([("a", T0, v)], T1),
    "rfm amounts": lambda v: rfm([("a", T0, v), ("b", T0, 1)], T1),
    "rfm as_of": lambda v: rfm([("a", T0, 1)], v),
    "rfm timezone": lambda v: rfm([("a", T0, 1)], T1, v),
    "rfm scores": lambda v: rfm([("a", T0, 1)], T1, scores=v),
    "segment map": lambda v: segment_map(v),
    "resolve": lambda v: resolve(v, limit=3),
    "resolve account": lambda v: resolve([(v, "p")], limit=3),
    "resolve identifier": lambda v: resolve([("a", v)], limit=3),
    "resolve limit": lambda v: resolve([("a", "p")], limit=v),
    "activities": lambda v: activities(v),
    "activities attendance": lambda v: activities({**ACTS, "attendance": [v, 2]}),
    "activities intended": lambda v: activities(ACTS, intended={"a": v}),
    "activities level": lambda v: activities(ACTS, level=v),
    "ties": lambda v: tie_strength(v, 3),
    "ties half life": lambda v: tie_strength([("a", "x", T0)], v),
    "ties member": lambda v: tie_strength([(v, "x", T0)], 3),
    "ties as_of": lambda v: tie_strength([("a", "x", T0)], 3, as_of=v),
    "circle": lambda v: circle_reach(v, {"a": ["b"]}),
    "circle contacts": lambda v: circle_reach(["a"], {"a": v}),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.filterwarnings("error")
def test_bad_values_are_refused_in_our_words(name):
    wrong = []
    for place, value in enumerate(CATALOGUE):
        try:
            CALLS[name](value)
        except UseropsError as fault:
            if len(str(fault)) > 2_000:
                wrong.append(f"{place}: a message of {len(str(fault))} characters")
        except Exception as fault:  # noqa: BLE001 — any other error is what is looked for
            wrong.append(f"{place} {type(value).__name__}: {type(fault).__name__} {str(fault)[:80]}")
    assert not wrong, "\n".join(wrong)


def test_another_error_would_be_seen(monkeypatch):
    monkeypatch.setitem(CALLS, "language", lambda v: {}["x"])
    with pytest.raises(AssertionError, match="KeyError"):
        test_bad_values_are_refused_in_our_words("language")
