"""Real labels of mouse cortex (pinky40), stored x, y, z: into a layer and back."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from cloudvolume import CloudVolume

from volkit.geometry import Box
from volkit.io import create_volume, open_volume

FILE = "em/seunglab/pinky40_seg_crop256.h5"
PART = Box((30, 20, 10), (130, 148, 138))


@pytest.mark.parametrize("shard", [None, (128, 128, 128)])
def test_labels_of_pinky40(shared_data: Path, tmp_path: Path, shard: tuple | None) -> None:
    path = shared_data / FILE
    with h5py.File(path) as file:
        stored = file["seg"][:]
    there = open_volume(f"{path}::seg")
    assert there.voxel_size_nm == (40, 16, 16)
    labels = there.read(PART)
    np.testing.assert_array_equal(labels, stored.T[PART.slices])
    volume = create_volume(
        f"precomputed://{tmp_path}/seg",
        shape=labels.shape,
        dtype=labels.dtype,
        kind="labels",
        encoding="compressed_segmentation",
        start=PART.start,
        voxel_size_nm=there.voxel_size_nm,
        chunk_shape=(64, 64, 64),
        shard_shape=shard,
    )
    volume.write(volume.domain, labels)
    np.testing.assert_array_equal(open_volume(tmp_path / "seg").read(), labels)
    layer = CloudVolume(f"file://{tmp_path}/seg", progress=False)
    np.testing.assert_array_equal(np.asarray(layer[:])[..., 0].T, labels)
    used = sum(f.stat().st_size for f in (tmp_path / "seg").rglob("*") if f.is_file())
    assert used < labels.nbytes / 3
