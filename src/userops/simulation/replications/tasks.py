"""Tasks: replications to be run here or in an executor, and what is left when one breaks off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any

from attrs import frozen

from userops.errors import UseropsError
from userops.simulation.inputs import Spec
from userops.simulation.replications.results import Result, block_of, run_replications


class SimulationFailed(UseropsError, RuntimeError):
    """A worker of the executor broke off; nothing of its part is known."""


@frozen
class Task:
    """Some replications of a plan, to be run anywhere."""

    load: Callable[[Any], Spec]
    content: Any
    seed: int
    replications: tuple[int, ...]
    sample: int | None
    #: Shared limits do not bind: what is asked is all that is wanted.
    is_free: bool = False

    def __call__(self) -> list[Result]:
        """Run them."""
        return run_replications(
            self.load(self.content), self.seed, self.replications, self.sample, is_free=self.is_free
        )


def run_task(task: Task) -> list[Result]:
    """Run a task; at the top of a module, so that worker processes find it."""
    return task()


def tasks_of(
    load: Callable[[Any], Spec],
    content: Any,
    spec: Spec,
    *,
    seed: int,
    replications: int,
    sample: int | None,
    is_free: bool = False,
) -> list[Task]:
    """Cut replications into tasks whose size does not depend on how many workers there are."""
    rows = 0.0
    for group in spec.groups:
        total = group.members + group.joins.mean() * spec.span.months
        rows += total if sample is None else min(total, sample)
    each = int(max(1, min(64, block_of(spec) // max(1.0, rows))))
    return [
        Task(load, content, seed, tuple(range(low, min(low + each, replications))), sample, is_free)
        for low in range(0, replications, each)
    ]


def run_tasks(
    tasks: Sequence[Task],
    *,
    executor: Executor | None,
    progress: Callable[[int, int], object] | None,
) -> tuple[list[Result], bool]:
    """Run tasks here or in an executor; return the results, and whether they were all run.

    Ctrl-C ends the run and keeps what is done. A worker that dies ends it with `SimulationFailed`.
    """
    total = sum(len(task.replications) for task in tasks)
    results: list[Result] = []
    if progress is not None:
        progress(0, total)
    futures: list[Any] = []
    try:
        futures = [] if executor is None else [_submitted(executor, task) for task in tasks]
        for place, task in enumerate(tasks):
            results += _result_of(task, futures[place] if futures else None)
            if progress is not None:
                progress(len(results), total)
    except KeyboardInterrupt:
        for future in futures:
            future.cancel()
        if not results:
            raise
        return results, False
    except BaseException:
        for future in futures:
            future.cancel()
        raise
    return results, True


def _submitted(executor: Executor, task: Task) -> Any:
    try:
        return executor.submit(run_task, task)
    except Exception as fault:
        raise _broken(task, fault) from fault


def _broken(task: Task, fault: Exception) -> SimulationFailed:
    first, last = task.replications[0], task.replications[-1]
    return SimulationFailed(
        f"the executor broke off at replications {first} to {last}: {type(fault).__name__}: {fault}; "
        "run again with another executor, or with none"
    )


def _result_of(task: Task, future: Any) -> list[Result]:
    if future is None:
        return task()
    try:
        found: list[Result] = future.result()
    except UseropsError:
        raise
    except Exception as fault:
        raise _broken(task, fault) from fault
    return found
