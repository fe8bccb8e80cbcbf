"""Quantities: numbers within bounds, as parameters and measures take them."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from userops.errors import InvalidValue


def checked_number(value: Any, name: str, low: float, high: float) -> float:
    """Return a finite number within bounds.

    >>> checked_number(0.5, "rho", 0, 1)
    0.5
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise InvalidValue(f"{name} must be a number, not {type(value).__name__}")
    number = float(value)
    if not low <= number <= high:
        raise InvalidValue(f"{name} must lie between {low:g} and {high:g}")
    return number
