"""A power cut takes what was not synced: a VFS that forgets it, and tears what was half written."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from userops.core.chance import stream
from userops.errors import UseropsError
from userops.points import Earn, Fund, Ledger, Spend
from userops.points.stores.sql import SqlStore
from userops.points.stores.sqlite import SQLite

apsw = pytest.importorskip("apsw")
T0 = datetime(2027, 1, 1, tzinfo=UTC)
SECTOR = 512


class PowerCut(Exception):
    """The machine is off."""


class Disk:
    """What survives: per file, the bytes that were synced, and the writes since."""

    def __init__(self, writes_left):
        self.synced, self.pending, self.writes_left = {}, {}, writes_left

    def spend(self):
        self.writes_left -= 1
        if self.writes_left < 0:
            raise PowerCut

    def load(self, path):
        if path not in self.synced:
            self.synced[path] = bytearray(Path(path).read_bytes() if Path(path).exists() else b"")
            self.pending[path] = []

    def sync(self, path):
        for offset, data in self.pending.pop(path):
            apply(self.synced[path], offset, data)
        self.pending[path] = []

    def survivors(self, rng):
        """Return {path: bytes}: of writes not synced, any sectors may have reached the disk."""
        found = {}
        for path, image in self.synced.items():
            kept = bytearray(image)
            for offset, data in self.pending[path]:
                for start in range(0, len(data or b""), SECTOR):
                    if rng.random() < 0.5:
                        apply(kept, offset + start, data[start : start + SECTOR])
            found[path] = bytes(kept)
        return found


def apply(image, offset, data):
    if data is None:
        del image[offset:]
        return
    image.extend(b"\0" * (offset + len(data) - len(image)))
    image[offset : offset + len(data)] = data


class LossyFile(apsw.VFSFile):
    def __init__(self, disk, name, flags):
        self.disk, self.path = disk, name.filename() if hasattr(name, "filename") else str(name)
        disk.load(self.path)
        super().__init__("", name, flags)

    def xWrite(self, data, offset):
        self.disk.spend()
        self.disk.pending[self.path].append((offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, size):
        self.disk.spend()
        self.disk.pending[self.path].append((size, None))
        super().xTruncate(size)

    def xSync(self, flags):
        self.disk.spend()
        super().xSync(flags)
        self.disk.sync(self.path)


class LossyVFS(apsw.VFS):
    def __init__(self, disk, name):
        self.disk, self.name = disk, name
        super().__init__(name, "")

    def xOpen(self, name, flags):
        return LossyFile(self.disk, name, flags)


class LossySQLite(SQLite):
    """The driver over apsw and the lossy VFS; one process, so no shared memory is needed."""

    error = apsw.Error

    def __init__(self, path, vfs, synchronous):
        self.vfs, self.synchronous = vfs, synchronous
        super().__init__(path)

    def _connect(self):
        connection = apsw.Connection(self._path, vfs=self.vfs)
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute(f"PRAGMA synchronous = {self.synchronous}")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection


def cut_power(base: Path, folder: Path, seed: int, synchronous: str):
    """Post until the power is cut; return what was acknowledged and a ledger file as it survived."""
    rng = random.Random(seed)
    path = folder / f"points-{seed}.db"
    path.write_bytes(base.read_bytes())
    disk, acked = Disk(rng.randrange(12, 120)), []
    vfs = LossyVFS(disk, f"lossy-{synchronous}-{seed}")
    ledger = None
    try:
        store = SqlStore(LossySQLite(str(path), vfs.name, synchronous), b"s", stream(seed, "power"))
        ledger = Ledger(store, salt=b"s")
        for number in range(200):
            at = T0 + timedelta(seconds=number)
            if number % 3:
                ledger.post(Spend(id=f"p{number}", member="m", points=1, sink="shop", at=at))
            else:
                ledger.post(Earn(id=f"p{number}", member="m", points=10, fund="sales", at=at))
            acked.append(f"p{number}")
    except (PowerCut, UseropsError, apsw.Error):
        pass
    survivors = disk.survivors(rng)
    disk.writes_left = 10**9
    if ledger is not None:
        ledger.close()
    after = folder / f"after-{seed}.db"
    for name, image in survivors.items():
        Path(name.replace(str(path), str(after))).write_bytes(image)
    return acked, after


def lost(base, tmp_path, runs, synchronous, counted):
    """Return in how many runs something acknowledged was gone, or anything torn."""
    acknowledged = failures = 0
    for seed in range(runs):
        acked, after = cut_power(base, tmp_path, seed, synchronous)
        acknowledged += len(acked)
        with Ledger.open(after, salt=b"s") as ledger:
            there = {entry.id for entry in ledger.entries()}
            failures += not there.issuperset(acked) or ledger.audit() != () or ledger.doctor() != ()
    counted(synchronous=synchronous, runs=runs, acknowledged=acknowledged, runs_with_loss=failures)
    return failures


@pytest.fixture
def base(tmp_path):
    path = tmp_path / "base.db"
    with Ledger.open(path, salt=b"s") as ledger:
        ledger.add_fund(Fund("sales"))
        ledger.post(Earn(id="first", member="m", points=1_000, fund="sales", at=T0))
    return path


def test_a_power_cut_loses_nothing_acknowledged(base, tmp_path, counted):
    assert lost(base, tmp_path, 100, "FULL", counted) == 0


def test_synchronous_normal_loses_and_is_caught(base, tmp_path, counted):
    """The negative control."""
    # The power fails at a random write: now and then after the last sync of a run.
    assert lost(base, tmp_path, 10, "NORMAL", counted) >= 5
