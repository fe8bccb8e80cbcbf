"""Blocks: the members of one or several replications laid end to end, with their events and fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import define
from numpy.typing import NDArray

from userops.simulation.arrays import Array, Floats, Ints
from userops.simulation.asking import Column, Columns
from userops.simulation.facts import columns_of
from userops.simulation.happenings import Happenings, happen
from userops.simulation.population import Rows, World, make_rows
from userops.simulation.spec import Spec

#: A sample is split into so many parts, whose spread tells the sampling noise.
PARTS = 8


@define(eq=False)
class Block:
    """Members of one or several replications laid end to end, and their events."""

    rows: Rows
    replication: Ints
    weight: Floats
    part: Ints
    found: Happenings
    #: Of each kind, the fields of its events.
    columns: list[Columns]
    #: Of each month and row, the chances that decide on redeeming.
    chances: NDArray[np.float32]
    wave: NDArray[np.float32]
    replications: int
    #: By (replication, group): the chance to redeem, and the share redeemed.
    redeem_parameters: tuple[Array, Array]
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
        found = happen(world, rows, clock=spec.clock, kinds=spec.kinds, words=spec.words, where=where)
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
                is_full=is_full,
            )
            for kind in range(len(spec.kinds))
        ]
        chances = world.stream("redeem", *where).random((spec.span.months, len(rows)), dtype=np.float32)
        wave = world.stream("run", *where).random(len(rows), dtype=np.float32)
        parts.append(Part(rows, found, columns, local, place, chances, wave))
    names = [group.name for group in spec.groups]
    drawn = tuple(
        np.array([[world.of(name, path) for name in names] for world in worlds])
        for path in ("redeem_per_month", "redeem_share")
    )
    return _joined(spec, parts, len(worlds), (drawn[0], drawn[1]))


@define(eq=False)
class Part:
    """One chunk of one replication, before it is laid beside others."""

    rows: Rows
    found: Happenings
    columns: list[dict[str, Column]]
    local: int
    group: int
    chances: NDArray[np.float32]
    wave: NDArray[np.float32]


def _empty(spec: Spec) -> Part:
    empty = np.zeros(0, dtype=np.int32)
    none8, none16 = empty.astype(np.int8), empty.astype(np.int16)
    chances = np.zeros((spec.span.months, 0), dtype=np.float32)
    rows = Rows(none8, none16, none16, none16, none8, empty)
    return Part(
        rows, Happenings(empty, empty, none8, empty), [{} for _ in spec.kinds], 0, 0, chances, chances[0]
    )


def _joined(spec: Spec, parts: list[Part], replications: int, drawn: tuple[Array, Array]) -> Block:
    """Lay chunks end to end."""
    parts = parts or [_empty(spec)]
    sizes = [len(part.rows) for part in parts]
    offsets = [int(at) for at in np.concatenate([[0], np.cumsum(sizes)[:-1]])]
    names = ("group", "arrival", "lapse", "becomes", "target")
    joined: list[Any] = [np.concatenate([getattr(part.rows, name) for part in parts]) for name in names]
    referrer = [
        np.where(part.rows.referrer >= 0, part.rows.referrer + at, -1)
        for part, at in zip(parts, offsets, strict=True)
    ]
    found = Happenings(
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
    place = np.concatenate([np.arange(size, dtype=np.int32) % PARTS for size in sizes])
    return Block(
        rows=Rows(
            **dict(zip(names, joined, strict=True)), referrer=np.concatenate(referrer).astype(np.int32)
        ),
        replication=np.repeat([part.local for part in parts], sizes).astype(np.int32),
        weight=np.repeat([part.rows.weight for part in parts], sizes).astype(np.float64),
        part=np.repeat([part.group * PARTS for part in parts], sizes).astype(np.int32) + place,
        found=found,
        columns=columns,
        chances=np.concatenate([part.chances for part in parts], axis=1),
        wave=np.concatenate([part.wave for part in parts]),
        replications=replications,
        redeem_parameters=drawn,
        counter_names=tuple(counter.name for counter in spec.program.counters),
    )
