"""Counting: columns of answers, by group or not, counted block by block within the processor's cache."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from userops.errors import InvalidValue
from userops.nps.answers import REASONS, Answers
from userops.nps.labels import Labels
from userops.nps.scales import Scale
from userops.nps.scores import NPS

#: Rows of a block: its keys and numpy's copy of them stay within some 2 MB.
BLOCK = 1 << 17
Table = NDArray[np.int64]


@frozen(eq=False)
class Tally:
    """Counts of one column: (group, class) and (group, reason); the last row is for missing labels."""

    classes: Table
    reasons: Table
    scale: Scale

    def results(self) -> list[NPS | None]:
        """Return the result of every group, or None where it has no rows."""
        kept = self.classes[:-1].tolist()
        lost = [bool(n) for n in self.reasons[:-1].sum(axis=1)]
        return [
            NPS(
                detractors=d,
                passives=q,
                promoters=p,
                scale=self.scale,
                excluded=self.reasons_of(group) if some_lost else (),
            )
            if d or q or p or some_lost
            else None
            for group, ((d, q, p), some_lost) in enumerate(zip(kept, lost, strict=True))
        ]

    def reasons_of(self, group: int) -> dict[str, int]:
        """Return how many answers of one group were set aside, by reason."""
        return {reason: n for reason, n in zip(REASONS, self.reasons[group].tolist(), strict=True) if n}

    @property
    def ungrouped(self) -> dict[str, int]:
        """Return what belongs to no group: answers without a label, and those set aside anyway."""
        lost = int(self.classes[-1].sum())
        return self.reasons_of(-1) | ({"no group": lost} if lost else {})


def tally(answers: Answers, labels: Labels | None) -> Tally:
    """Count a column of answers by label; without labels there is one group.

    >>> tally(Answers.of([0, 10, 9], Scale.ZERO_TO_TEN, invalid="raise"), None).classes[0].tolist()
    [1, 0, 2]
    """
    groups = 1 if labels is None else len(labels)
    width, known = answers.width, len(answers.places)
    counts = np.zeros((groups + 1) * width, np.int64)
    if labels is None:
        for start in range(0, len(answers), BLOCK):
            codes = answers.codes(start, start + BLOCK)
            counts[:width] += np.bincount(codes, minlength=width)
    elif labels.is_sorted:
        _count_sorted(counts, answers, labels)
    else:
        _count_mixed(counts, answers, labels)
    table = counts.reshape(groups + 1, width)
    classes = np.zeros((groups + 1, 3), np.int64)
    for place, kind in enumerate(answers.scale.classes):
        classes[:, kind] += table[:, place]
    return Tally(classes, table[:, known:], answers.scale)


def _count_mixed(counts: Table, answers: Answers, labels: Labels) -> None:
    """Add the keys group · width + code, which number the cells of the table."""
    width = answers.width
    kind = np.int16 if len(counts) < 1 << 15 else np.int64
    rows = min(BLOCK, len(answers))
    narrow: NDArray[Any] = np.empty(rows, kind)
    # The counting wants 64 bits; in a buffer of ours no block allocates them anew.
    wide = np.empty(rows, np.intp)
    for start in range(0, len(answers), BLOCK):
        stop = min(start + BLOCK, len(answers))
        keys, found = narrow[: stop - start], wide[: stop - start]
        places = labels.block(start, stop)
        np.multiply(places, width, out=keys, dtype=kind, casting="unsafe")
        if labels.has_missing:
            # Missing labels count in the row after the last group.
            np.copyto(keys, len(labels) * width, where=places < 0)
        np.add(keys, answers.codes(start, stop), out=keys, dtype=kind, casting="unsafe")
        np.copyto(found, keys)
        # Counting up to the greatest cell keeps the rows of a dense span that never occur free of charge.
        cells = np.bincount(found)
        counts[: len(cells)] += cells


def _count_sorted(counts: Table, answers: Answers, labels: Labels) -> None:
    """Count slice by slice where rows come group by group: no keys, and only comparisons of small integers."""
    width = answers.width
    classes = answers.scale.classes
    # Where classes rise with the answers, two cuts make the three counts.
    is_rising = list(classes) == sorted(classes)
    cuts = [sum(kind < 1 for kind in classes), sum(kind < 2 for kind in classes)]
    # The counts of a class stand at one answer that has it, if any does.
    stands = [classes.index(kind) if kind in classes else 0 for kind in range(3)]
    bounds = labels.bounds().tolist()
    is_above = np.empty(BLOCK, bool)
    for group in range(len(labels)):
        for start in range(bounds[group], bounds[group + 1], BLOCK):
            stop = min(start + BLOCK, bounds[group + 1])
            codes = answers.codes(start, stop)
            cells = counts[group * width : (group + 1) * width]
            # Codes of one byte are a clean block: what is set aside has wider codes.
            if not is_rising or codes.dtype.itemsize > 1:
                cells += np.bincount(codes, minlength=width)
                continue
            above = is_above[: stop - start]
            promoters = np.count_nonzero(np.greater_equal(codes, cuts[1], out=above))
            voiced = np.count_nonzero(np.greater_equal(codes, cuts[0], out=above))
            for kind, n in enumerate((stop - start - voiced, voiced - promoters, promoters)):
                cells[stands[kind]] += n


def check_rows(answers: Answers) -> None:
    """Refuse a column without rows.

    >>> check_rows(Answers.of([], Scale.ZERO_TO_TEN, invalid="raise"))
    Traceback (most recent call last):
    userops.errors.InvalidValue: scores are empty: start a stream with NPS.empty() instead
    """
    if not len(answers):
        raise InvalidValue("scores are empty: start a stream with NPS.empty() instead")


def class_codes(answers: Answers) -> tuple[NDArray[np.int8], dict[str, int]]:
    """Return every row's class (0, 1, 2, or -1 where set aside), and the count of those by reason.

    >>> class_codes(Answers.of([3, None], Scale.ZERO_TO_TEN, invalid="exclude"))[0].tolist()
    [0, -1]
    """
    known = len(answers.places)
    table = np.array([*answers.scale.classes, *(-1 for _ in REASONS)], np.int8)
    found = np.empty(len(answers), np.int8)
    reasons = np.zeros(answers.width, np.int64)
    for start in range(0, len(answers), BLOCK):
        codes = answers.codes(start, start + BLOCK)
        found[start : start + len(codes)] = table[codes]
        reasons += np.bincount(codes, minlength=answers.width)
    counted = zip(REASONS, reasons[known:].tolist(), strict=True)
    return found, {reason: n for reason, n in counted if n}


def columns_of(scores: Any, scale: Scale, invalid: str) -> Answers:
    """Return the column of answers, which must have rows."""
    answers = Answers.of(scores, scale, invalid=invalid)
    check_rows(answers)
    return answers
