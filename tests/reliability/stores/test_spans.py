"""A rule's entries of a span, and what was undone: every store finds the same, and a model agrees."""

import random
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from userops.points import Earn, Expire, Fund, Ledger, Reverse, Spend

START = datetime(2027, 2, 26, 20, tzinfo=UTC)


def test_every_store_finds_the_same_entries_of_a_rule_in_a_span(new_url):
    rng, answers = random.Random(5), []
    spans = [(None, None), (START, None), (None, START), (START, START), (START - timedelta(hours=7), START)]
    commands = [
        Earn(
            id=f"c{n}",
            member=rng.choice("uv"),
            points=5,
            fund="x",
            rule=rng.choice(["", "r", "s"]),
            at=START + timedelta(hours=rng.randrange(-9, 9)),
        )
        for n in range(60)
    ]
    commands += [Reverse(id=f"t{n}", entry=f"c{n}", points=2, at=START + timedelta(days=1)) for n in range(9)]
    for ledger in (Ledger.in_memory(), Ledger.open(new_url())):
        with ledger:
            ledger.add_fund(Fund("x"))
            ledger.post_all(commands)

            def look(posting):
                found = [
                    [entry.id for entry in posting.entries(member, rule=rule, start=start, end=end)]
                    for member in ("u", "v", "nobody")
                    for rule in (None, "", "r", "s", "t")
                    for start, end in spans
                ]
                undone = posting.undone(f"c{n}" for n in range(12))
                return found, undone, [posting.latest(member) for member in ("u", "v", "nobody")]

            answers.append(ledger.transact(["u"], look))
            assert ledger.audit() == ()
    assert answers[0] == answers[1]
    model = [c for c in commands if c.id.startswith("c")]
    expected = [
        [
            c.id
            for c in model
            if c.member == member
            and c.rule == rule
            and (start is None or start <= c.at)
            and (end is None or c.at < end)
        ]
        for member in ("u", "v", "nobody")
        for rule in ("r", "s", "t")
        for start, end in spans
    ]
    of_rules = [answers[0][0][k] for m in range(3) for k in range(m * 25 + 10, m * 25 + 25)]
    assert of_rules == expected
    assert answers[0][1] == {f"c{n}": 2 for n in range(9)}


#: What puts a ledger back to version 3, and that to version 2.
TO_3 = [
    "DROP INDEX ledger_lot_wallet",
    "DROP INDEX ledger_lot_due",
    "CREATE INDEX ledger_lot_open ON ledger_lot (wallet, expires_at) WHERE remaining > written",
    "CREATE INDEX ledger_lot_wallet ON ledger_lot (wallet, expires_at)",
    "CREATE INDEX ledger_lot_due ON ledger_lot (expires_at) WHERE remaining > written",
    "UPDATE ledger_meta SET value = '3' WHERE name = 'version'",
]
TO_2 = [
    *TO_3,
    "DROP INDEX ledger_entry_rule",
    "ALTER TABLE ledger_entry DROP COLUMN at",
    "CREATE INDEX ledger_entry_rule ON ledger_entry (wallet, rule) WHERE rule IS NOT NULL",
    "UPDATE ledger_meta SET value = '2' WHERE name = 'version'",
]


@pytest.mark.parametrize("down", [TO_2, TO_3], ids=["2", "3"])
def test_a_ledger_of_an_older_version_is_lifted_and_finds_the_same(new_url, request, down):
    url = new_url()
    with Ledger.open(url) as ledger:
        ledger.add_fund(Fund("x"))
        for n in range(5):
            at = START + timedelta(hours=n)
            ends = START + timedelta(days=6 + n) if n < 4 else None
            ledger.post(Earn(id=f"c{n}", member="u", points=5, fund="x", rule="r", at=at, expires_at=ends))
        head = ledger.head
    if url.startswith("postgresql"):
        request.getfixturevalue("postgres").sql("; ".join(down), url.rpartition("/")[2])
    else:
        with closing(sqlite3.connect(url)) as connection:
            connection.executescript(";".join(down))
    with Ledger.open(url) as ledger:

        def look(posting):
            start = START + timedelta(hours=3)
            return [entry.id for entry in posting.entries("u", rule="r", start=start)]

        assert ledger.transact(["u"], look) == ["c3", "c4"]
        assert ledger.head == head
        assert ledger.audit() == ()
        spend = Spend(id="s", member="u", points=12, sink="shop", at=START + timedelta(hours=5))
        assert ledger.post(spend).allocations == (("c0", 5), ("c1", 5), ("c2", 2))
        assert ledger.post(Expire(at=START + timedelta(days=10))).expired == (("c2", 3), ("c3", 5))
        assert ledger.audit() == ()
