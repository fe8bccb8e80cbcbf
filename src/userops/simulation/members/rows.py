"""Rows: the members of one replication, with the months in which they arrive, change and lapse."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import define, field

from userops.errors import InvalidValue
from userops.simulation.columns import Floats, Ints
from userops.simulation.inputs import World

#: Members are made in chunks of this size, each with streams of its own: results do not depend on blocks. By days
#: a chunk with 36 events a member takes some 125 MB, however many members there are.
CHUNK = 2**14
#: More members than this, invitees included, are taken for a referral rate above one.
MOST_ROWS = 2**24 - 1
FOREVER = np.int16(30_000)


@define
class Rows:
    """Members of one chunk, a row each; months are counted from 0, `lapse` is the first inactive one."""

    group: Ints
    arrival: Ints
    lapse: Ints
    becomes: Ints
    target: Ints
    #: The row of the member who invited this one, or -1.
    referrer: Ints
    #: How many real members a row stands for.
    weight: float = 1.0
    extra: dict[str, Any] = field(factory=dict)

    def __len__(self) -> int:
        return len(self.group)


def chunk_sizes(world: World) -> list[tuple[int, int, int]]:
    """Return (group, chunk, rows) of a replication, invitees not counted."""
    found = []
    for place in range(len(world.groups)):
        rows = sampled(world, place)[0]
        found += [(place, k, min(CHUNK, rows - k * CHUNK)) for k in range(-(-rows // CHUNK))]
    return found


def sampled(world: World, place: int) -> tuple[int, float, Ints]:
    """Return a group's rows, what each stands for, and the real members by month of arrival, cumulated."""
    if place not in world.known:
        world.known[place] = _sampled(world, place)
    return world.known[place]


def _sampled(world: World, place: int) -> tuple[int, float, Ints]:
    group = world.groups[place]
    mean = world.drawn[
        f"population.{group.name}.joins_per_month" if group.name else "population.joins_per_month"
    ]
    joins = np.zeros(world.months, dtype=np.int64)
    if mean > 0:
        joins = world.stream("joins", group.name).poisson(mean, world.months)
    joins[0] += group.members
    real = np.cumsum(joins)
    total = int(real[-1])
    rows = total if world.sample is None else min(total, world.sample)
    return rows, (total / rows if rows else 1.0), real


def make_rows(world: World, place: int, chunk: int) -> Rows:
    """Make the members of one chunk of a group, and those whom they bring."""
    rows, weight, real = sampled(world, place)
    low, high = chunk * CHUNK, min(rows, (chunk + 1) * CHUNK)
    # A systematic sample: the rows stand evenly spread among the real members in order of arrival.
    real_place = ((np.arange(low, high) + 0.5) * (real[-1] / max(1, rows))).astype(np.int64)
    arrival = np.searchsorted(real, real_place, side="right").astype(np.int16)
    first = _settled(world, np.full(high - low, place, dtype=np.int8), arrival, ("lives", place, chunk, 0))
    first.weight = weight
    return _with_invitees(world, first, (place, chunk))


def _settled(world: World, group: Ints, arrival: Ints, purpose: tuple[str | int, ...]) -> Rows:
    """Draw for each row when it changes group and when it lapses."""
    rng = world.stream(*purpose)
    chances = rng.random((3, len(group)))
    becomes = np.full(len(group), FOREVER)
    target = group.copy()
    names = [one.name for one in world.groups]
    for place, one in enumerate(world.groups):
        path = f"population.{one.name}.becomes.per_month"
        if one.becomes and world.drawn[path] > 0:
            mine = group == place
            becomes[mine] = _after(arrival[mine], chances[0, mine], world.drawn[path])
            target[mine] = names.index(one.becomes)
    lapse = _lapses(world, group, arrival, chances[1], rng)
    changed = np.flatnonzero(becomes < lapse)
    lapse[changed] = _lapses(world, target[changed], becomes[changed], chances[2, changed], rng)
    becomes[becomes >= lapse] = FOREVER
    return Rows(group, arrival, lapse, becomes, target, np.full(len(group), -1, dtype=np.int32))


def _lapses(
    world: World,
    group: Ints,
    start: Ints,
    chance: Floats,
    rng: np.random.Generator,
) -> Ints:
    lapse = np.full(len(group), FOREVER)
    for place, one in enumerate(world.groups):
        behaviour, mean = world.behaviours[one.name], world.of(one.name, "lapse_per_month")
        mine = group == place
        p: Any = mean
        if behaviour.lapse_spread > 0 and 0 < mean < 1:
            scale = 1 / behaviour.lapse_spread - 1
            p = rng.beta(mean * scale, (1 - mean) * scale, int(mine.sum()))
        lapse[mine] = _after(start[mine], chance[mine], p)
    return lapse


def _after(start: Ints, chance: Floats, p: Any) -> Ints:
    """Return the month of the first success after `start`, at a chance of `p` in each month."""
    if np.ndim(p) == 0 and p <= 0:
        return np.full(len(start), FOREVER)
    with np.errstate(divide="ignore", invalid="ignore"):
        waited = np.floor(np.log1p(-chance) / np.log1p(-np.asarray(p, dtype=float)))
    # A chance of 0 never comes (the division gives -inf or nan), a chance of 1 comes at once.
    waited = np.where(np.asarray(p) <= 0, 1e6, np.where(np.asarray(p) >= 1, 0.0, waited))
    found: Ints = np.minimum(start + 1 + np.minimum(waited, 20_000), FOREVER).astype(np.int16)
    return found


def _with_invitees(world: World, rows: Rows, where: tuple[int, int]) -> Rows:
    """Add those whom members invite, and whom those invite, generation by generation."""
    if all(world.behaviours[one.name].referrals is None for one in world.groups):
        return rows
    generation, offset, parts, inviting = 1, 0, [rows], rows
    total = len(rows)
    while len(inviting):
        invitees = _invited(world, inviting, offset, (*where, generation))
        offset = total
        total += len(invitees)
        if total > MOST_ROWS:
            raise InvalidValue("members invite more than the memory holds: referrals.per_month is too high")
        parts.append(invitees)
        inviting, generation = invitees, generation + 1
    names = ("group", "arrival", "lapse", "becomes", "target", "referrer")
    joined: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return Rows(**joined, weight=rows.weight)


def _invited(world: World, rows: Rows, offset: int, where: tuple[int, ...]) -> Rows:
    """Return the members whom these rows bring; each joins the month after it was invited."""
    rng = world.stream("invitations", *where)
    names = [one.name for one in world.groups]
    referrers: list[Ints] = []
    arrivals: list[Ints] = []
    groups: list[Ints] = []
    for place, one in enumerate(world.groups):
        behaviour = world.behaviours[one.name]
        if behaviour.referrals is None:
            continue
        mean = world.of(one.name, "referrals.per_month")
        spread = behaviour.referrals.dispersion
        factor = rng.gamma(1 / spread, spread, len(rows)) if spread else np.ones(len(rows))
        stop = np.minimum(rows.lapse, world.months)
        is_now, is_later = rows.group == place, rows.target == place
        start = np.where(is_now, rows.arrival, np.where(is_later, rows.becomes, FOREVER))
        stop = np.where(is_now & ~is_later, np.minimum(stop, rows.becomes), stop)
        length = np.maximum(stop - start, 0)
        counts = rng.poisson(mean * factor * length)
        by = np.repeat(np.arange(len(rows)), counts)
        at = start[by] + np.floor(rng.random(len(by)) * length[by]).astype(np.int64) + 1
        kept = at < world.months
        referrers.append(by[kept])
        arrivals.append(at[kept])
        groups.append(np.full(int(kept.sum()), names.index(behaviour.referred_to), dtype=np.int8))
    referrer = np.concatenate([*referrers, np.zeros(0, dtype=np.int64)])
    arrival = np.concatenate([*arrivals, np.zeros(0, dtype=np.int64)]).astype(np.int16)
    group = np.concatenate([*groups, np.zeros(0, dtype=np.int8)])
    if len(referrer) > MOST_ROWS:
        raise InvalidValue("members invite more than the memory holds: referrals.per_month is too high")
    settled = _settled(world, group, arrival, ("lives", *where))
    settled.referrer = (referrer + offset).astype(np.int32)
    return settled


def no_rows() -> Rows:
    """Return no members."""
    none = np.zeros(0, dtype=np.int16)
    return Rows(none.astype(np.int8), none, none, none, none.astype(np.int8), none.astype(np.int32))


def group_at(rows: Rows, row: Ints, month: Ints | int) -> Ints:
    """Return the group that members are in, in a month."""
    # FOREVER lies beyond every month.
    changed = rows.becomes[row] <= month
    return np.where(changed, rows.target[row], rows.group[row])
