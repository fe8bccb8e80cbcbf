"""Reports: a score from a CSV file, read within bounds, every fault named by its line."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TextIO

from attrs import field, frozen

from userops.core.files import did_you_mean
from userops.core.ids import text
from userops.errors import InvalidValue, PlanError, PlanFault
from userops.nps.answers import check_invalid
from userops.nps.asking import nps
from userops.nps.groups import Groups
from userops.nps.scales import Scale, check_scale
from userops.nps.scores import NPS
from userops.nps.values import brief
from userops.nps.weighting import WeightedNPS

#: What is larger is no file for a command line: count it with `nps` on columns.
MAX_CHARACTERS: Final = 256 * 1024 * 1024
MAX_ROWS: Final = 5_000_000
MAX_LINE: Final = 64 * 1024
#: Faults beyond these many end the reading.
MAX_FAULTS: Final = 20

#: The scales by the names that a command line can give.
SCALES: Final = {
    "0-10": Scale.ZERO_TO_TEN,
    "1-10": Scale.ONE_TO_TEN,
    "1-5": Scale.FIVE_POINT,
    "1-6": Scale.SIX_POINT,
}
_WHOLE = re.compile(r"[+-]?[0-9]{1,15}")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,15}\.[0-9]{1,15}")


@frozen
class _Reading:
    """The columns read so far, and the faults."""

    scores: list[Any] = field(factory=list)
    groups: list[str | None] = field(factory=list)
    weights: list[float] = field(factory=list)
    faults: list[PlanFault] = field(factory=list)


def nps_of_csv(
    path: str | Path,
    *,
    score: str,
    by: str | None = None,
    weight: str | None = None,
    scale: Scale = Scale.ZERO_TO_TEN,
    invalid: str = "raise",
    level: float = 0.95,
) -> NPS | WeightedNPS | Groups[NPS] | Groups[WeightedNPS]:
    """Return the score of a CSV file's column, by groups and with weights from other columns.

    The file is UTF-8 with a header; an empty cell is a missing answer. All that is wrong is raised as one
    `PlanError`, each fault with its line. The result prints itself as a table.

    >>> nps_of_csv("no such file.csv", score="score")
    Traceback (most recent call last):
    userops.errors.PlanError: the answers cannot be used
      no such file.csv cannot be read: No such file or directory
    """
    excluding = check_invalid(invalid)
    score = text(score, "score")
    by, weight = (None if name is None else text(name, "a column") for name in (by, weight))
    scale = check_scale(scale)
    reading = _Reading()
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            _read(file, reading, score=score, by=by, weight=weight, scale=scale, excluding=excluding)
    except UnicodeDecodeError:
        reading.faults.append(PlanFault("", f"{path} is not UTF-8 text"))
    except OSError as fault:
        reading.faults.append(PlanFault("", f"{path} cannot be read: {fault.strerror}"))
    except (ValueError, TypeError):
        reading.faults.append(PlanFault("", f"{brief(path)} is no path"))
    if not reading.faults and not reading.scores:
        reading.faults.append(PlanFault("", f"{path} has no rows below its header"))
    if reading.faults:
        hint = "" if excluding else ' (invalid="exclude" sets unusable answers aside and counts them)'
        raise PlanError(f"the answers cannot be used{hint if reading.scores else ''}", reading.faults)
    more: dict[str, Any] = {} if weight is None else {"weights": reading.weights}
    if by is not None:
        more |= {"by": reading.groups, "level": level}
    try:
        found: NPS | WeightedNPS | Groups[NPS] | Groups[WeightedNPS] = nps(
            reading.scores, scale=scale, invalid=invalid, **more
        )
    except InvalidValue as fault:
        raise PlanError("the answers cannot be used", [PlanFault("", str(fault))]) from None
    return found


def _read(
    file: TextIO,
    reading: _Reading,
    *,
    score: str,
    by: str | None,
    weight: str | None,
    scale: Scale,
    excluding: bool,
) -> None:
    """Read the rows, noting faults, until the end or too many faults."""
    rows = csv.reader(_lines(file), strict=True)
    try:
        header = next(rows, None)
        if header is None:
            reading.faults.append(PlanFault("", "the file is empty"))
            return
        wanted = [name for name in (score, by, weight) if name is not None]
        for name in wanted:
            if header.count(name) != 1:
                problem = "is there twice" if name in header else f"is missing{did_you_mean(name, header)}"
                reading.faults.append(PlanFault("line 1", f"the column {name!r} {problem}"))
        if reading.faults:
            return
        known = scale.codes
        for number, row in _answered(rows, len(header)):
            line = f"line {number}"
            if len(row) != len(header):
                fault = f"has {len(row)} cells where the header has {len(header)}"
                reading.faults.append(PlanFault(line, fault))
            else:
                cells = dict(zip(header, row, strict=True))
                _take(reading, line, cells, (score, by, weight), known, excluding=excluding)
            if len(reading.faults) >= MAX_FAULTS:
                reading.faults.append(PlanFault("", "the rest was not read"))
                return
            if len(reading.scores) > MAX_ROWS:
                reading.faults.append(PlanFault(line, f"more than {MAX_ROWS:,} rows"))
                return
    except csv.Error as fault:
        reading.faults.append(PlanFault(f"line {rows.line_num}", f"is not CSV: {fault}"))


def _answered(rows: Any, width: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each row's line, and the row.

    An empty line is no row; but in a file of one column it is an answer not given, unless nothing follows it.
    """
    blank: list[int] = []
    for row in rows:
        if row:
            yield from ((number, [""]) for number in blank)
            blank.clear()
            yield rows.line_num, row
        elif width == 1:
            blank.append(rows.line_num)


def _take(
    reading: _Reading,
    line: str,
    cells: dict[str, str],
    names: tuple[str, str | None, str | None],
    known: dict[Any, int],
    *,
    excluding: bool,
) -> None:
    """Take one row into the columns."""
    score, by, weight = names
    answer = _answer(cells[score])
    if not excluding and (isinstance(answer, float) or answer not in known):
        problem = "is missing" if answer is None else f"{cells[score][:40]!r} is no answer of the scale"
        reading.faults.append(PlanFault(line, f"{score} {problem}"))
    reading.scores.append(answer)
    if by is not None:
        group = cells[by].strip() or None
        if group is None and not excluding:
            reading.faults.append(PlanFault(line, f"{by} is missing"))
        reading.groups.append(group)
    if weight is not None:
        cell = cells[weight].strip()
        if _WHOLE.fullmatch(cell) or _DECIMAL.fullmatch(cell):
            value = float(cell)
            if value < 0:
                reading.faults.append(PlanFault(line, f"{weight} {cell} is negative"))
            reading.weights.append(value)
        else:
            reading.faults.append(PlanFault(line, f"{weight} {cell[:40]!r} is not a decimal number"))


def _answer(cell: str) -> int | float | str | None:
    answer = cell.strip()
    if not answer:
        return None
    if _WHOLE.fullmatch(answer):
        return int(answer)
    return float(answer) if _DECIMAL.fullmatch(answer) else answer


def _lines(file: TextIO) -> Iterator[str]:
    """Yield lines, none longer than the bound, and no more text than the bound."""
    left = MAX_CHARACTERS
    while line := file.readline(MAX_LINE + 1):
        left -= len(line)
        if len(line) > MAX_LINE:
            raise csv.Error(f"the line is longer than {MAX_LINE:,} characters")
        if left < 0:
            raise csv.Error(f"the file is longer than {MAX_CHARACTERS:,} characters")
        yield line
