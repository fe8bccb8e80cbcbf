"""Stages: where a member stands between fan and ex-owner, and what may lead from one to the next."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any, Final

import attrs
from attrs import frozen

from userops.core.amounts import whole
from userops.core.calendar import MICROS_PER_DAY, instant, micros, shift, zone
from userops.core.events import Event
from userops.core.fields import checked
from userops.core.ids import identifier, text
from userops.core.quantities import choice, hashable
from userops.errors import InvalidValue
from userops.segments.labelling import Label


class Stage(Enum):
    """Where a member stands; exactly one at every instant from their first event on."""

    FAN = "fan"
    LEAD = "lead"
    LOST_LEAD = "lost lead"
    REACTIVATED = "reactivated lead"
    OWNER = "owner"
    OUT_OF_WARRANTY = "owner out of warranty"
    USED_CAR_OWNER = "used-car owner"
    USED_CAR_OUT_OF_WARRANTY = "used-car owner out of warranty"
    ADDITIONAL_BUYER = "additional buyer"
    REPLACEMENT_BUYER = "replacement buyer"
    REFERRER = "referrer"
    EX_OWNER = "ex-owner"
    LAPSED = "lapsed"

    def label(self, lang: str = "en") -> str:
        """Return the name of the stage in a language.

        >>> Stage.LOST_LEAD.label(lang="zh")
        '战败线索'
        """
        return Label(self.value)(lang=lang)

    @property
    def owns(self) -> bool:
        """Whether members of this stage own a vehicle."""
        return self in _OWNERS


_OWNERS: Final = (
    Stage.OWNER,
    Stage.OUT_OF_WARRANTY,
    Stage.USED_CAR_OWNER,
    Stage.USED_CAR_OUT_OF_WARRANTY,
    Stage.ADDITIONAL_BUYER,
    Stage.REPLACEMENT_BUYER,
    Stage.REFERRER,
)
#: What may happen to a member. Of one instant, they apply in this order.
HAPPENINGS: Final = ("joined", "lead", "lost", "bought", "sold", "referred", "active")


@frozen
class LifecycleRules:
    """How long a stage lasts without a sign of life, and how long a vehicle is in warranty.

    A stage ends at the first instant that lies its timeout after the last sign of life, which already belongs
    to the next stage. `replacement_days`: an older vehicle sold so soon after the purchase of another makes
    that purchase a replacement.
    """

    fan_days: int = 365
    lead_days: int = 90
    lost_lead_days: int = 365
    owner_days: int = 730
    ex_owner_days: int = 365
    warranty_months: int = 36
    replacement_days: int = 180
    timezone: str = "UTC"

    def __attrs_post_init__(self) -> None:
        """Refuse lengths that are none."""
        for name in (f.name for f in attrs.fields(type(self)) if f.name != "timezone"):
            object.__setattr__(self, name, whole(getattr(self, name), name, at_least=1, at_most=100_000))
        zone(self.timezone)

    def timeout(self, stage: Stage) -> int | None:
        """Return the microseconds after the last sign of life at which a stage ends; None if it does not."""
        if stage is Stage.LAPSED:
            return None
        days = {
            Stage.FAN: self.fan_days,
            Stage.LEAD: self.lead_days,
            Stage.REACTIVATED: self.lead_days,
            Stage.LOST_LEAD: self.lost_lead_days,
            Stage.EX_OWNER: self.ex_owner_days,
        }.get(stage, self.owner_days)
        return days * MICROS_PER_DAY


@frozen(field_transformer=checked({"member": identifier, "at": instant, "vehicle": text}))
class Happening:
    """One thing that happened to a member: joined, lead, lost, bought, sold, referred or active."""

    member: str
    kind: str
    at: datetime
    vehicle: str = ""
    used: bool = False
    warranty_until: datetime | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse unknown kinds, and sales without a vehicle."""
        choice(self.kind, HAPPENINGS, "what happens")
        if self.kind in ("bought", "sold") and not self.vehicle:
            raise InvalidValue(f"{self.kind}: name the vehicle")
        if not isinstance(self.used, bool):
            raise InvalidValue("used must be true or false")
        if self.warranty_until is not None:
            object.__setattr__(self, "warranty_until", instant(self.warranty_until, "warranty_until"))


@frozen
class Owned:
    """A vehicle that a member owns."""

    bought_at: int
    used: bool
    warranty_until: int


class Journey:
    """One member's way: the stage now, the vehicles, the last sign of life. Used by `lifecycle` alone."""

    def __init__(self, rules: LifecycleRules) -> None:
        """Start before the first event."""
        self.rules = rules
        self.base: Stage | None = None
        self.vehicles: dict[str, Owned] = {}
        self.owned_before = False
        self.milestone: Stage | None = None
        self.bought_last: int | None = None
        self.sign_of_life = 0

    def stage(self, now: int) -> Stage | None:
        """Return the stage at an instant at which nothing is overdue."""
        if self.base is not Stage.OWNER:
            return self.base
        if self.milestone is not None:
            return self.milestone
        covered = any(vehicle.warranty_until > now for vehicle in self.vehicles.values())
        is_new = any(not vehicle.used for vehicle in self.vehicles.values())
        if is_new:
            return Stage.OWNER if covered else Stage.OUT_OF_WARRANTY
        return Stage.USED_CAR_OWNER if covered else Stage.USED_CAR_OUT_OF_WARRANTY

    def next_change(self, now: int) -> tuple[int, str] | None:
        """Return when time alone changes the stage, and why."""
        stage = self.stage(now)
        if stage is None:
            return None
        found = []
        timeout = self.rules.timeout(stage)
        if timeout is not None:
            found.append((self.sign_of_life + timeout, "timeout"))
        if stage.owns and self.milestone is None:
            ends = [owned.warranty_until for owned in self.vehicles.values() if owned.warranty_until > now]
            if ends:
                found.append((max(ends), "warranty ended"))
        return min(found, default=None)

    def time_out(self) -> None:
        """Let the stage lapse: leads are lost, everybody else lapses."""
        at = self.sign_of_life + (self.rules.timeout(self.stage(self.sign_of_life) or Stage.FAN) or 0)
        self.base = Stage.LOST_LEAD if self.base in (Stage.LEAD, Stage.REACTIVATED) else Stage.LAPSED
        # A lost lead's own time starts when it is lost.
        self.sign_of_life = at

    def apply(self, happening: Happening) -> str | None:
        """Apply what happened; return why not, where its guard refuses it."""
        refusal = getattr(self, f"_{happening.kind}")(happening, micros(happening.at))
        if refusal is None:
            self.sign_of_life = micros(happening.at)
            if self.base is None:
                self.base = Stage.FAN
            elif self.base is Stage.LAPSED:
                self.base = (
                    Stage.OWNER if self.vehicles else Stage.EX_OWNER if self.owned_before else Stage.FAN
                )
        found: str | None = refusal
        return found

    def _joined(self, _happening: Happening, _at: int) -> str | None:
        return None if self.base is None else "the member joined before"

    def _active(self, _happening: Happening, _at: int) -> str | None:
        # Reading along does not bring a lost lead back: a new lead does.
        return None

    def _lead(self, _happening: Happening, _at: int) -> str | None:
        if self.vehicles:
            # An owner who enquires stays an owner; a purchase makes the repeat buyer.
            return None
        self.base = Stage.REACTIVATED if self.base in (Stage.LOST_LEAD, Stage.REACTIVATED) else Stage.LEAD
        return None

    def _lost(self, _happening: Happening, _at: int) -> str | None:
        if self.base not in (Stage.LEAD, Stage.REACTIVATED):
            return "only a lead can be lost"
        self.base = Stage.LOST_LEAD
        return None

    def _bought(self, happening: Happening, at: int) -> str | None:
        if happening.vehicle in self.vehicles:
            return "the member owns this vehicle already"
        if self.vehicles or self.owned_before:
            self.milestone = Stage.ADDITIONAL_BUYER if self.vehicles else Stage.REPLACEMENT_BUYER
        until = happening.warranty_until
        if until is None:
            until = shift(happening.at, zone(self.rules.timezone), months=self.rules.warranty_months)
        self.vehicles[happening.vehicle] = Owned(at, happening.used, micros(until))
        self.base, self.owned_before, self.bought_last = Stage.OWNER, True, at
        return None

    def _sold(self, happening: Happening, at: int) -> str | None:
        vehicle = self.vehicles.get(happening.vehicle)
        if vehicle is None:
            return "the member does not own this vehicle"
        del self.vehicles[happening.vehicle]
        if not self.vehicles:
            self.base, self.milestone = Stage.EX_OWNER, None
        else:
            self.base = Stage.OWNER
            soon = (
                self.bought_last is not None
                and at - self.bought_last < self.rules.replacement_days * MICROS_PER_DAY
            )
            older = self.bought_last is not None and vehicle.bought_at < self.bought_last
            if self.milestone is Stage.ADDITIONAL_BUYER and older and soon:
                self.milestone = Stage.REPLACEMENT_BUYER
        return None

    def _referred(self, _happening: Happening, _at: int) -> str | None:
        if not self.vehicles:
            return "only an owner becomes a referrer"
        self.milestone = Stage.REFERRER
        return None


@frozen
class Reading:
    """How events are read as happenings: the program's own kinds, and what becomes of the others."""

    kinds: Mapping[str, str]
    others: str

    def __attrs_post_init__(self) -> None:
        """Refuse names of no happening."""
        choice(self.others, ("error", "active", "ignore"), "others")
        for kind in self.kinds.values():
            choice(kind, HAPPENINGS, "what a kind stands for")

    def happening(self, member: str, kind: Any, at: datetime, *more: Any) -> Happening | None:
        """Return one row as a happening, None where its kind is left out."""
        name = self.kinds.get(hashable(kind, "kind"), kind)
        if name not in HAPPENINGS and self.others != "error":
            return None if self.others == "ignore" else Happening(member, "active", at)
        return Happening(member, name, at, *more)

    def of_event(self, event: Any) -> Happening | None:
        """Return an event, a tuple (member, kind, at[, vehicle]) or a happening as a happening."""
        if isinstance(event, Happening):
            return event
        if isinstance(event, tuple) and 3 <= len(event) <= 4:
            return self.happening(*event)
        if not isinstance(event, Event):
            raise InvalidValue(
                "lifecycle events are Events, Happenings or tuples (member, kind, at[, vehicle])"
            )
        used, until = event.data.get("used", False), event.data.get("warranty_until")
        return self.happening(event.member, event.kind, event.at, event.reference, used, until)
