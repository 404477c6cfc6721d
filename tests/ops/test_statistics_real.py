"""Real cells and vessels: counts, sizes and distances of the whole, for every grid."""

import h5py
import numpy as np
import pytest
import tifffile
from scipy.ndimage import find_objects
from scipy.spatial import cKDTree
from skimage.measure import regionprops_table

from volkit.geometry import Box, Grid, VoxelScale
from volkit.io.open import open_volume
from volkit.kernels.class_shapes import length_of, surface_of
from volkit.ops.statistics import Tables, table_of, tissue_tables
from volkit.ops.statistics_cells import class_components
from volkit.ops.statistics_distances import with_distances
from volkit.ops.statistics_objects import object_frame

GRIDS = [(100, 100, 100), (7, 32, 19), (16, 16, 16), (40, 9, 100)]


def tables_of(volumes, block, **more):
    shape = next(iter(volumes.values())).shape
    grid = Grid(Box.from_shape(shape), block)
    return tissue_tables(volumes, Tables(shape, **more), grid=grid).compute(scheduler="synchronous")


@pytest.mark.parametrize("block", GRIDS)
@pytest.mark.parametrize("name", ["stardist", "plantseg"])
def test_cells_are_those_of_scikit_image_and_scipy(shared_data, name, block) -> None:
    if name == "stardist":
        labels = tifffile.imread(shared_data / "cells/stardist/mask3d.tif")
        image = tifffile.imread(shared_data / "cells/stardist/img3d.tif")
        size_um, count, total = (1.0, 1.0, 1.0), 51, 41_468
    else:
        with h5py.File(shared_data / "cells/plantseg/1135_mini.h5") as file:
            labels, image = file["label"][...], file["raw"][...]
            size_um = tuple(file["label"].attrs["element_size_um"].tolist())
        count, total = 54, 231_013
    columns = tables_of({"cells": labels, "image": image}, block)
    scale = VoxelScale(tuple(1000 * s for s in size_um))
    cells = object_frame(
        table_of(columns, "objects"), domain=Box.from_shape(labels.shape), scale=scale
    )
    cells = with_distances(cells, physical=True)
    assert len(cells) == count
    assert cells["voxels"].sum() == total
    names = ("label", "area", "centroid", "intensity_mean", "bbox")
    known = regionprops_table(labels, image, properties=names)
    assert cells["id"].tolist() == known["label"].tolist()
    assert cells["voxels"].tolist() == known["area"].tolist()
    assert cells["x_stop"].tolist() == known["bbox-5"].tolist()
    volume = known["area"] * np.prod(size_um)
    np.testing.assert_allclose(cells["volume_nm3"] / 1e9, volume, rtol=1e-12)
    np.testing.assert_allclose(cells["intensity_mean"], known["intensity_mean"], rtol=1e-12)
    points = np.stack([known[f"centroid-{k}"] for k in range(3)], axis=1) * size_um
    near = cKDTree(points).query(points, k=4)[0][:, 1:]
    found = cells[[f"distance_{k}_nm" for k in (1, 2, 3)]] / 1000
    np.testing.assert_allclose(found, near, rtol=1e-12)


@pytest.mark.parametrize(
    "block", [(128, 160, 256), pytest.param((325, 304, 600), marks=pytest.mark.slow)]
)
def test_the_vessel_tree_is_one_component_of_two_percent(shared_data, block) -> None:
    volume = open_volume(shared_data / "vessel/vessap/label.nii.gz")
    vessel = np.ascontiguousarray(volume.read()).astype(np.uint8)
    columns = tables_of({"classes": vessel}, block, shapes=(1,))
    counts = table_of(columns, "counts")
    assert counts["voxels"].tolist() == [vessel.size - 1_181_243, 1_181_243]
    assert counts["voxels"][1] / vessel.size == pytest.approx(0.0199265, abs=5e-8)
    grid = Grid(Box.from_shape(vessel.shape), block)
    cells = class_components(vessel, [1], connectivity=6, grid=grid)
    ids = np.unique(cells.compute(scheduler="synchronous"))
    assert len(ids) == 2
    shapes = table_of(columns, "shapes")
    steps = [np.count_nonzero(np.diff(vessel.view(np.int8), axis=k)) for k in range(3)]
    assert [int(shapes[f"crossings_{a}"][0]) for a in "zyx"] == steps
    # A tube of radius r has 2 / r of surface per volume, and 1 / (pi r^2) of length.
    radius = 2 * 1_181_243 / surface_of(shapes, (1, 1, 1))[0]
    length = length_of(shapes, (1, 1, 1))[0]
    assert length * np.pi * radius**2 == pytest.approx(1_181_243, rel=0.35)


@pytest.mark.parametrize("block", [(256, 256, 256), (100, 256, 77), (64, 64, 64)])
def test_sparse_large_ids_have_the_table_of_numpy(shared_data, block) -> None:
    volume = open_volume(f"{shared_data / 'em/seunglab/pinky40_seg_crop256.h5'}::seg")
    labels = np.ascontiguousarray(volume.read())
    columns = tables_of({"cells": labels}, block)
    cells = object_frame(
        table_of(columns, "objects"),
        domain=Box.from_shape(labels.shape),
        scale=VoxelScale((40.0, 16.0, 16.0)),
    )
    ids, dense, voxels = np.unique(labels, return_inverse=True, return_counts=True)
    assert (len(ids), ids[1], ids[-1], voxels[0]) == (459, 968_670, 94_243_562, 102_509)
    assert cells["id"].tolist() == ids[1:].tolist()
    assert cells["voxels"].tolist() == voxels[1:].tolist()
    assert cells.set_index("id").loc[25_024_949, "voxels"] == 6_188_863
    dense = dense.reshape(labels.shape)
    for axis, name in enumerate("zyx"):
        places = np.arange(256).reshape(np.roll((256, 1, 1), axis))
        sums = np.bincount(dense.ravel(), np.broadcast_to(places, dense.shape).ravel())
        np.testing.assert_allclose(cells[name], (sums / voxels)[1:], rtol=1e-12)
    boxes = [box for box in find_objects(dense) if box is not None]
    for k, name in enumerate("zyx"):
        assert cells[f"{name}_start"].tolist() == [box[k].start for box in boxes]
        assert cells[f"{name}_stop"].tolist() == [box[k].stop for box in boxes]


@pytest.mark.slow
@pytest.mark.parametrize("connectivity", [18, 26])
def test_the_vessel_tree_is_one_component_for_every_connectivity(shared_data, connectivity) -> None:
    volume = open_volume(shared_data / "vessel/vessap/label.nii.gz")
    vessel = np.ascontiguousarray(volume.read()).astype(np.uint8)
    for block in ((128, 160, 256), (325, 100, 600)):
        grid = Grid(Box.from_shape(vessel.shape), block)
        cells = class_components(vessel, [1], connectivity=connectivity, grid=grid)
        assert len(np.unique(cells.compute(scheduler="synchronous"))) == 2
