"""Every gate of the project. `nox` runs what CI runs; `nox -s nightly` the long hunts; `nox -s bench` the ratios."""

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"
nox.options.sessions = [
    "lint",
    "types",
    "imports",
    "tests",
    "doctest",
    "examples",
    "docs",
    "package",
    "readme",
]

HERE = Path(__file__).parent
PYPROJECT = nox.project.load_toml("pyproject.toml")
EXTRAS = "sql,postgres,frames,plot,progress"


#: Environments made ready in this run: sessions that share one install once.
READY = set()


class Environment:
    """An environment that several sessions share, made when the first of them needs it."""

    def __init__(self, session, name):
        self.bin = HERE / ".nox" / name / "bin"
        self.session = session
        if not (self.bin / "python").exists():
            session.run(sys.executable, "-m", "virtualenv", "--quiet", str(self.bin.parent), external=True)

    def run(self, tool, *arguments, **more):
        env = {**more.pop("env", {}), "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}"}
        self.session.run(str(self.bin / tool), *arguments, external=True, env=env, **more)

    def install(self, *packages):
        self.run("python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)


def _dev(session):
    """Return the environment of the sessions that read the source."""
    found = Environment(session, "dev")
    if "dev" in READY:
        return found
    found.install("-e", f".[{EXTRAS}]", *nox.project.dependency_groups(PYPROJECT, "dev", "test"))
    READY.add("dev")
    return found


def _built(session):
    """Return the environment of the sessions that test the wheel; nothing of `src` is on its path."""
    found = Environment(session, "built")
    if "built" in READY:
        return found
    found.install("build", *nox.project.dependency_groups(PYPROJECT, "test"))
    dist = HERE / "build" / "wheel"
    shutil.rmtree(dist, ignore_errors=True)
    found.run("python", "-m", "build", "--wheel", "--outdir", str(dist), silent=True)
    (wheel,) = dist.glob("*.whl")
    found.install("--force-reinstall", "--no-deps", str(wheel))
    found.install(f"userops[{EXTRAS}] @ {wheel.as_uri()}")
    READY.add("built")
    return found


#: Hunts whose branches are not counted: that would take longer than they do, and others pass there too.
UNCOUNTED = [
    f"tests/property/test_{name}.py"
    for name in ("ledger_model", "ledger_model_sqlite", "simulation_equals_ledger", "month_pass")
]


@nox.session(python=False)
def lint(session):
    """Format and rules."""
    env = _dev(session)
    env.run("ruff", "format", "--check", ".")
    env.run("ruff", "check", ".")


@nox.session(python=False)
def types(session):
    """Strict types, of the source and of the public names as users see them."""
    env = _dev(session)
    env.run("mypy")
    env.run("mypy", "--strict", "tests/typing")


@nox.session(python=False)
def imports(session):
    """Layers: imports point down, and the heavy packages stay in their rooms."""
    env = _dev(session)
    env.run("lint-imports")


@nox.session(python=False)
def tests(session):
    """The tests, against the built wheel."""
    env = _built(session)
    pytest = ["python", "-m", "pytest", "-n", "2", "--dist", "worksteal", "--durations=30", *session.posargs]
    env.run(
        *pytest, "--cov", "--cov-report=term:skip-covered", "tests", "--ignore=tests/examples",
        *(f"--ignore={one}" for one in UNCOUNTED), env={"HYPOTHESIS_PROFILE": "ci"},
    )  # fmt: skip
    env.run(*pytest, *UNCOUNTED, env={"HYPOTHESIS_PROFILE": "ci"})


@nox.session(python=False)
def doctest(session):
    """Docstrings, README and every page of the docs."""
    env = _dev(session)
    env.run("python", "-m", "pytest", "-q", "--doctest-modules", "src/userops")
    env.run("python", "-m", "pytest", "-q", "README.md", "docs")


@nox.session(python=False)
def examples(session):
    """Run each example and compare what it prints."""
    env = _built(session)
    env.run("python", "-m", "pytest", "-q", "tests/examples")


@nox.session(python=False)
def docs(session):
    """Build the documentation; a warning is an error."""
    env = _dev(session)
    env.run("sphinx-build", "-W", "--keep-going", "-q", "-b", "html", "docs", "build/docs")


@nox.session(python=False)
def package(session):
    """Build, check and import what would be published."""
    env = _dev(session)
    dist = HERE / "build" / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    env.run("python", "-m", "build", "--outdir", str(dist), silent=True)
    files = [str(path) for path in sorted(dist.iterdir())]
    env.run("twine", "check", "--strict", *files)
    env.run("check-wheel-contents", *(path for path in files if path.endswith(".whl")))
    env.run("deptry", "src")


@nox.session(python=False)
def readme(session):
    """Both commands of the README, letter by letter, from a copy of the tree and without ensurepip.

    The test command ends by listing the sessions: running them here would run this one again.
    """
    with tempfile.TemporaryDirectory() as folder:
        tree, hidden = Path(folder) / "clone", Path(folder) / "hidden"
        listed = session.run("git", "ls-files", "-co", "--exclude-standard", "-z", silent=True, external=True)
        for name in listed.split("\0"):
            if name and (HERE / name).is_file():
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(HERE / name, tree / name)
        hidden.mkdir()
        (hidden / "ensurepip.py").write_text(
            "raise ImportError('hidden, as on Debian without python3-venv')\n"
        )
        commands = re.findall(r"<!-- command: (\w+) -->\n```sh\n(.+)\n```", (tree / "README.md").read_text())
        if [name for name, _ in commands] != ["main", "tests"]:
            session.error("README.md names its two commands otherwise")
        with session.chdir(tree):
            for name, command in commands:
                line = command if name == "main" else f"{command} --list"
                printed = session.run(
                    "bash", "-c", line, external=True, silent=True, env={"PYTHONPATH": str(hidden)}
                )
                wanted = "P(over" if name == "main" else "* readme"
                if wanted not in printed:
                    session.error(f"the {name} command of README.md printed no {wanted!r}:\n{printed}")


@nox.session(python=["3.12", "3.13"], venv_backend="virtualenv", default=False)
def matrix(session):
    """The tests on newer interpreters, where they are found."""
    session.install("--quiet", f".[{EXTRAS}]", *nox.project.dependency_groups(PYPROJECT, "test"))
    session.run("python", "-m", "pytest", "-n", "2", "-q", "tests", *session.posargs)


@nox.session(python=False, default=False)
def nightly(session):
    """The long hunts: deep Hypothesis profiles, large counts, every mutant."""
    env = _built(session)
    env.run(
        "python", "-m", "pytest", "-n", "2", "-m", "nightly or not nightly", "tests", *session.posargs,
        env={"HYPOTHESIS_PROFILE": "nightly", "USEROPS_NIGHTLY": "1"},
    )  # fmt: skip


@nox.session(python=False, default=False)
def bench(session):
    """Print every table of ratios against peers (name files to run only those)."""
    env = _built(session)
    env.install(*nox.project.dependency_groups(PYPROJECT, "bench"))
    for path in session.posargs or sorted(str(p) for p in Path("tests/benchmarks").glob("bench_*.py")):
        env.run("python", path)
