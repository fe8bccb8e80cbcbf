"""How entries are written down: what is written quickly is what the form of its kind writes, and reads back."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from userops.core.calendar import micros
from userops.points import Earn, Fund, Ledger, Spend, Transfer, chain, recording
from userops.points.issuing import issued_lot
from userops.points.stores.writing import entry_seal
from userops.points.values import Entry

T0 = datetime(2027, 1, 1, tzinfo=UTC)
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
names = words.filter(bool)
shared = {
    "id": names,
    "member": names,
    "points": st.integers(1, 2**63 - 1),
    "at": st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    "currency": names,
    "reason": words,
    "event": words,
    "reference": words,
}  # fmt: skip
later = st.none() | st.datetimes(datetime(2101, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
earns = st.builds(Earn, **shared, fund=names, rule=words, available_at=later)
ending = st.builds(Earn, **shared, fund=names, rule=words, expires_at=later)
spends = st.builds(Spend, **shared, sink=names, funds=st.none() | st.lists(names, min_size=1, max_size=3))
costs = st.decimals("0", "9", places=3)
taken = st.lists(st.tuples(names, st.integers(1, 10**12)), min_size=1, max_size=3).map(tuple)


def earned(command, cost):
    """Return the entry of an earn that repaid nothing, as posting makes it."""
    lot = issued_lot(command, Fund(command.fund, unit_cost=cost), command.points, command.currency, (7, 0))
    members = (command.member,)
    return Entry(command.id, 3, "earn", members, command.at, command.currency, command, None, created=(lot,))


@given(command=earns | ending, cost=costs)
def test_an_earn_written_quickly_is_what_is_written_of_any_entry(command, cost):
    entry, at = earned(command, cost), micros(command.at)
    assert recording._earn_text(entry, at) == recording.whole_text(entry)
    assert recording.written(entry) == (recording.whole_text(entry), at)


#: What a lot never says unless it is an attacker's: each must be written as it is.
ODD = {
    "currency": "x", "ends": 5, "available_at": 6, "place": (1, 2), "id": "x", "fund": "x", "unit_cost": Decimal(7),
    "earned_at": 8, "rule": "x", "origin": "x", "original": 3, "is_issue": False, "left": 2, "written": 1,
}  # fmt: skip


@pytest.mark.parametrize("field", ODD)
@given(command=earns)
def test_a_lot_that_is_not_what_its_command_says_is_written_as_it_is(field, command):
    entry = earned(command, Decimal(1))
    odd = entry._replace(created=(entry.created[0]._replace(**{field: ODD[field]}),))
    assert recording.written(odd)[0] == recording.whole_text(odd)


@given(command=earns)
def test_an_earn_that_did_more_is_written_as_it_is(command):
    entry = earned(command, Decimal(1))
    for more in ({"debts": (("e", "f", -1),)}, {"recovered": 2}, {"expired": (("e", 1),)}, {"currency": "x"},
                 {"created": entry.created * 2}, {"members": (command.member, "x!"), "created": (
                     entry.created[0]._replace(member="x!"),)}):  # fmt: skip
        odd = entry._replace(**more)
        assert recording.written(odd)[0] == recording.whole_text(odd)


@given(command=spends, allocations=taken, paid=st.booleans())
def test_a_spend_written_quickly_is_what_is_written_of_any_entry(command, allocations, paid):
    rest = (allocations, (("lot", 1),)) if paid else (allocations,)
    entry = Entry(
        command.id, 3, "spend", (command.member,), command.at, command.currency, command, None, *rest
    )
    assert recording.written(entry) == (recording.whole_text(entry), micros(command.at))
    assert (recording._spend_text(entry, 0) is None) == paid


def entries():
    with Ledger.in_memory() as ledger:
        ledger.add_fund(Fund("sales"))
        ends = T0 + timedelta(days=9)
        ledger.post(Earn(id='a "b"', member="ann", points=9, fund="sales", at=T0, expires_at=ends, rule="é"))
        ledger.post(Spend(id="s", member="ann", points=2, sink="wallet:ann", at=T0, reason="a\tb"))
        ledger.post(Transfer(id="t", member="ann", to="bob", points=3, at=T0, event="v"))
        return ledger.entries()


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.kind)
def test_an_entry_reads_back_from_its_text(entry):
    text, at = recording.written(entry)
    assert at == micros(entry.at)
    assert text == recording.write(entry)
    assert json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":")) == text
    assert recording.read(entry.id, entry.sequence, entry.members, text) == entry


@pytest.mark.parametrize("sequence", [-(2**63), -1, 0, 1, 9, 10, 99, 100, 12_345, 2**31, 10**18, 2**63 - 1])
def test_a_seal_covers_the_sequence_and_the_counts_in_canonical_bytes(sequence):
    tip = bytes(range(32))
    assert entry_seal(tip, sequence, None) == chain.extend(tip, chain.canonical((sequence, "")))
    assert entry_seal(tip, sequence, "[]") == chain.extend(tip, chain.canonical((sequence, "[]")))
