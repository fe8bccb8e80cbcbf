"""User operations as car makers practise it: points, tiers, referrals, NPS, segments, simulation.

One program file — run it live, replay it over history, simulate it into the future.
The names below are loaded when first used, so that `import userops` stays cheap.
"""

from __future__ import annotations

# Type checkers take this name for true; importing it from `typing` would double what an import costs.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from userops.core.conditions import Condition as Condition
    from userops.core.conditions import F as F
    from userops.core.events import Event as Event
    from userops.errors import PlanError as PlanError
    from userops.errors import PlanFault as PlanFault
    from userops.errors import Rejected as Rejected
    from userops.errors import UseropsError as UseropsError

__version__ = "0.1.0"

#: Public name → module that defines it, in reading order.
_HOME = {
    "UseropsError": "errors",
    "Rejected": "errors",
    "PlanError": "errors",
    "PlanFault": "errors",
    "Event": "core.events",
    "F": "core.conditions",
    "Condition": "core.conditions",
}
_ROOMS = ("points", "tiers", "referrals", "nps", "segments", "program", "simulation")

__all__ = ["Condition", "Event", "F", "PlanError", "PlanFault", "Rejected", "UseropsError", "__version__"]


def __getattr__(name: str) -> Any:
    """Load a public name, or a capability, when it is first used (PEP 562)."""
    import importlib

    if name in _HOME:
        value = getattr(importlib.import_module(f"userops.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    if name in _ROOMS:
        return importlib.import_module(f"userops.{name}")
    raise AttributeError(f"module 'userops' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names and the capabilities."""
    return sorted([*globals(), *_HOME, *_ROOMS])
