"""A command is posted once: repeated, reordered, altered, twice in a batch, each of the twelve kinds."""

import random
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from userops.errors import IdConflict, Rejected
from userops.points import (
    Capture,
    Clawback,
    Currency,
    Earn,
    Exchange,
    Expire,
    Extend,
    Fund,
    Hold,
    Ledger,
    Note,
    Release,
    Restore,
    Reverse,
    Spend,
    Transfer,
    WriteOff,
)  # fmt: skip

T = datetime(2027, 1, 1, tzinfo=UTC)


def day(n):
    return T + timedelta(days=n)


#: A history in which each kind of command is posted, and is accepted.
COMMANDS = (
    Earn(id="e1", member="u1", points=100, fund="sales", at=day(0), expires_at=day(50), rule="r", reference="order"),
    Earn(id="e2", member="u1", points=50, fund="sales", at=day(1), available_at=day(2)),
    Note(id="n1", member="u1", kind="seen", amount=3, at=day(2)),
    Spend(id="s1", member="u1", points=30, sink="shop", funds=("sales",), at=day(3)),
    Hold(id="h1", member="u1", points=20, at=day(4), expires_at=day(90)),
    Capture(id="c1", hold="h1", points=5, sink="shop", at=day(5)),
    Hold(id="h2", member="u1", points=20, at=day(6)),
    Release(id="l1", hold="h2", at=day(7)),
    Reverse(id="r1", entry="s1", points=10, restore=Restore.EXTENDED(9), at=day(8)),
    Transfer(id="t1", member="u1", to="u2", points=15, at=day(9)),
    Exchange(id="x1", member="u1", points=9, to_currency="miles", rate=Fraction(2, 3), fund="sales", at=day(10)),
    Extend(id="d1", member="u1", expires_at=day(60), rule="r", at=day(11)),
    Spend(id="s2", member="u1", points=60, sink="shop", at=day(12)),
    Reverse(id="r2", entry="e1", clawback=Clawback.DEBT, at=day(13)),
    WriteOff(id="w1", member="u1", points=2, at=day(14)),
    Expire(id="z1", member=None, at=day(100)),
)  # fmt: skip
#: For each field, other content.
OTHER = {
    "at": lambda v: v + timedelta(microseconds=1), "currency": lambda v: "value", "reason": lambda v: v + "x",
    "event": lambda v: v + "x", "reference": lambda v: v + "x", "member": lambda v: "other", "to": lambda v: "other",
    "points": lambda v: (v or 3) + 1, "fund": lambda v: "other", "available_at": lambda v: day(2) + timedelta(1),
    "expires_at": lambda v: day(200), "rule": lambda v: (v or "") + "x", "sink": lambda v: "other", "funds": lambda v: ("other",),
    "hold": lambda v: "other", "entry": lambda v: "other", "restore": lambda v: Restore.EXTENDED(77),
    "clawback": lambda v: Clawback.ANY, "to_currency": lambda v: "other", "rate": lambda v: v + 1, "kind": lambda v: "other",
    "amount": lambda v: 17,
}  # fmt: skip


def ledger_of(commands=COMMANDS):
    ledger = Ledger.in_memory()
    ledger.add_fund(Fund("sales"))
    ledger.add_currency(Currency("miles"))
    receipts = [ledger.post(command) for command in commands]
    assert not any(receipt.replayed for receipt in receipts)
    return ledger, receipts


def test_every_kind_is_there():
    kinds = {type(command) for command in COMMANDS}
    assert kinds == {
        Earn,
        Spend,
        Hold,
        Capture,
        Release,
        Reverse,
        Transfer,
        Exchange,
        Extend,
        WriteOff,
        Note,
        Expire,
    }


@given(st.lists(st.integers(1, 5), min_size=len(COMMANDS), max_size=len(COMMANDS)), st.integers(0, 2**32))
def test_repeated_and_reordered_commands_change_nothing(times, seed):
    ledger, receipts = ledger_of()
    head = ledger.head
    again = [
        pair for pair, n in zip(zip(COMMANDS, receipts, strict=True), times, strict=True) for _ in range(n)
    ]
    random.Random(seed).shuffle(again)
    for command, receipt in again:
        assert ledger.post(command) == attrs.evolve(receipt, replayed=True)
        assert ledger.quote(command) == attrs.evolve(receipt, replayed=True)
    assert ledger.head == head


@given(st.lists(st.integers(1, 5), min_size=len(COMMANDS), max_size=len(COMMANDS)))
def test_repeating_at_once_is_as_good_as_once(times):
    once, _ = ledger_of()
    ledger = Ledger.in_memory()
    ledger.add_fund(Fund("sales"))
    ledger.add_currency(Currency("miles"))
    for command, n in zip(COMMANDS, times, strict=True):
        outcomes = [ledger.post(command) for _ in range(n)]
        assert [one.replayed for one in outcomes] == [False] + [True] * (n - 1)
    assert ledger.head == once.head


@pytest.mark.parametrize("atomic", [True, False])
def test_the_same_id_twice_in_one_batch_is_one_posting(atomic):
    once, receipts = ledger_of()
    ledger, _ = ledger_of(())
    outcomes = ledger.post_all([command for command in COMMANDS for _ in (1, 2)], atomic=atomic)
    assert outcomes[::2] == receipts
    assert outcomes[1::2] == [attrs.evolve(receipt, replayed=True) for receipt in receipts]
    assert ledger.head == once.head


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.id)
def test_altered_content_is_refused_naming_the_field(command):
    ledger, _ = ledger_of()
    head = ledger.head
    for field in attrs.fields(type(command)):
        if field.name == "id":
            continue
        was = getattr(command, field.name)
        given = OTHER[field.name](was)
        with pytest.raises(IdConflict) as caught:
            ledger.post(attrs.evolve(command, **{field.name: given}))
        assert (caught.value.id, caught.value.field) == (command.id, field.name)
        assert (caught.value.was, caught.value.given) == (was, given)
    assert ledger.head == head


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.id)
def test_an_id_is_of_one_kind(command):
    ledger, _ = ledger_of()
    other = Note(id=command.id, member="u1", kind="k", at=T) if command.id != "n1" else Expire(id="n1", at=T)
    with pytest.raises(IdConflict) as caught:
        ledger.post(other)
    assert caught.value.field == "kind"


def test_a_rejected_id_is_not_remembered():
    ledger, _ = ledger_of()
    with pytest.raises(Rejected):
        ledger.post(Spend(id="new", member="u1", points=10_000, sink="shop", at=day(20)))
    assert not ledger.post(Note(id="new", member="u1", kind="seen", at=day(20))).replayed


def test_a_conflict_comes_before_every_other_rejection():
    ledger, _ = ledger_of()
    with pytest.raises(IdConflict):
        ledger.post(Earn(id="e1", member="u1", points=100, fund="typo", currency="typo", at=day(0)))
    with pytest.raises(IdConflict):
        ledger.post(Spend(id="s1", member="nobody", points=10**9, sink="shop", at=day(0)))


def test_the_same_content_written_otherwise_is_the_same():
    ledger, _ = ledger_of()
    shanghai = day(0).astimezone(__import__("zoneinfo").ZoneInfo("Asia/Shanghai"))
    assert ledger.post(attrs.evolve(COMMANDS[0], at=shanghai)).replayed
    assert ledger.post(attrs.evolve(COMMANDS[3], funds=["sales", "sales"])).replayed
    assert ledger.post(attrs.evolve(COMMANDS[10], rate=Fraction(4, 6))).replayed
