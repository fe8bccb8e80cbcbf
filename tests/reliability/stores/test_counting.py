"""Every hunt prints its counts, where the evidence page says that they are to be looked for."""

import ast
from pathlib import Path

HUNTS = (
    "test_faults", "test_hammer", "test_kills", "test_one_contract", "test_one_id", "test_power", "test_tampering",
    "test_unreadable",
)  # fmt: skip


def test_counts_are_printed_with_their_prefix(counted, capsys):
    counted(attacks=7, missed=0)
    line = capsys.readouterr().out
    assert line.startswith("[evidence] attacks=7, missed=0 (")
    assert line.endswith(" s)\n")


def test_every_hunt_counts():
    for name in HUNTS:
        tree = ast.parse((Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8"))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        assert any(getattr(call.func, "id", "") == "counted" and call.keywords for call in calls), name
