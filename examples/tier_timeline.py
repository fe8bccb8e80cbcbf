"""One owner's way through the owner club's EP ladder: every change, and why.

The figures are this project's assumptions: growth value of twelve months decides, a tier is kept for twelve
months to the end of the month, a failed review leaves thirty days, and EP is for owners.
"""

from datetime import datetime
from pathlib import Path

from userops.core.calendar import zone
from userops.program import Program
from userops.tiers import Entitlements, Grant, ValueEvent, describe

SHANGHAI = zone("Asia/Shanghai")
LADDER = Program.load(Path(__file__).parent / "owner_club_tiers.toml").ladder


def on(year, month, day, hour=10):
    return datetime(year, month, day, hour, tzinfo=SHANGHAI)


HISTORY = [
    ValueEvent(on(2027, 1, 31), 2_400),  # the delivery
    ValueEvent(on(2027, 3, 14), 800),  # posts and a charity challenge
    ValueEvent(on(2027, 9, 5), 8_500),  # co-creation of the navigation
    ValueEvent(on(2027, 11, 20), 500, recorded_at=on(2028, 1, 10)),  # a volunteer day, entered late
    ValueEvent(on(2028, 2, 29), 6_000),  # hosting the yearly gathering
    ValueEvent(on(2028, 12, 12), 7_000),  # a second co-creation, within the grace
    ValueEvent(on(2029, 2, 2), -7_000),  # which is taken back: it was counted twice
]
OWNER = {"kind": "owner"}
FOUNDER = Grant("founding owner", on(2027, 1, 31), by="the club", reason="one of the first thousand")


def main() -> None:
    print("Timeline")
    print(LADDER.timeline(HISTORY, on(2027, 1, 1), on(2031, 1, 1), record=OWNER))

    print("\nOn 1 March 2028")
    standing = LADDER.standing(HISTORY, on(2028, 3, 1), record=OWNER, grants=[FOUNDER])
    print(standing)
    print("  badges:", ", ".join(standing.badges))

    rights = Entitlements(standing, [("airport pick-up", on(2028, 2, 20))])
    print("  airport pick-ups left:", rights.left("airport pick-up"))

    print("\nThe first reasons in Chinese")
    words = {"reached": "凭{have}成长值升为{tier}（需{needs}）", "review": "{at}复核，届时还需{to_keep}"}
    for reason in standing.reasons[:2]:
        print(" ", describe(reason, words=words))

    print("\nWhat was believed before the volunteer day was entered")
    for one in LADDER.restate(HISTORY, record=OWNER):
        start, end = (f"{at.astimezone(SHANGHAI):%Y-%m-%d %H:%M}" for at in (one.start, one.end))
        print(f"  {start} to {end}: believed {one.believed}, was {one.true}")


if __name__ == "__main__":
    main()
