"""The rules of tiers, simulated tick by tick with the standard library alone: slow, plain and independent.

A tick is the finest step at which anything may happen in a case; every event, review and end of grace of the
case falls on one. Nothing here imports the library.
"""

import calendar
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from math import fsum
from zoneinfo import ZoneInfo

NEVER = datetime(9000, 1, 1, tzinfo=UTC)


@dataclass
class Rules:
    tiers: list  # dicts: name, ways [{metric: n}], open (bool), lifetime, years
    window: tuple = ("lifetime",)
    keep: tuple | None = None  # (months, days, until)
    downgrade: str = "to_earned"
    grace: int | None = None
    decay: tuple | None = None  # ("yearly", {name: n}) | ("half", months)
    cap: object = None
    zone: str = "UTC"
    joined: datetime | None = None
    pauses: list = field(default_factory=list)


def resolve(wall, zone):
    """First instant of a wall-clock time; a skipped one is the end of the gap."""
    for minutes in range(60 * 30):
        later = wall + timedelta(minutes=minutes)
        if minutes:
            later = later.replace(second=0, microsecond=0)
        at = later.replace(tzinfo=zone).astimezone(UTC)
        if at.astimezone(zone).replace(tzinfo=None) == later:
            return at
    raise AssertionError(wall)


def shifted(at, zone, months=0, days=0):
    wall = at.astimezone(zone).replace(tzinfo=None)
    index = wall.year * 12 + wall.month - 1 + months
    year, month = index // 12, index % 12 + 1
    day = min(wall.day, calendar.monthrange(year, month)[1])
    return resolve(wall.replace(year=year, month=month, day=day) + timedelta(days=days), zone)


@dataclass
class Mind:
    """What the member's state is in one world."""

    tier: int
    anchor: datetime | None
    reviews: int = 1
    grace: datetime | None = None
    held: list = field(default_factory=list)
    deductions: int = 1
    taken: list = field(default_factory=list)
    life: bool = False


class Model:
    def __init__(self, rules, events, tick, end):
        """`events`: (at, metric, value)."""
        self.rules, self.tick, self.end = rules, tick, end
        self.zone = ZoneInfo(rules.zone)
        self.events = sorted(events)
        self.start = rules.joined or (self.events[0][0] if self.events else None)
        self.log = []

    # --- what counts -----------------------------------------------------------------------------------------
    def netted(self, until):
        """Events up to an instant, reversals taken from the latest value before them; per instant and metric."""
        sums = {}
        for at, metric, value in self.events:
            if at <= until:
                sums[at, metric] = sums.get((at, metric), 0) + value
        left = []
        for (at, metric), value in sorted(sums.items()):
            if value > 0:
                left.append([at, metric, value])
            else:
                for one in reversed(left):
                    if one[1] == metric and one[0] < at:
                        taken = min(one[2], -value)
                        one[2] -= taken
                        value += taken
        return [tuple(one) for one in left if one[2]]

    def is_inside(self, then, at, at_review=False):
        kind = self.rules.window
        if then > at:
            return False
        if kind[0] == "lifetime":
            return True
        if kind[0] == "rolling":
            return then > shifted(at, self.zone, -kind[1], -kind[2])
        look = at - timedelta(microseconds=1) if at_review else at
        if kind[0] == "calendar":
            first = resolve(datetime(look.astimezone(self.zone).year, 1, 1), self.zone)
            return then >= first
        k = 0
        while shifted(self.start, self.zone, 12 * (k + 1)) <= look:
            k += 1
        while shifted(self.start, self.zone, 12 * k) > look:
            k -= 1
        return then >= shifted(self.start, self.zone, 12 * k)

    def totals(self, mind, counted, at, at_review=False):
        found = {}
        names = {name for tier in self.rules.tiers for way in tier["ways"] for name in way} | {"value"}
        for name in names:
            parts = [(t, v) for t, m, v in counted if m == name and self.is_inside(t, at, at_review)]
            if self.rules.decay and self.rules.decay[0] == "half":
                found[name] = int(fsum(v * 2.0 ** (-self.age(t, at) / self.rules.decay[1]) for t, v in parts))
            else:
                found[name] = sum(v for _, v in parts)
        if mind.taken:
            gone = sum(n for t, n in mind.taken if self.is_inside(t, at, at_review))
            found["value"] = max(0, found["value"] - gone)
        return found

    def age(self, then, at):
        k = 0
        while shifted(then, self.zone, k + 1) <= at:
            k += 1
        low, high = shifted(then, self.zone, k), shifted(then, self.zone, k + 1)
        return k + ((at - low) // timedelta(microseconds=1)) / ((high - low) // timedelta(microseconds=1))

    def met(self, tier, totals):
        return tier["open"] and any(all(totals[m] >= n for m, n in way.items()) for way in tier["ways"])

    def earned(self, mind, counted, at, at_review=False):
        totals = self.totals(mind, counted, at, at_review)
        return max((i for i, tier in enumerate(self.rules.tiers) if self.met(tier, totals)), default=-1)

    # --- time ------------------------------------------------------------------------------------------------
    def postponed(self, at):
        for start, end in sorted(self.rules.pauses, key=lambda pause: pause[0]):
            if start <= at < (end or NEVER):
                at = end or NEVER
        return at

    def can_fall(self, i):
        tier = self.rules.tiers[i]
        zero = any(all(n == 0 for n in way.values()) for way in tier["ways"])
        return i >= 0 and self.rules.downgrade != "never" and not tier["lifetime"] and not zero

    def review(self, mind, k):
        months, days, until = self.rules.keep
        due = shifted(mind.anchor, self.zone, months * k, days * k)
        if until:
            local = due.astimezone(self.zone)
            last = date(local.year, local.month, calendar.monthrange(local.year, local.month)[1])
            after = last + timedelta(days=1)
            due = resolve(datetime(after.year, after.month, after.day), self.zone)
        return self.postponed(due)

    def floor(self, mind, at):
        best = -1
        for i, since in enumerate(mind.held):
            tier = self.rules.tiers[i]
            years = tier["years"]
            if tier["lifetime"] or (
                years and since is not None and shifted(since, self.zone, 12 * years) <= at
            ):
                best = i
        return best

    def begin(self):
        tiers = self.rules.tiers
        base = max(
            (
                i
                for i, t in enumerate(tiers)
                if t["open"] and any(all(n == 0 for n in w.values()) for w in t["ways"])
            ),
            default=-1,
        )
        return Mind(base, self.start, held=[self.start] * (base + 1))

    def note(self, log, at, was, to, why):
        if log is not None:
            log.append((at, was, to, why))

    def stand(self, mind, tier, at):
        mind.held = (mind.held + [at] * 100)[: tier + 1]
        mind.tier, mind.anchor, mind.reviews, mind.grace, mind.deductions, mind.life = (
            tier,
            at,
            1,
            None,
            1,
            False,
        )

    def fall(self, mind, counted, at, why, log):
        floor, was = self.floor(mind, at), mind.tier
        if floor >= was:
            mind.life, mind.grace = True, None
            return
        target = max(floor, self.earned(mind, counted, at, self.rules.keep is not None))
        if self.rules.downgrade == "one_step" and (self.rules.keep or self.rules.grace):
            target = max([target] + [i for i in range(was) if self.rules.tiers[i]["open"]])
        self.stand(mind, target, at)
        self.note(log, at, was, target, why)

    def renew(self, mind, at, log):
        if self.rules.keep:
            while self.review(mind, mind.reviews) <= at:
                mind.reviews += 1
        mind.grace = None
        self.note(log, at, mind.tier, mind.tier, "requalified")

    def at_tick(self, mind, counted, world, at, log):
        """Let one tick pass: the events of the instant first, then deduction, review, end of grace."""
        rules = self.rules
        here = [(m, v) for t, m, v in world if t == at]
        for metric, value in here:
            if metric == "value" and rules.cap is not None:
                cap = rules.cap
                if isinstance(cap, dict):
                    cap = cap.get(rules.tiers[mind.tier]["name"] if mind.tier >= 0 else None)
                if cap is not None:
                    day = at.astimezone(self.zone).date()
                    today = sum(
                        v for t, m, v in counted if m == "value" and t.astimezone(self.zone).date() == day
                    )
                    value = max(0, min(value, cap - today))
            counted.append((at, metric, value))
        if here:
            earned = self.earned(mind, counted, at)
            if earned > mind.tier:
                was = mind.tier
                self.stand(mind, earned, at)
                self.note(log, at, was, earned, "reached")
            elif mind.grace and earned == mind.tier:
                self.renew(mind, at, log)
        while self.fall_due(mind, counted, at, log):
            pass

    def fall_due(self, mind, counted, at, log):
        rules = self.rules
        if rules.decay and rules.decay[0] == "yearly" and mind.tier >= 0 and mind.anchor:
            amount = rules.decay[1].get(rules.tiers[mind.tier]["name"])
            if amount is not None and shifted(mind.anchor, self.zone, 12 * mind.deductions) == at:
                amount = min(amount, self.totals(mind, counted, at)["value"])
                mind.deductions += 1
                mind.taken = mind.taken + ([(at, amount)] if amount else [])
                return True
        if mind.tier >= 0 and not mind.grace and not mind.life and self.can_fall(mind.tier) and mind.anchor:
            if rules.keep:
                is_due = self.review(mind, mind.reviews) == at
            else:
                is_due = (
                    bool(counted) and self.postponed(at) == at and self.earned(mind, counted, at) < mind.tier
                )
            if is_due:
                if self.earned(mind, counted, at, rules.keep is not None) >= mind.tier:
                    self.renew(mind, at, log)
                elif rules.grace is None or self.floor(mind, at) >= mind.tier:
                    self.fall(mind, counted, at, "review failed", log)
                else:
                    mind.grace = self.postponed(shifted(at, self.zone, 0, rules.grace))
                    self.note(log, at, mind.tier, mind.tier, "review failed")
                return True
        if mind.grace == at:
            self.fall(mind, counted, at, "grace ended", log)
            return True
        return False

    def world(self, world, until):
        """Return the state just after an instant in the world with these events."""
        mind, counted = self.begin(), []
        at = self.origin
        while at <= until:
            self.at_tick(mind, counted, world, at, None)
            at += self.tick
        return mind, counted

    def run(self):
        """Walk all ticks; self.log has (at, was, to, why), and the last state and counted value are kept."""
        first = min([e[0] for e in self.events] + ([self.start] if self.start else []), default=self.end)
        self.origin = first
        mind, counted = self.begin(), []
        known = self.netted(first - self.tick)
        at = first
        while at <= self.end:
            sums = {}
            for t, metric, value in self.events:
                if t == at:
                    sums[metric] = sums.get(metric, 0) + value
            if any(value < 0 for value in sums.values()):
                world = [e for e in self.netted(at) if e[0] < at]
                if world != [e for e in known if e[0] < at]:
                    was = mind.tier
                    mind, counted = self.world(world, at - self.tick)
                    if mind.tier != was:
                        self.note(self.log, at, was, mind.tier, "reversal")
            known = self.netted(at) if sums else known
            self.at_tick(mind, counted, known, at, self.log)
            at += self.tick
        self.mind, self.counted = mind, counted
        return self.log
