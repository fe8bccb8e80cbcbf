"""The kinds of columns that a simulation works on, and the memory that they lie in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

Array = NDArray[Any]
Ints = NDArray[np.integer[Any]]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def keep_memory() -> None:
    """Let the C library keep freed memory for the next columns instead of handing it back each time.

    glibc learns from the largest piece that it gave back whole, up to 32 MiB, how much is worth keeping: this piece
    is never touched, and costs nothing. Without it a tenth of the time goes into faulting the same pages in again.
    """
    np.empty(31 * 2**20, dtype=np.uint8)


#: Marks a missing whole number; no amount of a simulation comes near it.
MISSING = -(2**62)


@frozen(eq=False)
class Column:
    """A field of events: whole numbers, or places in `words` (-1 where it is missing)."""

    values: Ints
    words: tuple[Any, ...] | None = None

    def spelt(self) -> Array:
        """Return the values as the condition language reads them."""
        if self.words is None:
            gone = self.values == MISSING
            return np.ma.array(self.values, mask=gone) if gone.any() else self.values
        spelt = np.empty(len(self.words) + 1, dtype=object)
        spelt[:-1] = self.words
        found: Array = spelt[self.values]
        return found

    def taken(self, places: Any) -> Column:
        """Return the column at some places."""
        return Column(self.values[places], self.words)


Columns = Mapping[str, Column]
