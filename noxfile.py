"""Every gate of the project. `nox` runs what CI runs; `nox -s nightly` the long hunts; `nox -s bench` the ratios."""

import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"
nox.options.sessions = ["lint", "types", "imports", "tests", "doctest", "examples", "docs", "package"]
nox.options.reuse_existing_virtualenvs = True
nox.options.default_venv_backend = "virtualenv"

EXTRAS = "sql,postgres,frames,plot,progress"
#: Sessions that read the source share one environment; the others test what is built.
DEV = {"venv_location": ".nox/dev", "reuse_venv": True}
BUILT = {"venv_location": ".nox/built", "reuse_venv": True}
HERE = Path(__file__).parent


def _dev(session):
    session.install("--quiet", "-e", f".[{EXTRAS}]", *nox.project.dependency_groups(PYPROJECT, "dev", "test"))


def _built(session):
    """Install the wheel, built from this tree; nothing of `src` is on the path."""
    dist = HERE / "build" / "wheel"
    shutil.rmtree(dist, ignore_errors=True)
    session.install("--quiet", "build", *nox.project.dependency_groups(PYPROJECT, "test"))
    session.run("python", "-m", "build", "--wheel", "--outdir", str(dist), silent=True)
    (wheel,) = dist.glob("*.whl")
    session.install("--quiet", "--force-reinstall", "--no-deps", str(wheel))
    session.install("--quiet", f"userops[{EXTRAS}] @ {wheel.as_uri()}")


PYPROJECT = nox.project.load_toml("pyproject.toml")


@nox.session(**DEV)
def lint(session):
    """Format and rules."""
    _dev(session)
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")


@nox.session(**DEV)
def types(session):
    """Strict types, of the source and of the public names as users see them."""
    _dev(session)
    session.run("mypy")
    session.run("mypy", "--strict", "tests/typing")


@nox.session(**DEV)
def imports(session):
    """Layers: imports point down, and the heavy packages stay in their rooms."""
    _dev(session)
    session.run("lint-imports")


@nox.session(**BUILT)
def tests(session):
    """The tests, against the built wheel."""
    _built(session)
    session.run(
        "python", "-m", "pytest", "-n", "2", "--dist", "worksteal", "--cov", "--cov-report=term", "tests",
        "--ignore=tests/examples", *session.posargs, env={"HYPOTHESIS_PROFILE": "ci"},
    )  # fmt: skip


@nox.session(**DEV)
def doctest(session):
    """Docstrings, README and every page of the docs."""
    _dev(session)
    session.run("python", "-m", "pytest", "-q", "--doctest-modules", "src/userops")
    session.run("python", "-m", "pytest", "-q", "README.md", "docs")


@nox.session(**BUILT)
def examples(session):
    """Run each example and compare what it prints."""
    _built(session)
    session.run("python", "-m", "pytest", "-q", "tests/examples")


@nox.session(**DEV)
def docs(session):
    """Build the documentation; a warning is an error."""
    _dev(session)
    session.run("sphinx-build", "-W", "--keep-going", "-q", "-b", "html", "docs", "build/docs")


@nox.session(**DEV)
def package(session):
    """Build, check and import what would be published."""
    _dev(session)
    dist = HERE / "build" / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(dist), silent=True)
    files = [str(path) for path in sorted(dist.iterdir())]
    session.run("twine", "check", "--strict", *files)
    session.run("check-wheel-contents", *(path for path in files if path.endswith(".whl")))
    session.run("deptry", "src")


@nox.session(python=["3.12", "3.13"], default=False)
def matrix(session):
    """The tests on newer interpreters, where they are found."""
    _built(session)
    session.run("python", "-m", "pytest", "-n", "2", "-q", "tests", *session.posargs)


@nox.session(default=False, **BUILT)
def nightly(session):
    """The long hunts: deep Hypothesis profiles, large counts, every mutant."""
    _built(session)
    session.run(
        "python", "-m", "pytest", "-n", "2", "-m", "nightly or not nightly", "tests", *session.posargs,
        env={"HYPOTHESIS_PROFILE": "nightly", "USEROPS_NIGHTLY": "1"},
    )  # fmt: skip


@nox.session(default=False)
def bench(session):
    """Print every table of ratios against peers (name files to run only those)."""
    _built(session)
    session.install("--quiet", *nox.project.dependency_groups(PYPROJECT, "bench"))
    for path in session.posargs or sorted(str(p) for p in Path("tests/benchmarks").glob("bench_*.py")):
        session.run("python", path)
