"""Texts that cannot be read, put into the database by hand: every call says where in a typed error, or is not hurt."""

from collections import Counter
from datetime import timedelta

import pytest
from tests.reliability.stores.attacks import T0, attacks, nonsense, postgres_database, sqlite_database

from userops.errors import DamagedLedger, UseropsError
from userops.points import Capture, Earn, Expire, Extend, Fund, Ledger, Release, Reverse, Spend, Transfer
from userops.points.stores.sql import SqlStore

DAY = timedelta(days=1)
T = T0 + 20 * DAY
MEMBERS = ("ann", "bob", "dan")

#: What reads rows of one member, and of all: each in its own way.
OF_A_MEMBER = {
    "balance": lambda ledger, m: ledger.balance(m, T),
    "an old balance": lambda ledger, m: ledger.balance(m, T0),
    "lots": lambda ledger, m: ledger.lots(m, T),
    "statement": lambda ledger, m: ledger.statement(m, T0, T),
    "entries": lambda ledger, m: ledger.entries(m),
    "earn": lambda ledger, m: ledger.post(Earn(id=f"1{m}", member=m, points=1, fund="tight", at=T)),
    "spend": lambda ledger, m: ledger.post(Spend(id=f"2{m}", member=m, points=1, sink="x", at=T)),
    "an old spend": lambda ledger, m: ledger.post(
        Spend(id=f"3{m}", member=m, points=1, sink="x", at=T0 + DAY)
    ),
    "extend": lambda ledger, m: ledger.post(Extend(id=f"4{m}", member=m, expires_at=T + 90 * DAY, at=T)),
    "expire": lambda ledger, m: ledger.post(Expire(id=f"5{m}", member=m, at=T + 9 * DAY)),
}
OF_ALL = {
    "funding": lambda ledger: ledger.funding(T),
    "trial balance": lambda ledger: ledger.trial_balance(T),
    "head": lambda ledger: ledger.head,
    "doctor": lambda ledger: ledger.doctor(),
    "explain": lambda ledger: ledger.explain("c1"),
    "a replay": lambda ledger: ledger.post(Earn(id="e2", member="bob", points=80, fund="tight", at=T0)),
    "reverse spend": lambda ledger: ledger.post(Reverse(id="6", entry="s1", at=T)),
    "reverse transfer": lambda ledger: ledger.post(Reverse(id="7", entry="t1", at=T)),
    "capture": lambda ledger: ledger.post(Capture(id="8", hold="h2", sink="x", at=T)),
    "release": lambda ledger: ledger.post(Release(id="9", hold="h2", at=T)),
    "transfer": lambda ledger: ledger.post(Transfer(id="10", member="bob", to="ann", points=1, at=T)),
    "expire all": lambda ledger: ledger.post(Expire(id="11", at=T + 90 * DAY)),
    "count": lambda ledger: ledger.transact([], lambda posting: posting.count("club", 1, 10)),
    "declare": lambda ledger: ledger.add_fund(Fund("new")),
    "erase": lambda ledger: ledger.erase("dan"),
}


def calls(ledger):
    yield from ((name, lambda act=act: act(ledger)) for name, act in OF_ALL.items())
    for member in MEMBERS:
        yield from ((name, lambda act=act, m=member: act(ledger, m)) for name, act in OF_A_MEMBER.items())


def outcomes(url, what, found):
    """Try every call on an attacked ledger; count what was said of it."""
    try:
        ledger = Ledger.open(url, salt=b"s")
    except UseropsError as refused:
        found[type(refused).__name__] += 1
        return
    with ledger:
        findings = ledger.audit()
        assert findings, what
        for name, act in calls(ledger):
            try:
                act()
            except UseropsError as said:
                found[type(said).__name__] += 1
                if isinstance(said, DamagedLedger) and not (
                    said.table.startswith("ledger_") and said.table in str(said) and "audit()" in str(said)
                ):
                    raise AssertionError((what, name)) from said
        assert isinstance(ledger.audit(), tuple)


def hunt(database, chosen, counted):
    found, tried = Counter(), 0
    for what, statements in chosen:
        url = database.attacked(statements)
        if url is not None:
            tried += 1
            outcomes(url, what, found)
    counted(database=database.name, unreadable=tried, calls_that_said_so=found["DamagedLedger"])
    assert found["DamagedLedger"] > tried / 4
    return found


def first_of_each_column(found, every):
    seen = {}
    for what, statements in found:
        column = what.split()[1]
        seen[column] = seen.get(column, -1) + 1
        if seen[column] % every == 0:
            yield what, statements


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return sqlite_database(tmp_path_factory.mktemp("unreadable"))


def test_a_row_that_cannot_be_read_is_named(file, counted):
    hunt(file, first_of_each_column(nonsense(file), 31), counted)


def test_a_row_that_cannot_be_read_is_named_on_postgresql(postgres, counted):
    database = postgres_database(postgres)
    chosen = (one for one in nonsense(database, ("[1]",)) if one[0].startswith(
        ("set ledger_entry.content ['1'", "set ledger_entry.content [1]", "set ledger_lot.unit_cost", "set ledger_sweep.content")
    ))  # fmt: skip
    hunt(database, list(chosen)[:4], counted)


@pytest.mark.nightly
def test_every_row_that_cannot_be_read_is_named(file, counted):
    hunt(file, nonsense(file), counted)


@pytest.mark.nightly
def test_no_attack_leads_to_an_error_without_a_name(file, counted):
    found, tried = Counter(), 0
    for what, statements in attacks(file):
        url = file.attacked(statements)
        if url is not None:
            tried += 1
            outcomes(url, what, found)
    counted(attacks=tried, outcomes=dict(found))


def test_audit_names_the_lot_that_cannot_be_read(file):
    url = file.attacked([("UPDATE ledger_lot SET unit_cost = 'x' WHERE id = 'e1'", [])])
    with Ledger.open(url, salt=b"s") as ledger:
        assert [(f.kind, f.where) for f in ledger.audit()] == [("unreadable", "e1")]
        with pytest.raises(DamagedLedger, match=r"'e1' of ledger_lot.*audit\(\)") as caught:
            ledger.post(Spend(id="1", member="ann", points=1, sink="x", at=T0))
        assert (caught.value.table, caught.value.row) == ("ledger_lot", "e1")


def test_a_ledger_that_cannot_be_opened_is_closed_again(file, monkeypatch):
    closed, plain = [], SqlStore.close
    monkeypatch.setattr(SqlStore, "close", lambda store: (closed.append(store), plain(store)))
    url = file.attacked([("UPDATE ledger_declaration SET words = '[' WHERE place = 1", [])])
    with pytest.raises(DamagedLedger, match="ledger_declaration"):
        Ledger.open(url, salt=b"s")
    assert len(closed) == 1
