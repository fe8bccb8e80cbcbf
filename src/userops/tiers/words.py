"""Explanations: why a tier changed or stands, as a code with its facts, in English or any other words."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from userops.errors import InvalidValue


class Why(enum.StrEnum):
    """Why a tier changed, or was kept."""

    REACHED = "reached"
    REQUALIFIED = "requalified"
    REVIEW_FAILED = "review failed"
    GRACE_ENDED = "grace ended"
    GRANTED = "granted"
    REVOKED = "revoked"
    REVERSAL = "reversal"


#: English, by code. Translations are mappings of the same codes; a code they lack stays English.
ENGLISH: Final[Mapping[str, str]] = MappingProxyType(
    {
        "reached": "reached {tier} with {have}: {tier} needs {needs}",
        "requalified": "kept {tier} with {have}: {tier} needs {needs}",
        "review failed": "the review found {have}: {kept} needs {needs}",
        "grace ended": "the grace ended with {have}: {kept} needs {needs}",
        "reversal": "a reversal took back what {kept} stood on: {have} left",
        "granted": "{tier} was granted by {by}: {reason}",
        "revoked": "the grant of {kept} ended",
        "no tier": "below the lowest threshold: {have}",
        "base": "{tier} is where every member starts",
        "review": "the next review is at {at}; it needs {to_keep} more by then",
        "kept so far": "the next review is at {at}; what is there already is enough",
        "grace": "in grace until {at}: requalifying needs {to_keep} more",
        "for life": "{tier} is held for life",
        "next": "{missing} more to {tier}",
        "requires": "{tier} also requires that {condition}",
        "old rate": "the event that crosses a threshold still earns at the old rate (crossing old_rate)",
        "new rate": "the event that crosses a threshold already earns at the new rate (crossing new_rate)",
        "paused": "paused: reviews wait until {at}",
    }
)


class Reason(str):
    """One reason: the English sentence, with the code and the facts it was made from.

    >>> reason = Reason.of("next", missing="2,900", tier="gold")
    >>> reason
    '2,900 more to gold'
    >>> describe(reason, words={"next": "距离{tier}还差{missing}"})
    '距离gold还差2,900'
    """

    __slots__ = ("code", "facts")
    code: str
    facts: Mapping[str, str]

    @classmethod
    def of(cls, code: str, /, **facts: object) -> Reason:
        """Make the reason of a code from its facts."""
        known = {name: str(value) for name, value in facts.items()}
        reason = cls(ENGLISH[code].format(**known))
        reason.code, reason.facts = str(code), MappingProxyType(known)
        return reason

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild from code and facts."""
        return (_reason, (self.code, dict(self.facts)))


def _reason(code: str, facts: dict[str, str]) -> Reason:
    return Reason.of(code, **facts)


def describe(reason: Reason, *, words: Mapping[str, str] = ENGLISH) -> str:
    """Say a reason in other words: a mapping from codes to templates with the facts' names in braces.

    >>> describe(Reason.of("base", tier="member"), words={})
    'member is where every member starts'
    """
    template = words.get(reason.code, ENGLISH[reason.code])
    try:
        return template.format(**reason.facts)
    except (KeyError, IndexError, ValueError, AttributeError) as fault:
        names = ", ".join(reason.facts) or "none"
        raise InvalidValue(f"the words for {reason.code!r} may name these facts only: {names}") from fault


def amounts(totals: Mapping[str, int], metric: str) -> str:
    """Return totals by metric in words; the ladder's own metric goes without its name.

    >>> amounts({"value": 3_100, "referrals": 1}, "value")
    '3,100 and 1 referrals'
    """
    return " and ".join(f"{n:,}" if name == metric else f"{n:,} {name}" for name, n in totals.items()) or "0"
