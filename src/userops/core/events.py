"""Events: something a member did, at an instant. Facts in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from attrs import field, frozen

from userops.core.amounts import amount as _amount
from userops.core.calendar import instant
from userops.core.fields import checked
from userops.core.ids import MAX_EVENT_ID_BYTES, MAX_ID_BYTES, identifier, text
from userops.errors import InvalidValue


class Record(Mapping[str, Any]):
    """A read-only copy of a mapping; lists in it become tuples, mappings records.

    >>> Record({"city": "Hefei"})["city"]
    'Hefei'
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        """Copy, all the way down."""
        if not isinstance(values, Mapping | None):
            raise InvalidValue("data must be a mapping from field names to values")
        self._values = {
            text(key, "a field name"): _frozen_value(value) for key, value in (values or {}).items()
        }

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        """Name the fields only: values may be personal."""
        return f"Record({', '.join(self._values)})"


#: How deep data may lie within data; a list within itself has no end.
_DEEPEST = 32


def _frozen_value(value: Any, depth: int = 0) -> Any:
    if depth > _DEEPEST:
        raise InvalidValue(f"data lies more than {_DEEPEST} lists or mappings deep")
    if isinstance(value, Mapping):
        return Record({key: _frozen_value(item, depth + 1) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(_frozen_value(item, depth + 1) for item in value)
    if isinstance(value, set | frozenset):
        return frozenset(value)
    if isinstance(value, bytearray):
        return bytes(value)
    return value


_fields = checked(
    {
        "id": partial(identifier, most=MAX_EVENT_ID_BYTES),
        "kind": partial(identifier, most=MAX_EVENT_ID_BYTES),
        "member": identifier,
        "at": instant,
        "reference": partial(text, most=MAX_ID_BYTES),
        "amount": _amount,
        "data": lambda value, _name: Record(value),
    }
)


@frozen(field_transformer=_fields)
class Event:
    """Something a member did, at an instant.

    `reference` names what it is about (an order, a vehicle); events of one reference share its caps and its
    cancellation. `amount` is exact: an `int` or a `Decimal`. `data` is copied.

    >>> from datetime import UTC
    >>> Event("e1", "order.delivered", "u1", datetime(2027, 1, 5, tzinfo=UTC), data={"invited": True}).data
    Record(invited)
    """

    id: str
    kind: str
    member: str
    at: datetime
    reference: str = ""
    amount: int | Decimal | None = None
    data: Mapping[str, Any] = field(factory=dict, hash=False)
