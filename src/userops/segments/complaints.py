"""Complaining users (抱怨用户): the load of unsolved problems that each member carries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np
from attrs import field, frozen

from userops.core.calendar import MICROS_PER_DAY, instant, micros
from userops.core.ids import identifier
from userops.core.quantities import checked_number, mapped
from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.segments.cases import Case, listed_cases
from userops.segments.labelling import ByMember, Explanation, Label, describe_number, summable

VERSION: Final = "load"
_CLASSES: Final = ("promoter", "passive", "detractor")


@frozen
class LoadRule:
    """How much a case weighs: L = severity·(1 + age/a₀)^γ while open, ρ·severity·½^(days closed/h) after."""

    age_scale_days: float = 7.0
    gamma: float = 1.0
    rho: float = 0.5
    half_life_days: float = 30.0

    def __attrs_post_init__(self) -> None:
        """Refuse parameters without a meaning."""
        for name, low, high in (
            ("age_scale_days", 0.0, 1e9),
            ("gamma", 0.0, 100.0),
            ("rho", 0.0, 1.0),
            ("half_life_days", 0.0, 1e9),
        ):
            value = checked_number(getattr(self, name), name, low, high)
            if value == 0 and name.endswith("days"):
                raise InvalidValue(f"{name} must be above 0")
            object.__setattr__(self, name, value)

    def of(self, case: Case, as_of: datetime) -> float:
        """Return what one case weighs at an instant; nothing before its receipt."""
        if case.is_open(as_of):
            grown = 1 + case.age_days(as_of) / self.age_scale_days
            weight = case.severity * float(np.power(grown, self.gamma))
        elif case.is_closed(as_of) and case.closed_at is not None:
            days = (micros(as_of) - micros(case.closed_at)) / MICROS_PER_DAY
            weight = self.rho * case.severity * 0.5 ** (days / self.half_life_days)
        else:
            return 0.0
        if not np.isfinite(weight):
            raise InvalidValue(
                f"case {case.id!r}: its load is too large; lower gamma or raise age_scale_days"
            )
        return weight


class Load(float):
    """A load: a number, with what every case contributes to it."""

    contributions: Mapping[str, float]


def complaint_load(  # noqa: PLR0917 — the design page gives the parameters by position
    cases: Any,
    as_of: datetime,
    age_scale_days: float = 7.0,
    gamma: float = 1.0,
    rho: float = 0.5,
    half_life_days: float = 30.0,
) -> Load:
    """Return L(t), the load of some cases: a number, with `.contributions` by case id.

    L(t) = Σ severity·(1 + age/a₀)^γ over the open cases + ρ·severity·½^(days since close/h) over the closed
    ones; a reopened case is open again and ages from its first receipt. Cases received later count nothing.

    >>> from datetime import UTC
    >>> case = Case("c1", "ann", 3, datetime(2027, 1, 1, tzinfo=UTC))
    >>> float(complaint_load([case], datetime(2027, 1, 15, tzinfo=UTC), age_scale_days=7, gamma=1))
    9.0
    """
    rule = LoadRule(age_scale_days, gamma, rho, half_life_days)
    return _load(listed_cases(cases), instant(as_of, "as_of"), rule)


def _load(cases: Sequence[Case], as_of: datetime, rule: LoadRule) -> Load:
    parts = summable({case.id: rule.of(case, as_of) for case in cases})
    total = Load(sum(parts.values()))
    total.contributions = parts
    return total


@frozen(eq=False)
class Complaints:
    """Who complains, by member: `.label`, `.score` (the load), `.contributions` by case, `.reasons`."""

    rows: tuple[Explanation, ...]
    threshold: float
    as_of: datetime
    _places: Mapping[str, int] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        """Index the members."""
        object.__setattr__(self, "_places", {row.member: place for place, row in enumerate(self.rows)})

    def _column(self, name: str) -> ByMember[Any]:
        return ByMember(self._places, (getattr(row, name) for row in self.rows))

    @property
    def members(self) -> tuple[str, ...]:
        """The members, in order of their ids."""
        return tuple(self._places)

    @property
    def label(self) -> ByMember[Label]:
        """complaining, silent detractor or none."""
        return self._column("label")

    @property
    def score(self) -> ByMember[float]:
        """The load."""
        return self._column("score")

    @property
    def contributions(self) -> ByMember[Mapping[str, float]]:
        """What each case adds to the load."""
        return self._column("contributions")

    @property
    def reasons(self) -> ByMember[tuple[str, ...]]:
        """Why, in words."""
        return self._column("reasons")

    @property
    def missing(self) -> ByMember[tuple[str, ...]]:
        """The inputs without a value: "answers" where a member gave none."""
        return self._column("missing")

    def __getitem__(self, member: str) -> Explanation:
        """Explain one member."""
        return self.rows[self._places[member]]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Explanation]:
        return iter(self.rows)

    def table(self) -> Table:
        """Return the members, the greatest load first."""
        ordered = sorted(self.rows, key=lambda row: (-row.score, row.member))
        return Table(
            {
                "member": [row.member for row in ordered],
                "label": [str(row.label) for row in ordered],
                "load": [row.score for row in ordered],
                "why": ["; ".join(row.reasons) for row in ordered],
            },
            title=f"Complaining users at {self.as_of:%Y-%m-%d}, threshold {describe_number(self.threshold)}",
            formats={"load": ".2f"},
        )

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def complaining_users(
    cases: Any,
    as_of: datetime,
    threshold: float,
    response_days: float = 3,
    answers: Mapping[str, Any] | None = None,
    **load: Any,
) -> Complaints:
    """Return who complains: a load of at least `threshold`, or a detractor left without response.

    `answers` maps members to their last NPS answer: promoter, passive or detractor, or the number 0–10. A
    detractor complains too when an open case of theirs had no response within `response_days`; a detractor
    who never complained is a silent detractor. `load` are the parameters of `complaint_load`.

    >>> from datetime import UTC
    >>> jan = lambda day: datetime(2027, 1, day, tzinfo=UTC)
    >>> found = complaining_users([Case("c1", "ann", 3, jan(1))], jan(15), threshold=5, answers={"bo": 2})
    >>> dict(found.label)
    {'ann': 'complaining', 'bo': 'silent detractor'}
    """
    when = instant(as_of, "as_of")
    least = checked_number(threshold, "threshold", 0, 1e100)
    days = checked_number(response_days, "response_days", 0, 1e6)
    rule = _rule(load)
    given = {
        identifier(member, "a member"): _answer(member, value)
        for member, value in mapped(answers, "answers").items()
    }
    mine: dict[str, list[Case]] = {member: [] for member in given}
    for case in listed_cases(cases):
        if case.received_at <= when:
            mine.setdefault(case.member, []).append(case)
    rows = [
        _explained(
            member,
            cases=mine[member],
            answer=given.get(member),
            as_of=when,
            threshold=least,
            response_days=days,
            rule=rule,
        )
        for member in sorted(mine)
    ]
    return Complaints(tuple(rows), least, when)


def _rule(load: Mapping[str, Any]) -> LoadRule:
    try:
        return LoadRule(**load)
    except TypeError:
        names = "age_scale_days, gamma, rho, half_life_days"
        raise InvalidValue(f"the parameters of the load are {names}; got {', '.join(sorted(load))}") from None


def _answer(member: str, value: Any) -> str:
    if isinstance(value, str) and value in _CLASSES:
        return str(value)
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and 0 <= value <= 10:
        return _CLASSES[2] if value <= 6 else _CLASSES[1] if value <= 8 else _CLASSES[0]
    raise InvalidValue(
        f"the answer of {member!r} must be {', '.join(_CLASSES)} or a whole number from 0 to 10"
    )


def _explained(
    member: str,
    *,
    cases: Sequence[Case],
    answer: str | None,
    as_of: datetime,
    threshold: float,
    response_days: float,
    rule: LoadRule,
) -> Explanation:
    load = _load(cases, as_of, rule)
    reasons = []
    if cases and load >= threshold:
        reasons.append(
            f"load {describe_number(load)} of {len(cases)} case{'s' * (len(cases) != 1)} "
            f"reaches {describe_number(threshold)}"
        )
    late = [case for case in cases if case.is_open(as_of) and is_late(case, response_days, as_of)]
    if answer == "detractor" and late:
        reasons.append(f"a detractor without response within {describe_number(response_days)} days")
    name = "complaining" if reasons else "none"
    if answer == "detractor" and not cases:
        name = "silent detractor"
        reasons.append("a detractor who never complained")
    if not reasons:
        reasons.append(f"load {describe_number(load)} is below {describe_number(threshold)}")
    missing = () if answer else ("answers",)
    return Explanation(
        Label(name), float(load), load.contributions, tuple(reasons), as_of, VERSION, missing, member
    )


def is_late(case: Case, days: float, as_of: datetime) -> bool:
    """Say whether the response to a case came, or at `as_of` would come, more than `days` after its receipt.

    >>> from datetime import UTC
    >>> is_late(Case("c", "m", 1, datetime(2027, 1, 1, tzinfo=UTC)), 3, datetime(2027, 1, 4, tzinfo=UTC))
    False
    """
    limit = micros(case.received_at) + round(days * MICROS_PER_DAY)
    response = case.responded_at
    return micros(as_of if response is None or response > as_of else response) > limit
