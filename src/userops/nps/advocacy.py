"""Advocacy: what members say they would do, beside what they did (老荐新)."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from userops.core.amounts import whole
from userops.core.statistics import check_level, wilson
from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.nps.charts import axes
from userops.nps.intervals import Interval
from userops.nps.scores import NPS


@frozen
class Advocacy:
    """Intention (the score) and behaviour (the referred share of buyers), side by side, never converted."""

    nps: NPS
    referred: int
    buyers: int
    unknown: int
    level: float

    @property
    def score(self) -> float:
        """Return the intention: the score, from -1 to 1."""
        return self.nps.score

    @property
    def score_interval(self) -> Interval:
        """Return the score's interval."""
        return self.nps.interval(self.level)

    @property
    def share(self) -> float:
        """Return the behaviour: referred buyers among those whose origin is known, from 0 to 1."""
        return self.referred / (self.buyers - self.unknown)

    @property
    def share_interval(self) -> Interval:
        """Return Wilson's interval of the share among buyers whose origin is known."""
        return wilson(self.referred, self.buyers - self.unknown, level=self.level)

    @property
    def share_bounds(self) -> Interval:
        """Return the share of all buyers if none, and if all, of the unknown were referred."""
        return self.referred / self.buyers, (self.referred + self.unknown) / self.buyers

    def table(self) -> Table:
        """Return one row for intention and one for behaviour."""
        low, high = self.score_interval
        share_low, share_high = self.share_interval
        notes = ["The two are measured differently: neither is computed from the other."]
        if self.unknown:
            least, most = self.share_bounds
            notes.append(
                f"The origin of {self.unknown:,} of {self.buyers:,} buyers is unknown: "
                f"of all buyers {least:.1%} to {most:.1%} were referred."
            )
        return Table(
            {
                "measure": ["NPS, points (intention)", "referred buyers (behaviour)"],
                "n": [self.nps.n, self.buyers - self.unknown],
                "value": [f"{self.nps.points:+.1f}", f"{self.share:.1%}"],
                f"{100 * self.level:.6g}% low": [f"{100 * low:+.1f}", f"{share_low:.1%}"],
                "high": [f"{100 * high:+.1f}", f"{share_high:.1%}"],
            },
            title="Advocacy",
            notes=notes,
        )

    def plot(self, ax: Any = None) -> Any:
        """Draw both with their intervals on matplotlib Axes (extra `plot`) and return them."""
        ax = axes(ax, size=(6.4, 2.2))
        rows = [(self.score, self.score_interval), (self.share, self.share_interval)]
        for place, (value, (low, high)) in enumerate(rows):
            reach = [[max(0.0, value - low)], [max(0.0, high - value)]]
            ax.errorbar([value], [place], xerr=reach, fmt="o", capsize=3)
        ax.set_yticks([0, 1], ["NPS (intention)", "referred share (behaviour)"])
        ax.set_ylim(1.5, -0.5)
        ax.set_xlim(-1, 1)
        ax.axvline(0, color="0.8", linewidth=0.8, zorder=0)
        ax.set_xlabel(f"each on its own scale, {self.level:.0%} intervals")
        return ax

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def advocacy(nps: NPS, *, referred: int, buyers: int, unknown: int = 0, level: float = 0.95) -> Advocacy:
    """Set a score beside 老荐新: how many of the buyers came by a member's referral.

    `buyers` counts all of them, also the `unknown`, whose origin nobody recorded; the share is taken among
    the others, and its bounds over all are stated.

    >>> found = advocacy(
    ...     NPS(detractors=10, passives=30, promoters=60), referred=45, buyers=100, unknown=10
    ... )
    >>> found.share, found.share_bounds
    (0.5, (0.45, 0.55))
    """
    if not isinstance(nps, NPS):
        raise InvalidValue(f"the first argument must be an NPS, not {type(nps).__name__}")
    buyers = whole(buyers, "buyers", at_least=1)
    unknown = whole(unknown, "unknown", at_least=0)
    referred = whole(referred, "referred", at_least=0)
    if unknown >= buyers:
        raise InvalidValue("the origin of every buyer is unknown: the referred share is undefined")
    if referred + unknown > buyers:
        raise InvalidValue(
            f"{referred} referred and {unknown} unknown exceed the {buyers} buyers, who count all of them"
        )
    if not nps.n:
        raise InvalidValue("there are no answers: the score of none is undefined")
    return Advocacy(nps, referred, buyers, unknown, check_level(level))
