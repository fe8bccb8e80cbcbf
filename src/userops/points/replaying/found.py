"""What a replay finds, collected block by block: allocations, outcomes, and the lots with points left."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import define
from numpy.typing import NDArray

from userops.points.replaying.events import Ints


@define(eq=False)
class Growing:
    """Columns of equal length that grow at the end; the memory beyond their length is given back when closed."""

    columns: tuple[NDArray[Any], ...]
    length: int = 0

    def append(self, *parts: Ints) -> None:
        """Add rows to every column."""
        end = self.length + len(parts[0])
        if end > len(self.columns[0]):
            # Large columns grow by moving pages, not by copying, so that little room suffices; and no view of a
            # column is given out before `close`.
            for column in self.columns:
                column.resize(max(end, len(column) + len(column) // 4, 4_096), refcheck=False)
        for column, part in zip(self.columns, parts, strict=True):
            column[self.length : end] = part
        self.length = end

    def close(self) -> tuple[NDArray[Any], ...]:
        """Return the columns, cut to their length."""
        for column in self.columns:
            column.resize(self.length, refcheck=False)
        return self.columns


def growing(columns: int, room: int) -> Growing:
    """Return so many empty columns with room."""
    return Growing(tuple(np.empty(room, np.int64) for _ in range(columns)))


@define(eq=False)
class Found:
    """The outcome of every row; (event row, lot row, points) of every allocation; (lot row, points) left."""

    outcome: NDArray[np.int8]
    allocations: Growing
    left: Growing

    @classmethod
    def of(cls, rows: int, lots: int) -> Found:
        """Begin with nothing found, and with room for few allocations and few lots left."""
        return cls(np.zeros(rows, np.int8), growing(3, rows // 4), growing(2, lots // 4))
