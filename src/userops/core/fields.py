"""Fields of values: every field checked and normalised by what its name means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

Check = Callable[[Any, str], Any]


def checked(checks: Mapping[str, Check]) -> Callable[[type, list[Any]], list[Any]]:
    """Return an attrs `field_transformer` that runs each field through the check of its name.

    A check takes the value and the field's name and returns the value to keep, or raises. A field whose
    default is None may be None. Fields without a check are kept as given. (A converter on the field itself
    would hide the field's type from type checkers.)
    """

    def transform(_cls: type, fields: list[Any]) -> list[Any]:
        return [
            f.evolve(converter=_converter(checks[f.name], optional=f.default is None))
            if f.name in checks
            else f
            for f in fields
        ]

    return transform


def _converter(check: Check, *, optional: bool) -> Any:
    def convert(value: Any, field: Any) -> Any:
        if optional and value is None:
            return None
        return check(value, field.name)

    return attrs.Converter(convert, takes_field=True)
