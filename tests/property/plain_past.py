"""A member's past the plain way: every extension looks at every lot, every instant is read anew from all entries.

This is how the ledger read it at first. It is quadratic, in places cubic, and easy to believe.
"""

from collections import defaultdict

import attrs

from userops.core.calendar import from_micros, micros
from userops.points import Extend, FundingRow, Hold, Line, Statement
from userops.points.values import NEVER
from userops.points.wallet import DebtState, HoldState


class Past:
    """One wallet as its entries tell it, in order of recording."""

    def __init__(self, member, entries, as_of=None, known_at=None):
        self.member, self.lots, self.moves, self.holds, self.debts = member, {}, {}, {}, {}
        for entry in chosen(entries, as_of, known_at):
            self.add(entry, micros(entry.at))

    def add(self, entry, at):
        for lot in entry.created:
            if lot.member == self.member:
                self.lots[lot.id] = lot.with_left(0, 0)
        for leg in entry.legs:
            lot = self.lots.get(leg.lot)
            if lot is not None and leg.account in (f"wallet:{self.member}", "expired"):
                written = leg.points if leg.account == "expired" else 0
                self.lots[leg.lot] = lot.with_left(lot.left + leg.points, lot.written + written)
                self.moves.setdefault(leg.lot, []).append((at, leg.points))
        command = entry.command
        if isinstance(command, Hold):
            ends = None if command.expires_at is None else micros(command.expires_at)
            self.holds[entry.id] = HoldState(
                entry.id, self.member, entry.currency, command.points, at, ends, entry.allocations
            )
        elif entry.kind in ("capture", "release") and command.hold in self.holds:
            hold = self.holds[command.hold]
            self.holds[hold.id] = attrs.evolve(hold, resolved_by=entry.id, resolved_at=at)
        elif isinstance(command, Extend):
            self.extend(command, at, micros(command.expires_at))
        if entry.member == self.member:
            for origin, fund, points in entry.debts:
                debt = self.debts.get(origin) or DebtState(origin, fund, entry.currency, at, 0)
                self.debts[origin] = attrs.evolve(debt, points=debt.points + points)

    def extend(self, command, at, until):
        for lot in list(self.lots.values()):
            is_of_it = lot.currency == command.currency and command.rule in (None, lot.rule)
            if is_of_it and self.moves[lot.id][0][0] <= at < lot.ends < until:
                self.lots[lot.id] = lot.with_expiry(until)

    def held(self, at):
        held = defaultdict(int)
        for hold in self.holds.values():
            for lot, points in hold.allocations if hold.is_live(at) else ():
                held[lot] += points
        return held

    def present(self, lot, at):
        return lot.left if lot.is_alive(at) else self.held(at)[lot.id]

    def total(self, currency, at):
        return sum(self.present(lot, at) for lot in self.lots.values() if lot.currency == currency)

    def balance(self, currency, at):
        """Return (available, pending, held, debt)."""
        held, found = self.held(at), [0, 0, 0, 0]
        for lot in self.lots.values():
            if lot.currency == currency:
                found[lot.available_at > at] += self.present(lot, at) - held[lot.id]
                found[2] += held[lot.id]
        found[3] = sum(debt.points for debt in self.debts.values() if debt.currency == currency)
        return tuple(found)

    def free(self, currency, at):
        """Return {lot: points free at an instant and at every later one}, of lots alive at it."""
        found = {}
        for lot in self.lots.values():
            if lot.currency == currency and lot.is_alive(at):
                least = min(self.unreserved(lot, later) for later in self.instants(lot, at))
                if least > 0:
                    found[lot.id] = least
        return found

    def instants(self, lot, at):
        instants = [moved_at for moved_at, _ in self.moves[lot.id]]
        for hold in self.holds.values():
            instants += [hold.at, hold.expires_at or NEVER, hold.resolved_at or hold.at]
        return [at, *(one for one in instants if one > at)]

    def unreserved(self, lot, at):
        return (
            sum(points for moved_at, points in self.moves[lot.id] if moved_at <= at) - self.held(at)[lot.id]
        )


def chosen(entries, as_of=None, known_at=None):
    """Return the entries that took effect by an instant and were recorded by a place."""
    return [
        entry
        for entry in entries
        if (as_of is None or micros(entry.at) <= as_of) and (known_at is None or entry.sequence <= known_at)
    ]


def statement(member, currency, entries, start, end, known_at):
    """Return a statement: the state at every instant at which anything can change, each read anew."""
    known = chosen(entries, known_at=known_at)
    whole, lines_at = Past(member, known), {start: []}
    for entry in sorted(known, key=lambda one: (one.at, one.sequence)):
        legs = [leg for leg in entry.legs if leg.lot in whole.lots and leg.currency == currency]
        points, lines = sum(leg.points for leg in legs), lines_at.setdefault(micros(entry.at), [])
        if points:
            lines.append(Line(entry.at, entry.kind, points, entry.id, entry.command.reason))
        ends = [lot.expires_at for lot in entry.created]
        ends += (
            [micros(entry.command.expires_at)]
            if isinstance(entry.command, Extend | Hold) and entry.command.expires_at
            else []
        )
        for one in ends:
            lines_at.setdefault(one, [])
    total = opening = Past(member, known, start - 1).total(currency, start - 1)
    shown = []
    for at in sorted(at for at in lines_at if at is not None and start <= at < end):
        after = Past(member, known, at).total(currency, at)
        gone = after - total - sum(line.points for line in lines_at[at])
        shown += [*lines_at[at], *([Line(from_micros(at), "expire", gone)] if gone else [])]
        total = after
    return Statement(member, currency, opening, tuple(shown), total)


def funding(members, entries, at, known_at):
    """Return where the points of every fund are: wallet by wallet, then entry by entry."""
    rows, lots = defaultdict(lambda: dict.fromkeys(attrs.fields_dict(FundingRow), 0)), {}
    for member in members:
        past = Past(member, [entry for entry in entries if member in entry.members], at, known_at)
        lots.update(past.lots)
        for lot in past.lots.values():
            row, present = rows[lot.fund, lot.currency], past.present(lot, at)
            row["outstanding"] += present
            row["expired"] += lot.left - present
            row["issued"] += lot.original if lot.is_issue else 0
        for debt in past.debts.values():
            rows[debt.fund, debt.currency]["debt"] += debt.points
    for entry in chosen(entries, at, known_at):
        if entry.kind == "writeoff":
            for _, fund, points in entry.debts:
                rows[fund, entry.currency]["written_off"] -= points
        accounts = {leg.account.partition(":")[0] for leg in entry.legs}
        if accounts & {"sink", "exchange", "fund", "debt"}:
            column = "redeemed" if accounts & {"sink", "exchange"} else "clawed_back"
            gone = {lot.id: lot.original for lot in entry.created if lot.is_issue}
            for leg in entry.legs:
                gone[leg.lot] = gone.get(leg.lot, 0) - leg.points
            for lot in gone.keys() & lots.keys():
                rows[lots[lot].fund, lots[lot].currency][column] += gone[lot]
    return tuple(
        FundingRow(**{**row, "fund": fund, "currency": currency})
        for (fund, currency), row in sorted(rows.items())
    )


def trial_balance(members, entries, at, known_at):
    """Return the points of every account, those of wallets as they stand at an instant."""
    totals = defaultdict(int)
    for member in members:
        past = Past(member, [entry for entry in entries if member in entry.members], at, known_at)
        for lot in past.lots.values():
            present = past.present(lot, at)
            totals[f"wallet:{member}", lot.currency] += present
            totals["expired", lot.currency] += lot.left - present
    for entry in chosen(entries, at, known_at):
        for leg in entry.legs:
            if leg.account != "expired" and not leg.account.startswith("wallet:"):
                totals[leg.account, leg.currency] += leg.points
    return {key: points for key, points in sorted(totals.items()) if points}
