"""The programs that this project shows keep the laws; nightly, random ones do."""

import re
import runpy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.property import test_program_replay as drawn

from userops.program import Program
from userops.testing import check_program

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.toml") if "[[earn]]" in path.read_text())
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BENCH = runpy.run_path(str(ROOT / "tests" / "benchmarks" / "bench_program.py"))


def texts_of(page: Path) -> list[str]:
    """Return the programs that a page shows in Python blocks."""
    plain = re.sub(r"^(>>>|\.\.\.) ?", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [text for text in re.findall(r'"""\n(.*?)"""', plain, re.DOTALL) if "[[earn]]" in text]


SHOWN = {f"{page.stem}-{n}": text for page in PAGES for n, text in enumerate(texts_of(page))}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_keeps_the_laws(path):
    found = check_program(Program.load(path), examples=20)
    assert found.silent == ()


def test_the_design_page_s_program_keeps_the_laws():
    check_program(Program.load(BENCH["PAGE"] + BENCH["TIERS"]), examples=20)


def test_pages_show_programs():
    assert len(SHOWN) >= 6


@pytest.mark.parametrize("text", SHOWN.values(), ids=SHOWN.keys())
def test_a_program_of_a_page_keeps_the_laws(text):
    check_program(Program.load(text), examples=10)


@pytest.mark.nightly
@given(
    drawn.rules,
    drawn.redeems,
    st.tuples(drawn.budgets, drawn.budgets),
    st.booleans(),
    st.one_of(st.just(""), drawn.ladders),
    st.integers(0, 2**32),
)
def test_random_programs_keep_the_laws(rules, redeems, budgets, is_versions, ladder, seed):
    program = drawn.program_of(rules, redeems, budgets, is_versions=is_versions, ladder=ladder)
    check_program(program, examples=3, seed=seed)
