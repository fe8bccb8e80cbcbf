"""The state machine that drives a ledger and the dictionary model side by side; any store can be put under it.

A store's test makes a subclass that overrides `make_ledger` and `reopened`; `drive` runs the same steps from a
plain random generator, which is what the mutants are tried with.
"""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import inf

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.property.ledger_compared import COSTS, CURRENCIES, MEMBERS, Compared
from tests.property.ledger_model import Model

from userops.errors import Rejected
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
)

#: A month is about to turn, which it does in Shanghai first.
START = datetime(2027, 1, 31, 6, tzinfo=UTC)
STEP = timedelta(hours=6)
WHO = ("ann", "ann", "ann", "bob", "cho")
LIMITS = {"sales": inf, "promo": 60}

#: What each argument of a step may be; steps are counted back from now, most commands being in time.
BACK = (0, 0, 0, 0, 0, 0, 1, 3, 12, 100)
FEW = (1, 2, 3, 4, 5, 7, 30)
SOME = (None, None, 1, 2, 4, 50)
LASTING = (None, 2, 5, 20, 60, 400)
WHICH = tuple(range(8))
CURRENCY = (*["points"] * 12, "miles", "miles", "value", "typo")
RESTORES = (Restore.ORIGINAL, Restore.EXTENDED(1), Restore.EXTENDED(20))
ARGUMENTS = {
    "earn": {
        "member": WHO, "points": (1, 4, 10, 20, 25, 40), "fund": (*["sales"] * 5, *["promo"] * 4, "typo"), "back": BACK,
        "lasts": LASTING, "waits": (0, 0, 0, 0, 0, 2, 30), "rule_": ("", "club"), "currency": CURRENCY,
    },
    "spend": {
        "member": WHO, "points": FEW, "back": BACK, "currency": CURRENCY,
        "funds": (*[None] * 8, ("promo",), ("sales", "promo"), ("typo",)),
    },
    "hold": {"member": WHO, "points": FEW, "back": BACK, "lasts": LASTING, "currency": CURRENCY},
    "capture": {"which": WHICH, "points": SOME, "back": BACK},
    "release": {"which": WHICH, "back": BACK},
    "reverse": {
        "which": (*WHICH, 15, 30), "points": SOME, "back": BACK, "clawback": (*Clawback, Clawback.DEBT, Clawback.DEBT),
        "restore": RESTORES,
    },
    "transfer": {"member": WHO, "to": (1, 2), "points": FEW, "back": BACK, "currency": CURRENCY},
    "exchange": {
        "member": WHO, "points": FEW, "back": BACK, "lasts": LASTING, "fund": ("sales", "promo", "typo"),
        "pair": (("points", "miles"), ("points", "miles"), ("miles", "points"), ("points", "value"), ("points", "typo")),
        "rate": (Fraction(1), Fraction(7, 3), Fraction(1, 2)),
    },
    "extend": {"member": WHO, "lasts": (1, 10, 100), "back": BACK, "rule_": (None, None, "club")},
    "write_off": {"member": WHO, "points": SOME, "back": BACK},
    "note": {"member": WHO, "back": BACK},
    "expire": {"member": (*[None] * 5, *WHO), "back": (*BACK, -2, -20, -20, -20, -20)},
    "owe": {"member": WHO, "points": (3, 8), "fund": ("sales", "promo"), "back": BACK},
    "lapse": {"member": WHO, "points": FEW, "back": (1, 2), "asked": FEW, "captured": SOME},
    "come_back": {"member": WHO, "points": (3, 8), "clawback": tuple(Clawback), "restore": RESTORES, "asked": SOME},
    "advance": {"steps": (1, 1, 2, 3, 8, 25, 130)},
    "again": {"which": WHICH},
    "altered": {"which": WHICH, "reason": ("another",)},
    "together": {"member": WHO, "points": FEW, "asked": FEW},
    "look_back": {"member": WHO, "back": (1, 7, 40, 200)},
    "remember": {"member": WHO, "back": BACK},
    "reopen": {},
}  # fmt: skip


def step(method):
    """Make a rule of a method, its arguments drawn from the lists above."""
    return rule(**{name: st.sampled_from(of) for name, of in ARGUMENTS[method.__name__].items()})(method)


class LedgerMachine(Compared, RuleBasedStateMachine):
    """Post the same commands to both, and compare everything after each."""

    #: Outcomes seen, over all runs: a machine that never meets a rejection proves nothing about it.
    seen = Counter()

    def make_ledger(self):
        return Ledger.in_memory()

    def reopened(self, ledger):
        return ledger

    def __init__(self):
        super().__init__()
        self.ledger, self.model = self.make_ledger(), Model(CURRENCIES, LIMITS)
        self.ledger.add_currency(Currency("miles"))
        self.ledger.add_currency(Currency("value", spendable=False))
        self.ledger.add_fund(Fund("sales", unit_cost=COSTS["sales"]))
        budget = Budget(LIMITS["promo"], per="month")
        self.ledger.add_fund(Fund("promo", unit_cost=COSTS["promo"], budget=budget, timezone="Asia/Shanghai"))
        self.now, self.posted, self.holds, self.kept, self.touched = START, [], [], [], set()
        self.undoable = []

    def teardown(self):
        if self.posted:
            self.prove()
        self.ledger.close()

    # -- Steps

    def at(self, back):
        return self.now - back * STEP

    def until(self, back, lasts, waits=0):
        return None if lasts is None else self.at(back) + (waits + lasts) * STEP

    def name(self, prefix):
        return f"{prefix}{len(self.posted)}"

    def post(self, command):
        expected = self.model.post(command)
        quoted, given = self.outcome(self.ledger.quote, command), self.outcome(self.ledger.post, command)
        assert quoted == given, (command, quoted, given)
        if isinstance(command, Expire):  # the model writes no expiries; what they change is compared below
            given = given if isinstance(given, str) else expected
        assert given == expected, (command, given, expected)
        self.seen[type(command).__name__, given if isinstance(given, str) else "posted"] += 1
        if not isinstance(given, str):
            self.posted.append(command)
            if isinstance(command, Hold):
                self.holds.append(command.id)
            if isinstance(command, Earn | Spend | Capture | Transfer | Exchange):
                self.undoable.append(command.id)
        names = {getattr(command, "member", None), getattr(command, "to", None)} & set(MEMBERS)
        self.touched = names or set(MEMBERS)

    def outcome(self, do, command):
        try:
            receipt = do(command)
        except Rejected as rejection:
            return type(rejection).__name__
        return (receipt.allocations, receipt.expired)

    @step
    def earn(self, member, points, fund, back, lasts, waits, rule_, currency):
        starts = self.at(back) + waits * STEP if waits else None
        self.post(
            Earn(
                id=self.name("e"), member=member, points=points, fund=fund, at=self.at(back), rule=rule_,
                available_at=starts, expires_at=self.until(back, lasts, waits), currency=currency,
            )
        )  # fmt: skip

    @step
    def spend(self, member, points, back, currency, funds):
        self.post(
            Spend(id=self.name("s"), member=member, points=points, sink="shop", at=self.at(back), currency=currency, funds=funds)
        )  # fmt: skip

    @step
    def hold(self, member, points, back, lasts, currency):
        until = self.until(back, lasts)
        self.post(Hold(id=self.name("h"), member=member, points=points, at=self.at(back), expires_at=until, currency=currency))  # fmt: skip

    def some_hold(self, which):
        return self.holds[-1 - (which // 2) % len(self.holds)] if self.holds and which < 7 else "typo"

    @step
    def capture(self, which, points, back):
        hold = self.some_hold(which)
        self.post(Capture(id=self.name("c"), hold=hold, points=points, sink="shop", at=self.at(back)))

    @step
    def release(self, which, back):
        self.post(Release(id=self.name("r"), hold=self.some_hold(which), at=self.at(back)))

    @step
    def reverse(self, which, points, back, clawback, restore):
        entry = "typo"
        if which == 30 and self.posted:
            entry = self.posted[-1].id
        elif which < len(self.undoable):
            entry = self.undoable[-1 - which]
        self.post(
            Reverse(
                id=self.name("u"),
                entry=entry,
                points=points,
                at=self.at(back),
                clawback=clawback,
                restore=restore,
            )
        )

    @step
    def owe(self, member, points, fund, back):
        """Leave a debt: points are earned, used, and then taken back."""
        at, id_ = self.at(back), self.name("e")
        self.post(Earn(id=id_, member=member, points=points, fund=fund, at=at))
        self.post(Spend(id=self.name("s"), member=member, points=points, sink="shop", at=at, funds=(fund,)))
        self.post(Reverse(id=self.name("u"), entry=id_, at=at, clawback=Clawback.DEBT))

    @step
    def lapse(self, member, points, back, asked, captured):
        """Let a hold lapse, use points, and capture it as of an instant at which it lived."""
        hold, at = self.name("h"), self.now
        self.post(Hold(id=hold, member=member, points=points, at=at, expires_at=at + 3 * STEP))
        self.now += 4 * STEP
        self.post(Spend(id=self.name("s"), member=member, points=asked, sink="shop", at=self.now))
        at += back * STEP
        self.post(Capture(id=self.name("c"), hold=hold, points=captured, sink="shop", at=at))

    @step
    def come_back(self, member, points, clawback, restore, asked):
        """Use a short-lived grant and give it back, perhaps for longer; then take it back."""
        at, earn, spend = self.now, self.name("e"), "s" + self.name("e")
        until, miles = at + 2 * STEP, {"at": at, "currency": "miles"}
        self.post(Earn(id=earn, member=member, points=points, fund="sales", expires_at=until, **miles))
        self.post(Spend(id=spend, member=member, points=points, sink="shop", **miles))
        self.post(Reverse(id=self.name("u"), entry=spend, at=at, restore=restore))
        self.post(Reverse(id=self.name("u"), entry=earn, points=asked, at=at, clawback=clawback))

    @step
    def transfer(self, member, to, points, back, currency):
        to = MEMBERS[(MEMBERS.index(member) + to) % 3]
        at = self.at(back)
        self.post(Transfer(id=self.name("t"), member=member, to=to, points=points, at=at, currency=currency))

    @step
    def exchange(self, member, points, back, lasts, fund, pair, rate):
        if points * rate < 1:
            return
        self.post(
            Exchange(
                id=self.name("x"), member=member, points=points, at=self.at(back), fund=fund, currency=pair[0],
                to_currency=pair[1], rate=rate, expires_at=self.until(back, lasts),
            )
        )  # fmt: skip

    @step
    def extend(self, member, lasts, back, rule_):
        until = self.until(back, lasts)
        self.post(Extend(id=self.name("l"), member=member, expires_at=until, at=self.at(back), rule=rule_))

    @step
    def write_off(self, member, points, back):
        self.post(WriteOff(id=self.name("w"), member=member, points=points, at=self.at(back)))

    @step
    def note(self, member, back):
        self.post(Note(id=self.name("n"), member=member, kind="seen", at=self.at(back)))

    @step
    def expire(self, member, back):
        settled, at = self.ledger.settled, self.at(back)
        self.post(Expire(id=self.name("z"), member=member, at=at))
        self.compare_expiries(settled)
        if member is None and at >= max(command.at for command in self.posted):
            self.compare_expired(at)

    @step
    def advance(self, steps):
        self.now += steps * STEP
        self.touched = set(MEMBERS)

    @step
    def again(self, which):
        if self.posted:
            command = self.posted[-1 - which % len(self.posted)]
            assert self.ledger.post(command).replayed
            self.post(command)
            self.posted.pop()

    @step
    def altered(self, which, reason):
        if self.posted:
            self.post(attrs.evolve(self.posted[-1 - which % len(self.posted)], reason=reason))

    @step
    def together(self, member, points, asked):
        """A batch that is kept whole or not at all; its first command stands in it twice."""
        grant = Earn(id=self.name("e"), member=member, points=points, fund="sales", at=self.now)
        use = Spend(id=self.name("s"), member=member, points=asked, sink="shop", at=self.now)
        quoted = [self.ledger.quote(grant), self.ledger.post_all([grant, grant, use])][1]
        if isinstance(quoted[2], Rejected):
            assert [type(one).__name__ for one in quoted] == ["NotPosted", "NotPosted", "InsufficientPoints"]
            return
        assert [one.replayed for one in quoted] == [False, True, False]
        for command, receipt in ((grant, quoted[0]), (use, quoted[2])):
            assert self.model.post(command) == (receipt.allocations, receipt.expired)
            self.posted.append(command)
        self.touched = {member}

    @step
    def look_back(self, member, back):
        at = self.at(back)
        self.compare(at, {member})
        self.compare_books(at)
        self.compare_statements(member, at, self.now)

    @step
    def remember(self, member, back):
        """Keep a place in the recording; readings as of then, kept or not, never change again."""
        self.kept.append((member, self.at(back), self.ledger.settled, len(self.model.rows)))
        member, at, known_at, known = self.kept[len(self.posted) % len(self.kept)]
        self.compare(at, {member}, known_at, known)

    @step
    def reopen(self):
        self.ledger = self.reopened(self.ledger)

    # -- Comparisons

    @invariant()
    def same(self):
        self.compare_touched()


#: How often `drive` takes each step: as often as a rule, the commands that lead somewhere more often.
MIX = (
    *ARGUMENTS, "expire", *["earn"] * 4, *["spend"] * 2, *["hold"] * 3, *["capture"] * 2, "release",
    *["reverse"] * 3, *["transfer"] * 2, "advance", "exchange", *["owe"] * 2, "capture",
)  # fmt: skip


def drive(seed, steps, machine=LedgerMachine):
    """Run steps from a plain random generator; an assertion or any other error ends it."""
    rng = random.Random(seed)
    one = machine()
    for _ in range(steps):
        kind = rng.choice(MIX)
        getattr(one, kind)(**{name: rng.choice(of) for name, of in ARGUMENTS[kind].items()})
        one.same()
    one.teardown()
