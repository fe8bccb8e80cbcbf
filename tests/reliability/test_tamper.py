"""A ledger in memory whose rows were changed behind its back: every flip, deletion, swap and insertion is found."""

from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction

import attrs
import pytest
from tests.property.test_idempotency import COMMANDS, T, ledger_of

from userops.points import Earn


@pytest.fixture
def kept():
    """A ledger, and the head that somebody kept outside it."""
    ledger, _ = ledger_of()
    assert ledger.audit(head=ledger.head, known_at=ledger.settled) == ()
    return ledger, ledger.head, ledger.settled


def is_found(ledger, head, known_at):
    try:
        return bool(ledger.audit(head=head, known_at=known_at))
    except Exception:  # noqa: BLE001
        return True  # rows that make no sense at all


def with_field(value, name, other):
    """Copy a frozen value with one field changed, whatever its constructor thinks of it."""
    if hasattr(value, "_replace"):
        return value._replace(**{name: other})
    copy = object.__new__(type(value))
    for field in attrs.fields(type(value)):
        object.__setattr__(copy, field.name, other if field.name == name else getattr(value, field.name))
    return copy


def is_record(value):
    return attrs.has(type(value)) or hasattr(value, "_fields")


def altered(value):
    """Yield the value changed, at every place within it; (where, value)."""
    names = (
        getattr(value, "_fields", None) or [f.name for f in attrs.fields(type(value))]
        if is_record(value)
        else ()
    )
    for name in names:
        for where, other in altered(getattr(value, name)):
            yield f"{name}.{where}", with_field(value, name, other)
    if names:
        return
    if isinstance(value, tuple):
        for place, part in enumerate(value):
            for where, other in altered(part):
                yield f"{place}.{where}", (*value[:place], other, *value[place + 1 :])
        if value:
            yield "repeated", (*value, value[-1])
            yield "shortened", value[:-1]
    elif isinstance(value, bool):
        yield "", not value
    elif isinstance(value, Enum):
        yield "", next(one for one in type(value) if one is not value)
    elif isinstance(value, int | Decimal | Fraction):
        yield "", value + 1
    elif isinstance(value, str):
        yield "", value + "x"
    elif isinstance(value, datetime):
        yield "", value + timedelta(microseconds=1)
    elif value is not None:
        raise TypeError(type(value))


def test_every_flipped_field_is_found(kept):
    ledger, head, known_at = kept
    rows = ledger._store._entries
    tried, missed = 0, []
    for place, entry in enumerate(list(rows)):
        for where, other in altered(entry):
            rows[place] = other
            tried += 1
            if not is_found(ledger, head, known_at):
                missed.append((entry.id, where))
            rows[place] = entry
    assert missed == []
    assert tried > 300
    print(f"[evidence] {tried} flips of {len(rows)} rows, {tried - len(missed)} found")


def test_every_deletion_swap_insertion_and_truncation_is_found(kept):
    ledger, head, known_at = kept
    rows = ledger._store._entries
    sound, tried = list(rows), 0
    forged = sound[0]._replace(id="forged", sequence=1)
    changes = [
        *([*sound[:k], *sound[k + 1 :]] for k in range(len(sound))),
        *([*sound[:k], sound[k + 1], sound[k], *sound[k + 2 :]] for k in range(len(sound) - 1)),
        *([*sound[:k], forged, *sound[k:]] for k in range(len(sound) + 1)),
        *([*sound[:k], sound[0], *sound[k:]] for k in range(len(sound) + 1)),
        *(sound[:k] for k in range(len(sound))),
    ]
    for change in changes:
        rows[:] = change
        assert is_found(ledger, head, known_at), change
        ledger._store._index.clear()
        assert is_found(ledger, head, known_at), change
        tried += 1
        rows[:] = sound
        ledger._store._index.clear()
    assert ledger.audit(head=head, known_at=known_at) == ()
    assert tried > 60


def test_running_state_that_was_changed_is_found_without_a_head(kept):
    ledger, _, _ = kept
    store, found = ledger._store, 0
    for key, lot in list(store._lots.items()):
        for where, other in altered(lot):
            store._lots[key] = other
            assert ledger.audit(), (key, where)
            found += 1
        store._lots[key] = lot
    for key, wallet in list(store._wallets.items()):
        for name, other in (("length", wallet.length + 1), ("lots", ()), ("debts", wallet.debts[1:])):
            if other != getattr(wallet, name) and any(wallet.lots):
                store._wallets[key] = with_field(wallet, name, other)
                assert ledger.audit(), (key, name)
                found += 1
        store._wallets[key] = wallet
    assert found > 60
    assert ledger.audit() == ()


def test_truncation_needs_the_kept_head(kept):
    """The negative control: what was cut off cleanly is a sound, shorter ledger."""
    _, head, known_at = kept
    shorter, _ = ledger_of(COMMANDS[:5])
    assert shorter.audit() == ()
    assert [one.kind for one in shorter.audit(head=head, known_at=known_at)] == ["truncated"]


def test_a_head_is_of_one_history():
    one, _ = ledger_of()
    same, _ = ledger_of()
    other, _ = ledger_of((attrs.evolve(COMMANDS[0], reason="another"), *COMMANDS[1:]))
    assert one.head == same.head != other.head


def test_declarations_are_in_the_head(kept):
    ledger, head, known_at = kept
    after, words = ledger._store.declarations[1]
    ledger._store.declarations[1] = (after, (*words[:-1], "x"))
    assert is_found(ledger, head, known_at)


def test_an_unchained_field_would_be_missed(kept, monkeypatch):
    """The negative control: a chain that leaves a field out lets its flips pass."""
    ledger, _, known_at = kept
    monkeypatch.setattr("userops.points.chain.entry_bytes", lambda entry, name: entry.id.encode())
    head, rows = ledger.head, ledger._store._entries
    rows[0] = rows[0]._replace(command=attrs.evolve(rows[0].command, reason="another"))
    assert not is_found(ledger, head, known_at)


def test_erasure_is_no_tampering(kept):
    ledger, head, known_at = kept
    ledger.erase("u1")
    assert ledger.audit(head=head, known_at=known_at) == ()
    assert ledger.post(Earn(id="again", member="u1", points=1, fund="sales", at=T)).allocations == ()
    assert ledger.audit(head=head, known_at=known_at) == ()
