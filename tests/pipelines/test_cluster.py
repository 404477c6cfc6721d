"""Where blocks run: what a person is told of it."""

from distributed import Scheduler, SpecCluster

from volkit.pipelines.cluster import ClusterOptions, LentCluster, workers


def test_the_dashboard_is_told_once() -> None:
    here = {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"}
    said: list[str] = []
    with SpecCluster(scheduler={"cls": Scheduler, "options": here}) as cluster:
        options = ClusterOptions(scheduler=cluster.scheduler_address)
        with workers(options, said.append) as client:
            assert said == [f"dashboard: {cluster.dashboard_link}"]
            with workers(LentCluster.of(options, client), said.append) as lent:
                assert lent is client
    assert len(said) == 1  # whoever lent it has told it
