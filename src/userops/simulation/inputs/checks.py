"""Checks of a plan: what could not be simulated as the ledger would do it is refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from userops.core.files import Section
from userops.program import Program
from userops.program.rules import CANCELLED, REDEEMED
from userops.simulation.inputs.behaviour import Behaviour
from userops.simulation.inputs.cancellation import BILL

#: Kinds of events in a plan: drawn events have a few bits for theirs.
MOST_KINDS = 2**6


def check_data(root: Section, behaviours: Mapping[str, Behaviour]) -> None:
    """Refuse what could not be simulated as the ledger would do it."""
    kinds: set[str] = set()
    for name, behaviour in behaviours.items():
        for kind in behaviour.events:
            kinds.add(kind)
            why = _why_not_simulated(kind)
            if why:
                place(root, name, "events_per_month").fault(kind, why)
        for kind, fields in behaviour.data.items():
            for field_name in ("kind", "amount"):
                draw = fields.get(field_name)
                if draw is not None and (field_name == "kind" or draw.amount is None):
                    place(root, name, "data").fault(kind, f"{field_name} {_WHY_FIELD[field_name]}")
    if len(kinds) > MOST_KINDS:
        place(root, "", "events_per_month").fault(None, f"at most {MOST_KINDS} kinds of events are simulated")
    _check_words(root, behaviours)


_WHY_FIELD = {
    "kind": "is the member's group and cannot be drawn",
    "amount": "must be a number or a distribution",
}


def _check_words(root: Section, behaviours: Mapping[str, Behaviour]) -> None:
    is_number: dict[tuple[str, str], bool] = {}
    for behaviour in behaviours.values():
        for kind, fields in behaviour.data.items():
            for name, draw in fields.items():
                if is_number.setdefault((kind, name), draw.amount is not None) != (draw.amount is not None):
                    root.fault(
                        "behaviour.data", f"{kind}: {name} is a number for one group and words for another"
                    )


def _why_not_simulated(kind: str) -> str:
    if kind == REDEEMED:
        return "follows from redeem_per_month and redeem_share; give those instead"
    if kind.endswith(CANCELLED):
        was = kind.removesuffix(CANCELLED)
        return f'follows what it cancels: give [behaviour.cancelled] "{was}" = the share that is cancelled'
    return ""


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
