"""Reading a finished forest, from networkx or columns: a fault is an error that names the first few members."""

from __future__ import annotations

import copy
import numbers
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from userops.core.calendar import micros
from userops.core.ids import identifier
from userops.core.quantities import shown
from userops.errors import InvalidValue, NaiveTimeError
from userops.referrals.ordering import SHOWN, cycle_of
from userops.referrals.ripple import NO_TIME

_PLAIN = (str, int, float, bool, type(None))


@frozen(eq=False)
class Edges:
    """A forest as read: members, their referrers' places, times, and the attributes that are not empty."""

    members: tuple[Any, ...]
    parent: NDArray[np.int64]
    starts: NDArray[np.int64] | None
    touches: dict[int, dict[str, Any]]
    attributes: dict[int, dict[str, Any]]


def read_networkx(graph: Any) -> Edges:
    """Return the forest of a directed graph, of networkx or of a backend that offers the same reading."""
    if not (hasattr(graph, "nodes") and hasattr(graph, "edges") and hasattr(graph, "is_directed")):
        raise InvalidValue(f"a networkx DiGraph was expected, not {type(graph).__name__}")
    if not graph.is_directed():
        raise InvalidValue("the graph must be directed: an edge runs from the referrer to the invitee")
    attributes: dict[int, dict[str, Any]] = {}
    members = []
    for place, (node, data) in enumerate(graph.nodes(data=True)):
        members.append(node)
        if data:
            attributes[place] = copied(data)
    members = check_ids(members)
    index = {member: place for place, member in enumerate(members)}
    parent, starts, touches = _read_edges(_edges_of(graph), index, members)
    column = np.array(parent, dtype=np.int64)
    cycle = cycle_of(column) if _may_cycle(column) else []
    if cycle:
        names = [members[place] for place in cycle[::-1]]
        raise InvalidValue(f"referrals run in a circle of {len(cycle)} members: {_few(names)}")
    has_times = any(start != NO_TIME for start in starts)
    return Edges(
        tuple(members), column, np.array(starts, dtype=np.int64) if has_times else None, touches, attributes
    )


def _edges_of(graph: Any) -> Iterable[tuple[Any, Any, dict[str, Any]]]:
    """Yield (referrer, invitee, data); networkx's own class is read by predecessors, in half the time."""
    kind = type(graph)
    if (kind.__module__, kind.__qualname__) != ("networkx.classes.digraph", "DiGraph"):
        yield from graph.edges(data=True)
        return
    for invitee, above in graph._pred.items():  # noqa: SLF001 — the view's own storage; its views cost a call each
        for referrer, data in above.items():
            yield referrer, invitee, data


def _read_edges(
    edges: Iterable[tuple[Any, Any, dict[str, Any]]], index: dict[Any, int], members: Sequence[Any]
) -> tuple[list[int], list[int], dict[int, dict[str, Any]]]:
    parent, starts = [-1] * len(members), [int(NO_TIME)] * len(members)
    touches: dict[int, dict[str, Any]] = {}
    selves, seconds = [], []
    for referrer, invitee, data in edges:
        place, above = index[invitee], index[referrer]
        if place == above:
            selves.append(invitee)
        elif parent[place] >= 0:
            seconds.append(f"{invitee!r} (by {members[parent[place]]!r} and {referrer!r})")
        else:
            parent[place] = above
            if data:
                starts[place] = _start(data, referrer, invitee)
                rest = {name: value for name, value in data.items() if name != "at"}
                if rest:
                    touches[place] = copied(rest)
    if selves:
        raise InvalidValue(f"members refer themselves: {_few(selves)}")
    if seconds:
        raise InvalidValue(f"each member has at most one referrer, but there are two of {_few(seconds, str)}")
    return parent, starts, touches


def _start(data: dict[str, Any], referrer: Any, invitee: Any) -> int:
    at = data.get("at")
    if at is None:
        return int(NO_TIME)
    try:
        return micros(at)
    except NaiveTimeError as fault:
        raise NaiveTimeError(f"the referral of {invitee!r} by {referrer!r}: {fault}") from None
    except InvalidValue as fault:
        raise InvalidValue(f"the referral of {invitee!r} by {referrer!r}: {fault}") from None


def _may_cycle(parent: NDArray[np.int64]) -> bool:
    """Say whether not every member is reached from a root; jumping doubles the step each time."""
    above = parent.copy()
    for _ in range(len(parent).bit_length() + 1):
        linked = np.flatnonzero(above >= 0)
        if not len(linked):
            return False
        above[linked] = above[above[linked]]
    return bool((above >= 0).any())


def check_ids(members: Iterable[Any]) -> list[Any]:
    """Return ids of one kind, text or whole numbers; anything else is an error naming the first few.

    >>> check_ids(["a", 1])
    Traceback (most recent call last):
    userops.errors.InvalidValue: ids must all be text or all whole numbers; beside 'a' there are 1
    """
    listed = list(members)
    if not listed:
        return listed
    kind = str if isinstance(listed[0], str) else int
    odd = [one for one in listed if type(one) is not kind and not _is_id(one, kind)]
    if odd and odd[0] is listed[0]:
        raise InvalidValue(f"ids are text or whole numbers, not {type(listed[0]).__name__}: {_few(odd)}")
    if odd:
        raise InvalidValue(
            f"ids must all be text or all whole numbers; beside {shown(listed[0])} there are {_few(odd)}"
        )
    if kind is str:
        return [identifier(one, "a member") for one in listed]
    return [int(one) for one in listed]


def _is_id(one: Any, kind: type[Any]) -> bool:
    """Say whether a value of a subclass, such as numpy's, is an id of that kind."""
    if kind is str:
        return isinstance(one, str)
    return isinstance(one, numbers.Integral) and not isinstance(one, bool | np.bool_)


def copied(data: Any) -> dict[str, Any]:
    """Return a copy that later changes of the given mapping, or of values inside it, do not reach."""
    return {
        name: value if isinstance(value, _PLAIN) else copy.deepcopy(value) for name, value in data.items()
    }


def _few(names: Sequence[Any], say: Any = shown) -> str:
    listed = ", ".join(say(name) for name in names[:SHOWN])
    return listed + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def micros_column(at: Any) -> NDArray[np.int64]:
    """Return times as microseconds since 1970; NaT, like `NO_TIME`, is no time.

    >>> micros_column(np.array(["1970-01-02"], dtype="datetime64[D]")).tolist()
    [86400000000]
    """
    try:
        column = np.asarray(at)
    except ValueError:
        raise InvalidValue("at is one column of microseconds") from None
    if column.dtype.kind == "M":
        column = column.astype("datetime64[us]").view(np.int64)
    if column.size and column.dtype.kind not in "iu":
        raise InvalidValue("at is one column of whole microseconds since 1970, or of datetime64")
    return column.astype(np.int64)
