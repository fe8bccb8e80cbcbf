"""Which pass a plan takes, and why."""

from datetime import date

import pytest
from plans import ACT, spec_of

OTHER = {**ACT, "name": "more"}


def test_a_plan_without_day_rules_takes_the_month_pass():
    assert spec_of().why_by_days == ""
    assert (
        spec_of(rule={"cap": [{"times": 3, "per": "month"}, {"points": 90, "per": "year"}]}).why_by_days == ""
    )
    two = [ACT, {**OTHER, "fund": "shop", "expires": {"months": 12, "round_to": "month"}}]
    assert spec_of({"earn": two}).why_by_days == ""
    assert spec_of({"funds": {"club": {"budget": {"points": 10, "per": "month"}}}}).why_by_days == ""


@pytest.mark.parametrize(
    ("program", "rule", "changes", "why"),
    [
        ({}, {"points": {"streak": [1, 2], "of": "day"}}, {}, "rule act counts days in a row"),
        ({}, {"cap": [{"times": 1, "per": "day"}]}, {}, "rule act is under a cap by day or week"),
        ({}, {"cap": [{"times": 0, "per": "year"}]}, {}, "rule act is under a cap of no times"),
        ({}, {"from": date(2027, 2, 5)}, {}, "rule act begins or ends within a month"),
        ({}, {"expires": {"days": 45}}, {}, "points expire within a month"),
        ({}, {"activates": {"days": 3}}, {}, "rule act activates points days later"),
        ({"earn": [ACT, {**OTHER, "fund": "shop"}]}, {}, {}, "or those of two funds together"),
        ({"funds": {"club": {"budget": {"points": 9, "per": "week"}}}}, {}, {}, "has a budget by week"),
        ({}, {}, {"stock": {"points_per_month": 5}}, "redemptions may be refused"),
        ({}, {}, {"cash": {"floor": 5}}, "redemptions may be refused"),
        (
            {"counters": {"seen": {"on": "act"}}},
            {"when": {"seen": {"<": 3}}},
            {},
            "rules of act read the counter seen",
        ),
        (
            {
                "caps": {"both": {"points": 9, "per": "year"}},
                "earn": [{**OTHER, "cap": [{"shared": "both"}]}] * 1,
            },
            {},
            {},
            "",
        ),
        (
            {
                "caps": {"both": {"points": 9, "per": "year"}},
                "earn": [{**OTHER, "name": name, "cap": [{"shared": "both"}]} for name in ("a", "b")],
            },
            {},
            {},
            "rules share a cap",
        ),
    ],
)
def test_what_needs_days_is_named(program, rule, changes, why):
    found = spec_of(program, rule, **changes).why_by_days
    assert why in found
    assert bool(why) == bool(found)
