"""A workflow that skips: planned, run, planned again, and nothing is computed twice."""

import numpy as np
import pytest

from volkit.errors import GeometryError
from volkit.io.open import create_volume, open_volume
from volkit.pipelines.registry import read_workflow
from volkit.pipelines.segment_neurons import plan, run
from volkit.testing.workflows import tiny_workflow

SHAPE = (12, 24, 20)


@pytest.fixture
def config(tmp_path):
    mask = create_volume(tmp_path / "mask.zarr", shape=SHAPE, dtype=bool, voxel_size_nm=(10,) * 3)
    marks = np.zeros(SHAPE, bool)
    marks[:, :9] = True
    mask.write(mask.domain, marks)
    skip = {"mask": "mask.zarr", "empty": {"cell_shape": [5, 5, 5]}}
    infer = {"window": [4, 8, 8], "device": "cpu", "skip": skip}
    path = tiny_workflow(tmp_path, shape=SHAPE, infer=infer, block_shape=[12, 12, 20])
    return read_workflow(path).config


def test_planned_run_and_planned_again(config, tmp_path) -> None:
    planned = plan(config)
    stages = {stage.name: stage for stage in planned.stages}
    # Windows of 4, 8, 8 with half their extent as stride: 5, 5 and 4 of them; those that begin
    # at 0, 4 and 8 on y meet the first nine voxels.
    assert (stages["prob"].least_passes, stages["prob"].skipped) == (5 * 3 * 4, 5 * 2 * 4)
    assert stages["wanted"].voxels == 3 * 5 * 4
    run(config)
    prob = open_volume(tmp_path / "run" / "prob.zarr").read()
    assert prob[:, :, :9].any()
    assert not prob[:, :, 9:].any()
    assert not plan(config).problems()  # whose blocks of cells are not those of the grid


def test_a_mask_of_another_place_is_refused_by_the_plan(config, tmp_path) -> None:
    create_volume(
        tmp_path / "mask.zarr",
        shape=(4, 4, 4),
        dtype=bool,
        voxel_size_nm=(10,) * 3,
        overwrite=True,
    ).write(open_volume(tmp_path / "mask.zarr").domain, np.ones((4, 4, 4), bool))
    with pytest.raises(GeometryError, match="covers \\[0:4, 0:4, 0:4\\]"):
        plan(config)
