"""Branches of a class: those of its mask, for every grid; totals worked out by hand."""

import dask.array as da
import numpy as np
import pytest
from scipy import ndimage

from volkit.errors import ConfigError
from volkit.geometry import Box, Grid
from volkit.ops.statistics_branches import branch_frame, class_graph
from volkit.ops.vessel_graph import VesselOptions, vessel_graph

SIZE = (2000.0, 1000.0, 1000.0)
OPTIONS = VesselOptions(halo=(8, 8, 8))


@pytest.fixture(scope="module")
def classes():
    """A thick stem along x with a thinner branch along y, and voxels of another class."""
    found = np.zeros((15, 30, 40), np.uint8)
    found[7, 15, :] = found[7, 15:, 20] = 1
    near = ndimage.distance_transform_edt(found == 0)
    found = (near < 2.5).astype(np.uint8) * 2
    found[:3] = 1
    return found


@pytest.mark.parametrize("block", [(15, 30, 40), (15, 15, 20)])
def test_it_is_the_graph_of_the_mask_for_every_grid(classes, block) -> None:
    grid = Grid(Box.from_shape(classes.shape), block)
    how = {"options": OPTIONS, "voxel_size_nm": SIZE}
    found = class_graph(classes, 2, grid=grid, **how).columns.compute(scheduler="sync")
    known = vessel_graph(classes == 2, **how).columns.compute(scheduler="sync")
    assert list(found) == list(known)
    for name, column in known.items():
        np.testing.assert_array_equal(found[name], column, err_msg=name)
    frame = branch_frame(found, name="vessel", volume_um3=classes.size * 2.0)
    assert frame[["branches", "junctions", "free_ends"]].values.tolist() == [[3, 1, 3]]
    straight = 39 + 14  # thinning takes up to a radius from each of the three ends
    assert straight - 3 * 2.5 <= frame["length_um"][0] <= straight
    assert frame["radius_um"][0] == pytest.approx(2.6, abs=0.5)


def test_totals_weigh_by_length() -> None:
    columns = {
        "segment_id": np.array([4, 9], np.uint64),
        "length_um": np.array([30.0, 10.0]),
        "radius_um_mean": np.array([2.0, 6.0]),
        "free_ends": np.array([1, 2]),
        "tortuosity": np.array([1.5, np.nan]),
        "junction_id": np.array([7], np.uint64),
    }
    row = branch_frame(columns, name="vessel", volume_um3=2e6).iloc[0]
    assert row["class"] == "vessel"
    assert (row["branches"], row["junctions"], row["free_ends"]) == (2, 1, 3)
    assert (row["length_um"], row["branch_length_um"]) == (40, 20)
    assert row["length_per_volume"] == 40 / 2e6
    assert row["branches_per_mm3"] == 1000
    assert row["radius_um"] == 3  # (2 * 30 + 6 * 10) / 40
    assert row["radius_um_sd"] == pytest.approx(3**0.5)  # (1 * 30 + 9 * 10) / 40
    assert row["tortuosity"] == 1.5


def test_no_branch_has_no_radius() -> None:
    volume = np.zeros((9, 9, 9), np.uint8)
    columns = class_graph(volume, 1, options=OPTIONS, voxel_size_nm=SIZE).columns
    row = branch_frame(columns.compute(scheduler="sync"), name="axon", volume_um3=8.0).iloc[0]
    assert (row["branches"], row["length_um"], row["length_per_volume"]) == (0, 0, 0)
    assert np.isnan([row[n] for n in ("radius_um", "radius_um_sd", "tortuosity")]).all()


def test_without_a_voxel_size_there_is_no_graph() -> None:
    with pytest.raises(ConfigError, match="a dask array has no voxel size"):
        class_graph(da.zeros((9, 9, 9), dtype=np.uint8), 1)
