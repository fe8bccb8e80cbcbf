"""Run the state machine's steps over the `userops` that is first on the path; say what was found, if anything."""

import sys
from pathlib import Path

from tests.property.ledger_machine import drive

import userops


def main():
    package, seeds, first = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    assert Path(userops.__file__).is_relative_to(package), userops.__file__
    for seed in range(first, first + seeds):
        try:
            drive(seed, 100)
        except Exception as error:  # noqa: BLE001 — any difference counts: a wrong answer, or a broken ledger
            print(f"killed by seed {seed}: {type(error).__name__}")
            return
    print("survived")


if __name__ == "__main__":
    main()
