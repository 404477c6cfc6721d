"""NIfTI: axes, affines, scales, packed and paired files, and what is refused."""

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest

from volkit.errors import SourceError
from volkit.geometry import Box
from volkit.io import Volume, open_volume
from volkit.io.files.affine import aligned_origin_nm, axis_letters
from volkit.testing.source_contract import SourceTests

AFFINE = np.diag([0.5, 0.6, 2.0, 1.0])
AFFINE[:3, 3] = -10, 20, 30


def write(path: Path, values: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    """Write values of axes (i, j, k, …), in millimetres."""
    image = nibabel.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
    return path


class TestNifti(SourceTests):
    voxel_size_nm = (2e6, 0.6e6, 0.5e6)

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        return open_volume(write(folder / "T1.nii", values.T))


class TestNiftiGz(SourceTests):
    dtype = "float32"
    voxel_size_nm = (2e6, 0.6e6, 0.5e6)

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        return open_volume(write(folder / "T1.nii.gz", values.T))


class TestNiftiChannels(TestNifti):
    channels = 3
    dtype = "int16"

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        return open_volume(write(folder / "vector.nii", values.T[:, :, :, np.newaxis]))


class TestNiftiPair(TestNifti):
    dtype = "int16"

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        nibabel.save(nibabel.Nifti1Pair(values.T, AFFINE), folder / "T1.img")
        return open_volume(folder / "T1.hdr")


def test_affine_and_origin(tmp_path: Path) -> None:
    values = np.arange(24, dtype="i2").reshape(4, 3, 2)
    volume = open_volume(write(tmp_path / "T1.nii", values))
    np.testing.assert_array_equal(volume.read(), values.transpose(2, 1, 0))
    assert volume.attributes["orientation"] == "RAS"
    np.testing.assert_allclose(volume.attributes["affine_mm"], AFFINE, rtol=1e-7)
    assert volume.voxel_size_nm == (2e6, 0.6e6, 0.5e6)
    assert volume.origin_nm == (30e6, 20e6, -10e6)


def test_a_scan_that_grows_to_the_left_keeps_positions_of_its_own(tmp_path: Path) -> None:
    affine = np.diag([-1.0, -1.0, 2.0, 1.0])
    affine[:3, 3] = 90, 126, -72
    volume = open_volume(write(tmp_path / "T1.nii", np.zeros((4, 3, 2), "u1"), affine))
    assert volume.attributes["orientation"] == "LPS"
    assert volume.origin_nm == (0, 0, 0)
    assert volume.voxel_size_nm == (2e6, 1e6, 1e6)


def test_affine_beyond_the_axes() -> None:
    turned = np.array([[0, 0, 2, 5], [-1, 0, 0, 6], [0, -1, 0, 7], [0, 0, 0, 1.0]])
    assert axis_letters(turned) == "PIR"
    assert nibabel.aff2axcodes(turned) == ("P", "I", "R")
    assert aligned_origin_nm(turned) == (0, 0, 0)
    angle = np.deg2rad(10)
    oblique = np.eye(4)
    oblique[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    assert axis_letters(oblique) == "RAS"
    assert aligned_origin_nm(oblique) == (0, 0, 0)


@pytest.mark.parametrize("seed", range(20))
def test_letters_are_those_of_nibabel(seed: int) -> None:
    rng = np.random.default_rng(seed)
    affine = np.eye(4)
    affine[:3, :3] = np.linalg.qr(rng.normal(size=(3, 3)))[0] * rng.uniform(0.5, 3, 3)
    assert "".join(nibabel.aff2axcodes(affine)) == axis_letters(affine)


def test_no_affine_is_stated(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.zeros((4, 3, 2), "u1"), None)
    image.header.set_zooms((1, 2, 3))
    nibabel.save(image, tmp_path / "T1.nii")
    volume = open_volume(tmp_path / "T1.nii")
    assert "orientation" not in volume.attributes
    assert volume.voxel_size_nm == (3e6, 2e6, 1e6)
    assert volume.origin_nm == (0, 0, 0)


@pytest.mark.parametrize(("unit", "nm"), [("mm", 1e6), ("micron", 1e3), ("meter", 1e9)])
def test_units(tmp_path: Path, unit: str, nm: float) -> None:
    image = nibabel.Nifti1Image(np.zeros((4, 3, 2), "u1"), np.diag([1.0, 2.0, 3.0, 1.0]))
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "T1.nii")
    volume = open_volume(tmp_path / "T1.nii")
    assert volume.voxel_size_nm == pytest.approx((3 * nm, 2 * nm, nm))
    assert np.diag(volume.attributes["affine_mm"])[:3] == pytest.approx(
        [nm / 1e6, 2 * nm / 1e6, 3 * nm / 1e6]
    )


@pytest.mark.parametrize(("raw", "dtype"), [("i2", "f4"), ("u1", "f4"), ("i4", "f8")])
@pytest.mark.parametrize("suffix", ["nii", "nii.gz"])
def test_scale(tmp_path: Path, raw: str, dtype: str, suffix: str) -> None:
    stored = np.arange(24, dtype=raw).reshape(4, 3, 2)
    image = nibabel.Nifti1Image(stored, np.eye(4))
    image.header.set_slope_inter(0.25, -1)
    path = tmp_path / f"T1.{suffix}"
    image.to_filename(path)
    content = bytearray((gzip.decompress if suffix == "nii.gz" else bytes)(path.read_bytes()))
    content[352:] = stored.tobytes("F")  # nibabel would scale them back
    path.write_bytes(gzip.compress(content) if suffix == "nii.gz" else content)
    volume = open_volume(path)
    assert volume.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(volume.read(), stored.T * 0.25 - 1)
    np.testing.assert_allclose(volume.read().T, nibabel.load(path).get_fdata())
    assert volume.attributes["scale"] == {"slope": 0.25, "inter": -1.0}


def test_big_endian(tmp_path: Path) -> None:
    values = np.arange(24, dtype="i2").reshape(4, 3, 2)
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype("i2")
    nibabel.save(nibabel.Nifti1Image(values, AFFINE, header), tmp_path / "T1.nii")
    assert (tmp_path / "T1.nii").read_bytes()[:4] == b"\0\0\x01\x5c"
    np.testing.assert_array_equal(open_volume(tmp_path / "T1.nii").read(), values.T)


def test_colours(tmp_path: Path) -> None:
    rgb = np.arange(4 * 3 * 2 * 3, dtype="u1").reshape(4, 3, 2, 3)
    kind = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    write(tmp_path / "rgb.nii", rgb.copy().view(kind)[..., 0])
    volume = open_volume(tmp_path / "rgb.nii")
    assert (volume.shape, volume.channels) == ((2, 3, 4), 3)
    np.testing.assert_array_equal(volume.read(), rgb.transpose(3, 2, 1, 0))


def test_time_points(tmp_path: Path) -> None:
    values = np.arange(24, dtype="i2").reshape(2, 3, 2, 2)
    one = open_volume(write(tmp_path / "one.nii", values[..., :1]))
    np.testing.assert_array_equal(one.read(), values[..., 0].T)
    many = write(tmp_path / "many.nii", values)
    with pytest.raises(SourceError, match=r"several time points.*axes='xyzc'"):
        open_volume(many)
    channels = open_volume(many, axes="xyzc")
    assert channels.channels == 2
    np.testing.assert_array_equal(channels.read(), values.T)
    with pytest.raises(SourceError, match="has axes xyz, not 'zyx'"):
        open_volume(write(tmp_path / "three.nii", values[..., 0]), axes="zyx")


def test_a_plane_alone(tmp_path: Path) -> None:
    volume = open_volume(write(tmp_path / "T1.nii", np.arange(12, dtype="i2").reshape(4, 3)))
    assert volume.shape == (1, 3, 4)
    assert volume.read(Box((0, 1, 1), (1, 2, 4))).tolist() == [[[4, 7, 10]]]


def test_complex_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "k.nii", np.zeros((4, 3, 2), "c8"))
    with pytest.raises(SourceError, match="holds complex64; a volume holds bool, integers or"):
        open_volume(tmp_path / "k.nii")


def test_cut_and_damaged(tmp_path: Path) -> None:
    path = write(tmp_path / "T1.nii", np.zeros((9, 8, 7), "i2"))
    whole = path.read_bytes()
    for length, message in ((0, "cannot be opened"), (200, "cannot be opened"), (900, "truncated")):
        path.write_bytes(whole[:length])
        with pytest.raises(SourceError, match=f"T1.nii.*{message}"):
            open_volume(path)
    path.write_bytes(b"no scan at all " * 100)
    with pytest.raises(SourceError, match="cannot be opened as NIfTI"):
        open_volume(path)
    noise = np.random.default_rng(0).integers(0, 999, (30, 20, 10)).astype("i2")
    packed = write(tmp_path / "T1.nii.gz", noise)
    whole = packed.read_bytes()
    packed.write_bytes(whole[: len(whole) // 2])
    volume = open_volume(packed)
    with pytest.raises(SourceError, match=r"T1.nii.gz cannot be decoded"):
        volume.read()
    packed.write_bytes(whole[:20])
    with pytest.raises(SourceError, match=r"T1.nii.gz cannot be opened"):
        open_volume(packed)


def test_pair_without_its_voxels(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Pair(np.zeros((4, 3, 2), "i2"), AFFINE), tmp_path / "T1.img")
    (tmp_path / "T1.img").unlink()
    with pytest.raises(SourceError, match="its voxels would be in T1.img, which is not"):
        open_volume(tmp_path / "T1.hdr")
