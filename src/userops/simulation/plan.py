"""The plan: a program, a population and what it does, simulated into a forecast."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any

from attrs import field, frozen

from userops.core.amounts import whole
from userops.core.chance import check_seed
from userops.core.files import Section, did_you_mean, load, parse, read_text
from userops.core.ids import text
from userops.core.quantities import shown
from userops.errors import InvalidValue, PlanError, PlanFault
from userops.program import Program
from userops.simulation.forecast import Forecast, make_forecast
from userops.simulation.inputs import Spec, number, read_spec, turned, without_events
from userops.simulation.replications import Trace, trace_of
from userops.simulation.studies import (
    BreakingPoint,
    Comparison,
    PointsRun,
    Solution,
    find_breaking_point,
    solve_for,
    stressed,
)

Progress = Callable[[int, int], object] | None
#: More than anybody waits for: a slip of the keyboard is told at once.
MAX_REPLICATIONS, MAX_TRACED = 10_000_000, 1_000_000


@frozen(kw_only=True)
class Plan:
    """A plan file, read and checked: what is simulated, and under which program."""

    program: Program
    #: The plan's and the program's tables, as their files have them.
    table: Mapping[str, Any] = field(repr=False, hash=False, eq=False)
    program_table: Mapping[str, Any] = field(repr=False, hash=False, eq=False)
    spec: Spec = field(repr=False, hash=False, eq=False)

    @classmethod
    def load(cls, path_or_text: str | Path) -> Plan:
        """Read a plan from a file, or from text with a newline; one `PlanError` carries every fault.

        `program` is the path of the program's file, from the folder of the plan, or a table with the program
        itself. A fund that no rule pays from is a fault: a forecast of it would say that it is safe. (`with_`
        may leave one, as when it moves a rule to another fund.)
        """
        text, path = read_text(path_or_text, what="plan")
        table = parse(text, what="plan")
        program = table.get("program")
        if isinstance(program, str):
            folder = Path() if path is None else path.parent
            inner, _ = read_text(folder / program, what="program")
            return _with_used_funds(cls.from_tables(table, parse(inner, what="program")))
        if not isinstance(program, dict):
            raise PlanError(
                "the plan has 1 fault", [PlanFault("program", "give the program's file, or its table")]
            )
        return _with_used_funds(cls.from_tables(table, program))

    @classmethod
    def from_tables(cls, table: Mapping[str, Any], program_table: Mapping[str, Any]) -> Plan:
        """Build a plan from the tables of its two files."""
        program = Program.from_table(program_table)
        spec = load(table, partial(_build, program=program), what="plan")
        assert spec is not None  # noqa: S101 — load raises where nothing was built
        return cls(program=program, table=table, program_table=program_table, spec=spec)

    def with_(self, **changes: Any) -> Plan:
        """Return this plan with knobs turned: `plan.with_(**{"earn.delivery.points": 20_000})`."""
        return Plan.from_tables(*turned(self.table, self.program_table, changes))

    def with_new(self, **changes: Any) -> Plan:
        """Return this plan with values set, also of kinds of events that it did not name yet."""
        return Plan.from_tables(*turned(self.table, self.program_table, changes, is_new=True))

    def simulate(
        self,
        *,
        seed: int,
        replications: int = 200,
        sample: int | None = 2_000,
        progress: Progress = None,
        executor: Executor | None = None,
    ) -> Forecast:
        """Run the plan `replications` times and return the forecast.

        `sample` members are drawn per group and replication and scaled up, shared limits with them; None runs
        all. `progress(done, total)` is called as replications end. The same plan and seed give the same bytes
        with any executor. Ctrl-C ends the run with what is done, and the forecast says so.
        """
        count = whole(replications, "replications", at_least=1, at_most=MAX_REPLICATIONS)
        size = None if sample is None else whole(sample, "sample", at_least=1)
        if executor is not None and not callable(getattr(executor, "submit", None)):
            raise InvalidValue(
                f"executor must have a submit(), as the pools of concurrent.futures have, not {type(executor).__name__}"
            )
        if progress is not None and not callable(progress):
            raise InvalidValue(f"progress must be a function of (done, total), not {type(progress).__name__}")
        return make_forecast(self, check_seed(seed), count, size, progress=progress, executor=executor)

    def without_events(self, kept: Collection[str]) -> Plan:
        """Return this plan with events of these kinds only; what is drawn for them stays the same."""
        table = without_events(self.table, kept)
        return Plan.from_tables(table, self.program_table)

    def compare(
        self,
        variants: Mapping[str, Plan],
        *,
        seed: int = 1,
        replications: int = 200,
        sample: int | None = 2_000,
        executor: Executor | None = None,
    ) -> Comparison:
        """Forecast variants under the same chance, and return them side by side with paired differences."""
        if not isinstance(variants, Mapping) or not variants:
            raise InvalidValue("give the variants to compare as {name: plan}")
        for name, plan in variants.items():
            if not isinstance(plan, Plan):
                raise InvalidValue(f"variant {shown(name)} is not a Plan")
            if plan.spec.span.months != next(iter(variants.values())).spec.span.months:
                raise InvalidValue("variants are compared over the same number of months")
        return Comparison(
            {
                text(name, "a variant's name"): plan.simulate(
                    seed=seed, replications=replications, sample=sample, executor=executor
                )
                for name, plan in variants.items()
            }
        )

    def solve(
        self,
        path: str,
        *,
        fund: str,
        over_budget_at_most: float,
        seed: int = 1,
        replications: int = 400,
        sample: int | None = 2_000,
    ) -> Solution:
        """Return the largest whole grant at which the chance to be over budget stays within a promise."""
        at_most = number(over_budget_at_most, "over_budget_at_most")
        if not 0 <= at_most < 1:
            raise InvalidValue("over_budget_at_most must be at least 0 and below 1")
        self.with_(**{text(path, "path"): 1})
        if not (path.startswith("earn.") and path.endswith(".points")):
            raise InvalidValue(
                f"solve looks for whole points: path must be earn.<rule>.points, not {path[:80]!r}"
            )
        return solve_for(
            self,
            path,
            fund=fund,
            at_most=at_most,
            seed=check_seed(seed),
            replications=whole(replications, "replications", at_least=1, at_most=MAX_REPLICATIONS),
            sample=sample,
        )

    def stress(
        self, run: PointsRun, *, seed: int = 1, replications: int = 200, sample: int | None = 2_000
    ) -> Forecast:
        """Return the forecast under a run on points."""
        count = whole(replications, "replications", at_least=1, at_most=MAX_REPLICATIONS)
        return stressed(self, run, seed=check_seed(seed), replications=count, sample=sample)

    def breaking_point(
        self,
        *,
        cash_floor: float,
        month: int | None = None,
        notice_days: int = 30,
        at_most: float = 0.05,
        seed: int = 1,
        replications: int = 200,
        sample: int | None = 2_000,
    ) -> BreakingPoint:
        """Return how large a run on points takes the cash below `cash_floor`, in money.

        `month` defaults to the one with the largest liability; the floor may be broken in `at_most` of the
        replications.
        """
        return find_breaking_point(
            self,
            cash_floor=number(cash_floor, "cash_floor"),
            month=None if month is None else whole(month, "month", at_least=1),
            notice_days=whole(notice_days, "notice_days", at_least=0),
            at_most=_share(at_most, "at_most"),
            seed=check_seed(seed),
            replications=whole(replications, "replications", at_least=1, at_most=MAX_REPLICATIONS),
            sample=sample,
        )

    def trace(self, *, members: int, seed: int) -> Trace:
        """Simulate a small population in full: its events, and its figures to the point."""
        return trace_of(
            self.spec,
            members=whole(members, "members", at_least=1, at_most=MAX_TRACED),
            seed=check_seed(seed),
        )


def _with_used_funds(plan: Plan) -> Plan:
    """Return a plan as it is, refusing one with a fund that no rule pays from."""
    program = plan.program
    used = {rule.fund for rule in program.earn} | ({program.scheme.fund} if program.scheme else set())
    faults = [
        PlanFault(f"program.funds.{name}", f"no rule uses this fund{did_you_mean(name, used)}")
        for name in plan.program_table.get("funds", {})
        if name not in used
    ]
    if faults:
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise PlanError(f"the plan has {count}", faults)
    return plan


def _share(value: object, name: str) -> float:
    found = number(value, name)
    if not 0 <= found <= 1:
        raise InvalidValue(f"{name} must be between 0 and 1, not {found:g}")
    return found


def _build(root: Section, *, program: Program) -> Spec | None:
    root.raw("program")
    return read_spec(root, program)
