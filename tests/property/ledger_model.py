"""A ledger as plain dictionaries: what the design page says, and nothing about speed. Writing expiries does nothing."""

from datetime import UTC, datetime, timedelta

# One idea a line keeps the whole model on three screens.
# fmt: off
FOREVER = datetime.max.replace(tzinfo=UTC)
COLUMNS = ("issued", "redeemed", "expired", "clawed_back", "outstanding", "debt", "written_off")
class Refused(Exception):
    """Carries the name of the rejection."""
def need(claim, otherwise):
    if not claim:
        raise Refused(otherwise)
class Model:
    def __init__(self, spendable, limits):
        self.spendable, self.limits = spendable, limits  # {currency: bool}, {fund: points a month | None}
        self.lots, self.holds, self.entries, self.debts, self.flows, self.issued = {}, {}, {}, [], [], {}
    def post(self, c):
        """Return (allocations, expired) or the name of the rejection."""
        if c.id in self.entries:
            return self.entries[c.id]["answer"] if self.entries[c.id]["command"] == c else "IdConflict"
        self.c, self.at, self.allocations, self.expired = c, c.at, [], []
        self.entry = {"command": c, "undone": 0, "created": [], "currency": c.currency, "allocations": self.allocations}
        try:
            need(c.currency in self.spendable and getattr(c, "to_currency", "points") in self.spendable, "UnknownCurrency")
            need({*(getattr(c, "funds", None) or ()), getattr(c, "fund", "sales")} <= set(self.limits), "UnknownFund")
            if type(c).__name__ in ("Spend", "Hold", "Transfer", "Exchange"):
                need(self.spendable[c.currency] and self.spendable[getattr(c, "to_currency", "points")], "NotSpendable")
            getattr(self, type(c).__name__.lower(), lambda _: None)(c)
        except Refused as refusal:
            return str(refusal)
        self.entries[c.id] = {**self.entry, "answer": (tuple(self.allocations), tuple(self.expired))}
        return self.entries[c.id]["answer"]
    # What a lot holds: moves are (instant, points); an extension counts from its own instant.
    def ends(self, lot, at=FOREVER):
        end = lot["end"]
        for moved_at, to in lot["extended"]:
            end = to if moved_at <= at and moved_at < end < to else end
        return end
    def left(self, lot, at):
        return sum(n for moved_at, n in lot["moves"] if moved_at <= at)
    def held(self, lot, at):
        return sum(h["parts"].get(lot["id"], 0) for h in self.holds.values() if h["at"] <= at < h["ends"])
    def present(self, lot, at):
        return self.left(lot, at) if at < self.ends(lot, at) else self.held(lot, at)
    def free(self, lot):
        """What nobody took or reserved at the command's instant, nor since."""
        later = {t for t in ({m for m, _ in lot["moves"]} | {h["at"] for h in self.holds.values()}) if t > self.at}
        return min(self.left(lot, t) - self.held(lot, t) for t in {self.at} | later)
    def of(self, member, currency, at=FOREVER):
        mine = [x for x in self.lots.values() if (x["member"], x["currency"]) == (member, currency)]
        return sorted(mine, key=lambda x: (self.ends(x, at), x["start"], x["rank"]))
    def living(self, member, currency, until=FOREVER):
        return [x for x in self.of(member, currency) if self.at < self.ends(x) and x["start"] <= until and self.free(x) > 0]
    def choose(self, lots, points):
        chosen = []
        for lot in lots:
            chosen.append((lot, min(points, self.free(lot))))
            points -= chosen[-1][1]
            if not points:
                return chosen
        raise Refused("InsufficientPoints")
    def move(self, lot, points, column=None):
        lot["moves"].append((self.at, points))
        if points > 0 and self.at >= self.ends(lot):
            self.expired.append((lot["id"], points))
        self.flow(lot["fund"], lot["currency"], column, -points)
    def flow(self, fund, currency, column, points):
        self.flows += [(self.at, fund, currency, column, points)] if column else []
    def pay(self, lots, points, column):
        for lot, part in self.choose(lots, points):
            self.move(lot, -part, column)
            self.allocations.append((lot["id"], part))
    def new_lot(self, lot, points, **changed):
        place = str(len(self.entry["created"]))  # a moved part is named by its entry and its place there
        moved = f"{len(self.c.id)}:{self.c.id}{len(place)}:{place}"
        lot = {"id": moved, **lot, "end": self.ends(lot), "extended": [], "rank": len(self.lots), "moves": [(self.at, points)], **changed}
        self.lots[lot["id"]] = lot
        self.entry["created"].append(lot["id"])
        return lot
    def due(self, member, currency, at=FOREVER):
        mine = [d for d in self.debts if (d["member"], d["currency"]) == (member, currency) and d["at"] <= at]
        return sorted(mine, key=lambda d: d["at"])
    def owed(self, member, currency, made_by=FOREVER, at=FOREVER):
        return sum(n for d in self.due(member, currency, made_by) for moved_at, n in d["moves"] if moved_at <= at)
    def repay(self, member, currency, points, written_off=None):
        for debt in self.due(member, currency, self.at):
            paid = min(points, sum(n for _, n in debt["moves"]))
            points -= paid
            debt["moves"].append((self.at, -paid))
            self.flow(debt["fund"], currency, "debt", -paid)
            self.flow(debt["fund"], currency, written_off, paid)
        return points
    # Commands
    def earn(self, c, currency=None, points=None):
        month, limit = (c.fund, (c.at + timedelta(hours=8)).strftime("%Y-%m")), self.limits[c.fund]
        currency, points = currency or c.currency, points or c.points
        need(limit is None or self.issued.get(month, 0) + points <= limit, "BudgetExceeded")
        if currency != c.currency:
            self.pay(self.living(c.member, c.currency, c.at), c.points, "redeemed")
        self.issued[month] = self.issued.get(month, 0) + points
        self.entry["month"], start = month, max(c.at, getattr(c, "available_at", None) or c.at)
        fresh = {"end": c.expires_at or FOREVER, "extended": [], "start": start, "rule": getattr(c, "rule", "")}
        lot = self.new_lot(fresh, points, id=c.id, origin=c.id, member=c.member, currency=currency, fund=c.fund)
        self.flow(c.fund, currency, "issued", points)
        if currency == c.currency:
            self.move(lot, self.repay(c.member, currency, points) - points, "clawed_back")
    def exchange(self, c):
        self.earn(c, c.to_currency, int(c.points * c.rate))
    def spend(self, c):
        self.pay([x for x in self.living(c.member, c.currency, c.at) if c.funds is None or x["fund"] in c.funds], c.points, "redeemed")
    def hold(self, c):
        self.allocations += [(lot["id"], part) for lot, part in self.choose(self.living(c.member, c.currency, c.at), c.points)]
        self.holds[c.id] = {"at": c.at, "ends": c.expires_at or FOREVER, "parts": dict(self.allocations), "open": True}
    def resolve(self, c, points):
        hold = self.holds.get(c.hold, {"at": FOREVER})
        need(c.at >= hold["at"], "UnknownHold")
        need(hold["open"] and c.at < hold["ends"], "AlreadyResolved")
        whole, taken = sum(hold["parts"].values()), {}
        need((points or 0) <= whole, "OverCaptured")
        points = whole if points is None else points
        for id_, part in hold["parts"].items():
            taken[id_] = min(points, part)
            points -= taken[id_]
        self.holds[c.hold] = {**hold, "ends": c.at, "open": False}
        if any(self.free(self.lots[id_]) < part for id_, part in taken.items()):
            self.holds[c.hold] = hold
            raise Refused("InsufficientPoints")
        for id_, part in hold["parts"].items():
            if taken[id_]:
                self.move(self.lots[id_], -taken[id_], "redeemed")
                self.allocations.append((id_, taken[id_]))
            if part > taken[id_] and c.at >= self.ends(self.lots[id_]):
                self.expired.append((id_, part - taken[id_]))
        return hold
    def capture(self, c):
        self.resolve(c, c.points)
    def release(self, c):
        self.allocations += self.resolve(c, 0)["parts"].items()
    def transfer(self, c):
        self.pay(self.living(c.member, c.currency, c.at), c.points, None)
        for id_, part in self.allocations:
            self.new_lot({k: v for k, v in self.lots[id_].items() if k != "id"}, part, member=c.to)
    def reverse(self, c):
        target = self.entries.get(c.entry, {"command": None})
        kind = type(target["command"]).__name__
        need(kind in ("Earn", "Spend", "Capture", "Transfer") and target["command"].at <= c.at, "UnknownEntry")
        left = (target["command"].points if kind == "Earn" else sum(n for _, n in target["allocations"])) - target["undone"]
        need(0 < (c.points or left) <= left, "OverReversed")
        undo = {"Earn": self.claw_back, "Transfer": self.send_back}.get(kind, self.refund)
        target["undone"] += undo(c, target, c.points or left)
    def last_of(self, target, points):
        """The allocations from the end, after what was undone before: (place, points)."""
        units = [place for place, (_, n) in enumerate(target["allocations"]) for _ in range(n)][::-1]
        part = units[target["undone"] : target["undone"] + points]
        return [(place, part.count(place)) for place in dict.fromkeys(part)]
    def refund(self, c, target, points):
        for place, part in self.last_of(target, points):
            lot, longer = (self.lots[target["allocations"][place][0]], c.at + timedelta(days=c.restore.days or 0))
            if c.restore.days and self.ends(lot) < longer:
                lot = self.new_lot({k: v for k, v in lot.items() if k != "id"}, 0, end=longer)
            self.move(lot, part, "redeemed")
            self.allocations.append((lot["id"], part))
        return points
    def send_back(self, c, target, points):
        there = {x["id"]: self.free(x) for x in self.living(target["command"].to, target["command"].currency)}
        parts = [(target["created"][place], target["allocations"][place][0], part) for place, part in self.last_of(target, points)]
        need(all(there.get(moved, 0) >= part for moved, _, part in parts), "InsufficientPoints")
        for moved, origin, part in parts:
            self.move(self.lots[moved], -part)
            self.move(self.lots[origin], part)
            self.allocations.append((origin, part))
        return points
    def claw_back(self, c, target, points):
        earn, policy, lots = (target["command"], c.clawback.value, self.living(target["command"].member, target["command"].currency))
        own = [x for x in lots if x["origin"] == earn.id]
        lots = own + [x for x in lots if x not in own and policy in ("any", "debt")]
        found = min(points, sum(self.free(x) for x in lots))
        need(policy != "reject" or found == points, "InsufficientPoints")
        self.pay(lots, found, "clawed_back") if found else None
        if policy == "debt" and points > found:
            self.debts.append(
                {"member": earn.member, "currency": earn.currency, "fund": earn.fund, "at": c.at, "moves": [(c.at, points - found)]}
            )
            self.flow(earn.fund, earn.currency, "debt", points - found)
            found = points
        self.issued[target["month"]] -= found
        return found
    def extend(self, c):
        for lot in self.of(c.member, c.currency):
            is_there = lot["moves"][0][0] <= c.at and c.rule in (None, lot["rule"])
            lot["extended"] += [(c.at, c.expires_at)] if is_there else []
    def writeoff(self, c):
        owed = self.owed(c.member, c.currency, c.at)
        need(0 < (c.points or owed) <= owed, "OverReversed")
        self.repay(c.member, c.currency, c.points or owed, "written_off")
    # Reading
    def balance(self, member, currency, at):
        lots = [(x, self.held(x, at)) for x in self.of(member, currency) if self.left(x, at)]
        available, pending = (
            sum(self.present(x, at) - held for x, held in lots if (x["start"] <= at) is usable) for usable in (True, False)
        )
        return (available, pending, sum(held for _, held in lots), self.owed(member, currency, at=at))
    def shown_lots(self, member, currency, at):
        found = [(x["id"], self.present(x, at), x["fund"], self.ends(x, at)) for x in self.of(member, currency, at)]
        return [lot for lot in found if lot[1]]
    def funding(self, at):
        rows = {(f[1], f[2]): dict.fromkeys(COLUMNS, 0) for f in self.flows if f[0] <= at}
        for _, fund, currency, column, points in (f for f in self.flows if f[0] <= at):
            rows[fund, currency][column] += points
        for lot in (x for x in self.lots.values() if (x["fund"], x["currency"]) in rows):
            rows[lot["fund"], lot["currency"]]["outstanding"] += self.present(lot, at)
            rows[lot["fund"], lot["currency"]]["expired"] += self.left(lot, at) - self.present(lot, at)
        return rows
