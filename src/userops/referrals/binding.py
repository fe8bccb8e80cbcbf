"""Binding: touches taken in order of time, each of which binds a person to a referrer or is refused."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from attrs import field, frozen

from userops.core.calendar import MICROS_PER_DAY, micros
from userops.core.components import representatives
from userops.core.ids import identifier
from userops.core.quantities import listed, of_kind, shown
from userops.errors import InvalidValue
from userops.referrals.from_networkx import copied
from userops.referrals.invitations import Binding, Invitation, Refusal, Reject, Touch


@frozen
class Bond:
    """One person bound to another from an instant on, until the next bond of the same person."""

    start: int
    referrer: str
    #: The accounts named by the touch, and its code and channel.
    touch: Invitation


@frozen
class Facts:
    """What is known about accounts: who is one person, who joined and ordered when, staff, flagged."""

    persons: Mapping[str, str] = field(factory=dict)
    joined: Mapping[str, int | None] | None = None
    ordered: Mapping[str, int] = field(factory=dict)
    staff: Collection[str] = frozenset()
    flagged: Collection[str] = frozenset()

    def person(self, account: str) -> str:
        """Return the smallest account of the account's person."""
        return self.persons.get(account, account)


def read_facts(
    same_person: Iterable[tuple[str, str]],
    members: Mapping[str, datetime | None] | None,
    orders: Mapping[str, datetime],
    staff: Iterable[str],
    flagged: Iterable[str],
) -> Facts:
    """Return the facts by person: an earlier account's joining and order count for the later ones."""
    pairs = []
    for pair in listed(same_person, "same_person"):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise InvalidValue("same_person takes pairs of accounts")
        pairs.append((identifier(pair[0], "an account"), identifier(pair[1], "an account")))
    persons = representatives(pairs)
    of = Facts(persons).person
    joined: dict[str, int | None] | None = None
    if members is not None:
        joined = {}
        for account, at in _mapping(members, "members").items():
            one = of(identifier(account, "a member"))
            known = None if at is None else micros(at, f"the joining of {account!r}")
            before = joined.get(one)
            joined[one] = known if before is None else before if known is None else min(before, known)
    ordered: dict[str, int] = {}
    for account, at in _mapping(orders, "orders").items():
        one, first = of(identifier(account, "a member")), micros(at, f"the order of {account!r}")
        ordered[one] = min(first, ordered.get(one, first))
    return Facts(persons, joined, ordered, _persons(staff, "staff", of), _persons(flagged, "flagged", of))


def read_attributes(attributes: Mapping[str, Mapping[str, Any]], facts: Facts) -> dict[str, dict[str, Any]]:
    """Return attributes by person; the smallest account's word counts where accounts of one person differ."""
    given: dict[str, dict[str, Any]] = {}
    if not isinstance(attributes, Mapping):
        raise InvalidValue("attributes maps members to their attributes")
    for account in sorted(identifier(account, "a member") for account in attributes):
        values = attributes[account]
        if not isinstance(values, Mapping):
            raise InvalidValue(f"the attributes of {shown(account)} must be a mapping")
        one = facts.person(account)
        given[one] = copied(values) | given.get(one, {})
    return given


def _mapping(value: Any, name: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise InvalidValue(f"{name} maps members to instants; a {type(value).__name__} was given")
    return value


def _persons(accounts: Iterable[str], name: str, of: Any) -> frozenset[str]:
    given = list(accounts) if isinstance(accounts, Mapping) else listed(accounts, name)
    return frozenset(of(identifier(account, name)) for account in given)


class Binder:
    """Takes touches one by one; holds the bonds of each person and the forest in force."""

    def __init__(self, rules: Binding, facts: Facts) -> None:
        """Start from nobody bound."""
        self.rules, self.facts = rules, facts
        self.bonds: dict[str, list[Bond]] = {}
        self.rejected: list[Refusal] = []
        self._invitees: dict[str, int] = {}
        self._joined: dict[str, str] = {}
        self._rebound: set[str] = set()

    def take(self, touches: Iterable[Invitation]) -> None:
        """Take all touches by time, then invitee, then referrer, whatever the order of the rows."""
        taken = [of_kind(touch, Invitation, "a touch") for touch in listed(touches, "invitations")]
        for touch in sorted(taken, key=lambda t: (t.at, t.invitee, t.referrer, t.code, t.channel)):
            self._take_one(touch)

    def _take_one(self, touch: Invitation) -> None:
        at = micros(touch.at)
        invitee, referrer = self.facts.person(touch.invitee), self.facts.person(touch.referrer)
        found = self._why_refused(touch, at, invitee, referrer)
        if found is None:
            self._bind(Bond(at, referrer, touch), invitee)
            return
        reason, why = found
        why += self._hijack(touch, invitee, referrer)
        self.rejected.append(Refusal(touch.invitee, touch.referrer, touch.at, reason, why))

    def _why_refused(
        self, touch: Invitation, at: int, invitee: str, referrer: str
    ) -> tuple[Reject, str] | None:
        facts = self.facts
        if touch.referrer == touch.invitee:
            return Reject.SELF, "the referrer and the invitee are one account"
        if touch.referrer and referrer == invitee:
            return Reject.SAME_PERSON, f"{touch.referrer!r} and {touch.invitee!r} are accounts of one person"
        if not touch.referrer:
            return Reject.UNKNOWN_REFERRER, "the touch names no referrer"
        if facts.joined is not None and referrer not in facts.joined:
            return Reject.UNKNOWN_REFERRER, f"{touch.referrer!r} is not a member"
        if referrer in facts.staff:
            return Reject.STAFF, f"{touch.referrer!r} is staff"
        if referrer in facts.flagged:
            return Reject.FLAGGED, f"{touch.referrer!r} is flagged"
        return self._why_too_late(at, invitee) or self._why_taken(at, invitee, referrer)

    def _why_too_late(self, at: int, invitee: str) -> tuple[Reject, str] | None:
        joined = None if self.facts.joined is None else self.facts.joined.get(invitee)
        ordered, window = self.facts.ordered.get(invitee), self.rules.window_days
        if joined is not None and joined < at:
            return Reject.EXISTING_MEMBER, f"joined {_days(at - joined)} before the touch"
        if ordered is not None and ordered < at:
            return Reject.AFTER_ORDER, f"first ordered {_days(at - ordered)} before the touch"
        if joined is not None and window is not None and joined - at >= window * MICROS_PER_DAY:
            return (
                Reject.EXPIRED,
                f"joined {_days(joined - at)} after the touch; the window is {window} days",
            )
        return None

    def _why_taken(self, at: int, invitee: str, referrer: str) -> tuple[Reject, str] | None:
        bonds, rules = self.bonds.get(invitee), self.rules
        if bonds and rules.touch is Touch.FIRST:
            age = at - bonds[-1].start
            if rules.locked_days is None or age < rules.locked_days * MICROS_PER_DAY:
                lock = "for good" if rules.locked_days is None else f"for {rules.locked_days} days"
                return (
                    Reject.ALREADY_REFERRED,
                    f"bound to {bonds[-1].touch.referrer!r} {_days(age)} before, {lock}",
                )
        if self._closes_cycle(invitee, referrer):
            return (
                Reject.CYCLE,
                f"{invitee!r} already stands above {referrer!r}: the referrals would run in a circle",
            )
        if rules.cap is not None and not (bonds and bonds[-1].referrer == referrer):
            count = self._invitees.get(referrer, 0)
            if count >= rules.cap:
                return Reject.CAP, f"the referrer has {count} invitees; the cap is {rules.cap}"
        return None

    def _closes_cycle(self, invitee: str, referrer: str) -> bool:
        if not self._invitees.get(invitee):
            return False
        # Components are joined and never cut: they may be larger than the trees, never smaller, so long
        # chains are walked only where somebody was bound anew.
        component = self._component(referrer)
        if self._component(invitee) != component:
            return False
        if invitee not in self.bonds and component not in self._rebound:
            return True
        one: str | None = referrer
        while one is not None and one != invitee:
            bonds = self.bonds.get(one)
            one = bonds[-1].referrer if bonds else None
        return one is not None

    def _component(self, person: str) -> str:
        top, joined = person, self._joined
        while (above := joined.get(top)) is not None:
            top = above
        while person != top:
            joined[person], person = top, joined[person]
        return top

    def _bind(self, bond: Bond, invitee: str) -> None:
        bonds = self.bonds.setdefault(invitee, [])
        if bonds:
            self._invitees[bonds[-1].referrer] -= 1
            self._rebound.add(self._component(invitee))
        bonds.append(bond)
        self._invitees[bond.referrer] = self._invitees.get(bond.referrer, 0) + 1
        one, other = self._component(invitee), self._component(bond.referrer)
        if one != other:
            self._joined[one] = other
            if one in self._rebound:
                self._rebound.add(other)

    def _hijack(self, touch: Invitation, invitee: str, referrer: str) -> str:
        """Say so when the refused touch names a new account and a new referrer for a person already bound."""
        bonds = self.bonds.get(invitee)
        if not bonds:
            return ""
        held = bonds[-1]
        if held.touch.invitee == touch.invitee or referrer in (held.referrer, invitee):
            return ""
        return (
            f"; hijack: the person of {touch.invitee!r} is bound as {held.touch.invitee!r} "
            f"to {held.touch.referrer!r}"
        )


def _days(span: int) -> str:
    days = span / MICROS_PER_DAY
    return f"{days:.0f} day{'' if days == 1 else 's'}" if days == int(days) else f"{days:.1f} days"


def bind(touches: Iterable[Invitation], rules: Binding, facts: Facts) -> Binder:
    """Take all touches and return who is bound to whom since when, and what was refused.

    >>> from datetime import UTC
    >>> t = datetime(2027, 1, 1, tzinfo=UTC)
    >>> bind([Invitation("a", "b", t), Invitation("b", "a", t)], Binding(), Facts()).rejected[0].reason
    <Reject.CYCLE: 'cycle'>
    """
    if not isinstance(rules, Binding):
        raise InvalidValue(f"binding must be a Binding, not {type(rules).__name__}")
    binder = Binder(rules, facts)
    binder.take(touches)
    return binder
