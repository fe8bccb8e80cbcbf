"""What members take back: which share of their events is cancelled, how long after, and how much of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from attrs import frozen

from userops.core.files import Section
from userops.errors import InvalidValue
from userops.simulation.inputs.distributions import Parameter, parameter

#: The field of a redemption that says what is to be paid, in points: a sink may bound the share of it.
BILL = "bill"
#: A cancellation comes within this many days, or never.
MOST_DAYS = 3_650
_share = partial(parameter, low=0.0, high=1.0)
_days = partial(parameter, low=0.0, high=MOST_DAYS)
_WHOLE = Parameter("number", (1.0,), 0.0, 1.0)
#: Evenly within the month after, unless the plan says otherwise.
_MONTH = Parameter("uniform", (1.0, 30.0), 0.0, MOST_DAYS)
_KEYS = ("share", "after_days", "part")


@frozen(kw_only=True)
class Cancellation:
    """How events of one kind are cancelled: `<kind>.cancelled` follows them, with their reference."""

    #: Of the events, those that are cancelled; drawn once per replication.
    share: Parameter
    #: So many days later, drawn for each, rounded to whole days.
    after_days: Parameter = _MONTH
    #: The part of the amount that comes back, drawn for each; 1 is all of it, and no amount is told.
    part: Parameter = _WHOLE


def read_cancellation(value: Any) -> Cancellation:
    """Read `0.05`, a distribution of the share, or `{ share = …, after_days = …, part = … }`.

    >>> read_cancellation(0.05).share.values
    (0.05,)
    >>> read_cancellation({"share": 2})
    Traceback (most recent call last):
    userops.errors.InvalidValue: share must be between 0 and 1, not 2
    """
    if not isinstance(value, Mapping) or not set(value) & set(_KEYS):
        return Cancellation(share=_share(value))
    unknown = sorted(map(str, set(value) - set(_KEYS)))
    if unknown:
        raise InvalidValue(f"a cancellation has {', '.join(_KEYS)}, not {', '.join(unknown)[:80]}")
    if "share" not in value:
        raise InvalidValue("give the share of the events that are cancelled: { share = 0.05 }")
    return Cancellation(
        share=_named("share", _share, value["share"]),
        after_days=_named("after_days", _days, value["after_days"]) if "after_days" in value else _MONTH,
        part=_named("part", _share, value["part"]) if "part" in value else _WHOLE,
    )


def _named(name: str, read: Any, value: Any) -> Parameter:
    try:
        found: Parameter = read(value)
    except InvalidValue as fault:
        raise InvalidValue(f"{name} {fault}") from None
    return found


def read_cancelled(section: Section) -> dict[str, Cancellation]:
    """Read `[behaviour.cancelled]`: a kind of event and how it is cancelled."""
    inner = section.section("cancelled")
    if inner is None:
        return {}
    found = {kind: inner.value(kind, read_cancellation) for kind in inner}
    return {kind: one for kind, one in found.items() if one is not None}
