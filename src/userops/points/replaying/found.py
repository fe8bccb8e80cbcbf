"""What a replay finds, collected block by block: allocations, outcomes, and the lots with points left."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import define, field
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
            # Moving pages is cheaper than copying them, and no view of a column is given out before `close`.
            for column in self.columns:
                column.resize(max(end, len(column) + len(column) // 2, 4_096), refcheck=False)
        for column, part in zip(self.columns, parts, strict=True):
            column[self.length : end] = part
        self.length = end

    def close(self) -> tuple[NDArray[Any], ...]:
        """Return the columns, cut to their length."""
        for column in self.columns:
            column.resize(self.length, refcheck=False)
        return self.columns


def _growing(columns: int) -> Growing:
    return Growing(tuple(np.empty(0, np.int64) for _ in range(columns)))


@define(eq=False)
class Found:
    """The outcome of every row; (event row, lot row, points) of every allocation; (lot row, points) left."""

    outcome: NDArray[np.int8]
    allocations: Growing = field(factory=lambda: _growing(3))
    left: Growing = field(factory=lambda: _growing(2))
