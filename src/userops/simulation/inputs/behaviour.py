"""What members do: rates, lapse, redemption and the data of events, as a plan states them per group."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
from attrs import evolve, field, frozen

from userops.core.files import Section
from userops.core.ids import MAX_EVENT_ID_BYTES, identifier
from userops.errors import InvalidValue
from userops.simulation.columns import Ints
from userops.simulation.inputs.cancellation import Cancellation, read_cancelled
from userops.simulation.inputs.distributions import Parameter, number, parameter

#: The event that a referrer's invitee makes happen by joining, unless the plan names another.
INVITED = "referral.joined"
MONTHS_OF_YEAR = 12
#: The chances of what never and of what always happens.
NEVER, ALWAYS = Parameter("number", (0.0,), 0.0, 1.0), Parameter("number", (1.0,), 0.0, 1.0)
share = partial(parameter, low=0.0, high=1.0)
rate = partial(parameter, low=0.0, high=1e6)


@frozen(kw_only=True)
class Rate:
    """Events per month of an active member; members differ by a gamma factor of mean 1.

    `dispersion` is the squared coefficient of variation of members' rates, so the count of a month has
    variance `mean + dispersion · mean²`: the negative binomial's.
    """

    mean: Parameter
    dispersion: float = 0.0


@frozen(kw_only=True)
class Draw:
    """How one field of an event's data is drawn: a whole number, or one of some values."""

    #: A distribution drawn for every event, rounded to a whole number.
    amount: Parameter | None = None
    values: tuple[Any, ...] = ()
    weights: tuple[float, ...] = ()

    def draw(self, rng: np.random.Generator, size: int) -> Ints:
        """Return whole numbers, or places in `values`."""
        if self.amount is not None:
            whole: Ints = np.rint(self.amount.draw(rng, size)).astype(np.int64)
            return whole
        edges = np.cumsum(np.asarray(self.weights))
        place = np.searchsorted(edges, rng.random(size) * edges[-1], side="right")
        places: Ints = np.minimum(place, len(edges) - 1).astype(np.int64)
        return places


@frozen(kw_only=True)
class Behaviour:
    """What the members of one group do in a month."""

    lapse: Parameter = NEVER
    #: How much members differ in their lapse: 0 not at all; the variance of a beta is `m (1 - m) · spread`.
    lapse_spread: float = 0.0
    redeem: Parameter = NEVER
    redeem_share: Parameter = ALWAYS
    #: The balance at which members redeem as often as `redeem` says: below it less, above it up to twice.
    redeem_balance: float = 1_000.0
    #: How much more often a member redeems whose whole balance is about to expire: 1 means twice.
    near_expiry: float = 1.0
    sink: str = "redeemed"
    events: Mapping[str, Rate] = field(factory=dict, hash=False)
    #: Event kind → how such events are cancelled.
    cancelled: Mapping[str, Cancellation] = field(factory=dict, hash=False)
    #: Invitations per month that lead to a new member.
    referrals: Rate | None = None
    #: The group that invitees join, and the event of the referrer when they do.
    referred_to: str = ""
    referral_event: str = INVITED
    #: Event kind → field → how it is drawn.
    data: Mapping[str, Mapping[str, Draw]] = field(factory=dict, hash=False)
    #: Factors on the rates of events, January to December.
    season: tuple[float, ...] = (1.0,) * MONTHS_OF_YEAR

    def parameters(self) -> dict[str, Parameter]:
        """Return what is drawn once per replication, by its path inside this behaviour."""
        found = {
            "lapse_per_month": self.lapse,
            "redeem_per_month": self.redeem,
            "redeem_share": self.redeem_share,
        }
        found |= {f"events_per_month.{kind}": one.mean for kind, one in self.events.items()}
        found |= {f"cancelled.{kind}": one.share for kind, one in self.cancelled.items()}
        if self.referrals is not None:
            found["referrals.per_month"] = self.referrals.mean
        return found


KEYS = (
    "lapse_per_month",
    "lapse_spread",
    "redeem_per_month",
    "redeem_share",
    "redeem_balance",
    "near_expiry",
    "sink",
    "events_per_month",
    "cancelled",
    "referrals",
    "data",
    "seasonality",
)


def read_behaviours(root: Section, groups: tuple[str, ...]) -> dict[str, Behaviour]:
    """Read `[behaviour]`: the keys of all, and `[behaviour.<group>]` over them."""
    section = root.section("behaviour")
    if section is None:
        return dict.fromkeys(groups, Behaviour())
    common = read_behaviour(section, Behaviour(), groups)
    found = {}
    for group in groups:
        inner = section.section(group) if group and group not in KEYS else None
        found[group] = common if inner is None else read_behaviour(inner, common, groups)
        if inner is not None:
            inner.finish(KEYS)
    section.finish((*KEYS, *groups))
    return found


def read_behaviour(section: Section, base: Behaviour, groups: tuple[str, ...]) -> Behaviour:
    """Read one group's behaviour; what it leaves out is as in `base`."""
    plain = partial(_plain, low=0.0, high=1e6)
    changes: dict[str, Any] = {
        "lapse": section.value("lapse_per_month", share, base.lapse),
        "lapse_spread": section.value("lapse_spread", partial(_plain, low=0.0, high=0.99), base.lapse_spread),
        "redeem": section.value("redeem_per_month", share, base.redeem),
        "redeem_share": section.value("redeem_share", share, base.redeem_share),
        "redeem_balance": section.value(
            "redeem_balance", partial(_plain, low=1e-9, high=1e15), base.redeem_balance
        ),
        "near_expiry": section.value("near_expiry", plain, base.near_expiry),
        "sink": section.name("sink", base.sink),
        "events": {**base.events, **_read_events(section)},
        "cancelled": {**base.cancelled, **read_cancelled(section)},
        "data": _read_data(section, base.data),
        "season": section.value("seasonality", _season, base.season),
    }
    inner = section.section("referrals")
    if inner is not None:
        per_month = inner.value("per_month", read_rate)
        into = inner.choice("into", {group: group for group in groups}, groups[0])
        event = inner.name("event", INVITED)
        inner.finish()
        if per_month is not None:
            changes |= {"referrals": per_month, "referred_to": into, "referral_event": event}
    return evolve(base, **changes)


def _plain(value: Any, *, low: float, high: float) -> float:
    found = number(value)
    if not low <= found <= high:
        raise InvalidValue(f"must be between {low:g} and {high:g}")
    return found


def read_rate(value: Any) -> Rate:
    """Read a rate: a number, a distribution, or { mean = …, dispersion = … }."""
    if isinstance(value, Mapping) and "mean" in value:
        unknown = set(value) - {"mean", "dispersion"}
        if unknown:
            raise InvalidValue(f"a rate has mean and dispersion, not {', '.join(sorted(map(str, unknown)))}")
        return Rate(
            mean=rate(value["mean"]), dispersion=_plain(value.get("dispersion", 0), low=0.0, high=1_000.0)
        )
    return Rate(mean=rate(value))


def _read_events(section: Section) -> dict[str, Rate]:
    inner = section.section("events_per_month")
    if inner is None:
        return {}
    found = {kind: inner.value(kind, read_rate) for kind in inner}
    for kind in found:
        try:
            identifier(kind, "an event kind", most=MAX_EVENT_ID_BYTES)
        except InvalidValue as fault:
            inner.fault(kind, str(fault))
    return {kind: one for kind, one in found.items() if one is not None}


def _read_data(section: Section, base: Mapping[str, Mapping[str, Draw]]) -> dict[str, Mapping[str, Draw]]:
    found = dict(base)
    for kind, inner in section.named_sections("data").items():
        draws = {name: inner.value(name, read_draw) for name in inner}
        found[kind] = {**found.get(kind, {}), **{name: one for name, one in draws.items() if one is not None}}
    return found


def read_draw(value: Any) -> Draw:
    """Read how a field is drawn: a constant, a list of values, {value = weight}, or a distribution.

    >>> read_draw({"Shanghai": 3, "Hefei": 1}).weights
    (0.75, 0.25)
    """
    if isinstance(value, str | bool):
        return Draw(values=(value,), weights=(1.0,))
    if isinstance(value, list):
        if not value or not all(isinstance(part, str | bool) for part in value):
            raise InvalidValue("a list of values holds words; give numbers as { empirical = […] }")
        return Draw(values=tuple(value), weights=(1.0 / len(value),) * len(value))
    is_weights = isinstance(value, Mapping) and all(
        isinstance(part, int | float | Decimal) and not isinstance(part, bool) for part in value.values()
    )
    if is_weights and value:
        weights = tuple(number(part) for part in value.values())
        total = sum(weights)
        if min(weights) < 0 or total <= 0:
            raise InvalidValue("weights must not be negative, and not all 0")
        words = {"true": True, "false": False} if set(value) <= {"true", "false"} else {}
        return Draw(
            values=tuple(words.get(key, key) for key in value), weights=tuple(w / total for w in weights)
        )
    return Draw(amount=parameter(value, low=0.0, high=1e12))


def _season(value: Any) -> tuple[float, ...]:
    if not isinstance(value, list) or len(value) != MONTHS_OF_YEAR:
        raise InvalidValue("seasonality is a list of 12 factors, January to December")
    return tuple(_plain(part, low=0.0, high=1_000.0) for part in value)


def vocabulary(behaviours: Mapping[str, Behaviour]) -> dict[tuple[str, str], tuple[Any, ...] | None]:
    """Return of each kind and field the words it may hold, or None where it holds whole numbers."""
    words: dict[tuple[str, str], tuple[Any, ...] | None] = {}
    for behaviour in behaviours.values():
        for kind, fields in behaviour.data.items():
            for name, draw in fields.items():
                known = words.get((kind, name)) or ()
                more = draw.values if draw.amount is None else None
                words[kind, name] = None if more is None else tuple(dict.fromkeys((*known, *more)))
    return words
