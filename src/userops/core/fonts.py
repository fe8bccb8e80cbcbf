"""Fonts for pictures: labels in Chinese need a font that has the characters, which matplotlib's own lacks."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from userops.core.tables import display_width

#: Fonts with Chinese characters that systems bring; of a collection file (.ttc) only the first face is known.
_CHINESE = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "PingFang SC",
    "Hiragino Sans GB",
    "Microsoft YaHei",
    "SimHei",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Noto Sans CJK JP",
    "Droid Sans Fallback",
    "Arial Unicode MS",
)
#: Files of them, for fonts that were installed after matplotlib last looked.
_FILES = (
    "NotoSansCJKsc-Regular.otf",
    "NotoSansCJK-Regular.ttc",
    "NotoSansSC-Regular.otf",
    "wqy-zenhei.ttc",
    "wqy-microhei.ttc",
)
_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts", "C:/Windows/Fonts")


def is_wide(text: str) -> bool:
    """Say whether a text has characters of East Asian scripts.

    >>> is_wide("积分"), is_wide("Größe")
    (True, False)
    """
    return display_width(text) > len(text)


def font_of(texts: Iterable[object]) -> dict[str, Any]:
    """Return what matplotlib needs to write these texts: nothing, or a font with their characters first.

    Where no such font is installed it warns, once a call: the picture will show boxes.

    >>> font_of(["sales", "2027-01"])
    {}
    """
    if not any(is_wide(str(text)) for text in texts):
        return {}
    found = _chinese_font()
    if found is None:
        warnings.warn(
            "no installed font has Chinese characters: the picture will show boxes in their place; install one, "
            "such as Noto Sans CJK (Debian: apt install fonts-noto-cjk)",
            UserWarning,
            stacklevel=3,
        )
        return {}
    return {"fontfamily": [found, "DejaVu Sans"]}


@functools.cache
def _chinese_font() -> str | None:
    """Return the first of the fonts with Chinese characters that is installed."""
    from matplotlib import font_manager

    def known() -> str | None:
        names = {font.name for font in font_manager.fontManager.ttflist}
        return next((name for name in _CHINESE if name in names), None)

    if known() is None:
        for folder in map(Path, _FOLDERS):
            files = [path for name in _FILES for path in folder.glob(f"**/{name}")] if folder.is_dir() else []
            if files:
                font_manager.fontManager.addfont(str(files[0]))
                break
    return known()
