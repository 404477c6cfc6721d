"""The contract of sources, kept by precomputed layers and N5."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import tensorstore as ts

from volkit.io import Volume, create_volume, open_volume
from volkit.io.faults import Patience
from volkit.testing.servers.files import FileServer
from volkit.testing.servers.s3 import S3Server
from volkit.testing.source_contract import SourceTests

FAST = Patience(first_wait_seconds=0.01, most_wait_seconds=0.02)


class TestRaw(SourceTests):
    start = (3, 0, 5)
    voxel_size_nm = (40.0, 4.0, 4.0)
    read_only = False
    layout: ClassVar = {"chunk_shape": (4, 8, 8)}

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        volume = create_volume(
            f"precomputed://{folder}/em",
            shape=self.shape,
            dtype=self.dtype,
            channels=self.channels,
            voxel_size_nm=self.voxel_size_nm,
            start=self.start,
            **self.layout,
        )
        volume.write(volume.domain, values)
        return volume


class TestPlainFolder(TestRaw):
    start = (0, -7, 2)

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        super().store(folder, values)
        return open_volume(folder / "em")


class TestLabels(TestRaw):
    dtype = "uint64"


class TestPng(TestRaw):
    layout: ClassVar = {"chunk_shape": (4, 8, 8), "encoding": "png"}


class TestSharded(TestRaw):
    layout: ClassVar = {"chunk_shape": (4, 4, 4), "shard_shape": (4, 8, 8)}


class TestShardedLabels(TestRaw):
    dtype = "uint32"
    layout: ClassVar = {"chunk_shape": (4, 4, 4), "shard_shape": (8, 8, 8)}


class TestChannels(TestSharded):
    channels = 3


class TestOneChannel(TestRaw):
    channels = 1


class TestPackedFiles(TestRaw):
    """Chunks as cloud-volume stores them on a disk by default."""

    read_only = True

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        from cloudvolume import CloudVolume

        info = CloudVolume.create_new_info(
            num_channels=1,
            layer_type="image",
            data_type=self.dtype,
            encoding="raw",
            resolution=self.voxel_size_nm[::-1],
            voxel_offset=self.start[::-1],
            chunk_size=(8, 8, 4),
            volume_size=self.shape[::-1],
        )
        layer = CloudVolume(f"file://{folder}/em", info=info, progress=False)
        layer.commit_info()
        layer[:] = values.T
        return open_volume(folder / "em")


@pytest.fixture(scope="module", autouse=True)
def servers(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("served")
    with FileServer(folder) as files, S3Server() as s3, pytest.MonkeyPatch.context() as patch:
        for name, value in s3.environment().items():
            patch.setenv(name, value)
        s3.bucket("layers")
        Served.files, InBucket.s3 = files, s3
        yield


class Served(TestSharded):
    files: FileServer

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        super().store(self.files.folder / folder.name, values)
        return open_volume(f"precomputed://{self.files.url}/{folder.name}/em", patience=FAST)


class TestHttp(Served):
    read_only = True


class TestHttpUnsharded(TestHttp):
    layout: ClassVar = {"chunk_shape": (4, 8, 8)}


class InBucket(TestRaw):
    s3: S3Server

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        place = f"precomputed://s3://layers/{folder.name}/em?endpoint={self.s3.endpoint}"
        volume = create_volume(
            place,
            shape=self.shape,
            dtype=self.dtype,
            voxel_size_nm=self.voxel_size_nm,
            start=self.start,
            **self.layout,
        )
        volume.write(volume.domain, values)
        return volume


class TestS3(InBucket):
    layout: ClassVar = {"chunk_shape": (4, 8, 8)}


class TestS3Sharded(InBucket):
    layout: ClassVar = {"chunk_shape": (4, 4, 4), "shard_shape": (8, 8, 8)}


class TestN5(SourceTests):
    def store(self, folder: Path, values: np.ndarray) -> Volume:
        spec = {
            "driver": "n5",
            "kvstore": f"file://{folder}/em.n5/",
            "metadata": {
                "dimensions": values.T.shape,
                "dataType": self.dtype,
                "blockSize": [8, 8, 4, 1][: values.ndim],
                "compression": {"type": "gzip"},
            },
        }
        store = ts.open(spec, create=True).result()
        store.write(values.T).result()
        return open_volume(folder / "em.n5")


class TestN5Channels(TestN5):
    channels = 2
