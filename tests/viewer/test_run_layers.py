"""Runs as they are shown: whose voxels have no size, and whose fragments take too long to join."""

from pathlib import Path

import numpy as np

from volkit.engine.cascade import Boxes
from volkit.engine.job import JobEngine
from volkit.engine.op import Op
from volkit.geometry import Box, Grid
from volkit.io.open import create_volume, open_volume
from volkit.io.place import Place
from volkit.viewer.merge_tables import MergeTable
from volkit.viewer.run_layers import run_layers
from volkit.viewer.threshold import find_cut


def test_a_run_over_a_volume_without_size_says_so(tmp_path: Path) -> None:
    np.save(tmp_path / "em.npy", np.arange(512, dtype=np.uint8).reshape(8, 8, 8))
    source, op = open_volume(tmp_path / "em.npy"), Op(lambda block, values: values, dtype=np.uint8)
    JobEngine(tmp_path / "run").map(op, source, grid=Grid(source.domain, (8, 8, 8)), name="copy")
    (said,) = run_layers(str(tmp_path / "run")).messages
    assert said.startswith("the voxel size of image, copy is not stated: lengths are voxels")
    told = run_layers(str(tmp_path / "run"), voxel_size_nm=(40, 4, 4))
    assert [item.volume.voxel_size_nm for item in told.items] == [(40, 4, 4)] * 2
    assert told.messages == ()


def test_what_takes_too_long_to_join_anew_is_said(tmp_path: Path) -> None:
    fragments = create_volume(tmp_path / "f.zarr", shape=(1024, 1024, 1025), dtype="uint64")
    facts, place = {"inputs": [fragments.identity]}, Place.at(tmp_path / "t.npz")
    boxes = Boxes(Grid(Box.from_shape((30, 30, 30)), (1, 1, 1)))
    for table, why in (
        (MergeTable("agglomeration.final", place, facts, {"limit": 0.5}),
         "segments of fewer than 9 voxels are taken out, for which all 1,074,790,400 voxels"),
        (MergeTable("agglomeration", place, facts, {"limit": 0.5}, boxes),
         "the merges lie in 30,960 files, one for each box of blocks"),
    ):  # fmt: skip
        said: list[str] = []
        assert find_cut([table], [fragments], {"smallest": 9}, said) is None
        assert said[0].startswith(f"labels at other thresholds are not shown: {why}")
    assert find_cut([], [fragments], {"mutex": True}, said) is None
    assert said[-1].endswith("not shown: a mutex watershed has none")
