"""Which members of a block live one event after the other; the others go in columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from userops.core.commands import Reverse
from userops.simulation.columns import Mask
from userops.simulation.inputs import Spec, is_narrow
from userops.simulation.members import Block
from userops.simulation.rules import Bound, Credit


def rows_alone(spec: Spec, block: Block, credited: Sequence[Credit]) -> Mask:
    """Return the rows that columns do not know how to run: each by itself, whatever the others do."""
    found = _doing(spec, block, spec.lonely_kinds)
    taken_back = block.cancelled
    if taken_back is not None:
        found[block.found.row[taken_back.event]] = True
        if taken_back.redeemed is not None:
            found |= taken_back.redeemed[0].any(axis=0)
    narrow = [is_narrow(spec.program, spec.behaviours[one.name].sink) for one in spec.groups]
    found |= np.array(narrow)[block.rows.group] | np.array(narrow)[block.rows.target]
    scheme, value = spec.program.scheme, spec.program.value_currency
    for one in credited:
        # What is undone, and what moves tiers, is no mere grant.
        if one.owner >= 0 and (
            isinstance(one.command, Reverse) or (scheme is not None and scheme.currency == value)
        ):
            found[one.owner] = True
    if spec.limits_redemption and found.any():
        # Stock and cash are for all of them together.
        found[:] = True
    return found


def rows_under(spec: Spec, block: Block, bound: Bound, credited: Sequence[Credit]) -> Mask:
    """Return the rows that draw on limits that bind."""
    kinds = [
        spec.kinds[kind]
        for kind, rules in spec.book.rules.items()
        if any(one.fund in bound.funds or bound.caps & set(one.shared_counts) for one in rules)
    ]
    found = _doing(spec, block, kinds)
    scheme = spec.program.scheme
    if scheme is not None and list(spec.program.funds).index(scheme.fund) in bound.funds:
        found[[one.owner for one in credited if one.owner >= 0]] = True
    if spec.limits_redemption and found.any():
        found[:] = True
    return found


def _doing(spec: Spec, block: Block, kinds: Collection[str]) -> Mask:
    """Return the rows with events of some kinds."""
    here = np.array([kind in kinds for kind in spec.kinds], dtype=bool)
    found = np.zeros(len(block.rows), dtype=bool)
    if here.any():
        found[block.found.row[here[block.found.kind]]] = True
    return found
