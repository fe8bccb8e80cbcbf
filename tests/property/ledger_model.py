"""A ledger as plain dictionaries: what the design page says, and nothing about speed. Writing expiries does nothing."""

from datetime import UTC, datetime, timedelta

FOREVER = datetime.max.replace(tzinfo=UTC)


class Refused(Exception):
    """Carries the name of the rejection."""


class Model:
    def __init__(self, spendable, limits):
        self.spendable, self.limits = spendable, limits  # {currency: bool}, {fund: points a month | None}
        self.lots, self.holds, self.entries, self.debts = {}, {}, {}, []
        self.flows, self.issued = [], {}  # (at, fund, currency, column, points); {(fund, month): points}

    def post(self, c):
        """Return (allocations, expired) or the name of the rejection."""
        if c.id in self.entries:
            return self.entries[c.id]["answer"] if self.entries[c.id]["command"] == c else "IdConflict"
        self.c, self.at, self.allocations, self.expired = c, c.at, [], []
        self.entry = {"command": c, "undone": 0, "created": [], "currency": c.currency}
        try:
            self.need(c.currency in self.spendable, "UnknownCurrency")
            self.need(set(getattr(c, "funds", None) or ()) <= set(self.limits), "UnknownFund")
            getattr(self, type(c).__name__.lower())(c)
        except Refused as refusal:
            return str(refusal)
        self.entries[c.id] = {**self.entry, "allocations": self.allocations}
        self.entries[c.id]["answer"] = (tuple(self.allocations), tuple(self.expired))
        return self.entries[c.id]["answer"]

    def need(self, claim, otherwise):
        if not claim:
            raise Refused(otherwise)

    # -- What a lot holds: moves are (instant, points); an extension counts from its own instant.
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

    def free(self, lot, at):
        """What nobody took or reserved at that instant, nor since."""
        instants = {moved_at for moved_at, _ in lot["moves"]} | {h["at"] for h in self.holds.values()}
        return min(self.left(lot, t) - self.held(lot, t) for t in {at} | {t for t in instants if t > at})

    def of(self, member, currency):
        mine = [x for x in self.lots.values() if (x["member"], x["currency"]) == (member, currency)]
        return sorted(mine, key=lambda x: (self.ends(x), x["start"], x["rank"]))

    def living(self, member, currency, *, usable=True):
        lots = [x for x in self.of(member, currency) if self.at < self.ends(x) and self.free(x, self.at) > 0]
        return [x for x in lots if not usable or x["start"] <= self.at]

    def choose(self, lots, points):
        chosen = []
        for lot in lots:
            chosen.append((lot, min(points, self.free(lot, self.at))))
            points -= chosen[-1][1]
            if not points:
                return chosen
        raise Refused("InsufficientPoints")

    def move(self, lot, points, column=None):
        lot["moves"].append((self.at, points))
        if points > 0 and self.at >= self.ends(lot):
            self.expired.append((lot["id"], points))
        if column:
            self.flow(lot["fund"], lot["currency"], column, -points)

    def flow(self, fund, currency, column, points):
        self.flows.append((self.at, fund, currency, column, points))

    def pay(self, lots, points, column):
        for lot, part in self.choose(lots, points):
            self.move(lot, -part, column)
            self.allocations.append((lot["id"], part))

    def new_lot(self, points, **fields):
        lot = {"extended": [], "rank": len(self.lots), **fields, "moves": [(self.at, points)]}
        self.lots[lot["id"]] = lot
        self.entry["created"].append(lot["id"])
        return lot

    def part_of(self, lot, points, **changed):
        place = str(len(self.entry["created"]))  # a moved part is named by its entry and its place there
        id_ = f"{len(self.c.id)}:{self.c.id}{len(place)}:{place}"
        kept = {**lot, "id": id_, "rank": len(self.lots), "end": self.ends(lot), "extended": [], **changed}
        return self.new_lot(points, **{k: v for k, v in kept.items() if k != "moves"})

    # -- Commands
    def issue(self, c, member, currency, fund, points, start=None):
        month = (fund, (c.at + timedelta(hours=8)).strftime("%Y-%m"))
        limit = self.limits[fund]
        self.need(limit is None or self.issued.get(month, 0) + points <= limit, "BudgetExceeded")
        if type(c).__name__ == "Exchange":
            self.pay(self.living(member, c.currency), c.points, "redeemed")
        self.issued[month] = self.issued.get(month, 0) + points
        self.entry["month"] = month
        self.flow(fund, currency, "issued", points)
        return self.new_lot(
            points, id=c.id, member=member, currency=currency, fund=fund, end=c.expires_at or FOREVER,
            start=max(c.at, start or c.at), rule=getattr(c, "rule", ""),
        )  # fmt: skip

    def owed(self, member, currency, at=FOREVER):
        return sum(n for d in self.due(member, currency, FOREVER) for t, n in d["moves"] if t <= at)

    def due(self, member, currency, at):
        mine = [d for d in self.debts if (d["member"], d["currency"]) == (member, currency) and d["at"] <= at]
        return sorted(mine, key=lambda d: d["at"])

    def repay(self, member, currency, points):
        for debt in self.due(member, currency, self.at):
            paid = min(points, sum(n for _, n in debt["moves"]))
            points -= paid
            if paid:
                debt["moves"].append((self.at, -paid))
                self.flow(debt["fund"], currency, "debt", -paid)
                yield debt, paid

    def earn(self, c):
        self.need(c.fund in self.limits, "UnknownFund")
        lot = self.issue(c, c.member, c.currency, c.fund, c.points, c.available_at)
        for _, paid in self.repay(c.member, c.currency, c.points):
            self.move(lot, -paid, "clawed_back")

    def spend(self, c):
        self.need(self.spendable[c.currency], "NotSpendable")
        lots = self.living(c.member, c.currency)
        self.pay([x for x in lots if c.funds is None or x["fund"] in c.funds], c.points, "redeemed")

    def hold(self, c):
        self.need(self.spendable[c.currency], "NotSpendable")
        chosen = self.choose(self.living(c.member, c.currency), c.points)
        self.allocations = [(lot["id"], part) for lot, part in chosen]
        self.holds[c.id] = {
            "at": c.at,
            "ends": c.expires_at or FOREVER,
            "parts": dict(self.allocations),
            "open": True,
        }

    def resolve(self, c, points):
        hold = self.holds.get(c.hold)
        self.need(hold is not None and c.at >= hold["at"], "UnknownHold")
        self.need(hold["open"] and c.at < hold["ends"], "AlreadyResolved")
        self.need((points or 0) <= sum(hold["parts"].values()), "OverCaptured")
        self.entry["currency"] = self.lots[next(iter(hold["parts"]))]["currency"]
        points = sum(hold["parts"].values()) if points is None else points
        del self.holds[c.hold]
        taken = {}
        for id_, part in hold["parts"].items():
            taken[id_] = min(points, part)
            points -= taken[id_]
        if any(self.free(self.lots[id_], c.at) < part for id_, part in taken.items()):
            self.holds[c.hold] = hold
            raise Refused("InsufficientPoints")
        self.holds[c.hold] = {**hold, "ends": c.at, "open": False}
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
        self.allocations = list(self.resolve(c, 0)["parts"].items())

    def reverse(self, c):
        target = self.entries.get(c.entry)
        kind = type(target["command"]).__name__ if target and target["command"].at <= c.at else ""
        self.need(kind in ("Earn", "Spend", "Capture", "Transfer"), "UnknownEntry")
        whole = target["command"].points if kind == "Earn" else sum(n for _, n in target["allocations"])
        left = whole - target["undone"]
        points = c.points or left
        self.need(0 < points <= left, "OverReversed")
        self.entry["currency"] = target["currency"]
        if kind == "Earn":
            points = self.claw_back(c, target, points)
        else:
            (self.send_back if kind == "Transfer" else self.refund)(c, target, self.last_of(target, points))
        target["undone"] += points

    def last_of(self, target, points):
        """The allocations from the end, after what was undone before: (place, points)."""
        units = [place for place, (_, n) in enumerate(target["allocations"]) for _ in range(n)][::-1]
        part = units[target["undone"] : target["undone"] + points]
        return [(place, part.count(place)) for place in dict.fromkeys(part)]

    def refund(self, c, target, parts):
        for place, part in parts:
            lot = self.lots[target["allocations"][place][0]]
            if c.restore.days is not None and self.ends(lot) < c.at + timedelta(days=c.restore.days):
                lot = self.part_of(lot, part, end=c.at + timedelta(days=c.restore.days))
                self.flow(lot["fund"], lot["currency"], "redeemed", -part)
            else:
                self.move(lot, part, "redeemed")
            self.allocations.append((lot["id"], part))

    def send_back(self, c, target, parts):
        there = {
            x["id"]: self.free(x, c.at)
            for x in self.living(target["command"].to, target["currency"], usable=False)
        }
        self.need(
            all(there.get(target["created"][place], 0) >= part for place, part in parts), "InsufficientPoints"
        )
        for place, part in parts:
            self.move(self.lots[target["created"][place]], -part)
            self.move(self.lots[target["allocations"][place][0]], part)
            self.allocations.append((target["allocations"][place][0], part))

    def claw_back(self, c, target, points):
        earn, policy = target["command"], c.clawback.value
        lots = self.living(earn.member, earn.currency, usable=False)
        own = [x for x in lots if x["id"] == earn.id]
        lots = own + [x for x in lots if x not in own and policy in ("any", "debt")]
        found = min(points, sum(self.free(x, c.at) for x in lots))
        self.need(policy != "reject" or found == points, "InsufficientPoints")
        if found:
            self.pay(lots, found, "clawed_back")
        if policy == "debt" and points > found:
            fields = {"member": earn.member, "currency": earn.currency, "fund": earn.fund, "at": c.at}
            self.debts.append({**fields, "moves": [(c.at, points - found)]})
            self.flow(earn.fund, earn.currency, "debt", points - found)
            found = points
        self.issued[target["month"]] -= found
        return found

    def transfer(self, c):
        self.need(self.spendable[c.currency], "NotSpendable")
        self.pay(lots := self.living(c.member, c.currency), c.points, None)
        for id_, part in self.allocations:
            self.part_of(next(x for x in lots if x["id"] == id_), part, member=c.to)

    def exchange(self, c):
        self.need(c.to_currency in self.spendable, "UnknownCurrency")
        self.need(c.fund in self.limits, "UnknownFund")
        self.need(self.spendable[c.currency] and self.spendable[c.to_currency], "NotSpendable")
        self.issue(c, c.member, c.to_currency, c.fund, int(c.points * c.rate))

    def extend(self, c):
        for lot in self.of(c.member, c.currency):
            if c.rule in (None, lot["rule"]) and c.at < self.ends(lot) < c.expires_at:
                lot["extended"].append((c.at, c.expires_at))

    def writeoff(self, c):
        owed = sum(n for d in self.due(c.member, c.currency, c.at) for _, n in d["moves"])
        self.need(0 < (c.points or owed) <= owed, "OverReversed")
        for debt, paid in self.repay(c.member, c.currency, c.points or owed):
            self.flow(debt["fund"], c.currency, "written_off", paid)

    def note(self, c): ...

    def expire(self, c): ...

    # -- Reading
    def balance(self, member, currency, at):
        lots = [x for x in self.of(member, currency) if self.left(x, at)]
        unheld = [(x, self.present(x, at) - self.held(x, at)) for x in lots]
        available = sum(n for x, n in unheld if x["start"] <= at)
        return (available, sum(n for _, n in unheld) - available, sum(self.held(x, at) for x in lots), self.owed(member, currency, at))  # fmt: skip

    def shown_lots(self, member, currency, at):
        lots = sorted(self.of(member, currency), key=lambda x: (self.ends(x, at), x["start"], x["rank"]))
        return [
            (x["id"], self.present(x, at), x["fund"], self.ends(x, at)) for x in lots if self.present(x, at)
        ]

    def funding(self, at):
        rows = {}
        columns = ("issued", "redeemed", "expired", "clawed_back", "outstanding", "debt", "written_off")
        for moved_at, fund, currency, column, points in self.flows:
            if moved_at <= at:
                row = rows.setdefault((fund, currency), dict.fromkeys(columns, 0))
                row[column] += points
        for lot in self.lots.values():
            if (lot["fund"], lot["currency"]) in rows:
                row, present = rows[lot["fund"], lot["currency"]], self.present(lot, at)
                row["outstanding"] += present
                row["expired"] += self.left(lot, at) - present
        return rows
