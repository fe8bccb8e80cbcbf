"""The CDNOW purchases replayed as columns are those posted one by one, and those a program runs."""

from __future__ import annotations

import importlib.util
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from userops.core.calendar import from_micros
from userops.errors import InsufficientPoints
from userops.points import Earn, Fund, Ledger, Reverse, Spend
from userops.points.replaying import Outcome
from userops.points.replaying.replay import replay_by
from userops.points.replaying.routing import Path as Way

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "replay_columns.py"


@pytest.fixture(scope="module")
def columns(shared_data):
    spec = importlib.util.spec_from_file_location("replay_columns", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.history(shared_data / "cdnow_sample.txt")


def outcomes_of(ledger, commands, *, together=500):
    """Post commands in order, several to a transaction; yield each one's receipt, or None without the points."""

    def post(posting, command):
        try:
            return posting.post(command)
        except InsufficientPoints:
            return None

    for start in range(0, len(commands), together):
        part = commands[start : start + together]
        members = {command.member for command in part if hasattr(command, "member")}
        yield from ledger.transact(members, lambda posting, part=part: [post(posting, one) for one in part])


@pytest.fixture(scope="module", params=["memory", "sqlite"])
def posted(columns, request, tmp_path_factory):
    """The outcome and the allocations of each row, and (funding, members, available points) at two instants."""
    file = tmp_path_factory.mktemp("ledger") / "cdnow.db"
    ledger = Ledger.in_memory() if request.param == "memory" else Ledger.open(file)
    ledger.add_fund(Fund("all"))
    rows, commands = [], []
    outcomes, allocations = np.zeros(len(columns["at"]), np.int8), {}
    lists = {name: column.tolist() for name, column in columns.items()}
    for row in np.argsort(columns["at"], kind="stable").tolist():
        at, member, points = from_micros(lists["at"][row]), str(lists["member"][row]), lists["points"][row]
        if lists["kind"][row] == 0:
            expires_at = from_micros(lists["expires_at"][row])
            command = Earn(
                id=str(row), member=member, points=points, fund="all", at=at, expires_at=expires_at
            )
        elif lists["kind"][row] == 1:
            command = Spend(id=str(row), member=member, points=points, sink="shop", at=at)
        else:
            command = Reverse(id=str(row), entry=str(lists["undoes"][row]), at=at)
        rows.append(row)
        commands.append(command)
    for row, receipt in zip(rows, outcomes_of(ledger, commands), strict=True):
        if receipt is None:
            outcomes[row] = Outcome.INSUFFICIENT
        elif receipt.allocations:
            allocations[row] = tuple((int(lot), n) for lot, n in receipt.allocations)
    assert ledger.audit() == ()
    books = {}
    for at in (int(columns["at"].max()), int(np.median(columns["at"]))):
        as_of = from_micros(at)
        members = np.unique(columns["member"]).tolist()
        available = [ledger.balance(str(member), as_of).available for member in members]
        books[as_of] = (ledger.funding(as_of), members, available)
    return outcomes, allocations, books


@pytest.mark.parametrize("way", list(Way))
def test_cdnow_in_columns_is_cdnow_posted_one_by_one(columns, posted, way):
    outcomes, allocations, books = posted
    done = replay_by(columns, way)
    assert (done.outcome == outcomes).all()
    found = defaultdict(tuple)
    for event, lot, points in zip(done.event.tolist(), done.lot.tolist(), done.points.tolist(), strict=True):
        found[event] += ((lot, points),)
    assert dict(found) == allocations
    for as_of, (funding, members, available) in books.items():
        assert done.funding(as_of) == funding
        balances = done.balances(as_of)
        assert balances["member"].tolist() == members
        assert balances["available"].tolist() == available
