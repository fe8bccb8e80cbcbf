"""Fields of values: every field checked and normalised by what its name means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

Check = Callable[[Any, str], Any]


_NO_DEFAULT: Any = object()

#: Makes of a check, a field's name and its default what takes a value and returns the one to keep.
Converting = Callable[[Check, str, Any], Callable[[Any], Any]]


def _converting(check: Check, name: str, default: Any) -> Callable[[Any], Any]:
    return lambda value: value if value is default else check(value, name)


def checked(
    checks: Mapping[str, Check], converting: Converting = _converting
) -> Callable[[type, list[Any]], list[Any]]:
    """Return an attrs `field_transformer` that runs each field through the check of its name.

    A check takes the value and the field's name and returns the value to keep, or raises. A field whose
    default is None may be None; any other default is checked once, here. Fields without a check are kept as
    given. (A converter on the field itself would hide the field's type from type checkers.)
    """

    def transform(_cls: type, fields: list[Any]) -> list[Any]:
        return [_checked(f, checks[f.name], converting) if f.name in checks else f for f in fields]

    return transform


def _checked(field: Any, check: Check, converting: Converting) -> Any:
    name, default = field.name, field.default
    if default is attrs.NOTHING:
        return field.evolve(converter=converting(check, name, _NO_DEFAULT))
    if default is not None and not isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        default = converting(check, name, _NO_DEFAULT)(default)
    return field.evolve(default=default, converter=converting(check, name, default))
