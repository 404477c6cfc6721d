"""Which workers a cluster has."""

import dask
from distributed import Client, LocalCluster

from volkit.engine.workers import workers_of


def test_workers_are_told_while_the_client_polls_for_a_summary_without_them() -> None:
    with (
        dask.config.set({"distributed.client.scheduler-info-interval": "2ms"}),
        LocalCluster(
            n_workers=7, processes=False, threads_per_worker=1, dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(7)
        assert [len(workers_of(client)) for _ in range(200)] == [7] * 200
        assert {worker["nthreads"] for worker in workers_of(client).values()} == {1}
