"""Tables: results as text for a terminal, HTML for a notebook, columns for a program, CSV for a spreadsheet."""

from __future__ import annotations

import csv
import html
import io
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from userops.errors import InvalidValue

#: How a column is shown: a format specification such as ".1%", or a function of the value.
Format = str | Callable[[Any], str]
WIDTH = 80
_MISSING = "–"
_MOST_ROWS = 60
_FORMULA_MARKS = ("=", "+", "-", "@", "\t", "\r", "\0")


def _copied(columns: Mapping[str, Iterable[Any]]) -> dict[str, tuple[Any, ...]]:
    return {name: tuple(values) for name, values in columns.items()}


def _noted(notes: Iterable[str]) -> tuple[str, ...]:
    return tuple(notes)


@frozen
class Table:
    """Named columns of equal length, with a title and notes for whoever reads them.

    >>> print(Table({"fund": ["sales", "club"], "issued": [12_000, 300]}, title="Funds"))
    Funds
    fund   issued
    sales  12,000
    club      300
    """

    columns: Mapping[str, tuple[Any, ...]] = field(converter=_copied)
    title: str = ""
    notes: tuple[str, ...] = field(default=(), converter=_noted)
    formats: Mapping[str, Format] = field(factory=dict, hash=False)

    def __attrs_post_init__(self) -> None:
        """Refuse columns of unequal length."""
        lengths = {name: len(values) for name, values in self.columns.items()}
        if len(set(lengths.values())) > 1:
            raise InvalidValue(f"columns differ in length: {lengths}")

    @classmethod
    def of_rows(cls, rows: Iterable[Mapping[str, Any]], names: Iterable[str], **more: Any) -> Table:
        """Make a table of rows, each a mapping from column names; what a row lacks is missing.

        >>> print(Table.of_rows([{"a": 1}, {"a": 2, "b": "x"}], ["a", "b"]))
        a  b
        1  –
        2  x
        """
        listed = list(rows)
        return cls({name: [row.get(name) for row in listed] for name in names}, **more)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows as mappings."""
        for cells in zip(*self.columns.values(), strict=True):
            yield dict(zip(self.columns, cells, strict=True))

    def to_columns(self) -> dict[str, NDArray[Any]]:
        """Return the columns as arrays; missing numbers are masked.

        >>> Table({"n": [1, None]}).to_columns()["n"]
        masked_array(data=[1, --],
                     mask=[False,  True],
               fill_value=999999)
        """
        return {name: _array(values) for name, values in self.columns.items()}

    def to_csv(self) -> str:
        r"""Return the table as CSV; text that a spreadsheet would take for a formula is quoted with an apostrophe.

        >>> Table({"why": ["=1+1"]}).to_csv()
        "why\r\n'=1+1\r\n"
        """
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow([_safe(name) for name in self.columns])
        for row in zip(*self.columns.values(), strict=True):
            writer.writerow([_safe(cell) for cell in row])
        return out.getvalue()

    def __str__(self) -> str:
        return "\n".join(self._lines(WIDTH))

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(name)}</th>" for name in self.columns)
        body = []
        for row in self._shown_rows():
            cells = "".join(
                f'<td style="text-align:{"right" if is_number else "left"}">{html.escape(text)}</td>'
                for text, is_number in row
            )
            body.append(f"<tr>{cells}</tr>")
        caption = f"<caption>{html.escape(self.title)}</caption>" if self.title else ""
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>{notes}"

    def _shown_rows(self) -> Iterator[list[tuple[str, bool]]]:
        for row in zip(*self.columns.values(), strict=True):
            yield [
                (shown(cell, self.formats.get(name)), _is_number(cell))
                for name, cell in zip(self.columns, row, strict=True)
            ]

    def _lines(self, width: int) -> Iterator[str]:
        rows = list(self._shown_rows())
        hidden = len(rows) - _MOST_ROWS if len(rows) > _MOST_ROWS else 0
        if hidden:
            half = _MOST_ROWS // 2
            rows = rows[:half] + rows[-half:]
        if self.title:
            yield self.title
        for block in self._blocks(rows, width):
            yield from block
        if hidden:
            yield f"({hidden:,} rows in the middle are not shown)"
        yield from (line for note in self.notes for line in _wrapped(note, width))

    def _blocks(self, rows: list[list[tuple[str, bool]]], width: int) -> Iterator[list[str]]:
        """Yield blocks of columns that fit the width, the first column leading each."""
        names = list(self.columns)
        if not names:
            return
        most = width - 2 if len(names) == 1 else width // 2 - 1
        sizes = [
            min(most, max([display_width(name), *(display_width(row[place][0]) for row in rows)]))
            for place, name in enumerate(names)
        ]
        is_right = [any(row[place][1] for row in rows) for place in range(len(names))]
        place = 1
        while True:
            taken, used = [0], sizes[0]
            while place < len(names) and (used + 2 + sizes[place] <= width or len(taken) == 1):
                used += 2 + sizes[place]
                taken.append(place)
                place += 1
            lines = [[names[k] for k in taken], *([row[k][0] for k in taken] for row in rows)]
            yield [
                "  ".join(
                    _padded(cell, sizes[k], right=is_right[k]) for k, cell in zip(taken, line, strict=True)
                ).rstrip()
                for line in lines
            ]
            if place >= len(names):
                return


def shown(value: Any, how: Format | None = None) -> str:
    """Return a value as a reader sees it: whole numbers with commas, missing ones as a dash.

    >>> shown(1234567), shown(0.25, ".0%"), shown(None)
    ('1,234,567', '25%', '–')
    """
    if value is None or value is np.ma.masked:
        return _MISSING
    if callable(how):
        return how(value)
    if how is not None:
        return format(float(value) if isinstance(value, Fraction) else value, how)
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{int(value):,}"
    if isinstance(value, Decimal):
        return f"{value:,f}"
    if isinstance(value, float | np.floating | Fraction):
        return f"{float(value):,.4g}" if abs(float(value)) < 1e4 else f"{float(value):,.0f}"
    if isinstance(value, tuple | list):
        return ", ".join(shown(part) for part in value)
    return " ".join(str(value).split())


def display_width(text: str) -> int:
    """Return how many terminal columns a text takes; Chinese characters take two.

    >>> display_width("挤兑 run")
    8
    """
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(mark) else 2 if unicodedata.east_asian_width(mark) in "WF" else 1
        for mark in text
    )


def _padded(text: str, size: int, *, right: bool) -> str:
    if display_width(text) > size:
        while display_width(text) > size - 1:
            text = text[:-1]
        text += "…"
    gap = " " * (size - display_width(text))
    return gap + text if right else text + gap


def _wrapped(note: str, width: int) -> Iterator[str]:
    line = ""
    for word in note.split():
        if line and display_width(line) + 1 + display_width(word) > width:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
    yield line


def _is_number(cell: Any) -> bool:
    return isinstance(cell, int | float | Decimal | Fraction | np.number) and not isinstance(cell, bool)


def _array(values: tuple[Any, ...]) -> NDArray[Any]:
    gone = [value is None or value is np.ma.masked for value in values]
    known = [value for value, missing in zip(values, gone, strict=True) if not missing]
    if any(gone) and known and all(_is_number(value) for value in known):
        filled = [0 if missing else value for value, missing in zip(values, gone, strict=True)]
        return np.ma.array(filled, mask=gone)
    if any(isinstance(value, tuple | list | Decimal | Fraction) for value in known):
        column = np.empty(len(values), dtype=object)
        column[:] = values
        return column
    return np.array(values)


def _safe(cell: Any) -> Any:
    if cell is None or cell is np.ma.masked:
        return ""
    if isinstance(cell, str) and cell.startswith(_FORMULA_MARKS):
        return f"'{cell}"
    return cell
