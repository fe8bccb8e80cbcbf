"""Charts of a forecast without any library: a fan chart as SVG, and a report as one HTML file."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import numpy as np

from userops.core.fonts import font_of
from userops.simulation.columns import Array

#: Fonts that have Chinese characters, by what systems call them.
FONTS = "system-ui, 'Noto Sans CJK SC', 'Source Han Sans SC', 'PingFang SC', 'Microsoft YaHei', 'WenQuanYi Micro Hei', sans-serif"
WIDTH, HEIGHT = 720, 276
LEFT, RIGHT, TOP, BOTTOM = 70, 36, 30, 46
_BANDS = ((0.05, 0.95, "#c6dbef"), (0.25, 0.75, "#6baed6"))


def _short(value: float) -> str:
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{unit}"
    return f"{value:.4g}"


def _ticks(most: float) -> list[float]:
    """Return about five round numbers from 0 up to the greatest value."""
    if most <= 0:
        return [0.0, 1.0]
    step = 10.0 ** np.floor(np.log10(most / 4))
    for factor in (1, 2, 5, 10):
        if most / (step * factor) <= 5:
            step *= factor
            break
    return [float(x) for x in np.arange(0, most + step, step)]


def fan_chart(values: Array, *, title: str, names: Sequence[str], line: float | None = None) -> str:
    """Return an SVG of (replication, month) values: the middle 90% and 50%, and the median."""
    months = values.shape[1]
    low, high = min(0.0, float(values.min())), float(values.max())
    ticks = _ticks(max(high, line or 0.0, 1e-9))
    top = ticks[-1]

    def x(month: float) -> float:
        return float(LEFT + (WIDTH - LEFT - RIGHT) * month / max(1, months - 1))

    def y(value: float) -> float:
        return float(TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - low) / (top - low)))

    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
            f'role="img" aria-label="{html.escape(title)}" font-family="{FONTS}" font-size="12">'
        ),
        f'<text x="{LEFT}" y="18" font-size="14" font-weight="600">{html.escape(title)}</text>',
    ]
    parts += [
        (
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#e5e5e5"/>'
            f'<text x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end" fill="#555">{_short(tick)}</text>'
        )
        for tick in ticks
    ]
    step = max(1, -(-months // 8))
    parts += [
        f'<text x="{x(k):.1f}" y="{HEIGHT - 26}" text-anchor="middle" fill="#555">{html.escape(names[k])}</text>'
        for k in range(0, months, step)
    ]
    for a, b, colour in _BANDS:
        bottom, upper = np.quantile(values, [a, b], axis=0)
        points = [f"{x(k):.1f},{y(v):.1f}" for k, v in enumerate(upper)]
        points += [f"{x(k):.1f},{y(bottom[k]):.1f}" for k in range(months - 1, -1, -1)]
        parts.append(f'<polygon points="{" ".join(points)}" fill="{colour}"/>')
    middle = " ".join(f"{x(k):.1f},{y(v):.1f}" for k, v in enumerate(np.median(values, axis=0)))
    parts.append(f'<polyline points="{middle}" fill="none" stroke="#08519c" stroke-width="2"/>')
    if line is not None:
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(line):.1f}" y2="{y(line):.1f}" stroke="#cb181d" stroke-dasharray="6 4"/>'
        )
    parts.append(_legend(is_lined=line is not None))
    parts.append("</svg>")
    return "".join(parts)


def _legend(*, is_lined: bool) -> str:
    """Return what the bands and lines are, at the top right."""
    items = [(f"middle {b - a:.0%}", colour, 10) for a, b, colour in _BANDS] + [("median", "#08519c", 2)]
    items += [("budget", "#cb181d", 2)] if is_lined else []
    place, parts = WIDTH - RIGHT - sum(7 * len(text) + 26 for text, _, _ in items), []
    for text, colour, height in items:
        parts.append(
            f'<rect x="{place}" y="{HEIGHT - 4 - height / 2}" width="12" height="{height}" fill="{colour}"/>'
            f'<text x="{place + 16}" y="{HEIGHT}" font-size="11" fill="#555">{text}</text>'
        )
        place += 7 * len(text) + 26
    return "".join(parts)


def page(title: str, sections: Sequence[tuple[str, str]]) -> str:
    """Return one HTML file that needs nothing else: (heading, HTML) sections under a title."""
    body = "".join(
        f"<section><h2>{html.escape(head)}</h2><div class='wide'>{content}</div></section>"
        for head, content in sections
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{html.escape(title)}</h1>{body}</body></html>"
    )


_STYLE = (
    f"body{{font-family:{FONTS};max-width:860px;margin:2rem auto;padding:0 1rem;color:#222;line-height:1.5}}"
    "h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}"
    "table{border-collapse:collapse;margin-bottom:1rem;font-size:.85rem;font-variant-numeric:tabular-nums}"
    "caption{text-align:left;font-weight:600;padding-bottom:.4rem}"
    "th,td{padding:.2rem .6rem;border-bottom:1px solid #e5e5e5;text-align:right;white-space:nowrap}"
    "th:first-child,td:first-child{text-align:left!important}"
    "svg{max-width:100%;height:auto}p{font-size:.85rem;color:#444}.wide{overflow-x:auto}"
)


def draw_fan(values: Array, *, title: str, names: Sequence[str], ax: Any = None) -> Any:
    """Draw the fan with matplotlib and return the Axes."""
    from userops.errors import MissingExtraError

    try:
        from matplotlib import pyplot as plt
    except ImportError:
        raise MissingExtraError("a plot needs the extra 'plot': pip install userops[plot]") from None
    if ax is None:
        _, ax = plt.subplots(figsize=(8, 4), layout="constrained")
    months = np.arange(1, values.shape[1] + 1)
    for a, b, colour in _BANDS:
        low, high = np.quantile(values, [a, b], axis=0)
        ax.fill_between(months, low, high, color=colour, label=f"middle {b - a:.0%}", linewidth=0)
    ax.plot(months, np.median(values, axis=0), color="#08519c", label="median")
    ax.set_title(title, **font_of([title]))
    ax.set_xlabel(f"month, from {names[0]}")
    ax.set_ylim(bottom=min(0.0, float(values.min())))
    ax.yaxis.set_major_formatter(lambda value, _place: _short(value))
    ax.legend(frameon=False, loc="upper left")
    ax.spines[["top", "right"]].set_visible(False)
    return ax
