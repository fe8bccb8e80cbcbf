"""Currencies and funds as a store declares them: remembered for good, and looked for again when unknown."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Generic, TypeVar

from attrs import define, field

from userops.points.stores.rows import UNREADABLE, damaged
from userops.points.stores.statements import Statements
from userops.points.stores.wire import Wire
from userops.points.values import Budget, Currency, Fund

V = TypeVar("V")


@define(eq=False)
class Declared:
    """Declarations never change, so what was read stays true; another process can only add to them."""

    _currencies: dict[str, Currency] = field(factory=dict)
    _funds: dict[str, Fund] = field(factory=dict)
    _read: int = 0
    _lock: threading.Lock = field(factory=threading.Lock)

    def read(self, wire: Wire, sql: Statements) -> None:
        """Take in the declarations that were made since."""
        with self._lock:
            for place, _, words, _ in wire.rows(sql.declarations, (self._read,)):
                try:
                    self._add(json.loads(words))
                except UNREADABLE:
                    raise damaged("declaration", place) from None
                self._read = place

    def _add(self, words: Sequence[str]) -> None:
        if words[0] == "currency":
            self._currencies[words[1]] = Currency(words[1], words[2] == "True")
        elif words[0] == "fund":
            _, name, cost, kind, timezone, points, per = words
            budget = Budget(int(points), per) if per else None
            self._funds[name] = Fund(name, Decimal(cost), budget, kind, timezone)

    def currencies(self, wire: Wire, sql: Statements) -> Mapping[str, Currency]:
        """Return the currencies; asking for one that is unknown looks for it once more."""
        return _Growing(self._currencies, lambda: self.read(wire, sql))

    def funds(self, wire: Wire, sql: Statements) -> Mapping[str, Fund]:
        """Return the funds; asking for one that is unknown looks for it once more."""
        return _Growing(self._funds, lambda: self.read(wire, sql))


class _Growing(Mapping[str, V], Generic[V]):
    def __init__(self, known: dict[str, V], read: Callable[[], None]) -> None:
        self._known, self._read = known, read

    def __contains__(self, name: object) -> bool:
        if name not in self._known:
            self._read()
        return name in self._known

    def __getitem__(self, name: str) -> V:
        if name not in self._known:
            self._read()
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        self._read()
        return iter(dict(self._known))

    def __len__(self) -> int:
        self._read()
        return len(self._known)
