"""The negative control of the state machine: seeded faults in copies of the posting code, each of them found."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.reliability.mutants import MUTANTS

import userops

PACKAGE = Path(userops.__file__).parent
ROOT = Path(__file__).resolve().parents[2]


def tried(folder, *, seeds, first=0):
    command = [sys.executable, "-m", "tests.reliability.try_mutant", str(folder), str(seeds), str(first)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    run = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def mutated(folder, path, before, after):
    """Make a package of links to the sound one, but for one file."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, folder / "userops", ignore=ignored, copy_function=os.symlink)
    source, mutant = (PACKAGE / path).read_text(encoding="utf-8"), folder / "userops" / path
    assert source.count(before) == 1, f"{path} has changed: bring the mutant up to date"
    mutant.unlink()
    mutant.write_text(source.replace(before, after), encoding="utf-8")


def is_killed(told):
    """Say whether the machine saw a difference to the model; code that breaks down proves nothing."""
    return (
        re.fullmatch(r"killed by seed \d+: AssertionError in ledger_(machine|compared)\.py, at \w+", told)
        is not None
    )


def test_there_are_at_least_thirty():
    assert len({name for name, *_ in MUTANTS}) == len(MUTANTS) >= 30


def test_the_sound_code_survives(tmp_path):
    mutated(tmp_path, "points/posting.py", "def _conflict(", "def _conflict(")
    assert tried(tmp_path, seeds=20) == "survived"


def test_code_that_breaks_down_is_no_kill(tmp_path):
    """The control of the control: a slip of the mutant's author must not count."""
    mutated(
        tmp_path,
        "points/posting.py",
        "    return handler(books, command)",
        "    return handlr(books, command)",
    )
    told = tried(tmp_path, seeds=1)
    assert "NameError" in told
    assert not is_killed(told)


@pytest.mark.parametrize(("path", "before", "after"), [m[1:] for m in MUTANTS], ids=[m[0] for m in MUTANTS])
def test_a_mutant_is_killed(tmp_path, path, before, after):
    mutated(tmp_path, path, before, after)
    assert is_killed(tried(tmp_path, seeds=200))


@pytest.mark.nightly
@pytest.mark.parametrize(("path", "before", "after"), [m[1:] for m in MUTANTS], ids=[m[0] for m in MUTANTS])
def test_a_mutant_is_killed_by_other_seeds_too(tmp_path, path, before, after):
    mutated(tmp_path, path, before, after)
    assert is_killed(tried(tmp_path, seeds=1_000, first=10_000))
