"""The contract of sources, kept by every one that volkit has."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
import zarr

from volkit.io import Volume, create_volume, open_volume
from volkit.testing.source_contract import SourceTests


class TestCreated(SourceTests):
    start = (3, 0, 5)
    voxel_size_nm = (40.0, 4.0, 4.0)
    read_only = False

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        volume = create_volume(
            folder / "em.zarr",
            shape=self.shape,
            dtype=self.dtype,
            channels=self.channels,
            voxel_size_nm=self.voxel_size_nm,
            start=self.start,
            chunk_shape=(4, 4, 8),
        )
        volume.write(volume.domain, values)
        return volume


class TestCreatedSharded(TestCreated):
    dtype = "float32"

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        volume = create_volume(
            folder / "em.zarr",
            shape=self.shape,
            dtype=self.dtype,
            channels=self.channels,
            voxel_size_nm=self.voxel_size_nm,
            start=self.start,
            chunk_shape=(4, 4, 4),
            shard_shape=(4, 8, 8),
        )
        volume.write(volume.domain, values)
        return volume


class TestCreatedChannels(TestCreatedSharded):
    channels = 3


class TestCreatedOneChannel(TestCreated):
    channels = 1


class TestZarrInMemory(TestCreated):
    def store(self, folder: Path, values: np.ndarray) -> Volume:
        uri = f"memory://{folder.name}/em.zarr"
        volume = create_volume(
            uri,
            shape=self.shape,
            dtype=self.dtype,
            start=self.start,
            voxel_size_nm=self.voxel_size_nm,
            chunk_shape=(8, 8, 8),
        )
        volume.write(volume.domain, values)
        return volume

    def test_identity_follows_the_content(self) -> None:
        pytest.skip("a remote store has no times; its place and metadata are its identity")


class TestZarrV2(SourceTests):
    read_only = False

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        path = folder / "em.zarr"
        array = zarr.create_array(
            path, shape=values.shape, chunks=(4, 8, 8), dtype=">u2", zarr_format=2
        )
        array[:] = values
        return open_volume(path)


class TestZarrV3Xyz(SourceTests):
    read_only = False

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        path = folder / "em.zarr"
        array = zarr.create_array(
            path,
            shape=values.T.shape,
            chunks=(8, 8, 4),
            dtype="u2",
            dimension_names=["x", "y", "z"],
        )
        array[:] = values.T
        return open_volume(path)


class TestHdf5(SourceTests):
    voxel_size_nm = (40.0, 4.0, 4.0)

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        with h5py.File(folder / "em.h5", "w") as file:
            data = file.create_dataset(
                "volumes/raw", data=values.T, chunks=(5, 5, 5), compression="gzip"
            )
            data.attrs["axes"] = "xyz"
            file.attrs["voxel_size_nm"] = [4, 4, 40]
        return open_volume(f"{folder}/em.h5::volumes/raw")


class TestTiff(SourceTests):
    def store(self, folder: Path, values: np.ndarray) -> Volume:
        tifffile.imwrite(folder / "em.tif", values, photometric="minisblack")
        return open_volume(folder / "em.tif")


class TestTiffPlanes(SourceTests):
    shape = (12, 14, 17)

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        for z, plane in enumerate(values):  # z2 must come before z10
            tifffile.imwrite(folder / f"z{z}.tif", plane, compression="zlib")
        return open_volume(folder)


class TestNpy(SourceTests):
    channels = 2

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        np.save(folder / "em.npy", values)
        return open_volume(folder / "em.npy")


class TestNpz(SourceTests):
    def store(self, folder: Path, values: np.ndarray) -> Volume:
        np.savez_compressed(folder / "em.npz", raw=values, other=np.zeros(3))
        return open_volume(f"file://{folder}/em.npz::raw")


class TestArray(SourceTests):
    channels = 1
    travels_light = False  # the voxels have nowhere else to be

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        return open_volume(values)
