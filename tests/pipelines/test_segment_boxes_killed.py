"""A run whose boxes hold the graph of basins, killed again and again: the bytes of one that ran."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import yaml

from volkit.io.open import create_volume
from volkit.kernels.affinity_boundary import least_inside
from volkit.testing.workflows import voronoi_cells

SHAPE = (20, 32, 36)
BLOCKS = 36  # of 7 x 9 x 12 voxels
VOLKIT = ("-c", "from volkit.cli import main; main()")


@pytest.fixture
def affinities(tmp_path: Path) -> Path:
    clean = least_inside(voronoi_cells(SHAPE)[1])
    noise = np.random.default_rng(1).random(clean.shape, np.float32)
    values = np.float32(0.6) * clean + np.float32(0.4) * noise
    path = tmp_path / "affinities.zarr"
    volume = create_volume(path, shape=SHAPE, channels=3, dtype=np.float32)
    volume.write(volume.domain, values)
    return path


def workflow(affinities: Path, name: str) -> Path:
    keys = {
        "pipeline": "segment_affinities",
        "input": {"affinities": str(affinities)},
        "output": name,
        "offsets": [[-1, 0, 0], [0, -1, 0], [0, 0, -1]],
        "block_shape": [7, 9, 12],
        "segment": {
            "linkage": [[40, 0.1], [400, 0.5]],
            "held": "boxes",
            "smallest": 3,
            "fill": None,
        },
        "layers": {"labels": False},
        "cluster": {"workers": 0},
    }
    path = affinities.with_name(f"{name}.yaml")
    path.write_text(yaml.safe_dump(keys))
    return path


def files(run: Path) -> dict[str, bytes]:
    """What the run leaves of labels, and of the tables of its boxes."""
    kinds = ("labels.zarr", "basin_graph.parts")
    paths = [path for kind in kinds for path in (run / kind).rglob("*") if path.is_file()]
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in paths
        if not any(part.endswith(".ledger") for part in path.parts)
    }


def test_runs_killed_in_boxes_end_with_the_same_bytes(affinities: Path, warm_python) -> None:
    whole = warm_python(*VOLKIT, "run", workflow(affinities, "whole"))
    assert whole.returncode == 0, whole.stderr
    broken = workflow(affinities, "broken")
    for stage in ("basin_graph", "labels_joined", "labels"):
        with warm_python.begin(*VOLKIT, "run", broken) as process:
            begun = f"{stage} 1/"

            def said_so(process=process, begun=begun) -> bool:
                lines = process.out.read_text().splitlines()
                return any(" ".join(line.split()).startswith(begun) for line in lines)

            process.wait_for(said_so)
            os.kill(process.pid, signal.SIGKILL)
        assert process.wait().returncode == -signal.SIGKILL
    ended = warm_python(*VOLKIT, "run", broken)
    assert ended.returncode == 0, ended.stderr
    said = [" ".join(line.split()) for line in ended.stdout.splitlines()]
    assert any(line.startswith(f"basin_graph {BLOCKS}/{BLOCKS} blocks, was done") for line in said)
    expected, found = files(affinities.with_name("whole")), files(affinities.with_name("broken"))
    assert any(name.startswith("basin_graph.parts/1/") for name in expected)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []
