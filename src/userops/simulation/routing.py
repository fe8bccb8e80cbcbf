"""Routing: which plans go through their events one by one in a ledger, since columns do not know their rules."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from userops.core.files import Section
from userops.program import Program
from userops.program.rules import CANCELLED, REDEEMED, fields_read
from userops.simulation.behaviour import Behaviour
from userops.simulation.cancelling import BILL


def lonely_kinds(program: Program, kinds: Collection[str]) -> frozenset[str]:
    """Return the kinds of events that spend, move expiries, or ask what was redeemed or cancelled."""
    late = {one.name for one in program.counters if one.on == REDEEMED or one.on.endswith(CANCELLED)}
    found = {rule.on for rule in program.redeem}
    found |= {
        rule.on
        for rule in program.earn
        if (rule.expires is not None and rule.expires.inactive_months) or late & fields_read(rule)
    }
    return frozenset(found & set(kinds))


def is_narrow(program: Program, sink: str) -> bool:
    """Say whether a sink takes the points of some funds only, or a share of a bill."""
    found = program.sinks.get(sink)
    return found is not None and (found.funds is not None or found.share_at_most is not None)


def is_one_by_one(program: Program, behaviours: Mapping[str, Behaviour], kinds: Collection[str]) -> bool:
    """Say whether a plan has what only a ledger does: takings-back, spending rules, and what reads them."""
    return (
        program.scheme is not None
        or any(one.cancelled or is_narrow(program, one.sink) for one in behaviours.values())
        or bool(lonely_kinds(program, kinds))
    )


def check_kinds(
    root: Section, program: Program, behaviours: Mapping[str, Behaviour], kinds: Collection[str]
) -> None:
    """Refuse cancellations of what does not happen, and bills that are asked for and not stated."""
    for name, behaviour in behaviours.items():
        for kind in behaviour.cancelled:
            why = _why_not_cancelled(kind, kinds)
            if why:
                place(root, name, "cancelled").fault(kind, why)
        if _is_short_of_bill(program, behaviour, REDEEMED, behaviour.sink):
            place(root, name, "sink").fault(
                "sink" if "sink" in place(root, name, "sink") else None,
                f"at most a share of a bill is paid at {behaviour.sink!r}: state the bill in points, "
                f'[behaviour.data."{REDEEMED}"] {BILL} = …',
            )
        for field in behaviour.data.get(REDEEMED, {}):
            if field != BILL or behaviour.data[REDEEMED][field].amount is None:
                place(root, name, "data").fault(
                    REDEEMED, f"of a redemption only {BILL} is drawn, a number or a distribution"
                )
        for rule in program.redeem:
            if rule.on in behaviour.events and _is_short_of_bill(program, behaviour, rule.on, rule.sink):
                inner = place(root, name, "data")
                inner.fault(
                    rule.on if rule.on in inner else None,
                    f"rule {rule.name!r} pays at most a share of a bill: state {BILL}, in points",
                )


def _why_not_cancelled(kind: str, kinds: Collection[str]) -> str:
    if kind.endswith(CANCELLED):
        return "is a cancellation itself: name the kind that is cancelled"
    if kind != REDEEMED and kind not in kinds:
        return "no such events happen in this plan: give them in events_per_month"
    return ""


def _is_short_of_bill(program: Program, behaviour: Behaviour, kind: str, sink: str) -> bool:
    found = program.sinks.get(sink)
    bill = behaviour.data.get(kind, {}).get(BILL)
    return found is not None and found.share_at_most is not None and (bill is None or bill.amount is None)


def place(root: Section, group: str, key: str) -> Section:
    """Return the section that states a group's behaviour, as far as the file has one."""
    section = root.section("behaviour") or root
    own = section.section(group) if group and group in section else None
    if own is not None and key in own:
        section = own
    inner = section.raw(key) if key in section else None
    return (section.section(key) or section) if isinstance(inner, Mapping) else section
