"""GPU workers beside CPU workers on one machine, and workers that are refused or lost."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from distributed import LocalCluster
from distributed.protocol.pickle import dumps

from volkit.engine.cluster import ClusterOptions, local_client
from volkit.engine.cluster.gate import Gate, admit, installed
from volkit.engine.cluster.local import machine_gpus
from volkit.engine.cluster.watch import Watch
from volkit.engine.fingerprint import facts
from volkit.engine.job import JobEngine
from volkit.engine.op import Op
from volkit.errors import ConfigError, ModelError
from volkit.geometry import Grid
from volkit.io.open import create_volume
from volkit.ops.inference import infer
from volkit.pipelines.cluster import workers
from volkit.pipelines.registry import read_workflow
from volkit.pipelines.segment_chain import open_inputs
from volkit.testing.blocks import traced_sum
from volkit.testing.workflows import tiny_workflow


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")


@pytest.mark.usefixtures("gpus")
def test_stages_find_their_kind_of_worker(tmp_path: Path) -> None:
    raw = create_volume(tmp_path / "raw.zarr", shape=(8, 8, 8), dtype=np.uint8)
    raw.write(raw.domain, np.ones((8, 8, 8), np.uint8))
    grid = Grid(raw.domain, (4, 4, 4))
    seen = {}
    with workers(ClusterOptions(workers=1, memory_gib=1)) as client:
        engine = JobEngine(tmp_path / "run", client)
        for name, needs_gpu in (("network", True), ("plain", False)):
            log = tmp_path / f"{name}.log"
            params = {"log": str(log), "seconds": 0.1}
            op = Op(traced_sum, np.int64, (1, 1, 1), params=params, needs_gpu=needs_gpu)
            engine.map(op, raw, grid=grid, name=name)
            seen[name] = {line.split("|")[2] for line in log.read_text().splitlines()}
    assert seen == {"network": {"3", "5"}, "plain": {""}}


@pytest.mark.usefixtures("gpus")
def test_more_gpus_than_there_are_are_refused() -> None:
    assert machine_gpus() == ["3", "5"]
    with (
        pytest.raises(ConfigError, match=r"gpus 3: this machine has 2 \(3, 5\)"),
        local_client(0, gpus=3),
    ):
        pass


def test_what_a_stage_needs_does_not_change_what_it_is() -> None:
    ops = [Op(traced_sum, np.int64, needs_gpu=needs_gpu) for needs_gpu in (True, False)]
    raw = create_volume("memory://needs/raw.zarr", shape=(4, 4, 4), dtype=np.uint8)
    found = [facts(op, (raw,), Grid(raw.domain, (4, 4, 4))) for op in ops]
    assert found[0] == found[1]


def test_a_checkpoint_that_workers_do_not_see_ends_in_one_message(tmp_path: Path) -> None:
    workflow = tiny_workflow(tmp_path, shape=(12, 16, 20))
    inputs = open_inputs(read_workflow(workflow).config)
    Path(inputs.checkpoint.weights_uri).unlink()
    with local_client(1, memory_limit="1GB") as client:
        engine = JobEngine(tmp_path / "run", client)
        with pytest.raises(ModelError, match="in a place that every worker sees"):
            infer(inputs.image, inputs.checkpoint, grid=inputs.grid, engine=engine)


def test_workers_of_other_versions_are_refused_with_both_named() -> None:
    own = installed()
    with (
        LocalCluster(
            n_workers=1, processes=False, threads_per_worker=1, dashboard_address="127.0.0.1:0"
        ) as cluster,
        cluster.get_client() as client,
    ):
        admit(client, Watch(), close_refused=False)
        wrong = Gate({**own, "volkit": "9.9.9"}, close_refused=False)
        with pytest.raises(ConfigError, match=rf"volkit {own['volkit']} instead of 9\.9\.9"):
            client.register_plugin(wrong)


def test_a_worker_that_comes_later_is_refused_before_it_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with local_client(1, memory_limit="1GB") as client:
        watch = Watch()
        admit(client, watch, close_refused=True)
        # What is asked of workers changes; the one that comes next does not fulfil it.
        stricter = Gate({**installed(), "volkit": "9.9.9"}, close_refused=True)
        scheduler = client.cluster.scheduler
        scheduler.worker_plugins[Gate.name] = dumps(stricter)
        os.kill(client.submit(os.getpid).result(), signal.SIGKILL)
        end = time.monotonic() + 30
        while not watch.problem and time.monotonic() < end:
            time.sleep(0.05)
    with pytest.raises(ConfigError, match=r"has volkit .* instead of 9\.9\.9, which this process"):
        watch.check()
