"""The real vessel tree: one component, the same graph for every grid, and that of scikit-image."""

import warnings
from pathlib import Path

import cc3d
import numpy as np
import pytest
from scipy import ndimage
from skimage.morphology import skeletonize as lee

from volkit.engine.job import JobEngine
from volkit.geometry import Grid
from volkit.io.open import open_volume
from volkit.kernels.thinning import thin
from volkit.ops.vessel_graph import VesselOptions, segment_frame, vessel_graph

RAW = VesselOptions(halo=(16, 16, 16), spurs=None)


@pytest.fixture(scope="module")
def tree(shared_data: Path) -> np.ndarray:
    volume = open_volume(shared_data / "vessel" / "vessap" / "label.nii.gz")
    return volume.read() > 0


def columns(mask, block_shape, *, engine=None):
    volume = open_volume(mask)
    grid = Grid(volume.domain, block_shape)
    made = vessel_graph(
        volume, options=RAW, voxel_size_nm=(1000.0,) * 3, grid=grid, engine=engine
    ).columns
    return made if engine else made.compute(scheduler="sync")


def test_the_graph_of_the_tree_is_the_same_for_every_grid(tree, tmp_path: Path) -> None:
    assert tree.sum() == 1_181_243
    whole = columns(tree, tree.shape)
    job = columns(tree, (163, 152, 200), engine=JobEngine(tmp_path))
    for name, column in whole.items():
        np.testing.assert_array_equal(job[name], column, err_msg=name)
    assert len(whole["segment_id"]) == 4273
    assert whole["length_um"].sum() == pytest.approx(83303, rel=0.002)


def test_the_skeleton_is_one_component_without_new_tunnels(tree) -> None:
    thinned = thin(tree)
    _, count = cc3d.connected_components(thinned, connectivity=26, return_N=True)
    assert count == 1


@pytest.mark.slow
def test_lengths_and_radii_are_within_two_percent_of_scikit_image_and_skan(tree) -> None:
    skan = pytest.importorskip("skan")
    skeleton = lee(tree)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs
        theirs = skan.summarize(skan.Skeleton(skeleton), separator="-")
    found = segment_frame(columns(tree, (128, 128, 128)))
    assert found["length_um"].sum() == pytest.approx(theirs["branch-distance"].sum(), rel=0.02)
    assert len(found) == pytest.approx(len(theirs), rel=0.02)
    radius = ndimage.distance_transform_edt(tree)[skeleton].mean()
    mine = np.average(found["radius_um_mean"], weights=found["n_points"])
    assert mine == pytest.approx(radius, rel=0.02)
