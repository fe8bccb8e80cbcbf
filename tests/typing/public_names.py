"""Not run: read by mypy --strict, to hold the types that users see."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import assert_type

from userops import Condition, Event, F
from userops.points import Balance, Earn, Fund, Ledger, Receipt, Spend
from userops.program import Decision, Program

t = datetime(2027, 1, 1, tzinfo=UTC)
ledger = Ledger.in_memory()
assert_type(ledger, Ledger)
ledger.add_fund(Fund("sales", unit_cost=Decimal("0.10")))
assert_type(ledger.post(Earn(id="e", member="u", points=1, fund="sales", at=t)), Receipt)
assert_type(ledger.post(Spend(id="s", member="u", points=1, sink="store", at=t)), Receipt)
assert_type(ledger.balance("u", as_of=t), Balance)
assert_type(ledger.balance("u", as_of=t).available, int)
condition = (F("amount") >= 100) & ~F("city").one_of("Hefei")
assert_type(condition, Condition)
assert_type(condition.holds({"amount": 1}), bool)
program = Program.load("x.toml")
assert_type(program.decide(Event("e", "kind", "u", t)), Decision)
Earn(id="e", member="u", points="1", fund="sales", at=t)  # type: ignore[arg-type]
