"""Waiting times: shares with intervals, and how many cases still wait after so many days (Kaplan and Meier)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from userops.core.quantities import checked_number
from userops.core.statistics import check_level, normal_quantile, wilson
from userops.errors import InvalidValue, MissingExtraError


class Share(float):
    """A share with its counts and Wilson's interval.

    >>> share = Share.of(3, 10)
    >>> float(share), share.n, [round(x, 3) for x in share.interval]
    (0.3, 10, [0.108, 0.603])
    """

    count: int
    n: int
    level: float

    @classmethod
    def of(cls, count: int, n: int, level: float = 0.95) -> Share:
        """Return count ÷ n; of nothing it is undefined."""
        if n == 0:
            raise InvalidValue("a share of no cases is undefined")
        made = cls(count / n)
        made.count, made.n, made.level = count, n, level
        return made

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's score interval."""
        return wilson(self.count, self.n, level=self.level)


@frozen(eq=False)
class Survival:
    """How many cases are still waiting after so many days (Kaplan and Meier 1958), unfinished ones censored.

    >>> waiting = Survival((1.0, 2.0, 3.0, 4.0), (True, True, False, True))
    >>> waiting.survival(2), waiting.median
    (0.5, 2.0)
    """

    days: tuple[float, ...] = field(repr=False)
    finished: tuple[bool, ...] = field(repr=False)
    times: NDArray[np.float64] = field(init=False, repr=False)
    at_risk: NDArray[np.int64] = field(init=False, repr=False)
    events: NDArray[np.int64] = field(init=False, repr=False)
    curve: NDArray[np.float64] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        """Compute the product of the steps."""
        object.__setattr__(self, "days", tuple(self.days))
        object.__setattr__(self, "finished", tuple(self.finished))
        if not self.days or len(self.days) != len(self.finished):
            raise InvalidValue("waiting times need at least one case, each finished or not")
        waited = np.array([checked_number(days, "a waiting time", 0, 1e9) for days in self.days])
        ended = np.asarray(self.finished, dtype=bool)
        times = np.unique(waited[ended])
        at_risk = len(waited) - np.searchsorted(np.sort(waited), times, "left")
        events = np.searchsorted(np.sort(waited[ended]), times, "right") - np.searchsorted(
            np.sort(waited[ended]), times, "left"
        )
        put = object.__setattr__
        put(self, "times", times)
        put(self, "at_risk", at_risk)
        put(self, "events", events)
        put(self, "curve", np.cumprod(1 - events / at_risk))

    @property
    def n(self) -> int:
        """How many cases."""
        return len(self.days)

    def survival(self, days: float) -> float:
        """Return the share of cases still waiting just after so many days."""
        place = self._place(days)
        return float(self.curve[place - 1]) if place else 1.0

    def interval(self, days: float, *, level: float = 0.95) -> tuple[float, float]:
        """Return the interval of `survival(days)`: Greenwood's variance on the log(−log) scale.

        Where nothing or everything has finished the variance is undefined; Wilson's interval of the cases at
        risk takes its place.
        """
        share, place = self.survival(days), self._place(days)
        if share in (0.0, 1.0):
            return wilson(round(share * self.n), self.n, level=level)
        left = self.at_risk[:place] - self.events[:place]
        variance = float((self.events[:place] / (self.at_risk[:place] * left)).sum())
        z = normal_quantile(0.5 + check_level(level) / 2)
        spread = z * math.sqrt(variance) / -math.log(share)
        return share ** math.exp(spread), share ** math.exp(-spread)

    @property
    def median(self) -> float | None:
        """The days after which at most half are still waiting; None where more than half still are."""
        return self.quantile(0.5)

    def quantile(self, share: float) -> float | None:
        """Return the days by which a share of the cases is finished; None where it is not reached."""
        # A curve of products reaches ½ up to rounding.
        reached = np.flatnonzero(self.curve <= 1 - check_level(share, "share") + 1e-12)
        return float(self.times[reached[0]]) if reached.size else None

    def _place(self, days: float) -> int:
        return int(np.searchsorted(self.times, checked_number(days, "days", 0, 1e9), "right"))

    def plot(self, ax: Any = None, *, label: str = "") -> Any:
        """Draw the curve as steps; needs the extra `plot`. Returns the Axes."""
        try:
            import matplotlib.pyplot as plt
        except ImportError:
            raise MissingExtraError("drawing needs the extra 'plot': pip install 'userops[plot]'") from None
        ax = ax or plt.subplots()[1]
        end = max(self.days)
        steps = np.concatenate([[0.0], self.times, [end]])
        values = np.concatenate([[1.0], self.curve, self.curve[-1:] if self.curve.size else [1.0]])
        ax.step(steps, values, where="post", label=label or None)
        ax.set_xlabel("days since receipt")
        ax.set_ylabel("share of cases still waiting")
        ax.set_ylim(0, 1.02)
        return ax
