"""Lazy arrays: one task per block, nothing read before it is asked for."""

from pathlib import Path

import dask
import numpy as np
import pytest

from volkit.geometry import Box
from volkit.io import create_volume, open_volume


def test_blocks_are_whole_stored_objects(tmp_path: Path) -> None:
    volume = create_volume(tmp_path / "em.zarr", shape=(100, 300, 300), dtype="u1")
    assert volume.write_shape == (100, 128, 128)
    assert volume.to_dask().chunks == ((100,), (256, 44), (128, 128, 44))


def test_planes_are_joined_to_blocks(tmp_path: Path) -> None:
    np.save(tmp_path / "em.npy", np.zeros((40, 20, 20), "u1"))
    assert open_volume(tmp_path / "em.npy").to_dask().chunks == ((40,), (20,), (20,))
    wide = create_volume(
        tmp_path / "em.zarr", shape=(64, 2000, 2000), dtype="u1", chunk_shape=(1, 1000, 2000)
    )
    assert wide.to_dask().chunksize == (2, 1000, 2000)


def test_nothing_is_read_before(tmp_path: Path) -> None:
    volume = create_volume(tmp_path / "em.zarr", shape=(8, 8, 8), dtype="u1")
    lazy = volume.to_xarray((4, 4, 4))  # no chunk is stored yet
    volume.write(volume.domain, np.ones((8, 8, 8), "u1"))
    assert int(lazy.sum()) == 512


def test_a_part_reads_its_blocks_only(tmp_path: Path) -> None:
    volume = create_volume(
        tmp_path / "em.zarr", shape=(8, 8, 8), dtype="u1", chunk_shape=(4, 4, 4), start=(10, 0, 0)
    )
    volume.write(Box((10, 0, 0), (14, 4, 4)), np.ones((4, 4, 4), "u1"))
    part = volume.to_dask((4, 4, 4))[1:3, :2, :3]
    assert part.sum().compute(scheduler="sync") == 12


def test_tokens_follow_the_content(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 2, 2)))
    volume = open_volume(tmp_path / "a.npy")
    name = volume.to_dask().name
    assert volume.to_dask().name == name
    assert dask.base.tokenize(volume) == dask.base.tokenize(open_volume(tmp_path / "a.npy"))
    np.save(tmp_path / "a.npy", np.zeros((2, 2, 3)))
    assert volume.to_dask().name != name


def test_selection_by_nanometres() -> None:
    volume = open_volume(np.arange(60).reshape(3, 4, 5), voxel_size_nm=(40, 4, 4))
    found = volume.to_xarray().sel(z=slice(40, 80), y=8, x=[0, 16])
    assert found.compute(scheduler="sync").values.tolist() == [[30, 34], [50, 54]]


@pytest.mark.parametrize("axis", ["z", "y", "x"])
def test_units(axis: str) -> None:
    assert open_volume(np.zeros((2, 2, 2))).to_xarray()[axis].attrs == {"units": "nm"}
