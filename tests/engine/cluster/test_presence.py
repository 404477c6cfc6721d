"""A scheduler that somebody else keeps loses all its workers: real processes, real kills."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any

import numpy as np
import pytest

from volkit.engine.base import Progress
from volkit.engine.cluster import connected_client
from volkit.engine.job import JobEngine
from volkit.engine.op import Op
from volkit.errors import SourceError
from volkit.geometry import Grid
from volkit.io.open import create_volume
from volkit.io.volume import Volume
from volkit.testing.blocks import NEIGHBOUR_SUM, traced_sum
from volkit.testing.chaos.processes import Processes, wait_until

WORKER = ("--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1", "--no-nanny")


class External:
    """A scheduler and workers, each a process that this test started."""

    def __init__(self, folder: Path) -> None:
        self.processes = Processes(folder, {})
        here = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        scheduler = self.processes.start("distributed.cli.dask_scheduler", *here)
        assert wait_until(lambda: "Scheduler at:" in self.processes.said(scheduler), seconds=30)
        said = self.processes.said(scheduler)
        self.address = said.partition("Scheduler at:")[2].split()[0]
        self.workers: list[Popen[bytes]] = []

    def start(self, *options: str) -> None:
        module = "distributed.cli.dask_worker"
        self.workers.append(self.processes.start(module, self.address, *WORKER, *options))

    def kill_workers(self) -> None:
        self.processes.kill(self.workers)
        self.workers.clear()


@pytest.fixture
def external(tmp_path: Path) -> Iterator[External]:
    made = External(tmp_path)
    try:
        yield made
    finally:
        made.processes.end_all()


@pytest.fixture
def raw(tmp_path: Path) -> Volume:
    values = np.random.default_rng(7).integers(0, 9, (8, 8, 16), np.uint8)
    volume = create_volume(tmp_path / "raw.zarr", shape=values.shape, dtype=values.dtype)
    volume.write(volume.domain, values)
    return volume


def slow_sum(tmp_path: Path, *, needs_gpu: bool = False) -> Op:
    params = {"log": str(tmp_path / "blocks.log"), "seconds": 0.1}
    return Op(traced_sum, np.int64, (1, 1, 1), params=params, needs_gpu=needs_gpu)


@contextmanager
def engine_on(
    external: External, folder: Path, *, wait_seconds: float, on_progress: Callable[..., Any]
) -> Iterator[tuple[JobEngine, list[str]]]:
    """Where 60 s are given, a worker is started as soon as it is said that none is left."""
    said: list[str] = []

    def hear(text: str) -> None:
        said.append(text)
        if wait_seconds == 60 and "has no worker left" in text:
            external.start()

    with connected_client(external.address, wait_seconds=wait_seconds, on_message=hear) as client:
        if external.workers:
            client.wait_for_workers(len(external.workers), timeout=30)
        yield JobEngine(folder / "run", client, on_progress=on_progress), said


def once_after(blocks: int, act: Callable[[], None]) -> Callable[[Progress], None]:
    left = [act]

    def hear(progress: Progress) -> None:
        if progress.done >= blocks and left:
            left.pop()()

    return hear


def test_a_run_goes_on_when_workers_come_back(
    external: External, raw: Volume, tmp_path: Path
) -> None:
    grid, op = Grid(raw.domain, (4, 4, 4)), slow_sum(tmp_path)
    external.start()
    died = once_after(4, external.kill_workers)
    with engine_on(external, tmp_path, wait_seconds=60, on_progress=died) as (engine, said):
        found = engine.map(op, raw, grid=grid, name="sum")
    expected = JobEngine(tmp_path / "calm").map(NEIGHBOUR_SUM, raw, grid=grid, name="sum")
    np.testing.assert_array_equal(found.read(), expected.read())
    assert "has no worker left; waiting up to 60 s" in said[0]
    assert "has a worker again: going on" in said[1]
    assert len(said) == 2


def test_without_workers_a_run_ends_and_keeps_what_is_finished(
    external: External, raw: Volume, tmp_path: Path
) -> None:
    grid, op = Grid(raw.domain, (4, 4, 4)), slow_sum(tmp_path)
    external.start()
    died = once_after(4, external.kill_workers)
    with (
        engine_on(external, tmp_path, wait_seconds=1, on_progress=died) as (engine, said),
        pytest.raises(SourceError, match=r"came within 1 s; what is finished is kept: start some"),
    ):
        engine.map(op, raw, grid=grid, name="sum")
    assert len(said) == 1
    resumed: list[int] = []
    again = JobEngine(tmp_path / "run", on_progress=lambda p: resumed.append(p.resumed))
    found = again.map(op, raw, grid=grid, name="sum")
    expected = JobEngine(tmp_path / "calm").map(NEIGHBOUR_SUM, raw, grid=grid, name="sum")
    np.testing.assert_array_equal(found.read(), expected.read())
    assert resumed[0] >= 4


@pytest.mark.slow
def test_workers_of_another_kind_do_not_count(
    external: External, raw: Volume, tmp_path: Path
) -> None:
    op = slow_sum(tmp_path, needs_gpu=True)
    external.start("--resources", "CPU=1")
    external.start("--resources", "GPU=1")
    died = once_after(2, lambda: external.workers[1].kill())
    with (
        engine_on(external, tmp_path, wait_seconds=1, on_progress=died) as (engine, said),
        pytest.raises(SourceError, match="no GPU worker came within 1 s"),
    ):
        engine.map(op, raw, grid=Grid(raw.domain, (4, 4, 4)), name="sum")
    assert "has no GPU worker left" in said[0]


def test_a_scheduler_without_workers_is_named_at_once(
    external: External, raw: Volume, tmp_path: Path
) -> None:
    with (
        engine_on(external, tmp_path, wait_seconds=3, on_progress=lambda p: None) as (engine, said),
        pytest.raises(SourceError, match="no worker came to the scheduler .* within 3 s"),
    ):
        engine.map(slow_sum(tmp_path), raw, grid=Grid(raw.domain, (4, 4, 4)), name="sum")
    assert "has no worker yet; waiting up to 3 s" in said[0]
