"""A condition means one thing in all its forms; one that does not is caught."""

import pytest

from userops import Condition, F
from userops.core.logic import All, Atom
from userops.errors import InvalidValue, LawBroken
from userops.testing import check_condition
from userops.testing.shrinking import shrunk

OWNERS = (
    (F("kind") == "owner")
    & ~F("city").one_of("Hefei", "Shanghai")
    & ((F("age") >= 30) | F("vip").is_missing())
)


def test_conditions_are_sound():
    check_condition(OWNERS)
    check_condition(All(()))
    for name in ("kind", "vip"):
        check_condition(F(name).is_missing(), examples=5)


@pytest.mark.parametrize(
    ("method", "broken", "words"),
    [
        ("mask", lambda inner, self, columns: ~inner(self, columns), "and (holds|does not hold) of columns"),
        ("to_toml", lambda inner, self: {"kind": "owner"}, "when its TOML is read again"),
        ("describe", lambda inner, self: "", "is not explained whole"),
        ("explain", lambda inner, self, record: inner(self, record)[1:], "is not explained whole"),
    ],
)
def test_a_form_that_means_something_else_is_caught(method, broken, words, monkeypatch):
    cls = All if method in ("to_toml", "describe") else Condition
    inner = getattr(cls, method)
    monkeypatch.setattr(cls, method, lambda self, *more: broken(inner, self, *more))
    with pytest.raises(LawBroken, match=words) as caught:
        check_condition(OWNERS)
    assert caught.value.law == "condition"
    assert len(caught.value.case) <= 3
    monkeypatch.undo()
    check_condition(OWNERS)


def test_a_threshold_that_one_form_takes_differently_is_found_at_the_threshold(monkeypatch):
    """Off by one: at the constant itself the columns say no."""
    codes = Atom.codes

    def above(self, columns, rows):
        return codes(Atom(self.field, ">", self.value) if self.op == ">=" else self, columns, rows)

    monkeypatch.setattr(Atom, "codes", above)
    with pytest.raises(
        LawBroken, match="age is at least 30 holds of a record, and does not hold of columns"
    ) as caught:
        check_condition(F("age") >= 30)
    assert caught.value.case == {"age": 30}


def test_only_conditions_are_taken():
    with pytest.raises(InvalidValue, match="a Condition was expected, not dict"):
        check_condition({"age": 30})


def test_shrinking_stops_after_so_many_tries():
    tried = []

    def is_broken(n):
        tried.append(n)
        return True

    assert shrunk(10**9, lambda n: iter([n - 1]), is_broken, most=5) == 10**9 - 5
    assert len(tried) == 5
