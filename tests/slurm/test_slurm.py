"""Jobs on a real SLURM: killed and expired workers, GPUs beside CPUs, and what is refused."""

import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from volkit.engine.base import Progress
from volkit.engine.cluster import ClusterOptions
from volkit.engine.cluster.jobs import job_client
from volkit.engine.cluster.watch import CPU, Backlog, watch_of
from volkit.engine.job import JobEngine
from volkit.engine.op import Op
from volkit.errors import ConfigError
from volkit.geometry import Grid
from volkit.io.open import create_volume
from volkit.io.volume import Volume
from volkit.testing.blocks import NEIGHBOUR_SUM, traced_sum

pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("slurm")]


@pytest.fixture
def raw(tmp_path: Path) -> Volume:
    values = np.random.default_rng(7).integers(0, 9, (16, 16, 16), np.uint8)
    volume = create_volume(tmp_path / "raw.zarr", shape=values.shape, dtype=values.dtype)
    volume.write(volume.domain, values)
    return volume


@pytest.fixture
def options(tmp_path: Path) -> ClusterOptions:
    return ClusterOptions(
        system="slurm",
        workers=2,
        memory_gib=0.5,
        queue="cpu",
        walltime="00:10:00",
        interface="lo",
        folder=str(tmp_path / "private"),
        scratch=str(tmp_path / "scratch"),
        directives=("--no-requeue",),
    )


def traced(tmp_path: Path, name: str, *, seconds: float, needs_gpu: bool = False) -> Op:
    params = {"log": str(tmp_path / f"{name}.log"), "seconds": seconds}
    halo = (1, 1, 1)
    return Op(traced_sum, dtype=np.int64, halo=halo, params=params, needs_gpu=needs_gpu)


def trace(op: Op) -> list[list[str]]:
    lines = Path(op.params["log"]).read_text().splitlines()
    return [line.split("|") for line in lines]


def jobs() -> list[str]:
    done = subprocess.run(
        ["squeue", "-h", "-t", "RUNNING", "-o", "%i"], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_a_cancelled_job_and_a_walltime_cost_nothing_but_time(
    options: ClusterOptions, raw: Volume, tmp_path: Path
) -> None:
    op, grid = traced(tmp_path, "sum", seconds=0.8), Grid(raw.domain, (4, 4, 4))
    cancelled: list[str] = []

    def cancel_one(progress: Progress) -> None:
        if progress.done >= 8 and not cancelled:
            cancelled.extend(jobs()[:1])
            subprocess.run(["scancel", *cancelled], check=True)

    # Workers leave 21 s after they came, or a little sooner; the work takes two of them longer.
    short = replace(options, walltime="00:01:00", drain_minutes=0.65, adaptive=False)
    with job_client(short) as client:
        engine = JobEngine(tmp_path / "run", client, on_progress=cancel_one)
        found = engine.map(op, raw, grid=grid, name="sum")
    expected = JobEngine(tmp_path / "calm").map(NEIGHBOUR_SUM, raw, grid=grid, name="sum")
    np.testing.assert_array_equal(found.read(), expected.read())
    rows = trace(op)
    assert len(cancelled) == 1
    assert {int(number) for number, _, _ in rows} == set(range(len(grid)))
    assert len(rows) <= len(grid) + 8  # what was in flight when one was cancelled
    assert len({process for _, process, _ in rows}) >= 4  # two at first, and one for each lost
    assert not jobs()
    assert not list((tmp_path / "private").glob("*/tls"))
    assert not list((tmp_path / "scratch").iterdir())


def test_each_stage_runs_on_its_kind_of_worker(
    options: ClusterOptions, raw: Volume, tmp_path: Path
) -> None:
    grid = Grid(raw.domain, (8, 8, 8))
    network = traced(tmp_path, "network", seconds=0.5, needs_gpu=True)
    plain = traced(tmp_path, "plain", seconds=0.0)
    both = replace(options, workers=1, gpus=2, gpu_queue="gpu")
    with job_client(both) as client:
        engine = JobEngine(tmp_path / "run", client)
        engine.map(network, raw, grid=grid, name="network")
        kept = set(client.nthreads())
        engine.map(plain, raw, grid=grid, name="plain")
        assert kept <= set(client.nthreads())  # GPU workers are kept between stages
    assert {seen for _, _, seen in trace(network)} <= {"0", "1"}
    by_process = {process: seen for _, process, seen in trace(network)}
    assert len(set(by_process.values())) == len(by_process)  # each process its own GPU
    assert {seen for _, _, seen in trace(plain)} == {""}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"queue": "cpus"}, r"queue cpus: SLURM has the queues .*cpu.*; did you mean cpu\?"),
        ({"gpus": 3, "gpu_queue": "gpu"}, "gpus 3: the partition gpu has 2 on 1 nodes"),
        (
            {"workers": 0, "gpus": 1, "gpu_queue": "gpu", "walltime": "20:00:00"},
            "walltime 20:00:00: the partition gpu allows 1:00:00",
        ),
        ({"memory_gib": 1000.0}, "would not take the job of a CPU worker .*configuration"),
    ],
)
def test_what_slurm_would_refuse_is_said_first(
    options: ClusterOptions, changes: dict[str, Any], message: str
) -> None:
    with (
        pytest.raises(ConfigError, match=message),
        job_client(replace(options, **changes)),
    ):
        pass


def test_jobs_that_end_at_once_are_given_up_with_the_end_of_their_log(
    options: ClusterOptions, raw: Volume, tmp_path: Path
) -> None:
    broken = replace(options, workers=1, prologue=("echo module cuda is unknown >&2; exit 3",))
    grid = Grid(raw.domain, (8, 8, 8))
    with job_client(broken) as client:
        engine = JobEngine(tmp_path / "run", client)
        with pytest.raises(ConfigError, match="ended before it became a worker .*cuda is unknown"):
            engine.map(NEIGHBOUR_SUM, raw, grid=grid, name="sum")


def test_why_jobs_wait_is_said(options: ClusterOptions) -> None:
    said: list[str] = []
    closed = replace(options, queue="closed", workers=1)
    with job_client(closed, on_message=said.append) as client:
        watch_of(client).backlog = Backlog(CPU, 5)
        end = time.monotonic() + 20
        while not said and time.monotonic() < end:
            time.sleep(0.1)
    assert said == ["SLURM: 1 job waiting (PartitionDown)"]
