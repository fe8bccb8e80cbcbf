"""Tasks: the same bytes in any executor, and what is left when one breaks off."""

import os
import signal
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest
from plans import PLAN, bytes_of

from userops.errors import InvalidValue
from userops.simulation import Plan, SimulationFailed


def test_the_same_seed_gives_the_same_bytes_with_any_executor():
    plan = Plan.load(PLAN)
    alone = bytes_of(plan.simulate(seed=3, replications=14, sample=600))
    assert alone == bytes_of(plan.simulate(seed=3, replications=14, sample=600))
    with ThreadPoolExecutor(2) as pool:
        assert alone == bytes_of(plan.simulate(seed=3, replications=14, sample=600, executor=pool))
    assert alone != bytes_of(plan.simulate(seed=4, replications=14, sample=600))


def test_processes_give_the_same_bytes():
    plan = Plan.load(PLAN)
    alone = bytes_of(plan.simulate(seed=3, replications=14, sample=600))
    for workers in (1, 2):
        with ProcessPoolExecutor(workers) as pool:
            assert alone == bytes_of(plan.simulate(seed=3, replications=14, sample=600, executor=pool))


def test_stopping_keeps_what_is_done_and_says_so():
    def stop(done, total):
        if done >= 12:
            raise KeyboardInterrupt

    forecast = Plan.load(PLAN).simulate(seed=1, replications=40, sample=600, progress=stop)
    assert not forecast.is_whole
    assert 12 <= forecast.replications < 40
    assert "PARTIAL" in str(forecast)


def test_a_broken_executor_is_a_clear_error():
    class Broken:
        def submit(self, _function, *_arguments):
            from concurrent.futures import Future

            future = Future()
            future.set_exception(RuntimeError("the worker died"))
            return future

    with pytest.raises(SimulationFailed, match="replications 0 to"):
        Plan.load(PLAN).simulate(seed=1, replications=4, sample=100, executor=Broken())


def _die(_task):
    os._exit(3)


class Dying(ProcessPoolExecutor):
    """A pool one of whose workers is gone in the middle of the run."""

    def submit(self, function, *arguments):
        self.count = getattr(self, "count", 0) + 1
        return super().submit(_die if self.count == 3 else function, *arguments)


def test_a_worker_that_dies_midway_is_a_clear_error():
    plan = Plan.load(PLAN)
    with Dying(2) as pool, pytest.raises(SimulationFailed, match="the executor broke off at replications"):
        plan.simulate(seed=1, replications=60, sample=600, executor=pool)
    # A pool that is closed takes no task: the same error, and not the pool's own.
    with pytest.raises(SimulationFailed, match="run again with another executor"):
        plan.simulate(seed=1, replications=60, sample=600, executor=pool)


def test_ctrl_c_with_a_pool_of_processes_leaves_what_is_done():
    """The signal itself, as a terminal sends it to the process that waits for its workers."""
    plan, done = Plan.load(PLAN), []

    def interrupt(count, _total):
        done.append(count)
        if count >= 12:
            signal.raise_signal(signal.SIGINT)

    with ProcessPoolExecutor(2) as pool:
        forecast = plan.simulate(seed=3, replications=400, sample=600, executor=pool, progress=interrupt)
    assert not forecast.is_whole
    assert 12 <= forecast.replications < 400
    text = " ".join(str(forecast).split())
    assert f"PARTIAL: stopped after {forecast.replications} of 400 replications" in text
    # What is there is what a whole run of so many replications gives.
    alone = plan.simulate(seed=3, replications=forecast.replications, sample=600)
    assert bytes_of(alone) == bytes_of(forecast)


@pytest.mark.parametrize("more", [{"executor": "pool"}, {"progress": 3}, {"executor": ProcessPoolExecutor}])
def test_executors_and_progress_are_checked_before_the_run(more):
    if more.get("executor") is ProcessPoolExecutor:
        with pytest.raises(SimulationFailed):
            Plan.load(PLAN).simulate(seed=1, replications=2, sample=50, **more)
        return
    with pytest.raises(InvalidValue, match=next(iter(more))):
        Plan.load(PLAN).simulate(seed=1, replications=2, sample=50, **more)
