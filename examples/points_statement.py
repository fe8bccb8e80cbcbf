"""A year of an owner's points, as a member sees it: the published statement of 38,000, from events.

10,000 at purchase, 2,000 more because the buyer was invited, 3,000 for each of two repair days without a loaner
car, 20,000 for a year without a claim and a renewed service plan. Published figures; the days are made up.
"""

from datetime import datetime
from pathlib import Path

from userops import Event
from userops.core.calendar import zone
from userops.points import Ledger
from userops.program import Program

SHANGHAI = zone("Asia/Shanghai")
PROGRAM = Path(__file__).with_name("owner_club_program.toml")


def on(month: int, day: int, year: int = 2027) -> datetime:
    return datetime(year, month, day, 10, tzinfo=SHANGHAI)


EVENTS = [
    Event("e1", "order.delivered", "lin", on(1, 20), reference="vehicle 7", data={"invited": True}),
    Event("e2", "repair.day_without_loaner", "lin", on(6, 2), reference="repair 31"),
    Event("e3", "repair.day_without_loaner", "lin", on(6, 3), reference="repair 31"),
    Event("e4", "service_plan.renewed", "lin", on(12, 28)),
    # The workshop reports a day again, and the delivery comes a second time: neither pays twice.
    Event("e5", "repair.day_without_loaner", "lin", on(6, 3), reference="repair 31"),
    Event("e1", "order.delivered", "lin", on(1, 20), reference="vehicle 7", data={"invited": True}),
]


def main() -> None:
    program, ledger = Program.load(PROGRAM), Ledger.in_memory()
    print("What each event gave")
    for decision in program.run(EVENTS, ledger):
        words = decision.describe().splitlines()
        print(f"{decision.event.at.astimezone(SHANGHAI):%Y-%m-%d}  {words[0]}")
        print("\n".join(f"          {line}" for line in words[1:]))

    statement = ledger.statement("lin", on(1, 1), on(1, 1, 2028))
    print("\nStatement of 2027")
    print(f"{'opening':<42}{statement.opening:>8,}")
    for line in statement.lines:
        print(f"{line.at.astimezone(SHANGHAI):%Y-%m-%d}  {line.reason:<30}{line.points:>8,}")
    print(f"{'closing':<42}{statement.closing:>8,}")

    print("\nWho pays, and until when the points can be used")
    for lot in ledger.lots("lin", on(1, 1, 2028)):
        until = "" if lot.expires_at is None else f"{lot.expires_at.astimezone(SHANGHAI):before %Y-%m-%d}"
        print(f"{lot.rule:<18}{lot.fund:<14}{lot.points:>8,}  {until}")


if __name__ == "__main__":
    main()
