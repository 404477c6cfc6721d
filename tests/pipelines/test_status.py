"""Where a run stands: from its folder alone, here and in a store, while it runs and after."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from volkit.engine.attendance import attended, read_state
from volkit.engine.job import JobEngine
from volkit.engine.ledger import RECORD, Ledger
from volkit.engine.lock import LockOptions
from volkit.engine.op import Op
from volkit.engine.owner import Owner
from volkit.engine.queue import Retries
from volkit.engine.stages import find_stages
from volkit.errors import BlockFailedError, ConfigError, RunLockedError, SourceError
from volkit.geometry import Box, Grid
from volkit.io.open import create_volume
from volkit.io.place import Place
from volkit.io.volume import Volume
from volkit.pipelines.logs import read_logs
from volkit.pipelines.stage_status import stage_status
from volkit.pipelines.status import read_status
from volkit.testing.blocks import COUNTS, NEIGHBOUR_SUM, fail_at
from volkit.testing.servers.s3 import S3Server

GRID = Grid(Box.from_shape((4, 4, 12)), (4, 4, 4))


@pytest.fixture
def raw(tmp_path: Path) -> Volume:
    volume = create_volume(tmp_path / "raw.zarr", shape=GRID.domain.shape, dtype=np.uint8)
    volume.write(volume.domain, np.ones(GRID.domain.shape, np.uint8))
    return volume


@pytest.fixture(params=["folder", "s3"])
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    if request.param == "folder":
        yield Place(str(tmp_path / "run"))
        return
    with S3Server() as server:
        for key, value in server.environment().items():
            monkeypatch.setenv(key, value)
        server.bucket("runs")
        yield Place(f"s3://runs/run?endpoint={server.endpoint}")


def test_a_run_tells_its_stages_in_order_while_it_runs_and_after(place: Place, raw: Volume) -> None:
    with attended(place) as attendance:
        engine = JobEngine(place, attendance=attendance)
        sums = engine.map(NEIGHBOUR_SUM, raw, grid=GRID, name="sums")
        engine.reduce(COUNTS, sums, grid=GRID, name="counts")
        status = read_status(place)
        assert status.client is not None
        assert (status.client.running, status.client.pid) == (True, os.getpid())
        assert (status.client.stage, status.client.workers) == ("counts.parts/1", 1)
        # All that was begun is finished, and nobody knows whether another stage comes.
        assert [stage.done - stage.total for stage in status.stages] == [0] * len(status.stages)
        assert status.state == "going on"
    status = read_status(place)
    assert status.state == "finished"
    assert [(s.stage, s.done, s.total, s.set_aside) for s in status.stages] == [
        ("sums", 3, 3, 0),
        ("counts", 3, 3, 0),
    ]
    sums = status.stages[0]
    assert (sums.voxels_done, sums.bytes_done, sums.passes) == (192, 192 * 8, 0)
    assert sums.read_per_written == pytest.approx(16 / 12)  # the halo of the two inner faces
    assert status.client is not None
    assert (status.client.running, status.client.in_flight) == (False, 0)
    assert json.loads(json.dumps(status.as_json()))["stages"][0]["total"] == 3
    state = read_state(place)
    assert state is not None
    assert state.stage == ""


def test_rates_come_from_the_records_of_the_last_minutes(tmp_path: Path) -> None:
    facts = {"domain": [[0, 0, 0], [1, 1, 1000]], "block_shape": [1, 1, 1]}
    ledger = Ledger.open(tmp_path / "a.ledger", facts, 1000)
    records = np.zeros(500, RECORD)
    ledger.mark(range(500), [1.0] * 498 + [9.0, 30.0])
    records[:] = ledger.records()
    # A hundred blocks an hour ago, then two in each second.
    times = np.concatenate([np.full(100, 1000), 4600 + np.arange(400) // 2])
    marks(ledger, records, times)
    found = stage_status(find_stages(Place.at(tmp_path))[0])
    assert found.blocks_per_second == pytest.approx(2.0, rel=0.01)
    assert found.seconds_left == pytest.approx(250, rel=0.01)
    assert found.slowest[:2] == ((499, 30.0), (498, 9.0))
    assert (found.median_seconds, found.worker_seconds) == (1.0, 537.0)
    assert found.last_finished == 4799
    late = stage_status(find_stages(Place.at(tmp_path))[0], since=4800)
    assert (late.blocks_per_second, late.seconds_left) == (0.0, None)


def marks(ledger: Ledger, records: np.ndarray, times: np.ndarray) -> None:
    """Write records that finished at other times."""
    from volkit.engine.ledger import _check

    records["finished"] = times
    records["check"] = _check(records)
    (Path(ledger.root.uri) / "done").write_bytes(records.tobytes())


def test_a_block_that_was_set_aside_is_told_with_its_traceback(tmp_path: Path, raw: Volume) -> None:
    op = Op(fail_at, dtype=np.uint8, params={"number": 1})
    engine = JobEngine(tmp_path / "run", retries=Retries(2))
    with pytest.raises(BlockFailedError, match="poisoned"):
        engine.map(op, raw, grid=GRID, name="copy")
    stage = read_status(tmp_path / "run").stages[0]
    assert (stage.done, stage.total, stage.set_aside) == (2, 3, 1)
    (log,) = read_logs(tmp_path / "run")
    assert (log.stage, log.number, log.box, log.attempts) == ("copy", 1, "[0:4, 0:4, 4:8]", 2)
    assert log.error.startswith("RuntimeError: this block is poisoned\nvolkit: in fail_at on block")
    assert "in fail_at" in log.traceback
    (log,) = read_logs(tmp_path / "run", stage="copy", block=2)
    assert (log.error, len(log.content)) == ("", 8)
    assert abs(log.time - time.time()) < 60
    assert read_logs(tmp_path / "run", block=7) == []
    with pytest.raises(ConfigError, match="no stage 'sums'; it has copy"):
        read_logs(tmp_path / "run", stage="sums")


def test_a_client_whose_lock_was_taken_marks_nothing_more(tmp_path: Path, raw: Volume) -> None:
    here = Owner.here()
    quick = LockOptions(
        beat_seconds=0.05, stale_seconds=0.2, owner=replace(here, host="far", machine="far")
    )
    with attended(tmp_path / "run", quick) as first:
        first.lock._ended.set()  # as if its process were stopped
        first.lock._thread.join()
        with attended(tmp_path / "run", replace(quick, owner=here)):
            engine = JobEngine(tmp_path / "run", attendance=first)
            with pytest.raises(RunLockedError, match="was taken over by"):
                engine.map(NEIGHBOUR_SUM, raw, grid=GRID, name="sums")
    assert find_stages(Place.at(tmp_path / "run")) == []


def test_the_status_of_a_dead_client_on_another_machine_is_unknown(
    tmp_path: Path, raw: Volume
) -> None:
    far = replace(Owner.here(), host="far", machine="far")
    with attended(tmp_path / "run", LockOptions(owner=far)) as held:
        JobEngine(tmp_path / "run", attendance=held).map(NEIGHBOUR_SUM, raw, grid=GRID, name="sums")
        client = read_status(tmp_path / "run").client
        assert client is not None
        assert (client.running, client.host) == (None, "far")


def test_where_no_run_is_that_is_said(tmp_path: Path) -> None:
    for read in (read_status, read_logs):
        with pytest.raises(SourceError, match="there is no run in"):
            read(tmp_path)
