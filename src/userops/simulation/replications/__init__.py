"""The replications of a plan, run here or in an executor; and a small one in full."""

from __future__ import annotations

from userops.simulation.replications.results import merged
from userops.simulation.replications.tasks import SimulationFailed, run_tasks, tasks_of
from userops.simulation.replications.trace import Trace, trace_of

__all__ = ["SimulationFailed", "Trace", "merged", "run_tasks", "tasks_of", "trace_of"]
