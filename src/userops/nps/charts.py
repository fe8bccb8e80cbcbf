"""Charts: scores with their intervals on matplotlib Axes (extra `plot`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from userops.core.fonts import font_of
from userops.errors import MissingExtraError


def axes(ax: Any, *, size: tuple[float, float]) -> Any:
    """Return the given Axes, or new ones of their own figure.

    >>> axes("given", size=(4, 3))
    'given'
    """
    if ax is not None:
        return ax
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("plotting needs the extra 'plot': pip install 'userops[plot]'") from None
    # A figure without pyplot belongs to the caller alone, and no window or global state is touched.
    return Figure(figsize=size, layout="constrained").add_subplot()


def draw_points(
    labels: Sequence[str],
    centres: Sequence[float],
    lows: Sequence[float],
    highs: Sequence[float],
    *,
    ax: Any = None,
    xlabel: str,
) -> Any:
    """Draw one row per label, the first on top: a point within its interval, in units of score."""
    ax = axes(ax, size=(6.4, 1.2 + 0.3 * len(labels)))
    places = list(range(len(labels)))
    ax.errorbar(
        centres,
        places,
        xerr=[_lengths(centres, lows), _lengths(highs, centres)],
        fmt="o",
        color="tab:blue",
        ecolor="0.5",
        capsize=3,
    )
    ax.set_yticks(places, labels)
    set_label_font(ax.get_yticklabels(), labels)
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.axvline(0, color="0.8", linewidth=0.8, zorder=0)
    ax.set_xlabel(xlabel)
    return ax


def draw_line(
    labels: Sequence[str], centres: Sequence[float], lows: Sequence[float], highs: Sequence[float], *, ax: Any
) -> Any:
    """Draw one series over waves, each point within its interval, in units of score."""
    ax = axes(ax, size=(7.2, 4.0))
    places = list(range(len(labels)))
    ax.errorbar(
        places,
        centres,
        yerr=[_lengths(centres, lows), _lengths(highs, centres)],
        fmt="o-",
        color="tab:blue",
        ecolor="0.5",
        capsize=3,
        label="score with interval",
    )
    ax.set_xticks(places, labels)
    set_label_font(ax.get_xticklabels(), labels)
    ax.set_ylabel("NPS")
    return ax


def set_label_font(texts: Sequence[Any], labels: Sequence[str]) -> None:
    """Give tick labels a font with Chinese characters where they need one."""
    for font in font_of(labels).values():
        for text in texts:
            text.set_fontfamily(font)


def _lengths(uppers: Sequence[float], lowers: Sequence[float]) -> list[float]:
    return [max(0.0, upper - lower) for upper, lower in zip(uppers, lowers, strict=True)]
