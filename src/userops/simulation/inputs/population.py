"""Who the members are: the groups of a plan, and the world of one replication, in which they live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from attrs import field, frozen

from userops.core.chance import stream
from userops.core.files import Section
from userops.simulation.columns import Ints
from userops.simulation.inputs.behaviour import NEVER, Behaviour, rate, share
from userops.simulation.inputs.distributions import Parameter

NOBODY = Parameter("number", (0.0,))


@frozen(kw_only=True)
class Group:
    """Members who behave alike; `kind` in conditions is its name, unless the plan has one nameless group."""

    name: str
    members: int = 0
    joins: Parameter = NOBODY
    #: The group that members change into, how many do per month, and the event that they do it with.
    becomes: str = ""
    becomes_per_month: Parameter = NEVER
    becomes_event: str = ""


def read_population(root: Section) -> tuple[Group, ...]:
    """Read `[population]`: one nameless group, or a table per group."""
    section = root.section("population")
    if section is None:
        root.fault("population", "is missing")
        return ()
    raw = root.raw("population")
    names = tuple(name for name in raw if isinstance(raw[name], Mapping) and name not in _OWN)
    if not names:
        return (_read_group(section, "", names),)
    groups = []
    for name in names:
        inner = section.section(name)
        if inner is not None:
            groups.append(_read_group(inner, name, names))
    section.finish(names)
    return tuple(groups)


_OWN = ("joins_per_month", "becomes")


def _read_group(section: Section, name: str, names: tuple[str, ...]) -> Group:
    members = section.whole("members", 0 if "joins_per_month" in section else None, at_most=10**9)
    joins = section.value("joins_per_month", rate, Parameter("number", (0.0,)))
    inner = section.section("becomes")
    target, per_month, event = "", share(0), ""
    if inner is not None:
        target = inner.choice("group", {other: other for other in names if other != name})
        per_month = inner.value("per_month", share)
        event = inner.name("event", "")
        inner.finish()
    section.finish()
    return Group(
        name=name,
        members=members or 0,
        joins=joins,
        becomes=target or "",
        becomes_per_month=per_month or share(0),
        becomes_event=event or "",
    )


@frozen
class World:
    """One replication's population as a plan sees it: its groups, their behaviour, and what was drawn."""

    groups: tuple[Group, ...]
    behaviours: Mapping[str, Behaviour]
    months: int
    sample: int | None
    #: The month of the year of each month.
    calendar_months: Sequence[int]
    drawn: Mapping[str, float]
    key: tuple[int, int]
    #: What was found of each group already: rows, what each stands for, real members by month.
    known: dict[int, tuple[int, float, Ints]] = field(factory=dict, init=False, eq=False, repr=False)

    def of(self, group: str, path: str) -> float:
        """Return what was drawn for a parameter of a group."""
        return self.drawn[f"behaviour.{group}.{path}" if group else f"behaviour.{path}"]

    def stream(self, *purpose: str | int) -> np.random.Generator:
        """Return the replication's stream for a purpose."""
        return stream(self.key[0], self.key[1], *purpose)
