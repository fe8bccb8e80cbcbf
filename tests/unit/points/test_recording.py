"""How entries are written down: what is written quickly is what the form of its kind writes, and reads back."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from userops.core.calendar import micros
from userops.points import Earn, Fund, Ledger, Spend, Transfer, chain, recording
from userops.points.stores.writing import entry_seal

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
earns = st.builds(Earn, **shared, fund=names, rule=words, available_at=later, expires_at=st.none())
ending = st.builds(Earn, **shared, fund=names, rule=words, expires_at=later)
spends = st.builds(Spend, **shared, sink=names, funds=st.none() | st.lists(names, min_size=1, max_size=3))


@given(command=earns | ending | spends)
def test_what_is_written_quickly_is_what_the_form_writes(command):
    at, unit = str(micros(command.at)), json.dumps(command.currency, ensure_ascii=False)
    quick = recording._QUICK[type(command)](command, at, unit, "0")
    assert quick == recording._BY_TYPE[type(command)].write(command, lambda _: "0")
    kind = type(command).__name__.lower()
    named = quick.removesuffix("0]") + json.dumps(command.member, ensure_ascii=False) + "]"
    assert recording.read_command(command.id, f'["{kind}",{named}]') == command


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


@pytest.mark.parametrize("sequence", [1, 9, 10, 99, 100, 12_345, 2**31, 10**18, 2**63 - 1])
def test_a_seal_covers_the_sequence_and_the_counts_in_canonical_bytes(sequence):
    tip = bytes(range(32))
    assert entry_seal(tip, sequence, None) == chain.extend(tip, chain.canonical((sequence, "")))
    assert entry_seal(tip, sequence, "[]") == chain.extend(tip, chain.canonical((sequence, "[]")))
