"""The past of wallets, read in one pass and lot by group, against reading it the plain way (`plain_past.py`)."""

import random
from datetime import timedelta

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property import plain_past
from tests.property.ledger_machine import ARGUMENTS, CURRENCIES, MEMBERS, MIX, START, STEP, LedgerMachine

from userops.core.calendar import micros
from userops.errors import Rejected
from userops.points import Clawback, Restore
from userops.points.endings import Endings
from userops.points.history import History
from userops.points.values import NEVER

BACK = (0, 0, 0, 1, 2, 5, 12, 60)
ASKED = {
    **ARGUMENTS,
    "extend": {**ARGUMENTS["extend"], "lasts": (3, 8, 20, 40, 90), "back": BACK, "rule_": (None, None, "", "club")},
    "earn": {**ARGUMENTS["earn"], "currency": ("points",) * 9 + ("miles",), "lasts": (None, 3, 8, 20, 20, 40), "back": BACK},
    "advance": {"steps": (1, 1, 2, 3, 9)},
    "outlive": {"member": ARGUMENTS["earn"]["member"], "points": (2, 3, 9), "back": BACK, "rule_": ("", "club")},
}  # fmt: skip
STEPS = [
    kind for kind in MIX if kind not in ("look_back", "remember", "reopen", "again", "altered", "together")
]
STEPS += ["extend"] * 8 + ["earn"] * 6 + ["hold", "expire"] * 2 + ["advance", "outlive"] * 3


class Unwatched(LedgerMachine):
    """The same commands without the model beside them, which other tests have."""

    def post(self, command):
        try:
            self.ledger.post(command)
        except Rejected:
            return
        self.posted.append(command)
        if command.id[0] == "h":
            self.holds.append(command.id)
        if command.id[0] in "esctx":
            self.undoable.append(command.id)

    def compare_expiries(self, _settled):
        """Nothing was told to the model."""

    def compare_expired(self, _at):
        """Nothing was told to the model."""

    def outlive(self, member, points, back, rule_):
        """Use, hold and give back points of a lot that ends in between."""
        self.earn(member, 3 * points, "sales", back, 3, 0, rule_, "points")
        self.spend(member, points, back, "points", None)
        self.hold(member, points, back, None, "points")
        self.advance(5)
        self.reverse(0, 1, back, Clawback.ANY, Restore.ORIGINAL)
        self.capture(0, 1, back)


def history_of(steps):
    """Post random commands, most of them of one member; (kind, seed of its arguments) each."""
    machine = Unwatched()
    for kind, seed in steps:
        rng = random.Random(seed)
        getattr(machine, kind)(**{name: rng.choice(of) for name, of in ASKED[kind].items()})
    return machine


def steps(fewest=25, most=80):
    return st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 10**6)), min_size=fewest, max_size=most)


def instants(machine, rng, count):
    """Instants at which something happens or ends, or just before, or anywhere."""
    known = [START, machine.now, machine.now + 70 * STEP]
    for command in machine.posted:
        known += [command.at, getattr(command, "expires_at", None) or command.at]
    return [
        rng.choice(known) + rng.choice((0, 0, 0, -1, 7)) * timedelta(microseconds=1) for _ in range(count)
    ]


def readings(machine, rng, count):
    """Return (instant, place in the recording) to read at; None for all that is known."""
    last = len(machine.ledger.entries())
    return [(at, rng.choice((None, None, rng.randint(0, last)))) for at in instants(machine, rng, count)]


@given(steps(), st.integers(0, 10**6))
def test_wallets_are_what_they_are_read_the_plain_way(done, seed):
    machine, rng = history_of(done), random.Random(seed)
    ledger = machine.ledger
    for member in MEMBERS:
        entries = ledger.entries(member)
        for at, known_at in readings(machine, rng, 4):
            past = plain_past.Past(member, entries, micros(at), known_at)
            found = History.of(member, entries, as_of=micros(at), known_at=known_at)
            assert found.lots == past.lots
            assert (found.holds, found.debts) == (past.holds, past.debts)
            for currency in CURRENCIES:
                balance = ledger.balance(member, at, known_at=known_at, currency=currency)
                assert attrs.astuple(balance) == past.balance(currency, micros(at))
                shown = {
                    lot.id: lot.points
                    for lot in ledger.lots(member, at, known_at=known_at, currency=currency)
                }
                there = [lot for lot in past.lots.values() if lot.currency == currency]
                assert shown == {lot.id: n for lot in there if (n := past.present(lot, micros(at)))}
        whole, past = History.of(member, entries), plain_past.Past(member, entries)
        for at in map(micros, instants(machine, rng, 3)):
            for currency in CURRENCIES:
                assert {lot.id: n for lot, n in whole.free(currency, at)} == past.free(currency, at)
            assert [lot.id for lot in whole.there(at)] == [
                id_ for id_ in past.lots if past.moves[id_][0][0] <= at
            ]
    assert ledger.audit() == ()


@given(steps(), st.integers(0, 10**6))
def test_statements_are_what_reading_every_instant_anew_gives(done, seed):
    machine, rng = history_of(done), random.Random(seed)
    for member in MEMBERS[:2]:
        entries = machine.ledger.entries(member)
        whole = (START - STEP, machine.now + 100 * STEP, None)
        some = [(*sorted(instants(machine, rng, 2)), known_at) for _, known_at in readings(machine, rng, 2)]
        for start, end, known_at in (whole, *some):
            for currency in ("points", "miles"):
                expected = plain_past.statement(
                    member, currency, entries, micros(start), micros(end), known_at
                )
                found = machine.ledger.statement(member, start, end, known_at=known_at, currency=currency)
                assert found == expected


@given(steps(), st.integers(0, 10**6))
def test_funding_and_the_trial_balance_are_the_sums_of_wallets_read_the_plain_way(done, seed):
    machine, rng = history_of(done), random.Random(seed)
    ledger = machine.ledger
    for at, known_at in readings(machine, rng, 3):
        asked = (MEMBERS, ledger.entries(), micros(at), known_at)
        assert ledger.funding(at, known_at=known_at) == plain_past.funding(*asked)
        assert ledger.trial_balance(at, known_at=known_at) == plain_past.trial_balance(*asked)
    rising = sorted({at for at, _ in readings(machine, rng, 5)})
    for known_at in (None, rng.randint(0, ledger.settled)):
        assert ledger.fundings(rising, known_at=known_at) == [
            ledger.funding(at, known_at=known_at) for at in rising
        ]


def compare_groups(rngs, starts, ends, later):
    """Move lots in groups and one by one; both must end together."""
    endings, lots = Endings(), {}
    for number, rng in enumerate(rngs):
        if rng.random() < 0.6:
            lot = [rng.choice("rrrq"), rng.randint(0, starts), rng.choice((*ends, NEVER))]
            lots[f"l{number}"] = lot
            endings.add("u1", "points", lot[0], f"l{number}", start=lot[1], ends=lot[2])
        else:
            rule, at = rng.choice(("r", "r", "q", None)), rng.randint(0, 2 * starts)
            until = rng.randint(ends[0], later)
            endings.extend("u1", "points", rule, at=at, until=until)
            for lot in lots.values():
                if rule in (None, lot[0]) and lot[1] <= at < lot[2] < until:
                    lot[2] = until
    assert dict(endings) == {lot: ends for lot, (_, _, ends) in lots.items() if ends < NEVER}
    assert len(list(endings)) == len(dict(endings))


@settings(max_examples=300)  # Each is quick, and groups that come apart and together again are rare.
@given(st.lists(st.integers(0, 2**20), min_size=12, max_size=60))
def test_lots_moved_in_groups_end_when_lots_moved_one_by_one_do(acts):
    # Few instants, so that lots end together, and extensions of the past find some of them there, others not.
    compare_groups((random.Random(act) for act in acts), 4, (5, 6, 7, 9, 12), 14)


@pytest.mark.parametrize("seed", range(6))
def test_many_lots_moved_in_groups_end_when_lots_moved_one_by_one_do(seed):
    few = seed % 2
    rng = random.Random(seed)
    compare_groups([rng] * 1_000, 300, range(310, 320 if few else 700), 330 if few else 800)


def test_extensions_touch_only_lots_of_their_own_wallet_and_currency():
    endings = Endings()
    for place, (member, currency) in enumerate((("u1", "points"), ("u1", "miles"), ("u2", "points"))):
        endings.add(member, currency, "", f"l{place}", start=0, ends=5)
    endings.extend("u1", "points", None, at=1, until=9)
    endings.extend("u3", "points", None, at=1, until=9)
    assert dict(endings) == {"l0": 9, "l1": 5, "l2": 5}


@pytest.mark.nightly
@given(steps(100, 250), st.integers(0, 10**6))
def test_long_histories_are_what_they_are_read_the_plain_way(done, seed):
    test_wallets_are_what_they_are_read_the_plain_way.hypothesis.inner_test(done, seed)
    test_statements_are_what_reading_every_instant_anew_gives.hypothesis.inner_test(done, seed)
    test_funding_and_the_trial_balance_are_the_sums_of_wallets_read_the_plain_way.hypothesis.inner_test(
        done, seed
    )
