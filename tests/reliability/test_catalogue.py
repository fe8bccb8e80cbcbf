"""Bad values are refused: the catalogue, for every argument of every command, declaration and read.

Each gets a typed error within a second, and the ledger is as it was. What the catalogue holds that is a good value
for an argument (a numpy integer for points) is named, and must be taken as the plain value it stands for.
"""

import datetime as dt
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import attrs
import numpy as np
import pytest

from userops.core.expiry import Expiry
from userops.errors import InvalidCommand, InvalidValue, NaiveTimeError, Rejected, UseropsError
from userops.points import (
    Budget,
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
LATER = T + timedelta(days=30)


class Text(str):
    __slots__ = ()


class Number(int):
    pass


NOT_NUMBERS = {
    "True": True, "False": False, "-0.0": -0.0, "1.0": 1.0, "0.1": 0.1, "nan": float("nan"), "inf": float("inf"),
    "-inf": -float("inf"), "1e300": 1e300, "np.float32": np.float32(1), "np.bool_": np.bool_(1), "none": None, "empty": "", "full width": "１２",
    "underscore": "1_000", "12abc": "12abc", "text 12": "12", "bytes": b"12", "list": [], "array": np.array([1, 2]), "0-d float": np.array(1.0),
    "object": object(), "complex": 1j, "datetime": T, "dict": {}, "set": {1}, "type": int,
}  # fmt: skip
NOT_WHOLE = {
    **NOT_NUMBERS, "Decimal": Decimal(1), "Decimal NaN": Decimal("NaN"), "Decimal sNaN": Decimal("sNaN"), "Decimal huge": Decimal("1e400000"),
    "Fraction": Fraction(1), "half": Fraction(1, 2), "2^63": 2**63, "-2^63": -(2**63), "10^5000": 10**5000, "-10^5000": -(10**5000),
    "np.uint64": np.uint64(2**63),
}  # fmt: skip
NOT_POINTS = {**NOT_WHOLE, "0": 0, "-1": -1, "np 0": np.int64(0), "-2^63+1": -(2**63) + 1}
NOT_EXACT = {
    **NOT_NUMBERS, "Decimal NaN": Decimal("NaN"), "Decimal sNaN": Decimal("sNaN"), "Decimal inf": Decimal("inf"),
    "Decimal huge": Decimal("1e400000"), "Decimal tiny": Decimal("1e-400000"), "10^5000": 10**5000,
}  # fmt: skip
NOT_RATES = {
    **NOT_EXACT, "0": 0, "-1": -1, "-1/2": Fraction(-1, 2), "gives nothing": Fraction(1, 10**6),
    "huge fraction": Fraction(10**5000), "tiny fraction": Fraction(1, 10**5000), "2^63": Fraction(2**63),
}  # fmt: skip
NOT_COSTS = {**NOT_EXACT, "-1": -1, "-0.1": Decimal("-0.1"), "Fraction": Fraction(1, 2)}
NOT_AMOUNTS = NOT_EXACT
NOT_TIMES = {
    "naive": datetime(2027, 1, 1), "date": dt.date(2027, 1, 1), "naive gap": datetime(2024, 3, 10, 2, 30), "naive fold": datetime(2024, 11, 3, 1, 30),
    "naive Shanghai": datetime(1988, 7, 1), "text": "2027-01-01T00:00:00Z", "0": 0, "1.0": 1.0, "True": True, "nan": float("nan"), "none": None, "empty": "",
    "bytes": b"2027", "np.datetime64": np.datetime64("2027-01-01"), "time": dt.time(1, tzinfo=UTC), "list": [], "array": np.array([1, 2]),
    "before year 1": datetime.min.replace(tzinfo=dt.timezone(timedelta(hours=14))),
    "after year 9999": datetime.max.replace(tzinfo=dt.timezone(timedelta(hours=-12))), "object": object(),
}  # fmt: skip
NOT_TEXTS = {
    "None": None, "0": 0, "True": True, "1.0": 1.0, "bytes": b"u1", "NUL": "a\0b", "1 MB": "x" * 1_000_000, "surrogate": "\ud800", "list": [],
    "tuple": ("u1",), "array": np.array(["u1", "u2"]), "object": object(), "datetime": T, "1 MB of Chinese": "车" * 350_000,
}  # fmt: skip
NOT_IDS = {**NOT_TEXTS, "empty": "", "1,025 bytes": "x" * 1_025}
NOT_FUNDS = {
    "text": "sales",
    "empty": (),
    "number": 1,
    "with none": (None,),
    "with empty": ("",),
    "array": np.array([1]),
    "object": object(),
}
NOT_POLICIES = {
    "None": None,
    "text": "any",
    "0": 0,
    "True": True,
    "array": np.array([1, 2]),
    "object": object(),
}

#: Command → (its good arguments, what its own arguments refuse beside those that all commands have).
SHARED = {
    "id": NOT_IDS, "at": NOT_TIMES, "currency": NOT_IDS, "reason": NOT_TEXTS, "event": NOT_TEXTS, "reference": NOT_TEXTS,
}  # fmt: skip
WHO = {"member": NOT_IDS, "points": NOT_POINTS}
COMMANDS = {
    Earn: (
        {"member": "u1", "points": 5, "fund": "sales", "available_at": T, "expires_at": LATER, "rule": "r"},
        {**WHO, "fund": NOT_IDS, "available_at": NOT_TIMES, "expires_at": {**NOT_TIMES, "past": T}, "rule": NOT_TEXTS},
    ),
    Spend: ({"member": "u1", "points": 1, "sink": "shop"}, {**WHO, "sink": NOT_IDS, "funds": NOT_FUNDS}),
    Hold: ({"member": "u1", "points": 1, "expires_at": LATER}, {**WHO, "expires_at": {**NOT_TIMES, "past": T}}),
    Capture: ({"hold": "h0", "points": 1, "sink": "shop"}, {"hold": NOT_IDS, "points": NOT_POINTS, "sink": NOT_IDS}),
    Release: ({"hold": "h0"}, {"hold": NOT_IDS}),
    Reverse: (
        {"entry": "s0", "points": 1},
        {"entry": NOT_IDS, "points": NOT_POINTS, "restore": NOT_POLICIES, "clawback": NOT_POLICIES},
    ),
    Transfer: ({"member": "u1", "to": "u2", "points": 1}, {**WHO, "to": {**NOT_IDS, "oneself": "u1"}}),
    Exchange: (
        {"member": "u1", "points": 1, "to_currency": "miles", "rate": Fraction(1), "fund": "sales", "expires_at": LATER},
        {
            **WHO, "to_currency": {**NOT_IDS, "itself": "points"}, "rate": NOT_RATES, "fund": NOT_IDS,
            "expires_at": {**NOT_TIMES, "past": T},
        },
    ),
    Extend: ({"member": "u1", "expires_at": LATER}, {"member": NOT_IDS, "expires_at": NOT_TIMES, "rule": NOT_TEXTS}),
    WriteOff: ({"member": "u1", "points": 1}, WHO),
    Note: ({"member": "u1", "kind": "seen", "amount": 1}, {"member": NOT_IDS, "kind": NOT_IDS, "amount": NOT_AMOUNTS}),
    Expire: ({"member": "u1"}, {"member": NOT_IDS}),
}  # fmt: skip


def cases():
    for command, (good, own) in COMMANDS.items():
        optional = {f.name for f in attrs.fields(command) if f.default is None}
        for argument, bad in {**SHARED, **own}.items():
            values = [value for value in bad.values() if not (value is None and argument in optional)]
            yield pytest.param(command, good, argument, values, id=f"{command.__name__}-{argument}")


@pytest.fixture(scope="module", autouse=True)
def tried():
    """Count the values that were refused, and say it at the end."""
    counted = []
    yield counted
    print(f"[evidence] {len(counted)} values, each refused")


@pytest.fixture
def ledger(tried):
    with Ledger.in_memory() as ledger:
        ledger.add_fund(Fund("sales", unit_cost=Decimal("0.10")))
        ledger.add_currency(Currency("miles"))
        ledger.post(Earn(id="e0", member="u1", points=100, fund="sales", at=T))
        ledger.post(Spend(id="s0", member="u1", points=10, sink="shop", at=T))
        ledger.post(Hold(id="h0", member="u1", points=10, at=T))
        ledger.post(Earn(id="e9", member="u9", points=9, fund="sales", at=T))
        ledger.tried = tried
        yield ledger


def refused(ledger, value, call, error):
    head, began = ledger.head, time.perf_counter()
    try:
        with pytest.raises(error) as caught:
            call()
    except BaseException as other:
        other.add_note(
            f"the value was {type(value).__name__} {str(value)[:40] if not isinstance(value, int) else ''}"
        )
        raise
    assert time.perf_counter() - began < 1
    assert isinstance(caught.value, UseropsError)
    assert len(str(caught.value)) < 2_000
    assert ledger.head == head
    ledger.tried.append(value)
    return caught.value


@pytest.mark.parametrize(("command", "good", "argument", "values"), list(cases()))
def test_commands_refuse_the_catalogue(ledger, command, good, argument, values):
    for value in values:
        error = refused(
            ledger,
            value,
            lambda value=value: ledger.post(command(**{"id": "new", "at": T, **good, argument: value})),
            InvalidCommand,
        )
        assert isinstance(error, ValueError)
        assert isinstance(error, Rejected)
        is_naive = isinstance(value, dt.date) and not (isinstance(value, datetime) and value.tzinfo)
        assert isinstance(error, NaiveTimeError) == (
            is_naive and argument in {"at", "available_at", "expires_at"}
        )


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_the_good_arguments_are_good(ledger, command):
    if command is WriteOff:
        ledger.post(Spend(id="s9", member="u1", points=80, sink="shop", at=T))
        ledger.post(Reverse(id="r9", entry="e0", clawback=Clawback.DEBT, at=T))
    assert not ledger.post(command(**{"id": "new", "at": T, **COMMANDS[command][0]})).replayed


def test_every_argument_of_every_command_is_in_the_catalogue():
    for command, (_, own) in COMMANDS.items():
        assert {f.name for f in attrs.fields(command)} == {*SHARED, *own} | (
            {"funds"} if command is Spend else set()
        )


GOOD_NUMBERS = [np.int64(5), np.uint64(5), np.int8(5), np.array(5), Number(5)]


@pytest.mark.parametrize("value", GOOD_NUMBERS, ids=lambda value: type(value).__name__)
def test_whole_numbers_are_taken_and_become_plain(ledger, value):
    command = Earn(id="e1", member="u1", points=value, fund="sales", at=T)
    assert type(command.points) is int
    assert ledger.post(command).allocations == ()
    assert ledger.balance("u1", T).available == 85


def test_points_are_exact_to_the_last(ledger):
    for place, points in enumerate((2**53 + 1, 2**63 - 1)):
        ledger.post(Earn(id=f"big{place}", member=f"b{place}", points=points, fund="sales", at=T))
        assert ledger.balance(f"b{place}", T).available == points
    assert ledger.audit() == ()


@pytest.mark.parametrize("member", ["a|b", "a\nb", "é", "e\u0301", "x" * 1_024, "用户", " ", "'; --", "a:b"])
def test_ids_are_kept_exactly(ledger, member):
    ledger.post(Earn(id=member, member=member, points=1, fund="sales", at=T))
    assert ledger.balance(member, T).available == 1
    assert ledger.entries(member)[0].id == member
    for other in {"é", "e\u0301"} - {member}:  # composed and decomposed are different ids
        assert ledger.balance(other, T).available == 0


def test_text_subclasses_become_plain(ledger):
    command = Earn(id=Text("e1"), member=Text("u1"), points=1, fund=Text("sales"), at=T)
    assert {type(command.id), type(command.member), type(command.fund)} == {str}


def test_times_of_every_kind_are_instants():
    zone = __import__("zoneinfo").ZoneInfo
    fold = datetime(2024, 11, 3, 1, 30, tzinfo=zone("America/New_York"))
    assert Note(id="n", member="u", kind="k", at=fold).at == datetime(2024, 11, 3, 5, 30, tzinfo=UTC)
    assert Note(id="n", member="u", kind="k", at=fold.replace(fold=1)).at == datetime(
        2024, 11, 3, 6, 30, tzinfo=UTC
    )
    gap = datetime(2024, 3, 10, 2, 30, tzinfo=zone("America/New_York"))
    assert Note(id="n", member="u", kind="k", at=gap).at == datetime(2024, 3, 10, 7, 30, tzinfo=UTC)
    summer = datetime(1988, 7, 1, tzinfo=zone("Asia/Shanghai"))
    assert Note(id="n", member="u", kind="k", at=summer).at == datetime(1988, 6, 30, 15, tzinfo=UTC)


def test_the_first_and_the_last_instants_can_be_used(ledger):
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    ledger.post(Earn(id="e1", member="old", points=5, fund="sales", at=first, expires_at=last))
    assert ledger.balance("old", first).available == 5
    assert ledger.balance("old", last).available == 0
    assert ledger.statement("old", first, last).closing == 5
    ledger.post(Spend(id="s1", member="old", points=5, sink="shop", at=first))
    with pytest.raises(InvalidCommand):
        ledger.post(Reverse(id="r1", entry="s1", restore=Restore.EXTENDED(30), at=last))


DECLARATIONS = {
    "Currency name": (lambda v: Currency(v), NOT_IDS),
    "Currency spendable": (lambda v: Currency("c", spendable=v), {"0": 0, "1": 1, "None": None, "text": "no", "np": np.bool_(1), "array": np.array([1, 2])}),
    "Fund name": (lambda v: Fund(v), {**NOT_IDS, "101 bytes": "x" * 101}),
    "Fund unit_cost": (lambda v: Fund("f", unit_cost=v), NOT_COSTS),
    "Fund budget": (lambda v: Fund("f", budget=v), {"number": 5, "text": "5", "array": np.array([1, 2])}),
    "Fund kind": (lambda v: Fund("f", kind=v), {"other": "asset", "None": None, "list": [], "array": np.array(["revenue", "x"])}),
    "Fund timezone": (lambda v: Fund("f", timezone=v), {**NOT_IDS, "unknown": "Mars/Base", "local": "local", "path": "../../etc/passwd", "offset": "+08:00:00:00"}),
    "Budget points": (lambda v: Budget(v), {**NOT_WHOLE, "-1": -1}),
    "Budget per": (lambda v: Budget(5, per=v), {"None": None, "hour": "hour", "list": [], "array": np.array(["day", "week"])}),
    "Restore days": (Restore.EXTENDED, {**NOT_POINTS, "a century and a day": 36_526}),
    "Restore": (Restore, {k: v for k, v in NOT_POINTS.items() if v is not None}),
    "Expiry months": (lambda v: Expiry(months=v), {k: v for k, v in {**NOT_WHOLE, "-1": -1, "1201": 1_201}.items()}),
    "salt": (lambda v: Ledger.in_memory(salt=v), {"text": "salt", "None": None, "0": 0, "array": np.array([1, 2])}),
}  # fmt: skip
READS = {
    "balance member": (lambda g, v: g.balance(v, T), NOT_IDS),
    "balance as_of": (lambda g, v: g.balance("u1", v), NOT_TIMES),
    "balance known_at": (lambda g, v: g.balance("u1", T, known_at=v), {**NOT_WHOLE, "-1": -1}),
    "balance currency": (lambda g, v: g.balance("u1", T, currency=v), {**NOT_IDS, "unknown": "typo"}),
    "lots member": (lambda g, v: g.lots(v, T), NOT_IDS),
    "lots as_of": (lambda g, v: g.lots("u1", v), NOT_TIMES),
    "lots known_at": (lambda g, v: g.lots("u1", T, known_at=v), {**NOT_WHOLE, "-1": -1}),
    "lots currency": (lambda g, v: g.lots("u1", T, currency=v), {**NOT_IDS, "unknown": "typo"}),
    "entries member": (lambda g, v: g.entries(v), NOT_IDS),
    "entries kind": (lambda g, v: g.entries(kind=v), NOT_IDS),
    "entries rule": (lambda g, v: g.entries(rule=v), NOT_IDS),
    "entries event": (lambda g, v: g.entries(event=v), NOT_IDS),
    "entries reference": (lambda g, v: g.entries(reference=v), NOT_IDS),
    "entries start": (lambda g, v: g.entries(start=v), NOT_TIMES),
    "entries end": (lambda g, v: g.entries(end=v), NOT_TIMES),
    "entries end before start": (lambda g, v: g.entries(start=T, end=v), {"before the start": T - timedelta(1)}),
    "entries as_of": (lambda g, v: g.entries(as_of=v), NOT_TIMES),
    "entries known_at": (lambda g, v: g.entries(known_at=v), {**NOT_WHOLE, "-1": -1, "not settled": 99}),
    "entries currency": (lambda g, v: g.entries(currency=v), {**NOT_IDS, "unknown": "typo"}),
    "statement member": (lambda g, v: g.statement(v, T, LATER), NOT_IDS),
    "statement start": (lambda g, v: g.statement("u1", v, LATER), {**NOT_TIMES, "after the end": LATER + timedelta(1)}),
    "statement end": (lambda g, v: g.statement("u1", T, v), {**NOT_TIMES, "before the start": T - timedelta(1)}),
    "statement known_at": (lambda g, v: g.statement("u1", T, LATER, known_at=v), {**NOT_WHOLE, "-1": -1}),
    "statement currency": (lambda g, v: g.statement("u1", T, LATER, currency=v), {**NOT_IDS, "unknown": "typo"}),
    "funding as_of": (lambda g, v: g.funding(v), NOT_TIMES),
    "funding known_at": (lambda g, v: g.funding(T, known_at=v), {**NOT_WHOLE, "-1": -1, "not settled": 99}),
    "trial_balance as_of": (lambda g, v: g.trial_balance(v), NOT_TIMES),
    "trial_balance known_at": (lambda g, v: g.trial_balance(T, known_at=v), {**NOT_WHOLE, "-1": -1, "not settled": 99}),
    "explain": (lambda g, v: g.explain(v), {**NOT_IDS, "unknown": "typo"}),
    "erase": (lambda g, v: g.erase(v), {**NOT_IDS, "unknown": "typo"}),
    "audit head": (lambda g, v: g.audit(head=v), NOT_TEXTS),
    "audit known_at": (lambda g, v: g.audit(head="x", known_at=v), {**NOT_WHOLE, "-1": -1}),
    "post": (lambda g, v: g.post(v), {"None": None, "text": "earn", "dict": {}, "Fund": Fund("f"), "object": object(), "type": Earn, "array": np.array([1, 2])}),
    "quote": (lambda g, v: g.quote(v), {"None": None, "text": "earn", "dict": {}, "object": object()}),
    "post_all commands": (lambda g, v: g.post_all(v), {"None": None, "number": 5, "one command": Note(id="n", member="u", kind="k", at=T)}),
    "post_all atomic": (lambda g, v: g.post_all([], atomic=v), {"None": None, "0": 0, "1": 1, "text": "yes", "np": np.bool_(1)}),
    "add_fund": (lambda g, v: g.add_fund(v), {"None": None, "text": "sales", "other content": Fund("sales"), "Currency": Currency("c")}),
    "add_currency": (lambda g, v: g.add_currency(v), {"None": None, "text": "c", "other content": Currency("miles", spendable=False)}),
    "transact members": (lambda g, v: g.transact(v, lambda posting: None), {"None": None, "number": 5, "with none": [None], "with empty": [""], "a text": "u1"}),
    "Posting balance": (lambda g, v: g.transact([], lambda p: p.balance("u1", v)), NOT_TIMES),
    "Posting lots": (lambda g, v: g.transact([], lambda p: p.lots("u1", v)), NOT_TIMES),
    "Posting count": (lambda g, v: g.transact([], lambda p: p.count("c", v)), NOT_WHOLE),
    "Posting counter": (lambda g, v: g.transact([], lambda p: p.counter(v)), {**NOT_TEXTS, "empty": ""}),
}  # fmt: skip
#: None leaves these out.
OPTIONAL = {
    *(f"{read} known_at" for read in ("balance", "lots", "entries", "statement", "funding", "trial_balance", "audit")),
    *(f"entries {name}" for name in ("member", "kind", "rule", "event", "reference", "start", "end", "as_of", "currency")),
    "audit head", "Fund budget", "Expiry months",
}  # fmt: skip


@pytest.mark.parametrize("name", DECLARATIONS)
def test_declarations_refuse_the_catalogue(ledger, name):
    call, values = DECLARATIONS[name]
    for value in values.values():
        if not (value is None and name in OPTIONAL):
            refused(ledger, value, lambda value=value: call(value), InvalidValue)


@pytest.mark.parametrize("name", READS)
def test_reads_refuse_the_catalogue(ledger, name):
    call, values = READS[name]
    for value in values.values():
        if not (value is None and name in OPTIONAL):
            refused(ledger, value, lambda value=value: call(ledger, value), UseropsError)


def test_a_guard_that_is_dropped_is_noticed(ledger, monkeypatch):
    """The negative control: `bool` taken for a number, as Python does."""
    monkeypatch.setattr("userops.points.transaction.whole", lambda value, _name: int(value))
    with pytest.raises(pytest.fail.Exception):
        refused(ledger, True, lambda: ledger.transact([], lambda p: p.count("c", True)), UseropsError)


def test_empty_and_repeated_inputs(ledger):
    assert ledger.post_all([]) == []
    assert ledger.post_all([], atomic=False) == []
    head = ledger.head
    ledger.add_currency(Currency("miles"))
    ledger.add_fund(Fund("sales", unit_cost=Decimal("0.1")))
    assert ledger.head == head
