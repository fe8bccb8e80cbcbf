"""The programs that this project shows keep the laws; nightly, random ones do."""

import re
import runpy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from userops.program import Program
from userops.testing import check_program

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.toml") if "[[earn]]" in path.read_text())
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BENCH = runpy.run_path(str(ROOT / "tests" / "benchmarks" / "bench_program.py"))
DRAWN = runpy.run_path(str(ROOT / "tests" / "property" / "test_program_replay.py"))


def texts_of(page: Path) -> list[str]:
    """Return the programs that a page shows in Python blocks."""
    plain = re.sub(r"^(>>>|\.\.\.) ?", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [text for text in re.findall(r'"""\n(.*?)"""', plain, re.DOTALL) if "schema = 1" in text]


SHOWN = {f"{page.stem}-{n}": text for page in PAGES for n, text in enumerate(texts_of(page))}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_keeps_the_laws(path):
    found = check_program(Program.load(path), examples=25)
    assert found.silent == ()


@pytest.mark.parametrize("text", [BENCH["PAGE"], BENCH["PAGE"] + BENCH["TIERS"]], ids=["events", "ladder"])
def test_the_design_page_s_program_keeps_the_laws(text):
    assert check_program(Program.load(text), examples=20).silent == ()


def test_pages_show_programs():
    assert len(SHOWN) >= 6


@pytest.mark.parametrize("text", SHOWN.values(), ids=SHOWN.keys())
def test_a_program_of_a_page_keeps_the_laws(text):
    assert check_program(Program.load(text), examples=15).silent == ()


@pytest.mark.nightly
@given(
    DRAWN["rules"],
    DRAWN["redeems"],
    st.tuples(DRAWN["budgets"], DRAWN["budgets"]),
    st.booleans(),
    st.one_of(st.just(""), DRAWN["ladders"]),
    st.integers(0, 2**32),
)
def test_random_programs_keep_the_laws(rules, redeems, budgets, is_versions, ladder, seed):
    program = DRAWN["program_of"](rules, redeems, budgets, is_versions=is_versions, ladder=ladder)
    check_program(program, examples=3, seed=seed)
