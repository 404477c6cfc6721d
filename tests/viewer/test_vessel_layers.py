"""Vessels that a run has flagged: boxes at their voxels, the most pressing first."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from volkit.engine.job import JobEngine
from volkit.geometry import Grid
from volkit.io.open import create_volume
from volkit.ops.stall_files import write_stalls
from volkit.ops.stall_schema import completed
from volkit.testing.blocks import NEIGHBOUR_SUM
from volkit.viewer.run_layers import run_layers
from volkit.viewer.view import View

HUGE = 2**63 + 5  # beyond what floats and int64 hold


def stall_table() -> pd.DataFrame:
    """Two stalled vessels, one that a person should look at, one that flows."""
    p = [0.7, 0.95, 0.5, 0.01]
    columns = {
        "volume_id": "v",
        "segment_id": np.array([1, HUGE, 3, 4], np.uint64),
        **{f"{axis}0": [0, 1, 2, 3] for axis in "zyx"},
        **{f"{axis}1": [2, 4, 4, 4] for axis in "zyx"},
        "n_frames": 2,
        "touches_border": False,
        "p_fold_0": p,
        "p_stalled": p,
        "p_calibrated": [0.6, 0.9, np.nan, 0.02],
        "mc_n": 1,
        "call": ["stalled", "stalled", "undecided", "flowing"],
        "needs_review": [True, False, True, False],
        "review_reason": [1, 0, 0b1001, 0],
        "priority": [0.5, 0.0, 1.0, 0.0],
    }
    return completed(pd.DataFrame(columns), folds=1)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    raw = create_volume(tmp_path / "raw.zarr", shape=(4, 4, 4), dtype=np.uint8,
                        voxel_size_nm=(1000.0, 500.0, 500.0))  # fmt: skip
    raw.write(raw.domain, np.ones(raw.shape, np.uint8))
    folder = tmp_path / "run"
    JobEngine(folder).map(NEIGHBOUR_SUM, raw, grid=Grid(raw.domain, (4, 4, 4)), name="sums")
    (folder / "report").mkdir()
    write_stalls(folder / "report" / "stalls.parquet", stall_table(), {})
    return folder


def test_stalled_vessels_and_those_in_doubt_are_layers_of_their_own(run) -> None:
    found = {item.name: item for item in run_layers(str(run)).items}
    stalled, doubted = found["stalled vessels"], found["vessels to review"]
    assert (stalled.kind, doubted.kind) == ("boxes", "boxes")
    assert stalled.table["segment_id"].tolist() == [HUGE, 1]
    assert stalled.table["score"].tolist() == [0.9, 0.6]
    assert doubted.table["segment_id"].tolist() == [3]
    assert doubted.table["why"].tolist() == ["near_threshold, border"]
    assert doubted.table["score"].tolist() == [0.5]  # not calibrated: as predicted


def test_boxes_lie_at_the_voxels_of_the_vessel(run) -> None:
    with View.of([str(run)]) as view:
        layers = {layer["name"]: layer for layer in view.state["layers"]}
    first, _ = layers["stalled vessels"]["annotations"]
    assert (first["pointA"], first["pointB"]) == ([1, 1, 1], [4, 4, 4])
    assert str(HUGE) in first["description"]
    assert "label stalled" in first["description"]


def test_a_run_without_vessels_or_with_a_torn_table_shows_the_rest(run) -> None:
    path = run / "report" / "stalls.parquet"
    path.write_bytes(path.read_bytes()[:100])
    found = run_layers(str(run))
    assert [m for m in found.messages if m.startswith("flagged vessels are not shown:")]
    assert "sums" in {item.name for item in found.items}
    path.unlink()
    assert "stalled vessels" not in {item.name for item in run_layers(str(run)).items}
