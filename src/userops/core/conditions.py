"""Conditions: one language for earn rules, tiers and segments, in Python and in TOML.

`F("amount") >= 100` and `{ amount = { ">=" = 100 } }` are the same condition.
"""

from __future__ import annotations

from typing import Any

from userops.core.logic import ALWAYS, Atom, Condition, Finding, among, compared, field_name

__all__ = ["ALWAYS", "Condition", "F", "Finding"]


class F:
    """A field of a record, to be compared: `F("amount") >= 100`.

    >>> (F("model").is_missing() | (F("model") == "ES8")).describe()
    'model is missing or model is ES8'
    """

    __slots__ = ("name",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, name: str) -> None:
        """Name the field."""
        self.name = field_name(name)

    def __eq__(self, value: object) -> Condition:  # type: ignore[override]
        return compared(self.name, "==", value)

    def __ne__(self, value: object) -> Condition:  # type: ignore[override]
        return compared(self.name, "!=", value)

    def __lt__(self, value: Any) -> Condition:
        return compared(self.name, "<", value)

    def __le__(self, value: Any) -> Condition:
        return compared(self.name, "<=", value)

    def __gt__(self, value: Any) -> Condition:
        return compared(self.name, ">", value)

    def __ge__(self, value: Any) -> Condition:
        return compared(self.name, ">=", value)

    def one_of(self, *values: Any) -> Condition:
        """Hold when the field is one of these values, all of one kind."""
        return among(self.name, values)

    def is_missing(self) -> Condition:
        """Hold when the record has no value for the field: absent, None, NaN, NaT or masked."""
        return Atom(self.name, "missing", value=True)
