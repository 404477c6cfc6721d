"""Jobs through the commands of PBS: their wrappers before a real SLURM, which runs the jobs.

It is not PBS: what is tried is that the headers, the answers of qsub and qstat and the end of jobs
are understood.
"""

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from volkit.engine.base import Progress
from volkit.engine.cluster import ClusterOptions
from volkit.engine.cluster.jobs import job_client
from volkit.engine.job import JobEngine
from volkit.engine.op import Op
from volkit.errors import ConfigError
from volkit.geometry import Grid
from volkit.io.open import create_volume
from volkit.io.volume import Volume
from volkit.testing.blocks import NEIGHBOUR_SUM, traced_sum

pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("torque")]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Submit from a folder of its own, into which the wrappers put what jobs say."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def options(tmp_path: Path) -> ClusterOptions:
    return ClusterOptions(
        system="pbs",
        workers=2,
        memory_gib=0.5,
        queue="cpu",
        walltime="00:10:00",
        interface="lo",
        folder=str(tmp_path / "private"),
        scratch=str(tmp_path / "scratch"),
        adaptive=False,
    )


@pytest.fixture
def raw(tmp_path: Path) -> Volume:
    values = np.random.default_rng(7).integers(0, 9, (16, 16, 16), np.uint8)
    volume = create_volume(tmp_path / "raw.zarr", shape=values.shape, dtype=values.dtype)
    volume.write(volume.domain, values)
    return volume


def jobs(*states: str) -> list[str]:
    """Read the ids of jobs: the first word of a line, the state the fifth."""
    done = subprocess.run(["qstat"], capture_output=True, text=True, check=False)
    rows = [line.split() for line in done.stdout.splitlines()]
    return [row[0] for row in rows if len(row) == 6 and row[4] in states]


def test_a_deleted_job_costs_nothing_but_time(
    options: ClusterOptions, raw: Volume, tmp_path: Path
) -> None:
    grid, log = Grid(raw.domain, (4, 4, 8)), tmp_path / "blocks.log"
    op = Op(traced_sum, np.int64, (1, 1, 1), params={"log": str(log), "seconds": 0.3})
    deleted: list[str] = []

    def delete_one(progress: Progress) -> None:
        if progress.done >= 6 and not deleted:
            deleted.extend(jobs("R")[:1])
            subprocess.run(["qdel", *deleted], check=True)

    with job_client(options) as client:
        client.wait_for_workers(2, timeout=60)
        engine = JobEngine(tmp_path / "run", client, on_progress=delete_one)
        found = engine.map(op, raw, grid=grid, name="sum")
    expected = JobEngine(tmp_path / "calm").map(NEIGHBOUR_SUM, raw, grid=grid, name="sum")
    np.testing.assert_array_equal(found.read(), expected.read())
    assert len(deleted) == 1
    assert {int(line.split("|")[0]) for line in log.read_text().splitlines()} == set(range(32))
    assert not jobs("R", "Q")


def test_a_queue_that_is_not_there_is_named(options: ClusterOptions) -> None:
    with (
        pytest.raises(
            ConfigError, match=r"queue cpus: PBS has the queues .*cpu.*; did you mean cpu\?"
        ),
        job_client(replace(options, queue="cpus")),
    ):
        pass


def test_jobs_that_end_at_once_are_given_up(
    options: ClusterOptions, raw: Volume, tmp_path: Path
) -> None:
    broken = replace(options, workers=1, prologue=("exit 3",))
    grid = Grid(raw.domain, (8, 8, 8))
    with (
        job_client(broken) as client,
        pytest.raises(ConfigError, match=r"job \d+ ended before it became a worker \(C\)"),
    ):
        JobEngine(tmp_path / "run", client).map(NEIGHBOUR_SUM, raw, grid=grid, name="sum")
