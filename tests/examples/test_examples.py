"""Every example runs, and prints what it is expected to print."""

import difflib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def difference(printed: str, expected: str) -> str:
    """Return a readable difference, empty when there is none."""
    return "\n".join(
        difflib.unified_diff(expected.splitlines(), printed.splitlines(), "expected", "printed", lineterm="")
    )


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_prints_what_is_expected(path, request):
    wanted = re.search(r"^arguments: (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    arguments = []
    if wanted:
        data = request.getfixturevalue("shared_data")
        arguments = [str(data / name) for name in wanted[1].split()]
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path), *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected = (ROOT / "examples" / "expected" / f"{path.stem}.txt").read_text(encoding="utf-8")
    assert not difference(done.stdout, expected)


def test_a_changed_output_would_be_seen():
    assert difference("a\nb", "a\nc")
    assert not difference("a\nb\n", "a\nb")
