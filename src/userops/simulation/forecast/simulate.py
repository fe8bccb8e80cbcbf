"""From a plan to a forecast: its replications run, here or in an executor, and put side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any

import numpy as np

from userops.core.files import Section, load
from userops.program import Program
from userops.simulation.forecast.figures import Setting
from userops.simulation.forecast.forecast import Forecast
from userops.simulation.inputs import (
    Run,
    Spec,
    group_names,
    heard_kinds,
    read_spec,
    rule_names,
    unit_costs,
    value_only_funds,
)
from userops.simulation.passes import FLOWS, RETURNED
from userops.simulation.replications import merged, run_tasks, tasks_of
from userops.simulation.rules import tier_names

_loaded: dict[str, Spec] = {}


def load_spec(content: tuple[Mapping[str, Any], Mapping[str, Any], Run]) -> Spec:
    """Read a plan's tables into what is simulated; a worker reads each plan once."""
    table, program_table, run = content
    key = repr(content)
    if key not in _loaded:
        _loaded.clear()
        program = Program.from_table(program_table)

        def build(root: Section) -> Spec | None:
            root.raw("program")
            return read_spec(root, program)

        spec = load(table, build, what="plan")
        assert spec is not None  # noqa: S101 — load raises where nothing was built
        spec.run = run
        _loaded[key] = spec
    return _loaded[key]


def make_forecast(
    plan: Any,
    seed: int,
    replications: int,
    sample: int | None,
    *,
    progress: Callable[[int, int], object] | None = None,
    executor: Executor | None = None,
    run: Run | None = None,
    is_free: bool = False,
) -> Forecast:
    """Run a plan's replications and gather their results; `is_free` lets no shared limit bind."""
    spec: Spec = plan.spec
    content = (dict(plan.table), dict(plan.program_table), run or Run())
    tasks = tasks_of(
        load_spec, content, spec, seed=seed, replications=replications, sample=sample, is_free=is_free
    )
    results, is_whole = run_tasks(tasks, executor=executor, progress=progress)
    setting = setting_of(spec, seed, sample, replications, is_whole=is_whole)
    # Funds of growth value pay nobody: a forecast is about the others.
    kept = [list(spec.program.funds).index(name) for name in setting.funds]
    return Forecast(
        setting=setting,
        data={name: merged(results, name)[..., kept] for name in (*FLOWS, RETURNED)},
        matured=merged(results, "matured")[..., kept],
        weights=merged(results, "weights"),
        rule_issued=merged(results, "rule_issued"),
        rule_refused=merged(results, "rule_refused"),
        active=merged(results, "active"),
        tiers=merged(results, "tiers"),
        unserved=merged(results, "unserved"),
        peaks={
            place: np.stack([one.peaks[k] for one in results])
            for place, k in enumerate(kept)
            if k in results[0].peaks
        },
        drawn={path: np.array([one.drawn[path] for one in results]) for path in results[0].drawn},
        bound=merged(results, "is_bound"),
    )


def setting_of(spec: Spec, seed: int, sample: int | None, replications: int, *, is_whole: bool) -> Setting:
    """Return what a forecast of a plan is made from."""
    hidden, costs = value_only_funds(spec), unit_costs(spec)
    funds = {name: fund for name, fund in spec.program.funds.items() if name not in hidden}
    places = [place for place, name in enumerate(spec.program.funds) if name not in hidden]
    stated = spec.redemption_rates or (None,) * len(costs)
    first = spec.clock.first_days[:-1]
    return Setting(
        name=spec.program.name,
        start=spec.span.start,
        timezone=spec.span.timezone,
        months=spec.span.months,
        funds=tuple(funds),
        rules=rule_names(spec),
        rule_funds=tuple(
            list(funds).index(one.fund) if one.currency == "points" else -1
            for one in (*spec.program.earn, *(() if spec.program.scheme is None else (spec.program.scheme,)))
        ),
        groups=group_names(spec),
        tiers=tier_names(spec.program) if spec.program.ladder is not None else (),
        unit_costs=tuple(float(costs[place]) for place in places),
        accounts=tuple(funds.values()),
        redemption_rates=tuple(stated[place] for place in places),
        budgets=tuple(
            None if fund.budget is None else (fund.budget.points, fund.budget.per) for fund in funds.values()
        ),
        seed=seed,
        sample=sample,
        asked_replications=replications,
        unheard=tuple(kind for kind in spec.kinds if kind not in heard_kinds(spec)),
        unasked=tuple(dict.fromkeys(r.name for r in spec.program.earn if r.on not in spec.kinds)),
        money=str(dict(spec.program.table.get("currencies", {}).get("points", {})).get("money", "")),
        uncertain=tuple(spec.uncertain),
        is_whole=is_whole,
        cash=None if spec.cash is None else (spec.cash.opening, spec.cash.per_month),
        periods={
            k: tuple(int(x) for x in spec.clock.periods[fund.budget.per][first])
            for k, fund in enumerate(funds.values())
            if fund.budget is not None
        },
    )
