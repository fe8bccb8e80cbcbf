"""Labelling: what every labelling returns for a member, and labels that have a name in other languages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, TypeVar

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from userops.core.ids import text
from userops.core.quantities import choice, mapped
from userops.errors import InvalidValue

Value = TypeVar("Value")
LANGUAGES: Final = ("en", "zh")

#: The Chinese names of the labels that this capability gives.
_CHINESE: Final = {
    "typical": "典型用户",
    "complaining": "抱怨用户",
    "silent detractor": "沉默的贬损者",
    "none": "无",
    "seed": "种子用户",
    "unclaimed": "未归类",
    "fan": "粉丝",
    "lead": "线索",
    "lost lead": "战败线索",
    "reactivated lead": "重新激活的线索",
    "owner": "保客",
    "owner out of warranty": "脱保客户",
    "used-car owner": "二手车主",
    "used-car owner out of warranty": "脱保二手车主",
    "additional buyer": "增购车主",
    "replacement buyer": "换购车主",
    "referrer": "推荐人",
    "ex-owner": "前车主",
    "lapsed": "流失",
    "received": "已受理",
    "acknowledged": "已确认",
    "in progress": "处理中",
    "answered": "已答复",
    "accepted": "已认可",
    "closed": "已关闭",
    "reopened": "重新打开",
    "heavy": "重运营",
    "normal": "中运营",
    "light": "轻运营",
}


class Label(str):
    """A label: its English text, and its name in another language when called.

    >>> Label("seed"), Label("seed")(lang="zh")
    ('seed', '种子用户')
    """

    __slots__ = ("_names",)
    _names: Mapping[str, str]

    def __new__(cls, value: str, names: Mapping[str, str] | None = None) -> Label:
        """Name the label; `names` maps a language to the name in it."""
        made = str.__new__(cls, text(value, "a label"))
        made._names = MappingProxyType(mapped(names, "names"))  # noqa: SLF001 — its own
        return made

    def __call__(self, lang: str = "en") -> str:
        """Return the name in a language; where none is known, the English text."""
        return (
            str(self)
            if choice(lang, LANGUAGES, "a language") == "en"
            else self._names.get(lang, _CHINESE.get(str(self), str(self)))
        )

    def __str__(self) -> str:
        return str.__str__(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Label, (str(self), dict(self._names)))


def label(value: str, lang: str = "en") -> str:
    """Return the name of a label of this library in a language.

    >>> label("lost lead", lang="zh")
    '战败线索'
    """
    return (value if isinstance(value, Label) else Label(value))(lang=lang)


@frozen
class Explanation:
    """Why one member has a label: the parts of the score, in words and in numbers."""

    label: Any
    score: float
    #: What each part adds; the parts sum to the score exactly, in any order.
    contributions: Mapping[str, float] = field(hash=False)
    reasons: tuple[str, ...]
    as_of: datetime | None = None
    #: Which version of the rules decided.
    version: str = ""
    #: The inputs that had no value.
    missing: tuple[str, ...] = ()
    member: Any = None

    def __str__(self) -> str:
        name = f"{self.member}: " if self.member is not None else ""
        return f"{name}{self.label if self.label is not None else 'unclaimed'} — {'; '.join(self.reasons)}"


class ByMember(Mapping[Any, Value]):
    """A column of values known by member: looked up by id, listed in the order of the rows.

    >>> loads = ByMember(("ann", "bo"), (3.0, 0.0))
    >>> loads["bo"], dict(loads)
    (0.0, {'ann': 3.0, 'bo': 0.0})
    """

    __slots__ = ("_places", "_values")

    def __init__(self, members: Iterable[Any], values: Iterable[Value]) -> None:
        """Pair members with values, in order."""
        self._values = tuple(values)
        self._places = {member: place for place, member in enumerate(members)}
        if len(self._places) != len(self._values):
            raise InvalidValue("every member has one value")

    def __getitem__(self, member: Any) -> Value:
        return self._values[self._places[member]]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._values)

    def __call__(self, lang: str = "en") -> dict[Any, str]:
        """Return the labels by member, in a language."""
        return {member: label(str(value), lang) for member, value in self.items()}

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: FBT001 — numpy's
        return np.array(self._values, dtype=dtype)

    def __repr__(self) -> str:
        return f"ByMember({len(self)} members)"


def summable(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return parts (numbers or columns) rounded so that their floating sum is exact in any order.

    The parts of a row become multiples of one power of two, small enough to cost about one unit in the last
    place of their sum, large enough that no partial sum has more than 53 bits.

    >>> parts = summable({"a": 0.1, "b": 0.2, "c": 0.3})
    >>> sum(parts.values()) == parts["c"] + parts["a"] + parts["b"]
    True
    """
    if not parts:
        return {}
    rows = np.array([np.asarray(part, dtype=np.float64) for part in parts.values()])
    size = np.abs(rows).sum(axis=0)
    if not np.isfinite(size).all():
        raise InvalidValue("the parts of a score must be finite, and so must their sum")
    # Rounding may carry the sum over the next power of two: one bit is kept free.
    exponent = np.maximum(np.frexp(size)[1] + 1 - 53, -1_000)
    rounded = np.ldexp(np.rint(np.ldexp(rows, -exponent)), exponent)
    if rounded.ndim == 1:
        return {name: float(part) for name, part in zip(parts, rounded, strict=True)}
    return dict(zip(parts, rounded, strict=True))


def column_of(values: Iterable[Any], count: int) -> NDArray[Any]:
    """Return a column of objects, tuples kept whole."""
    made = np.empty(count, dtype=object)
    for place, value in enumerate(values):
        made[place] = value
    return made


def describe_number(value: float) -> str:
    """Return a number as reasons show it.

    >>> describe_number(12.0), describe_number(0.1234)
    ('12', '0.123')
    """
    return f"{value:.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.3g}"


Row = Callable[[int], Explanation]
