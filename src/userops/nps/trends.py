"""Trends: scores wave by wave on control charts, the most likely shift, and what each change is made of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from attrs import field, frozen

from userops.core.amounts import whole
from userops.core.chance import check_seed
from userops.core.statistics import check_level
from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.nps.changes import Change, change
from userops.nps.charts import draw_line
from userops.nps.comparison import shown_p
from userops.nps.intervals import Interval
from userops.nps.labels import label_text
from userops.nps.scales import same_scale
from userops.nps.scores import NPS
from userops.nps.shifts import Shift, find_shift
from userops.nps.values import brief, number


@frozen
class WaveRow:
    """One wave: its score with interval, and where the two charts stand after it.

    The EWMA is in units of score, the CUSUMs in standard errors; a signal means that a chart left its limits.
    """

    wave: Any
    n: int
    score: float
    interval: Interval
    ewma: float
    ewma_low: float
    ewma_high: float
    cusum_up: float
    cusum_down: float
    has_signal: bool


@frozen
class Trend:
    """Waves in the order given: `.rows`, `.changes` and `.shift`."""

    rows: tuple[WaveRow, ...]
    #: One row per pair of neighbouring waves: total = within + mix, exactly.
    changes: tuple[Change, ...]
    level: float
    _shift: Shift | None = field(repr=False)

    @property
    def shift(self) -> Shift:
        """Return the most likely shift of level, with its permutation p-value."""
        if self._shift is None:
            raise InvalidValue("a single wave has no shift")
        return self._shift

    def table(self) -> Table:
        """Return the waves as a table, scores in points."""
        low = f"{100 * self.level:.6g}% low"
        rows = self.rows
        columns: dict[str, list[Any]] = {
            "wave": [row.wave for row in rows],
            "n": [row.n for row in rows],
            "NPS": [100 * row.score for row in rows],
            low: [100 * row.interval[0] for row in rows],
            "high": [100 * row.interval[1] for row in rows],
            "EWMA": [100 * row.ewma for row in rows],
            "CUSUM up": [row.cusum_up for row in rows],
            "down": [row.cusum_down for row in rows],
            "signal": [row.has_signal for row in rows],
        }
        notes = []
        if self._shift is not None:
            found = self._shift
            notes.append(
                f"most likely shift at {label_text(found.at)}: {100 * found.difference:+.1f} points, "
                f"permutation p {shown_p(found.p_value)}"
            )
        return Table(
            columns,
            title="NPS by wave",
            notes=notes,
            formats={
                "wave": label_text,
                **dict.fromkeys(("NPS", low, "high", "EWMA"), "+.1f"),
                **dict.fromkeys(("CUSUM up", "down"), ".2f"),
            },
        )

    def change_table(self) -> Table:
        """Return the changes as a table, in points."""
        rows = self.changes
        return Table(
            {
                "from": [row.before for row in rows],
                "to": [row.after for row in rows],
                **{
                    name: [100 * float(getattr(row, name)) for row in rows]
                    for name in ("total", "within", "mix")
                },
            },
            title="Change = within segments + mix of segments",
            formats={
                "from": label_text,
                "to": label_text,
                **dict.fromkeys(("total", "within", "mix"), "+.2f"),
            },
        )

    def plot(self, ax: Any = None) -> Any:
        """Draw scores with intervals, the EWMA and its limits on matplotlib Axes (extra `plot`)."""
        rows = self.rows
        ax = draw_line(
            [label_text(row.wave) for row in rows],
            [row.score for row in rows],
            [row.interval[0] for row in rows],
            [row.interval[1] for row in rows],
            ax=ax,
        )
        places = range(len(rows))
        ax.plot(places, [row.ewma for row in rows], color="tab:orange", label="EWMA")
        lows, highs = [row.ewma_low for row in rows], [row.ewma_high for row in rows]
        ax.fill_between(places, lows, highs, color="tab:orange", alpha=0.15, label="EWMA limits")
        ax.margins(y=0.2)
        ax.legend(ncols=3, loc="upper center")
        return ax

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def trend(
    waves: Mapping[Any, Mapping[Any, NPS] | NPS],
    *,
    level: float = 0.95,
    baseline: NPS | None = None,
    smoothing: float = 0.2,
    limits: float = 3.0,
    allowance: float = 0.5,
    decision: float = 5.0,
    permutations: int = 9_999,
    seed: int = 0,
) -> Trend:
    """Follow a score over waves, given as {wave: {segment: NPS}} in their order (or {wave: NPS}).

    Both charts stand on the score and variance of `baseline`, by default of all waves together, and on each
    wave's own n. EWMA: weight `smoothing` on the newest wave, limits of that many standard errors. CUSUM:
    standardised scores, slack `allowance`, signal beyond `decision` (Montgomery, chapter 9). The shift's
    p-value comes from `permutations` drawn from `seed`.

    >>> low, high = NPS(detractors=4, passives=2, promoters=4), NPS(detractors=2, passives=2, promoters=6)
    >>> found = trend({"I": {"a": low, "b": high}, "II": {"a": low, "b": high + high}}, permutations=99)
    >>> [(str(row.total), str(row.within), str(row.mix)) for row in found.changes]
    [('1/15', '0', '1/15')]
    """
    level = check_level(level)
    knobs = {"limits": limits, "allowance": allowance, "decision": decision}
    steps = {name: _positive(value, name) for name, value in knobs.items()}
    named = _waves(waves)
    names = [name for name, _ in named]
    results = [sum(segments.values(), NPS.empty(scale=_scale(segments))) for _, segments in named]
    for name, result in zip(names, results, strict=True):
        same_scale(results[0].scale, result.scale)
        if not result.n:
            raise InvalidValue(f"the wave {brief(name)} has no answers")
    if baseline is None:
        baseline = sum(results[1:], results[0])
    elif not isinstance(baseline, NPS):
        raise InvalidValue(f"baseline must be an NPS, not {type(baseline).__name__}")
    same_scale(baseline.scale, results[0].scale)
    rows = _chart(names, results, baseline, level=level, smoothing=_weight(smoothing), **steps)
    draws = whole(permutations, "permutations", at_least=1, at_most=10_000_000)
    seed = check_seed(seed)
    shift = find_shift(names, results, permutations=draws, seed=seed) if len(results) > 1 else None
    return Trend(rows, tuple(change(a, b) for a, b in pairwise(named)), level, shift)


def _waves(waves: Any) -> list[tuple[Any, dict[Any, NPS]]]:
    if not isinstance(waves, Mapping) or not waves:
        raise InvalidValue("trend takes a mapping {wave: {segment: NPS}} with at least one wave")
    found = []
    for name, wave in waves.items():
        segments = {"all": wave} if isinstance(wave, NPS) else wave
        if hasattr(segments, "results"):
            segments = segments.results
        if not isinstance(segments, Mapping) or not all(isinstance(r, NPS) for r in segments.values()):
            raise InvalidValue(f"the wave {brief(name)} must be {{segment: NPS}} or an NPS")
        if not segments:
            raise InvalidValue(f"the wave {brief(name)} has no answers")
        found.append((name, dict(segments)))
    return found


def _scale(segments: Mapping[Any, NPS]) -> Any:
    return next(iter(segments.values())).scale


def _positive(value: Any, name: str) -> float:
    found = number(value, name)
    if found <= 0:
        raise InvalidValue(f"{name} must be positive")
    return found


def _weight(smoothing: Any) -> float:
    value = _positive(smoothing, "smoothing")
    if value > 1:
        raise InvalidValue("smoothing must be above 0 and at most 1")
    return value


def _chart(
    names: Sequence[Any],
    results: Sequence[NPS],
    baseline: NPS,
    *,
    level: float,
    smoothing: float,
    limits: float,
    allowance: float,
    decision: float,
) -> tuple[WaveRow, ...]:
    """Return the rows; the EWMA's variance is carried along, because n differs between waves."""
    centre, variance = baseline.score, baseline.variance
    ewma, ewma_variance, up, down = centre, 0.0, 0.0, 0.0
    rows = []
    for name, result in zip(names, results, strict=True):
        ewma = smoothing * result.score + (1 - smoothing) * ewma
        ewma_variance = smoothing**2 * variance / result.n + (1 - smoothing) ** 2 * ewma_variance
        half = limits * math.sqrt(ewma_variance)
        # A baseline of one class has no variance: then any other answer is a certain signal.
        gap = result.score - centre
        z = gap / math.sqrt(variance / result.n) if variance else math.copysign(math.inf, gap) if gap else 0.0
        up = max(0.0, up + z - allowance)
        down = max(0.0, down - z - allowance)
        signal = abs(ewma - centre) > half + 1e-12 or up > decision or down > decision
        interval = result.interval(level)
        low, high = centre - half, centre + half
        rows.append(
            WaveRow(name, result.n, result.score, interval, ewma, low, high, up, down, has_signal=signal)
        )
    return tuple(rows)
