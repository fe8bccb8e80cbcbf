"""Program files: every fault at once, each with its path, within bounds of time and size."""

import time

import pytest

from userops import PlanError, PlanFault
from userops.errors import UseropsError
from userops.program import Program

GOOD = """
schema = 1
name = "club"
timezone = "Asia/Shanghai"
[funds.f]
unit_cost = "0.10"
[[earn]]
name = "r"
on = "a"
points = 10
fund = "f"
cap = [{ times = 1 }]
"""


def faults(text):
    with pytest.raises(PlanError) as caught:
        Program.load(text)
    assert all(isinstance(fault, PlanFault) for fault in caught.value.exceptions)
    return {fault.path: fault.message for fault in caught.value.exceptions}


def test_the_good_one_loads():
    assert Program.load(GOOD).earn[0].name == "r"


@pytest.mark.parametrize(
    ("was", "is_", "path", "says"),
    [
        ("points = 10", "ponits = 10", "earn[0].ponits", "did you mean 'points'"),
        ("points = 10", "points = -1", "earn[0].points", "at least 1"),
        ("points = 10", "points = nan", "earn[0].points", "not"),
        ("points = 10", "points = 1" + "0" * 400, "earn[0].points", "at least"),
        ("points = 10", "points = true", "earn[0].points", "bool"),
        ("points = 10", "points = 1.0", "earn[0].points", "Decimal"),
        ("points = 10", "points = { per = 0, of = 'x' }", "earn[0].points.per", "more than 0"),
        ("points = 10", "points = { streak = [] }", "earn[0].points.streak", "list"),
        ("points = 10", "points = { table = {}, by = 'x' }", "earn[0].points.table", "at least one"),
        ('fund = "f"', 'fund = "g"', "earn[0].fund", "known: f"),
        ('fund = "f"', "", "earn[0].fund", "missing"),
        ("times = 1", "times = -1", "earn[0].cap[0].times", "at least 0"),
        ("times = 1", "times = 1, points = 1", "earn[0].cap[0]", "either times or points"),
        ("times = 1", "times = 1, per = 'fortnight'", "earn[0].cap[0].per", "known"),
        ("times = 1", "shared = 'x'", "earn[0].cap[0].shared", "not known"),
        ("cap = [{ times = 1 }]", "", "earn[0]", "nothing bounds how often"),
        ("points = 10", "points = { of = 'amount' }", "earn[0]", "one grant has no bound"),
        ("points = 10", "points = 10\nwhen = { amount = { '=>' = 1 } }", "earn[0].when", "did you mean"),
        ("points = 10", "points = 10\nfrom = 2027-02-30", "", "not TOML"),
        ("points = 10", "points = 10\nfrom = 2027-02-01\nuntil = 2027-01-01", "earn[0].until", "after from"),
        ("points = 10", "points = 10\nexpires = { months = 1, days = 1 }", "earn[0].expires", "exactly one"),
        ("points = 10", "points = 10\nexpires = { calendar = '13-01' }", "earn[0].expires", "month and day"),
        (
            "cap = [{ times = 1 }]",
            "cap = [{ times = 1 }]\ngroup = 'g'\n[groups]\nother = 'all'",
            "earn[0].group",
            "not in [groups]",
        ),
        ("points = 10", "points = 10\nclawback = 'maybe'", "earn[0].clawback", "known"),
        ('unit_cost = "0.10"', "unit_cost = inf", "funds.f.unit_cost", "finite"),
        ('unit_cost = "0.10"', "unit_cost = 1e400000", "funds.f.unit_cost", "beyond"),
        ('unit_cost = "0.10"', "budget = { points = 1, per = 'aeon' }", "funds.f.budget.per", "known"),
        ("Asia/Shanghai", "Asia/Shanghia", "timezone", "time zone"),
        ("schema = 1", "schema = 2", "schema", "schema 1"),
        ('name = "club"', "", "name", "missing"),
        ('name = "club"', 'name = "' + "x" * 101 + '"', "name", "101 bytes"),
        ("[[earn]]", "[earn]", "earn", "list of tables"),
        ("[funds.f]", "[fund.f]", "fund", "unknown key"),
    ],
)
def test_a_fault_is_named_by_its_path(was, is_, path, says):
    found = faults(GOOD.replace(was, is_))
    assert path in found, found
    assert says in found[path]


def test_all_faults_come_at_once():
    text = GOOD.replace("points = 10", "points = -1").replace('fund = "f"', 'fund = "z"') + "bogus = 1\n"
    assert set(faults(text)) == {"earn[0].points", "earn[0].fund", "earn[0].bogus"}


@pytest.mark.parametrize(
    "text",
    [
        "not toml\n= =",
        "\x00\n",
        "a." * 30_000 + "b = 1\n",
        "x = " + "[" * 100_000 + "\n",
        "x = 0x" + "f" * 100_000 + "\n",
        "x = 1" + "0" * 100_000 + "\n",
        "x = '" + "a" * 300_000 + "'\n",
        GOOD + "".join(f"k{n} = 1\n" for n in range(5_000)),
        "\n".join(f"[a{n}]" for n in range(20_000)) + "\n",
        "[[earn]]\n" * 20_000,
        "\n",
    ],
)
def test_hostile_files_are_refused_soon(text):
    start = time.process_time()
    with pytest.raises(PlanError):
        Program.load(text)
    # A bound against quadratic readers, not a timing: honest ones take some 10 ms.
    assert time.process_time() - start < 5


def test_a_path_that_is_none(tmp_path):
    for path in (tmp_path / "none.toml", tmp_path, str(tmp_path / "none.toml")):
        with pytest.raises(PlanError):
            Program.load(path)
    (tmp_path / "latin.toml").write_bytes(b"name = '\xff'\n")
    with pytest.raises(PlanError):
        Program.load(tmp_path / "latin.toml")


@pytest.mark.parametrize("given", [None, 3, b"x", ["a"], True])
def test_what_is_neither_path_nor_text(given):
    with pytest.raises(UseropsError):
        Program.load(given)


def test_points_cannot_be_declared_as_not_spendable():
    # Every ledger has them from the start: such a program loaded, and no ledger could register it.
    found = faults(GOOD + "[currencies.points]\nspendable = false\n")
    assert "name another currency" in found["currencies.points.spendable"]
