"""Values given by callers: plain numbers checked, and anything at all shown briefly in messages."""

from __future__ import annotations

import math

import numpy as np

from userops.errors import InvalidValue


def brief(value: object) -> str:
    """Return a value for a message: text and small numbers as they are, anything else by its kind.

    >>> brief("Score"), brief(11), brief(10**5000)
    ("'Score'", '11', 'a huge number')
    """
    if isinstance(value, str):
        return repr(str(value)[:40])
    if isinstance(value, int) and abs(value) >= 10**40:
        return "a huge number"
    if value is None or isinstance(value, int | float | np.number):
        return str(value)
    return f"a value of type {type(value).__name__}"


def number(value: object, name: str) -> float:
    """Return a finite float from an int or float; what is beyond a float is refused like infinity.

    >>> number(True, "trim")
    Traceback (most recent call last):
    userops.errors.InvalidValue: trim must be a number, not bool
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise InvalidValue(f"{name} must be a number, not {type(value).__name__}")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise InvalidValue(f"{name} must be a finite number of ordinary size")
    return found
