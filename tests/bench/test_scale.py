"""The simulation and the cases with many blocks run and count; no test asks how fast."""

import heapq
import json
from pathlib import Path

import numpy as np
import pytest

from volkit.bench import engine_costs, many_blocks, scale, scaling
from volkit.bench.harness import run_bench
from volkit.bench.scale_model import Site, Work, simulate, stops_scaling
from volkit.engine.ledger import Ledger
from volkit.errors import ConfigError

_FAST = Site(
    worker_bytes_per_second=1e15,
    storage_bytes_per_second=1e15,
    tasks_per_second=1e9,
    failing=0.0,
    death_hours=1e9,
    walltime_hours=1e9,
    joining_per_second=1e9,
)


def work(blocks: int, seconds: float = 10.0, megabytes: float = 40.0) -> Work:
    return Work("network", blocks, np.full(100, seconds), megabytes * 1e6)


def played(seconds: np.ndarray, workers: int) -> float:
    """Play every block: the next one goes to whoever is free first."""
    free = [0.0] * workers
    for each in seconds:
        heapq.heapreplace(free, free[0] + each)
    return max(free)


@pytest.mark.parametrize("workers", [3, 40])
def test_the_model_agrees_with_blocks_played_one_by_one(workers: int) -> None:
    rng = np.random.default_rng(1)
    seconds = rng.lognormal(2.0, 0.4, 8000)
    point = simulate((Work("stage", len(seconds), seconds, 1.0),), _FAST, workers)
    assert point.seconds == pytest.approx(played(seconds, workers), rel=0.02)
    assert point.limit == "workers"
    assert 0.95 < point.efficiency <= 1


def test_each_resource_limits_where_it_is_scarce() -> None:
    stage = work(10**6)
    assert simulate((stage,), Site(), 10).limit == "workers"
    slow_store = Site(storage_bytes_per_second=1e8)
    point = simulate((stage,), slow_store, 1000)
    assert point.limit == "storage"
    assert point.bytes_per_second == pytest.approx(1e8, rel=0.02)
    assert simulate((stage,), Site(tasks_per_second=5.0), 1000).limit == "scheduler"
    assert simulate((stage,), Site(worker_bytes_per_second=1e6), 10).limit == "worker links"
    assert simulate((work(1000),), Site(joining_per_second=1e6), 1000).limit in (
        "workers",
        "last blocks",
    )


def test_more_workers_stop_helping_where_a_resource_is_used_up() -> None:
    stage, site = work(10**6), Site(storage_bytes_per_second=400e6, tasks_per_second=50.0)
    stops = stops_scaling(stage, site)
    assert stops["storage"] == pytest.approx(100, rel=0.02)
    assert stops["scheduler"] == pytest.approx(500, rel=0.02)
    below, above = (simulate((stage,), site, n).seconds for n in (50, 150))
    assert below > 1.4 * above
    assert simulate((stage,), site, 200).seconds == pytest.approx(above, rel=0.01)


def test_failures_and_deaths_cost() -> None:
    stage = work(10**6)
    calm = simulate((stage,), _FAST, 100).seconds
    failing = Site(**{**fields_of(_FAST), "failing": 0.2})
    dying = Site(**{**fields_of(_FAST), "death_hours": 1.0, "away_seconds": 360.0})
    assert simulate((stage,), failing, 100).seconds == pytest.approx(calm / 0.8, rel=0.01)
    assert simulate((stage,), dying, 100).seconds == pytest.approx(calm * 1.101, rel=0.01)


def fields_of(site: Site) -> dict[str, float]:
    return {name: getattr(site, name) for name in Site.__slots__}


@pytest.mark.parametrize(
    ("change", "message"),
    [({"failing": 1.0}, "failing"), ({"tasks_per_second": 0.0}, "tasks_per_second: rates")],
)
def test_impossible_machines_are_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Site(**change)


def test_nothing_to_simulate_is_refused() -> None:
    with pytest.raises(ConfigError, match="0 workers and 1 stages"):
        simulate((work(1),), Site(), 0)
    with pytest.raises(ConfigError, match="times above 0"):
        work(1, seconds=0.0)


def test_the_bench_prints_a_row_for_each_number_of_workers() -> None:
    report = run_bench("scale", quick=True)
    table = report.as_table()
    assert [row[0] for row in table[:4]] == ["10", "100", "1,000", "4,000"]
    assert all(len(row) == len(report.header) for row in table)
    found = json.loads(report.to_json())
    assert [point["workers"] for point in found["points"]] == [10, 100, 1000, 4000]
    times = [point["seconds"] for point in found["points"]]
    assert times == sorted(times, reverse=True)
    with pytest.raises(ConfigError, match="leave it out"):
        run_bench("kernels", run="somewhere")


def test_a_run_gives_its_stages_and_times(tmp_path: Path) -> None:
    with engine_costs._chain(3) as chain:
        chain.run(tmp_path / "run", last=4)
        stages = scale.work_of(str(tmp_path / "run"), voxels=27 * 8**3 * 1000)
        assert [stage.name for stage in stages] == ["first", "second", "last"]
        assert all(stage.blocks == 27_000 and len(stage.seconds) == 27 for stage in stages)
        assert all(stage.bytes_each == pytest.approx(2 * 8**3) for stage in stages)
        assert len(run_bench("scale", run=str(tmp_path / "run")).as_table()) == 7
    with pytest.raises(ConfigError, match="no finished blocks"):
        scale.work_of(str(tmp_path / "other"))


def test_a_changed_last_stage_computes_its_blocks_alone() -> None:
    with engine_costs._chain(3) as chain:
        assert chain.change_last() == {"last": 27}
        assert chain.run_new() == {"first": 27, "second": 27, "last": 27}


def test_a_hundred_million_blocks_are_planned(tmp_path: Path) -> None:
    assert many_blocks.plan(464, tmp_path) == 464**3


def test_resuming_finds_nothing_missing_where_all_is_finished() -> None:
    with many_blocks._finished(2500) as folder:
        assert many_blocks.resume(folder, blocks=2500) == 0
        Ledger.open(folder, {"bench": "resume"}, 2500).unmark([7, 8])
        assert many_blocks.resume(folder, blocks=2500) == 2


def test_empty_blocks_and_blocks_that_compute_on_a_cluster() -> None:
    with scaling._workers(2) as workers:
        empty = many_blocks.Empty(workers.client, workers.folder / "empty")
        assert empty.run(3000) == 3000
        assert sum(empty.batches) == 3000
        assert max(empty.batches) <= 256
        assert empty.run_bare() == 3000
        assert empty.most[0] > 0
        assert workers.run(12) == 12
