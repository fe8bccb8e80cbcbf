"""Run the state machine's steps over the `userops` that is first on the path; say what was found, if anything."""

import sys
import traceback
from pathlib import Path

from tests.property.ledger_machine import drive

import userops


def main():
    package, seeds, first = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    assert Path(userops.__file__).is_relative_to(package), userops.__file__
    for seed in range(first, first + seeds):
        try:
            drive(seed, 100)
        except Exception as error:  # noqa: BLE001 — told, for only a difference that the machine saw counts
            frames = traceback.extract_tb(error.__traceback__)
            file, step = Path(frames[-1].filename).name, frames[2].name  # After `main` and `drive`.
            print(f"killed by seed {seed}: {type(error).__name__} in {file}, at {step}")
            return
    print("survived")


if __name__ == "__main__":
    main()
