"""Dask's executor gives the same bytes: a cluster is really started."""

import pytest
from plans import PLAN

from userops.simulation import Plan


@pytest.mark.filterwarnings("ignore")  # the cluster warns of what it finds on the machine
def test_a_cluster_gives_the_same_bytes():
    distributed = pytest.importorskip("distributed", reason="the package distributed is not installed")
    plan = Plan.load(PLAN)
    alone = plan.simulate(seed=3, replications=41, sample=200)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        there = plan.simulate(seed=3, replications=41, sample=200, executor=client.get_executor(pure=False))
    for name, values in alone.data.items():
        assert values.tobytes() == there.data[name].tobytes()
