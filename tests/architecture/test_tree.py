"""The tree keeps its promises: sizes, names, docstrings, and no way to run what was not written here."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
MOST_LINES, MOST_FUNCTION_LINES = 400, 60
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "print", "input"}
FORBIDDEN_MODULES = {"pickle", "marshal", "shelve", "random"}
CLOCKS = {"now", "utcnow", "today", "time_ns", "monotonic", "perf_counter", "process_time"}


def faults(source: str, name: str) -> list[str]:
    """Return what a file's source does that the tree does not allow."""
    tree = ast.parse(source)
    found = []
    if source.count("\n") > MOST_LINES:
        found.append(f"{name}: more than {MOST_LINES} lines")
    is_cli = name.endswith("cli.py")
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.end_lineno - line + 1 > MOST_FUNCTION_LINES
        ):
            found.append(f"{name}:{line} {node.name}: more than {MOST_FUNCTION_LINES} lines")
        if isinstance(node, ast.Call):
            called = node.func
            if (
                isinstance(called, ast.Name)
                and called.id in FORBIDDEN_CALLS
                and not (is_cli and called.id == "print")
            ):
                found.append(f"{name}:{line} calls {called.id}")
            is_time = isinstance(called, ast.Attribute) and ast.unparse(called) == "time.time"
            if is_time or (isinstance(called, ast.Attribute) and called.attr in CLOCKS):
                found.append(f"{name}:{line} reads a clock")
            if (
                isinstance(called, ast.Attribute)
                and called.attr == "import_module"
                and not name.endswith("userops/__init__.py")
            ):
                found.append(f"{name}:{line} imports by name")
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = (
                [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            )
            found += [f"{name}:{line} imports {m}" for m in modules if m.split(".")[0] in FORBIDDEN_MODULES]
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_a_source_file_keeps_the_rules(path):
    assert faults(path.read_text(encoding="utf-8"), path.as_posix()) == []
    assert not FORBIDDEN_NAMES & set(path.relative_to(ROOT / "src").with_suffix("").parts)


@pytest.mark.parametrize(
    "source",
    ["eval('1')", "import pickle", "print(1)", "from datetime import datetime\ndatetime.now()", "import time\ntime.time()", "x = 1\n" * 401,
     "def f():\n" + "    x = 1\n" * 61, "import importlib\nimportlib.import_module('x')", "from random import random"],
)  # fmt: skip
def test_the_rules_can_fail(source):
    assert faults(source, "src/userops/x.py")


def undocumented(source: str) -> list[str]:
    """Return the public functions and classes without a docstring; overloads share one."""
    tree = ast.parse(source)
    found = []
    for node in tree.body:
        if (
            isinstance(node, ast.FunctionDef | ast.ClassDef)
            and not node.name.startswith("_")
            and not any(isinstance(mark, ast.Name) and mark.id == "overload" for mark in node.decorator_list)
            and not ast.get_docstring(node)
        ):
            found.append(node.name)
    return found if ast.get_docstring(tree) or not source.strip() else [*found, "the module"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_public_names_say_what_they_mean(path):
    assert undocumented(path.read_text(encoding="utf-8")) == []


def test_a_missing_docstring_is_found():
    assert undocumented('"""M."""\ndef f(): ...') == ["f"]
    assert undocumented("x = 1") == ["the module"]
    assert undocumented('"""M."""\n@overload\ndef f(): ...\ndef f(): ...') == ["f"]


def test_importing_userops_stays_cheap():
    code = (
        "import sys; before = set(sys.modules); import userops; "
        "new = set(sys.modules) - before; "
        "heavy = {'pendulum', 'networkx', 'numpy', 'attr', 'sqlalchemy', 'pandas'} & new; "
        "assert not heavy, heavy; userops.Event; assert 'networkx' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there():
    import userops

    for name in userops.__all__:
        assert getattr(userops, name) is not None
    assert set(userops.__all__) <= set(dir(userops))
    with pytest.raises(AttributeError):
        userops.no_such_name
