"""Knobs: paths into a plan and its program whose values a planner turns."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

from userops.core.files import MAX_DEPTH, did_you_mean
from userops.errors import InvalidValue
from userops.simulation.inputs.behaviour import INVITED

Tables = tuple[dict[str, Any], dict[str, Any]]
_PLAN_ROOMS = ("behaviour", "population", "horizon", "cash", "stock", "accounting")
_OPEN = {
    "behaviour": (
        "lapse_per_month", "lapse_spread", "redeem_per_month", "redeem_share", "redeem_balance", "near_expiry",
        "sink", "seasonality",
    ),
    "population": ("members", "joins_per_month"),
    "horizon": ("start", "months"),
    "cash": ("opening", "per_month", "floor"),
    "stock": ("points_per_month",),
    "accounting": ("redemption_rate",),
}  # fmt: skip


def turned(
    table: Mapping[str, Any],
    program: Mapping[str, Any],
    changes: Mapping[str, Any],
    *,
    is_new: bool = False,
) -> Tables:
    """Return copies of a plan's tables with values set at paths; an unknown path says what was meant."""
    plan_copy, program_copy = _copied(table), _copied(program)
    for path, value in changes.items():
        if is_new and _set_new(plan_copy, str(path), _as_toml(value)):
            continue
        _turn(plan_copy, program_copy, str(path), _as_toml(value))
    return plan_copy, program_copy


def _set_new(table: dict[str, Any], path: str, value: Any) -> bool:
    """Set what a plan says of a kind of events, also of one that it did not name yet; say whether the path is such."""
    for key in ("events_per_month", "cancelled"):
        if path.startswith(f"behaviour.{key}."):
            kind = path.removeprefix(f"behaviour.{key}.")
            kinds = table.setdefault("behaviour", {}).setdefault(key, {})
            known = kinds.get(kind)
            if key == "cancelled" and isinstance(known, dict) and "share" in known:
                known["share"] = value
            else:
                kinds[kind] = value
            return True
    return False


def known_paths(table: Mapping[str, Any], program: Mapping[str, Any]) -> list[str]:
    """Return the paths that can be turned."""
    paths = []
    for rule in program.get("earn", ()):
        paths += [f"earn.{rule.get('name')}.points", f"earn.{rule.get('name')}.fund"]
    for name, fund in program.get("funds", {}).items():
        if isinstance(fund, Mapping) and "budget" in fund:
            paths.append(f"funds.{name}.budget.points")
    for room in _PLAN_ROOMS:
        paths += _leaves(table.get(room, {}), room)
        paths += [f"{room}.{key}" for key in _OPEN[room]]
    return sorted(set(paths))


def _leaves(value: Any, path: str) -> list[str]:
    if not isinstance(value, Mapping):
        return [path]
    found = []
    for key, inner in value.items():
        found += [f"{path}.{key}", *_leaves(inner, f"{path}.{key}")]
    return found


def _turn(table: dict[str, Any], program: dict[str, Any], path: str, value: Any) -> None:
    known = known_paths(table, program)
    plain = path.replace('"', "")
    if plain not in known and not _is_group_key(table, plain):
        raise InvalidValue(f"no knob {path[:80]!r}{did_you_mean(plain, known)}")
    room, _, rest = plain.partition(".")
    if room == "earn":
        name, _, key = rest.rpartition(".")
        for rule in program["earn"]:
            if rule.get("name") == name:
                rule[key] = value
    elif room == "funds":
        program["funds"][rest.removesuffix(".budget.points")]["budget"]["points"] = value
    else:
        _set(table.setdefault(room, {}), rest, value)


def _is_group_key(table: Mapping[str, Any], path: str) -> bool:
    """Say whether a path names a key that a group's behaviour or population may have."""
    room, _, rest = path.partition(".")
    groups = [name for name, one in table.get("population", {}).items() if isinstance(one, Mapping)]
    return room in ("behaviour", "population") and any(
        rest == f"{group}.{key}" for group in groups for key in _OPEN[room]
    )


def _set(table: dict[str, Any], path: str, value: Any) -> None:
    """Set a value; keys with dots in them are found as they are."""
    for key, inner in table.items():
        if path.startswith(f"{key}.") and isinstance(inner, dict):
            _set(inner, path.removeprefix(f"{key}."), value)
            return
    head, dot, rest = path.partition(".")
    if dot and path not in table:
        _set(table.setdefault(head, {}), rest, value)
        return
    table[path] = value


def _copied(table: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = copy.deepcopy({key: _plain(value) for key, value in table.items()})
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def _as_toml(value: Any, depth: int = 0) -> Any:
    """Return a value as a plan file would give it: decimals for binary floats."""
    if depth > MAX_DEPTH:
        raise InvalidValue(f"a value lies more than {MAX_DEPTH} tables deep")
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, Mapping):
        return {key: _as_toml(inner, depth + 1) for key, inner in value.items()}
    return [_as_toml(inner, depth + 1) for inner in value] if isinstance(value, list | tuple) else value


def without_events(table: Mapping[str, Any], kept: Collection[str]) -> dict[str, Any]:
    """Return a plan's table with events of some kinds only."""
    copied = _copied(table)
    behaviour = copied.get("behaviour", {})
    groups = [name for name, one in copied.get("population", {}).items() if isinstance(one, dict)]
    parts = [behaviour, *(behaviour[name] for name in groups if name in behaviour)]
    gone = {kind for part in parts for kind in part.get("events_per_month", ()) if kind not in kept}
    # What comes of changing group or of inviting happens all the same.
    gone -= {
        one.get("becomes", {}).get("event")
        for one in copied.get("population", {}).values()
        if isinstance(one, dict)
    }
    gone -= {part["referrals"].get("event", INVITED) for part in parts if "referrals" in part}
    for part in parts:
        events = part.get("events_per_month")
        if events is not None:
            part["events_per_month"] = {kind: one for kind, one in events.items() if kind in kept}
        if "cancelled" in part:
            part["cancelled"] = {kind: one for kind, one in part["cancelled"].items() if kind not in gone}
    return copied
