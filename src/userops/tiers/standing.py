"""Standing and timeline: where a member is, since when, what comes next, and every change with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, overload

from attrs import field, frozen

from userops.core.calendar import from_micros
from userops.core.events import Record
from userops.core.tables import Table
from userops.tiers.benefits import Benefit
from userops.tiers.history import Grant
from userops.tiers.overlay import badges_at, effective
from userops.tiers.policies import Crossing
from userops.tiers.rules import Rules
from userops.tiers.tier import Tier
from userops.tiers.walk import Step, Walk
from userops.tiers.windows import FOREVER
from userops.tiers.words import Reason, Why, amounts

#: How much of what is missing: a number of the ladder's metric, or {metric: number} where several count.
Missing = int | Mapping[str, int]


@frozen(kw_only=True)
class Standing:
    """One member's position on a ladder at an instant.

    `tier` is the tier's name, None below the lowest threshold. `since` is when the member came to it (None:
    from the beginning). `review_at` is when it is judged next — in grace, the end of the grace — and `to_keep`
    the value still needed by then; None and 0 where nothing is judged.
    """

    tier: str | None
    since: datetime | None
    review_at: datetime | None
    next_tier: str | None
    missing: Missing
    to_keep: Missing
    reasons: tuple[Reason, ...] = field(repr=False)
    as_of: datetime
    #: What counts of the ladder's own metric, and of every metric.
    value: int
    totals: Mapping[str, int] = field(hash=False, repr=False)
    #: The tier by value alone, without grants.
    earned: str | None
    badges: tuple[str, ...] = ()
    is_in_grace: bool = False
    benefits: tuple[Benefit, ...] = field(default=(), repr=False)
    timezone: str = "UTC"

    def __str__(self) -> str:
        return "\n".join([f"{self.tier or 'no tier'}", *(f"  {reason}" for reason in self.reasons)])


@frozen
class Change:
    """One change of a member's tier, or its confirmation, with the reason in words."""

    at: datetime
    was: str | None
    to: str | None
    why: Why
    reason: Reason = field(repr=False)
    #: The same instant by the ladder's clock, for reading.
    local: str = field(repr=False)

    def __str__(self) -> str:
        moved = f"{self.was or '–'} → {self.to or '–'}" if self.was != self.to else f"{self.to or '–'}"
        return f"{self.local}  {moved}\n    {self.reason}"


@frozen(repr=False)
class Timeline(Sequence[Change]):
    """Every change in [start, end), in order; prints with its reasons."""

    changes: tuple[Change, ...]

    @overload
    def __getitem__(self, place: int) -> Change: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Change, ...]: ...
    def __getitem__(self, place: int | slice) -> Change | tuple[Change, ...]:
        return self.changes[place]

    def __len__(self) -> int:
        return len(self.changes)

    def __iter__(self) -> Iterator[Change]:
        return iter(self.changes)

    def __str__(self) -> str:
        return "\n".join(map(str, self.changes)) or "no change"

    def __repr__(self) -> str:
        return f"<Timeline of {len(self)} changes>"

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def table(self) -> Table:
        """Return the changes as a table: `at` by the ladder's clock, `was`, `to`, `why`, `reason`."""
        names = {"at": "local", "was": "was", "to": "to", "why": "why", "reason": "reason"}
        return Table(
            {name: [_plain(getattr(change, source)) for change in self] for name, source in names.items()}
        )


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, str) else value


def shortfall(tier: Tier, totals: Mapping[str, int], metric: str) -> Missing:
    """Return what is missing to a tier: a number where value alone counts, else by metric.

    >>> shortfall(Tier("gold", at_least=3_000), {"value": 100}, "value")
    2900
    """
    if tier.at_least is not None:
        return max(0, tier.at_least - totals.get(metric, 0))
    if tier.is_met(totals, metric):
        return Record({name: 0 for way in tier.ways(metric) for name, _ in way})
    return Record({name: max(0, n - totals.get(name, 0)) for way in tier.ways(metric) for name, n in way})


def clock(rules: Rules, at: int) -> str:
    """Return an instant by the ladder's clock, to the minute or as fine as it is."""
    local = from_micros(at).astimezone(rules.tz)
    fine = "minutes" if not (local.second or local.microsecond) else "auto"
    return local.replace(tzinfo=None).isoformat(" ", fine)


def needs(rules: Rules, place: int) -> str:
    """Return what a tier needs, in words."""
    if place < 0:
        return "nothing"
    ways = rules.tiers[place].ways(rules.metric)
    return " or ".join(amounts(dict(way), rules.metric) for way in ways) or "an invitation"


def reason_of(rules: Rules, step: Step) -> Reason:
    """Return why a step was made."""
    judged = step.to if step.why in (Why.REACHED, Why.REQUALIFIED) else step.was
    who, what = ("the club", "no reason given")
    if step.grant is not None:
        who, what = step.grant.by or who, step.grant.reason or what
    return Reason.of(
        step.why,
        have=amounts(step.totals, rules.metric),
        needs=needs(rules, judged),
        tier=rules.name(step.to) or "no tier",
        kept=rules.name(step.was) or "no tier",
        by=who,
        reason=what,
    )


def change_of(rules: Rules, step: Step) -> Change:
    """Return a step as the public change."""
    return Change(
        from_micros(step.at),
        rules.name(step.was),
        rules.name(step.to),
        step.why,
        reason_of(rules, step),
        clock(rules, step.at),
    )


def standing_of(rules: Rules, walk: Walk, base: int, grants: Sequence[Grant], as_of: int) -> Standing:
    """Return the standing at the end of a walk that started at tier `base`, grants counted."""
    steps = effective(rules, walk.steps, base, grants, as_of)
    state = walk.state
    moves = [step for step in steps if step.was != step.to]
    tier = moves[-1].to if moves else base
    since = moves[-1].at if moves else walk.start if tier >= 0 else None
    in_grace = tier == state.tier and state.grace_until != FOREVER
    review = _judged_at(walk, tier)
    totals = walk.totals(as_of)
    above = next_place(rules, tier)
    to_keep: Missing = 0
    if review is not None:
        to_keep = shortfall(rules.tiers[tier], walk.totals_at_review(review), rules.metric)
    missing: Missing = 0 if above is None else shortfall(rules.tiers[above], totals, rules.metric)
    here = Reason.of("base", tier=rules.name(tier)) if tier >= 0 else None
    reasons = [
        reason_of(rules, moves[-1]) if moves else here,
        Reason.of("no tier", have=amounts(totals, rules.metric)) if tier < 0 else None,
        *_outlook(rules, walk, tier, review, to_keep),
        *_next(rules, walk, above, missing),
        _pause(rules, walk, as_of),
        Reason.of("new rate" if rules.crossing is Crossing.NEW_RATE else "old rate"),
    ]
    return Standing(
        tier=rules.name(tier),
        since=from_micros(since) if since is not None and since <= as_of else None,
        review_at=None if review is None else from_micros(review),
        next_tier=None if above is None else rules.name(above),
        missing=missing,
        to_keep=to_keep,
        reasons=tuple(reason for reason in reasons if reason is not None),
        as_of=from_micros(as_of),
        value=totals[rules.metric],
        totals=Record(totals),
        earned=rules.name(state.tier),
        badges=badges_at(rules, grants, as_of),
        is_in_grace=in_grace,
        benefits=rules.tiers[tier].benefits if tier >= 0 else (),
        timezone=rules.timezone,
    )


def _judged_at(walk: Walk, tier: int) -> int | None:
    """Return when the earned tier is judged next, in grace at its end; a granted tier is not judged."""
    state = walk.state
    due = state.review_at if state.grace_until == FOREVER else state.grace_until
    return None if tier != state.tier or state.is_for_life or due >= FOREVER - 1 else due


def next_place(rules: Rules, tier: int) -> int | None:
    """Return the next tier above that is not by invitation alone."""
    above = range(tier + 1, len(rules.tiers))
    return next((place for place in above if not rules.tiers[place].invite_only), None)


def _outlook(rules: Rules, walk: Walk, tier: int, review: int | None, to_keep: Missing) -> Iterator[Reason]:
    """Yield what becomes of the tier."""
    is_earned = tier == walk.state.tier >= 0
    if is_earned and (walk.state.is_for_life or rules.tiers[tier].lifetime):
        yield Reason.of("for life", tier=rules.name(tier))
    if review is None:
        return
    at = clock(rules, review)
    if walk.state.grace_until != FOREVER:
        yield Reason.of("grace", at=at, to_keep=_words(to_keep, rules, tier))
    elif any(to_keep.values()) if isinstance(to_keep, Mapping) else to_keep:
        yield Reason.of("review", at=at, to_keep=_words(to_keep, rules, tier))
    else:
        yield Reason.of("kept so far", at=at)


def _next(rules: Rules, walk: Walk, above: int | None, missing: Missing) -> Iterator[Reason]:
    """Yield what is missing to the next tier."""
    if above is None:
        return
    yield Reason.of("next", missing=_words(missing, rules, above), tier=rules.name(above))
    condition = rules.tiers[above].requires
    if condition is not None and above not in walk.open:
        yield Reason.of("requires", tier=rules.name(above), condition=condition.describe())


def _pause(rules: Rules, walk: Walk, as_of: int) -> Reason | None:
    end = walk.person.postponed(as_of)
    if end == as_of:
        return None
    return Reason.of("paused", at="the pause ends" if end >= FOREVER else clock(rules, end))


def _words(missing: Missing, rules: Rules, place: int) -> str:
    """Say what is missing to a tier; of ways of which one is enough, each."""
    if not isinstance(missing, Mapping):
        return amounts({rules.metric: missing}, rules.metric)
    some = {name: n for name, n in missing.items() if n} or missing
    if rules.tiers[place].any_of is not None:
        return " or ".join(amounts({name: n}, rules.metric) for name, n in some.items())
    return amounts(some, rules.metric)
