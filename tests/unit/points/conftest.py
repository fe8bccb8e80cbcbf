"""A ledger to read the semantics from: days are counted from 1 January 2027, UTC."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

import pytest

from userops.points import Budget, Currency, Earn, Fund, Hold, Ledger, Reverse, Spend

START = datetime(2027, 1, 1, tzinfo=UTC)


def day(n):
    return START + timedelta(days=n)


class Books:
    """A ledger with short words for the usual commands."""

    def __init__(self):
        self.ledger, self._ids = Ledger.in_memory(), count(1)
        self.ledger.add_currency(Currency("miles"))
        self.ledger.add_currency(Currency("value", spendable=False))
        self.ledger.add_fund(Fund("sales", unit_cost=Decimal("0.10")))
        self.ledger.add_fund(Fund("care", unit_cost=Decimal("0.20"), kind="expense"))
        self.ledger.add_fund(Fund("promo", budget=Budget(100, per="month"), timezone="Asia/Shanghai"))
        self.post = self.ledger.post

    def earn(self, points, on=0, **more):
        more = {"id": f"e{next(self._ids)}", "member": "u1", "fund": "sales", **more}
        if isinstance(more.get("expires_at"), int):
            more["expires_at"] = day(more["expires_at"])
        return self.post(Earn(points=points, at=day(on), **more))

    def spend(self, points, on=0, **more):
        return self.post(Spend(**{"id": f"s{next(self._ids)}", "member": "u1", "points": points, "sink": "shop", "at": day(on), **more}))  # fmt: skip

    def hold(self, points, on=0, **more):
        if isinstance(more.get("expires_at"), int):
            more["expires_at"] = day(more["expires_at"])
        return self.post(Hold(**{"id": f"h{next(self._ids)}", "member": "u1", "points": points, "at": day(on), **more}))  # fmt: skip

    def undo(self, entry, on=0, **more):
        return self.post(Reverse(**{"id": f"r{next(self._ids)}", "entry": entry, "at": day(on), **more}))

    def has(self, on=0, member="u1", currency="points"):
        """(available, pending, held, debt)"""
        one = self.ledger.balance(member, day(on), currency=currency)
        return (one.available, one.pending, one.held, one.debt)

    def lots(self, on=0, member="u1"):
        return [(lot.id, lot.points) for lot in self.ledger.lots(member, day(on))]

    def row(self, fund, on=0, currency="points"):
        rows = {(row.fund, row.currency): row for row in self.ledger.funding(day(on))}
        row = rows[fund, currency]
        assert row.issued == row.redeemed + row.expired + row.clawed_back + row.outstanding
        return row


@pytest.fixture
def books():
    books = Books()
    yield books
    assert books.ledger.audit() == ()
    totals = {}
    for (_, currency), points in books.ledger.trial_balance(day(9_999)).items():
        totals[currency] = totals.get(currency, 0) + points
    assert not any(totals.values())


@pytest.fixture(name="day")
def _day():
    return day
