"""MRC: maps of any axis order, plain and packed, whole, odd, cut and damaged."""

import bz2
import gzip
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from volkit.errors import SourceError
from volkit.geometry import Box
from volkit.io import Volume, open_volume
from volkit.testing.source_contract import SourceTests


def write(path: Path, values: np.ndarray, **header: object) -> Path:
    """Write a map whose voxels are 4 x 5 x 6 Å (x, y, z)."""
    with mrcfile.new(path) as file:
        file.set_data(values)
        file.voxel_size = (4, 5, 6)
        for name, value in header.items():
            file.header[name] = value
    return path


def axis_order(values: np.ndarray, path: Path, order: tuple[int, int, int]) -> Path:
    """Write values, axes (z, y, x), with MAPC, MAPR, MAPS of another order (1 is x)."""
    c, r, s = order
    stored = values.transpose([3 - s, 3 - r, 3 - c])
    with mrcfile.new(path) as file:
        file.set_data(np.ascontiguousarray(stored))
        nz, ny, nx = values.shape
        file.header.mapc, file.header.mapr, file.header.maps = order
        file.header.mx, file.header.my, file.header.mz = nx, ny, nz
        file.header.cella = (4 * nx, 5 * ny, 6 * nz)
        file.header.nxstart, file.header.nystart, file.header.nzstart = (10 * c, 10 * r, 10 * s)
    return path


class TestMrc(SourceTests):
    voxel_size_nm = (0.6, 0.5, 0.4)

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        return open_volume(write(folder / "em.mrc", values))


class TestMrcTurned(TestMrc):
    dtype = "float32"

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        return open_volume(axis_order(values, folder / "em.map", (3, 1, 2)))


class TestMrcGz(TestMrc):
    dtype = "int16"

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        plain = write(folder / "em.ccp4", values)
        packed = folder / "em.ccp4.gz"
        packed.write_bytes(gzip.compress(plain.read_bytes()))
        return open_volume(packed)


@pytest.mark.parametrize("order", [(1, 2, 3), (2, 1, 3), (3, 1, 2), (2, 3, 1), (3, 2, 1)])
def test_axes_sizes_and_origins_of_any_order(tmp_path: Path, order: tuple[int, int, int]) -> None:
    values = np.arange(3 * 5 * 7, dtype="f4").reshape(3, 5, 7)
    volume = open_volume(axis_order(values, tmp_path / "em.mrc", order))
    np.testing.assert_array_equal(volume.read(), values)
    assert volume.voxel_size_nm == pytest.approx((0.6, 0.5, 0.4))
    # x begins at voxel 10, y at 20, z at 30 of the unit cell, wherever the file keeps them.
    assert volume.origin_nm == pytest.approx((30 * 0.6, 20 * 0.5, 10 * 0.4))


@pytest.mark.parametrize("dtype", ["i1", "i2", "u2", "f4", "f2"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_modes_and_byte_orders(tmp_path: Path, dtype: str, order: str) -> None:
    values = (np.arange(2 * 3 * 5) - (0 if dtype == "u2" else 7)).reshape(2, 3, 5).astype(dtype)
    path = tmp_path / "em.mrc"
    with mrcfile.new(path) as file:
        file.set_data(values.astype(np.dtype(dtype).newbyteorder(order)))
    volume = open_volume(path)
    assert volume.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(volume.read(), values)


def test_bytes_of_imod_are_unsigned(tmp_path: Path) -> None:
    path = write(tmp_path / "em.mrc", np.array([[[-1, 5]]], "i1"))
    assert open_volume(path).read().tolist() == [[[-1, 5]]]
    content = bytearray(path.read_bytes())
    content[152:160] = np.array([1_146_047_817, 0], "<i4").tobytes()
    path.write_bytes(content)
    assert open_volume(path).read().tolist() == [[[255, 5]]]
    content[156] = 1  # their flag for signed
    (tmp_path / "signed.mrc").write_bytes(content)
    assert open_volume(tmp_path / "signed.mrc").dtype == np.int8


def test_what_the_header_says(tmp_path: Path) -> None:
    path = tmp_path / "em.mrc"
    with mrcfile.new(path) as file:
        file.set_data(np.ones((2, 3, 4), "f4"))
        file.set_extended_header(np.zeros(7, "V1024"))
        file.header.exttyp = b"FEI1"
        file.header.origin = (10, 20, 30)
        file.header.nxstart = 99  # the origin is the one that holds
        file.voxel_size = 11.4
        file.add_label("made for a test")
    volume = open_volume(path)
    assert volume.origin_nm == pytest.approx((3, 2, 1))
    assert volume.voxel_size_nm == pytest.approx((1.14, 1.14, 1.14))
    assert volume.attributes["extended_header"] == {"type": "FEI1", "bytes": 7168}
    assert volume.attributes["labels"][-1].startswith("made for a test")
    assert volume.attributes["space_group"] == 1
    assert volume.read().min() == 1


def test_a_size_that_is_not_stated_is_one(tmp_path: Path) -> None:
    volume = open_volume(write(tmp_path / "em.mrc", np.zeros((2, 3, 4), "f4"), cella=(0, 0, 0)))
    assert volume.voxel_size_nm == (1, 1, 1)
    assert "voxel_size_nm" not in volume.attributes
    assert open_volume(volume.uri, voxel_size_nm=(4, 4, 4)).voxel_size_nm == (4, 4, 4)


def test_a_plane_alone(tmp_path: Path) -> None:
    volume = open_volume(write(tmp_path / "em.mrc", np.arange(12, dtype="f4").reshape(3, 4)))
    assert volume.shape == (1, 3, 4)
    assert volume.read(Box((0, 1, 1), (1, 2, 3))).tolist() == [[[5, 6]]]


def test_old_headers_are_tolerated(tmp_path: Path) -> None:
    """No file type, no machine stamp, no axes: as programs before the standard wrote them."""
    values = np.arange(24, dtype="f4").reshape(2, 3, 4)
    path = write(tmp_path / "em.mrc", values, map=b"", machst=0, mapc=0, mapr=0, maps=0)
    np.testing.assert_array_equal(open_volume(path).read(), values)


def test_refused(tmp_path: Path) -> None:
    with mrcfile.new(tmp_path / "fft.mrc") as file:
        file.set_data(np.zeros((2, 3, 4), "c8"))
    with pytest.raises(SourceError, match="mode 4: complex values; read are 0"):
        open_volume(tmp_path / "fft.mrc")
    with mrcfile.new(tmp_path / "stack.mrc") as file:
        file.set_data(np.zeros((2, 3, 4, 5), "f4"))
    with pytest.raises(SourceError, match=r"stack of volumes \(space group 401, 6 sections of"):
        open_volume(tmp_path / "stack.mrc")
    path = write(tmp_path / "axes.mrc", np.zeros((2, 3, 4), "f4"), mapc=1, mapr=1, maps=3)
    with pytest.raises(SourceError, match=r"MAPS, MAPR and MAPC are \[3, 1, 1\]"):
        open_volume(path)
    with pytest.raises(SourceError, match="has no level 1; it has level 0 only"):
        open_volume(path, level=1)
    (tmp_path / "text.map").write_text('{"version": 3}' * 100)
    with pytest.raises(SourceError, match=r"text.map"):
        open_volume(tmp_path / "text.map")


def test_empty(tmp_path: Path) -> None:
    path = write(tmp_path / "em.mrc", np.zeros((2, 3, 4), "f4"), nz=0)
    with pytest.raises(SourceError, match=r"is empty: its shape is \(0, 3, 4\)"):
        open_volume(path)


@pytest.mark.parametrize("length", [0, 100, 1024, 1500, 2047])
def test_cut(tmp_path: Path, length: int) -> None:
    path = write(tmp_path / "em.mrc", np.zeros((4, 8, 8), "f4"))
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(SourceError, match="truncated"):
        open_volume(path)


@pytest.mark.parametrize("pack", [gzip, bz2])
def test_packed_cut_and_damaged(tmp_path: Path, pack: object) -> None:
    suffix = "gz" if pack is gzip else "bz2"
    noise = np.random.default_rng(0).integers(0, 999, (9, 30, 40)).astype("i2")
    whole = pack.compress(write(tmp_path / "em.mrc", noise).read_bytes())
    path = tmp_path / f"em.mrc.{suffix}"
    path.write_bytes(whole)
    np.testing.assert_array_equal(open_volume(path).read(), noise)
    damaged = bytearray(whole)
    damaged[len(whole) * 3 // 4] ^= 255
    for content in (whole[: len(whole) // 2], bytes(damaged), b"no archive"):
        path.write_bytes(content)
        with pytest.raises(SourceError, match=rf"em.mrc.{suffix} cannot be decoded"):
            open_volume(path).read()
    # What was packed had been cut before.
    path.write_bytes(pack.compress((tmp_path / "em.mrc").read_bytes()[:5000]))
    volume = open_volume(path)
    with pytest.raises(SourceError, match="end at byte 22624, but it ends at 5000"):
        volume.read()
