"""Changes: how much of a moved score is moved opinion, and how much is a moved mix of segments."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from attrs import frozen

from userops.nps.labels import label_order
from userops.nps.scores import NPS


@frozen
class SegmentChange:
    """One segment's part in a change: its own score moved (`within`), or its share did (`mix`)."""

    segment: Any
    within: Fraction
    mix: Fraction


@frozen
class Change:
    """The score of wave `after` minus that of wave `before`: `total` = `within` + `mix`, exactly.

    within = Σ mean share × change of score, mix = Σ change of share × mean score; a segment absent in
    one wave has no change of score, so all of its part is mix. Amounts are fractions in units of score.
    """

    before: Any
    after: Any
    total: Fraction
    within: Fraction
    mix: Fraction
    segments: tuple[SegmentChange, ...]


def exact_score(result: NPS) -> Fraction:
    """Return a score as a fraction.

    >>> exact_score(NPS(detractors=1, passives=1, promoters=2))
    Fraction(1, 4)
    """
    d, _, p = result.counts
    return Fraction(int(p) - int(d), result.n)


def change(before: tuple[Any, Mapping[Any, NPS]], after: tuple[Any, Mapping[Any, NPS]]) -> Change:
    """Split the change between two waves, each (its name, results by segment).

    >>> new, old = NPS(detractors=0, passives=0, promoters=1), NPS(detractors=1, passives=0, promoters=0)
    >>> found = change(("May", {"new": new, "old": old}), ("June", {"new": new + new + new, "old": old}))
    >>> found.within, found.mix
    (Fraction(0, 1), Fraction(1, 2))
    """
    (name_before, first), (name_after, second) = before, after
    n_first, n_second = (sum(result.n for result in wave.values()) for wave in (first, second))
    parts = []
    nobody = NPS.empty()
    for segment in sorted({*first, *second}, key=label_order):
        old, new = first.get(segment, nobody), second.get(segment, nobody)
        if not (old.n or new.n):
            continue
        score_old = exact_score(old if old.n else new)
        score_new = exact_score(new if new.n else old)
        share_old, share_new = Fraction(old.n, n_first), Fraction(new.n, n_second)
        parts.append(
            SegmentChange(
                segment,
                (share_old + share_new) / 2 * (score_new - score_old),
                (share_new - share_old) * (score_old + score_new) / 2,
            )
        )
    within = sum((part.within for part in parts), Fraction(0))
    mix = sum((part.mix for part in parts), Fraction(0))
    return Change(name_before, name_after, within + mix, within, mix, tuple(parts))
