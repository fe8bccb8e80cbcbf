"""Milestones: the events of a program that the referral scheme pays for, as conversions."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve

from userops.core.events import Event
from userops.program.rules import CANCELLED
from userops.referrals import Conversion, Scheme


def conversions_of(scheme: Scheme, events: Iterable[Event]) -> list[Conversion]:
    """Return the conversions of events in order of time; dealer and agent come from the event's data.

    The first whole cancellation of a member's reference after a milestone cancels it; a partial return, one
    with an amount, leaves it: the invitee did buy.
    """
    found: dict[str, Conversion] = {}
    open_: dict[tuple[str, str, str], list[str]] = {}
    for event in events:
        reference = event.reference or event.id
        if event.kind in scheme.milestones:
            dealer, agent = (str(event.data.get(role) or "") for role in ("dealer", "agent"))
            conversion = Conversion(event.id, event.member, event.kind, event.at, dealer=dealer, agent=agent)
            found.setdefault(event.id, conversion)
            open_.setdefault((event.kind, event.member, reference), []).append(event.id)
        elif event.kind.endswith(CANCELLED) and event.amount is None:
            kind = event.kind.removesuffix(CANCELLED)
            for id_ in open_.pop((kind, event.member, reference), []):
                found[id_] = evolve(found[id_], cancelled_at=event.at)
    return list(found.values())
