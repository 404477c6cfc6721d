"""What status says of a network: windows, shares of time and amplification, checked by hand."""

from pathlib import Path

import numpy as np
import pytest

from volkit.cli.run_tables import status_lines
from volkit.engine.job import JobEngine
from volkit.engine.ledger import Ledger
from volkit.engine.usage import Usage
from volkit.engine.usage_note import UsageNote
from volkit.geometry import Box, Grid, Windows
from volkit.geometry.over_blocks import network_passes
from volkit.io import create_volume
from volkit.ops.inference import InferenceOptions, infer
from volkit.ops.network import Network
from volkit.pipelines.stage_status import StageStatus
from volkit.pipelines.stage_usage import stage_usage
from volkit.pipelines.status import read_status

FACTS = {  # two windows along each axis, three blocks along x
    "domain": [[0, 0, 0], [8, 8, 12]],
    "block_shape": [8, 8, 4],
    "halo": [0, 0, 2],
    "dtype": "<f4",
    "params": {"stride": [4, 4, 4]},
    "shared": {"0": {"window": [4, 4, 6], "margin": [0, 0, 0]}},
}
WINDOWS = Windows(Box.from_shape((8, 8, 12)), (4, 4, 6), (4, 4, 4))
SPENT = Usage(
    100.0,
    {"network": 45.0, "read": 20.0, "write": 5.0, "wait": 10.0},
    {"read": 30.0},
    {
        "windows": 9,
        "skipped_windows": 2,
        "bytes_read": 250,
        "bytes_fetched": 300,
        "bytes_least": 200,
    },
)


def begun(run: Path, *, done: int, usage: Usage = SPENT) -> Ledger:
    ledger = Ledger.open(run / "prob.ledger", FACTS, 3)
    ledger.mark(range(done), [1.0] * done)
    with UsageNote.of(ledger) as note:
        note.add(usage)
    return ledger


def prob(run: Path) -> StageStatus:
    (stage,) = read_status(run).stages
    return stage


def test_where_the_time_went(tmp_path: Path) -> None:
    begun(tmp_path, done=2)
    stage, total = prob(tmp_path), network_passes(WINDOWS, Grid(WINDOWS.domain, (8, 8, 4)))
    assert (stage.passes_done, stage.passes, stage.passes_skipped) == (9, total, 2)
    usage = stage.usage
    assert usage.network_share == pytest.approx(0.45)
    assert usage.shares == pytest.approx(
        {"network": 0.45, "read": 0.2, "wait": 0.1, "write": 0.05, "other": 0.2}
    )
    assert list(usage.shares) == ["network", "read", "wait", "write", "other"]
    assert usage.beside == pytest.approx({"read": 0.3})
    assert usage.read_amplification == pytest.approx(1.5)
    lines = list(status_lines(read_status(tmp_path)))
    assert lines[:2] == [
        f"prob: 9 and 2 skipped of {total} passes of the network, 1.25 voxels read, 1.50 fetched "
        "for each that is written",
        "prob: network busy 45 % of the workers' time; read 20 %, wait 10 %, write 5 %, other "
        "20 %; at the same time read 30 %",
    ]


def test_what_nobody_counted_follows_from_the_blocks(tmp_path: Path) -> None:
    begun(tmp_path, done=1, usage=Usage())
    stage, total = prob(tmp_path), network_passes(WINDOWS, Grid(WINDOWS.domain, (8, 8, 4)))
    assert (stage.passes_done, stage.passes, stage.passes_skipped) == (total // 3, total, 0)
    assert stage.usage == stage_usage(Usage())
    assert (stage.usage.network_share, stage.usage.read_amplification) == (None, None)
    (line, *_) = status_lines(read_status(tmp_path))
    assert line.endswith("1.67 voxels read for each that is written")


def test_windows_that_are_exchanged_are_evaluated_once(tmp_path: Path) -> None:
    begun(tmp_path, done=0, usage=Usage())
    windows = Ledger.open(tmp_path / "prob.exchange/windows.ledger", {"of": "prob"}, 3)
    windows.mark([0, 1], [1.0, 1.0])
    assert len(WINDOWS) == 2 * 2 * 3
    assert (prob(tmp_path).passes_done, prob(tmp_path).passes) == (8, 12)
    with UsageNote.of(windows) as note:
        note.add(SPENT)
    assert (prob(tmp_path).passes_done, prob(tmp_path).passes_skipped) == (9, 2)


def test_a_network_in_a_thread_of_its_own_is_busy_too() -> None:
    usage = stage_usage(Usage(10.0, {"wait": 9.0}, {"network": 8.0, "read": 1.0}))
    assert usage.network_share == pytest.approx(0.8)
    assert usage.shares == pytest.approx({"wait": 0.9, "other": 0.1})


def test_windows_are_counted_as_they_are_evaluated(tmp_path: Path) -> None:
    raw = create_volume(tmp_path / "raw.zarr", shape=WINDOWS.domain.shape, dtype=np.float32)
    raw.write(raw.domain, np.ones(WINDOWS.domain.shape, np.float32))
    seen = []

    def network(batch: np.ndarray) -> np.ndarray:
        seen.append(len(batch))
        return batch

    grid = Grid(WINDOWS.domain, (8, 8, 4))
    options = InferenceOptions(stride=WINDOWS.stride, seams="recompute", batch=3)
    infer(
        raw,
        Network(network, WINDOWS.shape),
        options=options,
        grid=grid,
        engine=JobEngine(tmp_path / "run"),
    )
    stage = prob(tmp_path / "run")
    assert stage.passes_done == sum(seen) == stage.passes == network_passes(WINDOWS, grid)
    assert stage.usage.network_share is not None
    assert 0 < stage.usage.network_share < 1
    assert sum(stage.usage.shares.values()) == pytest.approx(1)
