"""A segment: a name for the members on whom a condition is known to hold."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from userops.core.conditions import Condition
from userops.core.ids import MAX_NAME_BYTES, identifier
from userops.core.logic import Either
from userops.errors import InvalidValue
from userops.segments.labelling import LANGUAGES, Label


@frozen
class Segment:
    """A named group of members: those on whom a condition is known to hold.

    >>> from userops.core.conditions import F
    >>> lapsing = Segment("lapsing owner", F("days_since_active") > 60, names={"zh": "沉睡车主"})
    >>> lapsing.label(lang="zh")
    '沉睡车主'
    """

    name: str
    condition: Condition
    #: Names in other languages, by their codes, such as zh.
    names: Mapping[str, str] = field(factory=dict, hash=False)

    def __attrs_post_init__(self) -> None:
        """Refuse what is no name or no condition."""
        object.__setattr__(self, "name", identifier(self.name, "a segment's name", most=MAX_NAME_BYTES))
        if not isinstance(self.condition, Condition):
            raise InvalidValue(
                f"segment {self.name!r}: the condition is made with F, such as F('kind') == 'owner', "
                f"not a {type(self.condition).__name__}"
            )
        if not isinstance(self.names, Mapping) or not set(self.names) <= set(LANGUAGES):
            raise InvalidValue(
                f"segment {self.name!r}: names map a language ({', '.join(LANGUAGES)}) to a name"
            )

    @property
    def label(self) -> Label:
        """The label of its members: text that gives its name in another language when called."""
        return Label(self.name, self.names)

    @property
    def clauses(self) -> tuple[Condition, ...]:
        """The alternatives, any one of which suffices; each is a reason of its own."""
        return self.condition.parts if isinstance(self.condition, Either) else (self.condition,)
