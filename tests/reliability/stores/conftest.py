"""Databases for the tests: SQLite files, and a PostgreSQL server of the tests' own."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from userops.points import Ledger

REQUIRED = os.environ.get("USEROPS_REQUIRE_POSTGRES") == "1"


def _missing(reason: str) -> None:
    """Skip, or fail where a server was promised."""
    if REQUIRED:
        pytest.fail(f"USEROPS_REQUIRE_POSTGRES=1, but {reason}")
    pytest.skip(reason)


@dataclass
class Server:
    """A PostgreSQL server in a folder of its own, with a template that already is an empty ledger."""

    bin: Path
    folder: Path
    user: str | None
    port: int = 0
    count: int = 0
    options: dict[str, str] = field(default_factory=dict)

    def run(self, program: str, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.bin / program), *arguments],
            user=self.user,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=True,
            **options,
        )

    def start(self) -> None:
        data = self.folder / "data"
        if not data.exists():
            self.run(
                "initdb",
                "-D",
                str(data),
                "-U",
                "tests",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
            )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        options = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.folder}
        options |= {"max_connections": 100, "shared_buffers": "64MB", **self.options}
        words = " ".join(f"-c {name}={value}" for name, value in options.items())
        log = str(self.folder / "log")
        self.run(
            "pg_ctl",
            "-D",
            str(data),
            "-l",
            log,
            "-o",
            words,
            "-w",
            "-t",
            "30",
            "start",
            stdin=subprocess.DEVNULL,
        )

    def stop(self, mode: str = "fast") -> None:
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-m", mode, "-w", "stop")

    def sql(self, statement: str, database: str = "postgres") -> str:
        found = self.run(
            "psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "tests", "-d", database, "-Atqc", statement
        )
        return found.stdout.strip()

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://tests@127.0.0.1:{self.port}/{database}"

    def new(self) -> str:
        """Clone the template: a new, empty ledger's URL."""
        self.count += 1
        name = f"ledger_{self.count}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE empty_ledger STRATEGY file_copy")
        return self.url(name)


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if found:
        return found[-1].parent
    other = shutil.which("initdb")
    return Path(other).resolve().parent if other else None


def make_server(**options: str) -> Iterator[Server]:
    pytest.importorskip("psycopg") if not REQUIRED else __import__("psycopg")
    binaries = _binaries()
    if binaries is None:
        _missing("no PostgreSQL server is installed (apt-get install postgresql)")
    user = None
    if os.geteuid() == 0:
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            _missing("there is no user `postgres` to run a server as")
        user = "postgres"
    folder = Path(tempfile.mkdtemp(prefix="userops-pg-"))
    if user:
        shutil.chown(folder, user)
    server = Server(binaries, folder, user, options=options)
    try:
        server.start()
        server.sql("CREATE DATABASE empty_ledger")
        Ledger.open(server.url("empty_ledger")).close()
        yield server
    finally:
        try:
            server.stop("immediate")
        except subprocess.CalledProcessError:
            pass
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A server for the session; commits are not synced, because no test here cuts its power."""
    yield from make_server(fsync="off", full_page_writes="off")


@pytest.fixture(params=["sqlite", "postgres"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Return what makes the path or URL of a new, empty ledger: each test runs on both databases."""
    if request.param == "postgres":
        return request.getfixturevalue("postgres").new
    counter = iter(range(1_000_000))
    return lambda: str(tmp_path / f"ledger-{next(counter)}.db")


@pytest.fixture
def counted(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Return what notes the counts of a run, for the evidence page: they are printed with `-rP` or `-s`."""
    started = time.perf_counter()

    def note(**counts: object) -> None:
        for name, value in counts.items():
            record_property(name, value)
        words = ", ".join(f"{name}={value}" for name, value in counts.items())
        print(f"[evidence] {words} ({time.perf_counter() - started:.1f} s)")

    return note
