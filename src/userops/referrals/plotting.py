"""Pictures: the tree below a member, and members by generation (extra `plot`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from userops.core.amounts import whole
from userops.core.fonts import font_of
from userops.errors import InvalidValue, MissingExtraError

#: Member names are written beside the nodes of trees up to this many.
NAMED = 60
_COLOURS = ("#1f4e79", "#2e86ab", "#6fb1c7", "#a3c9a8", "#e4b363", "#e07a5f")


def _pyplot() -> Any:
    try:
        from matplotlib import pyplot as plt
    except ImportError:
        raise MissingExtraError("pictures need matplotlib: pip install 'userops[plot]'") from None
    return plt


def _axes(ax: Any, size: tuple[float, float]) -> Any:
    return _pyplot().subplots(figsize=size, layout="constrained")[1] if ax is None else ax


def plot_generations(widths: Sequence[int], *, ax: Any = None) -> Any:
    """Draw members by generation as bars, each with its count; returns the Axes."""
    drawn = _axes(ax, (7, 4))
    bars = drawn.bar(
        range(len(widths)), widths, color=[_COLOURS[min(k, len(_COLOURS) - 1)] for k in range(len(widths))]
    )
    if len(widths) <= 24:
        drawn.bar_label(bars, [f"{width:,}" for width in widths], padding=2)
    drawn.set_xlabel("generation (0: nobody referred them)")
    drawn.set_ylabel("members")
    drawn.set_title("Ripple: members by generation")
    drawn.xaxis.get_major_locator().set_params(integer=True)
    drawn.spines[["top", "right"]].set_visible(False)
    drawn.margins(y=0.12)
    return drawn


def plot_tree(
    rings: Sequence[Sequence[int]], parent: Any, members: Sequence[Any], *, ax: Any, most: int
) -> Any:
    """Draw a tree, a generation per row, each member midway above its invitees; returns the Axes."""
    size = sum(map(len, rings))
    if size > whole(most, "most", at_least=1):
        raise InvalidValue(
            f"the tree has {size:,} members, more than `most` = {most:,}: draw a branch, or ripple().plot()"
        )
    across = _places_across(rings, parent)
    widest = max(map(len, rings))
    drawn = _axes(ax, (max(6.0, min(16.0, 1.1 * widest)), max(3.0, 1.3 * len(rings))))
    named = [members[place] for ring in rings for place in ring] if size <= NAMED else [members[rings[0][0]]]
    font = font_of(named)
    for level, ring in enumerate(rings):
        colour = _COLOURS[min(level, len(_COLOURS) - 1)]
        for place in ring:
            if level:
                above = int(parent[place])
                drawn.plot(
                    [across[above], across[place]],
                    [1 - level, -level],
                    color="#b0b7bf",
                    linewidth=1,
                    zorder=1,
                )
        drawn.scatter([across[place] for place in ring], [-level] * len(ring), s=70, color=colour, zorder=2)
    if size <= NAMED:
        for level, ring in enumerate(rings):
            for place in ring:
                drawn.annotate(
                    str(members[place]), (across[place], -level), xytext=(0, -9), textcoords="offset points",
                    ha="center", va="top", fontsize=9, **font,
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
                )  # fmt: skip
    drawn.set_title(f"{size:,} members below {members[rings[0][0]]!s}, itself included", **font)
    drawn.set_yticks([-level for level in range(len(rings))], [f"generation {k}" for k in range(len(rings))])
    drawn.set_xticks([])
    drawn.tick_params(length=0)
    drawn.spines[:].set_visible(False)
    drawn.margins(x=0.08, y=0.2)
    return drawn


def _places_across(rings: Sequence[Sequence[int]], parent: Any) -> dict[int, float]:
    """Return where each member stands: leaves side by side in reading order, others amid their invitees."""
    below: dict[int, list[int]] = {}
    for ring in rings[1:]:
        for place in ring:
            below.setdefault(int(parent[place]), []).append(place)
    across: dict[int, float] = {}
    stack, leaves = [rings[0][0]], 0
    while stack:
        place = stack[-1]
        kids = below.get(place, [])
        waiting = [kid for kid in kids if kid not in across]
        if waiting:
            stack.extend(reversed(waiting))
            continue
        stack.pop()
        if kids:
            across[place] = (across[kids[0]] + across[kids[-1]]) / 2
        else:
            across[place] = float(leaves)
            leaves += 1
    return across
