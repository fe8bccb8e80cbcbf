"""The command line: parse, call, print. Exit codes: 0 done, 1 something is wrong with the input, 2 usage."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from userops.errors import InvalidValue, PlanError, UseropsError

if TYPE_CHECKING:
    from userops.points import Ledger
    from userops.program import Decision, Program

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code. Errors are lines on standard error, never a traceback."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        return int(given.run(given))
    except PlanError as faults:
        print(f"userops: {faults}", file=sys.stderr)
    except (UseropsError, OSError) as fault:
        print(f"userops: {fault}", file=sys.stderr)
    except KeyboardInterrupt:
        print("userops: interrupted", file=sys.stderr)
        return INTERRUPTED
    return 1


def _parser() -> argparse.ArgumentParser:
    from userops import __version__

    parser = argparse.ArgumentParser(
        prog="userops", description="User operations: one program file, run live, replayed or simulated."
    )
    parser.add_argument("--version", action="version", version=f"userops {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    check = commands.add_parser("check", help="read a program file and say what it promises, or its faults")
    check.add_argument("program", type=Path, metavar="PROGRAM")
    check.set_defaults(run=_check)

    replay = commands.add_parser("replay", help="run the events of a CSV file through a program")
    replay.add_argument("program", type=Path, metavar="PROGRAM")
    replay.add_argument("events", type=Path, metavar="EVENTS.csv")
    replay.add_argument("--ledger", metavar="FILE.db", help="keep the ledger in this file (default: memory)")
    replay.set_defaults(run=_replay)

    score = commands.add_parser("nps", help="score the answers in a column of a CSV file, with an interval")
    score.add_argument("file", type=Path, metavar="FILE.csv")
    score.add_argument("--score", required=True, metavar="COLUMN")
    score.add_argument(
        "--by", metavar="COLUMN", help="a row per value of this column, and all pairs compared"
    )
    score.add_argument("--weight", metavar="COLUMN")
    score.add_argument(
        "--scale", choices=("0-10", "1-10", "1-5", "1-6"), default="0-10", help="default: %(default)s"
    )
    score.add_argument("--exclude", action="store_true", help="set invalid answers aside and count them")
    score.set_defaults(run=_nps)

    simulate = commands.add_parser("simulate", help="forecast a points budget from a plan file")
    simulate.add_argument("plan", type=Path, metavar="PLAN")
    simulate.add_argument("--replications", type=_count, default=200, help="default: %(default)s")
    simulate.add_argument("--sample", type=_count, default=2_000, help="members drawn per group: %(default)s")
    simulate.add_argument("--seed", type=_count, default=7, help="default: %(default)s")
    simulate.add_argument(
        "--out", type=Path, metavar="FILE.html", help="also write a report that opens offline"
    )
    simulate.add_argument(
        "--workers",
        type=_count,
        metavar="N",
        help="processes; the figures are the same (default: one a core)",
    )
    simulate.set_defaults(run=_simulate)
    return parser


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a whole number")
    return int(text)


def _check(given: argparse.Namespace) -> int:
    from userops.core.tables import Table
    from userops.program import Program

    program = Program.load(given.program)
    print(f"Program {program.name!r} is sound; its days turn in {program.timezone}.\n")
    rules = [
        {
            "rule": rule.name,
            "on": rule.on,
            "fund": rule.fund,
            "at most": rule.greatest_grant(),
            "caps": "; ".join(limit.describe() for limit in rule.limits) or None,
        }
        for rule in program.earn
    ]
    print(Table.of_rows(rules, ["rule", "on", "fund", "at most", "caps"], title="Earn rules"))
    if program.ladder is not None:
        steps = ", ".join(tier.name for tier in program.ladder.tiers)
        print(f"\nTiers by {program.value_currency}: {steps}.")
    if program.scheme is not None:
        pots = ", ".join(f"{kind} {points:,}" for kind, points in program.scheme.milestones.items())
        print(f"\nReferral, from fund {program.scheme.fund}: {pots}.")
    worst = program.worst_case(members=1_000, events=1_000_000)
    rows = [{"fund": fund, "points": points} for fund, points in worst.items()]
    title = "\nWorst case in a year of 1,000 members and 1,000,000 events"
    print(Table.of_rows(rows, ["fund", "points"], title=title))
    return 0


def _replay(given: argparse.Namespace) -> int:
    from userops.points import Ledger
    from userops.program import Program, read_events

    program = Program.load(given.program)
    events = read_events(given.events)
    with Ledger.open(given.ledger) if given.ledger else Ledger.in_memory() as ledger:
        with _Progress("events") as progress:
            decisions = program.run(events, ledger, progress=progress)
        _print_replay(program, ledger, decisions)
        return 1 if ledger.audit() else 0


def _print_replay(program: Program, ledger: Ledger, decisions: list[Decision]) -> None:
    from userops.core.tables import Table

    members = {decision.event.member for decision in decisions}
    print(f"{len(decisions):,} events of {len(members):,} members, by program {program.name!r}.\n")
    tally: Counter[tuple[str, str]] = Counter()
    given: Counter[str] = Counter()
    for decision in decisions:
        for outcome in decision.outcomes:
            tally[(outcome.rule, outcome.status.value)] += 1
            given[outcome.rule] += outcome.given
    statuses = ("fired", "capped", "not", "refused")
    rules = [
        {"rule": rule, "points": points, **{status: tally[(rule, status)] for status in statuses}}
        for rule, points in given.items()
    ]
    print(Table.of_rows(rules, ["rule", "points", *statuses], title="Rules"))
    if decisions:
        at = max(decision.event.at for decision in decisions)
        names = ["fund", "currency", "issued", "redeemed", "expired", "clawed_back", "outstanding", "debt"]
        rows = [{name: getattr(row, name) for name in names} for row in ledger.funding(at)]
        print(Table.of_rows(rows, names, title=f"\nFunds at {at.astimezone(program.tz).isoformat()}"))
    findings = ledger.audit()
    print(f"\nAudit: {f'{len(findings)} findings' if findings else 'sound'}.")
    for finding in findings[:20]:
        print(f"  {finding.kind} {finding.where}: {finding.message}")


def _nps(given: argparse.Namespace) -> int:
    from userops.nps import nps_of_csv
    from userops.nps.reports import SCALES

    invalid = "exclude" if given.exclude else "raise"
    scale = SCALES[given.scale]
    found = nps_of_csv(
        given.file, score=given.score, by=given.by, weight=given.weight, scale=scale, invalid=invalid
    )
    print(found)
    if given.by is not None:
        print(f"\n{found.comparison_table()}")  # type: ignore[union-attr]
    return 0


def _simulate(given: argparse.Namespace) -> int:
    from userops.simulation import Plan

    plan = Plan.load(given.plan)
    if given.out is not None:
        _check_writable(given.out)
    with _Progress("replications") as progress, _workers(given.workers) as executor:
        forecast = plan.simulate(
            replications=given.replications,
            seed=given.seed,
            sample=given.sample,
            progress=progress,
            executor=executor,
        )
    print(forecast)
    if given.out is not None:
        forecast.report(given.out)
        print(f"\nThe report is in {given.out}.")
    return 0


def _check_writable(path: Path) -> None:
    """Refuse, before a long run, a path at which no report could be written after it."""
    why = ""
    if path.is_dir():
        why = "it is a folder"
    elif not path.parent.is_dir():
        why = f"there is no folder {path.parent}"
    elif not os.access(path if path.exists() else path.parent, os.W_OK):
        why = "you may not write there"
    if why:
        raise InvalidValue(f"the report cannot be written to {path}: {why}")


@contextlib.contextmanager
def _workers(asked: int | None) -> Iterator[Executor | None]:
    """Yield a pool of processes, or None for this process alone."""
    count = len(os.sched_getaffinity(0)) if asked is None and hasattr(os, "sched_getaffinity") else asked or 1
    if count == 1:
        yield None
        return
    pool = ProcessPoolExecutor(count, initializer=_leave_interrupts_to_the_parent)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_interrupts_to_the_parent() -> None:
    """Ignore Ctrl-C in a worker: a terminal sends it to all, and a worker cut off in a read hangs the pool."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Progress:
    """A bar on standard error where it is a terminal and the extra `progress` is there, else nothing."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._bar: Any = None

    def __enter__(self) -> Callable[[int, int], None]:
        return self._show

    def _show(self, done: int, total: int) -> None:
        if self._bar is None:
            try:
                from tqdm.auto import tqdm
            except ImportError:
                return
            self._bar = tqdm(total=total, unit=f" {self._unit}", disable=None, leave=False, file=sys.stderr)
        self._bar.update(done - self._bar.n)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
