"""The kinds of columns that a simulation works on, and the memory that they lie in."""

from __future__ import annotations

from typing import Any

import numpy as np
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
