"""Blocks: the members of one or several replications laid end to end, with their events and fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import define
from numpy.typing import NDArray

from userops.core.chance import words
from userops.simulation.columns import Array, Column, Columns, Floats, Ints
from userops.simulation.inputs import Spec, World
from userops.simulation.members.cancellations import Cancellations, bills_of, cancel, joined
from userops.simulation.members.events import DrawnEvents, draw_events
from userops.simulation.members.fields import columns_of
from userops.simulation.members.rows import Rows, make_rows, no_rows

#: A sample is split into so many parts, whose spread tells the sampling noise.
PARTS = 8


@define(eq=False)
class Crowd:
    """Members of one or several replications laid end to end."""

    rows: Rows
    replication: Ints
    weight: Floats
    part: Ints
    replications: int
    #: By (replication, group): how many real members a row stands for.
    weights: Floats
    #: By (replication, group): the chance to redeem, and the share redeemed.
    redeem_parameters: tuple[Array, Array]


@define(eq=False)
class Block(Crowd):
    """Members laid end to end, and their events."""

    found: DrawnEvents
    #: Of each kind, the fields of its events.
    columns: list[Columns]
    #: Of each month and row, the chances that decide on redeeming.
    chances: NDArray[np.uint32]
    wave: NDArray[np.float32]
    #: What is taken back, and the bills that redemptions pay, by (month, row); None where nothing asks for them.
    cancelled: Cancellations | None = None
    bills: Ints | None = None
    #: Columns that the program counts, and that events therefore do not carry.
    counter_names: tuple[str, ...] = ()


def gather(
    spec: Spec, worlds: Sequence[World], chunks: Sequence[tuple[int, int, int]], *, is_full: bool = False
) -> Block:
    """Make the members of some chunks (which world, group, number) of replications, and what they do."""
    parts: list[Part] = []
    for local, place, chunk in chunks:
        world, where = worlds[local], (place, chunk)
        rows = make_rows(world, place, chunk)
        found = draw_events(world, rows, clock=spec.clock, kinds=spec.kinds, words=spec.words, where=where)
        columns = [
            columns_of(
                world,
                rows,
                found,
                clock=spec.clock,
                program=spec.program,
                kinds=spec.kinds,
                words=spec.words,
                kind=kind,
                is_full=is_full or spec.is_one_by_one,
            )
            for kind in range(len(spec.kinds))
        ]
        part = Part(rows, local, place, found, columns, *redeem_chances(spec, world, rows, where))
        if spec.is_one_by_one:
            part.cancelled = cancel(world, rows, found, clock=spec.clock, kinds=spec.kinds, where=where)
            part.bills = bills_of(world, rows, where)
        parts.append(part)
    return _joined(spec, worlds, parts)


def redeem_chances(
    spec: Spec, world: World, rows: Rows, where: tuple[int, int]
) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
    """Draw the chances that decide on redeeming, by month and row, and each row's place in a points run."""
    wave = np.zeros(0, dtype=np.float32)
    if spec.run.shares:
        wave = world.stream("run", *where).random(len(rows), dtype=np.float32)
    return words(world.stream("redeem", *where), spec.span.months, len(rows)), wave


@define(eq=False)
class Chunk:
    """Members of one group of one replication, before they are laid beside others."""

    rows: Rows
    local: int
    group: int


@define(eq=False)
class Part(Chunk):
    """One chunk and what its members do."""

    found: DrawnEvents
    columns: list[dict[str, Column]]
    chances: NDArray[np.uint32]
    wave: NDArray[np.float32]
    cancelled: Cancellations | None = None
    bills: Ints | None = None


def _empty(spec: Spec) -> Part:
    none = np.zeros(0, dtype=np.int32)
    found = DrawnEvents(none, none, none.astype(np.int8), none)
    chances = np.zeros((spec.span.months, 0), dtype=np.uint32)
    return Part(no_rows(), 0, 0, found, [{} for _ in spec.kinds], chances, none.astype(np.float32))


def _joined(spec: Spec, worlds: Sequence[World], parts: list[Part]) -> Block:
    """Lay chunks end to end."""
    parts = parts or [_empty(spec)]
    sizes = [len(part.rows) for part in parts]
    offsets = [int(at) for at in np.concatenate([[0], np.cumsum(sizes)[:-1]])]
    found = DrawnEvents(
        np.concatenate([part.found.row + np.int32(at) for part, at in zip(parts, offsets, strict=True)]),
        np.concatenate([part.found.day for part in parts]),
        np.concatenate([part.found.kind for part in parts]),
        np.concatenate([part.found.rank for part in parts]),
    )
    columns: list[Columns] = [
        {
            name: Column(np.concatenate([part.columns[kind][name].values for part in parts]), one.words)
            for name, one in parts[0].columns[kind].items()
        }
        for kind in range(len(spec.kinds))
    ]
    crowd = crowd_of(spec, worlds, parts)
    return Block(
        rows=crowd.rows,
        replication=crowd.replication,
        weight=crowd.weight,
        part=crowd.part,
        replications=crowd.replications,
        weights=crowd.weights,
        redeem_parameters=crowd.redeem_parameters,
        found=found,
        columns=columns,
        chances=np.concatenate([part.chances for part in parts], axis=1),
        wave=np.concatenate([part.wave for part in parts]),
        cancelled=_joined_cancellations(parts),
        bills=None if parts[0].bills is None else np.concatenate([_bills(part) for part in parts], axis=1),
        counter_names=tuple(counter.name for counter in spec.program.counters),
    )


def crowd_of(spec: Spec, worlds: Sequence[World], parts: Sequence[Chunk]) -> Crowd:
    """Lay the members of chunks end to end."""
    sizes = [len(part.rows) for part in parts]
    offsets = [int(at) for at in np.concatenate([[0], np.cumsum(sizes)[:-1]])]
    names = ("group", "arrival", "lapse", "becomes", "target")
    joined: list[Any] = [np.concatenate([getattr(part.rows, name) for part in parts]) for name in names]
    referrer = [
        np.where(part.rows.referrer >= 0, part.rows.referrer + at, -1)
        for part, at in zip(parts, offsets, strict=True)
    ]
    joined.append(np.concatenate(referrer).astype(np.int32))
    place = np.concatenate([np.arange(size, dtype=np.int32) % PARTS for size in sizes])
    weights = np.zeros((len(worlds), len(spec.groups)))
    for part in parts:
        weights[part.local, part.group] = part.rows.weight
    groups = [group.name for group in spec.groups]
    drawn = [
        np.array([[world.of(name, path) for name in groups] for world in worlds])
        for path in ("redeem_per_month", "redeem_share")
    ]
    return Crowd(
        rows=Rows(*joined),
        replication=np.repeat([part.local for part in parts], sizes).astype(np.int32),
        weight=np.repeat([part.rows.weight for part in parts], sizes).astype(np.float64),
        part=np.repeat([part.group * PARTS for part in parts], sizes).astype(np.int32) + place,
        replications=len(worlds),
        weights=weights,
        redeem_parameters=(drawn[0], drawn[1]),
    )


def by_part(weights: Floats) -> Floats:
    """Return by (replication, part of the sample) what a row stands for."""
    return np.repeat(weights, PARTS, axis=1)


def _bills(part: Part) -> Ints:
    assert part.bills is not None  # noqa: S101 — all chunks of a plan have them, or none
    return part.bills


def _joined_cancellations(parts: Sequence[Part]) -> Cancellations | None:
    """Lay the cancellations of chunks end to end."""
    found: list[Cancellations] = []
    before = 0
    for part in parts:
        if part.cancelled is None:
            return None
        found.append(part.cancelled.shifted(before))
        before += len(part.found.row)
    return joined(found)
