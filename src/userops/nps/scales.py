"""Scales: which answers there are, and which of them make a promoter, a passive or a detractor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from attrs import field, frozen

from userops.core.amounts import whole
from userops.core.ids import MAX_NAME_BYTES, identifier
from userops.errors import InvalidValue
from userops.nps.values import brief

#: The classes in the order of their counts.
CLASSES: Final = ("detractor", "passive", "promoter")
Answer = int | str


def _class(value: object) -> str:
    if isinstance(value, str) and value in CLASSES:
        return str(value)
    raise InvalidValue(f"{brief(value)} is no class; one of {', '.join(CLASSES)}")


def _name(value: object) -> str:
    return identifier(value, "a scale's name", most=MAX_NAME_BYTES)


def _answers(given: object) -> tuple[tuple[Answer, str], ...]:
    if isinstance(given, Mapping):
        given = given.items()
    try:
        pairs = [(answer, _class(word)) for answer, word in given]  # type: ignore[attr-defined]
    except (TypeError, ValueError) as fault:
        if isinstance(fault, InvalidValue):
            raise
        raise InvalidValue("a scale maps every answer to its class") from None
    known: list[tuple[Answer, str]] = [
        (identifier(answer, "an answer") if isinstance(answer, str) else whole(answer, "an answer"), word)
        for answer, word in pairs
    ]
    if not known:
        raise InvalidValue("a scale needs at least one answer")
    if len({answer for answer, _ in known}) < len(known):
        raise InvalidValue("a scale lists each answer once")
    # The order of the answers is no part of the scale: two dictionaries of equal content are one scale.
    return tuple(sorted(known, key=lambda pair: (isinstance(pair[0], str), pair[0])))


@frozen
class Scale:
    """The answers that a question allows, each with its class; results of different scales never mix.

    >>> Scale.verbal({"surely": "promoter", "perhaps": "passive", "no": "detractor"}).name
    'verbal'
    """

    #: The usual question: 0–6 detractors, 7–8 passives, 9–10 promoters.
    ZERO_TO_TEN: ClassVar[Scale]
    #: As above, asked without a zero.
    ONE_TO_TEN: ClassVar[Scale]
    #: 1–3 detractors, 4 passives, 5 promoters.
    FIVE_POINT: ClassVar[Scale]
    #: 1–4 detractors, 5 passives, 6 promoters.
    SIX_POINT: ClassVar[Scale]

    name: str = field(converter=_name)
    answers: tuple[tuple[Answer, str], ...] = field(converter=_answers, repr=False)

    @classmethod
    def verbal(cls, answers: Mapping[Answer, str]) -> Scale:
        """Return the scale of a question answered in words, each word's class stated.

        >>> Scale.verbal({"yes": "fan"})
        Traceback (most recent call last):
        userops.errors.InvalidValue: 'fan' is no class; one of detractor, passive, promoter
        """
        if not isinstance(answers, Mapping):
            raise InvalidValue("a verbal scale is a mapping from answer to class")
        return cls("verbal", answers)

    @property
    def codes(self) -> dict[Answer, int]:
        """Return the place of each answer among the scale's answers."""
        return {answer: place for place, (answer, _) in enumerate(self.answers)}

    @property
    def classes(self) -> tuple[int, ...]:
        """Return the class of each answer by place: 0 detractor, 1 passive, 2 promoter."""
        return tuple(CLASSES.index(word) for _, word in self.answers)

    @property
    def span(self) -> tuple[int, int] | None:
        """Return (lowest, highest) where the answers are consecutive whole numbers, else None."""
        found = [answer for answer, _ in self.answers]
        low, high = found[0], found[-1]
        if isinstance(low, int) and isinstance(high, int) and high - low == len(found) - 1:
            return low, high
        return None

    def __str__(self) -> str:
        return self.name


def _numeric(name: str, lowest: int, passives: int, promoters: int, highest: int) -> Scale:
    return Scale(name, {k: CLASSES[(k >= passives) + (k >= promoters)] for k in range(lowest, highest + 1)})


Scale.ZERO_TO_TEN = _numeric("0 to 10", 0, 7, 9, 10)
Scale.ONE_TO_TEN = _numeric("1 to 10", 1, 7, 9, 10)
Scale.FIVE_POINT = _numeric("1 to 5", 1, 4, 5, 5)
Scale.SIX_POINT = _numeric("1 to 6", 1, 5, 6, 6)


def check_scale(scale: object, name: str = "scale") -> Scale:
    """Return a scale, or refuse what is none.

    >>> check_scale("0-10")
    Traceback (most recent call last):
    userops.errors.InvalidValue: scale must be a Scale such as Scale.ZERO_TO_TEN, not str
    """
    if not isinstance(scale, Scale):
        raise InvalidValue(f"{name} must be a Scale such as Scale.ZERO_TO_TEN, not {type(scale).__name__}")
    return scale


def same_scale(a: Scale, b: Scale) -> Scale:
    """Return the common scale of two results; different ones do not mix.

    >>> same_scale(Scale.ZERO_TO_TEN, Scale.FIVE_POINT)
    Traceback (most recent call last):
    userops.errors.InvalidValue: results on the scales '0 to 10' and '1 to 5' cannot be added or compared
    """
    if a != b:
        other = "" if a.name != b.name else " with different answers"
        raise InvalidValue(
            f"results on the scales {a.name!r} and {b.name!r}{other} cannot be added or compared"
        )
    return a
