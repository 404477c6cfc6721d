"""HDF5: attributes, chunks, filters, and what is missing or damaged."""

from pathlib import Path

import h5py
import numpy as np
import pytest

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


def test_hdf5_says_what_is_cheap(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "em.h5", "w") as file:
        file.create_dataset("whole", (4, 2048, 2048), "u1")
        file["flat"] = np.zeros((40, 30, 20), "u2")
        file.create_dataset("cut", data=np.zeros((40, 30, 20), "u2"), chunks=(7, 30, 5))
        file["cut"].attrs["axes"] = "xyz"
        file.create_dataset("lzf", data=np.ones((5, 6, 7), "u2"), compression="lzf")
    assert open_volume(f"{tmp_path}/em.h5::whole").chunk_shape == (1, 512, 2048)
    assert open_volume(f"{tmp_path}/em.h5::flat").chunk_shape == (40, 30, 20)
    assert open_volume(f"{tmp_path}/em.h5::cut").chunk_shape == (5, 30, 7)
    assert open_volume(f"{tmp_path}/em.h5::lzf").read().min() == 1


def test_hdf5_voxels_never_written(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "em.h5", "w") as file:
        file.create_dataset("raw", (4, 5, 6), "u1")
    volume = open_volume(f"{tmp_path}/em.h5::raw")
    with pytest.raises(MissingChunkError, match="its voxels were never written.*missing='zero'"):
        volume.read()
    assert not open_volume(volume.uri, missing="zero").read().any()


def test_hdf5_virtual_dataset(tmp_path: Path) -> None:
    layout = h5py.VirtualLayout((2, 3, 4), "u1")
    for z in range(2):
        with h5py.File(tmp_path / f"z{z}.h5", "w") as file:
            file["plane"] = np.full((3, 4), z + 1, "u1")
        layout[z] = h5py.VirtualSource(f"z{z}.h5", "plane", (3, 4))
    with h5py.File(tmp_path / "em.h5", "w") as file:
        file.create_virtual_dataset("raw", layout)
    volume = open_volume(f"{tmp_path}/em.h5::raw")
    assert volume.read()[:, 0, 0].tolist() == [1, 2]
    (tmp_path / "z1.h5").unlink()
    with pytest.raises(MissingChunkError, match="the file z1.h5 .* is not there"):
        volume.read()


def test_hdf5_filter_that_is_not_installed(tmp_path: Path) -> None:
    space = h5py.h5s.create_simple((4, 4, 4))
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((4, 4, 4))
    plan.set_filter(32017, h5py.h5z.FLAG_OPTIONAL, ())
    if h5py.h5z.filter_avail(32017):
        pytest.skip("the filter is installed here")
    with h5py.File(tmp_path / "em.h5", "w") as file:
        h5py.h5d.create(file.id, b"raw", h5py.h5t.NATIVE_UINT8, space, plan)
    with pytest.raises(SourceError, match=r"HDF5 filter 32017 \(SZ\).*pip install hdf5plugin"):
        open_volume(f"{tmp_path}/em.h5::raw")
