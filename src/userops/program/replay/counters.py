"""Counters in columns: what a member's recorded events come to before each of many events."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from attrs import frozen

from userops.program.replay.history import Ints

#: Sums beyond this are kept in Python's integers.
_SAFE = 2**62


@frozen(eq=False)
class Counted:
    """The events that a counter counts, by member, and in each member's order of time."""

    member: Ints
    rank: Ints
    at: Ints
    #: None where the counter does not sum.
    amounts: Sequence[int | Decimal | None] | None

    @classmethod
    def of(
        cls, member: Ints, rank: Ints, at: Ints, amounts: Sequence[int | Decimal | None] | None
    ) -> Counted:
        """Bring events into order."""
        order = np.lexsort((rank, member))
        ordered = None if amounts is None else [amounts[place] for place in order.tolist()]
        return cls(member.take(order), rank.take(order), at.take(order), ordered)

    def before(self, member: Ints, rank: Ints, start: Ints | None) -> tuple[Ints, list[Any]]:
        """Return (a code for each asking event, what the codes stand for).

        Counted is what lies before the asking event in order, and later than its `start`, where there is one.
        """
        size = int(max(self.rank.max(initial=0), rank.max(initial=0))) + 1
        high = np.searchsorted(self.member * size + self.rank, member * size + rank)
        if start is None:
            low = np.searchsorted(self.member, member)
        else:
            instants, place = np.unique(self.at, return_inverse=True)
            size = len(instants) + 1
            gone = np.searchsorted(instants, start, side="right")
            low = np.searchsorted(self.member * size + place.reshape(-1), member * size + gone)
        if self.amounts is None:
            counts, codes = np.unique(high - low, return_inverse=True)
            return codes.reshape(-1), counts.tolist()
        sums, denominator = _sums(self.amounts)
        totals, codes = np.unique(sums.take(high) - sums.take(low), return_inverse=True)
        exact = [Fraction(total, denominator) for total in totals.tolist()]
        return codes.reshape(-1), [int(x) if x.denominator == 1 else x for x in exact]


def _sums(amounts: Sequence[int | Decimal | None]) -> tuple[Any, int]:
    """Return (the sums before each place and after the last, as whole numbers, over a denominator)."""
    exact = [Fraction(0 if amount is None else amount) for amount in amounts]
    denominator = math.lcm(*{value.denominator for value in exact}) if exact else 1
    numbers = [value.numerator * (denominator // value.denominator) for value in exact]
    is_small = sum(map(abs, numbers)) < _SAFE
    sums = np.zeros(len(numbers) + 1, np.int64 if is_small else object)
    np.cumsum(np.array(numbers, sums.dtype), out=sums[1:])
    return sums, denominator
