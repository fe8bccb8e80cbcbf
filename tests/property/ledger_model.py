"""A ledger as points.md describes it: dated rows, added up again for every answer. Plain, and in no hurry.

A row is (instant, lot, column, points that become free, end of the lot); points are a list of lots, one a point.
"""

from collections import Counter, defaultdict, namedtuple
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from types import SimpleNamespace as Entry

FOREVER = datetime.max.replace(tzinfo=UTC)
Lot = namedtuple("Lot", "id wallet fund rule origin start end")  # wallet: (member, currency)


class Model:
    def __init__(self, spendable, limits):
        self.spendable, self.limits = spendable, limits  # {currency: bool}, {fund: points a month}
        self.entries, self.rows, self.lots = {}, [], {}  # rows in order of recording; the state they lead to

    def state(self, at=FOREVER, known=None):
        """Return {lot: {column: points}}, the lots in the order in which they are spent."""
        lots = defaultdict(Counter)
        for when, lot, column, n, end in self.rows[:known]:
            if when <= at:
                its = lots[lot]
                its[column], its["free"] = its[column] + n, its["free"] + n
                its["end"] = max(its["end"] or end, end)
        return dict(sorted(lots.items(), key=lambda found: (found[1]["end"], found[0].start)))

    def free(self, at):  # {lot: points that are free at an instant, and ever since}
        gained = defaultdict(Counter)
        for when, lot, _, n, _ in self.rows:
            gained[lot][max(at, when)] += n
        return Counter({lot: min(accumulate(by[t] for t in sorted({at, *by}))) for lot, by in gained.items()})

    def living(self, *wallet):
        """Return the free points of lots that are alive at the command's instant, pending ones too."""
        at, free, lots = self.entry.c.at, self.free(self.entry.c.at), self.lots.items()
        return [x for x, its in lots if x.wallet == wallet and at < its["end"] for _ in range(free[x])]

    def move(self, points, column, sign, at=None):
        for lot, n in Counter(points).items():
            self.entry.rows.append((at or self.entry.c.at, lot, column, sign * n, lot.end))
        return points

    def onward(self, lot, **changed):  # a new lot, named by the entry and its place there
        words = (self.entry.c.id, str(len(self.entry.new)))
        new = lot._replace(id="".join(f"{len(word)}:{word}" for word in words), **changed)
        return self.entry.new.setdefault(lot, new)

    def post(self, c):
        """Return (allocations, expired), or the name of the rejection."""
        if c.id in self.entries:
            return self.entries[c.id].answer if self.entries[c.id].c == c else "IdConflict"
        self.entry = e = Entry(c=c, kind=type(c).__name__, month=None, rows=[], points=[], open=[], new={})
        for holds, otherwise in self.do(c, e):
            if not holds:
                return otherwise
        self.rows += e.rows
        self.entries[c.id], self.lots, freed = e, self.state(), Counter()
        for when, lot, _, n, _ in e.rows:
            freed[lot.id] += n if when == c.at >= self.lots[lot]["end"] else 0
        e.open = e.open or e.points[::-1]  # what can be undone or resolved yet, the last first
        e.answer = (tuple(Counter(lot.id for lot in e.points).items()), tuple((+freed).items()))
        return e.answer

    def do(self, c, e):
        """Carry a command out; yield, in order of precedence, what must hold and what it is refused as if not."""
        kind, at, lots, funds = e.kind, c.at, self.lots, getattr(c, "funds", None) or self.limits
        wallet, to = (getattr(c, "member", ""), c.currency), getattr(c, "to_currency", c.currency)
        uses = kind in ("Spend", "Hold", "Transfer", "Exchange")
        yield {c.currency, to} <= self.spendable.keys(), "UnknownCurrency"
        yield {*funds, getattr(c, "fund", "")} <= {*self.limits, ""}, "UnknownFund"
        yield not uses or (self.spendable[c.currency] and self.spendable[to]), "NotSpendable"
        if kind in ("Earn", "Exchange"):
            gain, start = int(c.points * getattr(c, "rate", 1)), max(at, getattr(c, "available_at", at) or at)
            e.month, rule = (c.fund, f"{at + timedelta(hours=8):%Y-%m}"), getattr(c, "rule", "")
            used = sum(len(other.open) for other in self.entries.values() if other.month == e.month)
            yield used + gain <= self.limits[c.fund], "BudgetExceeded"  # for a month of Shanghai
            lot = Lot(c.id, (c.member, to), c.fund, rule, c.id, start, c.expires_at or FOREVER)
            e.open = self.move([lot] * gain, "issued", 1)
        if uses:
            e.points = [x for x in self.living(*wallet) if x.start <= at and x.fund in funds][: c.points]
            yield len(e.points) == c.points, "InsufficientPoints"
        if kind == "Reverse":
            target, undone = self.entries.get(c.entry), ("Earn", "Spend", "Capture", "Transfer")
            yield target and target.kind in undone and target.c.at <= at, "UnknownEntry"
            yield 0 < (c.points or len(target.open)) <= len(target.open), "OverReversed"
            kind, undone, policy = f"undo {target.kind}", target.open[: c.points], c.clawback.value
        match kind:
            case "Earn":
                repaid = self.move(self.living(*wallet, "owed")[: c.points], "repaid", -1)
                self.move(e.open[: len(repaid)], "clawed_back", -1)
            case "Spend" | "Exchange":
                self.move(e.points, "redeemed", -1)
            case "Transfer":
                there = [self.onward(x, wallet=(c.to, c.currency), end=lots[x]["end"]) for x in e.points]
                self.move(e.points, "moved", -1)
                self.move(there, "moved", 1)
            case "Hold":
                e.ends = c.expires_at or FOREVER
                self.move(self.move(e.points, "held", -1), "held", 1, at=e.ends)
            case "Capture" | "Release":
                hold, asked = self.entries.get(c.hold), getattr(c, "points", 0)
                yield hold and hold.kind == "Hold" and hold.c.at <= at, "UnknownHold"
                yield hold.open and at < hold.ends, "AlreadyResolved"
                yield (asked or 0) <= len(hold.points), "OverCaptured"
                taken = self.move(hold.points[:asked], "redeemed", -1)
                yield Counter(taken) <= self.free(hold.ends), "InsufficientPoints"  # it may have lapsed since
                self.move(self.move(hold.points, "held", 1), "held", -1, at=hold.ends)
                e.points, hold.open = taken if kind == "Capture" else hold.points, []
            case "undo Spend" | "undo Capture":
                end = c.restore.days and at + timedelta(c.restore.days)
                e.points = [self.onward(x, end=end) if end and lots[x]["end"] < end else x for x in undone]
                self.move(e.points, "redeemed", 1)
            case "undo Transfer":
                there = self.move([target.new[x] for x in undone], "moved", -1)
                yield Counter(there) <= Counter(self.living(*there[0].wallet)), "InsufficientPoints"
                e.points = self.move(undone, "moved", 1)
            case "undo Earn":
                lot, reaches_others = undone[0], policy in ("any", "debt")
                found = [x for x in self.living(*lot.wallet) if reaches_others or x.origin == lot.id]
                found.sort(key=lambda x: x.origin != lot.id)  # its own come first
                e.points = self.move(found[: len(undone)], "clawed_back", -1)
                yield len(e.points) == len(undone) or policy != "reject", "InsufficientPoints"
                debt = lot._replace(id=c.id, wallet=(*lot.wallet, "owed"), start=at, end=FOREVER)
                missing = len(undone) - len(e.points) if policy == "debt" else 0
                undone = e.points + self.move([debt] * missing, "owed", 1)
            case "Extend":
                mine = [x for x in self.state(at) if x.wallet == wallet and c.rule in (None, x.rule)]
                e.rows += [(at, x, "extended", 0, c.expires_at) for x in mine if at < lots[x]["end"]]
            case "WriteOff":
                owed = self.living(*wallet, "owed")
                yield 0 < (c.points or len(owed)) <= len(owed), "OverReversed"
                self.move(owed[: c.points], "written_off", -1)
        if e.kind == "Reverse":
            target.open = target.open[len(undone) :]

    def read(self, at, known=None):
        """Return {wallet: [available, pending, held]}, {wallet: lots} and {(fund, currency): columns}."""
        balances, shown, funding = defaultdict(lambda: [0, 0, 0]), defaultdict(list), defaultdict(Counter)
        for lot, its in self.state(at, known).items():
            kept, held = its["free"] if at < its["end"] else 0, -its["held"]  # else expired
            balances[lot.wallet][int(lot.start > at)] += kept
            balances[lot.wallet][2] += held
            shown[lot.wallet].append((lot, kept + held, its["end"]))
            row, rest = funding[lot.fund, lot.wallet[1]], "debt" if "owed" in lot.wallet else "outstanding"
            row.update({c: -its[c] for c in ("redeemed", "clawed_back", "written_off")})
            row.update({"issued": its["issued"], rest: kept + held, "expired": its["free"] - kept})
        return balances, shown, funding
