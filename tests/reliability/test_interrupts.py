"""Ctrl-C and running out of memory, at every line of posting: a command is posted whole, or not at all."""

import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.property.test_idempotency import COMMANDS, ledger_of

import userops.points

HERE = str(Path(userops.points.__file__).parent)


@contextmanager
def interrupted(at_line, error):
    """Raise `error` as the `at_line`-th line of the ledger's code is about to run, once."""
    seen = 0

    def trace(frame, event, _arg):
        nonlocal seen
        if not frame.f_code.co_filename.startswith(HERE):
            return None
        if event == "line":
            seen += 1
            if seen == at_line:
                sys.settrace(None)
                raise error
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield lambda: seen < at_line
    finally:
        sys.settrace(before)


def state(ledger):
    """Everything the store holds, copied; the index of entries follows from them."""
    store = vars(ledger._store)
    copied = {name: value for name, value in store.items() if name not in ("_lock", "_index")}
    for name, value in copied.items():
        if isinstance(value, dict):
            copied[name] = {k: list(v) if isinstance(v, list) else v for k, v in value.items()}
        elif isinstance(value, list):
            copied[name] = list(value)
    return copied


def interrupt_everywhere(count, error):
    """Post the command after `count` others, interrupted at every line; return (attempts, posted all the same)."""
    ledger, _ = ledger_of(COMMANDS[:count])
    command, tries, posted = COMMANDS[count], 0, 0
    before = state(ledger)
    after_all, _ = ledger_of(COMMANDS[: count + 1])
    after = state(after_all)
    for line in range(1, 100_000):
        with interrupted(line, error) as is_done:
            try:
                ledger.post(command)
            except type(error):
                pass
            else:
                assert is_done()
                assert state(ledger) == after
                return tries, posted
        tries += 1
        now = state(ledger)
        if now != before:  # it was kept, only the answer was lost: the retry gives it
            assert now == after, f"half a {command.id} was kept at line {line}"
            assert ledger.post(command).replayed
            posted += 1
            ledger, _ = ledger_of(COMMANDS[:count])
    raise AssertionError("never finished")


@pytest.mark.parametrize("count", range(len(COMMANDS)), ids=[command.id for command in COMMANDS])
def test_an_interrupted_posting_leaves_the_ledger_as_it_was(count):
    error = KeyboardInterrupt() if count % 2 else MemoryError()
    tries, posted = interrupt_everywhere(count, error)
    assert tries > 50
    assert posted <= 20
    print(f"[evidence] {tries} interruptions of {COMMANDS[count].id}: 0 half posted")


def test_an_interrupted_batch_leaves_the_ledger_as_it_was():
    ledger, _ = ledger_of(())
    before = state(ledger)
    whole, _ = ledger_of(())
    whole.post_all(COMMANDS)
    after, tries = state(whole), 0
    for line in range(1, 100_000, 23):
        with interrupted(line, KeyboardInterrupt()) as is_done:
            try:
                ledger.post_all(COMMANDS)
            except KeyboardInterrupt:
                pass
        if is_done():
            break
        tries += 1
        if state(ledger) != before:
            assert state(ledger) == after
            ledger, _ = ledger_of(())
    assert tries > 50


def test_a_commit_that_cannot_undo_is_caught(monkeypatch):
    """The negative control: a commit inside the loop, with nothing taken off when it stops half-way."""
    monkeypatch.setattr("userops.points.stores.memory.MemoryStore._take_off", lambda *_: None)
    with pytest.raises(AssertionError, match="half a"):
        interrupt_everywhere(0, KeyboardInterrupt())
