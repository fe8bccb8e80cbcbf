"""Two audits of complaint handling: is compensation given to the loudest, and do regions differ in service?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from userops.core.amounts import whole
from userops.core.calendar import instant
from userops.core.chance import stream
from userops.core.quantities import checked_number, choice
from userops.core.statistics import check_level, permutation_p
from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.segments.cases import Case, listed_cases
from userops.segments.complaints import is_late
from userops.segments.waiting import Share

Floats = NDArray[np.float64]
_LEAST_CASES: Final = 5


@frozen(eq=False)
class Audit:
    """One audit's finding: the effect, its interval, the permutation p-value and the seed that drew it."""

    question: str
    effect: float
    interval: tuple[float, float]
    p_value: float
    seed: int
    n: int
    level: float
    #: What stands beside the effect: the same measure of severity, or each region's share.
    beside: Mapping[str, float]

    def table(self) -> Table:
        """Return the finding, and what stands beside it."""
        low, high = self.interval
        rows = {
            "effect": self.effect,
            "interval, low": low,
            "interval, high": high,
            "p": self.p_value,
            **self.beside,
        }
        return Table(
            {"": list(rows), "value": list(rows.values())},
            title=self.question,
            formats={"value": ".3f"},
            notes=(f"{self.n} cases, {self.level:.0%} bootstrap interval, permutation p, seed {self.seed}",),
        )

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def compensation_audit(
    cases: Any,
    as_of: datetime,
    *,
    loudness: Mapping[str, float] | None = None,
    seed: int = 0,
    draws: int = 2_000,
    level: float = 0.95,
) -> Audit:
    """Ask whether compensation follows loudness rather than severity (按闹分配).

    The effect is the partial rank correlation (Spearman) of compensation with loudness, severity held equal;
    `.beside` has that of compensation with severity, loudness held equal. `loudness` maps case ids to any
    measure, such as contacts made or posts; by default it is how often the member was heard: their cases and
    reopenings by `as_of`. The p-value permutes loudness among cases of equal severity; the interval is the
    bootstrap's. Fewer than five cases, or no variation, are errors.
    """
    when = instant(as_of, "as_of")
    known = [case for case in listed_cases(cases) if case.received_at <= when]
    _enough(len(known))
    heard: dict[str, int] = {}
    for case in known:
        heard[case.member] = heard.get(case.member, 0) + 1 + case.was_reopened(when)
    loud = np.array([_loudness(case, loudness, heard) for case in known])
    severity = np.array([case.severity for case in known])
    paid = np.array([float(case.compensation) for case in known])
    for name, values in (("loudness", loud), ("compensation", paid)):
        if np.ptp(values) == 0:
            raise InvalidValue(f"every case has the same {name}: there is nothing to compare")
    effect = _partial(_ranks(paid), _ranks(loud), _ranks(severity))
    rng = stream(seed, "compensation")
    permuted = [
        _partial(_ranks(paid), _ranks(_shuffled(loud, severity, rng)), _ranks(severity))
        for _ in range(_draws(draws))
    ]
    return Audit(
        "Does compensation follow loudness rather than severity?",
        effect,
        _bootstrap(
            len(known),
            lambda rows: _partial(_ranks(paid[rows]), _ranks(loud[rows]), _ranks(severity[rows])),
            rng,
            draws,
            level,
        ),
        permutation_p(effect, permuted),
        seed,
        len(known),
        level,
        {"severity, loudness held equal": _partial(_ranks(paid), _ranks(severity), _ranks(loud))},
    )


def _loudness(case: Case, given: Mapping[str, float] | None, heard: Mapping[str, int]) -> float:
    if given is None:
        return float(heard[case.member])
    if not isinstance(given, Mapping):
        raise InvalidValue("loudness maps case ids to numbers")
    if case.id not in given:
        raise InvalidValue(f"loudness lacks case {case.id!r}")
    return checked_number(given[case.id], f"loudness of {case.id!r}", -1e100, 1e100)


def service_audit(
    cases: Any,
    as_of: datetime,
    *,
    by: str = "region",
    response_days: float = 3,
    seed: int = 0,
    draws: int = 2_000,
    level: float = 0.95,
) -> Audit:
    """Ask whether regions (or departments, channels, kinds, handlers) get different service.

    Service is a response within `response_days`; cases whose time has not run out are set aside. The effect
    is the greatest share less the smallest; `.beside` has every group's share. The greatest difference of
    many groups is never 0 by chance, hence the p-value: it permutes the groups among cases of equal severity
    and takes the same difference. The interval is the bootstrap's within groups.
    """
    when = instant(as_of, "as_of")
    days = checked_number(response_days, "response_days", 0, 1e6)
    choice(by, ("region", "department", "channel", "kind", "handler"), "by")
    known = [case for case in listed_cases(cases) if case.received_at <= when]
    decided = [
        case
        for case in known
        if is_late(case, days, when) or (case.responded_at is not None and case.responded_at <= when)
    ]
    _enough(len(decided))
    names, group = np.unique([getattr(case, by) for case in decided], return_inverse=True)
    if len(names) < 2:
        raise InvalidValue(f"every case has the same {by}: there is nothing to compare")
    served = np.array([not is_late(case, days, when) for case in decided], dtype=np.float64)
    severity = np.array([case.severity for case in decided])
    counts = np.bincount(group)
    effect = _gap(served, group, counts)
    rng = stream(seed, "service")
    permuted = [_gap(served, _shuffled(group, severity, rng), counts) for _ in range(_draws(draws))]
    members = [np.flatnonzero(group == place) for place in range(len(names))]

    def resampled(_rows: Any) -> float:
        shares = [rng.binomial(len(rows), served[rows].mean()) / len(rows) for rows in members]
        return float(max(shares) - min(shares))

    return Audit(
        f"Does service differ by {by}?",
        effect,
        _bootstrap(len(decided), resampled, rng, draws, level),
        permutation_p(effect, permuted),
        seed,
        len(decided),
        level,
        {
            str(name) or "(none)": Share.of(int(served[rows].sum()), len(rows), level)
            for name, rows in zip(names, members, strict=True)
        },
    )


def _enough(cases: int) -> None:
    if cases < _LEAST_CASES:
        raise InvalidValue(f"an audit of {cases} cases says nothing; give at least {_LEAST_CASES}")


def _draws(draws: Any) -> int:
    return whole(draws, "draws", at_least=99, at_most=1_000_000)


def _gap(served: Floats, group: NDArray[Any], counts: NDArray[np.int64]) -> float:
    shares = np.bincount(group, weights=served) / counts
    return float(shares.max() - shares.min())


def _shuffled(values: NDArray[Any], within: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Return values permuted among the rows that agree in `within`."""
    order = np.lexsort((rng.random(len(values)), within))
    target = np.argsort(within, kind="stable")
    found = np.empty_like(values)
    found[target] = values[order]
    return found


def _ranks(values: Floats) -> Floats:
    """Return mid-ranks: equal values share the mean of their places."""
    ordered = np.sort(values)
    ranks: Floats = (
        np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right") - 1
    ) / 2
    return ranks


def _partial(one: Floats, other: Floats, held: Floats) -> float:
    """Return the correlation of two columns of ranks after a third is taken out of both; 0 where none is left."""
    rest = []
    for values in (one, other):
        centred, base = values - values.mean(), held - held.mean()
        spread = float(base @ base)
        rest.append(centred - base * (float(centred @ base) / spread) if spread > 0 else centred)
    size = float(np.sqrt((rest[0] @ rest[0]) * (rest[1] @ rest[1])))
    # What is left of a column that the third explains is rounding, not a correlation.
    scale = float(np.sqrt(one @ one) * np.sqrt(other @ other))
    return float(np.clip(rest[0] @ rest[1] / size, -1, 1)) if size > 1e-9 * scale else 0.0


def _bootstrap(
    rows: int, statistic: Any, rng: np.random.Generator, draws: int, level: float
) -> tuple[float, float]:
    """Return the percentile interval of a statistic over resampled rows."""
    found = [statistic(rng.integers(0, rows, rows)) for _ in range(_draws(draws))]
    tail = (1 - check_level(level)) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return float(low), float(high)
