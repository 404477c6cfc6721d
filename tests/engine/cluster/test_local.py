"""Jobs on a real LocalCluster of processes."""

import os
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from volkit.engine.cluster import connected_client, local_client
from volkit.engine.cluster.watch import watch_of
from volkit.engine.dispatch import dispatch
from volkit.engine.job import JobEngine
from volkit.engine.op import Op
from volkit.engine.roster import Roster
from volkit.errors import BlockFailedError, SourceError
from volkit.geometry import Box, Grid
from volkit.io.open import create_volume
from volkit.testing.blocks import COUNTS, NEIGHBOUR_SUM, fail_at, kill_at, nothing

RAW = np.random.default_rng(5).integers(0, 9, (12, 12, 12), np.uint8)


@pytest.fixture(scope="module")
def client():
    with local_client(2, memory_limit="2GB") as client:
        yield client


@pytest.fixture
def raw(tmp_path: Path):
    volume = create_volume(str(tmp_path / "raw.zarr"), shape=RAW.shape, dtype=np.uint8)
    volume.write(volume.domain, RAW)
    return volume


def test_workers_write_what_one_process_writes(client, raw, tmp_path: Path) -> None:
    grid = Grid(raw.domain, (4, 4, 4))
    here, there = JobEngine(tmp_path / "here"), JobEngine(tmp_path / "there", client)
    for engine in (here, there):
        engine.map(NEIGHBOUR_SUM, raw, grid=grid, name="sum")
    expected = here.map(NEIGHBOUR_SUM, raw, grid=grid, name="sum").read()
    np.testing.assert_array_equal(
        there.map(NEIGHBOUR_SUM, raw, grid=grid, name="sum").read(), expected
    )
    a, b = (e.reduce(COUNTS, raw, grid=grid, name="counts") for e in (here, there))
    assert a["count"].tolist() == b["count"].tolist()


def test_a_worker_whose_imports_take_most_of_its_memory_takes_more_blocks() -> None:
    """As with torch built for CUDA, of which a worker of 1 GiB holds 0.7 GiB before its first."""
    limit = 2**30

    def hold_most() -> float:  # within, so that it goes to the worker by value
        process = psutil.Process()
        missing = int(0.88 * limit) - process.memory_info().rss
        sys.modules["held"] = np.ones(missing, np.uint8)  # type: ignore[assignment]
        return process.memory_info().rss / limit

    with local_client(1, memory_limit=limit) as client:
        assert 0.82 < client.submit(hold_most).result(timeout=120) < 0.94
        client.submit(time.sleep, 1.0).result(timeout=120)  # a worker looks at its memory meanwhile
        assert client.submit(os.getpid).result(timeout=120) != os.getpid()


def test_the_error_of_a_block_comes_back_with_its_place(client, raw, tmp_path: Path) -> None:
    op = Op(fail_at, dtype=np.uint8, params={"number": 5})
    grid = Grid(raw.domain, (4, 4, 4))
    with pytest.raises(RuntimeError, match="poisoned") as caught:
        JobEngine(tmp_path / "run", client).map(op, raw, grid=grid, name="copy")
    assert any("block (0, 1, 2)" in note for note in caught.value.__notes__)


def test_a_killed_worker_costs_nothing_but_time(client, raw, tmp_path: Path) -> None:
    op = Op(
        kill_at,
        dtype=np.int64,
        halo=(1, 1, 1),
        params={"number": 13, "flag": str(tmp_path / "killed")},
    )
    grid = Grid(raw.domain, (4, 4, 4))
    killed = JobEngine(tmp_path / "run", client).map(op, raw, grid=grid, name="sum")
    calm = JobEngine(tmp_path / "calm").map(NEIGHBOUR_SUM, raw, grid=grid, name="sum")
    assert (tmp_path / "killed").exists()
    np.testing.assert_array_equal(killed.read(), calm.read())


def test_workers_that_die_again_and_again_end_in_one_message(client) -> None:
    with pytest.raises(BlockFailedError, match="several workers died one after another"):
        dispatch(os._exit, iter([7]), client=client, receive=lambda outcome: None)


def test_quick_blocks_share_tasks(client, tmp_path: Path) -> None:
    grid = Grid(Box.from_shape((10, 10, 10)), (1, 1, 1))
    tasks: list[int] = []
    seen: list[int] = []

    def count(progress: object) -> None:
        tasks.append(1)
        seen.append(progress.done)  # type: ignore[attr-defined]

    engine = JobEngine(tmp_path, client, on_progress=count)
    engine.map(Op(nothing, dtype=np.uint8), grid=grid, name="zeros")
    assert seen[-1] == 1000
    assert len(tasks) < 250


def test_an_absent_scheduler_is_named() -> None:
    with (
        pytest.raises(SourceError, match=r"no dask scheduler answers at tcp://127\.0\.0\.1:1"),
        connected_client("tcp://127.0.0.1:1", timeout=1),
    ):
        pass


def test_nobody_is_asked_to_start_workers_of_a_cluster_that_volkit_starts_itself() -> None:
    with local_client(0, memory_limit="1GB", gpu_memory_limit="1GB") as client:
        watch_of(client).wait_seconds = 0.2
        expected = r"within 0 s; they are processes of this machine.*cluster\.memory_gib.*--local"
        with pytest.raises(SourceError, match=expected) as said:
            Roster(client).wait()
    assert "start some" not in str(said.value)
