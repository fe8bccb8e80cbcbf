"""Racing for one id, and what a posting reads: it never grows with the history."""

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from userops.errors import IdConflict, Rejected
from userops.points import (
    Budget,
    Capture,
    Earn,
    Expire,
    Extend,
    Fund,
    Hold,
    Ledger,
    Release,
    Reverse,
    Spend,
    Transfer,
)
from userops.points.stores.wire import Wire

T0 = datetime(2027, 1, 1, tzinfo=UTC)


def race(acts):
    """Run all at once; return what each gave."""
    barrier, found = threading.Barrier(len(acts)), [None] * len(acts)

    def run(place):
        barrier.wait(30)
        try:
            found[place] = acts[place]()
        except Rejected as refused:
            found[place] = refused

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(acts))]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return found


@pytest.fixture
def ledgers(new_url):
    url = new_url()
    opened = [Ledger.open(url, salt=b"s") for _ in range(4)]
    opened[0].add_fund(Fund("sales"))
    opened[0].post(Earn(id="first", member="ann", points=100, fund="sales", at=T0))
    yield opened
    assert opened[0].audit() == ()
    for one in opened:
        one.close()


def test_one_command_posted_at_once_is_posted_once(ledgers):
    for number in range(10):
        command = Spend(id=f"s{number}", member="ann", points=7, sink="shop", at=T0)
        found = race([lambda one=one: one.post(command) for one in ledgers])
        assert Counter(receipt.replayed for receipt in found) == {False: 1, True: 3}
        assert len({receipt.sequence for receipt in found}) == 1
    assert ledgers[0].balance("ann", T0).available == 30


def test_one_id_for_different_members_goes_to_one(ledgers):
    for number in range(10):
        commands = [
            Earn(id=f"e{number}", member=f"m{place}", points=1, fund="sales", at=T0) for place in range(4)
        ]
        found = race([lambda one=one, c=c: one.post(c) for one, c in zip(ledgers, commands, strict=True)])
        assert sum(isinstance(one, IdConflict) for one in found) == 3
        assert len(ledgers[0].entries()) == number + 2


def test_one_hold_is_captured_once(ledgers):
    ledgers[0].post(Hold(id="h", member="ann", points=60, at=T0))
    acts = [
        lambda one=one, n=n: one.post(Capture(id=f"c{n}", hold="h", sink="shop", at=T0))
        for n, one in enumerate(ledgers[:2])
    ]
    acts += [
        lambda one=one, n=n: one.post(Release(id=f"c{n}", hold="h", at=T0))
        for n, one in enumerate(ledgers[2:], 2)
    ]
    assert sum(isinstance(one, Rejected) for one in race(acts)) == 3


def test_two_transfers_across_each_other_both_arrive(ledgers):
    ledgers[0].post(Earn(id="other", member="bob", points=100, fund="sales", at=T0))
    for number in range(10):
        pairs = [("ann", "bob"), ("bob", "ann"), ("ann", "cy"), ("bob", "cy")]
        commands = [Transfer(id=f"t{number}-{a}-{b}", member=a, to=b, points=3, at=T0) for a, b in pairs]
        found = race([lambda one=one, c=c: one.post(c) for one, c in zip(ledgers, commands, strict=True)])
        assert not any(isinstance(one, Rejected) for one in found)
    assert [ledgers[0].balance(m, T0).available for m in ("ann", "bob", "cy")] == [70, 70, 60]


def test_nothing_that_posting_or_a_balance_reads_is_scanned(tmp_path, monkeypatch):
    """Cost cannot grow with the history: every statement finds its rows by an index."""
    statements, plain = {}, Wire.run

    def noting(wire, statement, parameters=()):
        statements.setdefault(statement, parameters)
        plain(wire, statement, parameters)

    monkeypatch.setattr(Wire, "run", noting)
    with Ledger.open(tmp_path / "points.db") as ledger:
        ledger.add_fund(Fund("tight", budget=Budget(10**6, per="year")))
        statements.clear()
        at, later = T0, T0 + timedelta(days=9)
        ledger.post(Earn(id="e", member="ann", points=90, fund="tight", at=at, expires_at=later))
        ledger.post(Hold(id="h", member="ann", points=5, at=at))
        ledger.post(Capture(id="c", hold="h", sink="shop", at=at))
        ledger.post(Spend(id="s", member="ann", points=5, sink="shop", at=at))
        ledger.post(Transfer(id="t", member="ann", to="bob", points=5, at=at))
        ledger.post(Reverse(id="r", entry="s", at=at))
        ledger.post(Expire(member="ann", at=later))
        ledger.balance("ann", later)
        ledger.lots("ann", later)
        monkeypatch.setattr(Wire, "run", plain)
        reads = [one for one in statements.items() if one[0].startswith(("SELECT", "UPDATE"))]
        assert len(reads) > 15
        with ledger._store._driver.connection() as wire:
            for statement, parameters in reads:
                steps = [row[3] for row in wire.rows(f"EXPLAIN QUERY PLAN {statement}", parameters)]
                if "max(" not in statement:  # The end of an index, found at once.
                    assert not any(step.startswith("SCAN ledger_") for step in steps), (statement, steps)


def test_an_extension_of_thousands_of_lots_is_one_row(tmp_path, monkeypatch):
    """Each paid event may move every lot of a member: one entry that names none, and as many statements as for one."""
    counts, plain = [], Wire.run_many
    with Ledger.open(tmp_path / "points.db") as ledger:
        ledger.add_fund(Fund("sales"))
        end = T0 + timedelta(days=9)
        for member, many in (("one", 1), ("many", 3_000)):
            ledger.post_all([
                Earn(id=f"{member}{n}", member=member, points=1, fund="sales", at=T0, expires_at=end)
                for n in range(many)
            ])  # fmt: skip
            statements = []
            monkeypatch.setattr(
                Wire,
                "run_many",
                lambda wire, text, rows, into=statements: (into.append(text), plain(wire, text, rows)),
            )
            ledger.post(Extend(id=f"x-{member}", member=member, at=T0, expires_at=end + timedelta(days=30)))
            monkeypatch.setattr(Wire, "run_many", plain)
            counts.append(len(statements))
            (entry,) = ledger.entries(member, kind="extend")
            assert (entry.legs, entry.created, entry.allocations) == ((), (), ())
            assert {lot.expires_at for lot in ledger.lots(member, T0)} == {end + timedelta(days=30)}
        with ledger._store._driver.connection() as wire:
            sizes = wire.rows("SELECT length(content) FROM ledger_entry WHERE id LIKE 'x-%'")
        assert counts[0] == counts[1]
        assert len(set(sizes)) == 1


def test_an_earn_takes_six_statements_a_spend_seven(tmp_path, monkeypatch):
    """One query tells the wallet, that the id is new and the last sequence; who only gives looks at no lots."""
    statements, plain = [], Wire.run

    def noting(wire, statement, parameters=()):
        statements.append(" ".join(statement.split()[:3]))
        plain(wire, statement, parameters)

    with Ledger.open(tmp_path / "points.db") as ledger:
        ledger.add_fund(Fund("sales"))
        for n in range(3):
            ledger.post(Earn(id=f"e{n}", member="ann", points=90, fund="sales", at=T0))
        monkeypatch.setattr(Wire, "run", noting)
        ledger.post(Earn(id="e", member="ann", points=90, fund="sales", at=T0))
        earn = statements.copy()
        statements.clear()
        ledger.post(Spend(id="s", member="ann", points=100, sink="shop", at=T0))
        monkeypatch.setattr(Wire, "run", plain)
        begun = ["BEGIN IMMEDIATE", "SELECT (SELECT ledger_entry.id"]
        lots = ["SELECT ledger_lot.id, ledger_lot.wallet,"]
        entry, wallet = ["INSERT INTO ledger_entry"], ["UPDATE ledger_wallet SET", "COMMIT"]
        assert earn == [*begun, *entry, "INSERT INTO ledger_lot", *wallet]
        assert [one for one in statements if one != "UPDATE ledger_lot SET"] == [
            *begun,
            *lots,
            *entry,
            *wallet,
        ]
        assert [lot.points for lot in ledger.lots("ann", T0)] == [80, 90, 90]
        assert ledger.audit() == ()
