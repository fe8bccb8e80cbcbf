"""What is compared between a ledger and its dictionary model."""

from collections import Counter
from datetime import timedelta
from decimal import Decimal
from itertools import product

import attrs
from tests.property.ledger_model import FOREVER

MEMBERS = ("ann", "bob", "cho")
CURRENCIES = {"points": True, "miles": True, "value": False}
COSTS = {"sales": Decimal("0.10"), "promo": Decimal("0.25")}
COLUMNS = ("issued", "redeemed", "expired", "clawed_back", "outstanding", "debt", "written_off")
TICK = timedelta(microseconds=1)


class Compared:
    """Comparisons of `self.ledger` with `self.model`; each fails with an assertion."""

    #: When funds were last compared: (now, entries recorded).
    compared = None

    def compare_touched(self):
        """Compare wallets that a command named, even a refused one, and funds when anything is new."""
        if self.touched:
            standing = (self.now, self.ledger.settled)
            self.compare(self.now, self.touched, has_funds=standing != self.compared)
            self.compared = standing
        self.touched = set()

    def compare(self, at, members, known_at=None, known=None, *, has_funds=True):
        """Compare all that is read at an instant of these members, and of the funds."""
        balances, shown, funding = self.model.read(at, known)
        for wallet in product(members, CURRENCIES):
            member, currency = wallet
            balance = self.ledger.balance(member, at, currency=currency, known_at=known_at)
            assert attrs.astuple(balance) == (*balances[wallet], balances[*wallet, "owed"][0]), (wallet, at)
            lots = self.ledger.lots(member, at, currency=currency, known_at=known_at)
            expected = [self.expected_lot(*found) for found in shown[wallet] if found[1]]
            assert [attrs.astuple(lot) for lot in lots] == expected, (wallet, at)
        if has_funds:
            rows = {(row.fund, row.currency): row for row in self.ledger.funding(at, known_at=known_at)}
            assert {
                key: {column: getattr(row, column) for column in COLUMNS} for key, row in rows.items()
            } == {key: {column: row[column] for column in COLUMNS} for key, row in funding.items()}
            for row in rows.values():
                assert row.issued == row.redeemed + row.expired + row.clawed_back + row.outstanding

    def expected_lot(self, lot, points, end):
        original = next(n for _, its, _, n, _ in self.model.rows if its == lot)
        earned_at, end = self.model.entries[lot.origin].c.at, None if end == FOREVER else end
        return (
            lot.id, points, original, lot.fund, COSTS[lot.fund], earned_at, lot.start, end, lot.rule, lot.origin
        )  # fmt: skip

    def compare_books(self, at):
        """Accounts say what balances and funds say."""
        trial, (balances, _, funding) = self.ledger.trial_balance(at), self.model.read(at)
        for member, currency in product(MEMBERS, CURRENCIES):
            owed = balances[member, currency, "owed"][0]
            assert trial.get((f"wallet:{member}", currency), 0) == sum(balances[member, currency])
            assert trial.get((f"debt:{member}", currency), 0) == -owed
        for currency in CURRENCIES:
            rows = [row for (_, its), row in funding.items() if its == currency]
            for accounts, column, sign in (
                (("expired",), "expired", 1),
                (("loss",), "written_off", -1),
                (("sink:shop", "exchange"), "redeemed", 1),
            ):
                there = sum(trial.get((account, currency), 0) for account in accounts)
                assert there == sign * sum(row[column] for row in rows), (accounts, currency)

    def compare_expiries(self, settled):
        """Expiries are dated at their own instants, when a lot or a hold ends."""
        holds = {hold.ends for hold in self.model.entries.values() if hold.kind == "Hold"}
        ends = holds | {its["end"] for its in self.model.lots.values()}
        assert {e.at for e in self.ledger.entries(kind="expire") if e.sequence > settled} <= ends

    def compare_expired(self, at):
        """A sweep later than all else leaves no expiry unwritten."""
        written, (_, _, funding) = Counter(), self.model.read(at)
        for leg in (leg for entry in self.ledger.entries() for leg in entry.legs if leg.account == "expired"):
            written[leg.currency] += leg.points
        for (_, currency), row in funding.items():
            written[currency] -= row["expired"]
        assert not any(written.values()), written

    def compare_statements(self, member, at, until):
        opening, closing = (self.model.read(instant - TICK)[0] for instant in (at, until))
        for currency in CURRENCIES:
            statement = self.ledger.statement(member, at, until, currency=currency)
            assert statement.opening + sum(line.points for line in statement.lines) == statement.closing
            assert statement.opening == sum(opening[member, currency])
            assert statement.closing == sum(closing[member, currency])

    def prove(self):
        assert self.ledger.audit() == ()
        totals = Counter()
        for (_, currency), points in self.ledger.trial_balance(self.now).items():
            totals[currency] += points
        assert not any(totals.values()), totals
        for member, at, known_at, known in self.kept:
            self.compare(at, {member}, known_at, known)
