"""Real files, whose facts were read by others with other software."""

from pathlib import Path

import h5py
import mrcfile
import numpy as np
import pytest

from volkit.geometry import Box
from volkit.io import open_volume
from volkit.io.labels import read_labels


@pytest.mark.parametrize(
    ("name", "dtype", "low", "high"),
    [
        ("train-image.h5", "uint8", 0, 255),
        ("train-p1.lzf.h5", "float32", 0, 1),
        ("train-ws.lzf.h5", "int32", 1, 203),
        ("train-gt.lzf.h5", "int32", 0, 87),
    ],
)
def test_gala(shared_data: Path, name: str, dtype: str, low: float, high: float) -> None:
    volume = open_volume(f"{shared_data}/em/gala_fib/{name}::stack")
    assert (volume.shape, volume.dtype) == ((50, 100, 200), np.dtype(dtype))
    values = volume.read()
    assert values.min() == pytest.approx(low, abs=1e-3)
    assert values.max() == pytest.approx(high, abs=1e-3)
    box = Box((6, 24, 49), (8, 26, 101))  # over the edges of the stored chunks (7, 25, 50)
    np.testing.assert_array_equal(volume.read(box), values[box.slices])


def test_fib25(shared_data: Path) -> None:
    path = f"{shared_data}/em/fib25/fib25_tr2_z000-124.h5"
    image, truth = open_volume(f"{path}::raw"), open_volume(f"{path}::gt_bodies")
    assert image.shape == truth.shape == (125, 250, 250)
    assert image.voxel_size_nm == (10, 10, 10)
    assert image.chunk_shape == (25, 125, 125)
    assert image.read().mean() == pytest.approx(128.09, abs=0.005)
    ids, counts = np.unique(read_labels(truth), return_counts=True)
    assert (len(ids), int(ids[-1]), int(counts[0])) == (302, 135_709, 125)


def test_pinky40_is_stored_xyz(shared_data: Path) -> None:
    path = shared_data / "em/seunglab/pinky40_seg_crop256.h5"
    volume = open_volume(f"{path}::seg")
    assert volume.voxel_size_nm == (40, 16, 16)
    with h5py.File(path) as file:
        stored = file["seg"][10:20, 30:50, 60:90]
    found = volume.read(Box((60, 30, 10), (90, 50, 20)))
    np.testing.assert_array_equal(found, stored.T)
    labels = read_labels(volume)
    assert int((labels == 25_024_949).sum()) == 6_188_863


def test_stardist(shared_data: Path) -> None:
    image = open_volume(shared_data / "cells/stardist/img3d.tif")
    labels = read_labels(open_volume(shared_data / "cells/stardist/mask3d.tif"))
    assert (image.shape, image.dtype) == ((31, 61, 57), np.dtype("u2"))
    assert (image.read().min(), image.read().max()) == (104, 375)
    assert len(np.unique(labels)) == 52
    assert labels.max() == 162
    assert (labels == 0).mean() == pytest.approx(0.6153, abs=5e-5)


def test_plantseg(shared_data: Path) -> None:
    volume = open_volume(f"{shared_data}/cells/plantseg/1135_mini.h5::label")
    assert volume.voxel_size_nm == pytest.approx((283.71837, 126.78642, 126.78642))
    assert int((volume.read() > 0).sum()) == 231_013


@pytest.mark.parametrize("name", ["EMD-3197.map", "emd_3197.map.gz"])
def test_emd_3197(shared_data: Path, name: str) -> None:
    volume = open_volume(shared_data / "cryoet/mrcfile" / name)
    assert (volume.shape, volume.dtype) == ((20, 20, 20), np.dtype("f4"))
    assert volume.voxel_size_nm == pytest.approx((1.14, 1.14, 1.14))
    assert volume.origin_nm == pytest.approx((0, 0, -2 * 1.14))  # x begins at voxel -2
    values = volume.read()
    found = values.min(), values.max(), values.mean(), values.std()
    assert found == pytest.approx((-4.13375, 5.57674, 0.783612, 2.39995), rel=1e-5)
    assert volume.attributes["space_group"] == 1


@pytest.mark.parametrize("name", ["EMD-3001.map", "EMD-3001.map.bz2"])
def test_emd_3001_has_axes_of_its_own(shared_data: Path, name: str) -> None:
    """Columns are z, rows x, sections y."""
    path = shared_data / "cryoet/mrcfile" / name
    volume = open_volume(path)
    assert (volume.shape, volume.dtype) == ((73, 25, 43), np.dtype("f4"))
    assert volume.voxel_size_nm == pytest.approx((0.045875, 0.03925, 0.044825))
    assert volume.origin_nm == pytest.approx((0, -12 * 0.03925, -21 * 0.044825))
    values = volume.read()
    found = values.min(), values.max(), values.mean(), values.std()
    assert found == pytest.approx((-0.368143, 0.721610, 0.000532967, 0.157057), rel=1e-5)
    with mrcfile.open(path) as file:
        np.testing.assert_array_equal(values, file.data.transpose(2, 0, 1))
    box = Box((60, 3, 7), (70, 21, 40))
    np.testing.assert_array_equal(volume.read(box), values[box.slices])


@pytest.mark.parametrize(
    ("name", "count"), [("t1", 1_886_539), ("gm", 1_961_850), ("wm", 1_679_097)]
)
def test_mni152(shared_data: Path, name: str, count: int) -> None:
    folder = shared_data / "mri/mni152"
    volume = open_volume(folder / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz")
    assert (volume.shape, volume.dtype) == ((189, 233, 197), np.dtype("u1"))
    assert volume.voxel_size_nm == (1e6, 1e6, 1e6)
    assert volume.origin_nm == (-72e6, -134e6, -98e6)
    assert volume.attributes["orientation"] == "RAS"
    assert int(np.count_nonzero(volume.read())) == count


def test_vessap(shared_data: Path) -> None:
    volume = open_volume(shared_data / "vessel/vessap/label.nii.gz")
    assert volume.shape == (600, 304, 325)
    assert volume.attributes["orientation"] == "LPS"
    assert volume.origin_nm == (0, 0, 0)
    inside = np.argwhere(volume.read())
    assert len(inside) == 1_181_243
    assert inside.min(0).tolist() == [0, 25, 3]
    assert inside.max(0).tolist() == [591, 296, 320]


def test_meshnet_reference(shared_data: Path) -> None:
    volume = open_volume(f"{shared_data}/mri/mni152/meshnet5_reference_seg_LIA256.npz::seg")
    assert np.bincount(volume.read().ravel()).tolist() == [15_226_955, 581_282, 968_979]
