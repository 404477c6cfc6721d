"""HDF5, TIFF, NumPy and arrays: what their own contracts ask beyond the common one."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from volkit.errors import MissingChunkError, SourceError
from volkit.geometry import Box
from volkit.io import open_volume


def test_hdf5_attributes(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "em.h5", "w") as file:
        file["raw"] = np.zeros((2, 3, 4), "u1")
        file["raw"].attrs["element_size_um"] = np.array([0.04, 0.004, 0.005])
        file["cremi"] = np.zeros((2, 3, 4), "u1")
        file["cremi"].attrs["resolution"] = [40.0, 4.0, 4.0]
        file["bad"] = np.zeros((2, 3, 4), "u1")
        file["bad"].attrs["resolution"] = [40.0, 4.0]
    assert open_volume(f"{tmp_path}/em.h5::raw").voxel_size_nm == (40, 4, 5)
    assert open_volume(f"{tmp_path}/em.h5::/cremi").voxel_size_nm == (40, 4, 4)
    with pytest.raises(SourceError, match=r"resolution is \[40.0, 4.0\]; expected 3 positive"):
        open_volume(f"{tmp_path}/em.h5::bad")


def test_hdf5_chunk_never_written(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "em.h5", "w") as file:
        file.create_dataset("raw", (8, 8, 8), "u1", chunks=(4, 4, 4))[4:] = 1
    volume = open_volume(f"{tmp_path}/em.h5::raw")
    assert volume.read(Box((5, 1, 1), (8, 8, 8))).all()
    with pytest.raises(MissingChunkError, match=r"chunk \(0, 0, 0\).*missing='zero'"):
        volume.read()
    assert not open_volume(volume.uri, missing="zero").read()[:4].any()


def test_hdf5_damaged(tmp_path: Path) -> None:
    path = tmp_path / "em.h5"
    with h5py.File(path, "w") as file:
        noise = np.random.default_rng(0).integers(0, 255, (16, 16, 16)).astype("u1")
        data = file.create_dataset("raw", data=noise, chunks=(8, 8, 8), fletcher32=True)
        place = data.id.get_chunk_info_by_coord((8, 0, 0)).byte_offset
    whole = path.read_bytes()
    path.write_bytes(whole[: place + 3] + b"\0\0\0" + whole[place + 6 :])
    volume = open_volume(f"{path}::raw")
    assert volume.read(Box((0, 0, 0), (8, 16, 16))).any()
    with pytest.raises(SourceError, match=r"reading \[0:16, 0:16, 0:16\].*damaged"):
        volume.read()
    path.write_bytes(whole[:1000])
    with pytest.raises(SourceError, match="may be truncated"):
        open_volume(f"{path}::raw")


@pytest.mark.parametrize(("name", "message"), [("", "name a dataset"), ("::x", "no dataset 'x'")])
def test_hdf5_names(tmp_path: Path, name: str, message: str) -> None:
    with h5py.File(tmp_path / "em.h5", "w") as file:
        file["volumes/raw"] = np.zeros((2, 3, 4))
    with pytest.raises(SourceError, match=f"{message}.*em.h5::volumes/raw"):
        open_volume(f"{tmp_path}/em.h5{name}")


def test_hdf5_can_be_rewritten_while_a_volume_knows_it(tmp_path: Path) -> None:
    path = tmp_path / "em.h5"
    with h5py.File(path, "w") as file:
        file["raw"] = np.zeros((2, 3, 4))
    volume = open_volume(f"{path}::raw")
    before = volume.identity
    with h5py.File(path, "w") as file:
        file["raw"] = np.ones((5, 3, 4))
    assert volume.shape == (5, 3, 4)
    assert volume.identity != before


def test_tiff_voxel_sizes(tmp_path: Path) -> None:
    values = np.zeros((3, 4, 5), "u2")
    tifffile.imwrite(
        tmp_path / "imagej.tif",
        values,
        imagej=True,
        resolution=(250, 125),
        metadata={"axes": "ZYX", "spacing": 0.04, "unit": "um"},
    )
    assert open_volume(tmp_path / "imagej.tif").voxel_size_nm == pytest.approx((40, 8, 4))
    size = {"PhysicalSizeX": 0.004, "PhysicalSizeY": 5, "PhysicalSizeZ": 0.04}
    units = {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "nm", "PhysicalSizeZUnit": "µm"}
    tifffile.imwrite(tmp_path / "em.ome.tif", values, metadata={"axes": "ZYX", **size, **units})
    assert open_volume(tmp_path / "em.ome.tif").voxel_size_nm == pytest.approx((40, 5, 4))


@pytest.mark.parametrize("axes", ["ZCYX", "CZYX", "TZCYX"])
def test_tiff_channels(tmp_path: Path, axes: str) -> None:
    shape = tuple({"T": 1, "C": 2, "Z": 3, "Y": 4, "X": 5}[a] for a in axes)
    values = np.arange(np.prod(shape), dtype="u2").reshape(shape)
    tifffile.imwrite(tmp_path / "em.ome.tif", values, metadata={"axes": axes})
    volume = open_volume(tmp_path / "em.ome.tif")
    assert (volume.shape, volume.channels) == ((3, 4, 5), 2)
    left = values.squeeze(axes.index("T")) if "T" in axes else values
    expected = left if axes == "CZYX" else left.transpose(1, 0, 2, 3)
    box = Box((1, 0, 2), (3, 4, 4))
    np.testing.assert_array_equal(volume.read(box), expected[(..., *box.slices)])


def test_tiff_plane_alone(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "em.tif", np.ones((4, 5), "u1"))
    assert open_volume(tmp_path / "em.tif").shape == (1, 4, 5)


def test_tiff_pattern(tmp_path: Path) -> None:
    for name, value in (("a1", 1), ("a2", 2), ("b1", 9)):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.full((4, 5), value, "u1"))
    assert open_volume(tmp_path / "a*.tif").read()[:, 0, 0].tolist() == [1, 2]
    with pytest.raises(SourceError, match="no .tif, .tiff or .png files"):
        open_volume(tmp_path / "c*.tif")


def test_tiff_planes_that_differ(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a1.tif", np.zeros((4, 5), "u1"))
    tifffile.imwrite(tmp_path / "a2.tif", np.zeros((4, 6), "u1"))
    with pytest.raises(SourceError, match=r"plane 1 \(a2.tif\) is uint8 \(4, 6\), the first one"):
        open_volume(tmp_path).read()


def test_tiff_truncated(tmp_path: Path) -> None:
    path = tmp_path / "em.tif"
    tifffile.imwrite(path, np.ones((3, 40, 50), "u1"), photometric="minisblack")
    whole = path.read_bytes()
    for length in (0, 4, 1000):
        path.write_bytes(whole[:length])
        with pytest.raises(SourceError, match="em.tif"):
            open_volume(path).read()


def test_tiff_cut_between_pages(tmp_path: Path) -> None:
    """tifffile gives the pages that are left; that would be a smaller volume, silently."""
    path = tmp_path / "em.tif"
    noise = np.random.default_rng(0).integers(0, 255, (9, 40, 50)).astype("u1")
    tifffile.imwrite(path, noise, compression="zlib")
    whole = path.read_bytes()
    np.testing.assert_array_equal(open_volume(path).read(), noise)
    for part in (0.3, 0.5, 0.7):
        path.write_bytes(whole[: int(part * len(whole))])
        with pytest.raises(SourceError, match=r"em\.tif is truncated: after \d pages"):
            open_volume(path)
    path.write_bytes(whole[:-100])  # within the last plane
    with pytest.raises(SourceError, match=r"em\.tif"):
        open_volume(path).read()


def test_tiff_damaged_plane(tmp_path: Path) -> None:
    path = tmp_path / "em.tif"
    noise = np.random.default_rng(0).integers(0, 9, (3, 40, 50)).astype("u1")
    tifffile.imwrite(path, noise, photometric="minisblack", compression="zlib")
    with tifffile.TiffFile(path) as file:
        place = file.pages[1].dataoffsets[0] + 40
    damaged = bytearray(path.read_bytes())
    damaged[place] ^= 255
    path.write_bytes(damaged)
    volume = open_volume(path)
    np.testing.assert_array_equal(volume.read(Box((2, 0, 0), (3, 40, 50))), noise[2:])
    with pytest.raises(SourceError, match=r"plane 1 \(em.tif\) cannot be read"):
        volume.read()


def test_tiff_set_of_files(tmp_path: Path) -> None:
    values = np.arange(24, dtype="u1").reshape(2, 3, 4)
    planes = "".join(
        f'<TiffData IFD="0" FirstZ="{z}" PlaneCount="1"><UUID FileName="z{z}.ome.tif">'
        f"urn:uuid:0000000{z}-0000-0000-0000-000000000000</UUID></TiffData>"
        for z in range(2)
    )
    for z in range(2):
        text = (
            '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="urn:uuid:0000000{z}-0000-0000-0000-000000000000"><Image ID="Image:0">'
            '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="4" SizeY="3" '
            f'SizeZ="2" SizeC="1" SizeT="1"><Channel ID="C:0"/>{planes}</Pixels></Image></OME>'
        )
        tifffile.imwrite(tmp_path / f"z{z}.ome.tif", values[z], description=text, metadata=None)
    np.testing.assert_array_equal(open_volume(tmp_path / "z0.ome.tif").read(), values)


def test_numpy_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "em.npz", raw=np.zeros((2, 3, 4)), seg=np.zeros((2, 3, 4), int))
    with pytest.raises(SourceError, match=r"name an array in it; there are: .*::raw, .*::seg"):
        open_volume(tmp_path / "em.npz")
    with pytest.raises(SourceError, match=r"no array 'x' in it"):
        open_volume(f"{tmp_path}/em.npz::x")
    np.save(tmp_path / "o.npy", np.array([{}, 1], object), allow_pickle=True)
    with pytest.raises(SourceError, match="pickled objects"):
        open_volume(tmp_path / "o.npy")
    np.save(tmp_path / "em.npy", np.zeros((9, 9, 9)))
    (tmp_path / "em.npy").write_bytes((tmp_path / "em.npy").read_bytes()[:300])
    with pytest.raises(SourceError, match="may be truncated"):
        open_volume(tmp_path / "em.npy")
    (tmp_path / "em.npz").write_bytes((tmp_path / "em.npz").read_bytes()[:100])
    with pytest.raises(SourceError, match="may be truncated"):
        open_volume(f"{tmp_path}/em.npz::raw")


def test_arrays() -> None:
    array = np.arange(24, dtype=">i4").reshape(2, 3, 4)
    volume = open_volume(array, axes="xyz", voxel_size_nm=(40, 4, 4))
    assert volume.shape == (4, 3, 2)
    assert volume.dtype == np.dtype("i4")
    assert volume.voxel_size_nm == (40, 4, 4)
    assert volume == open_volume(array.copy(), axes="xyz", voxel_size_nm=(40, 4, 4))
    assert volume != open_volume(array + 1, axes="xyz", voxel_size_nm=(40, 4, 4))
    with pytest.raises(SourceError, match="has no level 1; it has level 0 only"):
        open_volume(array, level=1)
    with pytest.raises(SourceError, match="holds <U1"):
        open_volume(np.array([[["a"]]]))
    with pytest.raises(SourceError, match="has 2 axes"):
        open_volume(np.zeros((2, 2)))


@pytest.mark.parametrize("suffix", ["npy", "tif", "h5::raw"])
def test_files_have_one_level(tmp_path: Path, suffix: str) -> None:
    np.save(tmp_path / "em.npy", np.zeros((2, 3, 4)))
    tifffile.imwrite(tmp_path / "em.tif", np.zeros((2, 3, 4), "u1"))
    with h5py.File(tmp_path / "em.h5", "w") as file:
        file["raw"] = np.zeros((2, 3, 4))
    with pytest.raises(SourceError, match="has no level 3; it has level 0 only"):
        open_volume(f"{tmp_path}/em.{suffix}", level=3)
