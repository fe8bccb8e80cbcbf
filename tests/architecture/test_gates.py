"""Every gate is seen to fail: each tool is given something broken, and has to say so."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*command, cwd):
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


def tool(name):
    """Return a tool of the development environment; the tests of the built wheel run without it."""
    here = Path(sys.executable).parent / name
    for found in (here, ROOT / ".nox" / "dev" / "bin" / name):
        if found.exists():
            return str(found)
    pytest.skip(f"{name} is not installed beside the tests")


@pytest.fixture
def project(tmp_path):
    """A copy of what the gates read, to be broken."""
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def broken(project, name, text):
    path = project / "src" / "userops" / name
    path.write_text((path.read_text() if path.exists() else "") + text)
    return str(path)


def test_lint_fails(project):
    path = broken(project, "core/ids.py", "\nimport os\nx=eval('1')\n")
    assert run(tool("ruff"), "check", path, cwd=project).returncode == 1
    assert run(tool("ruff"), "format", "--check", path, cwd=project).returncode == 1


def test_types_fail(project):
    broken(project, "core/ids.py", "\ndef f() -> int:\n    return 'x'\n")
    found = run(tool("mypy"), "src/userops/core/ids.py", cwd=project)
    assert found.returncode == 1
    assert "Incompatible return value" in found.stdout


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("core/ids.py", "\nimport userops.points\n"),
        ("points/chain.py", "\nimport userops.program\n"),
        ("points/values.py", "\nimport pendulum\n"),
        ("program/rules.py", "\nfrom userops.program import program\n"),
        ("simulation/members/rows.py", "\nimport userops.simulation.rules\n"),
        ("simulation/rules/asked.py", "\nfrom userops.simulation.rules import engine\n"),
        ("simulation/stray.py", "\n"),
        ("stray.py", "\n"),
    ],
)
def test_imports_fail(project, name, line):
    broken(project, name, line)
    code = "import sys; sys.path.insert(0, 'src'); from importlinter.cli import lint_imports_command; lint_imports_command()"
    python = str(Path(tool("lint-imports")).parent / "python")
    found = run(python, "-c", code, cwd=project)
    assert found.returncode == 1, found.stdout
    assert (
        "BROKEN" in found.stdout
        or "is not listed" in found.stdout + found.stderr
        or "exhaustive" in found.stdout
    )


def test_doctests_fail(project):
    path = broken(
        project, "core/ids.py", '\ndef g() -> None:\n    """Say one.\n\n    >>> 1\n    2\n    """\n'
    )
    found = run(
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--doctest-modules", path, cwd=project
    )
    assert found.returncode == 1, found.stdout


def test_pages_fail(tmp_path):
    shutil.copy(ROOT / "conftest.py", tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.md").write_text("# Page\n\n```python\n>>> 1\n2\n\n```\n")
    found = run(sys.executable, "-m", "pytest", "-q", "docs", cwd=tmp_path)
    assert found.returncode == 1, found.stdout


def test_docs_fail(tmp_path):
    shutil.copy(ROOT / "docs" / "conf.py", tmp_path)
    (tmp_path / "_static").mkdir()
    (tmp_path / "index.md").write_text("# Page\n\n[nowhere](no-such-page.md)\n")
    found = run(tool("sphinx-build"), "-W", "-q", "-b", "html", ".", "out", cwd=tmp_path)
    assert found.returncode != 0


def test_tests_fail_on_a_warning(tmp_path):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "test_x.py").write_text("import warnings\ndef test_x():\n    warnings.warn('x')\n")
    found = run(sys.executable, "-m", "pytest", "-q", "test_x.py", cwd=tmp_path)
    assert found.returncode == 1, found.stdout


def test_package_fails_on_an_undeclared_dependency(project):
    broken(project, "core/ids.py", "\nimport hypothesis\n")
    assert run(tool("deptry"), "src", cwd=project).returncode == 1
