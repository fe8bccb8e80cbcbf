"""Ctrl-C, or a fault, where a transaction ends: it stays what it is, and the ledger works on."""

from datetime import UTC, datetime

import pytest

from userops.errors import InsufficientPoints, StoreUnavailable
from userops.points import Earn, Fund, Ledger, Spend

T0 = datetime(2027, 1, 1, tzinfo=UTC)
EARN = Earn(id="e", member="ann", points=5, fund="sales", at=T0)
SPEND = Spend(id="s", member="ann", points=9, sink="shop", at=T0)


@pytest.fixture
def ledger(new_url):
    with Ledger.open(new_url()) as ledger:
        ledger.add_fund(Fund("sales"))
        ledger.post(EARN)
        yield ledger


def test_an_interrupt_of_a_roll_back_is_not_taken_for_an_outage(ledger, monkeypatch):
    def end(wire, *, keep):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ledger._store._driver, "end", end)
        with pytest.raises(KeyboardInterrupt):
            ledger.post(SPEND)
    with pytest.raises(InsufficientPoints):
        ledger.post(SPEND)
    assert ledger.post(EARN).replayed
    assert ledger.audit() == ()


def test_a_reading_whose_end_fails_is_an_outage(ledger, monkeypatch):
    driver = ledger._store._driver

    def end(wire, *, keep):
        wire.run("ROLLBACK")
        raise driver.error("gone")

    with monkeypatch.context() as patch:
        patch.setattr(driver, "end", end)
        with pytest.raises(StoreUnavailable):
            ledger.balance("ann", T0)
    assert ledger.balance("ann", T0).available == 5


def test_a_transaction_that_an_interrupt_left_open_stops_nobody(tmp_path):
    with Ledger.open(tmp_path / "points.db") as ledger, Ledger.open(tmp_path / "points.db") as other:
        ledger.add_fund(Fund("sales"))
        with ledger._store._driver.connection():
            connection = ledger._store._driver._connection
        connection.execute(
            "BEGIN IMMEDIATE"
        )  # As an interrupt leaves it between the error and the roll-back.
        assert not ledger.post(EARN).replayed
        assert other.post(EARN).replayed
        assert ledger.transact(["ann"], lambda _: ledger.balance("ann", T0).available) == 5
